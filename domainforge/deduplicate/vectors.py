"""Texts as vectors: weighted n-grams by scikit-learn, or a local embedding model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

# Hashed, so that memory doesn't grow with the vocabulary.
_FEATURES: Final = 1 << 18
_FOLDED: Final = 1 << 15
_DIMENSIONS: Final = 192
# The axes of few texts say nothing of how these differ; their vectors are left as long as they are.
_FEWEST_FOR_AXES: Final = 512
# What is longer is cut, so that a hostile row costs no more than another.
_MOST_CHARS: Final = 20_000
_MOST_TOKENS: Final = 256
_BATCH_TEXTS: Final = 32


class Space(Protocol):
    """Where texts have a place.

    Attributes:
        slack: By how much `embed` may understate what `cosines` says.
    """

    slack: float

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return vectors [text, dimension] of length 1, by which neighbours are looked for."""
        ...

    def cosines(self, texts: Sequence[str], pairs: npt.NDArray[np.int64]) -> Vectors:
        """Return for pairs [n, 2] of places in the texts how alike they are."""
        ...


class TfidfSpace:
    """Words, pairs of words and runs of 3 to 5 characters, weighted by how rare they are.

    A truncated SVD of a sample makes the short vectors that neighbours are found by. The cosine
    itself is that of the whole weights: the short ones put rows of one topic close together
    (measured: 50 times the false pairs at the same recall).
    """

    slack = 0.15

    def __init__(self, sample: Sequence[str], seed: int) -> None:
        """Fit weights and axes to a sample of the texts."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import HashingVectorizer

        options: dict[str, Any] = {
            "n_features": _FEATURES,
            "alternate_sign": False,
            "norm": None,
            "lowercase": True,
        }
        self._views = [
            HashingVectorizer(
                analyzer="word", ngram_range=(1, 2), token_pattern=r"[^\W_]+", **options
            ),
            HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **options),
        ]
        counted = [self._count(view, sample) for view in self._views]
        self._weights = [
            np.log((1 + len(sample)) / (1 + np.bincount(counts.indices, minlength=_FEATURES))) + 1
            for counts in counted
        ]
        self._axes = None
        if len(sample) >= _FEWEST_FOR_AXES:
            svd = TruncatedSVD(_DIMENSIONS, n_iter=2, random_state=seed)
            weighed = _fold_columns(self._weigh(sample))
            self._axes = svd.fit(weighed).components_.T.astype(np.float32)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the short vectors."""
        weighed = _fold_columns(self._weigh(texts))
        return _unit(weighed.toarray() if self._axes is None else weighed @ self._axes)

    def cosines(self, texts: Sequence[str], pairs: npt.NDArray[np.int64]) -> Vectors:
        """Return cosines of the whole weights."""
        weighed = self._weigh(texts)
        return np.asarray(weighed[pairs[:, 0]].multiply(weighed[pairs[:, 1]]).sum(1)).ravel()

    def _weigh(self, texts: Sequence[str]) -> Any:
        from scipy import sparse
        from sklearn.preprocessing import normalize

        parts = []
        for view, weights in zip(self._views, self._weights, strict=True):
            counts = self._count(view, texts)
            counts.data = (1 + np.log(counts.data)) * weights[counts.indices]
            parts.append(normalize(counts, copy=False))
        return normalize(sparse.hstack(parts, format="csr"), copy=False)

    @staticmethod
    def _count(view: Any, texts: Sequence[str]) -> Any:
        readable = [text[:_MOST_CHARS].encode("utf-8", "replace").decode() for text in texts]
        return view.transform(readable)


class EncoderSpace:
    """The mean of what an encoder makes of a text's tokens; a folder on this machine."""

    slack = 0.0

    def __init__(self, folder: Path) -> None:
        """Load the model; code that comes with it is never run."""
        from transformers import AutoModel, AutoTokenizer

        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self._tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token
        self._model = AutoModel.from_pretrained(folder, use_safetensors=True, **options).eval()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the mean vectors."""
        import torch

        parts = []
        for start in range(0, len(texts), _BATCH_TEXTS):
            readable = [
                text[:_MOST_CHARS].encode("utf-8", "replace").decode()
                for text in texts[start : start + _BATCH_TEXTS]
            ]
            tokens = self._tokenizer(
                readable,
                padding=True,
                truncation=True,
                max_length=min(_MOST_TOKENS, self._tokenizer.model_max_length),
                return_tensors="pt",
            )
            with torch.inference_mode():
                hidden = self._model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            parts.append(_unit(mean.float().numpy()))
        return np.concatenate(parts)

    def cosines(self, texts: Sequence[str], pairs: npt.NDArray[np.int64]) -> Vectors:
        """Return cosines of the vectors."""
        vectors = self.embed(texts)
        return np.asarray((vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(1))


def _fold_columns(matrix: Any) -> Any:
    """Add up columns that are far apart, for an SVD whose axes fit in memory."""
    from scipy import sparse

    columns = matrix.indices % _FOLDED
    shape = (matrix.shape[0], _FOLDED)
    return sparse.csr_matrix((matrix.data, columns, matrix.indptr), shape=shape)


def _unit(vectors: npt.NDArray[Any]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
