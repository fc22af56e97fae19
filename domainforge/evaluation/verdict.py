"""Scores to a verdict: what lies beyond the control for style, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from domainforge.evaluation.measure import METRICS, Measured
from domainforge.evaluation.questions import Item
from domainforge.evaluation.statistics import Interval, paired_interval

VERSION = 1
CONTRAST = "pmi_contrast"
Word = Literal["gained", "not_shown", "lost"]
Lines = Mapping[str, Sequence[Measured]]


@dataclass(frozen=True)
class Metric:
    """One number of scores.json.

    Attributes:
        slice: Which questions.
        line: `student` and `control` against the base; `over_control` the student against the
            control; `open_book` the base with the passage against the base without.
        gain: Value less base, mean over questions, paired.
        low: Lower end of its 95 % interval, or None with too few questions.
    """

    name: str
    slice: str
    line: str
    value: float
    base: float
    gain: float
    low: float | None
    high: float | None
    questions: int
    documents: int


COMPARISONS = (
    ("student", "student", "base"),
    ("control", "control", "base"),
    ("over_control", "student", "control"),
    ("open_book", "open_book", "base"),
)


def compare_lines(items: Sequence[Item], lines: Lines, seed: int) -> list[Metric]:
    """Compare the lines that are there, for each slice and metric.

    Args:
        items: The questions.
        lines: `base`, `student`, and where measured `control` and `open_book`; one result per
            question, in the order of `items`.
        seed: Of the bootstrap.
    """
    metrics = []
    for slice_ in ("one_passage", "two_passages", "held_out"):
        places = [i for i, item in enumerate(items) if item.slice == slice_]
        for line, left, right in COMPARISONS:
            if not places or left not in lines or right not in lines:
                continue
            for name in METRICS:
                metric = _compare(
                    name, slice_, line, items, places, lines[left], lines[right], seed
                )
                if metric is not None:
                    metrics.append(metric)
    return metrics


def decide(metrics: Sequence[Metric], min_gain: float) -> tuple[Word, str]:
    """Return the verdict and the sentence that says it.

    With a control, knowledge is what the student has and a student of the same recipe on other
    documents has not, on one-passage questions about trained documents. `gained` asks for three
    things: gold answers are likelier than under the control, with the whole 95 % interval; they
    fit *their own* question better than other answers of the same kind do, by more than under
    the control (`pmi_contrast`), with the whole interval; and that second measure is no worse
    than the base's own. The first alone can be had by knowing the domain's names and the shape of
    its answers (measured on the shipped handbook: +2.3 nats a token where plain contrast was
    +0.06); the last keeps a recipe that wrecks the control from passing for knowledge.

    Without a control the comparison is with the base, and the sentence says that style is not
    excluded.

    Args:
        metrics: From `compare_lines`.
        min_gain: The lower ends must lie above this, nats per token.
    """
    line = "over_control" if _find(metrics, "log_likelihood", "over_control") else "student"
    likelihood, contrast = (_find(metrics, name, line) for name in ("log_likelihood", CONTRAST))
    if likelihood is None:
        return "not_shown", (
            "not shown: the exam has no one-passage question about a trained document, so "
            "nothing can be said about what was learned"
        )
    if contrast is None:
        return "not_shown", (
            "not shown: no question has another answer of its kind to be told apart from; "
            "give the exam more questions per answer_kind"
        )
    word: Word = "not_shown"
    if likelihood.low is None or contrast.low is None:
        return word, (
            f"not shown: {contrast.questions} one-passage questions are too few to say anything"
        )
    own = _find(metrics, CONTRAST, "student")
    if min(likelihood.low, contrast.low) > min_gain:
        word = "gained" if own is None or own.gain > 0 else "not_shown"
    elif (contrast.high or 0) < -min_gain:
        word = "lost"
    elif (likelihood.high or 0) < -min_gain and contrast.low <= min_gain:
        word = "lost"  # less likely and no further from wrong ones; else only the style changed
    return word, _sentence(word, line, likelihood, contrast, metrics)


def _sentence(
    word: Word, line: str, likelihood: Metric, contrast: Metric, metrics: Sequence[Metric]
) -> str:
    against = "a control of the same recipe" if line == "over_control" else "the base model"
    says = {
        "gained": "gained: the student knows more of these documents than",
        "not_shown": "not shown: no sure gain of the student over",
        "lost": "lost: the student knows less of these documents than",
    }[word]
    text = (
        f"{says} {against}: right answers fit their question better than others of their kind by "
        f"{contrast.gain:+.2f} nats a token more [{contrast.low:+.2f}, {contrast.high:+.2f}], "
        f"and are likelier by {likelihood.gain:+.2f} [{likelihood.low:+.2f}, "
        f"{likelihood.high:+.2f}]; {contrast.questions} one-passage questions on "
        f"{contrast.documents} documents"
    )
    choice = _find(metrics, "pmi_choice", line)
    if choice is not None:
        text += f"; picks the right answer {choice.value:.0%} of the time against {choice.base:.0%}"
    if line == "student":
        text += ". Style is not excluded: name a control (evaluate.control) to subtract it"
    return text + "."


def as_scores(
    word: Word,
    sentence: str,
    metrics: Sequence[Metric],
    perplexity: Mapping[str, Mapping[str, float]],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """Assemble scores.json."""
    return {
        "version": VERSION,
        "verdict": word,
        "sentence": sentence,
        "metrics": [_rounded(metric) for metric in metrics],
        "perplexity": perplexity,
        **extra,
    }


def _find(metrics: Sequence[Metric], name: str, line: str) -> Metric | None:
    found = (m for m in metrics if (m.name, m.line, m.slice) == (name, line, "one_passage"))
    return next(found, None)


def _compare(
    name: str,
    slice_: str,
    line: str,
    items: Sequence[Item],
    places: Sequence[int],
    left: Sequence[Measured],
    right: Sequence[Measured],
    seed: int,
) -> Metric | None:
    pairs = [(getattr(left[i], name), getattr(right[i], name), items[i].document) for i in places]
    whole = [(a, b, d) for a, b, d in pairs if a is not None and b is not None]
    if not whole:
        return None
    interval: Interval = paired_interval([a - b for a, b, _ in whole], [d for *_, d in whole], seed)
    return Metric(
        name=name,
        slice=slice_,
        line=line,
        value=sum(a for a, _, _ in whole) / len(whole),
        base=sum(b for _, b, _ in whole) / len(whole),
        gain=interval.mean,
        low=interval.low,
        high=interval.high,
        questions=interval.questions,
        documents=interval.documents,
    )


def _rounded(metric: Metric) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(metric).items()}
