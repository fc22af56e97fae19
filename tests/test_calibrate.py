"""`domainforge judge calibrate`: by keys on a terminal, by files, and what becomes of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from domainforge.calibrate import Calibrating
from domainforge.cli import app
from domainforge.errors import DataError
from domainforge.judging.panel import said_by
from domainforge.judging.record import CALIBRATIONS, judge_key, read_calibration
from domainforge.label_file import LABELS, LabelFile
from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.run_folder import RunFolder
from domainforge.table_writer import read_batches
from domainforge.trace import trace_row
from tests.support.small_run import make_project, pipeline_values
from tests.support.teacher_server import TeacherServer
from tests.support.terminal import Terminal


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run whose judge has scored rows."""
    project = make_project(tmp_path_factory.mktemp("calibrate") / "project")
    with TeacherServer() as server:
        values = pipeline_values(server.base_url, judge={"prompt": "judge"})
        # Nothing but the judge is to leave rows out: there are few.
        values |= {"dedup": {"near_jaccard": None}}
        run_pipeline(check_pipeline(values, "p.yaml"), project, until_stage="judge")
    return project


@pytest.fixture
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (LABELS, CALIBRATIONS, "rows.jsonl"):
        (finished / name).unlink(missing_ok=True)
    monkeypatch.chdir(finished)
    return finished


def going(project: Path, size: int = 40) -> Calibrating:
    return Calibrating(project, RunFolder(project / "runs" / "small"), size)


def judged(project: Path) -> list[dict[str, Any]]:
    folder = project / "runs" / "small" / "judged"
    return [row for batch in read_batches(folder) for row in batch.to_pylist()]


def give(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["judge", "calibrate", "small", *arguments])


def test_labels_are_kept_one_by_one_and_taken_back(project: Path) -> None:
    session = going(project, 3)
    assert len(session.rows) == 3
    session.say(good=True)
    session.skip()
    session.say(good=False)
    assert session.current is None
    labels = LabelFile(project).read()
    assert sorted(str(label.verdict) for label in labels) == ["drop", "keep"]
    assert all(label.scores["judge"] for label in labels), "the score stays with the label"
    assert session.undo()
    assert session.undo()
    assert session.at == 1
    assert len(LabelFile(project).read()) == 1
    # Another session goes on from there: one of three is labelled.
    again = going(project, 3)
    assert len(again.rows) == 2
    assert session.rows[0]["id"] not in {row["id"] for row in again.rows}


def test_by_files_and_what_is_found_is_kept_for_the_runs_to_come(project: Path) -> None:
    result = give("--export", "rows.jsonl")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (project / "rows.jsonl").read_text().splitlines()]
    lines[0]["passages"] = ["What a text\u2028may hold is no end of a line.\x85"]
    assert all(line["verdict"] == "" and line["passages"] for line in lines)
    assert not any("scores" in line for line in lines), "who labels is not to know the score"
    assert "is there already" in give("--export", "rows.jsonl").output
    for number, line in enumerate(lines):
        line["verdict"] = "good" if number % 2 else "bad"
    (project / "rows.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    )
    result = give("--labels", "rows.jsonl")
    assert result.exit_code == 0, result.output
    assert f"{len(lines)} labels" in result.output
    assert "no better than chance" in result.output, "the test judge gives all rows a 5"
    assert "min_score" not in result.output
    session = going(project)
    known = read_calibration(project, judge_key(session.figures))
    assert known is not None
    assert (known["labels"], known["usable"]) == (len(lines), False)
    assert json.loads(give("--json").output)["labels"] == len(lines)


def test_what_is_dropped_by_its_label_still_counts(project: Path, tmp_path: Path) -> None:
    """A row called bad is gone before the judge in the next run; the label has its score."""
    session = going(project)
    for number in range(len(session.rows)):
        session.say(good=number % 2 == 0)
    before = session.labelled()
    shutil.copytree(project, tmp_path / "p")
    part = next((tmp_path / "p" / "runs" / "small" / "judged").glob("part-*.parquet"))
    import pyarrow.parquet as pq

    table = pq.read_table(part)
    pq.write_table(table.slice(0, 2), part)
    assert going(tmp_path / "p").labelled() == before


def test_faulty_files_label_nothing(project: Path) -> None:
    row_id = judged(project)[0]["id"]
    good = json.dumps({"row": row_id, "verdict": "good"})
    for bad, said in (
        ('{"row": "0123456789abcdef", "verdict": "bad"}', "are none of this run's judged ones"),
        ('{"row": "x", "verdict": "maybe"}', "rows.jsonl:2: verdict: "),
        ("not json", "rows.jsonl:2: line: "),
    ):
        (project / "rows.jsonl").write_text(f"{good}\n{bad}\n")
        result = give("--labels", "rows.jsonl")
        assert result.exit_code == DataError.exit_code
        assert said in result.output
    assert len(LabelFile(project).read()) == 0
    assert "needs a terminal" in give().output


def test_a_run_that_nobody_judged_says_what_to_do(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "runs" / "small", tmp_path / "runs" / "small")
    path = tmp_path / "runs" / "small" / "judged" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "figures": {}}))
    with pytest.raises(DataError, match="has no rows that a judge has scored; set `judge: "):
        Calibrating(tmp_path, RunFolder(tmp_path / "runs" / "small"), 40)


def test_a_trace_shows_what_the_judge_was_asked(project: Path) -> None:
    row = judged(project)[0]
    found = trace_row(RunFolder(project / "runs" / "small"), row["id"], project)
    (exchange,) = found.judged
    assert '"overall": 5' in exchange.reply
    assert [place.label for place in found.way][-1] == "judged"
    shown = CliRunner().invoke(app, ["trace", "small", row["id"]]).output
    assert "1 requests about it" in shown
    assert '"overall": 5' in shown


@pytest.mark.slow
def test_a_real_terminal(project: Path) -> None:
    rows = going(project).rows
    terminal = Terminal(["judge", "calibrate", "small"], project)
    seen = terminal.wait_for("g good  b bad")
    assert "would you train on it?" in seen
    assert said_by(rows[0])[:12] in " ".join(seen.split())
    terminal.type("gus")
    for number in range(2, len(rows) + 1):
        terminal.wait_for(f"row {number} of {len(rows)}")
        terminal.type("g" if number % 2 else "b")
    terminal.wait_for("all rows are through")
    terminal.type("q")
    assert terminal.end() == 0
    assert "don't filter by it" in " ".join(terminal.said.split())
    assert "judge 5" not in terminal.said
    assert len(LabelFile(project).read()) == len(rows) - 1


def test_the_status_tells_what_the_judge_was_asked(project: Path) -> None:
    shown = CliRunner().invoke(app, ["status", "small"]).output
    rows = len(judged(project))
    assert f"judge: {rows} requests asked, 0 from the ledger" in shown
    assert shown.count("requests asked") == 2, "the teacher's and the judge's"
