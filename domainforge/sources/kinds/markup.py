"""Lighter markup as text: TeX, AsciiDoc, Org, subtitles, translations; headings become Markdown's.

No maintained light converter exists for most of these; their text is readable as it stands.
"""

import re
from collections.abc import Callable

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode, first_heading
from domainforge.sources.loaded import Loaded, SourceFile

_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4}
_TEX_HEADING = re.compile(
    r"^[ \t]*\\(title|part|chapter|section|subsection|subsubsection)\*?(?:\[[^\]\n]*\])?"
    r"\{([^{}\n]*(?:\{[^{}\n]*\}[^{}\n]*)*)\}(?:[ \t]*\\label\{[^}\n]*\})?",
    re.MULTILINE,
)
_TEX_COMMENT = re.compile(r"(?m)^[ \t]*%[^\n]*\n?|(?<!\\)%[^\n]*$")
_TEX_BODY = re.compile(r"\\begin\{document\}(.*?)(?:\\end\{document\}|\Z)", re.DOTALL)
_ADOC_HEADING = re.compile(r"^(={1,6})[ \t]+(\S[^\n]*)$", re.MULTILINE)
_ORG_HEADING = re.compile(
    r"^(\*{1,6})[ \t]+(?:(?:TODO|DONE)[ \t]+)?(\S[^\n]{0,400})$", re.MULTILINE
)
_ORG_TAGS = re.compile(r"(?<!\s)\s+:[\w@:]+:$")
_ORG_TITLE = re.compile(r"^#\+title:[ \t]*(\S[^\n]*)$", re.MULTILINE | re.IGNORECASE)
_ORG_KEYWORD = re.compile(r"^#\+\w[^\n]*\n?|^[ \t]*:[\w-]+:[^\n]*\n?", re.MULTILINE)
_CUE = re.compile(r"^(?:\d+:)?\d+:\d\d[.,]\d+[ \t]+-->")
_CUE_TAG = re.compile(r"</?(?:[ibuvc]|lang|ruby|rt|font)\b[^>\n]*>|<[\d:.]+>|\{\\[^}\n]*\}")
_PO_COMMENT = re.compile(r"^#[^\n]*\n?", re.MULTILINE)


def load_markup(data: bytes, file: SourceFile) -> Loaded:
    """Read a file of light markup as text.

    Raises:
        UnreadableError: No text.
    """
    ending = "." + file.uri.lower().rpartition(".")[2]
    convert, media_type = _CONVERTERS[ending]
    raw = decode(data)
    text = clean_text(convert(clean_text(raw)))
    title = first_heading(text) or file.stem
    kept = raw if file.config.keep_raw else None
    return Loaded((Document(file.uri, title, text, media_type, raw=kept),))


def _tex(text: str) -> str:
    """Keep the body of a TeX document, with its title and without comments."""
    text = _TEX_COMMENT.sub("", text)
    title = next((match[0] for match in _TEX_HEADING.finditer(text) if match[1] == "title"), "")
    body = _TEX_BODY.search(text)
    whole = f"{title}\n\n{body[1]}" if body and title not in body[1] else body[1] if body else text
    return _TEX_HEADING.sub(
        lambda match: f"\n{'#' * _TEX_LEVELS.get(match[1], 1)} {match[2]}\n", whole
    )


def _adoc(text: str) -> str:
    return _ADOC_HEADING.sub(lambda match: f"{'#' * len(match[1])} {match[2]}", text)


def _org(text: str) -> str:
    title = _ORG_TITLE.search(text)
    text = _ORG_KEYWORD.sub("", text)
    text = _ORG_HEADING.sub(
        lambda match: f"{'#' * min(len(match[1]) + 1, 6)} {_ORG_TAGS.sub('', match[2])}", text
    )
    return f"# {title[1]}\n\n{text}" if title else text


def _subtitles(text: str) -> str:
    """Keep what is said: no numbers, times, styles and doubled lines."""
    said: list[str] = []
    for block in text.split("\n\n"):
        lines = block.split("\n")
        cue = next((i for i, line in enumerate(lines) if _CUE.match(line)), None)
        if cue is None:
            continue
        for line in lines[cue + 1 :]:
            plain = _CUE_TAG.sub("", line).strip()
            # Captions that roll say each line twice.
            if plain and plain not in said[-2:]:
                said.append(plain)
    return "\n".join(said)


def _translations(text: str) -> str:
    return _PO_COMMENT.sub("", text)


_CONVERTERS: dict[str, tuple[Callable[[str], str], str]] = {
    ".tex": (_tex, "text/x-tex"),
    ".adoc": (_adoc, "text/asciidoc"),
    ".asciidoc": (_adoc, "text/asciidoc"),
    ".org": (_org, "text/org"),
    ".srt": (_subtitles, "application/x-subrip"),
    ".vtt": (_subtitles, "text/vtt"),
    ".po": (_translations, "text/x-gettext-translation"),
}
