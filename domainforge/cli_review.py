"""The command that goes through rows by hand."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domainforge.terminal import make_console, say
from domainforge.wording import count_of

if TYPE_CHECKING:
    from rich.console import Console

    from domainforge.review import Review


def review(
    name: Annotated[str, typer.Argument(metavar="RUN", help="Name of a run.")],
    dropped: Annotated[
        bool, typer.Option("--dropped", help="Rows that were left out instead of kept ones.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="Only rows that were left out for this reason.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Rows of `filter`, `dedup` or `judge` (the last one done).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most.")] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Only rows that nobody has labelled.")
    ] = False,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who you are; kept with each label.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="Label rows as these JSON lines say.")
    ] = None,
    export: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the rows as JSON lines to fill in.")
    ] = None,
) -> None:
    """Go through rows one by one: keep, drop or edit them."""
    from domainforge.errors import ConfigError
    from domainforge.review import Review, Wanted
    from domainforge.review_exchange import export_rows, import_labels
    from domainforge.show import find_run

    project, console = Path.cwd(), make_console()
    run = find_run(project, name)
    wanted = Wanted(stage, dropped, reason, unlabelled, limit)
    if labels is not None and export is not None:
        raise ConfigError("--labels reads labels, --export writes rows; give one of them")
    if labels is not None:
        count = import_labels(project, run, Path(labels), by)
        if not count:
            say(console, f"{labels} has no row with a verdict; nothing was labelled")
            return
        rows = count_of(count, "row")
        say(console, f"{rows} labelled; the next run of {run.path.name} does as they say")
        return
    if export is not None:
        count = export_rows(project, run, wanted, Path(export))
        say(console, f"wrote {count_of(count, 'row')}; fill in `verdict` with keep or drop, then:")
        say(console, f"domainforge review {run.path.name} --labels {export}")
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "review needs a terminal to show rows and read keys; without one, "
            f"`domainforge review {run.path.name} --export rows.jsonl` writes the rows, and "
            f"`domainforge review {run.path.name} --labels rows.jsonl` reads your verdicts"
        )
    going = Review(project, run, wanted, by)
    _go_through(console, going, project)
    _tell_end(console, going)


def _go_through(console: "Console", review: "Review", project: Path) -> None:
    """Show row after row and do what the keys say, until the user has enough."""
    from domainforge.errors import ConfigError
    from domainforge.keyboard import read_key
    from domainforge.review_screen import draw_review

    whole, told = False, ""
    while True:
        console.clear()
        draw_review(console, review, whole=whole)
        console.print(told, end="", markup=False, style="yellow")
        key = read_key()
        told, whole = "", key == "m" and not whole
        if key in ("", "q"):
            console.print()
            return
        if key == "b":
            review.back()
        elif key == "u":
            told = "taken back" if review.undo() else "nothing to take back"
        elif review.current() is None:
            continue
        elif key in "kd":
            review.say("keep" if key == "k" else "drop")
            review.forward()
        elif key == "s":
            review.forward()
        elif key == "c":
            _comment(console, review)
        elif key == "e":
            try:
                told = _edit(console, review, project)
            except ConfigError as error:
                told = str(error)
        elif key != "m":
            told = f"no such key: {key}" if key.isprintable() and key.strip() else ""


def _comment(console: "Console", review: "Review") -> None:
    """Ask for a comment; the verdict stays as it is."""
    shown = review.current()
    assert shown is not None
    console.print("comment (Enter alone: none): ", end="", markup=False, style="bold")
    # Bytes: what a terminal sends may be no UTF-8.
    text = sys.stdin.buffer.readline().decode("utf-8", errors="replace").strip()
    if text:
        review.say(shown.label.verdict if shown.label else None, comment=text)


def _edit(console: "Console", review: "Review", project: Path) -> str:
    """Let the user rewrite the row; says what came of it."""
    from domainforge.editor import find_editor, open_editor
    from domainforge.review_draft import drop_draft, edit_content

    shown = review.current()
    assert shown is not None
    command = find_editor(os.environ, has_terminal=True)
    edited = edit_content(
        project,
        shown.row["id"],
        shown.content,
        "\n\n".join(str(chunk["text"]) for chunk in shown.passages),
        lambda path: open_editor(command, path),
        lambda fault: _wants_again(console, fault),
    )
    if edited is None:
        return "nothing was changed"
    review.say("keep", edited=edited)
    drop_draft(project, shown.row["id"])
    review.forward()
    return "edited and kept; u takes it back"


def _wants_again(console: "Console", fault: str) -> bool:
    from domainforge.asking import Asker
    from domainforge.wording import printable

    say(console, printable(fault), style="red")
    try:
        return Asker(console).ask_yes("Open it again?", default=True)
    except EOFError:
        return False


def _tell_end(console: "Console", review: "Review") -> None:
    name = review.run.path.name
    if review.taken_back:
        back = count_of(review.taken_back, "label")
        say(console, f"{back} of before taken back; the next run of {name} does so too")
    if not review.given:
        say(console, "no labels were given")
        return
    counts = {"keep": 0, "drop": 0, None: 0}
    for label in review.given:
        counts[label.verdict] += 1
    say(
        console,
        f"{count_of(len(review.given), 'label')} given: {counts['keep']:,} keep, "
        f"{counts['drop']:,} drop, {counts[None]:,} with a comment alone; the next run of {name} "
        "does as they say",
    )
