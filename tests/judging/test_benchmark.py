"""`benchmarks/judge.py` on a handful of pairs, with a local judge."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.judging.rows import PASSAGE, QUESTION
from tests.support.command import ROOT
from tests.support.teacher_server import TeacherServer


@pytest.mark.slow
def test_it_tells_right_answers_from_made_up_ones(tmp_path: Path) -> None:
    rows = []
    for number in range(8):
        question = f"{QUESTION[:-1]}, on day {number}?"
        shared = {"context": f"{PASSAGE} Day {number}.", "question": question, "group": question}
        rows.append({**shared, "id": f"{number}r", "answer": "She carries 74.", "label": 1})
        rows.append({**shared, "id": f"{number}w", "answer": "A circus of 90.", "label": 0})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with TeacherServer() as server:
        address = ["--base-url", server.base_url, "--model", "local-teacher"]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.judge", str(path), "--pairs", "8", *address],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["kappa"], found["threshold"], found["labels"]) == (1, 5, 16)
    assert (found["mean_right"], found["mean_wrong"]) == (5, 1)
    assert found["position"]["pairs_by_position"] == 0
    assert found["position"]["pairs_for_chosen"] == 8
    assert found["asked"] == 8 * 4, "two rubrics, and a pair in both orders"
