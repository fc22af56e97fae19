"""Forum threads and comment pages: each post under a heading with its author and date."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.html import html_to_markdown
from domainforge.sources.kinds.html_facts import iso_date

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_MIN_POSTS = 2
_MAX_POSTS = 5000
_MAX_AUTHOR_CHARS = 80


@dataclass(frozen=True)
class _Board:
    """How one family of forum software marks a post and what belongs to it, as CSS selectors."""

    post: str
    body: str
    author: str


_TIME = (
    "time[datetime], [itemprop~=dateCreated], [itemprop~=datePublished], abbr.published, [title]"
)
_BOARDS = (
    # Questions and answers, as Stack Exchange writes them.
    _Board(
        "div.question, div.answer",
        ".s-prose, .post-text, [itemprop=text]",
        ".post-signature:last-of-type .user-details a, [itemprop=author] [itemprop=name]",
    ),
    # Discourse, as it writes pages for machines.
    _Board("div.topic-body.crawler-post, .topic-post", ".post, .cooked", ".creator, .username"),
    # XenForo.
    _Board(
        "article.message", ".message-body .bbWrapper, .message-content", ".message-name, .username"
    ),
    # phpBB, vBulletin, MyBB and the many that follow them.
    _Board(
        "div.post, li.post, article.post, .postcontainer, .forum-post, .thread-post",
        ".post-content, .postbody .content, .content, .post_body, .post-body, .postcontent",
        ".username, .username-coloured, .post-author, .postauthor, .author",
    ),
    # Hacker News.
    _Board("tr.athing.comtr", ".commtext", ".hnuser"),
    # Anything with schema.org's marks.
    _Board(
        "[itemtype*=DiscussionForumPosting], [itemtype$=Comment], [itemtype$=Answer]",
        "[itemprop=text], [itemprop=articleBody]",
        "[itemprop=author]",
    ),
)
_QUIET = (
    ".signature, .post-signature, .sig, .reactions, .post-buttons, .share, form, button, script"
)


def thread_markdown(soup: "BeautifulSoup", title: str, base: str | None) -> str | None:
    """Return a thread as Markdown, or None where the page is none.

    The page's title becomes the first heading, each post a section with its author and date.
    """
    for board in _BOARDS:
        found = soup.select(board.post, limit=_MAX_POSTS)
        posts = [post for post in found if post.select_one(board.body) is not None]
        if len(posts) < _MIN_POSTS or not any(post.select_one(board.author) for post in posts):
            continue
        heads = [_heading(post, board) for post in posts]
        texts = [_text(post, board, base) for post in posts]
        written = [
            f"## {head}\n\n{text}" for head, text in zip(heads, texts, strict=True) if text.strip()
        ]
        if len(written) >= _MIN_POSTS:
            return "\n\n".join([f"# {title}", *written])
    return None


def _heading(post: "Tag", board: _Board) -> str:
    found = post.select_one(board.author)
    author = " ".join(clean_text(found.get_text(" ")).split()) if found else ""
    date = None
    for mark in post.select(_TIME, limit=20):
        value = mark.get("datetime") or mark.get("content") or mark.get("title")
        date = _date(str(value)) if value else None
        if date:
            break
    return ", ".join(part for part in (author[:_MAX_AUTHOR_CHARS] or "unknown", date) if part)


def _date(value: str) -> str | None:
    """Return the day; some boards write `2023-05-01 10:00:00Z` or add a number of seconds."""
    day = re.match(r"\d{4}-\d{2}-\d{2}", value.strip())
    return iso_date(day[0]) if day else None


def _text(post: "Tag", board: _Board, base: str | None) -> str:
    body = post.select_one(board.body)
    if body is None:
        return ""
    for quiet in body.select(_QUIET):
        if not quiet.decomposed:
            quiet.decompose()
    # Headings in a post would tear the sections of the thread apart.
    for heading in body.find_all(["h1", "h2", "h3", "h4", "h5", "h6"]):
        heading.name = "p"
    return html_to_markdown(body, base)
