"""Rich Text Format: its text and tables, by striprtf; formatting is lost."""

from itertools import groupby

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.office import not_a_package
from domainforge.sources.kinds.tables import markdown_table
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

MEDIA_TYPE = "application/rtf"


def load_rtf(data: bytes, file: SourceFile) -> Loaded:
    """Read the text of an RTF file, links and table rows included; headings can't be told.

    Raises:
        UnreadableError: No RTF, or broken.
    """
    from striprtf.striprtf import rtf_to_text

    if not data.lstrip().startswith(b"{\\rtf"):
        raise not_a_package(data, ".rtf")
    try:
        # RTF is ASCII; other bytes are in the code page that it names, which striprtf decodes.
        text: str = rtf_to_text(data.decode("latin-1"), errors="replace")  # type: ignore[no-untyped-call]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnreadableError("unreadable", f"no readable .rtf: {error}"[:300]) from error
    body = clean_text(_with_tables(text))
    raw = text if file.config.keep_raw else None
    return Loaded((Document(file.uri, file.stem, body, MEDIA_TYPE, raw=raw),))


def _with_tables(text: str) -> str:
    """Make Markdown of table rows, which striprtf writes as `a|b|`."""
    parts = []
    for is_table, lines in groupby(text.split("\n"), lambda line: line.endswith("|")):
        if is_table:
            table = markdown_table([line[:-1].split("|") for line in lines])
            parts.append(f"\n{table}\n")
        else:
            parts.extend(lines)
    return "\n".join(parts)
