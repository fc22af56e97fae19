"""The check of entailment: a local model of inference reads passage and answer together."""

from collections.abc import Sequence
from pathlib import Path

from domainforge.errors import ConfigError
from domainforge.filters.classifier import Classifier, load_classifier
from domainforge.filters.rows import Evidence, FilterConfig, Row

_KEY = "filter.nli_model"
_LABEL = "entail"
_OTHERS = ("not", "non", "no_", "un")


def find_not_entailed(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find answers that don't follow from the passage; all rows get the score `entailment`.

    The model reads the passage as what is given, and question and answer as what may follow. Of a
    long passage it reads windows, and the best one counts.

    Raises:
        ConfigError: The model can't be used.
    """
    if config.nli_model is None:
        return [None] * len(rows)
    classifier = load_classifier(Path(config.nli_model), _KEY)
    label = _entailment_label(classifier)
    found = classifier.classify([(row.passage, _claim(row)) for row in rows])
    return [
        _judge(row, shares[label], config.min_entailment)
        for row, shares in zip(rows, found, strict=True)
    ]


def _claim(row: Row) -> str:
    return f"{row.question} {row.answer}".strip()


def _judge(row: Row, share: float, least: float) -> Evidence:
    row.measured["entailment"] = round(share, 4)
    if share >= least:
        return None
    return f"entailment {share:.2f} < {least:g}: {row.answer[:120]!r}"


def _entailment_label(classifier: Classifier) -> str:
    """Return the label that says that it follows: "entailment", not "not_entailment"."""
    found = [
        label
        for label in classifier.labels
        if _LABEL in label.lower() and not label.lower().startswith(_OTHERS)
    ]
    if len(found) != 1:
        raise ConfigError(
            f"{_KEY}: none of its labels says 'entailment': {', '.join(classifier.labels)}; "
            "name a model of natural language inference, or rename them in its config.json "
            "(id2label)"
        )
    return found[0]
