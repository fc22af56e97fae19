import contextlib
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rich.console import Console

from domainforge.board import Board
from domainforge.dashboard import JsonLines, LiveDashboard, PlainLines, open_dashboard
from domainforge.wording import describe_account, printable, short_count, short_time

STAGES = ("ingest", "chunk", "assign", "generate", "filter", "train", "evaluate", "export")
GENERATED = {
    "unit": "requests",
    "total": 450,
    "done": 412,
    "dropped": {"cut_off": 18, "off_schema": 12},
    "failed": {"timeout": 8},
    "not_reached": 0,
}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def start(stage: str) -> dict[str, Any]:
    return {"event": "stage", "stage": stage, "state": "running"}


def finish(stage: str, account: Any = GENERATED, **more: Any) -> dict[str, Any]:
    return {
        "event": "stage",
        "stage": stage,
        "state": "done",
        "account": account,
        "seconds": 61.2,
        "notes": [],
        "figures": {},
        **more,
    }


def progress(done: int, total: int, **figures: Any) -> dict[str, Any]:
    return {"event": "progress", "done": done, "total": total, **figures}


def feed(
    listener: Callable[[dict[str, Any]], Any], clock: Clock, *steps: tuple[float, Any]
) -> None:
    for seconds, event in steps:
        clock.now += seconds
        listener(event)


def test_rate_share_and_time_left_come_from_the_last_half_minute() -> None:
    clock = Clock()
    board = Board(STAGES, clock)
    feed(board.apply, clock, (0, start("generate")), (1, progress(0, 400, kept=0, tokens=0)))
    for step in range(1, 61):  # slow for 60 s, then four times as fast
        feed(board.apply, clock, (1, progress(step, 400, kept=step, tokens=10 * step)))
    for step in range(1, 41):
        now = progress(60 + 4 * step, 400, kept=60 + 2 * step, tokens=600 + 40 * step)
        feed(board.apply, clock, (1, now))
    line = board.lines["generate"]
    assert line.rate == pytest.approx(4, rel=0.05)
    assert line.token_rate == pytest.approx(40, rel=0.05)
    assert line.left_seconds == pytest.approx((400 - 220) / 4, rel=0.05)
    assert line.kept_share == pytest.approx(140 / 220)
    assert board.seconds(line) == pytest.approx(101)


def test_rates_fall_while_nothing_arrives() -> None:
    clock = Clock()
    board = Board(STAGES, clock)
    feed(board.apply, clock, (0, start("generate")))
    for step in range(100):
        feed(board.apply, clock, (0.1, progress(step, 1000, tokens=step)))
    line = board.lines["generate"]
    assert line.rate == pytest.approx(10)
    seen = []
    for _ in range(6):
        seen.append((line.rate, line.token_rate, line.left_seconds))
        clock.now += 9.9
    rates, token_rates, left = zip(*seen, strict=True)
    assert rates[1] == pytest.approx(5)
    assert list(rates) == sorted(rates, reverse=True)
    assert rates == token_rates
    assert list(left) == sorted(left)
    assert left[0] < 100 < 10_000 < left[-1]
    assert line.silent_seconds == pytest.approx(59.4)
    clock.now += 10**6
    assert line.left_seconds is None, "nobody can tell"
    feed(board.apply, clock, (0, progress(100, 1000)), (1, progress(110, 1000)))
    assert line.rate == pytest.approx(10), "what arrives again counts from then on"


def test_a_new_phase_starts_the_rates_anew() -> None:
    clock = Clock()
    board = Board(STAGES, clock)
    feed(
        board.apply,
        clock,
        (0, start("evaluate")),
        (1, progress(0, 100, what="base")),
        (1, progress(90, 100, what="base", loss=3.5)),
        (1, progress(1, 100, what="student")),
        (2, progress(5, 100, what="student")),
    )
    line = board.lines["evaluate"]
    assert line.rate == pytest.approx(2)
    assert line.figures == {"what": "student"}


def test_what_has_no_total_counts_up_and_has_no_time_left() -> None:
    clock = Clock()
    board = Board(STAGES, clock)
    seen: list[str] = []
    plain = PlainLines(board, seen.append, clock)
    steps = [(5, progress(5 * step, 0)) for step in range(4)]
    feed(plain, clock, (0, start("generate")), *steps)
    assert board.lines["generate"].left_seconds is None
    assert seen[-1] == "  generate: 15, 1.0/s"
    screen = io.StringIO()
    console = Console(width=80, file=screen)
    console.print(LiveDashboard(board, console).render())
    assert re.search(r"generate +running +15 ", screen.getvalue())


def test_a_finished_stage_has_its_account_and_no_time_left() -> None:
    clock = Clock()
    board = Board(STAGES, clock)
    feed(board.apply, clock, (0, start("generate")), (5, progress(3, 450)), (5, finish("generate")))
    line = board.lines["generate"]
    assert (line.state, line.done, line.total, line.seconds) == ("done", 412, 450, 61.2)
    assert line.left_seconds is None
    assert line.kept_share == pytest.approx(412 / 450)
    feed(board.apply, clock, (1, progress(7, 9)))
    assert line.done == 412, "progress without a running stage belongs to none"


def test_money_is_shown_spent_of_the_cap_and_projected() -> None:
    clock = Clock()
    lines: list[str] = []
    plain = PlainLines(Board(STAGES, clock), lines.append, clock)
    capped = progress(20, 100, usd=0.0312, usd_projected=1.404, max_usd=2.0)
    feed(plain, clock, (0, start("generate")), (11, capped))
    feed(plain, clock, (11, progress(30, 100, usd=1.5, usd_projected=5000.0)))
    assert lines[1] == "  generate: 20 of 100, spent $0.0312 of $2.00, about $1.40 in all"
    assert "spent $1.50 of $2.00, about $5,000.00 in all" in lines[2]
    board = Board(STAGES, clock)
    feed(board.apply, clock, (0, start("generate")), (1, capped))
    console = Console(file=io.StringIO(), width=100, height=30)
    console.print(LiveDashboard(board, console).render())
    assert "generate: spent $0.0312 of $2.00" in console.file.getvalue()  # type: ignore[attr-defined]


TRAFFIC = {
    "in_flight": 12,
    "resting": 5,
    "retried": 1031,
    "faults": {"http_500": 3, "429": 25, "timeout": 6},
}


def test_what_is_asked_and_repeated_has_a_line_of_its_own() -> None:
    clock = Clock()
    board = Board(STAGES, clock)
    told = progress(20, 100, usd=0.0312, usd_projected=1.404, max_usd=2.0, **TRAFFIC)
    feed(board.apply, clock, (0, start("generate")), (1, told))
    with terminal(80, 24) as (console, file):
        dashboard = LiveDashboard(board, console)
        shown = draw(dashboard, console, file)
        assert "generate: spent $0.0312 of $2.00, about $1.40 in all" in shown
        words = "12 in flight, 5 waiting, 1,031 repeated (429 25, timeout 6)"
        assert f"generate: {words}" in shown
        assert not any("faults" in line or "http_500" in line for line in shown)
        clock.now += 42
        assert "generate: no reply for 42 s, 12 in flight, 5 waiting" in "\n".join(
            draw(dashboard, console, file)
        )
        feed(board.apply, clock, (0, progress(21, 100, in_flight=3, resting=0)))
        lively = draw(dashboard, console, file)
        assert "generate: 3 in flight, 1,031 repeated (429 25, timeout 6)" in lively
        quiet = progress(22, 100, in_flight=3, retried=0, faults={"\x1b[2Jodd": 1})
        feed(board.apply, clock, (0, quiet))
        assert "generate: 3 in flight, faults: \ufffd[2Jodd 1" in draw(dashboard, console, file)
    lines: list[str] = []
    plain = PlainLines(Board(STAGES, clock), lines.append, clock)
    feed(plain, clock, (0, start("generate")), (11, progress(20, 100, **TRAFFIC)))
    assert lines[1] == f"  generate: 20 of 100, {words}"


def test_plain_lines_tell_starts_ends_notes_and_progress_now_and_then() -> None:
    clock = Clock()
    lines: list[str] = []
    plain = PlainLines(Board(STAGES, clock), lines.append, clock)
    unchanged = finish("ingest", {**GENERATED, "dropped": {}, "failed": {}, "done": 450})
    feed(
        plain,
        clock,
        (0, {"event": "run", "name": "quickstart", "seed": 7}),
        (0, {**unchanged, "state": "unchanged", "seconds": None}),
        (0, start("generate")),
        (1, {"event": "note", "text": "Starting the teacher ...\nin two lines"}),
        *[(1.0, progress(step, 450, kept=step // 2, tokens=20 * step)) for step in range(1, 25)],
        (1, finish("generate", notes=["8 requests failed after all retries"])),
        (0, start("train")),
        (11, progress(10, 120, loss=1.25)),
    )
    assert lines == [
        "run quickstart, seed 7",
        "ingest: unchanged, 450 of 450 requests done",
        "generate: started",
        "  Starting the teacher ...\n  in two lines",
        "  generate: 9 of 450, 1.0/s, 44% kept, 180 tokens (20/s), about 7m21s left",
        "  generate: 19 of 450, 1.0/s, 47% kept, 380 tokens (20/s), about 7m11s left",
        "generate: 412 of 450 requests done, 30 dropped (cut_off 18, off_schema 12), "
        "8 failed (timeout 8), 61 s",
        "  8 requests failed after all retries",
        "train: started",
        "  train: 10 of 120, loss 1.250",
    ]


def test_plain_lines_tell_where_a_run_was_stopped() -> None:
    clock = Clock()
    lines: list[str] = []
    plain = PlainLines(Board(STAGES, clock), lines.append, clock)
    stop = {"event": "stopped", "stage": "generate", "message": "the cap is reached"}
    spending = progress(20, 100, usd=1.5, max_usd=2.0)
    feed(plain, clock, (0, start("generate")), (1, spending), (1, stop))
    assert lines == ["generate: started", "generate: stopped at 20 of 100, spent $1.50 of $2.00"]


def test_json_lines_hold_progress_back_but_never_the_last_of_a_phase() -> None:
    clock = Clock()
    file = io.StringIO()
    write = JsonLines(file, clock)
    steps = [(0.001, progress(step, 5000, what="base")) for step in range(1, 3001)]
    then = [(0.001, progress(step, 9000, what="student")) for step in range(1, 2001)]
    note = {"event": "note", "text": "x"}
    feed(write, clock, (0, start("evaluate")), *steps, *then, (0, note), (0, progress(2001, 9000)))
    stop = {"event": "stopped", "stage": "evaluate", "message": "m"}
    feed(write, clock, (0, progress(2002, 9000)), (0, stop))
    events = [json.loads(line) for line in file.getvalue().splitlines()]
    told = [(e["event"], e.get("what"), e.get("done")) for e in events]
    assert told[:2] == [("stage", None, None), ("progress", "base", 1)]
    assert told[-5] == ("progress", "student", 2000)
    assert [event["event"] for event in events[-4:]] == ["note", "progress", "progress", "stopped"]
    assert events[-2]["done"] == 2002
    assert ("progress", "base", 3000) in told
    assert 20 <= len(told) <= 40, "five a second of five seconds"


def test_json_lines_are_the_events() -> None:
    file = io.StringIO()
    events = [start("chunk"), progress(1, 2, what="ü"), finish("chunk")]
    for event in events:
        JsonLines(file)(event)
    assert [json.loads(line) for line in file.getvalue().splitlines()] == events


@contextmanager
def terminal(columns: int, rows: int) -> Iterator[tuple[Console, io.StringIO]]:
    file = io.StringIO()
    yield (
        Console(file=file, force_terminal=True, width=columns, height=rows, color_system=None),
        file,
    )


def draw(dashboard: LiveDashboard, console: Console, file: io.StringIO) -> list[str]:
    file.seek(0)
    file.truncate()
    console.print(dashboard.render())
    return file.getvalue().splitlines()


def busy_board(clock: Clock) -> Board:
    board = Board(STAGES, clock)
    feed(
        board.apply,
        clock,
        (0, {"event": "run", "name": "quickstart", "seed": 7}),
        (0, start("ingest")),
        (1, finish("ingest", notes=["2 not read (encrypted: wants a password): a.pdf, b.pdf"])),
        (0, start("generate")),
        (1, progress(0, 12_345, kept=0, tokens=0)),
        (20, progress(10_000, 12_345, kept=8_800, tokens=1_234_567, failed=3)),
    )
    return board


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_the_live_table_fits_the_terminal_and_shows_what_is_known(columns: int) -> None:
    clock = Clock()
    with terminal(columns, 30) as (console, file):
        lines = draw(LiveDashboard(busy_board(clock), console), console, file)
    assert all(len(line) <= columns for line in lines)
    text = "\n".join(lines)
    for stage in STAGES:
        assert sum(line.startswith(stage + " ") for line in lines[2:10]) == 1
    running = next(line for line in lines if line.startswith("generate "))
    shown = ["running", "10k/12.3k", "500/s", "88%", "1.23M", "4.7 s", "21 s"]
    for part in shown + (["61.7k"] if columns >= 100 else []):
        assert part in running
    assert "failed 3" in text
    assert "2 not read (encrypted: wants a password): a.pdf, b.pdf" in text
    assert max(map(ord, text)) < 0x2600, "no emoji"


def test_notes_never_push_the_table_off_the_screen_but_all_are_there_at_the_end() -> None:
    clock = Clock()
    board = busy_board(clock)
    for number in range(40):
        board.apply({"event": "note", "text": f"note {number} " + "long " * 20})
    with terminal(80, 24) as (console, file):
        dashboard = LiveDashboard(board, console)
        lines = draw(dashboard, console, file)
        assert len(lines) <= 24
        assert lines[0].startswith("DomainForge  quickstart")
        assert "note 39" in "\n".join(lines)
        board.apply({"event": "done", "verdict": None})
        assert "note 0" in "\n".join(draw(dashboard, console, file))


def test_an_error_marks_the_stage_that_it_ended() -> None:
    with terminal(100, 30) as (console, file):
        dashboard = LiveDashboard(busy_board(Clock()), console)
        with contextlib.suppress(KeyError), dashboard.show():
            raise KeyError
        last = file.getvalue()
    assert "stopped" in last
    assert "running" not in last.rpartition("DomainForge")[2]


def test_the_last_picture_of_a_stopped_run_keeps_what_it_spent() -> None:
    clock = Clock()
    board = Board(STAGES, clock)
    spending = progress(20, 100, usd=1.5, max_usd=2.0, **TRAFFIC)
    feed(board.apply, clock, (0, start("generate")), (1, spending))
    with terminal(100, 30) as (console, file):
        with contextlib.suppress(KeyboardInterrupt), LiveDashboard(board, console).show():
            raise KeyboardInterrupt
        last = file.getvalue().rpartition("DomainForge")[2]
    assert "stopped" in last
    assert "generate: spent $1.50 of $2.00" in last
    assert "generate: 1,031 repeated (429 25, timeout 6)" in last, "nothing is in flight any more"


def test_a_pipe_gets_plain_lines_and_a_terminal_the_table() -> None:
    file = io.StringIO()
    with open_dashboard(Console(file=file), STAGES, plain=False, as_json=False) as listener:
        listener(start("chunk"))
    assert file.getvalue() == "chunk: started\n"
    with terminal(80, 24) as (console, screen):
        with open_dashboard(console, STAGES, plain=False, as_json=False) as listener:
            listener(start("chunk"))
        assert "chunk" in screen.getvalue()
        assert "waiting" in screen.getvalue()
    with terminal(80, 24) as (console, screen):
        with open_dashboard(console, STAGES, plain=True, as_json=False) as listener:
            listener(start("chunk"))
        assert screen.getvalue() == "chunk: started\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="truecolor", width=80)
    console.print(LiveDashboard(busy_board(Clock()), console).render())
    assert "\x1b[3" not in file.getvalue()


def test_text_of_documents_cannot_command_the_terminal() -> None:
    clock = Clock()
    board = busy_board(clock)
    board.apply({"event": "note", "text": "evil\x1b[2Jtitle\x07 \u202etxt.exe [bold]not markup[/]"})
    with terminal(80, 24) as (console, file):
        text = "\n".join(draw(LiveDashboard(board, console), console, file))
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert "[bold]not markup[/]" in text
    lines: list[str] = []
    PlainLines(Board(STAGES), lines.append)({"event": "note", "text": "a\x1bb"})
    assert lines == ["  a\ufffdb"]


def test_accounts_in_words() -> None:
    account = {**GENERATED, "total": 1450, "not_reached": 1000}
    assert describe_account(account) == (
        "412 of 1,450 requests done, 30 dropped (cut_off 18, off_schema 12), "
        "8 failed (timeout 8), 1,000 not reached"
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (9999, "9999"), (12_345, "12.3k"), (999_600, "1M"), (4_560_000, "4.56M")],
)
def test_counts_stay_short(number: float, words: str) -> None:
    assert short_count(number) == words
    assert len(words) <= 6


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.4 s"), (61, "61 s"), (125, "2m05s"), (5999, "99m59s"), (12_000, "3h20m")],
)
def test_times_stay_short(seconds: float, words: str) -> None:
    assert short_time(seconds) == words
    assert len(words) <= 6


def test_printable_keeps_lines_and_tabs() -> None:
    assert printable("a\r\nb\tc\x9b") == "a\nb\tc\ufffd"
