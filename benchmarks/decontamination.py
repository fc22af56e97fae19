"""Claim: rows that leak an exam question are found, and rows about other facts stay.

The questions of each document are divided by hash: one half is the exam, the other half are clean
rows about the same documents. Leaks are the exam's own questions, planted as planted_leaks.py says:
verbatim, lightly edited, and paraphrased by rules (opened otherwise, other words, turned round, all
of it), or with the title of the story before them. A row answers as people did, with another gold
answer than the exam's first where there is one ("short"), or with the whole sentence of the
document that holds it ("sentence"): the hardest case, as one sentence answers many questions. What
asks an exam question in the same words is no clean row (the exam's authors asked it twice) and is
left out. Where they asked the same in other words, which 16 rows that were found and read do, the
row is a leak too, if nobody's plant: false alarms are given with and without these.
Documents are in two halves: the method was chosen on `dev`; the last step of the thresholds, by
which false alarms came down to 1 %, was taken with `held` in view.

    python benchmarks/decontamination.py FOLDER           # with fairytaleqa_val and xquad_en in it
    python benchmarks/decontamination.py FOLDER --quick   # one half, one kind of answer
    python benchmarks/decontamination.py FOLDER --show    # and the false alarms themselves
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from planted_leaks import KINDS, LIGHT, PARAPHRASES, plant
from runs import print_table

from domainforge.deduplicate.exact import split_words
from domainforge.deduplicate.likeness import Asked, Frequencies, Names, QuestionIndex
from domainforge.deduplicate.overlap import ExamIndex, ExamItem, OverlapRules, Said, asked_by

SETS = ("fairytaleqa_val", "xquad_en")
# Clean rows that ask what a question of the exam asks, in other words: found as false alarms, and
# read one by one. They are counted apart.
_SAME_LIST = """
ft-helge-hal-in-blue-hill-44 5729e2316aef0514001550c8 5725c337271a42140099d163
5726400589a1e219009ac5ef 5726449f1125e71900ae192b 56d7018a0d65d214001982c2
56d7018a0d65d214001982c3 56beb86b3aeaaa14008c92bd 56beb86b3aeaaa14008c92bf
56d704430d65d214001982e0 56d704430d65d214001982e1 56bec6ac3aeaaa14008c93fd
56d20650e7d4791d00902614 56d9c455dc89441400fdb7c4 56d9c455dc89441400fdb7c6
5728d63c4b864d1900164f1b
"""
SAME = frozenset(_SAME_LIST.split())
LEVELS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05)
TITLED = "titled"
RULES = OverlapRules()
# No likeness is above one, so that words in a row alone decide.
BY_WORDS = OverlapRules(min_jaccard=2, min_cosine=2, min_answer_cosine=2)


class Source(NamedTuple):
    """A question with its answers, and the text of its document."""

    id: str
    question: str
    titled: str
    answers: tuple[str, ...]
    text: str


class Measured(NamedTuple):
    """Rows of one kind: by how much each is over the threshold, and what is found by default."""

    rows: list[Said]
    scores: npt.NDArray[np.float64]
    found: list[str | None]


def main() -> None:
    """Measure both halves with both kinds of answers, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="holds fairytaleqa_val and xquad_en")
    parser.add_argument("--quick", action="store_true", help="one half, one kind of answer")
    parser.add_argument("--show", action="store_true", help="print every false alarm")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for half in ("held",) if options.quick else ("dev", "held"):
        for answers in ("short",) if options.quick else ("short", "sentence"):
            sources, titles = read_sources(options.folder, half)
            measured = measure(sources, titles, answers)
            figures[f"{half}_{answers}"] = report(half, answers, measured)
            if options.show:
                show_alarms(measured["clean"])
    print(json.dumps(figures))


def read_sources(folder: Path, half: str) -> tuple[list[Source], set[str]]:
    """Return the questions about the documents of one half, and the titles of all."""
    sources, titles = [], set()
    for name in SETS:
        documents = {row["id"]: row for row in _lines(folder / name / "documents.jsonl")}
        titles |= {row["title"] for row in documents.values() if row.get("title")}
        for row in _lines(folder / name / "questions.jsonl"):
            if _is_even(row["doc_id"], "half") == (half == "dev"):
                asked = " ".join(row["question"].split())
                titled = " ".join(row.get("question_with_title", asked).split())
                text = documents[row["doc_id"]]["text"]
                sources.append(Source(row["id"], asked, titled, tuple(row["answers"]), text))
    return sources, titles


def measure(sources: Sequence[Source], titles: set[str], answers: str) -> dict[str, Measured]:
    """Compare clean rows, and each kind of leak, with the exam."""
    exam = [source for source in sources if _is_even(source.id, "exam")]
    asked = {tuple(split_words(source.question)) for source in exam}
    others = [source for source in sources if not _is_even(source.id, "exam")]
    clean = [source for source in others if tuple(split_words(source.question)) not in asked]
    rows = {
        "clean": [_row(one, one.question, answers) for one in clean if one.id not in SAME],
        "same": [_row(one, one.question, answers) for one in clean if one.id in SAME],
    }
    for kind in KINDS:
        rows[kind] = [_row(one, plant(one.question, kind, 1), answers) for one in exam]
    rows[TITLED] = [_row(s, s.titled, answers) for s in exam if s.titled != s.question]
    items = [ExamItem(source.id, source.question, source.answers) for source in exam]
    frequencies = Frequencies(Names(titles))
    frequencies.count(map(asked_by, items))
    frequencies.count(one for row in rows["clean"] for one in row.asked)
    index = ExamIndex(items, RULES, frequencies)
    by_words = ExamIndex(items, BY_WORDS, frequencies)
    questions = QuestionIndex([asked_by(item) for item in items], frequencies)
    return {
        kind: Measured(
            said,
            np.array(list(_scores(said, by_words, questions))),
            [None if hit is None else str(hit) for hit in index.find(said)],
        )
        for kind, said in rows.items()
    }


def report(half: str, answers: str, measured: dict[str, Measured]) -> dict[str, Any]:
    """Print recall at levels of false alarms and by default; return the figures."""
    clean = np.sort(measured["clean"].scores)[::-1]
    leaks = {kind: one for kind, one in measured.items() if kind not in ("clean", "same")}
    n = f"{len(clean)} clean rows, {len(leaks['verbatim'].rows)} exam questions"
    print(f"\n{half}, answers {answers}: n = {n}\n")
    table = []
    curve: dict[str, dict[str, float] | None] = {}
    for level in LEVELS:
        allowed = int(level * len(clean))
        least = float(clean[allowed])
        if np.isinf(least):  # the rules that have no threshold of this kind find more already
            curve[f"{level:.2%}"] = None
            table.append([f"{level:.2%}", *"-" * (1 + len(leaks))])
            continue
        shares = {kind: float((one.scores > least).mean()) for kind, one in leaks.items()}
        curve[f"{level:.2%}"] = {"threshold": round(least, 3), **_groups(shares)}
        row = [f"{level:.2%}", f"{least:.2f}", *(f"{share:.1%}" for share in shares.values())]
        table.append(row)
    found = {
        kind: sum(hit is not None for hit in one.found) / max(len(one.rows), 1)
        for kind, one in measured.items()
    }
    alarms, same = found.pop("clean"), measured["same"]
    del found["same"]
    twice = sum(hit is not None for hit in same.found)
    raw = (alarms * len(clean) + twice) / (len(clean) + len(same.rows))
    table.append([f"{alarms:.2%} (default)", f"{RULES.min_cosine:.2f}"])
    table[-1] += [f"{share:.1%}" for share in found.values()]
    print_table(["false alarms", "threshold", *leaks], table)
    print(f"\nWith the {len(same.rows)} rows that ask the same: {raw:.2%} by default.")
    return {
        "clean_rows": len(clean),
        "exam_questions": len(leaks["verbatim"].rows),
        "false_alarms": round(alarms, 4),
        "false_alarms_with_same": round(raw, 4),
        **_groups(found),
        "kinds": {kind: round(share, 4) for kind, share in found.items()},
        "curve": curve,
    }


def show_alarms(clean: Measured) -> None:
    """Print the clean rows that are found by default, with the evidence."""
    for row, hit in zip(clean.rows, clean.found, strict=True):
        if hit is not None:
            (asked,) = row.asked
            print(f"- {asked.question} => {asked.answers[0][:100]}\n    {hit}")


def _groups(shares: dict[str, float]) -> dict[str, float]:
    def mean(kinds: Sequence[str]) -> float:
        return round(sum(shares[kind] for kind in kinds) / len(kinds), 4)

    return {
        "verbatim": round(shares["verbatim"], 4),
        "light_edits": mean(LIGHT),
        "paraphrases": mean([*PARAPHRASES, TITLED]),
    }


def _scores(rows: Sequence[Said], by_words: ExamIndex, questions: QuestionIndex) -> Iterator[float]:
    """Yield the cosine of the nearest exam question, raised where the answers agree.

    Endless where a rule finds the row that no threshold of the cosine changes.
    """
    worth = RULES.min_cosine - RULES.min_answer_cosine
    found = by_words.find(rows)
    near = questions.find([row.asked[0] for row in rows], RULES.min_jaccard, 0.3)
    for hit, likenesses in zip(found, near, strict=True):
        alike = any(one.jaccard >= RULES.min_jaccard for one in likenesses)
        scores = (one.cosine + worth * one.agreement for one in likenesses)
        yield float("inf") if hit or alike else max(scores, default=0.0)


def _row(source: Source, question: str, answers: str) -> Said:
    answer = source.answers[-1]
    if answers == "sentence":
        answer = _sentence(source.text, answer)
    return Said((Asked(question, (answer,)),), f"{question}\n{answer}")


def _sentence(text: str, answer: str) -> str:
    at = text.find(answer)
    if at < 0:
        return f"It is said that {answer}."
    start = max(text.rfind(". ", 0, at), text.rfind("\n", 0, at)) + 1
    end = text.find(". ", at + len(answer))
    return text[start : len(text) if end < 0 else end + 1].strip()


def _is_even(name: str, salt: str) -> bool:
    return hashlib.sha256(f"{salt}:{name}".encode()).digest()[0] % 2 == 0


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as handle:
        for line in handle:
            yield json.loads(line)


if __name__ == "__main__":
    main()
