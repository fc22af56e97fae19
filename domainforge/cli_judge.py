"""Commands about the judge: compare it with a person."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domainforge.terminal import make_console, say, write_json
from domainforge.wording import count_of

if TYPE_CHECKING:
    from rich.console import Console

    from domainforge.calibrate import Calibrating

judge_app = typer.Typer(no_args_is_help=True, help="Compare a judge with people.")


@judge_app.callback()
def _group() -> None:
    """Compare a judge with people."""


@judge_app.command("calibrate")
def judge_calibrate(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run whose rows a judge scored.")],
    rows: Annotated[
        int,
        typer.Option(min=1, help="Labelled rows there are to be, earlier ones included; 30 to 50."),
    ] = 40,
    labels: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Take labels from JSON lines of `row` and `verdict`."),
    ] = None,
    export: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the rows as JSON lines to fill in.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, an object a line.")] = False,
) -> None:
    """Label some rows, and see whether the judge is better than chance and where to cut."""
    from dataclasses import asdict

    from domainforge.calibrate import Calibrating, describe_calibration
    from domainforge.errors import ConfigError
    from domainforge.show import find_run

    if labels is not None and export is not None:
        raise ConfigError("--labels reads labels, --export writes rows; give one of them")
    console = make_console()
    going = Calibrating(Path.cwd(), find_run(Path.cwd(), name), rows)
    if export is not None:
        count = going.export(Path(export))
        say(console, f"wrote {count_of(count, 'row')}; fill in `verdict` with good or bad, then:")
        say(console, f"domainforge judge calibrate {name} --labels {export}")
        return
    if labels is not None:
        going.take(Path(labels))
    elif going.rows and not as_json:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError(
                "calibrate needs a terminal to show rows and read keys; without one, --export FILE "
                "writes the rows and --labels FILE reads what you say of them"
            )
        _go_through(console, going)
    found = going.result()
    if as_json:
        write_json({**asdict(found), "usable": found.usable})
        return
    for line in describe_calibration(found, going.figures):
        say(console, line)


def _go_through(console: "Console", going: "Calibrating") -> None:
    """Show row after row and do what the keys say, until all are through or the user quits."""
    from domainforge.calibrate_screen import draw_row
    from domainforge.keyboard import read_key

    while True:
        console.clear()
        draw_row(console, going)
        key = read_key()
        if key in ("", "q"):
            console.print()
            return
        if key in ("g", "b"):
            going.say(good=key == "g")
        elif key == "s":
            going.skip()
        elif key == "u":
            going.undo()
