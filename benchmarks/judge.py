"""What a judge manages: right and hallucinated answers (HaluEval QA), each with its passage.

    python -m benchmarks.judge ROWS.jsonl --pairs 40
    python -m benchmarks.judge ROWS.jsonl --base-url http://127.0.0.1:8000/v1 --model NAME

ROWS holds a row a line: `context`, `question`, `answer`, `label` (1 right, 0 hallucinated), and
`group`, which the two answers to one question share. Asked are the shipped rubric about every
answer, and the shipped pair prompt about every pair, in both orders. Without an address the
embedded teacher judges. The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from domainforge.judging.bias import Bias
from domainforge.judging.calibration import Labelled, calibrate
from domainforge.judging.config import JudgeConfig
from domainforge.judging.inquiry import Court, Inquiry
from domainforge.judging.panel import open_panel, said_by
from domainforge.prompts import load_prompt
from domainforge.records import stable_id
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.session import open_teacher

SEED = 7


def main() -> None:
    """Ask, and print what the judge's scores come to beside the known labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    parser.add_argument("--prompt", default="judge")
    parser.add_argument("--ledger", type=Path, help="keep replies here, to go on after a stop")
    arguments = parser.parse_args()
    teacher = TeacherConfig(embedded=True, form="chat", timeout_seconds=600)
    if arguments.base_url:
        teacher = TeacherConfig(base_url=arguments.base_url, model=arguments.model)
    config = JudgeConfig(prompt=arguments.prompt)
    pairs = read_pairs(arguments.rows, arguments.pairs)
    with tempfile.TemporaryDirectory() as folder:
        ledger = arguments.ledger or Path(folder) / "ledger.sqlite"
        measure(pairs, config, teacher, ledger)


def read_pairs(path: Path, size: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Draw pairs of a right and a hallucinated answer."""
    groups: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            groups[row["group"]].setdefault(row["label"], row)
    whole = [(found[1], found[0]) for found in groups.values() if len(found) == 2]
    return Random(SEED).sample(whole, min(size, len(whole)))


def measure(
    pairs: list[tuple[dict[str, Any], dict[str, Any]]],
    config: JudgeConfig,
    teacher_config: TeacherConfig,
    ledger: Path,
) -> None:
    """Judge both answers of every pair alone, and the pair in both orders."""
    chunks, rows, labels = {}, [], {}
    for right, wrong in pairs:
        chunk = _chunk(right)
        chunks[chunk["id"]] = chunk
        rows += [_row(right, chunk), _row(wrong, chunk), _row(right, chunk, wrong["answer"])]
        labels[rows[-3]["id"]], labels[rows[-2]["id"]] = True, False
    found: list[Labelled] = []
    bias = Bias()

    def finish(inquiry: Inquiry) -> None:
        verdict, row = inquiry.verdict, inquiry.row
        if row["id"] not in labels:
            bias.take(verdict, len(said_by(row)))
        elif "judge" in verdict.scores:
            score, good = verdict.scores["judge"], labels[row["id"]]
            found.append(Labelled(row["id"], good, score, len(said_by(row))))

    started = time.monotonic()
    with open_teacher(teacher_config, ledger) as teacher:
        panel = open_panel(config, lambda name: load_prompt(name, Path()))
        court = Court(teacher, panel, chunks, finish, _tell)
        court.ask(rows, len(rows))
        asked = teacher.counts.asked
    found.sort(key=lambda each: each.id)
    figures = {
        "pairs": len(pairs),
        "asked": asked,
        "seconds": round(time.monotonic() - started, 1),
        "unreadable": dict(court.unreadable),
        "position": bias.figures(),
        "mean_right": _mean([each.score for each in found if each.good]),
        "mean_wrong": _mean([each.score for each in found if not each.good]),
        **asdict(calibrate(found, SEED)),
    }
    print(json.dumps(figures))


class _Raw(argparse.RawDescriptionHelpFormatter):
    """Leaves the description as it is."""


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def _tell(done: int, total: int, **figures: Any) -> None:
    print(f"\r{done} of {total}", end="", file=sys.stderr, flush=True)


def _chunk(row: dict[str, Any]) -> dict[str, Any]:
    text = row["context"]
    found = {"id": stable_id("benchmark", text), "title": "Passage", "headings": [], "text": text}
    return {**found, "document_id": "d", "uri": "u", "start": 0, "end": len(text), "context": ""}


def _row(row: dict[str, Any], chunk: dict[str, Any], rejected: str | None = None) -> dict[str, Any]:
    messages = [
        {"role": "user", "content": row["question"]},
        {"role": "assistant", "content": row["answer"]},
    ]
    return {
        "id": stable_id("row", row["id"], rejected),
        "kind": "chat" if rejected is None else "preference",
        "messages": messages,
        "text": None,
        "rejected": rejected,
        "fields": "{}",
        "chunk_id": chunk["id"],
        "also": [],
        "basis": "passage",
        "teacher": "benchmark",
        "scores": "{}",
    }


if __name__ == "__main__":
    main()
