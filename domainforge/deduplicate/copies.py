"""Texts that only copy their passages: the passages are trained on anyway."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from domainforge.deduplicate.exact import split_words
from domainforge.records import GIVEN, NO_TEACHER, REPLAY, chunk_ids_of

_RUN_WORDS = 5
_KEPT_PASSAGES = 1_024
_SHOWN_CHARS = 120
_Run = tuple[str, ...]


class Copied(NamedTuple):
    """How much of a text stands in its passages.

    Attributes:
        share: Of its runs of five words.
        longest: The longest piece that stands there word by word.
    """

    share: float
    longest: str

    def __str__(self) -> str:
        """Say it as evidence, on one line."""
        cut = self.longest
        if len(cut) > _SHOWN_CHARS:
            cut = f"{cut[: _SHOWN_CHARS - 3]}..."
        words = self.longest.count(" ") + 1
        return f"{self.share:.2f} of it stands in its passage, {words} words on end: {cut!r}"


class CopyFinder:
    """Finds the texts by a teacher that hardly say more than their passages, word by word.

    Rows that were made without a teacher, and what came with a source, are meant to be as they are.
    So are rows that a person chose to keep. One that quotes and says something about the quote has
    words of its own, and stays.
    """

    def __init__(self, chunks: Mapping[str, Mapping[str, Any]], max_copied_share: float) -> None:
        """Take the passages.

        Args:
            chunks: Rows of the chunks table, by id.
            max_copied_share: Texts of which more than this is copied are found.
        """
        self._chunks = chunks
        self._most = max_copied_share
        self._runs_of = lru_cache(maxsize=_KEPT_PASSAGES)(self._read_runs)

    def find(self, row: Mapping[str, Any]) -> Copied | None:
        """Return how much of a row is copied, where that is too much."""
        made = row["teacher"] not in (NO_TEACHER, GIVEN) and row["prompt"] != REPLAY
        ids = [at for at in chunk_ids_of(row) if at in self._chunks]
        if row["kind"] != "text" or not made or not ids or _is_reviewed(row):
            return None
        copied = self._measure(split_words(row["text"] or ""), ids)
        return copied if copied.share > self._most else None

    def _measure(self, words: Sequence[str], ids: Sequence[str]) -> Copied:
        size = min(_RUN_WORDS, len(words))
        runs = _runs(words, size)
        if not words:
            return Copied(0.0, "")
        if size < _RUN_WORDS:
            passages = [run for at in ids for run in self._runs_of(at, size)]
            return Copied(float(runs[0] in passages), " ".join(words))
        known = [self._runs_of(at, size) for at in ids]
        held = [any(run in passage for passage in known) for run in runs]
        return Copied(sum(held) / len(held), " ".join(_longest(words, held)))

    def _read_runs(self, chunk_id: str, size: int) -> frozenset[_Run]:
        chunk = self._chunks[chunk_id]
        above = [chunk["title"], *(chunk["headings"] or ()), chunk.get("context") or ""]
        told = [split_words(part) for part in (*above, chunk["text"])]
        # Each part alone, and as they follow each other.
        joined = [word for words in told for word in words]
        return frozenset(run for words in (*told, joined) for run in _runs(words, size))


def _is_reviewed(row: Mapping[str, Any]) -> bool:
    """Tell whether a person chose to keep the row."""
    return bool(json.loads(row["scores"] or "{}").get("reviewed"))


def _runs(words: Sequence[str], size: int) -> list[_Run]:
    return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]


def _longest(words: Sequence[str], held: Sequence[bool]) -> Sequence[str]:
    best, begin, length = (0, 0), 0, 0
    for at, is_held in enumerate(held):
        length = length + 1 if is_held else 0
        begin = at - length + 1
        best = max(best, (length, begin), key=lambda found: found[0])
    size, start = best
    return words[start : start + size + _RUN_WORDS - 1] if size else ()
