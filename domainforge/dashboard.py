"""A run's events as people or programs read them: a live table, plain lines, or JSON lines."""

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from textwrap import indent
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from domainforge.board import Board, Clock, Event, StageLine
from domainforge.terminal import say
from domainforge.wording import describe_account, printable, short_count, short_time, short_usd

_PLAIN_SECONDS = 10.0
_REFRESHES_PER_SECOND = 4
_WIDE_COLUMNS = 96
_JSON_PROGRESS_SECONDS = 0.2
_SILENCE_SECONDS = 30.0
_FAULTS_SHOWN = 2
_SHOWN_OTHERWISE = frozenset(
    {"kept", "tokens", "what", "usd", "usd_projected", "max_usd"}
    | {"in_flight", "resting", "retried", "faults"}
)
_STATE_STYLES = {
    "waiting": "dim",
    "running": "bold cyan",
    "done": "green",
    "unchanged": "dim green",
    "stopped": "bold red",
}


class LiveDashboard:
    """The board as a table that is drawn over itself; for terminals."""

    def __init__(self, board: Board, console: Console) -> None:
        """Prepare; nothing is drawn before `show`."""
        self._board = board
        self._console = console
        # Live draws from a thread of its own.
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        with self._lock:
            self._board.apply(event)

    @contextlib.contextmanager
    def show(self) -> Iterator["LiveDashboard"]:
        """Draw until the end of the `with`; the last picture stays on the screen, whole."""
        live = Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            vertical_overflow="crop",
        )
        with live:
            try:
                yield self
            finally:
                with self._lock:
                    self._board.stop()

    def render(self) -> RenderableType:
        """Return the table and the notes, as many of these as the screen has room for."""
        with self._lock:
            board = self._board
            title = f"DomainForge  {board.title}, {short_time(board.elapsed)}"
            parts: list[RenderableType] = [
                Text(title, style="bold", no_wrap=True, overflow="ellipsis"),
                _draw_table(board, self._console.width),
                *_draw_now(board),
            ]
            room = self._console.height - len(board.lines) - len(parts) - 1
            return Group(*parts, *self._draw_notes(room))

    def _draw_notes(self, room: int) -> list[Text]:
        notes = [Text.assemble((f"{stage}: ", "dim"), text) for stage, text in self._board.notes]
        if self._board.finished:
            return notes
        taken: list[Text] = []
        for note in reversed(notes):
            room -= len(note.wrap(self._console, self._console.width))
            if room < 0:
                break
            taken.insert(0, note)
        return taken


class PlainLines:
    """One line when a stage starts, one about every ten seconds, one when it ends."""

    def __init__(
        self, board: Board, write: Callable[[str], None], clock: Clock = time.monotonic
    ) -> None:
        """Write lines with `write`."""
        self._board = board
        self._write = write
        self._clock = clock
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        """Take in an event and write what it tells."""
        line = self._board.apply(event)
        kind = event["event"]
        if kind == "run":
            self._write(f"run {self._board.title}")
        elif kind == "stage" and line is not None:
            self._write_stage(line, event)
        elif kind == "note":
            self._write_note(event["text"])
        elif kind == "stopped" and line is not None:
            told = f" at {_describe_progress(line)}" if line.total else ""
            self._write(f"{line.name}: stopped{told}")
        elif kind == "progress" and line is not None:
            now = self._clock()
            if now - self._last >= _PLAIN_SECONDS and (line.done < line.total or not line.total):
                self._last = now
                self._write(f"  {line.name}: {_describe_progress(line)}")

    def _write_note(self, note: object) -> None:
        self._write(indent(printable(str(note)), "  "))

    def _write_stage(self, line: StageLine, event: Event) -> None:
        if line.state == "running":
            self._last = self._clock()
            self._write(f"{line.name}: started")
            return
        account = describe_account(line.account or {})
        if line.state == "unchanged":
            self._write(f"{line.name}: unchanged, {account}")
            return
        self._write(f"{line.name}: {account}, {short_time(line.seconds or 0)}")
        for note in event.get("notes") or ():
            self._write_note(note)


class JsonLines:
    """Every event as one JSON object on a line of its own; of progress some, and the last."""

    def __init__(self, file: IO[str], clock: Clock = time.monotonic) -> None:
        """Write to `file`."""
        self._file = file
        self._clock = clock
        self._written_at = -math.inf
        self._held: Event | None = None

    def __call__(self, event: Event) -> None:
        """Write an event, or hold progress back until the next one is due or its phase ends."""
        held, self._held = self._held, None
        is_progress = event["event"] == "progress"
        goes_on = is_progress and (held is None or event.get("what") == held.get("what"))
        if held is not None and not goes_on:
            self._write(held)
        if not is_progress:
            self._written_at = -math.inf
        elif goes_on and self._clock() - self._written_at < _JSON_PROGRESS_SECONDS:
            self._held = event
            return
        else:
            self._written_at = self._clock()
        self._write(event)

    def _write(self, event: Event) -> None:
        self._file.write(json.dumps(dict(event), ensure_ascii=False) + "\n")
        self._file.flush()


def open_dashboard(
    console: Console, stages: Sequence[str], *, plain: bool, as_json: bool
) -> AbstractContextManager[Callable[[Event], None]]:
    """Choose how a run is shown, for the length of a `with`.

    Args:
        console: Where it is shown; what is no terminal gets plain lines.
        stages: Names of the stages, in order.
        plain: Plain lines on a terminal too.
        as_json: JSON lines instead.
    """
    if as_json:
        return contextlib.nullcontext(JsonLines(console.file))
    board = Board(stages)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return contextlib.nullcontext(PlainLines(board, lambda line: say(console, line)))
    return LiveDashboard(board, console).show()


def _draw_table(board: Board, columns: int) -> Table:
    wide = columns >= _WIDE_COLUMNS
    # Three columns stay free: a ^C that the terminal writes at the end of a full line starts a new
    # one, and the next picture would be drawn a line too low.
    table = Table(
        box=None, padding=(0, 1, 0, 0), pad_edge=False, width=columns - 3, header_style="dim"
    )
    table.add_column("stage", no_wrap=True)
    table.add_column("state", no_wrap=True, width=9)
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("", ratio=1, min_width=6)
    table.add_column("rate", justify="right", no_wrap=True, min_width=6)
    table.add_column("kept", justify="right", no_wrap=True, min_width=4)
    table.add_column("tokens", justify="right", no_wrap=True, min_width=6)
    if wide:
        table.add_column("tok/s", justify="right", no_wrap=True, min_width=6)
    table.add_column("left", justify="right", no_wrap=True, min_width=6)
    table.add_column("time", justify="right", no_wrap=True, min_width=6)
    for line in board.lines.values():
        table.add_row(*_cells(line, board.seconds(line), wide=wide))
    return table


def _cells(line: StageLine, seconds: float | None, *, wide: bool) -> list[RenderableType]:
    style = _STATE_STYLES.get(line.state, "")
    running = line.state == "running"
    units = short_count(line.done) if line.done else ""
    if line.total:
        units = f"{short_count(line.done)}/{short_count(line.total)}"
    bar: RenderableType = ""
    if line.total and line.state != "waiting":
        whole = line.state in ("done", "unchanged")
        done = line.total if whole else line.done
        bar = ProgressBar(
            total=line.total, completed=done, complete_style="cyan", finished_style="green"
        )
    kept, tokens = line.kept_share, line.tokens
    cells: list[RenderableType] = [
        Text(line.name, style="dim" if line.state == "waiting" else ""),
        Text(line.state, style=style),
        units,
        bar,
        f"{_short_rate(line.rate)}" if running and line.rate else "",
        "" if kept is None else f"{kept:.0%}",
        "" if tokens is None else short_count(tokens),
    ]
    if wide:
        token_rate = line.token_rate
        cells.append(short_count(token_rate) if running and token_rate else "")
    left = line.left_seconds
    cells.append("" if left is None else short_time(left))
    cells.append("" if seconds is None else short_time(seconds))
    return cells


def _draw_now(board: Board) -> list[Text]:
    """Draw what the running stage, or the one that was stopped, tells beside its columns."""
    line = board.running
    if line is None or line.state not in ("running", "stopped"):
        return []
    shown = _describe_figures(line)
    what = line.figures.get("what")
    text = ", ".join([str(what)] if what else []) + (": " if what and shown else "") + shown
    return [
        Text(f"{line.name}: {part}", style="cyan", no_wrap=True, overflow="ellipsis")
        for part in (text, _describe_traffic(line))
        if part
    ]


def _describe_figures(line: StageLine) -> str:
    money = _describe_money(line)
    parts = [money] if money else []
    for name, value in line.figures.items():
        if name in _SHOWN_OTHERWISE or not isinstance(value, int | float | str):
            continue
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        parts.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(parts)


def _describe_traffic(line: StageLine) -> str:
    """Say what is asked now and what had to be repeated, where the stage tells it."""
    in_flight, resting, retried, faults = (
        line.figures.get(name) for name in ("in_flight", "resting", "retried", "faults")
    )
    running = line.state == "running"
    parts = []
    if running and in_flight and line.silent_seconds >= _SILENCE_SECONDS:
        parts.append(f"no reply for {short_time(line.silent_seconds)}")
    if running and in_flight is not None:
        parts.append(f"{in_flight:,} in flight")
    if running and resting:
        parts.append(f"{resting:,} waiting")
    kinds = _describe_faults(faults) if isinstance(faults, Mapping) else ""
    if retried:
        parts.append(f"{retried:,} repeated" + (f" ({kinds})" if kinds else ""))
    elif kinds:
        parts.append(f"faults: {kinds}")
    return ", ".join(parts)


def _describe_faults(faults: Mapping[str, int]) -> str:
    most = sorted(faults.items(), key=lambda fault: (-fault[1], fault[0]))[:_FAULTS_SHOWN]
    return ", ".join(f"{printable(kind)} {count:,}" for kind, count in most if count)


def _describe_money(line: StageLine) -> str:
    spent, cap, whole = (line.figures.get(name) for name in ("usd", "max_usd", "usd_projected"))
    if spent is None:
        return ""
    text = f"spent {short_usd(spent)}" + ("" if cap is None else f" of {short_usd(cap)}")
    return text if whole is None else f"{text}, about {short_usd(whole)} in all"


def _describe_progress(line: StageLine) -> str:
    parts = [f"{line.done:,} of {line.total:,}" if line.total else f"{line.done:,}"]
    if line.figures.get("what"):
        parts.insert(0, str(line.figures["what"]))
    if line.rate:
        parts.append(f"{_short_rate(line.rate)}")
    if line.kept_share is not None:
        parts.append(f"{line.kept_share:.0%} kept")
    if line.tokens:
        rate = f" ({short_count(line.token_rate)}/s)" if line.token_rate else ""
        parts.append(f"{short_count(line.tokens)} tokens{rate}")
    parts += [part for part in (_describe_figures(line), _describe_traffic(line)) if part]
    if line.left_seconds is not None:
        parts.append(f"about {short_time(line.left_seconds)} left")
    return ", ".join(parts)


def _short_rate(rate: float) -> str:
    if rate < 1:
        return f"{rate * 60:.0f}/min"
    return f"{rate:.1f}/s" if rate < 100 else f"{short_count(rate)}/s"
