"""Commands for the ledger: what it holds, a copy of that, and what may go."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domainforge.terminal import make_console, say, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.ledger_prune import Doomed
    from domainforge.teacher.ledger_tools import LedgerFigures

_EMPTY_SHARE = 0.1

ledger_app = typer.Typer(no_args_is_help=True, help="Look at what was paid for, copy it, prune it.")

LedgerFile = Annotated[
    str | None,
    typer.Option("--ledger", metavar="PATH", help="Left out, ledger.sqlite in this folder."),
]
Identity = Annotated[
    str | None,
    typer.Option("--identity", metavar="NAME", help="Only replies of this teacher (see stats)."),
]


@ledger_app.command("stats")
def ledger_stats(
    ledger: LedgerFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Show who answered, tokens, charges, faults, the file's size."""
    from domainforge.teacher.ledger_tools import open_existing, read_figures

    with open_existing(_path(ledger)) as file:
        figures = read_figures(file)
    write_json(figures.as_dict()) if as_json else _print_figures(make_console(), figures)


@ledger_app.command("export")
def ledger_export(
    target: Annotated[
        str, typer.Argument(metavar="FILE", help="A file to write, .jsonl or .parquet.")
    ],
    identity: Identity = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only from then on: 2026-01-31 or 2026-01-31T18:00."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    ledger: LedgerFile = None,
) -> None:
    """Copy requests and replies into a .jsonl or .parquet file."""
    from domainforge.teacher.ledger_tools import export_completions, open_existing, read_date

    start = None if since is None else read_date(since, "--since")
    with open_existing(_path(ledger)) as file:
        count = export_completions(file, Path(target), identity=identity, since=start, force=force)
    say(make_console(), f"wrote {count:,} completions to {target}")


@ledger_app.command("prune")
def ledger_prune(
    identity: Identity = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only what came before: 2026-01-31 or 2026-01-31T18:00."),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATUS",
            help="Only replies that are ok, cut_off, refused, filtered, empty or malformed; "
            "repeatable.",
        ),
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="The log of faults, and no reply.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    ledger: LedgerFile = None,
) -> None:
    """Show what would go, ask, remove it; the next run asks that again."""
    from domainforge.teacher.ledger_prune import Wanted, check_statuses, plan_prune
    from domainforge.teacher.ledger_tools import open_existing, read_date

    end = None if before is None else read_date(before, "--before")
    wanted = Wanted(identity, end, check_statuses(status or ()), faults)
    console = make_console()
    with open_existing(_path(ledger)) as file:
        with plan_prune(file, wanted) as prune:
            _print_doomed(console, prune.doomed)
            if not prune.doomed.is_empty:
                if not yes and not is_confirmed():
                    say(console, "nothing was removed")
                    return
                prune.carry_out()
                say(console, "removed")
        # An earlier prune may have lacked the space for it.
        _compact(console, file, _EMPTY_SHARE if prune.doomed.is_empty else 0.0)


def _path(ledger: str | None) -> Path:
    return Path(ledger).expanduser() if ledger else Path.cwd() / "ledger.sqlite"


def is_confirmed() -> bool:
    """Ask whether what was shown shall go.

    Raises:
        ConfigError: Nobody answers.
    """
    from domainforge.errors import ConfigError

    sys.stdout.write("remove this? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stdout.write("\n")
        raise ConfigError("nothing was removed: nobody answered; --yes goes on without a question")
    return answer.strip().lower() in ("y", "yes")


def _compact(console: "Console", ledger: "Ledger", min_empty_share: float) -> None:
    from domainforge.teacher.ledger_prune import compact

    done = compact(ledger, min_empty_share)
    if done.shortage is not None:
        say(
            console,
            f"the file keeps its {done.bytes_before:,} bytes, since it can't be written anew "
            f"({done.shortage}); its empty room takes new replies; the same command tries again",
        )
    elif done.bytes_after != done.bytes_before:
        say(console, f"the file had {done.bytes_before:,} bytes and has {done.bytes_after:,}")


def _print_doomed(console: "Console", doomed: "Doomed") -> None:
    from domainforge.teacher.ledger_tools import utc_text
    from domainforge.wording import printable

    if doomed.is_empty:
        say(console, "there is nothing of that kind")
        return
    for kind, count in doomed.faults.items():
        say(console, f"{count:,} logged faults: {printable(kind)}")
    if doomed.faults:
        say(console, "a fault is never replayed, so this changes no run; charges stay")
        return
    for identity, count in doomed.completions.items():
        say(console, f"{count:,} completions of {printable(identity)}")
    assert doomed.oldest is not None
    assert doomed.newest is not None
    say(console, f"they came between {utc_text(doomed.oldest)} and {utc_text(doomed.newest)}")
    say(
        console,
        f"making them took {doomed.prompt_tokens:,} tokens read and "
        f"{doomed.completion_tokens:,} written",
    )
    say(console, "the next run that needs one asks it again and pays again; charges stay")


def _print_figures(console: "Console", figures: "LedgerFigures") -> None:
    from domainforge.teacher.ledger_tools import utc_text
    from domainforge.wording import printable, short_time

    empty = f", {figures.free_bytes:,} of them empty" if figures.free_bytes else ""
    say(console, f"{figures.path}: version {figures.version}, {figures.file_bytes:,} bytes{empty}")
    columns = ("answered by", "completions", "tokens read", "written", "first (UTC)", "last (UTC)")
    lines = figures.identities
    rows = [
        _line(*line[:4], utc_text(line.oldest)[:19], utc_text(line.newest)[:19]) for line in lines
    ]
    if len(rows) > 1:
        completions = sum(line.completions for line in lines)
        read = sum(line.prompt_tokens for line in lines)
        written = sum(line.completion_tokens for line in lines)
        rows.append(_line("all", completions, read, written, "", ""))
    _print_table(console, columns, rows)
    charges = [
        (account or "(no run)", _usd_text(spent.nano_usd), f"{spent.tokens:,}")
        for account, spent in figures.charges.items()
    ]
    _print_table(console, ("charged to run", "dollars", "tokens"), charges)
    faults = [(kind, f"{count:,}") for kind, count in figures.faults.items()]
    _print_table(console, ("logged faults", "times"), faults)
    say(console, f"interrupted requests, without a reply: {figures.interrupted:,}")
    say(console, f"requests in flight now: {figures.in_flight:,}")
    batches = f"{figures.open_batches:,}, with {figures.batch_requests:,} requests"
    say(console, f"open batches: {batches}")
    for batch in figures.batches:
        name = batch.batch_id or f"not confirmed by the provider ({batch.submission})"
        told = f"{batch.requests:,} requests, {short_time(batch.age_seconds)} old, {batch.identity}"
        say(console, printable(f"  {name}: {told}"))


def _print_table(console: "Console", columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from domainforge.wording import printable

    if not rows:
        say(console, f"{columns[0]}: none")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(columns[0], overflow="fold")
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for name, *figures in rows:
        table.add_row(Text(printable(name)), *figures)
    console.print(table)


def _line(name: str, count: int, read: int, written: int, *times: str) -> list[str]:
    return [name, f"{count:,}", f"{read:,}", f"{written:,}", *times]


def _usd_text(nano_usd: int) -> str:
    """Write billionths of a dollar in full, without the zeros behind the cents."""
    whole, part = divmod(nano_usd, 10**9)
    digits = f"{part:09d}"
    return f"${whole:,}.{digits[:2]}{digits[2:].rstrip('0')}"
