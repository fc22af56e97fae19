"""Every kind of file that can be read, by the ending of its name."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO

from domainforge.sources.kinds.names import (
    FILE_NAMES,
    LANGUAGES,
    LOCK_FILES,
    MARKUP_ENDINGS,
    TAR_ENDINGS,
    WARC_ENDINGS,
)
from domainforge.sources.loaded import Load, Loaded, SourceFile, Starting, Stream


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: As the ingest report calls it.
        endings: Of file names, lower case, with the dot; none where only a source names the kind.
        load: Reads a whole file; exactly one of this and `stream`.
        stream: Reads a file of any size in parts.
        names: Whole file names, lower case, where these tell the kind (`makefile`).
        holds_files: What is in it goes by its own kind. In another file it shares the count of
            parts (`Member.unpacking`) instead of being given its own.
    """

    name: str
    endings: tuple[str, ...] = ()
    load: Load | None = None
    stream: Stream | None = None
    names: tuple[str, ...] = ()
    holds_files: bool = False


def _load(module: str, name: str) -> Load:
    """Name a loader; its module is imported when its first file comes."""

    def load(data: bytes, file: SourceFile) -> Loaded:
        found: Load = _find(module, name)
        return found(data, file)

    return load


def _stream(module: str, name: str) -> Stream:
    """Name a loader that reads in parts, in the same way."""

    def stream(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded | Starting]:
        found: Stream = _find(module, name)
        return found(handle, file, skip)

    return stream


def _find(module: str, name: str) -> Any:
    return getattr(import_module(f"domainforge.sources.{module}"), name)


KINDS: tuple[Kind, ...] = (
    Kind("markdown", (".md", ".markdown"), load=_load("kinds.text", "load_markdown")),
    Kind("text", (".txt", ".text"), load=_load("kinds.text", "load_plain")),
    Kind("html", (".html", ".htm", ".xhtml"), load=_load("kinds.html", "load_html")),
    Kind("web page", load=_load("kinds.web_page", "load_web_page")),
    Kind("pdf", (".pdf",), load=_load("kinds.pdf", "load_pdf")),
    Kind("docx", (".docx", ".docm"), load=_load("kinds.docx", "load_docx")),
    Kind("pptx", (".pptx", ".pptm"), load=_load("kinds.pptx", "load_pptx")),
    Kind("xlsx", (".xlsx", ".xlsm", ".xlsb"), load=_load("kinds.xlsx", "load_xlsx")),
    Kind("xls", (".xls",), load=_load("kinds.xlsx", "load_xls")),
    Kind("odt", (".odt", ".ott"), load=_load("kinds.odf", "load_odt")),
    Kind("ods", (".ods", ".ots"), load=_load("kinds.odf", "load_ods")),
    Kind("odp", (".odp", ".otp"), load=_load("kinds.odf", "load_odp")),
    Kind("epub", (".epub",), load=_load("kinds.epub", "load_epub")),
    Kind("rtf", (".rtf",), load=_load("kinds.rtf", "load_rtf")),
    Kind("jsonl", (".jsonl", ".ndjson"), stream=_stream("kinds.jsonl", "stream_jsonl")),
    Kind("json", (".json",), load=_load("kinds.json_file", "load_json")),
    Kind("csv", (".csv", ".tsv", ".tab"), stream=_stream("kinds.delimited", "stream_delimited")),
    Kind("parquet", (".parquet",), stream=_stream("kinds.parquet", "stream_parquet")),
    Kind("notebook", (".ipynb",), load=_load("kinds.notebook", "load_notebook")),
    Kind("xml", (".xml",), load=_load("kinds.xml_file", "load_xml")),
    Kind("feed", (".rss", ".atom"), load=_load("kinds.feed", "load_feed")),
    Kind("rst", (".rst",), load=_load("kinds.rst", "load_rst")),
    Kind("markup", MARKUP_ENDINGS, load=_load("kinds.markup", "load_markup")),
    Kind(
        "code",
        tuple(LANGUAGES),
        load=_load("kinds.code", "load_code"),
        names=(*FILE_NAMES, *LOCK_FILES),
    ),
    Kind("e-mail", (".eml",), load=_load("kinds.mail", "load_mail"), holds_files=True),
    Kind("outlook", (".msg",), load=_load("kinds.outlook", "load_outlook"), holds_files=True),
    Kind("mbox", (".mbox", ".mbx"), stream=_stream("kinds.mbox", "stream_mbox"), holds_files=True),
    Kind("zip", (".zip",), stream=_stream("kinds.archive", "stream_zip"), holds_files=True),
    Kind("tar", TAR_ENDINGS, stream=_stream("kinds.archive", "stream_tar"), holds_files=True),
    Kind("warc", WARC_ENDINGS, stream=_stream("kinds.warc", "stream_warc")),
    Kind(
        "compressed",
        (".gz", ".bz2", ".xz", ".zst"),
        stream=_stream("kinds.compressed", "stream_compressed"),
        holds_files=True,
    ),
    Kind("deeplake", stream=_stream("kinds.deeplake", "stream_deeplake")),
    Kind("pile", stream=_stream("kinds.pile", "stream_pile")),
    Kind("openassistant", stream=_stream("kinds.openassistant", "stream_openassistant")),
    Kind("mediawiki dump", stream=_stream("workspaces.mediawiki", "stream_mediawiki")),
    Kind("confluence page", load=_load("workspaces.confluence", "load_confluence_page")),
    Kind("notion page", load=_load("workspaces.notion", "load_notion_page")),
    Kind("notion row", load=_load("workspaces.notion", "load_notion_row")),
    Kind("notion html", load=_load("workspaces.notion", "load_notion_html")),
    Kind("obsidian note", load=_load("workspaces.obsidian", "load_obsidian_note")),
    Kind("slack channel", stream=_stream("workspaces.slack_channel", "stream_slack_channel")),
    Kind("git commits", stream=_stream("workspaces.git_commits", "stream_git_commits")),
)
BY_NAME = {kind.name: kind for kind in KINDS}
BY_FILE_NAME = {name: kind for kind in KINDS for name in kind.names}
BY_ENDING = {ending: kind for kind in KINDS for ending in kind.endings}
_MOST_DOTS = max(ending.count(".") for ending in BY_ENDING)


KIND_NAMES = ", ".join(kind.name for kind in KINDS if kind.endings)


def kind_of(name: str) -> Kind | None:
    """Return the kind of a file by its name; the longest known ending wins (`.tar.gz`)."""
    named = BY_FILE_NAME.get(name.lower())
    if named is not None:
        return named
    parts = name.lower().split(".")
    for dots in range(min(_MOST_DOTS, len(parts) - 1), 0, -1):
        found = BY_ENDING.get("." + ".".join(parts[-dots:]))
        if found is not None:
            return found
    return None
