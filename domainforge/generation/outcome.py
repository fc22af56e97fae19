"""What generating came to: the account of its units, and what a user should know of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.errors import DataError
from domainforge.generation.novelty import REPEATING
from domainforge.records import GIVEN, NO_TEACHER, Example
from domainforge.stage import Account, StageResult

_FEWEST_TOLD = 10
_MANY_SHARE = 0.05
_NOTHING_ASKED = {
    "asked": 0,
    "replayed": 0,
    "retried": 0,
    "asked_again": 0,
    "repaired": 0,
    "repair_failed": 0,
    "continued": 0,
    "continue_failed": 0,
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "billed_tokens": 0,
    "usd": 0.0,
    "price": "nothing was asked",
}


@dataclass(frozen=True)
class Rows:
    """The rows of a stage by what becomes of them."""

    made: Sequence[Example]
    dropped: Sequence[Example]
    failed: Sequence[Example]


def part_rows(examples: Sequence[Example]) -> Rows:
    """Part rows that can teach from those that can't and those that a fault took."""
    failed = [row for row in examples if (row.reason or "").startswith("failed_")]
    return Rows(
        made=[row for row in examples if row.reason is None],
        dropped=[row for row in examples if row.reason and not row.reason.startswith("failed_")],
        failed=failed,
    )


def sum_up(
    rows: Rows, asked: int, figures: Mapping[str, Any] | None = None, notes: Sequence[str] = ()
) -> StageResult:
    """Account for every unit.

    Args:
        rows: All rows.
        asked: Units that the teacher was asked about.
        figures: What asking took; None where nobody was asked.
        notes: What the teacher has to say.

    Raises:
        DataError: Units were asked about, and not one of them came to a row.
    """
    given = sum(row.prompt == GIVEN for row in rows.made)
    silent = sum(row.teacher == NO_TEACHER for row in rows.made)
    if asked and len(rows.made) == given + silent:
        raise DataError(_tell_nothing_came(rows, asked))
    total = asked + given + silent
    # Of what one request came to, the first row counts for it.
    done = sum(row.item == 0 for row in rows.made)
    account = Account(
        unit=_unit(asked, given, silent),
        total=total,
        done=done,
        dropped=Counter(str(row.reason) for row in rows.dropped),
        failed=Counter(_kind_of_failure(row) for row in rows.failed),
        not_reached=total - done - len(rows.dropped) - len(rows.failed),
    )
    if figures is None:
        figures = {**_NOTHING_ASKED, "teacher": GIVEN if given else NO_TEACHER}
    told = [*notes, *_tell_free(given, silent), *_tell_failed(rows.failed)]
    told += _tell_repeating(rows.dropped)
    if figures["asked_again"]:
        told.append(
            f"{figures['asked_again']} requests were in flight when an earlier run ended, and may "
            "have been asked twice"
        )
    told += _tell_repairs(figures["repaired"], figures["repair_failed"], asked)
    told += _tell_continued(figures["continued"], figures["continue_failed"], asked)
    counted = {"given": given, "silent": silent, "rows": len(rows.made)}
    return StageResult(account, tuple(told), {**figures, **counted})


def _unit(asked: int, given: int, silent: int) -> str:
    kinds = {"requests": asked, "chats": given, "rows": silent}
    return " and ".join(kind for kind, number in kinds.items() if number)


def _kind_of_failure(row: Example) -> str:
    return str(row.reason).removeprefix("failed_")


def _tell_free(given: int, silent: int) -> list[str]:
    notes = []
    if silent:
        notes.append(f"rows made of passages alone, without a teacher: {silent:,}")
    if given:
        notes.append(f"chats taken as they are, without a teacher: {given:,}")
    return notes


def _tell_failed(failed: Sequence[Example]) -> list[str]:
    if not failed:
        return []
    kinds = Counter(map(_kind_of_failure, failed)).most_common(4)
    counts = ", ".join(f"{kind} {number}" for kind, number in kinds)
    return [
        f"{len(failed)} requests failed and have no row ({counts}); run again with --from generate "
        "to ask them once more (replies in the ledger are not asked again)"
    ]


def _tell_repeating(dropped: Sequence[Example]) -> list[str]:
    left = [row for row in dropped if row.reason == REPEATING]
    if not left:
        return []
    places = len({(row.prompt, row.chunk_id, row.unit) for row in left})
    return [
        f"not asked and not paid for, as {REPEATING}: {len(left):,} requests at {places:,} places, "
        "where the last rows say what earlier ones did; `generate: {novelty: null}` asks them all"
    ]


def _are_many(number: int, asked: int) -> bool:
    return number >= max(_FEWEST_TOLD, _MANY_SHARE * asked)


def _tell_repairs(repaired: int, failed: int, asked: int) -> list[str]:
    number = repaired + failed
    if not _are_many(number, asked):
        return []
    return [
        f"{number} of {asked} replies did not fit their prompt's `reply` and were asked for once "
        f"more, which mended {repaired}; each costs a second call: ask for a simpler reply, or "
        "leave that out with `repair: false` in the prompt file"
    ]


def _tell_continued(continued: int, failed: int, asked: int) -> list[str]:
    number = continued + failed
    if not _are_many(number, asked):
        return []
    return [
        f"{number} replies to {asked} requests reached `max_tokens` and were continued, "
        f"{continued} of them to their end; each costs a second call: raise `max_tokens` in the "
        "prompt file, or leave that out with `continue: false`"
    ]


def _tell_nothing_came(rows: Rows, asked: int) -> str:
    lost = [*rows.dropped, *rows.failed]
    reasons = Counter(str(row.reason) for row in lost).most_common(3)
    counts = ", ".join(f"{reason} {number}" for reason, number in reasons)
    first = next((row for row in lost if row.evidence), None)
    shown = f"; the first: {str(first.evidence)[:300]}" if first else ""
    prompt = first.prompt if first else "NAME"
    return (
        f"the teacher gave no usable reply to {asked} requests ({counts}){shown}\n"
        "Look the teacher over with `domainforge teacher check PIPELINE`, or the prompt with "
        f"`domainforge prompts edit {prompt} --ask PIPELINE`; replies that came are in the ledger "
        "and are not asked for again."
    )
