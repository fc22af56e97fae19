"""What stands in a web archive's record: its digests, and the answer of a web server."""

import base64
import binascii
import codecs
import hashlib
import http.client
import io
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from domainforge.sources.loaded import UnreadableError

_MAX_BODY_BYTES = 64 << 20
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? +(\d{3})\b[^\n]*\n")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,16})[ \t]*(?:;[^\n]*)?\r?\n")
# As browsers do.
_DECLARED_AS = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "us-ascii": "cp1252"}
_ALGORITHMS = frozenset(("sha1", "sha256", "sha512", "md5"))

Header = Callable[[str], str | None]


@dataclass(frozen=True)
class Page:
    """What a server answered.

    Attributes:
        media_type: Lower case, without parameters; empty where nothing tells it.
        body: Decoded; a text in another encoding than UTF-8 is made UTF-8 if its header names it.
    """

    status: int
    media_type: str
    body: bytes = b""


def check_digests(block: bytes, kind: str, header: Header) -> None:
    """Compare a record with its digest, where it has one that can be read.

    That of the block decides. That of the payload is the only one in some archives; whether it is
    of the body as sent or as decoded differs between crawlers, so both are fine.

    Raises:
        UnreadableError: The record is not the one that the digest was made of.
    """
    found = _matches(header("WARC-Block-Digest"), block)
    name = "WARC-Block-Digest"
    if found is None and kind == "response":
        found, name = _payload_matches(header("WARC-Payload-Digest"), block), "WARC-Payload-Digest"
    if found is False:
        raise UnreadableError("digest_mismatch", f"the content is not what {name} was made of")


def read_http(block: bytes, header: Header) -> Page:
    """Take a server's answer apart; the body is decoded only where the status is 200.

    Raises:
        UnreadableError: No answer of a web server, or a body that can't be decoded.
    """
    status, fields, body = _split_http(block)
    content_type = fields.get("Content-Type") or ""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in ("", "application/octet-stream"):
        media_type = (header("WARC-Identified-Payload-Type") or media_type).strip().lower()
    if status != 200:
        return Page(status, media_type)
    cut = header("WARC-Truncated") is not None
    body = _decode_body(body, fields, cut=cut)
    if media_type.startswith("text/") or media_type == "application/xhtml+xml":
        body = _as_utf8(body, fields.get_content_charset())
    return Page(status, media_type, body)


def _split_http(block: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
    match = _STATUS.match(block)
    if match is None:
        raise UnreadableError("bad_http", "does not begin with the status of a web server")
    rest = io.BytesIO(block[match.end() :])
    try:
        fields = http.client.parse_headers(rest)
    except http.client.HTTPException as error:
        raise UnreadableError("bad_http", f"no headers of a web server: {error}"[:300]) from None
    return int(match[1]), fields, rest.read()


def _matches(digest: str | None, data: bytes) -> bool | None:
    """Compare with a digest in hexadecimal, base32 or base64; None where it can't be read."""
    algorithm, _, value = (digest or "").strip().partition(":")
    name = algorithm.lower().replace("-", "")
    if name not in _ALGORITHMS:
        return None
    wanted = hashlib.new(name, data, usedforsecurity=False).digest()
    padded = value + "=" * (-len(value) % 8)
    forms: tuple[Callable[[], bytes], ...] = (
        lambda: bytes.fromhex(value),
        lambda: base64.b32decode(padded, casefold=True),
        lambda: base64.b64decode(value.translate(str.maketrans("-_", "+/")), validate=True),
    )
    readable = False
    for form in forms:
        with suppress(ValueError, binascii.Error):
            found = form()
            if found == wanted:
                return True
            readable = readable or len(found) == len(wanted)
    return False if readable else None


def _payload_matches(digest: str | None, block: bytes) -> bool | None:
    if digest is None:
        return None
    try:
        _, fields, body = _split_http(block)
        found = _matches(digest, body)
        return found if found is not False else _matches(digest, _decode_body(body, fields))
    except UnreadableError:
        return None  # which is said when the body is read


def _decode_body(body: bytes, fields: http.client.HTTPMessage, *, cut: bool = False) -> bytes:
    if "chunked" in (fields.get("Transfer-Encoding") or "").lower():
        body = _join_chunks(body, cut)
    encodings = (fields.get("Content-Encoding") or "").lower().split(",")
    for encoding in reversed([name.strip() for name in encodings]):
        if encoding not in ("", "identity"):
            body = _expand(body, encoding, cut)
    return body


def _join_chunks(body: bytes, cut: bool) -> bytes:
    """Join the chunks of a body; one that has none at all was stored as decoded already."""
    joined = bytearray()
    at = 0
    while match := _CHUNK_SIZE.match(body, at):
        size = int(match[1], 16)
        if size == 0:
            return bytes(joined)
        chunk = body[match.end() : match.end() + size]
        joined += chunk
        at = match.end() + size
        if len(chunk) < size:
            break
        at += 2 if body.startswith(b"\r\n", at) else body.startswith(b"\n", at)
    if not joined:
        return body
    if cut:
        return bytes(joined)
    raise UnreadableError("bad_chunks", f"its chunked encoding breaks off at byte {at:,}")


def _expand(body: bytes, encoding: str, cut: bool) -> bytes:
    """Undo one content encoding; a body without its mark was stored as decoded already."""
    if encoding in ("gzip", "x-gzip"):
        return _inflate(body, (31,), cut) if body.startswith(b"\x1f\x8b") else body
    if encoding == "deflate":
        return _inflate(body, (15, -15), cut)
    if encoding in ("br", "zstd"):
        return _expand_stream(body, encoding)
    raise UnreadableError("bad_encoding", f"its content encoding is {encoding[:40]}")


def _inflate(body: bytes, windows: tuple[int, ...], cut: bool) -> bytes:
    for window in windows:
        expander = zlib.decompressobj(window)
        try:
            data = expander.decompress(body, _MAX_BODY_BYTES + 1)
        except zlib.error:
            continue
        if expander.eof or cut or len(data) > _MAX_BODY_BYTES:
            return _bounded(data)
    raise UnreadableError("bad_encoding", "its compression is broken")


def _expand_stream(body: bytes, encoding: str) -> bytes:
    import zstandard
    from fastwarc.stream_io import BrotliReader

    try:
        if encoding == "br":
            return _bounded(BrotliReader(io.BytesIO(body)).read(_MAX_BODY_BYTES + 1))
        return _bounded(zstandard.ZstdDecompressor().stream_reader(body).read(_MAX_BODY_BYTES + 1))
    except (OSError, zstandard.ZstdError):
        raise UnreadableError("bad_encoding", "its compression is broken") from None


def _bounded(data: bytes) -> bytes:
    if len(data) > _MAX_BODY_BYTES:
        raise UnreadableError("bomb", f"unpacks to more than {_MAX_BODY_BYTES:,} bytes")
    return data


def _as_utf8(body: bytes, charset: str | None) -> bytes:
    """Make UTF-8 of a text whose header names another encoding; a mark in front says so."""
    if charset is None:
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        # A wrong header is common, so the loader's own guess has the last word.
        with suppress(UnicodeError, LookupError, ValueError):
            text = body.decode(_DECLARED_AS.get(charset, charset))
            return codecs.BOM_UTF8 + text.encode()
    return body
