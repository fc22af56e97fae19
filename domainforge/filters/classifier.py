"""A local text-classification model: probabilities of its labels, for texts or pairs of texts.

Nothing is downloaded, and no code of the model's folder is run.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError

_BATCH_TEXTS = 32
_MOST_TOKENS = 512
# What tokenizers say that were saved without a limit.
_NO_LIMIT = 1_000_000


class Classifier:
    """A loaded model.

    Attributes:
        labels: Names of what it tells apart, as its configuration has them.
        exclusive: Whether a text has one label; else each label is a question of its own.
    """

    def __init__(self, folder: Path, key: str) -> None:
        """Load it.

        Args:
            folder: Where it is.
            key: The setting that names it, for faults.

        Raises:
            ConfigError: There is none that can be used.
        """
        self._tokenizer, self._model = _load(folder, key)
        config = self._model.config
        self.labels = tuple(str(config.id2label[at]) for at in range(config.num_labels))
        several = config.problem_type == "multi_label_classification"
        self.exclusive = len(self.labels) > 1 and not several
        limits = (
            getattr(config, "max_position_embeddings", None) or _MOST_TOKENS,
            self._tokenizer.model_max_length,
        )
        self._max_tokens = min(limit for limit in (*limits, _MOST_TOKENS) if limit < _NO_LIMIT)

    def classify(self, texts: Sequence[str | tuple[str, str]]) -> list[dict[str, float]]:
        """Return the probability of each label, for each text or pair.

        A long text is read in windows, and each label has its greatest probability in any of them;
        of a pair the first text is, and the second stands beside every window (of one that leaves
        the first no room, its beginning).
        """
        # Texts of like length cost least beside each other.
        order = sorted(range(len(texts)), key=lambda at: sum(map(len, _parts(texts[at]))))
        found: dict[int, dict[str, float]] = {}
        for start in range(0, len(order), _BATCH_TEXTS):
            places = order[start : start + _BATCH_TEXTS]
            rows = self._batch([_parts(texts[at]) for at in places])
            found.update(zip(places, rows, strict=True))
        return [found[at] for at in range(len(texts))]

    def _batch(self, texts: Sequence[tuple[str, ...]]) -> list[dict[str, float]]:
        import torch

        pairs = len(texts[0]) == 2
        if pairs:
            texts = [(first, self._cut(second)) for first, second in texts]
        encoded = self._tokenizer(
            *([text[at] for text in texts] for at in range(len(texts[0]))),
            truncation="only_first" if pairs else True,
            max_length=self._max_tokens,
            return_overflowing_tokens=True,
            padding=True,
            return_tensors="pt",
        )
        owners = encoded.pop("overflow_to_sample_mapping").tolist()
        with torch.inference_mode():
            logits = self._model(**encoded).logits.float()
        shares = logits.softmax(-1) if self.exclusive else logits.sigmoid()
        best = torch.zeros(len(texts), len(self.labels))
        for owner, share in zip(owners, shares, strict=True):
            best[owner] = torch.maximum(best[owner], share)
        return [dict(zip(self.labels, row, strict=True)) for row in best.tolist()]

    def _cut(self, text: str) -> str:
        """Return as much of a text as half of the tokens hold; the tokenizer fails on more."""
        most = self._max_tokens // 2
        if len(text) <= most:
            return text
        options = {"truncation": True, "max_length": most, "add_special_tokens": False}
        encoded = self._tokenizer(text, return_offsets_mapping=True, **options)
        ends = [int(end) for _, end in encoded["offset_mapping"]]
        return text[: ends[-1]] if len(ends) == most else text


@lru_cache(maxsize=2)
def load_classifier(folder: Path, key: str) -> Classifier:
    """Load a classifier once in a process; raises as Classifier does."""
    return Classifier(folder, key)


def _parts(text: str | tuple[str, str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def check_folder(folder: Path, key: str) -> None:
    """Raise a ConfigError where a folder, named by a setting, has no model that is safe to load."""
    if not (folder / "config.json").exists():
        raise ConfigError(
            f"{key}: no model in {folder} (no config.json); name the folder of a "
            "text-classification model in the format of transformers"
        )
    if not list(folder.glob("*.safetensors")):
        raise ConfigError(
            f"{key}: {folder} has no *.safetensors; other weight formats can run code"
        )


def _load(folder: Path, key: str) -> tuple[Any, Any]:
    check_folder(folder, key)
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    options: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, use_safetensors=True, **options
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ConfigError(f"{key}: {folder} can't be loaded as a classifier: {error}") from error
    if not tokenizer.is_fast:
        raise ConfigError(f"{key}: {folder} has no tokenizer.json; a fast tokenizer is needed")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.eval()
