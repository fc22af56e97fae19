"""Chunks as weighted terms (TF-IDF), to find which are near in meaning without a model.

Terms are the stems that the filters compare by, so that it works in scripts without spaces too.
All that is written depends on sums in a fixed order and is compared rounded, so that a plan is the
same on every machine.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from domainforge.filters.vocabulary import STOP_WORDS
from domainforge.filters.words import stem, words
from domainforge.generation.subjects import Chunk

# Terms of a chunk that others are looked up by; the weightiest decide who is near. With all of
# them every chunk meets nearly every other (80 times the work at 20,000 chunks).
_LOOKUP_TERMS = 32
_BLOCK_ROWS = 256
_DECIMALS = 6


@dataclass(frozen=True)
class Near:
    """Another chunk, by its place in the list.

    Attributes:
        cosine: Of the weights of both, 0 to 1.
    """

    index: int
    cosine: float


class TermWeights:
    """The weighted terms of some chunks."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(analyzer=_terms, sublinear_tf=True, dtype=np.float64)
        texts = [_text(chunk) for chunk in chunks]
        self.matrix: Any = None
        """One row a chunk, of length 1; None where no chunk has a term."""
        if any(_terms(text) for text in texts):
            self.matrix = self._vectorizer.fit_transform(texts)

    def nearest(self, most: int) -> Iterator[list[Near]]:
        """Yield for each chunk the others that share terms with it, the nearest first.

        Blockwise: memory doesn't grow with the square of the chunks.

        Args:
            most: Of one chunk.
        """
        import numpy as np

        if self.matrix is None:
            return
        lookup = self._weightiest().T.tocsr()
        for start in range(0, self.matrix.shape[0], _BLOCK_ROWS):
            block = self.matrix[start : start + _BLOCK_ROWS]
            found = (block @ lookup).tocsr()
            for row in range(block.shape[0]):
                span = slice(found.indptr[row], found.indptr[row + 1])
                others, rough = found.indices[span], np.round(found.data[span], _DECIMALS)
                mine = others != start + row
                others, rough = others[mine], rough[mine]
                order = _first_of(rough, others, most)
                yield self.rank(block[row : row + 1], others[order])

    def rank(self, vector: Any, indexes: Any) -> list[Near]:
        """Order chunks by their cosine with a vector, the nearest first."""
        import numpy as np

        indexes = np.asarray(indexes, dtype=np.int64)
        if self.matrix is None or not indexes.size:
            return []
        cosines = np.round((self.matrix[indexes] @ vector.T).toarray().ravel(), _DECIMALS)
        order = np.lexsort((indexes, -cosines))
        return [Near(int(indexes[i]), float(cosines[i])) for i in order]

    def vectors(self, texts: Iterable[str]) -> Any:
        """Return the weights of other texts, a row each."""
        return self._vectorizer.transform(texts)

    def stems(self) -> list[str]:
        """Return the term of each column."""
        return [str(name) for name in self._vectorizer.get_feature_names_out()]

    def _weightiest(self) -> Any:
        """Return the matrix with the weightiest terms of each row alone."""
        import numpy as np

        kept = self.matrix.copy()
        for start, end in zip(kept.indptr[:-1], kept.indptr[1:], strict=True):
            weights = kept.data[start:end]
            if len(weights) > _LOOKUP_TERMS:
                least = np.partition(weights, -_LOOKUP_TERMS)[-_LOOKUP_TERMS]
                weights[weights < least] = 0
        kept.eliminate_zeros()
        return kept


def written_words(chunks: Iterable[Chunk], wanted: Iterable[str]) -> dict[str, str]:
    """Return for each stem the word that it is most often written as."""
    forms: dict[str, Counter[str]] = {each: Counter() for each in wanted}
    for chunk in chunks:
        for word in words(_text(chunk)):
            if (found := forms.get(_stem(word))) is not None:
                found[word] += 1
    return {
        each: min(found, key=lambda word: (-found[word], word)) if found else each
        for each, found in forms.items()
    }


def _first_of(scores: Any, indexes: Any, most: int) -> Any:
    """Return the places of the highest scores; of equal ones, the lowest indexes."""
    import numpy as np

    places = np.arange(len(scores))
    if len(scores) > most:
        places = places[scores >= np.partition(scores, -most)[-most]]
    return places[np.lexsort((indexes[places], -scores[places]))][:most]


def _text(chunk: Chunk) -> str:
    return " ".join([*chunk["headings"], chunk["text"]])


def _terms(text: str) -> list[str]:
    return [
        _stem(word)
        for word in words(text)
        if word not in STOP_WORDS and (len(word) > 1 or not word.isascii())
    ]


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    return stem(word)
