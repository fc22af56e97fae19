"""Planted leaks, and the benchmark that counts how many are found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.planted_leaks import KINDS, plant

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "decontamination.py"
QUESTION = "Why did the king build a large castle near the northern forest?"


def test_every_kind_of_leak_says_it_otherwise_and_always_alike() -> None:
    made = {kind: plant(QUESTION, kind, 1) for kind in KINDS}
    assert made.pop("verbatim") == QUESTION
    assert QUESTION not in made.values()
    assert {kind: plant(QUESTION, kind, 1) for kind in made} == made
    assert (
        made["opening"] == "For what reason did the king build a large castle near the "
        "northern forest?"
    )
    assert made["synonyms"] == "Why did the ruler construct a big fortress near the northern wood?"
    assert made["turned"].startswith("The king build a large castle near the northern forest: Why")
    assert "ruler" in made["reworded"]
    assert plant("How?", "turned", 1) == "How?"


@pytest.mark.slow
def test_the_benchmark_measures(tmp_path: Path) -> None:
    for name in ("fairytaleqa_val", "xquad_en"):
        folder = tmp_path / name
        folder.mkdir()
        documents, questions = [], []
        for number in range(8):
            known = {"id": f"{name}-{number}", "title": f"the tale of {number}"}
            documents.append({**known, "text": f"The king of hill {number} built a wall."})
            for at, thing in enumerate(("wall", "castle", "bridge", "mill", "well", "tower")):
                asked = f"Who repaired the old {thing} of hill number {number}, and for how much?"
                answers = [f"Mason {number * 7 + at}"]
                row = {"id": f"{name}-{number}-{at}", "doc_id": known["id"], "question": asked}
                questions.append({**row, "answers": answers})
        for file, rows in (("documents", documents), ("questions", questions)):
            (folder / f"{file}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        # The one set has titles before its questions, the other one none.
        if name == "fairytaleqa_val":
            titled = [
                {**row, "question_with_title": f"In it: {row['question']}"} for row in questions
            ]
            (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, titled)))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "--quick"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["held_short"]
    assert figures["verbatim"] == 1
    assert 0 <= figures["false_alarms"] <= 1
    assert set(figures["kinds"]) == {*KINDS, "titled"}
