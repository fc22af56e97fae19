"""The attributes that a repository's `.gitattributes` files give to its files."""

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath

_MAX_PATTERNS = 5_000
_MAX_DOUBLE_STARS = 3
_NEVER = re.compile(r"(?!)")


class Attributes:
    """Attributes by file; a file deeper in the tree wins, and in each the last line."""

    def __init__(self, files: Iterable[tuple[str, bytes]]) -> None:
        self._rules: list[tuple[str, re.Pattern[str], str, bool]] = []
        for name, data in sorted(files, key=lambda file: file[0].count("/")):
            folder = str(PurePosixPath(name).parent)
            prefix = "" if folder == "." else f"{folder}/"
            for line in data.decode("utf-8", "replace").splitlines():
                self._add(prefix, line.split())

    def has(self, name: str, attribute: str) -> bool:
        """Tell whether a file has an attribute set."""
        found = False
        for prefix, pattern, known, value in self._rules:
            if known == attribute and name.startswith(prefix):
                found = value if pattern.fullmatch(name[len(prefix) :]) else found
        return found

    def _add(self, prefix: str, fields: list[str]) -> None:
        if len(fields) < 2 or fields[0].startswith(("#", "!")):
            return
        for field in fields[1:]:
            name, _, value = field.lstrip("-!").partition("=")
            if name.startswith("linguist-") and len(self._rules) < _MAX_PATTERNS:
                is_set = field[0] not in "-!" and value.lower() != "false"
                self._rules.append((prefix, _pattern(fields[0][:300]), name, is_set))


@lru_cache(maxsize=1000)
def _pattern(glob: str) -> re.Pattern[str]:
    """Translate a pattern: without a slash it fits a name at any depth."""
    anchored = "/" in glob.rstrip("/")
    glob = glob.lstrip("/")
    if glob.count("**") > _MAX_DOUBLE_STARS:
        return _NEVER
    try:
        body = "".join(map(_folder_part, re.split(r"(\*\*/|/\*\*)", glob)))
        return re.compile(body if anchored else f"(?:.*/)?{body}", re.DOTALL)
    except re.error:
        return _NEVER


def _folder_part(text: str) -> str:
    if text == "**/":
        return "(?:.*/)?"
    if text == "/**":
        return "/.*"
    first, *others = (_literal(piece) for piece in re.split(r"\*+", text))
    if not others:
        return first
    # Each piece but the last is taken where it first fits, for good: many stars would else make
    # the match take exponential time (as `fnmatch.translate` of CPython has it).
    return first + "".join(f"(?>[^/]*?{piece})" for piece in others[:-1]) + f"[^/]*{others[-1]}"


def _literal(text: str) -> str:
    parts: list[str] = []
    for token in re.findall(r"\?|\[[^\]/]+\]|.", text):
        if token == "?":
            parts.append("[^/]")
        elif len(token) > 2:
            parts.append(f"[{re.escape(token[1:-1])}]".replace(r"\-", "-"))
        else:
            parts.append(re.escape(token))
    return "".join(parts)
