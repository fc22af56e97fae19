"""The sections on the way of rows: the funnel, and what each task and document came to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domainforge.funnel import TEXTS, Funnel, Step, Way, describe_document, describe_task
from domainforge.records import REPLAY
from domainforge.report.look import Look
from domainforge.report.section import Section

_DOCUMENTS = 30
_TASKS = 60


@dataclass(frozen=True)
class Piece:
    """A part of a bar, in hundredths of the longest one."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True)
class Bar:
    """One line of the funnel: how many rows, and how many left before."""

    label: str
    unit: str
    count: int
    lost: int
    share: float
    pieces: tuple[Piece, ...]
    words: str = ""


def funnel_section(look: Look) -> Section:
    """Show how many rows came in, left and went on at each step."""
    funnel = look.funnel
    values = {"bars": _bars(funnel), "funnel": funnel, "run": look.run.path.name}
    return Section("The way of all rows", "funnel.html", values)


def ways_section(look: Look) -> Section:
    """Show what each task came to, and the documents that lost most."""
    funnel = look.funnel
    lossy = [way for way in funnel.documents if way.left_out]
    values = {
        "columns": funnel.columns,
        "tables": [
            ("Tasks", "task", _named(funnel.tasks[:_TASKS], describe_task), len(funnel.tasks)),
            (
                "Documents that lost most rows",
                "document",
                _named(lossy[:_DOCUMENTS], describe_document),
                len(lossy),
            ),
        ],
    }
    return Section("By task and by document", "ways.html", values)


def _named(ways: Sequence[Way], describe: Callable[[str], str]) -> list[tuple[str, Way]]:
    return [(describe(way.name), way) for way in ways]


def _bars(funnel: Funnel) -> list[Bar]:
    steps = funnel.steps
    most = max([1, steps[0].came_in, *(step.went_out for step in steps)])
    first = steps[0]
    bars = []
    if first.stage == "generate":
        whole = (Piece("rows", 0, 100 * first.came_in / most),)
        bars.append(Bar("planned", first.unit, first.came_in, 0, 1.0, whole))
    for step in steps:
        pieces = _pieces(_counts(step, funnel.tasks), most)
        bars.append(
            Bar(
                step.label,
                "rows",
                step.went_out,
                step.lost,
                step.share(step.lost),
                pieces,
                ", ".join(f"{number:,} {name}" for name, number in step.parts.items()),
            )
        )
    return bars


def _counts(step: Step, tasks: Sequence[Way]) -> list[tuple[str, int]]:
    """Part a bar into what went out, in its parts, what joined, and what left."""
    if not step.parts:
        return [("rows", step.went_out), ("lost", step.lost)]
    joined = {
        part: sum(way.counts[part] for way in tasks if way.name in (TEXTS, REPLAY))
        for part in step.parts
    }
    own = [(part, count - joined[part]) for part, count in step.parts.items()]
    return [*own, ("joined", sum(joined.values())), ("lost", step.lost)]


def _pieces(counts: Sequence[tuple[str, int]], most: int) -> tuple[Piece, ...]:
    """Lay a bar's parts one behind the other."""
    found, at = [], 0.0
    for kind, count in counts:
        width = min(100 * count / most, 100 - at)
        if width > 0:
            found.append(Piece(kind, round(at, 3), round(width, 3)))
        at += width
    return tuple(found)
