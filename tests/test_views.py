"""What is printed of a run where requests and rows are not the same number."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from rich.console import Console

from domainforge.dry_run import DryRun
from domainforge.generation.foresight import CallCount
from domainforge.status import RunStatus
from domainforge.views import print_plan, print_status
from domainforge.yields import DocumentYield


def status_of(rows: int, asking: Mapping[str, Any]) -> str:
    counts = {"planned": 4, "kept": 3, "rows": rows, "passages": 2, "barren": 1}
    entry = DocumentYield("mill.md", "facts", asked=True, **counts)
    printed = StringIO()
    status = RunStatus("small", (), active=False, asking=asking, yields=[entry], scores=None)
    print_status(Console(width=200, file=printed), status)
    return printed.getvalue()


def test_many_rows_of_one_reply_are_told_apart_from_requests() -> None:
    end = "1 of 2 passages produced nothing"
    assert f"yield: 3 rows kept of 4 planned (75%); {end}" in status_of(3, {})
    several = "3 of 4 planned requests came to 11 kept rows (75%)"
    assert f"yield: {several}; {end}" in status_of(11, {})


def test_where_nothing_was_asked_no_tokens_are_counted() -> None:
    assert "teacher: nothing was asked\n" in status_of(3, {"asked": 0, "replayed": 0})
    assert "teacher: 0 requests asked, 4 from" in status_of(3, {"asked": 0, "replayed": 4})
    printed = StringIO()
    print_plan(Console(width=200, file=printed), DryRun((), CallCount(0, 0, 0)))
    assert "nothing would be asked of the teacher" in printed.getvalue()
