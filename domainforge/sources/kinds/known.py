"""Every kind of file that can be read, by the ending of its name."""

from dataclasses import dataclass

from domainforge.sources.kinds.archive import TAR_ENDINGS, stream_tar, stream_zip
from domainforge.sources.kinds.code import FILE_NAMES, LANGUAGES, LOCK_FILES, load_code
from domainforge.sources.kinds.compressed import stream_compressed
from domainforge.sources.kinds.deeplake import stream_deeplake
from domainforge.sources.kinds.delimited import stream_delimited
from domainforge.sources.kinds.docx import load_docx
from domainforge.sources.kinds.epub import load_epub
from domainforge.sources.kinds.feed import load_feed
from domainforge.sources.kinds.html import load_html
from domainforge.sources.kinds.json_file import load_json
from domainforge.sources.kinds.jsonl import stream_jsonl
from domainforge.sources.kinds.mail import load_mail
from domainforge.sources.kinds.markup import MARKUP_ENDINGS, load_markup
from domainforge.sources.kinds.mbox import stream_mbox
from domainforge.sources.kinds.notebook import load_notebook
from domainforge.sources.kinds.odf import load_odp, load_ods, load_odt
from domainforge.sources.kinds.openassistant import stream_openassistant
from domainforge.sources.kinds.outlook import load_outlook
from domainforge.sources.kinds.parquet import stream_parquet
from domainforge.sources.kinds.pdf import load_pdf
from domainforge.sources.kinds.pile import stream_pile
from domainforge.sources.kinds.pptx import load_pptx
from domainforge.sources.kinds.rst import load_rst
from domainforge.sources.kinds.rtf import load_rtf
from domainforge.sources.kinds.text import load_markdown, load_plain
from domainforge.sources.kinds.warc import WARC_ENDINGS, stream_warc
from domainforge.sources.kinds.web_page import load_web_page
from domainforge.sources.kinds.xlsx import load_xls, load_xlsx
from domainforge.sources.kinds.xml_file import load_xml
from domainforge.sources.loaded import Load, Stream
from domainforge.sources.workspaces.confluence import load_confluence_page
from domainforge.sources.workspaces.git_commits import stream_git_commits
from domainforge.sources.workspaces.mediawiki import stream_mediawiki
from domainforge.sources.workspaces.notion import (
    load_notion_html,
    load_notion_page,
    load_notion_row,
)
from domainforge.sources.workspaces.obsidian import load_obsidian_note
from domainforge.sources.workspaces.slack_channel import stream_slack_channel


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


KINDS: tuple[Kind, ...] = (
    Kind("markdown", (".md", ".markdown"), load=load_markdown),
    Kind("text", (".txt", ".text"), load=load_plain),
    Kind("html", (".html", ".htm", ".xhtml"), load=load_html),
    Kind("web page", load=load_web_page),
    Kind("pdf", (".pdf",), load=load_pdf),
    Kind("docx", (".docx", ".docm"), load=load_docx),
    Kind("pptx", (".pptx", ".pptm"), load=load_pptx),
    Kind("xlsx", (".xlsx", ".xlsm", ".xlsb"), load=load_xlsx),
    Kind("xls", (".xls",), load=load_xls),
    Kind("odt", (".odt", ".ott"), load=load_odt),
    Kind("ods", (".ods", ".ots"), load=load_ods),
    Kind("odp", (".odp", ".otp"), load=load_odp),
    Kind("epub", (".epub",), load=load_epub),
    Kind("rtf", (".rtf",), load=load_rtf),
    Kind("jsonl", (".jsonl", ".ndjson"), stream=stream_jsonl),
    Kind("json", (".json",), load=load_json),
    Kind("csv", (".csv", ".tsv", ".tab"), stream=stream_delimited),
    Kind("parquet", (".parquet",), stream=stream_parquet),
    Kind("notebook", (".ipynb",), load=load_notebook),
    Kind("xml", (".xml",), load=load_xml),
    Kind("feed", (".rss", ".atom"), load=load_feed),
    Kind("rst", (".rst",), load=load_rst),
    Kind("markup", MARKUP_ENDINGS, load=load_markup),
    Kind("code", tuple(LANGUAGES), load=load_code, names=(*FILE_NAMES, *LOCK_FILES)),
    Kind("e-mail", (".eml",), load=load_mail, holds_files=True),
    Kind("outlook", (".msg",), load=load_outlook, holds_files=True),
    Kind("mbox", (".mbox", ".mbx"), stream=stream_mbox, holds_files=True),
    Kind("zip", (".zip",), stream=stream_zip, holds_files=True),
    Kind("tar", TAR_ENDINGS, stream=stream_tar, holds_files=True),
    Kind("warc", WARC_ENDINGS, stream=stream_warc),
    Kind("compressed", (".gz", ".bz2", ".xz", ".zst"), stream=stream_compressed, holds_files=True),
    Kind("deeplake", stream=stream_deeplake),
    Kind("pile", stream=stream_pile),
    Kind("openassistant", stream=stream_openassistant),
    Kind("mediawiki dump", stream=stream_mediawiki),
    Kind("confluence page", load=load_confluence_page),
    Kind("notion page", load=load_notion_page),
    Kind("notion row", load=load_notion_row),
    Kind("notion html", load=load_notion_html),
    Kind("obsidian note", load=load_obsidian_note),
    Kind("slack channel", stream=stream_slack_channel),
    Kind("git commits", stream=stream_git_commits),
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
