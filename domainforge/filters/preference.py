"""The check of preferences: the worse answer must be another, and not the truer one."""

from collections.abc import Sequence

from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import words


def find_no_contrast(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find preferences that teach nothing, or the wrong thing.

    The rejected answer is empty, is the better one in other typography, or is wholly supported
    by the passage and says as much of it as the better one, which isn't.
    """
    return [_no_contrast(row) for row in rows]


def _no_contrast(row: Row) -> Evidence:
    if row.rejected is None:
        return None
    own = words(row.rejected)
    if not own:
        return "the rejected answer is empty"
    if own == words(row.answer):
        return f"both answers are the same: {row.rejected[:120]!r}"
    if row.basis != "passage":
        return None
    better, worse = row.support, row.support_of(row.rejected)
    if better is None or worse is None or better.share >= 1 or worse.share < 1 or worse.numbers:
        return None
    carried = len(better.written) - len(better.missing)
    if len(worse.written) < carried:
        return None  # true but less: too vague or too short, as it may be on purpose
    return (
        f"the passage carries all of the rejected answer and {better.share:.2f} of the better one: "
        f"{row.rejected[:120]!r}"
    )
