"""Bytes to text, and text to clean text: encodings, control characters, ligatures, headings."""

import codecs
import re
import unicodedata
from collections.abc import Iterable

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
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_LATIN = ["cp1252", "cp1250", "cp1254", "cp1257", "iso8859_2", "mac_roman"]
_HIGH = re.compile(rb"[\x80-\xff]+")
_LONE_HIGH = re.compile(
    rb"(?<![\x80-\xff])[\x80-\xff]{1,2}(?![\x80-\xff])(?=[a-z]|(?<=[a-z][\x80-\xff]))"
)
_MIN_LONE_SHARE = 0.6
_STRAY = "domainforge-windows-1252"
_GOOD_PER_BAD = 20
# The first bytes of UTF-8 and the second ones, as Windows-1252 shows them.
_TWICE = re.compile("[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u017e\u0192\u02c6\u02dc\u2013-\u2122]")
_MIN_MENDED = 2

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
        *range(0x7F, 0xA0),
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
# Controls that nobody writes: Windows-1252 read as Latin-1. Browsers mend them in the same way.
_WINDOWS = {
    code: char
    for code in range(0x80, 0xA0)
    if (char := bytes([code]).decode("cp1252", errors="ignore"))
}
_MAP = {
    **_INVISIBLE,
    **_WINDOWS,
    **_LINE_ENDS,
    **_SPACES,
    **{ord(key): value for key, value in _LIGATURES.items()},
    0xF0B7: "•",  # the bullet of Word's symbol font, as PDFs carry it
}


def _class_of(codes: Iterable[int]) -> str:
    """Write characters as ranges; one by one, `re` looks them up 20 times slower."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


_ODD = re.compile(f"[{_class_of(_MAP)}]+")
_TRAILING = re.compile(r"(?<![ \t])[ \t]+\n")
_BLANK_LINES = re.compile(r"\n{3,}")


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
    if text is not None:
        return _checked(_once_decoded(text))
    text = _nearly_utf8(data)
    if text is None and declared:
        text = _try(data, _DECLARED_AS.get(declared.lower(), declared))
    return _checked(text if text is not None else _guess(data))


def clean_text(text: str) -> str:
    """Remove what is no part of the text: control and invisible characters, odd line ends.

    Composes accents (NFC), spells out ligatures, makes every space a plain one, and leaves at
    most one blank line in a row.
    """
    # Each pass runs only where a quick look finds work for it: `translate` alone took most
    # of the time of French text, and most texts need nothing.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Of plain ASCII, `translate` is the faster one.
    text = text.translate(_MAP) if text.isascii() else _ODD.sub(_replace_odd, text)
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    if " \n" in text or "\t\n" in text:
        text = _TRAILING.sub("\n", text)
    if "\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip("\n").rstrip()


def first_heading(text: str) -> str | None:
    """Return the first Markdown heading outside code, without its markup."""
    return next((line.title for line in headings_of(text) if text[line.start] in " #"), None)


def _replace_odd(match: re.Match[str]) -> str:
    return match[0].translate(_MAP)


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _nearly_utf8(data: bytes) -> str | None:
    """Read UTF-8 with a few stray bytes of Windows-1252: parts from elsewhere, or a cut end."""
    text = data.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    good = len(text) - len(text.encode("ascii", errors="ignore")) - bad
    if good < _GOOD_PER_BAD * bad:
        return None
    return data.decode("utf-8", errors=_STRAY)


def _stray_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    stray = error.object[error.start : error.end]
    return stray.decode("cp1252", errors="ignore"), error.end


def _once_decoded(text: str) -> str:
    """Mend UTF-8 that was read as Windows-1252 and written as UTF-8 again.

    Only where the whole text comes out as UTF-8: correct text in any language never does.
    """
    if text.isascii() or _TWICE.search(text) is None:
        return text
    try:
        mended = text.encode("cp1252", errors=_STRAY).decode("utf-8")
    except UnicodeError:
        return text
    changed = len(text) - len(mended)
    return mended if changed >= _MIN_MENDED else text


def _undefined(error: UnicodeError) -> tuple[bytes, int]:
    """Write the five codes that Windows-1252 leaves undefined as what they came from."""
    assert isinstance(error, UnicodeEncodeError)
    codes = error.object[error.start : error.end]
    if any(ord(code) > 0xFF for code in codes):
        raise error
    return codes.encode("latin-1"), error.end


def _either(error: UnicodeError) -> tuple[str | bytes, int]:
    return _stray_byte(error) if isinstance(error, UnicodeDecodeError) else _undefined(error)


codecs.register_error(_STRAY, _either)


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

    # Lone accents between ASCII letters are Latin script, however well they pair up to Korean.
    high = len(_HIGH.findall(data))
    latin = high and len(_LONE_HIGH.findall(data)) >= _MIN_LONE_SHARE * high
    matches = list(from_bytes(data, cp_isolation=_LATIN if latin else None))
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
    odd = len(_CONTROL.findall(head))
    if odd > _MAX_CONTROL_SHARE * len(head):
        raise UnreadableError("not_text", "full of control characters, so it is no text file")
    return text
