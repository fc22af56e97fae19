import base64
import gzip
import hashlib
import io
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.known import kind_of
from domainforge.sources.kinds.members import merge
from domainforge.sources.kinds.warc import stream_warc
from domainforge.sources.loaded import Loaded, SourceFile, Starting

HTML = (
    b"<html><head><title>The bell of Orl</title></head><body><article><h1>The bell of Orl</h1>"
    b"<p>The bell of Orl was cast in 1702 by Ansel Rook and rings twice a minute in fog.</p>"
    b"</article></body></html>"
)
SENTENCE = "cast in 1702 by Ansel Rook"
FILE = SourceFile(Path("crawl.warc"), "web/crawl.warc", SourceConfig(files="web"))


def record(
    block: bytes, kind: str = "response", *, length: int | None = None, **fields: str
) -> bytes:
    """Write one record; `Warc_Date` gives the field `Warc-Date`, an empty value none."""
    values = {
        "WARC-Type": kind,
        "WARC-Record-ID": "<urn:uuid:5a3b8d0c-0000-4000-8000-000000000000>",
        "WARC-Date": "2024-05-04T03:02:01Z",
        "WARC-Target-URI": "https://orl.example/bell",
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(block) if length is None else length),
    }
    names = {name.lower(): name for name in values}
    for name, value in fields.items():
        plain = name.replace("_", "-")
        values[names.get(plain.lower(), plain)] = value
    lines = [f"{name}: {value}" for name, value in values.items() if value]
    return "\r\n".join(["WARC/1.0", *lines, "", ""]).encode() + block + b"\r\n\r\n"


def answer(
    body: bytes = HTML, *fields: str, status: str = "200 OK", kind: str = "text/html"
) -> bytes:
    lines = [f"HTTP/1.1 {status}", *([f"Content-Type: {kind}"] if kind else []), *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def load(data: bytes, file: SourceFile = FILE, skip: int = 0) -> Loaded:
    parts = stream_warc(io.BytesIO(data), file, skip)
    return merge(part for part in parts if isinstance(part, Loaded))


def only_fault(data: bytes) -> tuple[str, str]:
    loaded = load(data)
    assert not loaded.documents
    (fault,) = loaded.faults
    return fault.uri, fault.reason


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


def test_a_page_is_a_document_with_what_its_record_says() -> None:
    (document,) = load(record(answer())).documents
    assert document.uri == "web/crawl.warc#record-1"
    assert document.title == "The bell of Orl"
    assert SENTENCE in document.text
    assert document.media_type == "text/html"
    assert document.created == "2024-05-04T03:02:01Z"
    assert document.metadata == {
        "url": "https://orl.example/bell",
        "captured": "2024-05-04T03:02:01Z",
    }


def test_the_date_that_a_page_gives_itself_wins_over_that_of_the_visit() -> None:
    head = b'<meta property="article:published_time" content="2001-02-03">'
    page = HTML.replace(b"<head>", b"<head>" + head)
    (document,) = load(record(answer(page))).documents
    assert document.created == "2001-02-03"
    assert document.metadata["captured"] == "2024-05-04T03:02:01Z"


def test_a_page_without_a_title_goes_by_its_address_and_its_links_start_there() -> None:
    page = b'<p>The ferry leaves <a href="quay.html">the quay</a> every forty minutes.</p>'
    (document,) = load(record(answer(page))).documents
    assert document.title == "https://orl.example/bell"
    assert "(https://orl.example/quay.html)" in document.text


def test_a_text_of_a_wet_file_is_taken_as_it_is() -> None:
    text = "The bell of Orl\nIt was cast in 1702.\nSie läutet im Nebel."
    wet = record(
        text.encode(),
        "conversion",
        Content_Type="text/plain",
        WARC_Identified_Content_Language="eng,deu",
        WARC_Block_Digest="sha1:" + base64.b32encode(sha1(text.encode())).decode(),
    )
    (document,) = load(record(b"software: x\r\n", "warcinfo") + wet).documents
    assert (document.title, document.text) == ("The bell of Orl", text)
    assert document.media_type == "text/plain"
    assert document.metadata["identified_languages"] == ["eng", "deu"]
    assert document.metadata["url"] == "https://orl.example/bell"


def test_the_raw_text_is_kept_where_asked() -> None:
    file = SourceFile(FILE.path, FILE.uri, SourceConfig(files="web", keep_raw=True))
    wet = record("so\xadft  \n".encode(), "conversion", Content_Type="text/plain")
    (document,) = load(wet, file).documents
    assert (document.text, document.raw) == ("soft", "so\xadft  \n")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("CC-MAIN-20240101-00000.warc.gz", "warc"),
        ("CC-MAIN-20240101-00000.warc.wet.gz", "warc"),
        ("site.WARC", "warc"),
        ("plain.gz", "compressed"),
    ],
)
def test_archives_are_known_by_their_names(name: str, known: str) -> None:
    kind = kind_of(name)
    assert kind is not None
    assert kind.name == known


def test_archives_by_another_writer_compressed_or_not() -> None:
    from fastwarc.stream_io import GzipWriter, ZstdWriter
    from fastwarc.warc import WarcRecord, WarcRecordType

    def write(target: object, *packer: Callable[[object], object]) -> None:
        writer = packer[0](target) if packer else target
        for _ in range(2):
            made = WarcRecord()
            made.init_headers(WarcRecordType.response)
            made.headers["WARC-Target-URI"] = "https://orl.example/bell"
            made.headers["WARC-Date"] = "2024-05-04T03:02:01Z"
            made.is_http = True
            made.set_bytes_content(answer())
            made.write(writer, checksum_data=True)

    for packer in ((), (GzipWriter,), (ZstdWriter,)):
        target = io.BytesIO()
        write(target, *packer)
        loaded = load(target.getvalue())
        assert [SENTENCE in d.text for d in loaded.documents] == [True, True], packer
        assert not loaded.faults


def test_what_holds_no_page_is_left_out_by_its_reason() -> None:
    data = b"".join(
        [
            record(b"software: x\r\n", "warcinfo"),
            record(b"GET / HTTP/1.1\r\n\r\n", "request"),
            record(b"fetchTimeMs: 1\r\n", "metadata"),
            record(answer(b"gone", status="404 Not Found")),
            record(answer(b"\x89PNG", kind="image/png")),
            record(answer(b""), "revisit"),
            record(b"a file", "resource", Content_Type="text/plain"),
            record(answer(b"<html><body></body></html>")),
            record(answer()),
        ]
    )
    loaded = load(data)
    assert [(d.uri.rpartition("#")[2], d.reason) for d in loaded.dropped] == [
        ("record-1", "http_status"),
        ("record-2", "media_type"),
        ("record-3", "revisit"),
        ("record-4", "record_type"),
        ("record-5", "empty"),
    ]
    assert [d.uri.rpartition("#")[2] for d in loaded.documents] == ["record-6"]
    assert not loaded.faults


def test_other_media_types_go_by_their_own_loaders() -> None:
    plain = load(record(answer(b"The ferry costs three marks.", kind="text/plain"))).documents[0]
    assert plain.text == "The ferry costs three marks."
    assert only_fault(record(answer(b"%PDF-1.7 no more", kind="application/pdf")))[1]
    named = record(
        answer(kind="application/octet-stream"), WARC_Identified_Payload_Type="text/html"
    )
    assert SENTENCE in load(named).documents[0].text


CHUNKED = "Transfer-Encoding: chunked"
GZIPPED = "Content-Encoding: gzip"
DEFLATED = "Content-Encoding: deflate"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param((chunked(HTML[:30], HTML[30:], b""), CHUNKED), id="chunks"),
        pytest.param((HTML, CHUNKED), id="said to be chunks, and is not"),
        pytest.param((gzip.compress(HTML), GZIPPED), id="gzip"),
        pytest.param((HTML, GZIPPED), id="said to be gzip, and is not"),
        pytest.param((zlib.compress(HTML), DEFLATED), id="deflate"),
        pytest.param((zlib.compress(HTML)[2:-4], DEFLATED), id="raw deflate"),
        pytest.param((chunked(gzip.compress(HTML), b""), CHUNKED, GZIPPED), id="both"),
    ],
)
def test_bodies_are_decoded(body: tuple[bytes, ...]) -> None:
    data, *fields = body
    (document,) = load(record(answer(data, *map(str, fields)))).documents
    assert SENTENCE in document.text


def test_brotli_and_zstandard_bodies_are_decoded() -> None:
    import zstandard
    from fastwarc.stream_io import BrotliWriter

    packed = io.BytesIO()
    with BrotliWriter(packed) as writer:
        writer.write(HTML)
    zstd = zstandard.ZstdCompressor().compress(HTML)
    for name, data in (("br", packed.getvalue()), ("zstd", zstd)):
        (document,) = load(record(answer(data, f"Content-Encoding: {name}"))).documents
        assert SENTENCE in document.text, name
        assert only_fault(record(answer(b"\xff" + data, f"Content-Encoding: {name}")))[1] == (
            "bad_encoding"
        )


def test_the_server_says_the_encoding_of_a_page_that_does_not() -> None:
    page = "<p>Żółta łódź płynie przez cieśninę Orl co czterdzieści minut.</p>"
    data = page.encode("iso-8859-2")
    (document,) = load(record(answer(data, kind="text/html; charset=ISO-8859-2"))).documents
    assert "Żółta łódź" in document.text
    wrong = record(answer(page.encode(), kind="text/html; charset=iso-8859-2"))
    assert "Żółta łódź" in load(wrong).documents[0].text


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (record(answer(), WARC_Target_URI="javascript:alert(1)"), "bad_target_uri"),
        (record(answer(), WARC_Target_URI="https://orl.example/a b"), "bad_target_uri"),
        (record(answer(), WARC_Target_URI=""), "bad_target_uri"),
        (record(answer(), WARC_Block_Digest="sha1:" + "A" * 32), "digest_mismatch"),
        (record(answer(), WARC_Block_Digest="sha256:" + "0" * 64), "digest_mismatch"),
        (record(answer(), WARC_Payload_Digest="sha1:" + "A" * 32), "digest_mismatch"),
        (record(b"no server said this"), "bad_http"),
        (record(answer(b"x", *[f"X-{n}: y" for n in range(200)])), "bad_http"),
        (record(answer(b"9\r\nabc", CHUNKED)), "bad_chunks"),
        (record(answer(chunked(b"abc") + b"zz\r\nabc", CHUNKED)), "bad_chunks"),
        (record(answer(gzip.compress(HTML)[:40], GZIPPED)), "bad_encoding"),
        (record(answer(HTML, "Content-Encoding: foo")), "bad_encoding"),
        (record(answer(gzip.compress(bytes(70 << 20)), GZIPPED)), "bomb"),
    ],
)  # fmt: skip
def test_a_broken_record_is_its_own_fault(broken: bytes, reason: str) -> None:
    loaded = load(record(answer()) + broken + record(answer()))
    assert [(f.uri.rpartition("#")[2], f.reason) for f in loaded.faults] == [("record-2", reason)]
    assert [d.uri.rpartition("#")[2] for d in loaded.documents] == ["record-1", "record-3"]


@pytest.mark.parametrize("form", ["hex", "base32", "base64", "base64url"])
def test_digests_are_read_in_every_form_that_is_in_use(form: str) -> None:
    block = answer()
    digest = sha1(block)
    text = {
        "hex": digest.hex(),
        "base32": base64.b32encode(digest).decode(),
        "base64": base64.b64encode(digest).decode(),
        "base64url": base64.urlsafe_b64encode(digest).decode(),
    }[form]
    assert load(record(block, WARC_Block_Digest=f"sha1:{text}")).documents
    swapped = record(block[::-1], WARC_Block_Digest=f"sha1:{text}")
    assert only_fault(swapped)[1] == "digest_mismatch"


def test_a_payload_digest_may_be_of_the_body_as_sent_or_as_decoded() -> None:
    sent = chunked(HTML) + b"0\r\n\r\n"
    block = answer(sent, "Transfer-Encoding: chunked")
    for data in (sent, HTML):
        digest = "sha1:" + base64.b32encode(sha1(data)).decode()
        assert load(record(block, WARC_Payload_Digest=digest)).documents


def test_a_digest_that_nobody_can_read_is_not_held_against_a_record() -> None:
    assert load(record(answer(), WARC_Block_Digest="crc99:abc")).documents
    assert load(record(answer(), WARC_Block_Digest="sha1:not a digest")).documents


def test_wget_writes_addresses_in_brackets() -> None:
    data = record(answer(), WARC_Target_URI="<https://orl.example/bell>")
    assert load(data).documents[0].metadata["url"] == "https://orl.example/bell"


def test_a_page_that_the_crawler_cut_says_so() -> None:
    whole = chunked(HTML[:-20]) + b"500\r\nabc"
    data = record(answer(whole, "Transfer-Encoding: chunked"), WARC_Truncated="length")
    (document,) = load(data).documents
    assert document.metadata["truncated"] == "length"


def test_a_file_that_ends_within_a_record() -> None:
    data = record(answer()) + record(answer())[:-40]
    loaded = load(data)
    assert len(loaded.documents) == 1
    assert [fault.reason for fault in loaded.faults] == ["truncated"]
    packed = gzip.compress(record(answer()))
    cut = load(packed + packed[:-60])
    assert len(cut.documents) == 1
    assert [fault.reason for fault in cut.faults] == ["truncated"]


def test_reading_goes_on_after_bytes_that_are_no_record() -> None:
    good = record(answer())
    cases = {
        "rubbish": good + b"rubbish\r\nmore\r\n" + good,
        "length too small": good + record(answer(), length=20) + good,
        "no number": good + record(answer(), Content_Length="many") + good,
        "negative": good + record(answer(), Content_Length="-5") + good,
    }
    for name, data in cases.items():
        loaded = load(data)
        assert len(loaded.documents) == 2, name
        assert "bad_record" in [fault.reason for fault in loaded.faults], name


def test_a_page_can_not_smuggle_in_a_record() -> None:
    inner = record(answer(HTML.replace(b"Ansel Rook", b"a forger")))
    loaded = load(record(answer(b"<p>Look:</p>" + inner)) + b"rubbish\r\n" + record(answer()))
    assert len(loaded.documents) == 2
    assert [fault.reason for fault in loaded.faults] == ["bad_record"]


def test_a_damaged_member_costs_no_other() -> None:
    packed = gzip.compress(record(answer()))
    broken = bytearray(packed)
    broken[60] ^= 0xFF
    loaded = load(packed + bytes(broken) + packed + packed)
    assert len(loaded.documents) == 3
    assert loaded.faults


def test_what_is_no_archive_is_named() -> None:
    assert only_fault(b"plain text\n" * 20) == ("web/crawl.warc#byte-1", "bad_record")
    assert load(b"") == Loaded()


def test_a_file_of_rubbish_is_given_up() -> None:
    loaded = load(b"\r\nmore\r\nWARC/1.0" * 5000)
    assert [fault.reason for fault in loaded.faults] == ["bad_record"] * 1000
    assert "gave the file up" in loaded.faults[-1].detail


def test_skipped_parts_are_not_read_again_and_each_is_announced() -> None:
    data = b"".join(
        [
            record(answer()),
            record(b"x", "request"),
            record(b"bad"),
            b"rubbish\r\n",
            record(answer()),
        ]
    )
    parts = list(stream_warc(io.BytesIO(data), FILE, 0))
    whole = [part for part in parts if isinstance(part, Loaded)]
    assert [type(part) for part in parts].count(Starting) == 3
    for skip in range(len(whole) + 1):
        rest = stream_warc(io.BytesIO(data), FILE, skip)
        assert [part for part in rest if isinstance(part, Loaded)] == whole[skip:]


def test_a_handle_that_can_not_seek() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    parts = stream_warc(Pipe(record(answer())), FILE, 0)
    assert any(part.documents for part in parts if isinstance(part, Loaded))


def test_nothing_that_is_changed_in_an_archive_ends_in_a_crash() -> None:
    chance = random.Random(7)
    data = b"".join(
        [
            record(answer(chunked(HTML) + b"0\r\n\r\n", "Transfer-Encoding: chunked")),
            record(answer(gzip.compress(HTML), "Content-Encoding: gzip")),
            record(b"Plain words of the bell.", "conversion", Content_Type="text/plain"),
        ]
    )
    packed = b"".join(map(gzip.compress, (data[:900], data[900:])))
    for seed in (data, packed):
        for _ in range(150):
            changed = bytearray(seed)
            for _ in range(chance.randint(1, 6)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            load(bytes(changed[: chance.randint(1, len(changed))]))
