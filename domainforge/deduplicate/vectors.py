"""Texts as vectors: weighted n-grams by scikit-learn, or a local embedding model."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from domainforge.deduplicate.exact import split_words

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
_NONE: Final = np.empty(0, np.int64)

# Hashed, so that memory doesn't grow with the vocabulary.
_FEATURES: Final = 1 << 18
_FOLDED: Final = 1 << 15
_DIMENSIONS: Final = 192
_SKETCHED: Final = 512
# The axes of few texts say nothing of how these differ; their vectors are left as long as they are.
_FEWEST_FOR_AXES: Final = 512
_AXES_TEXTS: Final = 5_000
# What is longer is cut, so that a hostile row costs no more than another.
_MOST_CHARS: Final = 20_000
_MOST_WORD_CHARS: Final = 200
_RUNS: Final = (3, 4, 5)
_PAIR: Final = 40_503
_MOST_TOKENS: Final = 256
_BATCH_TEXTS: Final = 32


class Space(Protocol):
    """Where texts have a place.

    Attributes:
        slack: By how much `embed` may understate what `cosines` says.
        topics: So many of the first dimensions tell topics, by which buckets are made; the others
            tell rows apart. 0 where all do both.
    """

    slack: float
    topics: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return vectors [text, dimension] of length 1, by which neighbours are looked for."""
        ...

    def cosines(self, texts: Sequence[str], pairs: npt.NDArray[np.int64]) -> Vectors:
        """Return for pairs [n, 2] of places in the texts how alike they are."""
        ...


class TfidfSpace:
    """Words, pairs of words and runs of 3 to 5 characters, weighted by how rare they are.

    A truncated SVD of a sample tells topics. It puts rows of one topic close together (measured: 50
    times the false pairs at the same recall), so the rows of a bucket are compared by a sketch of
    the weights (Charikar et al. 2002): features are added up by chance with signs by chance, which
    leaves cosines as they were but for 0.04 or so. What decides is the cosine of the whole weights.
    """

    slack = 0.15
    topics = 0

    def __init__(self, sample: Sequence[str], seed: int) -> None:
        """Fit weights and axes to a sample of the texts."""
        from sklearn.decomposition import TruncatedSVD

        views = self._count(sample)
        self._weights = [
            self._rarity(np.bincount(counts.indices, minlength=_FEATURES), len(sample))
            for counts in views
        ]
        self._axes = None
        if len(sample) >= _FEWEST_FOR_AXES:
            svd = TruncatedSVD(_DIMENSIONS, n_iter=2, random_state=seed)
            every = -(-len(sample) // _AXES_TEXTS)
            weighed = _fold_columns(self._weigh([counts[::every] for counts in views]))
            self._axes = svd.fit(weighed).components_.T.astype(np.float32)
            self.topics = _DIMENSIONS
        rng = np.random.default_rng(seed)
        self._places = rng.integers(0, _SKETCHED, 2 * _FEATURES)
        self._signs = rng.choice(np.array([-1, 1], np.float32), 2 * _FEATURES)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the short vectors: of topics, then the sketch."""
        weighed = self._weigh(self._count(texts))
        if self._axes is None:
            return _unit(_fold_columns(weighed).toarray())
        topics = _unit(_fold_columns(weighed) @ self._axes)
        return np.hstack([topics, _unit(self._sketch(weighed).toarray())])

    def cosines(self, texts: Sequence[str], pairs: npt.NDArray[np.int64]) -> Vectors:
        """Return cosines of the whole weights."""
        weighed = self._weigh(self._count(texts))
        return np.asarray(weighed[pairs[:, 0]].multiply(weighed[pairs[:, 1]]).sum(1)).ravel()

    def _sketch(self, weighed: Any) -> Any:
        from scipy import sparse

        signed = weighed.data * self._signs[weighed.indices]
        places = self._places[weighed.indices]
        return sparse.csr_matrix(
            (signed, places, weighed.indptr), shape=(weighed.shape[0], _SKETCHED)
        )

    def _weigh(self, views: Sequence[Any]) -> Any:
        from scipy import sparse
        from sklearn.preprocessing import normalize

        parts = []
        for counts, weights in zip(views, self._weights, strict=True):
            weighed = counts.copy()
            weighed.data = (1 + np.log(counts.data)) * weights[counts.indices]
            parts.append(normalize(weighed, copy=False))
        return normalize(sparse.hstack(parts, format="csr"), copy=False)

    @staticmethod
    def _rarity(held: npt.NDArray[np.int64], texts: int) -> Vectors:
        return (np.log((1 + texts) / (1 + held)) + 1).astype(np.float32)

    @staticmethod
    def _count(texts: Sequence[str]) -> list[Any]:
        """Return [text, feature] how often: words and pairs of them, then runs of characters."""
        found: list[list[Ids]] = [[], []]
        for text in texts:
            own = split_words(text[:_MOST_CHARS])
            singles = np.array([_feature(word) for word in own], dtype=np.int64)
            pairs = (singles[:-1] * _PAIR + singles[1:]) % _FEATURES
            found[0].append(np.concatenate([singles, pairs]))
            found[1].append(np.concatenate([_NONE, *map(_grams, own)]))
        return [_matrix(rows) for rows in found]


class EncoderSpace:
    """The mean of what an encoder makes of a text's tokens; a folder on this machine."""

    slack = 0.0
    topics = 0

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


def _matrix(rows: Sequence[Ids]) -> Any:
    """Return the features of each row as a matrix of counts."""
    from scipy import sparse

    columns = np.concatenate([_NONE, *rows])
    starts = np.cumsum([0, *map(len, rows)])
    matrix = sparse.csr_matrix(
        (np.ones(len(columns), np.float32), columns, starts), shape=(len(rows), _FEATURES)
    )
    matrix.sum_duplicates()
    return matrix


@lru_cache(maxsize=1 << 17)
def _grams(word: str) -> Ids:
    """Return the features of a word's runs of characters, its ends included.

    They stay inside words, so that those of a word are hashed once.
    """
    padded = f" {word[:_MOST_WORD_CHARS]} "
    runs = [padded[at : at + n] for n in _RUNS for at in range(max(len(padded) - n + 1, 1))]
    return np.array([_feature(run) for run in runs], dtype=np.int64)


@lru_cache(maxsize=1 << 17)
def _feature(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % _FEATURES


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
