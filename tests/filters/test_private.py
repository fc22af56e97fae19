"""What is done about secrets. Keys are put together here, so that no scanner finds one."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.filters.filtering import filter_rows
from domainforge.filters.private import PrivateCounts, redact_row
from domainforge.filters.rows import FilterConfig
from domainforge.records import Chunk, Example
from domainforge.tables import example_table
from tests.filters.passages import find_reason, make_row, make_text
from tests.support.tables import chunk_table

QUESTION = "How does one reach the engineer Ilse Varga?"
MAIL = "ilse.varga@veltren" + ".example.org"
PHONE = "+49 30 " + "901820"
IBAN = "DE89 3704 0044 " + "0532 0130 00"
TOKEN = "gh" + "p_" + "7aQ2xW9eR4tY6uI1oP3sD5fG8hJ0kLzXcVbN"
PASSWORD = "Gr4nite" + "Falcon77"
PERSONAL = {"e-mail": MAIL, "phone number": PHONE, "IBAN": IBAN}
SECRETS = {"token": f"the token {TOKEN}", "password": f"the password: {PASSWORD}"}

TEXT = f"The engineer Ilse Varga is reached at {MAIL} or {PHONE}; her token is {TOKEN} there."
CHUNK = Chunk("doc", "town.md", "Veltren", (), 0, 0, len(TEXT), TEXT, 30)


def example(question: str, answer: str, **changes: Any) -> Example:
    values: dict[str, Any] = {
        "kind": "chat",
        "document_id": "doc",
        "uri": "town.md",
        "chunk_id": CHUNK.id,
        "start": 0,
        "end": len(TEXT),
        "prompt": "qa",
        "prompt_hash": "h",
        "teacher": "t",
        "messages": (
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ),
        "fields": {"question": question, "answer": answer, "quote": TEXT},
        **changes,
    }
    return Example(**values)


def row_of(answer: str, **changes: Any) -> dict[str, Any]:
    rows: list[dict[str, Any]] = example_table([example(QUESTION, answer, **changes)]).to_pylist()
    return rows[0]


@pytest.mark.parametrize("kind", PERSONAL)
def test_personal_data_drops_a_row_where_it_shall(kind: str) -> None:
    row = make_row(QUESTION, f"Varga, engineer: {PERSONAL[kind]}", basis="free")
    assert find_reason(row) is None
    assert find_reason(row, personal_data="drop") == "personal_data"
    near = make_row(QUESTION, "Varga, engineer: @veltren or 1347-90", basis="free")
    assert find_reason(near, personal_data="drop") is None


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_drops_a_row_unless_told_otherwise(kind: str) -> None:
    row = make_row(QUESTION, f"Varga signs in with {SECRETS[kind]}", basis="free")
    assert find_reason(row) == "secret"
    assert find_reason(row, secrets="flag") is None
    assert find_reason(row, secrets="ignore") is None
    near = make_row(QUESTION, "Varga signs in with the password that she chose", basis="free")
    assert find_reason(near) is None


def test_wherever_it_stands() -> None:
    assert find_reason(make_row(f"Is {TOKEN} the token?", "Yes, Varga's")) == "secret"
    assert find_reason(make_row(QUESTION, "By post", rejected=f"With {TOKEN}")) == "secret"
    assert find_reason(make_text(f"The engineer of the bridge has {TOKEN}")) == "secret"


def test_a_phone_number_of_a_country() -> None:
    row = make_row(QUESTION, "Varga: 030 901820", basis="free")
    assert find_reason(row, personal_data="drop") is None
    assert find_reason(row, personal_data="drop", phone_region="DE") == "personal_data"


def test_no_evidence_and_no_dropped_row_shows_it() -> None:
    row = example(QUESTION, f"Varga, engineer: {TOKEN}, or {MAIL}.")
    table, chunks = example_table([row]), chunk_table([CHUNK])
    for settings_, reason in (({}, "secret"), ({"personal_data": "drop", "secrets": "ignore"},
                                               "personal_data")):  # fmt: skip
        dropped = filter_rows(table, chunks, FilterConfig(**settings_)).dropped.to_pylist()
        assert [out["reason"] for out in dropped] == [reason]
        hidden = TOKEN if reason == "secret" else MAIL
        assert hidden not in json.dumps(dropped)
        assert "characters in the answer, at" in dropped[0]["evidence"]
        assert dropped[0]["id"] == row.id


def test_flagged_rows_have_a_score_and_are_told_of() -> None:
    row = row_of(f"Varga: {MAIL} and {PHONE}")
    config = FilterConfig()
    flagged = redact_row(row, config)
    assert json.loads(flagged["scores"]) == {"personal_data": 2.0}
    assert flagged["messages"] == row["messages"]
    counts = PrivateCounts(config)
    counts.add([flagged, redact_row(row_of("By post"), config)])
    assert counts.figures() == {
        "private_rows": {"personal_data": 1},
        "private_kinds": {"e-mail": 1, "phone number": 1},
    }
    assert counts.notes() == [
        "1 kept rows hold personal data (e-mail: 1, phone number: 1); filter.personal_data: "
        "redact takes it out, drop drops the rows"
    ]
    both = FilterConfig(secrets="flag")
    counts = PrivateCounts(both)
    counts.add([redact_row(row_of(f"Varga: {MAIL}, {SECRETS['password']}"), both)])
    assert [note.partition(";")[0] for note in counts.notes()] == [
        "1 kept rows hold personal data (e-mail: 1)",
        "1 kept rows hold secrets (password: 1)",
    ]
    clean = PrivateCounts(config)
    clean.add([redact_row(row_of("By post"), config)])
    assert (clean.figures(), clean.notes()) == ({}, [])


def test_redacted_rows_lose_it_everywhere_and_keep_their_id() -> None:
    row = row_of(
        f"Varga: {MAIL}, {SECRETS['password']}",
        kind="preference",
        rejected=f"Call {PHONE}",
        fields={"answer": {"by": [MAIL, 7]}, "quote": TEXT},
    )
    config = FilterConfig(personal_data="redact", secrets="redact")
    out = redact_row(row, config)
    assert out["id"] == row["id"]
    assert out["messages"][1]["content"] == (
        "Varga: [e-mail removed], the password: [secret removed]"
    )
    assert out["rejected"] == "Call [phone number removed]"
    assert json.loads(out["fields"])["answer"] == {"by": ["[e-mail removed]", 7]}
    assert json.loads(out["scores"]) == {"personal_data": 2.0, "secrets": 1.0}
    for gone in (MAIL, PHONE, TOKEN, PASSWORD):
        assert gone not in json.dumps(out)
    counts = PrivateCounts(config)
    counts.add([out])
    kinds = {"e-mail": 1, "phone number": 1, "secret": 1}
    assert counts.figures()["private_kinds"] == kinds
    assert counts.notes() == []


def test_what_is_ignored_stays() -> None:
    row = row_of(f"Varga: {MAIL}, {TOKEN}")
    assert redact_row(row, FilterConfig(personal_data="ignore", secrets="ignore")) == row


def test_a_secret_that_only_the_reply_had_goes_with_the_row_staying() -> None:
    row = row_of("By post")
    out = redact_row(row, FilterConfig())
    assert TOKEN in row["fields"]
    assert TOKEN not in out["fields"]
    assert json.loads(out["scores"] or "{}") == {}


PIECES = st.sampled_from(
    [MAIL, PHONE, IBAN, TOKEN, PASSWORD, "password: ", "key=", "Varga", "[", "]", " ", ", ", ":",
     "\n", "'", "removed", "secret", "https://a:", "@veltren.example.org", "4111 1111 1111 1111"]
)  # fmt: skip
TREATMENTS = st.sampled_from(["flag", "redact", "drop", "ignore"])


@given(st.lists(PIECES, max_size=12).map("".join), TREATMENTS, TREATMENTS)
@settings(max_examples=60, deadline=None)
def test_redacting_twice_changes_nothing_more(text: str, personal: Any, secrets: Any) -> None:
    config = FilterConfig(personal_data=personal, secrets=secrets)
    once = redact_row(row_of(text), config)
    assert redact_row(once, config) == once


@pytest.mark.parametrize("count", [5, 60, 90])
def test_of_numbers_without_a_gap_none_stays(count: int) -> None:
    config = FilterConfig(personal_data="redact")
    once = redact_row(row_of(IBAN * count), config)
    assert "DE89" not in str(once["messages"])
    assert "0532" not in str(once["fields"])
    assert redact_row(once, config) == once


@given(st.lists(st.lists(PIECES, max_size=6).map("".join), max_size=5), TREATMENTS, TREATMENTS)
@settings(max_examples=30, deadline=None)
def test_rows_balance(answers: list[str], personal: Any, secrets: Any) -> None:
    rows = [example(QUESTION, answer, sample=at) for at, answer in enumerate(answers)]
    config = FilterConfig(personal_data=personal, secrets=secrets)
    kept, dropped = filter_rows(example_table(rows), chunk_table([CHUNK]), config)
    assert kept.num_rows + dropped.num_rows == len(rows)
    reasons = set(dropped.column("reason").to_pylist())
    assert secrets == "drop" or "secret" not in reasons
    assert personal == "drop" or "personal_data" not in reasons
    for out in kept.to_pylist():
        scores = json.loads(out["scores"])
        assert "secrets" not in scores or secrets in ("flag", "redact")
        assert "personal_data" not in scores or personal in ("flag", "redact")
        if personal == "redact":
            assert MAIL not in json.dumps(out)
