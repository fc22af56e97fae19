"""Claim: at their default thresholds the filters keep what people wrote and drop what was made up.

Takes a folder with what others wrote: `fairytaleqa_val` and `xquad_en` (documents.jsonl and
questions.jsonl: gold answers, of which at most 2 % may be dropped), `harmless_email` (rows.jsonl;
as texts, and as answers about themselves) and `halueval_qa` (rows.jsonl; right and made-up answers
to the same questions, of which at least 60 % should go). The passage of a gold answer is the chunk,
cut as the product cuts (256 words and marks), that has most of the rare words of question and
answer (`--match cosine`: nearest by TF-IDF, which takes another chunk now and then).

A made-up answer counts where it is about as long as the right one (at most two words more or
less; `swapped`: at most two words of each differ), since length alone tells the others apart.
Every set is told in two halves (by hash of document or question): the mistakes of `a` were read
while the checks were written, those of `b` were not. A drop is a drop, whichever check does it.

    python benchmarks/filters.py FOLDER            # all
    python benchmarks/filters.py FOLDER --quick    # every fourth row
    python benchmarks/filters.py FOLDER --show 20  # and dropped gold answers, kept made-up ones
"""

import argparse
import hashlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runs import print_table

from domainforge.chunking import chunk_document
from domainforge.filters.checks import CHECKS, Finding, check_rows
from domainforge.filters.rows import FilterConfig, Row
from domainforge.filters.words import content_terms, count_words, words
from domainforge.records import Document

TRUTH = ("wrong_kind", "quote_missing", "question_unrelated", "unsupported", "not_entailed")
MAX_TOKENS = 256
MIN_TOKENS = 16
MOST_WORDS = 2
_TOKEN = re.compile(r"\w+|[^\w\s]")
_MAIL = re.compile(r"Subject of the email:\s*(?P<subject>.*?)\s*Body:\s*(?P<body>.*)", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """One row, and what is known about it.

    Attributes:
        part: The set it belongs to.
        half: `a` or `b`.
        gold: Whether it must stay.
        close: Of a made-up answer: at most two words of each answer differ.
    """

    part: str
    half: str
    row: Row
    gold: bool = True
    close: bool = False


def main() -> None:
    """Check every row at the defaults, and print what left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with the four sets")
    parser.add_argument("--quick", action="store_true", help="every fourth row")
    parser.add_argument("--match", default="words", choices=list(MATCHES), help="which chunk")
    parser.add_argument("--show", type=int, default=0, help="print so many mistakes of each set")
    parser.add_argument("--halves", default="ab", choices=["a", "b", "ab"], help="shown mistakes")
    options = parser.parse_args()
    cases = [*gold_answers(options.data, options.match), *mails(options.data), *pairs(options.data)]
    cases = cases[:: 4 if options.quick else 1]
    started = time.process_time()
    findings = check_rows([case.row for case in cases], FilterConfig())
    seconds = time.process_time() - started
    figures = report(cases, findings)
    figures |= report_scores(cases)
    figures["ms_per_row"] = round(1000 * seconds / len(cases), 3)
    figures["truth_ms_per_row"] = round(time_truth(options.data, options.match), 3)
    print(
        f"\nAll checks: {figures['ms_per_row']} ms a row, of truth {figures['truth_ms_per_row']}."
    )
    if options.show:
        show(cases, findings, options.show, options.halves)
    print(json.dumps(figures))


def time_truth(data: Path, match: str) -> float:
    """Return the milliseconds of CPU time that a row takes in the checks of truth, read afresh."""
    rows = [case.row for case in (*gold_answers(data, match), *pairs(data))]
    config = FilterConfig()
    started = time.process_time()
    for check in CHECKS:
        if check.name in TRUTH:
            check.find(rows, config)
    return 1000 * (time.process_time() - started) / max(1, len(rows))


def gold_answers(data: Path, match: str) -> list[Case]:
    """Read the questions with gold answers, each beside its chunk."""
    found: list[Case] = []
    for part in ("fairytaleqa_val", "xquad_en"):
        documents = {entry["id"]: entry for entry in _read(data / part / "documents.jsonl")}
        asked: dict[str, list[dict[str, Any]]] = {}
        for entry in _read(data / part / "questions.jsonl"):
            asked.setdefault(entry["doc_id"], []).append(entry)
        for name, questions in asked.items():
            found += _beside_chunks(part, documents[name], questions, match)
    return found


def mails(data: Path) -> list[Case]:
    """Read the mails: each as a text about itself, and as the answer to a question about it."""
    found = []
    for entry in _read(data / "harmless_email" / "rows.jsonl"):
        mail = _MAIL.match(entry["text"])
        if mail is None:
            continue
        half = _half(entry["id"])
        row = _row(entry["id"], "", entry["text"], entry["text"])
        found.append(Case("harmless_email", half, replace(row, kind="text")))
        question = f"What does the mail about {mail['subject']} say?"
        answered = _row(entry["id"], question, mail["body"], entry["text"])
        found.append(Case("harmless_email", half, answered))
    return found


def pairs(data: Path) -> list[Case]:
    """Read the right answers, and the made-up ones that are about as long as these."""
    entries = _read(data / "halueval_qa" / "rows.jsonl")
    right = {(e["context"], e["question"]): e["answer"] for e in entries if e["label"]}
    found = []
    for entry in entries:
        gold = right.get((entry["context"], entry["question"]))
        if gold is None:
            continue
        here, there = Counter(words(entry["answer"])), Counter(words(gold))
        if abs(here.total() - there.total()) > MOST_WORDS:
            continue
        close = max((here - there).total(), (there - here).total()) <= MOST_WORDS
        row = _row(entry["id"], entry["question"], entry["answer"], entry["context"])
        found.append(Case("halueval_qa", _half(entry["group"]), row, bool(entry["label"]), close))
    return found


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _half(name: str) -> str:
    return "ab"[hashlib.sha256(name.encode()).digest()[0] % 2]


def _row(name: str, question: str, answer: str, passage: str, context: str = "") -> Row:
    return Row(name, "chat", question, answer, None, passage, passage, context)


def _beside_chunks(
    part: str, document: dict[str, Any], questions: Sequence[dict[str, Any]], match: str
) -> Iterable[Case]:
    title = document.get("title", "")
    chunks = chunk_document(
        Document(document["id"], title, document["text"]),
        lambda text: list(range(len(_TOKEN.findall(text)))),
        MAX_TOKENS,
        MIN_TOKENS,
    )
    texts = [chunk.text for chunk in chunks]
    for entry, at in zip(questions, MATCHES[match](texts, questions), strict=True):
        kind = f" {entry['ex_or_im']}" if "ex_or_im" in entry else ""
        row = _row(entry["id"], entry["question"], entry["answers"][0], texts[at], title)
        yield Case(f"{part}{kind}", _half(document["id"]), row)


def by_shared_words(texts: Sequence[str], questions: Sequence[dict[str, Any]]) -> list[int]:
    """Choose the chunk with most of the rare words of question and answer; the answer's twice."""
    chunks = [set(content_terms(text)) for text in texts]
    held = Counter(term for chunk in chunks for term in chunk)
    found = []
    for entry in questions:
        asked, gold = (set(content_terms(t)) for t in (entry["question"], entry["answers"][0]))
        weights = {
            term: (1 + (term in gold)) * math.log(1.1 * (len(texts) + 1) / (held[term] + 1))
            for term in sorted(asked | gold)
        }
        sums = [sum(weights[term] for term in weights if term in chunk) for chunk in chunks]
        found.append(sums.index(max(sums)))
    return found


def by_cosine(texts: Sequence[str], questions: Sequence[dict[str, Any]]) -> list[int]:
    """Choose the chunk nearest by TF-IDF cosine to question and answer."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer()
    matrix = vectors.fit_transform(texts)
    wanted = vectors.transform([f"{q['question']} {q['answers'][0]}" for q in questions])
    return [int(at) for at in (wanted @ matrix.T).toarray().argmax(axis=1)]


MATCHES = {"words": by_shared_words, "cosine": by_cosine}


def report(cases: Sequence[Case], findings: Sequence[Finding | None]) -> dict[str, Any]:
    """Print how many of each set were dropped, and why; return the shares."""
    figures: dict[str, Any] = {}
    table = []
    parts = dict.fromkeys((case.part, case.gold) for case in cases)
    views: list[tuple[str, Callable[[Case], bool]]] = [
        (f"{part} {'gold' if gold else 'made up'}", _of(part, gold)) for part, gold in parts
    ]
    views.append(("halueval_qa swapped", lambda case: case.close and not case.gold))
    for name, belongs in views:
        chosen = [at for at, case in enumerate(cases) if belongs(case)]
        reasons = Counter(f.reason for f in (findings[at] for at in chosen) if f)
        share = _share(chosen, findings)
        halves = [_share([at for at in chosen if cases[at].half == h], findings) for h in "ab"]
        told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        table.append([name, str(len(chosen)), f"{share:.1%}", *(f"{h:.1%}" for h in halves), told])
        key = name.replace(" ", "_")
        figures |= {f"{key}_rows": len(chosen), f"{key}_dropped": round(share, 4)}
        figures |= {f"{key}_dropped_{h}": round(s, 4) for h, s in zip("ab", halves, strict=True)}
    print_table(("set", "rows", "dropped", "half a", "half b", "reasons"), table)
    return figures


def _of(part: str, gold: bool) -> Callable[[Case], bool]:
    return lambda case: (case.part, case.gold) == (part, gold)


def _share(chosen: Sequence[int], findings: Sequence[Finding | None]) -> float:
    return sum(findings[at] is not None for at in chosen) / max(1, len(chosen))


def report_scores(cases: Sequence[Case]) -> dict[str, Any]:
    """Print how well each score alone tells right from made up, as the area under the curve."""
    from sklearn.metrics import roc_auc_score

    chosen = [case for case in cases if case.part == "halueval_qa"]
    scored = [{**case.row.scores(), **_baselines(case.row)} for case in chosen]
    figures, table = {}, []
    for name in dict.fromkeys(name for scores in scored for name in scores):
        values = [scores.get(name, 1.0) for scores in scored]
        area = float(roc_auc_score([case.gold for case in chosen], values))
        figures[f"auc_{name}"] = round(area, 4)
        table.append([name, f"{area:.3f}"])
    print()
    print_table(("score", "AUC, right against made up"), table)
    return figures


def _baselines(row: Row) -> dict[str, float]:
    """Return what needs no filter: shortness, and words of the answer that the passage has."""
    own, known = words(row.answer), set(words(row.passage))
    terms, carried = content_terms(row.answer), content_terms(row.passage)
    return {
        "shortness": -float(count_words(row.answer)),
        "word_overlap": sum(word in known for word in own) / max(1, len(own)),
        "term_overlap": sum(term in carried for term in terms) / max(1, len(terms)),
    }


def show(
    cases: Sequence[Case], findings: Sequence[Finding | None], count: int, halves: str
) -> None:
    """Print mistakes of each set."""
    shown: Counter[tuple[str, bool]] = Counter()
    for case, finding in zip(cases, findings, strict=True):
        key = (case.part, case.gold)
        if case.gold is (finding is None) or case.half not in halves or shown[key] >= count:
            continue
        shown[key] += 1
        why = f"{finding.reason}: {finding.evidence}" if finding else f"kept {case.row.scores()}"
        print(f"\n[{case.part} {case.half} {'gold' if case.gold else 'made up'}] {why}")
        print(f"  Q {case.row.question}\n  A {case.row.answer}\n  P {case.row.passage[:1500]}")


if __name__ == "__main__":
    main()
