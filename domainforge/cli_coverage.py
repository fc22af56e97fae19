"""The command that shows which parts of the documents have rows, and which have none."""

from pathlib import Path
from typing import Annotated

import typer

from domainforge.terminal import make_console, say, write_json


def coverage(
    name: Annotated[str, typer.Argument(metavar="RUN", help="Name of a run.")],
    kind: Annotated[
        str | None, typer.Option(help="Only `sentence`, `section` or `entity` (a name).")
    ] = None,
    rows: Annotated[
        int, typer.Option(min=0, help="List the parts that have at most so many kept rows.")
    ] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Parts to list at most.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, all of them.")] = False,
) -> None:
    """Show which parts of the documents no kept row rests on."""
    from domainforge.coverage_report import read_coverage
    from domainforge.show import find_run
    from domainforge.wording import printable

    found = read_coverage(find_run(Path.cwd(), name), kind, rows)
    if as_json:
        for part in found.parts:
            write_json(part)
        return
    console = make_console()
    for line in found.describe():
        say(console, line)
    uri = None
    for part in found.parts[:limit]:
        if part["uri"] != uri:
            uri = part["uri"]
            say(console, printable(uri), style="bold")
        text = " ".join(printable(part["text"]).split())
        say(console, f"  {part['kind']:<8} {part['rows']:>3}  {text}")
    if len(found.parts) > limit:
        say(console, f"and {len(found.parts) - limit:,} more (--limit, or --json for all)")
