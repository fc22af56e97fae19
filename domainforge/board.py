"""What a run has told so far, stage by stage: states, rates, shares, time left, notes."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domainforge.wording import printable

Event = Mapping[str, Any]
Clock = Callable[[], float]

_WINDOW_SECONDS = 30.0
_LONGEST_LEFT_SECONDS = 99 * 86_400.0


@dataclass
class StageLine:
    """What is known of one stage so far.

    Attributes:
        state: waiting, running, done, unchanged, or stopped (by an error).
        done: Units done in the present phase, of `total`.
        seconds: How long it took, once it is done.
        figures: The latest of each figure that came with its progress.
        account: Where its units went, once it is done.
        samples: (time, units, tokens) of the last half minute, for the rates.
        clock: Rates run up to its time, so that they fall while nothing arrives.
    """

    name: str
    state: str = "waiting"
    done: int = 0
    total: int = 0
    started: float = 0.0
    seconds: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    account: Mapping[str, Any] | None = None
    samples: deque[tuple[float, int, float]] = field(default_factory=deque)
    clock: Clock = time.monotonic

    def advance(self, done: int, total: int, figures: Mapping[str, Any], now: float) -> None:
        """Take in a progress event; a new phase of the stage starts its rates anew."""
        new_phase = done < self.done or total != self.total
        if new_phase or figures.get("what", self.figures.get("what")) != self.figures.get("what"):
            self.samples.clear()
            self.figures.clear()
        self.done, self.total = done, total
        self.figures.update(figures)
        self.samples.append((now, done, float(self.figures.get("tokens") or 0)))
        self._forget_before(now - _WINDOW_SECONDS)

    @property
    def rate(self) -> float | None:
        """Units per second, lately."""
        return self._per_second(1)

    @property
    def token_rate(self) -> float | None:
        """Tokens per second, lately."""
        return self._per_second(2)

    @property
    def left_seconds(self) -> float | None:
        """How long the present phase still takes at this rate; None where nobody can tell."""
        rate = self.rate
        # A crawl or a query can't tell beforehand how much there is.
        known = self.state == "running" and self.total >= self.done
        left = (self.total - self.done) / rate if rate and known else None
        return None if left is None or left > _LONGEST_LEFT_SECONDS else left

    @property
    def silent_seconds(self) -> float:
        """How long nothing has been heard of it."""
        return self.clock() - (self.samples[-1][0] if self.samples else self.started)

    @property
    def kept_share(self) -> float | None:
        """Part of the units that came out."""
        if self.account is not None:
            total = self.account["total"]
            return self.account["done"] / total if total else None
        kept = self.figures.get("kept")
        return kept / self.done if kept is not None and self.done else None

    @property
    def tokens(self) -> float | None:
        """Tokens that went through so far, where the stage counts them."""
        for name in ("tokens", "completion_tokens"):
            if isinstance(self.figures.get(name), int | float):
                return float(self.figures[name])
        return None

    def _per_second(self, column: int) -> float | None:
        now = self.clock()
        self._forget_before(now - _WINDOW_SECONDS)
        if len(self.samples) < 2:
            return None
        first, last = self.samples[0], self.samples[-1]
        seconds, units = now - first[0], last[column] - first[column]
        return units / seconds if seconds > 0.5 and units > 0 else None

    def _forget_before(self, time_: float) -> None:
        # Two stay, for the rate of what takes longer than the window.
        while len(self.samples) > 2 and self.samples[0][0] < time_:
            self.samples.popleft()


class Board:
    """All that a run has told so far."""

    def __init__(self, stages: Sequence[str], clock: Clock = time.monotonic) -> None:
        """Start with every stage waiting."""
        self.lines = {name: StageLine(name, clock=clock) for name in stages}
        self.running: StageLine | None = None
        self.title = ""
        self.started = clock()
        self.notes: list[tuple[str, str]] = []
        self._ended: float | None = None
        self._clock = clock

    def apply(self, event: Event) -> StageLine | None:
        """Take in an event; return the stage that it is about."""
        kind = event["event"]
        if kind == "run":
            self.title = f"{event['name']}, seed {event['seed']}"
        elif kind == "stage":
            return self._apply_stage(event)
        elif kind == "progress" and self.running is not None:
            figures = {k: v for k, v in event.items() if k not in ("event", "done", "total")}
            self.running.advance(event["done"], event["total"], figures, self._clock())
            return self.running
        elif kind == "note":
            self._note(self.running.name if self.running else "run", event["text"])
        elif kind == "stopped":
            self.stop()
        elif kind == "done":
            self._ended = self._clock()
        return self.running

    def stop(self) -> None:
        """Mark the stage that an error ended."""
        if self.running is not None and self.running.state == "running":
            self.running.state = "stopped"
            self.running.seconds = self._clock() - self.running.started
        if self._ended is None:
            self._ended = self._clock()

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self._ended is not None

    @property
    def elapsed(self) -> float:
        """Seconds since the run began, or that it took."""
        return (self._clock() if self._ended is None else self._ended) - self.started

    def seconds(self, line: StageLine) -> float | None:
        """Return how long a stage took, or has been running."""
        running = line.state == "running"
        return self._clock() - line.started if running else line.seconds

    def _apply_stage(self, event: Event) -> StageLine:
        line = self.lines.setdefault(event["stage"], StageLine(event["stage"], clock=self._clock))
        line.state = event["state"]
        if line.state == "running":
            line.started = self._clock()
            self.running = line
            return line
        self.running = None
        line.account = event.get("account")
        line.seconds = event.get("seconds")
        line.figures.update(event.get("figures") or {})
        if line.account is not None:
            line.done, line.total = line.account["done"], line.account["total"]
        for text in event.get("notes") or ():
            self._note(line.name, text)
        return line

    def _note(self, stage: str, text: str) -> None:
        self.notes.append((stage, printable(str(text))))
