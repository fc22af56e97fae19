"""The commands that show a run's rows, on the terminal or as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domainforge.errors import ConfigError
from domainforge.terminal import make_console, say, write_json

if TYPE_CHECKING:
    from domainforge.run_folder import RunFolder

RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, as in runs/NAME.")]
PerReason = Annotated[
    int, typer.Option("--per-reason", min=0, help="Examples of each reason to drop a row.")
]
_PER_REASON = 3


def show(
    name: RunName,
    stage: Annotated[
        str | None,
        typer.Argument(
            metavar="STAGE",
            help="A stage or its folder (generate, kept ...), or train, validation, test; "
            "left out, what there is.",
        ),
    ] = None,
    dropped: Annotated[
        bool,
        typer.Option(
            "--dropped",
            help="What it left out instead; without STAGE, the way of all rows and examples of "
            "every reason.",
        ),
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Only rows dropped for this reason.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many; 10, of the audit and with --json all."),
    ] = None,
    row: Annotated[
        str | None, typer.Option("--row", metavar="ID", help="Only this row, or how its id begins.")
    ] = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="A training batch, the tokens marked that the loss counts."),
    ] = False,
    per_reason: PerReason = _PER_REASON,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, an object a line.")] = False,
) -> None:
    """Show rows of any stage, kept or dropped, or a training batch."""
    from domainforge.show import find_run, select_rows
    from domainforge.views import print_selection

    run_folder = find_run(Path.cwd(), name)
    console = make_console()
    if batch:
        if stage not in (None, "train"):
            raise ConfigError(f"--batch shows training batches, and {stage} has none; leave it out")
        _show_batch(run_folder, limit or 1, as_json=as_json)
        return
    if stage is None:
        if dropped and reason is None and row is None:
            _show_funnel(run_folder, name, per_reason, as_json=as_json)
            return
        if dropped or reason or row:
            raise ConfigError(
                "--reason and --row need a STAGE, as in `domainforge show "
                f"{run_folder.path.name} filter --dropped`"
            )
        _show_places(run_folder, as_json=as_json)
        return
    # An audit is looked at whole: what it found may stand last.
    wanted = limit if as_json or limit or stage == "audit" else 10
    selection = select_rows(
        run_folder, stage, dropped=dropped, reason=reason, row_id=row, limit=wanted
    )
    if as_json:
        for place, found_row in selection.rows:
            extra = {"split": place.label} if place.stage == "split" else {}
            write_json(extra | found_row)
    else:
        print_selection(console, selection, name)


def report(
    name: RunName,
    per_reason: PerReason = _PER_REASON,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Write runs/RUN/report.html, a page that needs nothing else."""
    from domainforge.report.page import write_report
    from domainforge.show import find_run

    path = write_report(find_run(Path.cwd(), name), per_reason)
    console = make_console()
    say(console, f"wrote {path.relative_to(Path.cwd())}")
    if open_it:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            say(console, f"no browser was found here; open {path.as_uri()} in one")


def _show_batch(run: "RunFolder", limit: int, *, as_json: bool) -> None:
    from domainforge.batches import read_batch
    from domainforge.views import print_batch

    found = read_batch(run, Path.cwd(), limit)
    if as_json:
        for sequence in found.sequences:
            write_json(sequence.as_dict())
    else:
        print_batch(make_console(), found.sequences, found.total)


def _show_places(run: "RunFolder", *, as_json: bool) -> None:
    from domainforge.show import list_places

    for place in list_places(run):
        line = {"stage": place.stage, "table": place.label, "rows": place.rows}
        write_json(line) if as_json else say(
            make_console(), f"{place.stage:<9} {place.label:<22} {place.rows:>8,} rows"
        )


def _show_funnel(run: "RunFolder", name: str, per_reason: int, *, as_json: bool) -> None:
    from domainforge.dropped import read_dropped
    from domainforge.funnel import read_funnel
    from domainforge.funnel_view import print_funnel

    funnel = read_funnel(run)
    reasons = read_dropped(run, per_reason)
    if not as_json:
        print_funnel(make_console(), funnel, reasons, name)
        return
    for line in funnel.lines():
        write_json(line)
    for reason in reasons:
        write_json({"what": "reason", **reason.as_dict()})
