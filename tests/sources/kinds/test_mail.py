import io
import random
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from domainforge.sources.kinds import members
from tests.sources.samples import load_bytes, make_pdf


def make_message(text: str = "The last ferry leaves at 18:40.") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ilse Brändt <ilse@example.org>"
    message["To"] = "crew@example.org"
    message["Subject"] = "Sunday ferry: Fähre"
    message["Date"] = "Sun, 22 Dec 2024 11:23:00 +0300"
    message["Message-ID"] = "<1@example.org>"
    message.set_content(text)
    return message


def test_headers_and_text(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "m.eml", make_message().as_bytes()).documents
    assert document.text == (
        "# Email Message\n\n**From:** Ilse Brändt <ilse@example.org>\n**To:** crew@example.org\n"
        "**Subject:** Sunday ferry: Fähre\n**Date:** Sun, 22 Dec 2024 11:23:00 +0300\n\n"
        "## Content\n\nThe last ferry leaves at 18:40."
    )
    assert (document.uri, document.title) == ("kb/m.eml", "Sunday ferry: Fähre")
    assert (document.media_type, document.created) == (
        "message/rfc822",
        "2024-12-22T08:23:00+00:00",
    )
    assert document.metadata["message_id"] == "<1@example.org>"


def test_plain_text_is_preferred_to_html(tmp_path: Path) -> None:
    message = make_message()
    message.add_alternative("<h2>Times</h2><p>18:40</p>", subtype="html")
    (document,) = load_bytes(tmp_path, "m.eml", message.as_bytes()).documents
    assert "leaves at 18:40" in document.text
    assert "Times" not in document.text


def test_html_becomes_markdown(tmp_path: Path) -> None:
    message = make_message(" ")
    message.add_alternative("<h2>Times</h2><script>x()</script><p>At <b>8</b></p>", subtype="html")
    (document,) = load_bytes(tmp_path, "m.eml", message.as_bytes()).documents
    assert document.text.endswith("## Content\n\n## Times\n\nAt **8**")


def test_attachments_by_their_own_kind(tmp_path: Path) -> None:
    message = make_message()
    pdf = make_pdf([["Two crowns a head."]])
    message.add_attachment(pdf, maintype="application", subtype="pdf", filename="../färe.pdf")
    message.add_attachment(b"bad", maintype="application", subtype="pdf", filename="bad.pdf")
    message.add_attachment(b"x", maintype="image", subtype="png", filename="logo.png")
    message.add_attachment("a,b\n1,2\n", subtype="csv", filename="t.csv")
    loaded = load_bytes(tmp_path, "m.eml", message.as_bytes())
    assert [document.uri for document in loaded.documents] == [
        "kb/m.eml",
        "kb/m.eml/färe.pdf",
        "kb/m.eml/t.csv",
    ]
    assert [fault.uri for fault in loaded.faults] == ["kb/m.eml/bad.pdf"]
    assert [(i.uri, i.reason) for i in loaded.dropped] == [("kb/m.eml/logo.png", "unknown_kind")]


def test_forwarded_messages_are_documents_of_their_own(tmp_path: Path) -> None:
    inner = make_message("The inner text.")
    inner.add_attachment("deep notes", filename="notes.txt")
    outer = make_message("The outer text.")
    outer.add_attachment(inner)
    message, forwarded, notes = load_bytes(tmp_path, "m.eml", outer.as_bytes()).documents
    assert "The inner text" not in message.text
    assert forwarded.uri == "kb/m.eml/Sunday ferry: Fähre.eml"
    assert "The inner text." in forwarded.text
    assert notes.uri == "kb/m.eml/Sunday ferry: Fähre.eml/notes.txt"


def test_messages_in_messages_to_a_depth(tmp_path: Path) -> None:
    message = make_message("bottom")
    for _ in range(8):
        outer = make_message("outer")
        outer.add_attachment(message)
        message = outer
    loaded = load_bytes(tmp_path, "m.eml", message.as_bytes())
    assert len(loaded.documents) == members.MAX_DEPTH + 1
    assert [fault.reason for fault in loaded.faults] == ["nested_too_deep"]


def test_a_bomb_in_a_mail_ends_the_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "_FREE_BYTES", 100_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"0" * 5_000_000)
    message = make_message()
    message.add_attachment(
        buffer.getvalue(), maintype="application", subtype="zip", filename="a.zip"
    )
    loaded = load_bytes(tmp_path, "m.eml", message.as_bytes())
    assert [(fault.uri, fault.reason) for fault in loaded.faults] == [("kb/m.eml", "bomb")]


RAW = b"From: a@example.org\r\nSubject: S\r\n%s\r\n\r\n%s"


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        (b'Content-Type: text/plain; charset="koi8-r"', "Паром".encode("koi8-r"), "Паром"),
        (b"Content-Type: text/plain; charset=none", "schön".encode("cp1252"), "schön"),
        (b"X: y", "Köln".encode(), "Köln"),
        (b"Content-Transfer-Encoding: base64", b"QSBmZXJyeQ=!!", "A ferry"),
        (b"Content-Transfer-Encoding: quoted-printable", b"A =66erry =ZZ", "A ferry =ZZ"),
        (b"Content-Type: multipart/mixed; boundary=x", b"--x\r\n\r\nA ferry", "A ferry"),
        (b"Content-Type: multipart/mixed", b"A ferry", ""),
    ],
)  # fmt: skip
def test_charsets_and_broken_mime(tmp_path: Path, headers: bytes, body: bytes, text: str) -> None:
    (document,) = load_bytes(tmp_path, "m.eml", RAW % (headers, body)).documents
    assert document.text.partition("## Content")[2].strip() == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unreadable"),
        (b"\xff\xfe\0no mail", "unreadable"),
        (RAW % (b"Content-Type: multipart/encrypted; boundary=x", b"--x\r\nContent-Type: a/b\r\n"),
         "encrypted"),
        (RAW % (b"Content-Type: application/pkcs7-mime; name=smime.p7m", b"xx"), "encrypted"),
    ],
)  # fmt: skip
def test_what_is_no_readable_mail(tmp_path: Path, data: bytes, reason: str) -> None:
    loaded = load_bytes(tmp_path, "m.eml", data)
    assert [fault.reason for fault in loaded.faults] == [reason]


@pytest.mark.slow
def test_hostile_structure_ends_as_a_fault(tmp_path: Path) -> None:
    body = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i)
        for i in range(3000)
    )
    loaded = load_bytes(tmp_path, "m.eml", b"Subject: x\r\n" + body)
    assert loaded.faults
    parts = b"--x\r\n\r\ny\r\n" * 20_000
    loaded = load_bytes(
        tmp_path, "m.eml", RAW % (b"Content-Type: multipart/mixed; boundary=x", parts)
    )
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]


@pytest.mark.slow
def test_random_damage_never_crashes(tmp_path: Path) -> None:
    picker = random.Random(13)
    message = make_message()
    message.add_alternative("<p>html</p>", subtype="html")
    message.add_attachment("x,y\n1,2\n", subtype="csv", filename="färe.csv")
    message.add_attachment(make_message())
    good = message.as_bytes()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(picker.randint(1, 30)):
            data[picker.randrange(len(data))] = picker.choice(b'=?;:"<>()\r\n\0\xff az09-_/,')
        load_bytes(tmp_path, "m.eml", bytes(data))
