"""reStructuredText, through docutils' HTML to Markdown; nothing outside the file is read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode, first_heading
from domainforge.sources.kinds.html import html_to_markdown, parse_html
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from docutils.parsers.rst import Directive

_DIRECTIVE = re.compile(r"^[ \t]*\.\. (?:\|[^|\n]+\| )?([\w][\w:+.-]*)::", re.MULTILINE)
_ROLE = re.compile(r":([a-zA-Z][\w:+.-]{0,60}):`")
_MAX_NAMES = 500
# Other names of what docutils has.
_ALIASES = frozenset({"code-block", "sourcecode", "sub", "sup", "strong", "literal", "emphasis"})
# Their content is code, though docutils doesn't know them.
_CODE = frozenset({"doctest", "testcode", "testoutput", "literalinclude", "prompt", "parsed-code"})
# They say where something else is; without it they say nothing.
_WITHOUT_TEXT = frozenset(
    {"toctree", "index", "highlight", "currentmodule", "module", "py:currentmodule", "autosummary"}
)
_CODE_ROLES = re.compile(
    r"(?:\w+:)?(?:func|class|meth|mod|attr|data|exc|obj|const|option|envvar|file|command|program)"
)
_SETTINGS: dict[str, Any] = {
    # https://docutils.sourceforge.io/docs/howto/security.html
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "embed_stylesheet": False,
    "stylesheet_path": None,
    "syntax_highlight": "none",
    "math_output": "LaTeX",
    "initial_header_level": 2,
    "doctitle_xform": True,
    "cloak_email_addresses": False,
    "input_encoding": "unicode",
    "warning_stream": False,
}
# What docutils raises on documents that are made to break it.
_BROKEN = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def load_rst(data: bytes, file: SourceFile) -> Loaded:
    """Read an .rst file; Sphinx's directives and roles give the text that stands in them.

    Raises:
        UnreadableError: docutils can't read it.
    """
    from docutils.core import publish_parts
    from docutils.utils import SystemMessage

    raw = decode(data)
    source = clean_text(raw)
    try:
        with _unknown_names(source):
            parts = publish_parts(source, writer="html5", settings_overrides=_SETTINGS)
        soup = parse_html(parts["html_body"])
        _tidy(soup)
        text = html_to_markdown(soup)
    except (SystemMessage, *_BROKEN) as error:
        raise UnreadableError("unreadable", f"no readable .rst: {error}"[:300]) from error
    title = first_heading(text) or file.stem
    kept = raw if file.config.keep_raw else None
    return Loaded((Document(file.uri, title, text, "text/x-rst", raw=kept),))


def _tidy(soup: "BeautifulSoup") -> None:
    """Leave out what docutils adds, and name languages as other HTML does."""
    for element in soup.select("nav, .contents, .system-messages, .system-message"):
        element.decompose()
    for link in soup.select("a.toc-backref, a.headerlink, a[href^='#footnote-'], a.fn-backlink"):
        link.unwrap()
    for literal in soup.select("span.literal"):
        code = soup.new_tag("code", string=literal.get_text())
        literal.replace_with(code)
    for block in soup.select("pre.code"):
        names = [name for name in block.get("class") or () if name not in ("code", "literal-block")]
        block["class"] = [f"language-{name}" for name in names[:1]]  # type: ignore[assignment]


@contextmanager
def _unknown_names(source: str) -> Iterator[None]:
    """Let docutils keep the text under names that it doesn't know, while this file is read.

    It has one table of directives and one of roles for the whole process; what a file adds to
    them must not outlive it.
    """
    from docutils.parsers.rst import directives, roles

    tables: tuple[dict[str, Any], ...] = (
        directives._directives,  # type: ignore[attr-defined]
        roles._roles,  # type: ignore[attr-defined]
    )
    before = [dict(table) for table in tables]
    names = {name.lower() for name in _DIRECTIVE.findall(source)[:_MAX_NAMES]}
    for name in names - directives._directive_registry.keys() - _ALIASES:  # type: ignore[attr-defined]
        directives.register_directive(name, _directive())
    found = {name.lower() for name in _ROLE.findall(source)[:_MAX_NAMES]}
    for name in found - roles._role_registry.keys() - _ALIASES:  # type: ignore[attr-defined]
        roles.register_local_role(name, _role)
    try:
        yield
    finally:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)


@cache
def _directive() -> "type[Directive]":
    """Make the class that stands for each directive that docutils doesn't know."""
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Kept(Directive):
        """Keeps what stands in a directive: its argument in front, its content as it is."""

        optional_arguments = 1
        final_argument_whitespace = True
        has_content = True
        option_spec: ClassVar[Any] = _AnyOption(any=str)

        def run(self) -> list[nodes.Node]:
            name, lines = self.name.lower(), "\n".join(self.arguments).split("\n")
            if name in _WITHOUT_TEXT:
                return []
            if name in _CODE:
                code = "\n".join(self.content)
                return [nodes.literal_block(code, code)] if code else []
            kept = nodes.container()
            if name.startswith(("version", "deprecated")):
                # Its text may begin on the line below the number.
                label = nodes.strong("", f"{name} {lines[0]}: ")
                inline, _ = self.state.inline_text(" ".join(lines[1:]), self.lineno)
                kept += nodes.paragraph("", "", label, *inline)
            else:
                kept += [nodes.paragraph("", "", nodes.strong("", line)) for line in lines if line]
            self.state.nested_parse(self.content, self.content_offset, kept)
            return [kept]

    return Kept


class _AnyOption(dict[str, Any]):
    """Takes every option of a directive."""

    def __missing__(self, name: str) -> Any:
        return lambda argument: argument


def _role(
    name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Any,
    options: Mapping[str, Any] | None = None,
    content: Sequence[str] = (),
) -> tuple[list[Any], list[Any]]:
    """Keep the text of a role that docutils doesn't know, without its target."""
    from docutils import nodes
    from docutils.utils import unescape

    shown = unescape(text)
    titled = re.fullmatch(r"(.+?)\s*<[^<>]*>", shown, re.DOTALL)
    if titled:
        shown = titled[1]
    elif shown.startswith("~"):
        shown = shown.rpartition(".")[2].lstrip("~")
    shown = shown.lstrip("!")
    node = nodes.literal if _CODE_ROLES.fullmatch(name.lower()) else nodes.inline
    return [node(rawtext, shown)], []
