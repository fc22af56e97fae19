from collections.abc import Iterator
from pathlib import Path

import pytest

from domainforge.teacher.batch.journal import WITHDRAWN, Handed, Journal
from domainforge.teacher.ledger import Completed, Ledger
from tests.teacher.batch.desk import open_ledger

URL = "http://127.0.0.1:1/v1"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def handed(*keys: str) -> list[Handed]:
    return [Handed(key, f'"{key}"', "run", 5, 7) for key in keys]


def test_a_request_is_in_one_open_batch_at_most(ledger: Ledger) -> None:
    journal = Journal(ledger, "i", URL)
    ledger.write([Completed("known", "i", "{}", "{}", 1, 1)])
    assert journal.claim("s1", handed("b", "a")).taken == {"a", "b"}
    claim = journal.claim("s2", handed("a", "c", "known"))
    assert (claim.taken, claim.held, claim.known) == ({"c"}, {"s1": {"a"}}, {"known"})
    assert journal.keys("s1") == ["b", "a"]
    assert journal.handed("s2", ["a", "c"]) == {"c": handed("c")[0]}


def test_nothing_is_written_when_nothing_is_left_to_hand_over(ledger: Ledger) -> None:
    journal = Journal(ledger, "i", URL)
    journal.claim("s1", handed("a"))
    assert journal.claim("s2", handed("a")).taken == set()
    assert [entry.submission for entry in journal.find_open()] == ["s1"]


def test_closing_sets_the_requests_free_once(ledger: Ledger) -> None:
    journal = Journal(ledger, "i", URL)
    journal.claim("s1", handed("a"))
    assert journal.close("s1", "completed")
    assert not journal.close("s1", WITHDRAWN)
    assert journal.get("s1").status == "completed"
    assert journal.find_open() == []
    assert journal.claim("s2", handed("a")).taken == {"a"}


def test_only_what_was_handed_over_to_this_endpoint_is_found(ledger: Ledger) -> None:
    Journal(ledger, "i", URL).claim("s1", handed("a"))
    assert Journal(ledger, "other", URL).find_open() == []
    assert Journal(ledger, "i", "http://127.0.0.1:2/v1").find_open() == []


def test_one_takes_over_what_nobody_works_on(ledger: Ledger, tmp_path: Path) -> None:
    journal = Journal(ledger, "i", URL)
    journal.claim("s1", handed("a"))
    held = journal.get("s1")
    assert held.has_owner
    with journal.working("s1"):
        pass
    free = journal.get("s1")
    assert not free.has_owner
    assert journal.take_over(free)
    assert not journal.take_over(free)
    journal.set_file("s1", "file")
    journal.set_batch("s1", "batch")
    assert (journal.get("s1").file_id, journal.get("s1").batch_id) == ("file", "batch")
    with open_ledger(tmp_path / "ledger.sqlite") as same_file:
        assert Journal(same_file, "i", URL).get("s1").has_owner
