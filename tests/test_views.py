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
    both, second = frozenset({"one", "two"}), frozenset({"two"})
    facts = DocumentYield("mill.md", "facts", True, 3, 2, rows - 1, both, second)
    qa = DocumentYield("mill.md", "qa", True, 1, 1, 1, frozenset({"one"}), frozenset())
    # Rows that no teacher writes say nothing of what it came to.
    cloze = DocumentYield("mill.md", "cloze", False, 9, 9, 9, both, frozenset())
    bare = DocumentYield("bare.md", "qa", True, 0, 0, 0, frozenset(), frozenset())
    gaps = DocumentYield("bare.md", "cloze", False, 1, 1, 1, frozenset({"three"}), frozenset())
    printed = StringIO()
    status = RunStatus(
        "small", (), active=False, asking=asking, yields=[facts, qa, cloze, bare, gaps], scores=None
    )
    print_status(Console(width=200, file=printed), status)
    return printed.getvalue()


def test_many_rows_of_one_reply_are_told_apart_from_requests() -> None:
    end = "1 of 2 passages produced nothing"  # each counts once, whatever was asked about it
    assert f"yield: 3 rows kept of 4 planned (75%); {end}" in status_of(3, {})
    several = "3 of 4 planned requests came to 11 kept rows (75%)"
    assert f"yield: {several}; {end}" in status_of(11, {})
    assert "documents that produced nothing: bare.md" in status_of(3, {})


def test_where_nothing_was_asked_no_tokens_are_counted() -> None:
    assert "teacher: nothing was asked\n" in status_of(3, {"asked": 0, "replayed": 0})
    assert "teacher: 0 requests asked, 4 from" in status_of(3, {"asked": 0, "replayed": 4})
    printed = StringIO()
    print_plan(Console(width=200, file=printed), DryRun((), CallCount(0, 0, 0)))
    assert "nothing would be asked of the teacher" in printed.getvalue()
