"""How the way of rows, and what left on it, is printed on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domainforge.dropped import DroppedExample, DroppedReason
from domainforge.funnel import Funnel, Step, Way, describe_document, describe_task
from domainforge.terminal import say
from domainforge.views import make_table, print_text
from domainforge.wording import printable

_DOCUMENTS = 10
_STYLE = "yellow"


def print_funnel(
    console: Console, funnel: Funnel, reasons: Sequence[DroppedReason], run: str
) -> None:
    """Print the steps, tasks, the documents that lost most, and each reason with its examples."""
    _print_steps(console, funnel.steps)
    if funnel.forgotten:
        say(console, "rows of a document that is forgotten are left out of all numbers", "dim")
    for fault in funnel.faults:
        say(console, printable(f"these numbers don't add up: {fault}"), "bold red")
    _print_ways(console, funnel, "task", [(describe_task(way.name), way) for way in funnel.tasks])
    worst = [way for way in funnel.documents if way.left_out][:_DOCUMENTS]
    named = [(describe_document(way.name), way) for way in worst]
    _print_ways(console, funnel, "document (most lost)", named)
    for reason in reasons:
        _print_reason(console, reason)
    if not reasons:
        say(console, "nothing was left out")
        return
    say(console, f"domainforge show {run} STAGE --reason REASON shows all of one reason", "dim")
    say(console, f"domainforge trace {run} ID shows where a row came from", "dim")


def _print_steps(console: Console, steps: Sequence[Step]) -> None:
    table = _make_table("stage", "came in", "joined", "left", "went out", "share", "why rows left")
    for step in steps:
        why = ", ".join(f"{reason} {count:,}" for reason, count in step.left_out.items())
        parts = ", ".join(f"{name} {count:,}" for name, count in step.parts.items())
        table.add_row(
            step.stage,
            f"{step.came_in:,} {step.unit if step.stage == 'generate' else ''}".strip(),
            f"{sum(step.joined.values()):,}" if step.joined else "",
            f"{step.lost:,}" if step.lost else "",
            f"{step.went_out:,}",
            f"{step.share(step.went_out):.1%}" if step.came_in else "",
            printable("; ".join(filter(None, [why, parts]))),
        )
    console.print(table)
    for step in steps:
        for what, number in step.joined.items():
            say(console, f"joined at {step.stage}: {number:,} {what}", "dim")


def _print_ways(
    console: Console, funnel: Funnel, title: str, ways: Sequence[tuple[str, Way]]
) -> None:
    if not ways:
        return
    console.print()
    table = _make_table(title, "planned", *funnel.columns, "why rows left")
    for name, way in ways:
        counts = [way.planned, *(way.counts[column] for column in funnel.columns)]
        why = ", ".join(f"{reason} {count:,}" for reason, count in way.left_out.most_common())
        cells = [f"{count:,}" if count else "-" for count in counts]
        table.add_row(printable(name), *cells, printable(why))
    console.print(table)


def _print_reason(console: Console, reason: DroppedReason) -> None:
    console.print()
    head = Text.assemble(
        (f"{reason.stage}: ", "dim"),
        (printable(reason.reason), _STYLE),
        f"  {reason.count:,} ({reason.share:.1%} of what {reason.stage} left out)",
    )
    print_text(console, head)
    if reason.means:
        print_text(console, Text(reason.means, style="dim"), indent=2)
    for example in reason.examples:
        _print_example(console, example)


def _print_example(console: Console, example: DroppedExample) -> None:
    about = "  ".join(filter(None, [example.prompt, example.uri]))
    print_text(console, Text.assemble((example.id, "bold"), f"  {printable(about)}"), indent=2)
    for name in ("question", "answer", "rejected", "evidence"):
        value = printable(getattr(example, name)).strip("\n")
        if value:
            style = _STYLE if name == "evidence" else ""
            print_text(console, Text.assemble((f"{name}: ", "dim"), (value, style)), indent=4)


def _make_table(*columns: str) -> Table:
    """Return a table of names, then numbers, then words."""
    table = make_table(*columns)
    for column in table.columns[1:-1]:
        column.justify = "right"
    return table
