"""Pages from the web: the article without the site around it, or a thread with all its posts."""

import re
from typing import TYPE_CHECKING, Any

from domainforge.sources.kinds.html import (
    decode_page,
    html_to_markdown,
    main_content,
    page_base,
    page_document,
    page_title,
    parse_html,
)
from domainforge.sources.kinds.html_facts import page_facts
from domainforge.sources.kinds.web_thread import thread_markdown
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_BLOCKS = ("p", "li", "td", "th", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "dd",
           "dt", "figcaption", "div", "section", "article", "main", "ul", "ol", "table", "tr",
           "tbody", "thead", "dl", "figure", "form", "body")  # fmt: skip
# Kept when the block around them is: the extractor drops their text or writes it anew.
_WHOLE = frozenset(("pre", "table", "ul", "ol", "dl", "blockquote"))
_MIN_CHARS = 250
_MIN_SHARE = 0.1
# A shorter text says nothing by being found in the article ("Home").
_MIN_TELLING = 20
_MIN_FOUND_SHARE = 0.4
_NO_TEXT = re.compile(r"[\W_]+")


def load_web_page(data: bytes, file: SourceFile) -> Loaded:
    """Read a page of a website: a forum thread with its posts, else the article, else all of it.

    Which blocks are the article is decided by trafilatura; they are written by the same converter
    as any other HTML, since trafilatura's own output loses languages of code and nested quotes.

    Raises:
        UnreadableError: No text, or nested too deeply.
    """
    try:
        markup = decode_page(data)
        soup = parse_html(markup)
        facts = page_facts(soup)
        title = page_title(soup) or facts.title or file.stem
        base = page_base(soup, file)
        text = thread_markdown(soup, title, base) or _article(soup, markup, base)
    except RecursionError:
        raise UnreadableError("unreadable", "its elements are nested too deeply") from None
    return Loaded((page_document(file, title, text, facts, markup),))


def _article(soup: "BeautifulSoup", markup: str, base: str | None) -> str:
    core = _letters(_extract(markup))
    root = main_content(soup)
    whole = _letters(root.get_text())
    if len(core) < _MIN_SHARE * len(whole) or len(core) < min(_MIN_CHARS, len(whole)):
        return html_to_markdown(root, base)
    _prune(root, core, {})
    text = html_to_markdown(root, base)
    if len(_letters(text)) >= _MIN_FOUND_SHARE * len(core):
        return text
    # Its words are not in one block each here: better the whole page than pieces of it.
    return html_to_markdown(main_content(parse_html(markup)), base)


def _extract(markup: str) -> str:
    """Return the words of the article; nothing where trafilatura finds none."""
    import logging

    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    found: Any = trafilatura.extract(
        markup,
        output_format="txt",
        include_comments=False,
        include_tables=True,
        favor_recall=True,
    )
    return found if isinstance(found, str) else ""


def _prune(root: "Tag", core: str, known: dict[str, tuple[int, int]]) -> None:
    """Take out every block whose telling texts are mostly not in the article.

    Args:
        root: Where to look, from the outside in.
        core: The letters of the article.
        known: What was found of each text, since every level of nesting asks again.
    """
    for block in root.find_all(_BLOCKS, recursive=False):
        if block.name in ("h1", "h2", "h3", "h4", "h5", "h6"):
            continue
        found, telling = _found_chars(block, core, known)
        if block.name == "pre" or (block.name in _WHOLE and telling and found > 0.9 * telling):
            continue
        if found < _MIN_FOUND_SHARE * telling and (found == 0 or block.name in _WHOLE):
            block.decompose()
        elif not telling and block.name not in ("p", "li"):
            if _letters(block.get_text()) not in core:
                block.decompose()
        elif block.name not in _WHOLE:
            _prune(block, core, known)


def _found_chars(block: "Tag", core: str, known: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Count characters of telling texts in a block: found in the article, and all."""
    found = telling = 0
    for string in block.stripped_strings:
        counts = known.get(string)
        if counts is None:
            letters = _letters(string)
            size = len(letters) if len(letters) >= _MIN_TELLING else 0
            counts = known[string] = (size if size and letters in core else 0, size)
        found += counts[0]
        telling += counts[1]
    return found, telling


def _letters(text: str) -> str:
    return _NO_TEXT.sub("", text).casefold()
