"""`exact.normalise` as tables over code points, for the texts that need nothing more."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from domainforge.deduplicate.exact import SAME_MARK, WORD

# What a code point does to the word it stands in.
OTHER: Final = 0
LETTER: Final = 1
SPACE: Final = 2
END_MARK: Final = 3
# In the place of what a code point folds to.
NOTHING: Final = 0xFFFFFFFF
NOT_HERE: Final = 0xFFFFFFFE

_FOLDED = 0x20000
_CODES = 0x110000
_SPACES = re.compile(r"\s+")
# Marks, and what no version of Unicode that is to come may be trusted with.
_JOINING = {"Mn", "Mc", "Me", "Cf", "Cs", "Cn", "Co"}
# Conjoining letters: they compose with their neighbours, as marks do.
_JAMO = range(0x1100, 0x1200)
# The others are either rare or, like these, all of one sort: each its own folded form.
_LOOKED_AT = (range(0x3400), range(0xA000, 0xAC00), range(0xF900, 0x10000), range(0x1F000, _FOLDED))
_UNCHANGED = (range(0x3400, 0xA000), range(0xAC00, 0xD7A4))


@dataclass(frozen=True)
class FoldTables:
    """What `normalise` makes of each code point, and what that is.

    Attributes:
        folds: For code points below its length: the one folded to, `NOTHING`, or `NOT_HERE`
            where that depends on the neighbours or is more than one code point.
        kinds: For every folded code point `LETTER`, `SPACE`, `END_MARK` or `OTHER`.
    """

    folds: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]


@cache
def fold_tables() -> FoldTables:
    """Build the tables from the rules in `exact`; takes a tenth of a second."""
    folds = np.full(_FOLDED, NOT_HERE, dtype=np.uint32)
    for codes in _LOOKED_AT:
        folds[codes.start : codes.stop] = [_fold(code) for code in codes]
    for codes in _UNCHANGED:
        folds[codes.start : codes.stop] = codes
    kinds = np.zeros(_CODES, dtype=np.uint8)
    everything = "".join(map(chr, range(_CODES)))
    for kind, pattern in ((LETTER, WORD), (SPACE, _SPACES)):
        for found in pattern.finditer(everything):
            kinds[found.start() : found.end()] = kind
    for mark in ".!?,;:":
        kinds[ord(mark)] = END_MARK
    return FoldTables(folds, kinds)


def _fold(code: int) -> int:
    character = chr(code)
    if character.isascii():
        return ord(character.lower())
    composed = unicodedata.normalize("NFKC", character)
    # Of a text without marks, in which every character is its own normal form, the normal form
    # is the text itself (Unicode, annex 15, section 9). Marks and halves of letters may compose.
    if any(unicodedata.category(part) in _JOINING or ord(part) in _JAMO for part in composed):
        return NOTHING if code == 0xAD else NOT_HERE
    folded = composed.casefold().translate(SAME_MARK)
    if not folded:
        return NOTHING
    return ord(folded) if len(folded) == 1 else NOT_HERE
