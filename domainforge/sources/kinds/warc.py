"""Web archives (WARC, and WET, their plain text) of any size, record by record."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode
from domainforge.sources.kinds.known import BY_NAME
from domainforge.sources.kinds.members import seekable
from domainforge.sources.kinds.warc_payload import check_digests, read_http
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, Starting, UnreadableError

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord

_MAX_BLOCK_BYTES = 64 << 20
_MAX_BREAKS = 1000
_SCAN_BYTES = 1 << 20
_MAX_TITLE_CHARS = 200
_GZIP_MEMBER = re.compile(rb"\x1f\x8b\x08")
_RECORD = re.compile(rb"WARC/[01]\.\d")
_ADDRESS = re.compile(r"https?://[^\s<>\x00-\x1f\x7f]+", re.IGNORECASE)
# They describe other records and hold no text of their own.
_ABOUT_OTHERS = frozenset(("warcinfo", "request", "metadata"))
_KIND_OF_MEDIA = {
    "text/html": "web page",
    "application/xhtml+xml": "web page",
    "text/plain": "text",
    "application/pdf": "pdf",
}


@dataclass(frozen=True)
class _Break:
    """Bytes of an archive that are no record."""

    start: int
    detail: str


def stream_warc(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded | Starting]:
    """Read a web archive, plain or compressed: a part for every record that may have a text.

    Pages (`response` with status 200) become documents by the loaders of their media types, and
    texts of WET files (`conversion`) as they are. What is wrong with a record is its own fault;
    after bytes that are no record reading goes on at the next one.
    """
    number = 0
    with seekable(handle) as whole:
        for found in _find_records(whole):
            if isinstance(found, _Break):
                number += 1
                if number > skip:
                    fault = LeftOut(f"{file.uri}#byte-{found.start}", "bad_record", found.detail)
                    yield Loaded(faults=(fault,))
            elif found.headers.get("WARC-Type") not in _ABOUT_OTHERS:
                number += 1
                if number > skip:
                    uri = f"{file.uri}#record-{number}"
                    yield Starting(uri)
                    yield _load_record(found, replace(file, uri=uri))


def _find_records(handle: BinaryIO) -> Iterator["WarcRecord | _Break"]:
    from fastwarc.warc import ArchiveIterator

    start: int | None = handle.tell()
    packed = handle.read(2) == b"\x1f\x8b"
    marker = _GZIP_MEMBER if packed else _RECORD
    breaks = 0
    while start is not None:
        handle.seek(start)
        trusted = start + 1
        try:
            for record in ArchiveIterator(handle, parse_http=False):
                # A record in a page's text must not be taken for one of the archive.
                own_bytes = 1 if packed else max(1, record.content_length)
                trusted = record.stream_pos + own_bytes
                yield record
            return
        except OSError as error:
            breaks += 1
            start = _find_marker(handle, trusted, marker)
            after = "nothing is left after it" if start is None else f"went on at byte {start:,}"
            if breaks >= _MAX_BREAKS:
                start, after = None, f"the {breaks}th such place: gave the file up"
            yield _Break(trusted, f"no record: {error}; {after}"[:300])


def _find_marker(handle: BinaryIO, start: int, marker: re.Pattern[bytes]) -> int | None:
    """Find where the next record may begin, from a position on."""
    handle.seek(start)
    tail = b""
    while block := handle.read(_SCAN_BYTES):
        match = marker.search(tail + block)
        if match:
            return start - len(tail) + match.start()
        start += len(block)
        tail = (tail + block)[-16:]
    return None


def _load_record(record: "WarcRecord", file: SourceFile) -> Loaded:
    try:
        return _read_record(record, file)
    except UnreadableError as error:
        return Loaded(faults=(LeftOut(file.uri, error.reason, error.detail),))


def _read_record(record: "WarcRecord", file: SourceFile) -> Loaded:
    headers = record.headers
    kind = headers.get("WARC-Type")
    if kind is None or not (headers.get("Content-Length") or "").strip().isdecimal():
        raise UnreadableError("bad_record", "its header names no WARC-Type or no Content-Length")
    if kind == "revisit":
        detail = "unchanged since an earlier visit, whose record has the page"
        return Loaded(dropped=(LeftOut(file.uri, kind, detail),))
    if kind not in ("response", "conversion"):
        detail = f"a record of type {kind[:40]}; pages are responses, texts conversions"
        return Loaded(dropped=(LeftOut(file.uri, "record_type", detail),))
    url = _address(headers.get("WARC-Target-URI"))
    block = _read_block(record)
    check_digests(block, kind, headers.get)
    if kind == "conversion":
        media_type = (headers.get("Content-Type") or "text/plain").partition(";")[0].strip()
        body = block
    else:
        page = read_http(block, headers.get)
        if page.status != 200:
            detail = f"{url}: status {page.status}"
            return Loaded(dropped=(LeftOut(file.uri, "http_status", detail[:300]),))
        media_type, body = page.media_type, page.body
    if media_type not in _KIND_OF_MEDIA:
        detail = f"{url}: {media_type or 'no media type'}"
        return Loaded(dropped=(LeftOut(file.uri, "media_type", detail[:300]),))
    loaded = _text(body, url, file) if kind == "conversion" else _page(body, media_type, url, file)
    facts = _facts(headers.get, url)
    documents = tuple(
        replace(
            document,
            metadata={**document.metadata, **facts},
            created=document.created or facts.get("captured"),
        )
        for document in loaded.documents
        if document.text.strip()
    )
    dropped = loaded.dropped
    if len(documents) < len(loaded.documents):
        dropped += (LeftOut(file.uri, "empty", f"{url}: no text in it"[:300]),)
    return replace(loaded, documents=documents, dropped=dropped)


def _address(target: str | None) -> str:
    """Return the record's URL; wget writes it in angle brackets, as WARC 1.0 shows it."""
    url = (target or "").strip().removeprefix("<").removesuffix(">")
    if not _ADDRESS.fullmatch(url):
        raise UnreadableError("bad_target_uri", f"WARC-Target-URI is no web address: {url[:100]!r}")
    return url


def _read_block(record: "WarcRecord") -> bytes:
    wanted = record.content_length
    if wanted > _MAX_BLOCK_BYTES:
        raise UnreadableError("too_large", f"{wanted:,} bytes, the limit is {_MAX_BLOCK_BYTES:,}")
    block = bytearray()
    try:
        while len(block) < wanted and (data := record.reader.read(wanted - len(block))):
            block += data
    except OSError as error:
        raise UnreadableError("damaged", f"can't be unpacked: {error}"[:300]) from None
    if len(block) < wanted:
        detail = f"{len(block):,} of {wanted:,} bytes are there; load the file again"
        raise UnreadableError("truncated", detail)
    return bytes(block)


def _page(body: bytes, media_type: str, url: str, file: SourceFile) -> Loaded:
    load = BY_NAME[_KIND_OF_MEDIA[media_type]].load
    assert load is not None
    member = replace(file, given={**file.given, "url": url})
    loaded = load(body, member)
    # A page without a title is better known by its address than by the archive's name.
    documents = tuple(
        replace(document, title=url) if document.title == member.stem else document
        for document in loaded.documents
    )
    return replace(loaded, documents=documents)


def _text(body: bytes, url: str, file: SourceFile) -> Loaded:
    raw = decode(body)
    text = clean_text(raw)
    first = " ".join(text.lstrip().partition("\n")[0].split())
    title = first if 0 < len(first) <= _MAX_TITLE_CHARS else url
    kept = raw if file.config.keep_raw else None
    return Loaded((Document(file.uri, title, text, "text/plain", raw=kept),))


def _facts(header: Any, url: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"url": url}
    if captured := header("WARC-Date"):
        facts["captured"] = captured
    if languages := header("WARC-Identified-Content-Language"):
        facts["identified_languages"] = [name.strip() for name in languages.split(",")]
    if truncated := header("WARC-Truncated"):
        # The crawler stopped there; what it took is whole as far as it goes.
        facts["truncated"] = truncated
    return facts
