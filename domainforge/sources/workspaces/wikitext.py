"""Wikitext to Markdown: what a reader of the wiki sees, without its page furniture."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domainforge.sources.cleaning import clean_text
from domainforge.sources.loaded import UnreadableError
from domainforge.sources.workspaces.wikitables import render_flat_table, render_table
from domainforge.sources.workspaces.wikitext_lines import ITEM, PREFORMATTED, STASH, format_lines
from domainforge.sources.workspaces.wikitext_templates import render_template

if TYPE_CHECKING:
    from mwparserfromhell.nodes import Node
    from mwparserfromhell.wikicode import Wikicode

_REF = re.compile(r"<ref\b[^<>]*>", re.IGNORECASE)
_REF_END = re.compile(r"</ref\s*>", re.IGNORECASE)
_COMMENT, _COMMENT_END = re.compile("<!--"), re.compile("-->")
_LITERAL = re.compile(r"<(?:nowiki|pre|syntaxhighlight|source|math|chem)\b", re.IGNORECASE)
# A leading space makes a line preformatted; before these it only indents markup.
_INDENTED = re.compile(r"(?m)^ (?= {0,200}[^\s|!{}*#:;=<\[])")
_SWITCH = re.compile(r"__[A-Z]{3,30}__")
_VARIANT = re.compile(r"-\{(?:[A-Za-z-]{1,10}[|:])?([^{};]{0,500})(?:;[^{}]{0,2000})?\}-")
_INTERWIKI = re.compile(r"[a-z]{2,3}(?:-[a-z]{2,10})?$")
_LEFT_OVER = re.compile(r"'{2,5}")
_OPENED_TAG = re.compile(r"<(?!br\b|hr\b|li\b|/)[a-z][^<>]{0,500}(?<!/)>", re.IGNORECASE)
# What opens and never closes costs the parser quadratic time: 30,000 tables took half a minute.
_MAX_UNCLOSED = 500
_DROPPED_TAG_NAMES = """
ref references gallery timeline imagemap score graph mapframe maplink templatedata inputbox
includeonly indicator templatestyles section categorytree hiero rss style script dynamicpagelist
charinsert
"""
_DROPPED_TAGS = frozenset(_DROPPED_TAG_NAMES.split())
_MARKUP = {"b": "**", "strong": "**", "i": "*", "em": "*"}
_CODE_BLOCKS = frozenset({"pre", "syntaxhighlight", "source"})
_BLOCKS = frozenset({"p", "div", "center", "ul", "ol", "dl", "blockquote", "poem"})
_IMAGE_OPTION = re.compile(
    r"(?:thumb(?:nail)?|frame(?:d|less)?|border|right|left|center|none|baseline|middle|sub|super|"
    r"top|text-top|bottom|text-bottom|upright|mini|miniatur|hochkant|rechts|links|zentriert|"
    r"\d*x?\d+ ?px)$|^(?:thumb|upright|alt|link|page|lang|class|start|end|hochkant)\s*=",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class LinkNames:
    """What files and categories are called in a wiki's links, lower case."""

    files: frozenset[str]
    categories: frozenset[str]

    @classmethod
    def of(cls, files: Iterable[str] = (), categories: Iterable[str] = ()) -> "LinkNames":
        """Add a wiki's own names to the English ones, which every wiki knows."""
        return cls(
            files=frozenset({"file", "image", "media", *_lowered(files)}),
            categories=frozenset({"category", *_lowered(categories)}),
        )


@dataclass(frozen=True)
class CleanedText:
    """A page as Markdown, and the categories that it is in."""

    markdown: str
    categories: tuple[str, ...]


def wikitext_to_markdown(text: str) -> str:
    """Turn wikitext into Markdown; see `clean_wikitext`.

    Raises:
        UnreadableError: Markup that can't be parsed.
    """
    return clean_wikitext(text).markdown


def clean_wikitext(text: str, names: LinkNames | None = None) -> CleanedText:
    """Turn wikitext into Markdown and collect its categories.

    Headings, lists, tables, emphasis, code and formulas (as LaTeX) survive. Of links the text is
    kept, of those to other sites also the address; of images the caption. An infobox becomes a
    table of two columns. Templates that only format (`convert`, `lang`, `nihongo` ...) are
    written out; all others, references and galleries go, since what they say stands elsewhere.

    Raises:
        UnreadableError: Markup that can't be parsed.
    """
    import mwparserfromhell
    from mwparserfromhell.parser import ParserError

    renderer = _Renderer(names or LinkNames.of())
    try:
        code = mwparserfromhell.parse(_prepare(text))
        raw = renderer.render(code)
    except (ParserError, RecursionError) as error:
        detail = (
            str(error)[:200]
            if isinstance(error, ParserError)
            else "its markup is nested too deeply"
        )
        raise UnreadableError("bad_markup", detail) from None
    lines = format_lines(_SWITCH.sub("", raw))
    markdown = clean_text(renderer.restore(lines))
    return CleanedText(markdown, tuple(dict.fromkeys(renderer.categories)))


def _prepare(text: str) -> str:
    """Cut references and comments before the parser sees them: a third of an article is these."""
    text = text.replace("\xa0", " ")
    text = re.sub("[\x00-\x08\x0e-\x1f]", "", text)
    if not _LITERAL.search(text):
        text = _cut(text, _COMMENT, _COMMENT_END)
        text = _cut(text, _REF, _REF_END)
    if "-{" in text:
        text = _VARIANT.sub(r"\1", text)
    opened = max(
        text.count("{{") - text.count("}}"),
        text.count("{|") - text.count("|}"),
        text.count("[") - text.count("]"),
        text.count("<!--") - text.count("-->"),
        len(_OPENED_TAG.findall(text)) - text.count("</"),
    )
    if opened > _MAX_UNCLOSED:
        raise UnreadableError("bad_markup", f"{opened:,} marks are opened and never closed")
    return _INDENTED.sub(PREFORMATTED, text)


def _cut(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    """Remove all from an opening to its closing mark, in one pass; what never closes stays."""
    kept: list[str] = []
    position = 0
    while (start := opening.search(text, position)) is not None:
        end = start if start[0].endswith("/>") else closing.search(text, start.end())
        if end is None:
            break
        kept.append(text[position : start.start()])
        position = end.end()
    kept.append(text[position:])
    return "".join(kept)


class _Renderer:
    """Walks a parsed page; keeps its categories, and what no later step may touch."""

    def __init__(self, names: LinkNames) -> None:
        self.categories: list[str] = []
        self._names = names
        self._stash: list[str] = []
        self._lines_open = 0  # how many renderings to one line we are inside of

    def render(self, code: "Wikicode | None") -> str:
        """Render nodes to text, with marks for list items and preformatted lines."""
        if code is None:
            return ""
        return "".join(self._node(node) for node in code.nodes)

    def render_inline(self, code: "Wikicode | None") -> str:
        """Render nodes to one line, for cells, captions and arguments."""
        self._lines_open += 1
        text = re.sub(f"(?:{ITEM}[^{ITEM}]*{ITEM} ?)+", "; ", self.render(code))
        self._lines_open -= 1
        text = " ".join(text.replace(PREFORMATTED, " ").replace("\n", " ").split())
        return text.removeprefix("; ")

    def restore(self, text: str) -> str:
        """Put stashed text back, also where one stash holds another."""
        for _ in range(3):
            if STASH not in text:
                break
            text = re.sub(f"{STASH}(\\d+){STASH}", lambda m: self._stash[int(m[1])], text)
        return text.replace(STASH, "")

    def _node(self, node: "Node") -> str:
        from mwparserfromhell import nodes

        if isinstance(node, nodes.Text):
            return _LEFT_OVER.sub("", str(node.value)) if "''" in node.value else str(node.value)
        if isinstance(node, nodes.Wikilink):
            return self._wikilink(node)
        if isinstance(node, nodes.Tag):
            return self._tag(node)
        if isinstance(node, nodes.Template):
            return render_template(node, self.render_inline)
        if isinstance(node, nodes.Heading):
            title = self.render_inline(node.title).strip("* ")
            return f"\n\n{'#' * node.level} {title}\n\n" if title else "\n"
        if isinstance(node, nodes.ExternalLink):
            return self._external_link(node)
        if isinstance(node, nodes.HTMLEntity):
            return _entity(node)
        if isinstance(node, nodes.Argument):
            return self.render(node.default)
        return ""

    def _wikilink(self, node: Any) -> str:
        target = str(node.title).strip()
        prefix, colon, rest = target.partition(":")
        name = prefix.strip().lower().replace("_", " ")
        if colon and name in self._names.categories:
            self.categories.append(rest.replace("_", " ").strip())
            return ""
        if colon and name in self._names.files:
            return self._image(node)
        if node.text is not None:
            return self.render(node.text) or _page_name(target)
        if colon and name != "w" and _INTERWIKI.match(name):
            return ""  # the same page in another language
        return self.render_inline(node.title).lstrip(":").replace("_", " ").lstrip("#")

    def _image(self, node: Any) -> str:
        """Keep the caption of a picture that stands beside the text; small icons go."""
        if node.text is None:
            return ""
        options = _split_options(self.render_inline(node.text))
        captions = [option for option in options if not _IMAGE_OPTION.search(option)]
        shown = any(o.lower().startswith(("thumb", "frame", "mini", "gerahmt")) for o in options)
        return f"\n\n{captions[-1]}\n\n" if shown and captions and captions[-1] else ""

    def _external_link(self, node: Any) -> str:
        url = str(node.url).strip()
        if not node.brackets:
            return url
        title = self.render_inline(node.title) if node.title is not None else ""
        return f"[{title}]({url})" if title else url

    def _tag(self, node: Any) -> str:
        markup = node.wiki_markup
        if markup in ("*", "#", ";", ":"):
            return f"{ITEM}{markup}{ITEM} "
        name = str(node.tag).strip().lower()
        if name in _DROPPED_TAGS or _is_hidden(node):
            return ""
        if name == "table":
            if self._lines_open:
                return render_flat_table(node, self.render_inline)
            return render_table(node, self.render, self.render_inline)
        if name in _CODE_BLOCKS:
            return self._code_block(node, name)
        if name in ("math", "chem", "ce"):
            return self._formula(node)
        return self._simple_tag(node, name)

    def _simple_tag(self, node: Any, name: str) -> str:
        if name == "br":
            return "\n"
        if name == "hr":
            return "\n\n---\n\n"
        if name == "nowiki":
            return self.keep(str(node.contents or ""))
        if name in ("code", "tt", "kbd", "samp", "var"):
            text = self.render_inline(node.contents)
            return self.keep(f"`{text}`") if text and "`" not in text else text
        if name == "li":
            return f"\n{ITEM}*{ITEM} {self.render_inline(node.contents)}\n"
        text = self.render(node.contents)
        if name in _MARKUP:
            return _emphasis(text, _MARKUP[name])
        if name == "sup":
            return f"^{text}" if re.fullmatch(r"[-+\u2212]?\w{1,8}", text) else text
        if re.fullmatch(r"h[1-6]", name):
            return f"\n\n{'#' * int(name[1])} {' '.join(text.split())}\n\n"
        if name == "blockquote":
            return "\n\n" + "\n".join(f"> {line}" for line in text.strip().split("\n")) + "\n\n"
        return f"\n\n{text.strip()}\n\n" if name in _BLOCKS else text

    def keep(self, text: str) -> str:
        """Put text aside, so that it comes out as it is."""
        self._stash.append(text)
        return f"{STASH}{len(self._stash) - 1}{STASH}"

    def _code_block(self, node: Any, name: str) -> str:
        code = str(node.contents or "")
        language = _attribute(node, "lang") if name != "pre" else ""
        code = code.replace(PREFORMATTED, " ").replace("<nowiki>", "").replace("</nowiki>", "")
        if name != "pre" and node.has("inline"):
            return self.keep(f"`{code.strip()}`")
        language = language if re.fullmatch(r"[\w+#-]{1,20}", language) else ""
        fence = "~~~" if "```" in code else "```"
        body = code.strip("\n").rstrip()
        return "\n\n" + self.keep(f"{fence}{language}\n{body}\n{fence}") + "\n\n" if body else ""

    def _formula(self, node: Any) -> str:
        formula = " ".join(str(node.contents or "").replace(PREFORMATTED, " ").split())
        if str(node.tag).strip().lower() != "math":
            formula = f"\\ce{{{formula}}}"
        if not str(node.contents or "").strip():
            return ""
        if _attribute(node, "display") == "block":
            return "\n\n" + self.keep(f"$$\n{formula}\n$$") + "\n\n"
        return self.keep(f"${formula}$")


def _lowered(names: Iterable[str]) -> Iterable[str]:
    return (name.strip().lower().replace("_", " ") for name in names if name.strip())


def _page_name(target: str) -> str:
    """What an empty text (the pipe trick) shows: no namespace, nothing in brackets."""
    return re.sub(r"\s*\([^()]*\)$", "", target.lstrip(":").rpartition(":")[2])


def _split_options(text: str) -> list[str]:
    return [option.strip() for option in text.split("|")]


def _emphasis(text: str, mark: str) -> str:
    """Marks may not stand beside spaces, around nothing, or across lines."""
    inner = text.strip()
    if not inner or "\n" in inner or ITEM in inner:
        return text
    before = text[: len(text) - len(text.lstrip())]
    after = text[len(text.rstrip()) :]
    return f"{before}{mark}{inner}{mark}{after}"


def _entity(node: Any) -> str:
    try:
        text = str(node.normalize())
    except (ValueError, OverflowError, KeyError):
        return ""
    text = text.replace("\xa0", " ")
    return text if text >= " " or text in "\t\n" else ""


def _attribute(node: Any, name: str) -> str:
    return str(node.get(name).value or "").strip().lower() if node.has(name) else ""


def _is_hidden(node: Any) -> bool:
    if not node.attributes:
        return False
    style = _attribute(node, "style").replace(" ", "")
    classes = _attribute(node, "class").split()
    return "display:none" in style or bool({"noprint", "navbox", "mw-empty-elt"} & set(classes))
