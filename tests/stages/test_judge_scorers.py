"""The judge stage's scorers that ask no teacher: labels of people, and the student's loss."""

from dataclasses import replace
from pathlib import Path

import pytest

from domainforge.judging.config import DifficultyConfig, JudgeConfig, QualityConfig
from domainforge.label_file import LabelFile
from domainforge.labels import Labels, label_row
from domainforge.run_folder import Output
from domainforge.stages import judge as stage
from tests.judging.test_quality import labels_of, make_rows
from tests.stages.test_judge import Bench
from tests.support.tiny_student import make_tiny_student


def test_rows_go_by_what_labels_taught(tmp_path: Path) -> None:
    rows = make_rows(10, 1)
    bench = Bench(tmp_path, rows)
    quality = QualityConfig(min_probability=0.5)
    config, context = JudgeConfig(quality=quality), bench.context(None)
    few = bench.run(None, quality=quality)
    assert few.dropped == {}
    assert "it needs 30 labels, and there are 0" in few.result.notes[0]
    before = stage.identify(config, context)
    assert stage.identify(JudgeConfig(), context) == {}
    file = LabelFile(tmp_path)
    file.add(*labels_of(make_rows(40), [number % 2 == 0 for number in range(40)]))
    assert stage.identify(config, context) != before
    judged = bench.run(None, quality=quality)
    assert judged.result.account.dropped == {"low_quality": 5}
    assert set(judged.dropped) == {f"1-{number}" for number in range(1, 10, 2)}
    assert all("quality" in judged.scores(row["id"]) for row in rows)
    assert judged.result.figures["quality_auc"] == 1.0
    assert "a classifier learned from your labels: AUC 1.00" in judged.result.notes[0]
    again = bench.run(None, quality=quality)
    assert again.hashes == judged.hashes
    now = stage.identify(config, context)
    file.add(label_row(rows[0], None, Labels(), comment="teaches nothing"))
    assert stage.identify(config, context) == now


@pytest.mark.slow
def test_rows_go_by_the_students_loss(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", make_rows(3, 1))
    student = make_tiny_student(tmp_path / "student")
    out = Output(tmp_path / "out")
    out.folder.mkdir()
    context = replace(bench.context(None), student=str(student))
    config = JudgeConfig(difficulty=DifficultyConfig(max=0.0001))
    assert stage.identify(config, context) == {"student": context.student_identity}
    result = stage.run(config, bench.inputs, out, context)
    assert result.account.dropped == {"too_hard": 3}
    assert ("progress", {"done": 3, "total": 3, "what": "student's loss"}) in bench.events
    kept = stage.run(JudgeConfig(difficulty=DifficultyConfig()), bench.inputs, out, context)
    assert kept.account.done == 3
    assert all('"ifd":' in row["scores"] for row in out.read().to_pylist())
