"""Later rounds: asking again, first about what no kept row rests on yet."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domainforge.generation.coverage import Coverage
from domainforge.generation.harvest import Harvest
from domainforge.generation.novelty import Place, place_of
from domainforge.generation.units import Unit
from domainforge.records import Example, stable_id


@dataclass(frozen=True)
class RoundPlan:
    """What one round asks.

    Attributes:
        number: 1 for the first.
        open_sentences: Sentences without a kept row that it is to ask about; None of the first.
    """

    number: int
    units: tuple[Unit, ...]
    open_sentences: int | None = None

    @property
    def fingerprint(self) -> str:
        """A hash of what is asked: prompts, passages, samples, and what they are to ask about."""
        return stable_id(
            "round",
            self.number,
            [(place_of(u), u.prompt.hash, u.sample, u.focus, u.attributes) for u in self.units],
        )

    def figures(self) -> dict[str, Any]:
        """Return what is told of it."""
        figures = {"requests": len(self.units), "fingerprint": self.fingerprint}
        return figures | ({} if self.open_sentences is None else {"open": self.open_sentences})


def ask_rounds(
    first: Sequence[Unit],
    rounds: int,
    every: Callable[[int], Iterable[Unit]],
    harvest: Harvest,
    cover: Callable[[Sequence[Example]], Coverage],
    say: Callable[[str], None],
) -> list[RoundPlan]:
    """Ask the first round and those after it; fewer, where nothing is left to ask about.

    Args:
        first: Units of the first round.
        rounds: How many there are to be.
        every: Gives all units with so many times the samples that the tasks ask for.
        harvest: Asks, and has the rows.
        cover: Finds what rows rest on.
        say: Told how a later round begins.
    """
    plans = [RoundPlan(1, tuple(first))]
    harvest.ask(first)
    asked = {(place_of(unit), unit.sample) for unit in first}
    for number in range(2, rounds + 1):
        plan = plan_round(number, every, asked, cover(harvest.rows), len(first))
        if not plan.units:
            say(f"Round {number}: nothing is left to ask about")
            break
        say(
            f"Round {number}: {plan.open_sentences:,} sentences have no row yet; "
            f"{len(plan.units):,} requests about them"
        )
        harvest.ask(plan.units)
        asked |= {(place_of(unit), unit.sample) for unit in plan.units}
        plans.append(plan)
    return plans


def plan_round(
    number: int,
    every: Callable[[int], Iterable[Unit]],
    asked: set[tuple[Place, int]],
    coverage: Coverage,
    most: int,
) -> RoundPlan:
    """Choose what a later round asks: further samples about passages with an uncovered sentence.

    Only prompts whose rows can cover one are asked again; rows that decline never do. Passages of
    which least is covered come first. A prompt that reads `focus` is given one of the uncovered
    sentences, another for every sample. No prompt is asked more often about a passage than this has
    such sentences.

    Args:
        number: Of the round; 2 for the first of them.
        every: Gives all units with so many times the samples that the tasks ask for.
        asked: Places and samples of earlier rounds; what was drawn for them stays.
        coverage: What the rows kept so far rest on.
        most: Units at most.
    """
    found: list[tuple[float, int, Unit]] = []
    open_ids: set[tuple[str, int, int]] = set()
    taken: dict[Place, int] = {}
    pointed: dict[str, bool] = {}
    for order, unit in enumerate(every(number)):
        place, prompt = place_of(unit), unit.prompt
        can_cover = prompt.header.asks and prompt.header.basis == "passage"
        if not can_cover or (place, unit.sample) in asked:
            continue
        gaps = _gaps(unit, coverage)
        if not gaps:
            continue
        open_ids |= {(chunk, start, end) for chunk, start, end, _ in gaps}
        turn = taken[place] = taken.get(place, -1) + 1
        if turn >= len(gaps):
            continue
        uncovered = sum(end - start for _, start, end, _ in gaps)
        size = sum(chunk["end"] - chunk["start"] for chunk in unit.chunks)
        if prompt.name not in pointed:
            pointed[prompt.name] = "focus" in prompt.reads(completion=False)
        focus = gaps[turn][3] if pointed[prompt.name] else ""
        found.append((-uncovered / max(1, size), order, replace(unit, focus=focus)))
    found.sort(key=lambda entry: entry[:2])
    return RoundPlan(number, tuple(unit for _, _, unit in found[:most]), len(open_ids))


def _gaps(unit: Unit, coverage: Coverage) -> list[tuple[str, int, int, str]]:
    """Return what a unit is about and no row rests on: chunk, span in its document, text."""
    gaps: list[tuple[str, int, int, str]] = []
    for chunk in unit.chunks:
        whole = chunk["id"] != unit.chunk["id"]
        begin = chunk["start"]
        gaps += [
            (chunk["id"], start, end, chunk["text"][start - begin : end - begin])
            for start, end in coverage.open_sentences(chunk["id"])
            if whole or (start < unit.end and unit.start < end)
        ]
    return gaps
