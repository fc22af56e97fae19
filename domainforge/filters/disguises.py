"""What a passage says in disguise: other encodings, other alphabets, characters nobody sees."""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]"
)
_MASK = re.compile("[A-Za-z][\u200b-\u200d\u2060-\u2064\ufeff]+(?=[A-Za-z ])")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_BASE64 = re.compile(r"(?<![\w+/])[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?<!\w)(?:(?:0x|\\x)?[0-9a-f]{2}[ :,]?){10,}(?!\w)", re.IGNORECASE)
_BINARY = re.compile(r"(?<!\d)(?:[01]{8}[ ,]?){8,}")
_ESCAPED = re.compile(r"(?:\\u[0-9a-f]{4}){4,}", re.IGNORECASE)
_PERCENT = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
_SPREAD = re.compile(r"(?<!\w)\w(?:[ .\-_*]\w){2,}(?!\w)")
_MOST_CHARS = 4000

# Letters of other alphabets that look Latin.
_LOOKALIKES = str.maketrans(
    "абвгезийкмнорстухіјѕԁԛԝһɡɑοιαεντρυκχβηγАВСЕНІКМОРТХЅЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "a6brezuukmhopctyxijsdqwhgaoiaevtpukxbnyABCEHIKMOPTXSJABEZHIKMNOPTYX",
)
_LEET = str.maketrans("0134578@$!|", "oieastbasil")


def is_masked(text: str) -> bool:
    """Tell whether unseen characters stand between Latin letters, where no script needs them."""
    return len(_MASK.findall(text)) >= 3


def find_blobs(text: str) -> Iterator[str]:
    """Yield what encoded parts of a text say: base64, hex, binary, escapes, Unicode tags."""
    text = text[:_MOST_CHARS]
    for found in _TAGS.finditer(text):
        yield "".join(chr(ord(character) - 0xE0000) for character in found.group())
    readers: tuple[tuple[re.Pattern[str], Callable[[str], bytes]], ...] = (
        (_BASE64, _from_base64),
        (_HEX, _from_hex),
        (_BINARY, _from_binary),
        (_ESCAPED, _from_escapes),
    )
    for pattern, read in readers:
        for found in pattern.finditer(text):
            said = _readable(read(found.group()))
            if said:
                yield said


def find_views(text: str) -> Iterator[str]:
    """Yield a text as it reads once a disguise is taken off; only such that differ from it.

    Entities and percent signs decoded, unseen characters out, lookalikes as Latin, leetspeak as
    letters, ROT13, letters in reverse, and letters that were spread apart.
    """
    text = text[:_MOST_CHARS]
    plain = _UNSEEN.sub("", unicodedata.normalize("NFKC", _TAGS.sub("", text)))
    plain = html.unescape(plain)
    if len(_PERCENT.findall(plain)) >= 3:
        plain = unquote(plain)
    seen = {text}
    for view in (
        plain,
        plain.translate(_LOOKALIKES),
        plain.translate(_LOOKALIKES).lower().translate(_LEET),
        codecs.decode(plain, "rot13"),
        plain[::-1],
        " ".join(word[::-1] for word in plain.split(" ")),
        _gather(plain),
    ):
        if view not in seen:
            seen.add(view)
            yield view


def _gather(text: str) -> str:
    """Close up letters that stand apart; wider gaps stay as the gaps between words."""
    wide = re.sub(r"(?<=\w)(?: {2,}| / | \| )(?=\w)", "\0", text)
    return _SPREAD.sub(lambda found: re.sub(r"[ .\-_*]", "", found.group()), wide).replace(
        "\0", " "
    )


def _readable(raw: bytes) -> str:
    """Return bytes as text, or nothing where they are no words."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    good = sum(character.isalnum() or character in " .,:;!?'\"-\n/" for character in text)
    return text if text and good >= 0.9 * len(text) and re.search(r"\w{2,}", text) else ""


def _from_base64(text: str) -> bytes:
    body = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(body[: len(body) - (len(body) % 4 == 1)] + "=" * (-len(body) % 4))
    except binascii.Error:
        return b""


def _from_hex(text: str) -> bytes:
    digits = re.sub(r"0x|\\x|[ :,]", "", text, flags=re.IGNORECASE)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _from_binary(text: str) -> bytes:
    digits = re.sub(r"[ ,]", "", text)
    return bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits) - 7, 8))


def _from_escapes(text: str) -> bytes:
    codes = (int(code, 16) for code in re.findall(r"[0-9a-f]{4}", text, re.IGNORECASE))
    return "".join(map(chr, codes)).encode("utf-8", "replace")
