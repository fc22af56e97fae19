"""The command that forgets a document."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domainforge.terminal import make_console, say

if TYPE_CHECKING:
    from rich.console import Console

    from domainforge.forget import Outcome, Plan

_NAMED = 10


def forget(
    document: Annotated[
        str, typer.Argument(metavar="DOCUMENT", help="Its uri or id, as in runs/*/documents.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
) -> None:
    """Remove a document and all that was made of it, in all runs."""
    from domainforge.cli_ledger import is_confirmed
    from domainforge.errors import StorageError
    from domainforge.forget import Forgetting

    console = make_console()
    with Forgetting(Path.cwd()) as forgetting:
        plan = forgetting.interrupted()
        if plan is not None:
            say(console, f"goes on with {plan.wanted}, which was interrupted")
        else:
            plan = forgetting.plan(document)
        _print_plan(console, plan)
        if dry_run:
            return
        if not yes and not is_confirmed():
            say(console, "nothing was removed")
            return
        outcome = forgetting.carry_out(plan)
        _print_outcome(console, outcome)
        again = document not in (plan.wanted, *plan.traces.uris, *plan.traces.documents)
    if again:
        say(console, f"now give the command again for {document}")
    if outcome.leftovers:
        places = ", ".join(str(item.path) for item in outcome.leftovers[:_NAMED])
        raise StorageError(f"something of the document is still in: {places}")


def _print_plan(console: "Console", plan: "Plan") -> None:
    from domainforge.wording import printable

    traces = plan.traces
    say(console, printable(f"document: {', '.join(sorted(traces.uris))}"))
    for run, count in plan.rows.items():
        say(console, f"run {run}: {count:,} rows in all tables")
    say(console, f"ledger: {len(plan.keys):,} requests and replies; what they cost stays")
    if plan.labels:
        say(console, f"labels: {plan.labels:,} given to its rows")
    for run in plan.students:
        say(console, f"student of run {run}: was trained on it, and is marked")


def _print_outcome(console: "Console", outcome: "Outcome") -> None:
    from domainforge.wording import printable

    say(console, f"removed; {outcome.replies:,} replies left the ledger")
    for item in outcome.leftovers:
        say(console, printable(f"still there: a {item.what} of it in {item.path}"))
    if not outcome.leftovers:
        say(console, "looked through every file of the runs and the ledger: nothing is left of it")
    for path in outcome.sources:
        say(console, printable(f"the source file still lies there: {path}"))
    if outcome.plan.students:
        say(console, "run again to train without it: " + ", ".join(outcome.plan.students))
