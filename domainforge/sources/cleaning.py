"""Bytes to text, and text to clean text: encodings, control characters, ligatures, headings."""

import re
import unicodedata

from domainforge.markdown import headings_of
from domainforge.sources.loaded import UnreadableError

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# What browsers do: pages that declare Latin-1 are nearly always Windows-1252.
_DECLARED_AS = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "us-ascii": "cp1252"}
_MAX_CONTROL_SHARE = 0.05

_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_LINE_ENDS = dict.fromkeys(map(ord, "\v\f\x85\u2028\u2029"), "\n")
_SPACES = dict.fromkeys([0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F], " ")
# Invisible: soft hyphen, zero-width space, word joiner, byte order mark, text-direction
# overrides and tag characters (the last two can hide text from the reader). The joiners
# U+200C and U+200D stay: Persian, Hindi and emoji need them.
_INVISIBLE = dict.fromkeys(
    [
        *range(0x09),
        *range(0x0E, 0x20),
        *range(0x7F, 0x85),
        *range(0x86, 0xA0),
        0xAD,
        0x200B,
        0x2060,
        0xFEFF,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
        *range(0xE0000, 0xE0080),
    ]
)
_MAP = {
    **_INVISIBLE,
    **_LINE_ENDS,
    **_SPACES,
    **{ord(key): value for key, value in _LIGATURES.items()},
    0xF0B7: "•",  # the bullet of Word's symbol font, as PDFs carry it
}


def decode(data: bytes, declared: str | None = None) -> str:
    """Turn bytes into text: byte order mark, UTF-8, the declared encoding, else a guess.

    Args:
        data: The whole file.
        declared: What the file itself says, for example in an HTML `meta` tag.

    Raises:
        UnreadableError: Not text, or in no encoding that fits.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _checked(_try(data, encoding))
    # ISO-2022 is plain ASCII to the eye, so only the declaration can tell.
    if declared and declared.lower().startswith("iso-2022"):
        text = _try(data, declared)
    else:
        text = _try(data, _utf16_without_mark(data) or "utf-8")
    if text is None and declared:
        text = _try(data, _DECLARED_AS.get(declared.lower(), declared))
    return _checked(text if text is not None else _guess(data))


def clean_text(text: str) -> str:
    """Remove what is no part of the text: control and invisible characters, odd line ends.

    Composes accents (NFC), spells out ligatures, makes every space a plain one, and leaves at
    most one blank line in a row.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_MAP)
    text = unicodedata.normalize("NFC", text)
    # No regular expression: it would take quadratic time on long runs of blanks.
    if " \n" in text or "\t\n" in text:
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if "\n\n\n" in text:
        text = re.sub(r"\n{3,}", "\n\n", text)
    return text.strip("\n").rstrip()


def first_heading(text: str) -> str | None:
    """Return the first Markdown heading outside code, without its markup."""
    return next((line.title for line in headings_of(text) if text[line.start] in " #"), None)


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _utf16_without_mark(data: bytes) -> str | None:
    """Mostly ASCII text in UTF-16 has a NUL in every second byte."""
    head = data[:4096]
    pairs = len(head) // 2
    if pairs and head[1::2].count(0) > 0.7 * pairs and head[0::2].count(0) < 0.1 * pairs:
        return "utf-16-le"
    if pairs and head[0::2].count(0) > 0.7 * pairs and head[1::2].count(0) < 0.1 * pairs:
        return "utf-16-be"
    return None


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    matches = list(from_bytes(data))
    if not matches:
        raise UnreadableError("not_text", "no text encoding fits; save the file as UTF-8")
    best = matches[0]
    # Short Western texts fit several code pages equally well; cp1252 is by far the likeliest.
    for match in matches:
        equal = match.chaos <= best.chaos and match.coherence >= best.coherence
        if equal and "cp1252" in match.could_be_from_charset:
            return data.decode("cp1252", errors="replace")
    return str(best)


def _checked(text: str | None) -> str:
    if text is None:
        raise UnreadableError("not_text", "broken UTF-16 or UTF-32; save the file as UTF-8")
    head = text[:100_000]
    odd = sum(1 for char in head if char < " " and char not in "\t\n\r\f\v\x1a")
    if odd > _MAX_CONTROL_SHARE * len(head):
        raise UnreadableError("not_text", "full of control characters, so it is no text file")
    return text
