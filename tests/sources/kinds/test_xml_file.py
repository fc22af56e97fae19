from pathlib import Path

import pytest

from tests.sources.samples import load_bytes


def test_data_is_a_list_of_names_and_values(tmp_path: Path) -> None:
    data = b"""<?xml version="1.0"?><!-- note --><f:fares xmlns:f="urn:x" year="2024">
    <?pi x?><fare id="a"><who>adult</who><crowns>2.5</crowns><none/></fare>
    <fare><![CDATA[free & easy]]></fare><mixed>two <b>crowns</b> only</mixed></f:fares>"""
    (document,) = load_bytes(tmp_path, "kb_fares.xml", data).documents
    assert (document.title, document.media_type) == ("kb fares", "application/xml")
    assert document.text == (
        "- fares (year: 2024):\n  - fare (id: a):\n    - who: adult\n    - crowns: 2.5\n"
        "    - none\n  - fare: free & easy\n  - mixed: two crowns only"
    )


def test_prose_is_markdown(tmp_path: Path) -> None:
    data = b"""<book><title>Ferry</title><chapter><title>Fares</title>
    <para>Two <emphasis>crowns</emphasis>
    a head.</para><itemizedlist><listitem><para>adults</para></listitem>
    <listitem><para>dogs</para></listitem></itemizedlist>
    <programlisting>fare = 2
  half = 1</programlisting>
    <table><row><entry>Day</entry><entry>Last</entry></row>
    <row><entry>Sunday</entry><entry>18:40</entry></row></table></chapter></book>"""
    (document,) = load_bytes(tmp_path, "x.xml", data).documents
    assert document.title == "Ferry"
    assert document.text == (
        "# Ferry\n\n## Fares\n\nTwo crowns a head.\n\n- adults\n\n- dogs\n\n"
        "```\nfare = 2\n  half = 1\n```\n\n"
        "| Day | Last |\n| --- | --- |\n| Sunday | 18:40 |"
    )


def test_an_encoding_that_lies(tmp_path: Path) -> None:
    for declared, real in (("utf-8", "cp1252"), ("utf-16", "utf-8"), ("nonsense", "utf-8")):
        data = f'<?xml version="1.0" encoding="{declared}"?><a>schön in Köln</a>'.encode(real)
        (document,) = load_bytes(tmp_path, "x.xml", data).documents
        assert document.text == "- a: schön in Köln"


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha" * 50}">' for i in range(12))


@pytest.mark.parametrize("name", ["x.xml", "x.rss"])
@pytest.mark.parametrize("root", ["<a>%s</a>", "<rss version='2.0'><channel><title>%s</title></channel></rss>"])  # fmt: skip  # noqa: E501
@pytest.mark.parametrize(
    ("entities", "body"),
    [
        (LAUGHS, "&l11;"),
        (f'<!ENTITY big "{"x" * 100_000}">', "&big;" * 10_000),
        ('<!ENTITY file SYSTEM "SECRET">', "&file;"),
        ('<!ENTITY % other SYSTEM "SECRET"> %other;', "text"),
    ],
)
def test_entities_stay_what_they_are(
    tmp_path: Path, name: str, root: str, entities: str, body: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret words")
    document_type = f"<!DOCTYPE a [{entities}]>".replace("SECRET", secret.as_uri())
    loaded = load_bytes(tmp_path, name, (document_type + root % body).encode())
    text = "".join(document.text + document.title for document in loaded.documents)
    assert len(text) < 200_000
    assert "secret words" not in text


@pytest.mark.parametrize(
    "data",
    [b"", b"<a>", b"<a></b>", b"<a>" * 100_000, b"\0\1\2", b"<a>&nosuch;</a>"],
)
def test_what_cannot_be_read_is_a_fault(tmp_path: Path, data: bytes) -> None:
    loaded = load_bytes(tmp_path, "x.xml", data)
    assert [fault.reason for fault in loaded.faults] in (["unreadable"], ["not_text"])
