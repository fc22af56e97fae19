import random
from pathlib import Path

from tests.sources.outlook_samples import make_msg
from tests.sources.samples import load_bytes, make_pdf

PLAIN = {
    0x0C1A: "Ilse Brandt",
    0x0C1F: "ilse@example.org",
    0x0E04: "Crew <crew@example.org>",
    0x0037: "Sunday ferry",
    0x1000: "The last ferry leaves at 18:40.\r\n",
}


def test_headers_text_and_attachments(tmp_path: Path) -> None:
    attached = {"fares.pdf": make_pdf([["Two crowns a head."]]), "notes.txt": b"x" * 5000}
    loaded = load_bytes(tmp_path, "m.msg", make_msg(PLAIN, attached))
    message, pdf, notes = loaded.documents
    assert message.text == (
        "# Email Message\n\n**From:** ilse@example.org (Ilse Brandt)\n"
        "**To:** Crew <crew@example.org>\n**Subject:** Sunday ferry\n\n## Content\n\n"
        "The last ferry leaves at 18:40."
    )
    assert (message.uri, message.title) == ("kb/m.msg", "Sunday ferry")
    assert message.metadata["from"] == "ilse@example.org (Ilse Brandt)"
    assert pdf.uri == "kb/m.msg/fares.pdf"
    assert "Two crowns" in pdf.text
    assert (notes.uri, notes.text) == ("kb/m.msg/notes.txt", "x" * 5000)


def test_a_text_in_html(tmp_path: Path) -> None:
    html = {**PLAIN, 0x1000: "", 0x1013: b"<h2>Times</h2><p>At <b>18:40</b></p>"}
    (message,) = load_bytes(tmp_path, "m.msg", make_msg(html)).documents
    assert "## Times\n\nAt **18:40**" in message.text


def test_an_address_within_exchange_is_left_out(tmp_path: Path) -> None:
    sent = {**PLAIN, 0x0C1F: "/O=EXCHANGE/OU=FIRST/CN=ILSE"}
    (message,) = load_bytes(tmp_path, "m.msg", make_msg(sent)).documents
    assert "**From:** Ilse Brandt\n" in message.text


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    rtf = {**PLAIN, 0x1000: "", 0x1009: b"compressed"}
    loaded = load_bytes(tmp_path, "m.msg", make_msg(rtf))
    assert [fault.reason for fault in loaded.faults] == ["rtf_body"]
    assert "Sunday ferry" in loaded.documents[0].text
    for data in (b"", b"no message", make_msg(PLAIN)[:700]):
        loaded = load_bytes(tmp_path, "m.msg", data)
        assert [fault.reason for fault in loaded.faults] == ["unreadable"]


def test_random_damage_never_crashes(tmp_path: Path) -> None:
    picker = random.Random(11)
    good = make_msg(PLAIN, {"a.txt": b"text"})
    for _ in range(200):
        data = bytearray(good)
        for _ in range(picker.randint(1, 10)):
            data[picker.randrange(len(data))] = picker.randrange(256)
        load_bytes(tmp_path, "m.msg", bytes(data))
