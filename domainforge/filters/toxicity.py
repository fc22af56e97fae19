"""The check of toxic content, by whatever local classifier the pipeline file names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from domainforge.errors import ConfigError
from domainforge.filters.classifier import Classifier, load_classifier
from domainforge.filters.rows import Evidence, FilterConfig, Row

_KEY = "filter.toxicity_model"
# What classifiers call a text that has nothing of what they look for.
_HARMLESS = re.compile(
    r"(?:non|not|no|un)[ _-]?(?:toxic|hate|hateful|offensive|abusive|violent|harmful)\w*"
    r"|neutral|safe|normal|clean|ok|none|neither|benign|acceptable|appropriate|label_0|0",
    re.IGNORECASE,
)


def find_toxic(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows that the classifier holds for toxic; all rows get the score `toxicity`.

    The rejected answer of a preference isn't read: it may be a warning.

    Raises:
        ConfigError: The classifier can't be used.
    """
    if config.toxicity_model is None:
        return [None] * len(rows)
    classifier = load_classifier(Path(config.toxicity_model), _KEY)
    labels = _toxic_labels(classifier)
    found = classifier.classify([f"{row.question}\n{row.answer}".strip() for row in rows])
    sums = classifier.exclusive
    return [
        _judge(row, {label: shares[label] for label in labels}, sums, config.max_toxicity)
        for row, shares in zip(rows, found, strict=True)
    ]


def _judge(row: Row, shares: Mapping[str, float], sums: bool, limit: float) -> Evidence:
    worst = max(shares, key=shares.__getitem__)
    # Labels that exclude each other add up; of others the worst counts.
    toxicity = sum(shares.values()) if sums else shares[worst]
    row.measured["toxicity"] = round(toxicity, 4)
    if toxicity <= limit:
        return None
    return f"{worst}: {toxicity:.2f} toxic, at most {limit:g} allowed"


def _toxic_labels(classifier: Classifier) -> list[str]:
    """Return the labels that are a fault: all that don't say that there is none."""
    labels = [label for label in classifier.labels if not _HARMLESS.fullmatch(label)]
    if not labels or (classifier.exclusive and len(labels) == len(classifier.labels)):
        raise ConfigError(
            f"{_KEY}: can't tell which of its labels are toxic: {', '.join(classifier.labels)}; "
            "rename them in its config.json (id2label), the harmless one to 'non-toxic'"
        )
    return labels
