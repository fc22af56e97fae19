"""Claim: rows that say the same in other words are found, and rows that say something else stay.

Rows are the questions of FairytaleQA and XQuAD with their answers. Each is planted once more: with
the title of its story before it, and reworded by the rules of planted_leaks.py. Recall is the share
of planted rows that are put with their original. False alarms are clean rows (each question once)
that are put together at all, and rows of HaluEval QA, where right and invented answers to one
question stand beside each other. For
the time, planted rows that are alike enough are counted by whether they are found.

    python benchmarks/semantic_dedup.py FOLDER           # with the three data sets in it
    python benchmarks/semantic_dedup.py FOLDER --quick   # 10,000 rows for the time, not 50,000
    python benchmarks/semantic_dedup.py FOLDER --show    # and what is put together of clean rows
"""

import argparse
import json
import random
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from planted_leaks import PARAPHRASES, plant
from runs import print_table

from domainforge.deduplicate.semantic import Likenesses, Sayings, SemanticConfig, find_likenesses

LEVELS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.9)
TOPIC_WORDS = 300
REPLACED = 0.15
LETTERS = "aeiounrstldmgk"


class Row(NamedTuple):
    """A question with its answer."""

    of: str
    question: str
    answer: str

    @property
    def text(self) -> str:
        """What is compared."""
        return f"{self.question}\n{self.answer}".strip()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="10,000 rows for the time")
    parser.add_argument("--show", action="store_true", help="print what is put together")
    options = parser.parse_args()
    clean, planted = read_rows(options.folder)
    halu = [
        Row(str(at), line["question"], line["answer"].strip())
        for at, line in enumerate(read_lines(options.folder / "halueval_qa/rows.jsonl"))
    ]
    default = SemanticConfig().least
    table, figures = [], {}
    for least in LEVELS if not options.quick else (default,):
        config = SemanticConfig(min_cosine=least)
        recalls = {kind: recall(clean, rows, config) for kind, rows in planted.items()}
        alarms, together = count_linked(clean, config), count_linked(halu, config)
        if options.show and least == default:
            show(clean, config)
        told = [f"{share:.1%}" for share in recalls.values()]
        table.append(
            [f"{least:g}", *told, f"{alarms} of {len(clean)}", f"{together} of {len(halu)}"]
        )
        if least == default:
            figures = {f"recall_{kind}": round(share, 3) for kind, share in recalls.items()}
            figures |= {"clean_linked": alarms, "clean": len(clean), "halu_linked": together}
    print_table(["min_cosine", *planted, "clean rows put together", "HaluEval rows"], table)
    figures |= time_rows(10_000 if options.quick else 50_000)
    print(json.dumps(figures))


def read_rows(folder: Path) -> tuple[list[Row], dict[str, list[Row]]]:
    """Return the questions, and by kind those planted again."""
    clean: list[Row] = []
    planted: dict[str, list[Row]] = {kind: [] for kind in ("titled", *PARAPHRASES)}
    for name in ("fairytaleqa_val", "xquad_en"):
        for line in read_lines(folder / name / "questions.jsonl"):
            row = Row(line["id"], line["question"].strip(), line["answers"][0].strip())
            clean.append(row)
            others = {kind: plant(row.question, kind, 7) for kind in PARAPHRASES}
            others["titled"] = line.get("question_with_title", row.question)
            for kind, question in others.items():
                if question != row.question:
                    planted[kind].append(row._replace(question=question))
    return clean, planted


def compare(rows: Sequence[Row], config: SemanticConfig) -> Likenesses:
    """Find the rows that say the same."""
    answers = np.array([len(row.answer) for row in rows], np.int32)
    kinds = np.zeros(len(rows), np.int8)
    sayings = Sayings(lambda at: rows[at].text, np.arange(len(rows)), kinds, answers)
    return find_likenesses(sayings, config, seed=7)


def recall(clean: Sequence[Row], planted: Sequence[Row], config: SemanticConfig) -> float:
    """Return the share of planted rows that are with their original."""
    rows = [*clean, *planted]
    labels = compare(rows, config).labels
    own = {row.of: labels[at] for at, row in enumerate(clean)}
    hits = [labels[len(clean) + at] == own[row.of] for at, row in enumerate(planted)]
    return float(np.mean(hits))


def count_linked(rows: Sequence[Row], config: SemanticConfig) -> int:
    """Return how many rows are with another."""
    found = compare(rows, config)
    return int((found.linked != np.arange(len(rows))).sum())


def show(rows: Sequence[Row], config: SemanticConfig) -> None:
    """Print each row that is with another."""
    found = compare(rows, config)
    for at in np.flatnonzero(found.linked != np.arange(len(rows))):
        pair = [rows[place].text.replace("\n", " | ") for place in (at, found.linked[at])]
        print(f"{found.cosines[at]:.2f}  {pair[0]}\n      {pair[1]}")


def time_rows(count: int) -> dict[str, Any]:
    """Time rows of 35 to 95 words on topics, a tenth of them planted again with other words."""
    rng = random.Random(7)
    vocabulary = ["".join(rng.choices(LETTERS, k=rng.randint(3, 9))) for _ in range(30_000)]
    topics = [rng.sample(vocabulary, TOPIC_WORDS) for _ in range(max(count // 200, 2))]
    texts, sources = [], list[int]()
    originals = count * 10 // 11
    for _ in range(originals):
        texts.append([rng.choice(topic) for topic in [rng.choice(topics)] * rng.randint(35, 95)])
    for _ in range(count - originals):
        sources.append(rng.randrange(originals))
        copy = list(texts[sources[-1]])
        for at in rng.sample(range(len(copy)), int(REPLACED * len(copy))):
            copy[at] = rng.choice(vocabulary)
        cut = rng.randrange(len(copy))
        texts.append([*copy[cut:], *copy[:cut]])
    rows = [Row("", " ".join(text), "") for text in texts]
    begun, cpu = time.perf_counter(), time.process_time()
    found = compare(rows, SemanticConfig())
    seconds = time.perf_counter() - begun
    pairs = np.column_stack([sources, np.arange(originals, count)])
    assert found.space is not None
    alike = found.space.cosines([row.text for row in rows], pairs) >= SemanticConfig().least
    met = (found.labels[pairs[:, 0]] == found.labels[pairs[:, 1]])[alike].mean()
    return {
        "rows": count,
        "seconds": round(seconds, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "rows_per_s": round(count / seconds),
        "planted_alike": int(alike.sum()),
        "recall_timed": round(float(met), 4),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON lines file."""
    with path.open(encoding="utf-8") as handle:
        yield from map(json.loads, handle)


if __name__ == "__main__":
    main()
