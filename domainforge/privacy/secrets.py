"""Find secrets in a text: the rules of a maintained scanner, and what it leaves to its users.

Everything happens in memory; nothing found is verified anywhere.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kingfisher_sdk import Scanner

# Parts of a key pair are rules of their own that the scanner hides from reports. Of these, names
# and ids are public, and the rest is what must not leave.
_SECRET_PART = re.compile(r"(secret|passphrase|token|key)$")
_PUNCTUATION = re.compile(r"(?<=[\w=-])[,.!?)\]}|*<]+(?=[\s<]|$)|(?<=[\w=-])<")
_RULE_WORDS = re.compile(r"^(betterleaks\.|kingfisher\.|veles\.secrets/)|\.\d+$")
# The scanner names whoever issues keys of that shape; many services do.
_RENAMED = {"kimi-api-key": "sk-api-key"}

_PASSWORD_WORD = r"pass(?:word|wd|phrase|code)|pwd"
_KEY_WORD = (
    r"secret|token|credential|(?:secret|api|access|account|auth|private|encryption|signing)"
    r"[ _.-]?key"
)
_ASSIGNS = r"""["'`*\]]{0,3}[ \t]*(?:[:=]{1,2}>?|\bis\b)[ \t*]*"""
# A reference, a template or markup stands where a value would; none of them is a secret.
_VALUE = (
    r"""(?:"([^"\s]{6,})"|'([^'\s]{6,})'|`([^`\s]{6,})`|"""
    r"""([^\s"'`,;<>(){}\[\]|$*][^\s"'`,;<>|]{5,}))"""
)
_PASSWORD = re.compile(rf"(?i)(?:{_PASSWORD_WORD}){_ASSIGNS}{_VALUE}")
_KEY = re.compile(rf"(?i)(?:{_KEY_WORD}){_ASSIGNS}{_VALUE}")
_PLACEHOLDER = re.compile(
    r"(?i)^[<${\[(%]|^[\w.]+[(\[]|\{[\w.]*\}|x{4}|\.{3}|\*{3}|^your|example|placeholder|change.?me|"
    r"dummy|redacted|removed|^(?:os|process|env|secrets|config|settings|self|this|vault)\.|://"
)

# Kind, a literal without which there is no need to look, and the shape.
_SHAPES: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("aws-access-key-id", "A", re.compile(r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b")),
    ("sk-api-key", "sk-", re.compile(r"\b(sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{20,})")),
    ("telegram-bot-token", ":AA", re.compile(r"\b(\d{8,10}:AA[\w-]{33})(?![\w-])")),
    (
        "discord-bot-token",
        ".",
        re.compile(r"\b([MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,38})(?![\w-])"),
    ),
    ("mailchimp-api-key", "-us", re.compile(r"\b([0-9a-f]{32}-us\d{1,2})\b")),
    ("bearer-token", "earer", re.compile(r"\b[Bb]earer[ \t]+((?=[\w.~+/-]*\d)[\w.~+/-]{20,}=*)")),
    # A block that chunking cut in two: from its head on, or up to its tail.
    (
        "private-key",
        "-----BEGIN",
        re.compile(
            r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY[A-Z ]{0,12}-----(?:(?:\s|\\n)+[\w+/=]{20,})*"
            r"(?:(?:\s|\\n)+[\w+/=]+)?(?:(?:\s|\\n)*-----END [A-Z ]{0,50}-----)?)"
        ),
    ),
    (
        "private-key",
        "-----END",
        re.compile(
            r"((?<![\w+/])(?:[\w+/]{40,200}(?:\s|\\n)+){0,80}[\w+/=]{4,200}(?:\s|\\n)+"
            r"-----END [A-Z ]{0,30}PRIVATE KEY[A-Z ]{0,12}-----)"
        ),
    ),
)
_URL_PASSWORD = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s/:@]{0,80}:([^\s/@:]{3,80})@")
_WORDS_FOR_PASSWORD = re.compile(r"(?i)pass(word|wd)?|pwd|secret|token|key")


class Finding(NamedTuple):
    """Something that must not leave: a kind, and where it stands in the text."""

    kind: str
    start: int
    end: int


def find_secrets(text: str) -> list[Finding]:
    """Find secrets, in no order; they may overlap.

    Not found: passwords made of letters only, unless something in the text's form betrays them;
    random strings that nothing names (a hash looks the same); what a passage's edge cut.
    """
    return [*_by_scanner(text), *_by_shape(text), *_by_name(text)]


def _by_scanner(text: str) -> set[Finding]:
    # The rules are made for code: many want a quote or a space behind a key, where prose has a
    # comma. As many spaces in its place leave all offsets as they are.
    spaced = _PUNCTUATION.sub(lambda match: " " * len(match[0]), text)
    return {finding for version in {text, spaced} for finding in _scan(version)}


def _scan(text: str) -> Iterator[Finding]:
    data = text.encode(errors="replace")
    for found in _scanner().scan(data):
        rule = _RULE_WORDS.sub("", found.rule_id)
        if not (found.visible or _SECRET_PART.search(rule)):
            continue
        if rule == "generic-credential-uri" and _stands_for_password(found.secret):
            continue
        start, end = found.location["start_offset"], found.location["end_offset"]
        if len(data) != len(text):  # offsets count bytes
            start, end = (len(data[:at].decode(errors="ignore")) for at in (start, end))
        yield Finding(_RENAMED.get(rule, rule), start, end)


def _by_shape(text: str) -> Iterator[Finding]:
    for kind, literal, pattern in _SHAPES:
        if literal in text:
            for match in pattern.finditer(text):
                if not match[1].endswith("EXAMPLE"):
                    yield Finding(kind, *match.span(1))
    if "://" in text:
        for match in _URL_PASSWORD.finditer(text):
            if not _stands_for_password(match[1]):
                yield Finding("password", *match.span(1))


def _stands_for_password(value: str) -> bool:
    return bool(_PLACEHOLDER.search(value) or _WORDS_FOR_PASSWORD.fullmatch(value))


def _by_name(text: str) -> Iterator[Finding]:
    for kind, pattern in (("password", _PASSWORD), ("key", _KEY)):
        for match in pattern.finditer(text):
            group = match.lastindex or 0
            value, quoted = match[group].rstrip(".:!?"), group < 4
            if not _PLACEHOLDER.search(value) and _looks_made(value, kind, quoted):
                yield Finding(kind, match.start(group), match.start(group) + len(value))


def _looks_made(value: str, kind: str, quoted: bool) -> bool:
    """Tell a secret from the words and expressions that follow the same names."""
    digits = sum(c.isdigit() for c in value)
    letters = sum(c.isalpha() for c in value)
    if kind == "password":
        marks = len(value) - digits - letters
        return bool(letters and digits) or (quoted and marks > value.count("_"))
    # A path or an identifier with a number in it has few digits for its length.
    return len(value) >= 16 and letters > 0 and digits * 20 >= len(value) and value[0] not in "/."


@lru_cache(maxsize=1)
def _scanner() -> "Scanner":
    from kingfisher_sdk import Rules, Scanner

    # Compiling the rules takes about 3 s; the library keeps them (no text) in the user's cache.
    return Scanner(Rules())
