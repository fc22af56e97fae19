import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from domainforge.filters.checks import CHECKS, check_rows
from domainforge.filters.rows import FilterConfig, Reason
from tests.filters.passages import find_reason, make_row


def test_every_reason_has_one_check() -> None:
    assert [check.name for check in CHECKS] == list(get_args(Reason))


def test_every_threshold_belongs_to_a_check() -> None:
    named = {field for check in CHECKS for field in check.thresholds}
    assert named == set(FilterConfig.model_fields) - {"skip"}


def test_the_first_reason_wins() -> None:
    row = make_row("Rest Rest Rest", "")
    assert find_reason(row) == "empty"
    assert find_reason(row, skip=("empty", "too_short")) == "repetition"


def test_a_skipped_check_drops_nothing() -> None:
    row = make_row("Who designed the bridge?", "The mason Tove Lind")
    assert find_reason(row) == "unsupported"
    assert find_reason(row, skip=("unsupported",)) is None


def test_an_unknown_check_can_not_be_skipped() -> None:
    with pytest.raises(ValidationError, match="skip"):
        FilterConfig(skip=("unsuported",))


def test_findings_stand_at_their_rows() -> None:
    rows = [
        make_row("Who designed the bridge?", "Ilse Varga"),
        make_row("Who designed the bridge?", ""),
        make_row("What does the ferry cost?", "2.50 crowns"),
        make_row("What does the ferry cost?", "3 crowns"),
    ]
    found = [finding and finding.reason for finding in check_rows(rows, FilterConfig())]
    assert found == [None, "empty", None, "unsupported"]


def test_the_papers_list_every_reason_and_whom_it_is_asked_of() -> None:
    page = (Path(__file__).parents[2] / "docs" / "filters.md").read_text("utf-8")
    told = re.findall(r"^\| `(\w+)` \|.*\| ([a-z, ]+) \|$", page, re.MULTILINE)
    wanted = []
    for check in CHECKS:
        bases = ["all"] if len(check.bases) == 3 else list(check.bases)
        also = [name for name, on in (("texts", check.texts), ("given", check.given)) if on]
        wanted.append((check.name, ", ".join([*bases, *also])))
    assert told == wanted
