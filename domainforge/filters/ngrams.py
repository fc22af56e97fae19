"""How much of a text is sequences of words that repeat, by characters.

After Gopher (Rae et al. 2021, appendix A1.1, "Repetition removal", and table A1).
"""

from collections import Counter
from collections.abc import Sequence

from domainforge.filters.limits import ProseConfig
from domainforge.filters.words import count_unspaced, words

# Twice is a title that a short text comes back to.
_FEWEST_TIMES = 3
_FIRST_TOP, _FIRST_DUPLICATE = 2, 5
_MOST_UNSPACED_SHARE = 0.2


def find_repeated_share(text: str, config: ProseConfig, min_words: int) -> str | None:
    """Return what repeats too much in a text of so many words.

    Of scripts without spaces nothing is said: a word is a character there, and five of them are
    a name.
    """
    own = words(text)
    if len(own) < min_words or count_unspaced(own) > _MOST_UNSPACED_SHARE * len(own):
        return None
    total = sum(map(len, own))
    for size, limit in enumerate(config.max_top_ngram_share or (), start=_FIRST_TOP):
        ngram, count = _commonest(own, size)
        share = count * sum(map(len, ngram)) / total
        if count >= _FEWEST_TIMES and share > limit:
            return f"{share:.0%} of the characters are {' '.join(ngram)!r}, {count} times"
    for size, limit in enumerate(config.max_duplicate_ngram_share or (), start=_FIRST_DUPLICATE):
        share = _duplicate_chars(own, size) / total
        if share > limit:
            return f"{share:.0%} of the characters repeat sequences of {size} words"
    return None


def _commonest(own: Sequence[str], size: int) -> tuple[tuple[str, ...], int]:
    counts = Counter(tuple(own[at : at + size]) for at in range(len(own) - size + 1))
    return counts.most_common(1)[0] if counts else ((), 0)


def _duplicate_chars(own: Sequence[str], size: int) -> int:
    """Count the characters of sequences that stood there before, each character once."""
    seen: set[tuple[str, ...]] = set()
    chars, counted_to = 0, 0
    for at in range(len(own) - size + 1):
        ngram = tuple(own[at : at + size])
        if ngram in seen:
            chars += sum(map(len, own[max(at, counted_to) : at + size]))
            counted_to = at + size
        seen.add(ngram)
    return chars
