"""Comparing an answer with the gold ones, as SQuAD does (arXiv 1606.05250, section 6.1)."""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, without punctuation, English articles and extra spaces."""
    plain = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 where the normalised answer is one of the gold answers, else 0."""
    wanted = {normalise_answer(gold) for gold in golds}
    return float(normalise_answer(answer) in wanted)


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """Best F1 between the words of the answer and those of a gold answer, 0 to 1."""
    return max(_f1(normalise_answer(answer).split(), normalise_answer(g).split()) for g in golds)


def _f1(answer: list[str], gold: list[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    shared = sum((Counter(answer) & Counter(gold)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(answer), shared / len(gold)
    return 2 * precision * recall / (precision + recall)
