"""What every document has, whatever it came from: licence, language, section tree."""

from dataclasses import replace

from domainforge.languages import NO_LANGUAGE, detect_language
from domainforge.markdown import sections_of
from domainforge.records import Document
from domainforge.sources.config import SourceConfig

# The detector needs some words, and more than this tells it nothing new.
_LEAST_CHARS = 40
_MOST_CHARS = 2_000
_LEAST_CONFIDENCE = 0.8
_SMALL_CHARS = 100_000


def fill_in(document: Document, config: SourceConfig) -> Document:
    """Add what the source didn't say; a document with `uris` has it all already."""
    if document.uris:
        return document
    return replace(
        document,
        uris=(document.uri,),
        license=document.license or config.license,
        language=document.language or language_of(document.text),
        sections=sections_of(document.text),
    )


class LaterFilling:
    """`fill_in` from some document on; small ones before it are left to whoever takes them.

    To load the detector's model takes longer than to read a few files.
    """

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self, document: Document, config: SourceConfig) -> Document:
        """Fill a document in, or leave it as it is."""
        if self._left > 0 and len(document.text) <= _SMALL_CHARS:
            self._left -= 1
            return document
        return fill_in(document, config)


def language_of(text: str) -> str | None:
    """Return the language's code, or None where the text is too short or the detector unsure."""
    start = max(0, len(text) // 2 - _MOST_CHARS // 2)
    sample = text[start : start + _MOST_CHARS]
    if len(sample.strip()) < _LEAST_CHARS:
        return None
    found = detect_language(sample)
    sure = found.probability >= _LEAST_CONFIDENCE and found.code != NO_LANGUAGE
    return found.code if sure else None
