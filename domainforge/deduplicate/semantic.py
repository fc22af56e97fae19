"""Rows that say the same in other words: vectors find candidates, rules keep facts apart."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from domainforge.deduplicate.distinct import Marks, differ, read_marks, small_words
from domainforge.deduplicate.neighbours import Rows, find_pairs
from domainforge.deduplicate.vectors import EncoderSpace, Space, TfidfSpace
from domainforge.errors import ConfigError
from domainforge.stage import Settings

TFIDF: Final = "tfidf"
_TFIDF_COSINE: Final = 0.7
_MODEL_COSINE: Final = 0.95
_MODEL_FILES: Final = (".json", ".safetensors", ".txt", ".model")
_SAMPLE_ROWS: Final = 20_000
_BLOCK_ROWS: Final = 2_048
_CHECKED_PAIRS: Final = 8_192


class SemanticConfig(Settings):
    """Rows that say the same in other words."""

    model: str = Field(
        TFIDF,
        description="`tfidf`: words and runs of characters, weighted; or the folder of an "
        "embedding model (a transformers encoder, safetensors) on this machine.",
    )
    min_cosine: float | None = Field(
        None,
        gt=0,
        le=1,
        description="From which cosine on two rows say the same, unless numbers, names, negations "
        "or answers differ; null is 0.7 with `tfidf` and 0.95 with a model.",
    )

    @property
    def least(self) -> float:
        """The cosine that goes."""
        own = _TFIDF_COSINE if self.model == TFIDF else _MODEL_COSINE
        return self.min_cosine if self.min_cosine is not None else own


@dataclass(frozen=True)
class Sayings:
    """Rows to compare.

    Attributes:
        read: Returns what a row says, by its number.
        rows: Their numbers, ascending.
        kinds: [place in rows] Rows of different kinds are left apart.
        answers: [place in rows] How many characters at the end are the answer; 0 in texts.
    """

    read: Callable[[int], str]
    rows: Rows
    kinds: npt.NDArray[np.int8]
    answers: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Likenesses:
    """Which rows say the same, by their place among those compared.

    Attributes:
        labels: [place] The lowest place of its group.
        linked: [place] One that it was found to be like, or itself.
        cosines: [place] How alike those two are.
        space: Tells how alike any two texts are.
    """

    labels: Rows
    linked: Rows
    cosines: npt.NDArray[np.float32]
    space: Space | None


def find_model(config: SemanticConfig, find: Callable[[str], Path]) -> Path | None:
    """Return the folder of the embedding model; None where there is none to load.

    Raises:
        ConfigError: It isn't there, or holds no weights as safetensors.
    """
    if config.model == TFIDF:
        return None
    folder = find(config.model)
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise ConfigError(
            f"dedup.semantic.model: {config.model} is no folder with config.json and *.safetensors "
            f"(looked at {folder}); name one, or use {TFIDF}"
        )
    return folder


def model_files(folder: Path) -> list[Path]:
    """Return the files that decide what an embedding model makes of a text."""
    return sorted(path for path in folder.iterdir() if path.suffix in _MODEL_FILES)


def find_likenesses(
    sayings: Sayings,
    config: SemanticConfig,
    seed: int,
    model: Path | None = None,
    scratch: Path | None = None,
) -> Likenesses:
    """Group rows that say the same.

    A link needs the cosine, and that nothing in `distinct.differ` keeps the two apart. Groups are
    held together by links, so two rows of one may be less alike.

    Args:
        sayings: The rows; their order decides ties alone.
        config: What counts as the same.
        seed: For the sample's axes and the buckets.
        model: From `find_model`.
        scratch: Folder for the vectors; None to hold them in memory.
    """
    count = len(sayings.rows)
    alone = np.arange(count)
    found = Likenesses(alone.copy(), alone.copy(), np.ones(count, np.float32), None)
    if count < 2:
        return found
    # Rows are ordered by ids, which are hashes: any even choice of them is one by chance.
    every = -(-count // _SAMPLE_ROWS)
    sample = [sayings.read(int(row)) for row in sayings.rows[::every]]
    space: Space = EncoderSpace(model) if model else TfidfSpace(sample, seed)
    small = small_words(sample)
    vectors, keys = _embed(sayings, space, small, scratch)
    cosines = np.zeros(count, np.float32)
    check = _Check(sayings, space, small, config.least)
    for pairs in _batches(vectors, keys, config.least, space, seed, found.labels):
        for left, right, cosine in check.links(pairs):
            join(found.labels, left, right)
            for at, other in ((left, right), (right, left)):
                if cosine > cosines[at]:
                    found.linked[at], cosines[at] = other, cosine
    for at in range(count):
        found.labels[at] = found.labels[found.labels[at]]
    cosines[found.linked == alone] = 1.0
    return Likenesses(found.labels, found.linked, cosines, space)


def _embed(
    sayings: Sayings, space: Space, small: frozenset[str], scratch: Path | None
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.uint64]]:
    """Return the vectors, and keys by which rows are told apart that can't say the same.

    Blocks are of one size whatever shards the rows came in, so that rounding is the same.
    """
    count = len(sayings.rows)
    keys = np.empty(count, np.uint64)
    vectors: npt.NDArray[np.float16] | None = None
    for start in range(0, count, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, count)
        texts = [sayings.read(int(row)) for row in sayings.rows[start:stop]]
        for at, text in enumerate(texts, start):
            marks = read_marks(text, int(sayings.answers[at]), small)
            keys[at] = marks.key ^ int(sayings.kinds[at])
        block = space.embed(texts)
        if vectors is None:
            shape = (count, block.shape[1])
            vectors = (
                np.memmap(scratch / "vectors.f16", np.float16, "w+", shape=shape)
                if scratch
                else np.empty(shape, np.float16)
            )
        vectors[start:stop] = block
    assert vectors is not None
    return vectors, keys


def _batches(
    vectors: npt.NDArray[np.float16],
    keys: npt.NDArray[np.uint64],
    least: float,
    space: Space,
    seed: int,
    labels: Rows,
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield candidates [n, (left, right, cosine)] that aren't in one group yet."""
    held: list[npt.NDArray[np.float64]] = []
    size = 0
    for pairs in find_pairs(vectors, keys, least - space.slack, seed, topics=space.topics):
        roots = [np.array([find_root(labels, at) for at in part]) for part in pairs[:2]]
        open_ = roots[0] != roots[1]
        held.append(np.column_stack(pairs)[open_])
        size += len(held[-1])
        if size >= _CHECKED_PAIRS:
            yield np.concatenate(held)
            held, size = [], 0
    if size:
        yield np.concatenate(held)


class _Check:
    """Decides which candidates say the same."""

    def __init__(self, sayings: Sayings, space: Space, small: frozenset[str], least: float) -> None:
        self._sayings = sayings
        self._space = space
        self._small = small
        self._least = least

    def links(self, pairs: npt.NDArray[np.float64]) -> Iterator[tuple[int, int, float]]:
        """Yield the pairs that do, with their cosine."""
        for start in range(0, len(pairs), _CHECKED_PAIRS):
            part = np.unique(pairs[start : start + _CHECKED_PAIRS], axis=0)
            ends = part[:, :2].astype(np.int64)
            places, where = np.unique(ends, return_inverse=True)
            texts = [self._sayings.read(int(self._sayings.rows[at])) for at in places]
            where = where.reshape(-1, 2)
            # Without slack the candidates' own cosines are those that count.
            cosines = self._space.cosines(texts, where) if self._space.slack else part[:, 2]
            near = np.flatnonzero(cosines >= self._least)
            marks: dict[int, Marks] = {}
            for at in near:
                both = [int(place) for place in where[at]]
                for place in both:
                    if place not in marks:
                        chars = int(self._sayings.answers[places[place]])
                        marks[place] = read_marks(texts[place], chars, self._small)
                if differ(marks[both[0]], marks[both[1]]) is None:
                    yield int(ends[at, 0]), int(ends[at, 1]), round(float(cosines[at]), 6)


def find_root(labels: npt.NDArray[Any], at: int) -> int:
    """Return the lowest place of a group."""
    while labels[at] != at:
        labels[at] = labels[labels[at]]
        at = int(labels[at])
    return at


def join(labels: npt.NDArray[Any], left: int, right: int) -> None:
    """Make two groups one."""
    low, high = sorted((find_root(labels, left), find_root(labels, right)))
    labels[high] = low
