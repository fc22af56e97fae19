"""Which other documents a passage links to, by Markdown links and wikilinks."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

# Possessive and bounded: linear in the text, whatever stands in it.
_LINK = re.compile(r"(?<!!)\[[^\[\]]{0,300}+\]\(\s*+<?([^\s()<>]{1,500}+)")
_WIKILINK = re.compile(r"(?<!!)\[\[([^\[\]|#\n]{1,200}+)")
_ENDINGS = (".md", ".markdown", ".html", ".htm", ".rst", ".txt", "")


class Links:
    """The documents that can be linked to, by the ways to write it."""

    def __init__(self, documents: Iterable[tuple[str, str]]) -> None:
        """Take uri and title of each document."""
        self._uris: dict[str, str] = {}
        names: dict[str, set[str]] = defaultdict(set)
        for uri, title in documents:
            self._uris.setdefault(_plain(uri), uri)
            names[_name(uri)].add(uri)
            names[title.casefold()].add(uri)
        # A name that two documents have leads nowhere for sure.
        self._names = {name: next(iter(uris)) for name, uris in names.items() if len(uris) == 1}

    def of(self, uri: str, text: str) -> list[str]:
        """Return the uris of other documents that a text links to, in order, each once."""
        found = dict.fromkeys(self._targets(uri, text))
        found.pop(uri, None)
        return list(found)

    def _targets(self, uri: str, text: str) -> Iterator[str]:
        for match in _LINK.finditer(text) if "](" in text else ():
            target = self._uris.get(_plain(_resolve(uri, match[1])))
            if target is not None:
                yield target
        for match in _WIKILINK.finditer(text) if "[[" in text else ():
            written = match[1].strip()
            target = self._uris.get(_plain(_resolve(uri, written)))
            target = target or self._names.get(_name(written))
            if target is not None:
                yield target


def _resolve(uri: str, target: str) -> str:
    try:
        if urlsplit(uri).netloc or urlsplit(target).netloc:
            return urljoin(uri, target)
    except ValueError:  # an address that can't be read leads nowhere
        return ""
    path = unquote(target.partition("#")[0].partition("?")[0])
    return posixpath.normpath(posixpath.join(posixpath.dirname(uri), path)) if path else ""


def _plain(uri: str) -> str:
    """Leave out of a uri what different links to the same page differ in."""
    try:
        uri = urldefrag(uri)[0].rstrip("/")
    except ValueError:
        return ""
    return _without_ending(uri)


def _name(uri: str) -> str:
    return _without_ending(posixpath.basename(_plain(uri))).casefold()


def _without_ending(path: str) -> str:
    ending = next(end for end in _ENDINGS if path.endswith(end))
    return path.removesuffix(ending)
