"""What office files and e-books share: a zip of XML, opened only after checks."""

import io
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from domainforge.sources.cleaning import clean_text
from domainforge.sources.loaded import UnreadableError

if TYPE_CHECKING:
    from lxml.etree import _Element

_MAX_ENTRIES = 20_000
_MAX_UNPACKED_BYTES = 1 << 30
_MAX_XML_BYTES = 256 << 20
# Sheets of repeated values pack 100 times smaller; no honest file does so as a whole past this.
_MAX_RATIO = 250
_RATIO_COUNTS_FROM_BYTES = 32 << 20
# What zipfile raises on broken archives; it has no one error class.
BROKEN_ZIP = (BadZipFile, EOFError, OSError, RuntimeError, ValueError, struct.error, zlib.error)
_XML_NAMES = (".xml", ".rels", ".vml", ".opf", ".ncx")
_DECLARED = re.compile(rb"""^<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)["']""")
# Encodings that leave markup readable as ASCII, so that a search for it finds it. In others
# (UTF-7, EBCDIC) a parser would see what the search doesn't.
_PLAIN_ENCODINGS = re.compile(r"utf-?8|(us-)?ascii|iso-?8859-\d+|windows-125\d|cp125\d|koi8-[ru]")
_OLE = b"\xd0\xcf\x11\xe0"
_OLE_KINDS = (
    ("EncryptedPackage", "encrypted", "protected by a password; save a copy without one"),
    ("WordDocument", "wrong_kind", "an old Word file (.doc); save it as .docx"),
    ("PowerPoint Document", "wrong_kind", "an old PowerPoint file (.ppt); save it as .pptx"),
    ("__substg1.0_", "wrong_kind", "an Outlook message; name it .msg"),
    ("Workbook", "wrong_kind", "an old Excel file; name it .xls"),
)
_TEXT_KINDS = (
    (re.compile(rb"\s*\{\\rtf"), "an RTF file; name it .rtf"),
    (re.compile(rb"\s*%PDF-"), "a PDF; name it .pdf"),
    (
        re.compile(
            rb"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype html|html|head|body|table|meta)\b",
            re.IGNORECASE | re.DOTALL,
        ),
        "an HTML page; name it .html",
    ),
    (re.compile(rb"MIME-Version:|From |Received:", re.IGNORECASE), "an e-mail or web archive"),
    (re.compile(rb"\s*<\?xml"), "an XML file; name it .xml"),
)
_ZIP_KINDS = (
    ("word/", ".docx"),
    ("xl/", ".xlsx"),
    ("ppt/", ".pptx"),
    ("META-INF/container.xml", ".epub"),
    ("content.xml", ".odt, .ods or .odp"),
)
_NO_TITLE = re.compile(
    r"untitled|word document|(?:powerpoint|office)?-?\s*(?:presentation|präsentation)|"
    r"(?:slide|folie|diapositive) \d+|"
    r"(?:microsoft \w+ - )?.*\.(?:docx?|pptx?|xlsx?|odt|odp|ods|rtf|dotx?|potx?)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Properties:
    """What a file says about itself.

    Attributes:
        metadata: Author, subject, keywords and so on, as far as they are filled in.
    """

    title: str | None = None
    created: str | None = None
    modified: str | None = None
    license: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Package:
    """A zip whose sizes and XML have been checked; names in it never become paths on disk."""

    def __init__(self, data: bytes, archive: ZipFile) -> None:
        self.data = data
        self._archive = archive
        self._entries = {entry.filename: entry for entry in archive.infolist()}

    @property
    def names(self) -> Iterable[str]:
        """Names of all entries."""
        return self._entries.keys()

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> bytes:
        """Return the bytes of one entry.

        Raises:
            UnreadableError: It is not there, broken, or too large.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise UnreadableError("unreadable", f"{name} is missing in it")
        return _read(self._archive, entry)

    def xml(self, name: str) -> "_Element":
        """Return one entry as a tree, its entities not resolved.

        Raises:
            UnreadableError: It is missing, broken, or declares entities.
        """
        return parse_xml(self.read(name), name)


def open_package(data: bytes, kind: str, wanted: str) -> Package:
    """Open an office file after checks on its size, its parts, and what it really is.

    Args:
        data: The whole file.
        kind: For messages: `.docx`.
        wanted: An entry, or the start of an entry's name, that every file of this kind has.

    Raises:
        UnreadableError: Broken, encrypted, a zip bomb, of another kind, or with XML entities.
    """
    if not data.startswith(b"PK"):
        raise not_a_package(data, kind)
    try:
        archive = ZipFile(io.BytesIO(data))
        entries = archive.infolist()
    except BROKEN_ZIP as error:
        raise UnreadableError("unreadable", f"no readable {kind}: {error}"[:300]) from error
    _check_sizes(entries, len(data))
    names = [entry.filename for entry in entries]
    if not any(name.startswith(wanted) for name in names):
        found = next((e for start, e in _ZIP_KINDS if any(n.startswith(start) for n in names)), "")
        detail = f"a {found} file; name it so" if found else f"a zip archive, no {kind}"
        raise UnreadableError("wrong_kind", detail)
    if "META-INF/manifest.xml" in names and b"encryption-data" in _read(
        archive, archive.getinfo("META-INF/manifest.xml")
    ):
        raise UnreadableError("encrypted", "protected by a password; save a copy without one")
    for entry in entries:
        if entry.flag_bits & 1:
            raise UnreadableError("encrypted", f"{entry.filename} in it needs a password")
        if entry.filename.lower().endswith(_XML_NAMES):
            check_xml(_read(archive, entry), entry.filename)
    return Package(data, archive)


def not_a_package(data: bytes, kind: str) -> UnreadableError:
    """Say what a file is that is no zip, though its name promises one."""
    if not data.strip(b"\0 \r\n\t"):
        return UnreadableError("unreadable", f"no readable {kind}: nothing in it")
    if data.startswith(_OLE):
        for name, reason, detail in _OLE_KINDS:
            if name.encode("utf-16-le") in data:
                return UnreadableError(reason, detail)
        if _is_cut_off(data):
            return UnreadableError("unreadable", f"no readable {kind}: its end is missing")
        return UnreadableError("encrypted", "protected by a password, or an old office file")
    for pattern, detail in _TEXT_KINDS:
        if pattern.match(data[:2000].removeprefix(b"\xef\xbb\xbf")):
            return UnreadableError("wrong_kind", detail)
    return UnreadableError("unreadable", f"no readable {kind}: it is no zip archive")


def _is_cut_off(data: bytes) -> bool:
    """Tell whether the directory of an OLE file lies beyond its end ([MS-CFB], section 2.2)."""
    if len(data) < 52:
        return True
    (shift,) = struct.unpack_from("<H", data, 30)
    (sector,) = struct.unpack_from("<I", data, 48)
    return shift in (9, 12) and (sector + 1) << shift >= len(data)


def check_xml(data: bytes, name: str) -> None:
    """Refuse XML that declares entities: they expand without end, or reach for other files.

    Raises:
        UnreadableError: It does, or is in an encoding that could hide it.
    """
    head = data[:4]
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff") or (b"\0" in head and b"<" in head)
    if wide:
        text = data.replace(b"\0", b"")
    else:
        text = data.removeprefix(b"\xef\xbb\xbf")
        declared = _DECLARED.match(text[:300])
        odd = text[:1] not in (b"<", b"\n", b"\r", b" ", b"\t", b"")
        if odd or (declared and not _PLAIN_ENCODINGS.fullmatch(declared[1].decode().lower())):
            detail = f"{name} in it is no XML, or in an encoding that is not read"
            raise UnreadableError("unreadable", detail)
    if b"<!ENTITY" in text:
        detail = f"{name} in it declares XML entities, which no honest file of its kind does"
        raise UnreadableError("xml_entities", detail)


def parse_xml(data: bytes, name: str) -> "_Element":
    """Parse XML with entities, external DTDs and the network off.

    Raises:
        UnreadableError: Broken, nested too deeply, or with entities.
    """
    from lxml import etree

    check_xml(data, name)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableError("unreadable", f"{name} in it: {error}"[:300]) from error


def core_properties(package: Package) -> Properties:
    """Read the title, dates and author of a docx, pptx or xlsx file; a broken part says nothing."""
    if "docProps/core.xml" not in package:
        return Properties()
    try:
        root = package.xml("docProps/core.xml")
    except UnreadableError:
        return Properties()
    return properties_of(root)


def properties_of(root: "_Element") -> Properties:
    """Read Dublin Core, Office and OpenDocument elements, wherever in a tree they stand."""
    from lxml import etree

    found: dict[str, list[str]] = {}
    for element in root.iter(etree.Element):
        value = " ".join(clean_text(element.text or "").split())
        if value:
            found.setdefault(etree.QName(element).localname, []).append(value)
    first = {name: values[0] for name, values in found.items()}
    metadata: dict[str, Any] = {}
    author = first.get("initial-creator") or ", ".join(found.get("creator", ()))
    # A name that a program writes itself tells nothing.
    if author and author not in ("python-docx", "openpyxl", "PptxGenJS", "Unknown"):
        metadata["author"] = author
    keywords = found.get("keywords", []) + found.get("keyword", [])
    if keywords:
        metadata["keywords"] = ", ".join(keywords)
    for name in ("subject", "description", "category", "publisher"):
        if name in first and not first[name].startswith("generated "):
            metadata[name] = first[name][:2000]
    title = first.get("title", "")
    return Properties(
        title=None if not title or _NO_TITLE.fullmatch(title) else title,
        created=iso_date(first.get("created") or first.get("creation-date")),
        modified=iso_date(first.get("modified") or first.get("date")),
        license=first.get("rights"),
        metadata=metadata,
    )


def iso_date(value: str | None) -> str | None:
    """Return a date or time as ISO 8601 if it is one; fractions of a second are cut off."""
    match = re.match(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?", value or "")
    if match is None or match[0].startswith(("0000", "1601-01-01")):
        return None
    zone = re.search(r"(?<=\d)(?:Z|[+-]\d\d:?\d\d)$", (value or "")[10:])
    return match[0] + (zone[0] if zone else "")


def _check_sizes(entries: list[ZipInfo], packed_bytes: int) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > _MAX_ENTRIES:
        detail = f"{len(entries):,} entries in it, the limit is {_MAX_ENTRIES:,}"
        raise UnreadableError("too_large", detail)
    if unpacked > _MAX_UNPACKED_BYTES:
        raise UnreadableError("too_large", f"unpacks to {unpacked:,} bytes")
    if unpacked > _RATIO_COUNTS_FROM_BYTES and unpacked > _MAX_RATIO * packed_bytes:
        detail = f"{packed_bytes:,} bytes unpack to {unpacked:,}: a zip bomb"
        raise UnreadableError("bomb", detail)


def _read(archive: ZipFile, entry: ZipInfo) -> bytes:
    if entry.file_size > _MAX_XML_BYTES:
        detail = f"{entry.filename} in it has {entry.file_size:,} bytes"
        raise UnreadableError("too_large", detail)
    try:
        # zipfile never gives more than the size that the entry states, which was checked.
        return archive.read(entry)
    except BROKEN_ZIP as error:
        detail = f"{entry.filename} in it is broken: {error}"[:300]
        raise UnreadableError("unreadable", detail) from error
