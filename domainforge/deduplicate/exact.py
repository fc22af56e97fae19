"""Exact duplicates: texts that differ in nothing that a reader would notice."""

import hashlib
import re
import unicodedata

SAME_MARK = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2010": "-",
        "\u2011": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u00ad": None,
    }
)
WORD = re.compile(r"[^\W_]+")


def normalise(text: str) -> str:
    """Fold width, case, white space, quote marks, dashes and what ends the text.

    Other punctuation stays: "C++" and "C#", "5" and "-5" are not the same.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(SAME_MARK)
    return " ".join(folded.split()).rstrip(" .!?,;:")


def split_words(text: str) -> list[str]:
    """Return the words of a text, folded, without punctuation."""
    return WORD.findall(normalise(text))


def exact_key(text: str) -> str:
    """Return the SHA-256 of the normalised text."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()
