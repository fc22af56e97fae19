"""Recipes: which prompts are asked how often, planned from the size of the documents and the caps.

A dose is in tokens of rows for each token of the documents. More rows about the same text go on
helping, with the logarithm of their number (EntiGraph, arXiv 2409.07431), so a small corpus gets
more of them for each token than a large one, at a cost of the same order.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Literal

from domainforge.generation.corpus import Corpus
from domainforge.generation.requests import count_steps
from domainforge.generation.tasks import TaskConfig, make_tasks
from domainforge.generation.units import Form, Task, Unit, plan_units
from domainforge.prompts import PromptFile
from domainforge.wording import short_usd

RecipeName = Literal["cheap", "default", "rich"]

_INSTRUCTION_TOKENS = 220
_FEW_SHOT_TOKENS = 330
_MOST_SAMPLES = 64
_CAP_SHARE = 0.9
"""Of a cap that is planned with; the rest is for repairs, and for what the estimate misses."""


@dataclass(frozen=True)
class Part:
    """One prompt of a recipe.

    Attributes:
        share: Of the dose, beside those of the others.
        fixed_tokens: What a request comes to in rows, whatever the length of the passage.
        per_token: What it comes to besides, for each token of the passage.
    """

    prompt: str
    share: float
    fixed_tokens: int
    per_token: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """Prompts and dose, for teachers that chat and for those that only continue text.

    Attributes:
        least: Lowest dose, of a large corpus.
        most: Highest dose, of a small one.
        tokens: Rows aimed at in all, between these.
    """

    least: float
    most: float
    tokens: int
    chat: tuple[Part, ...]
    completion: tuple[Part, ...]

    def parts(self, form: Form) -> tuple[Part, ...]:
        """Return the prompts for a form."""
        return self.completion if form == "completion" else self.chat

    def dose(self, corpus_tokens: int) -> float:
        """Return the dose for a corpus."""
        return min(self.most, max(self.least, self.tokens / max(1, corpus_tokens)))


_STAPLES = (
    Part("rephrase", 0.35, 0, 1.0),
    Part("qa", 0.25, 50),
    Part("abstain", 0.06, 60),
    Part("cloze", 0.1, 45),
)
"""Of every recipe for teachers that chat."""
_GAPS = (Part("cloze", 0.8, 45), Part("not_said", 0.06, 50))
"""For teachers that only continue text: what they write is worth less than the documents' own
sentences with gaps in them (`benchmarks/closed_book.py`), so that these are most of the dose."""

RECIPES: Mapping[RecipeName, Recipe] = {
    "cheap": Recipe(
        least=1,
        most=3,
        tokens=500_000,
        chat=_STAPLES,
        completion=_GAPS,
    ),
    "default": Recipe(
        least=4,
        most=12,
        tokens=2_000_000,
        chat=(
            *_STAPLES,
            Part("multi_hop", 0.08, 80),
            Part("dialogue", 0.08, 220),
            Part("facts", 0.08, 0, 1.2),
        ),
        completion=(*_GAPS, Part("qa", 0.12, 35)),
    ),
    "rich": Recipe(
        least=12,
        most=40,
        tokens=10_000_000,
        chat=(
            *_STAPLES,
            Part("multi_hop", 0.08, 80),
            Part("dialogue", 0.06, 220),
            Part("facts", 0.06, 0, 1.2),
            Part("entigraph", 0.15, 300),
            Part("reasoning", 0.06, 150),
            Part("faq", 0.05, 0, 1.3),
            Part("summary", 0.03, 20, 0.3),
            Part("tutorial", 0.03, 300),
            Part("textbook", 0.05, 450),
            Part("persona_qa", 0.05, 80),
        ),
        completion=(
            *_GAPS,
            Part("qa", 0.3, 35),
            Part("answer_first", 0.3, 35),
            Part("rephrase", 0.3, 30),
        ),
    ),
}


@dataclass(frozen=True)
class Need:
    """What asking takes, estimated before anything is asked.

    Attributes:
        requests: Every step of a chain is one; repairs and continuations come on top.
    """

    requests: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class RecipePlan:
    """What a recipe comes to for these documents.

    Attributes:
        tasks: How often each prompt is asked.
        corpus_tokens: Of the passages that are asked about, in the student's tokens.
        row_tokens: Expected of all rows.
        need: What the teacher is asked for.
        usd: Expected cost; None where the price is not known.
        cut: What was left out and why, and what the caps leave of the dose; empty where nothing is.
    """

    name: RecipeName
    tasks: tuple[TaskConfig, ...]
    corpus_tokens: int
    row_tokens: int
    need: Need
    usd: float | None
    cut: str = ""

    @property
    def dose(self) -> float:
        """Tokens of rows for each token of the documents."""
        return self.row_tokens / max(1, self.corpus_tokens)

    def describe(self) -> str:
        """Say it in a few lines."""
        if not self.tasks:
            return f"Recipe {self.name}: nothing in these documents that its prompts go over"
        asked = ", ".join(f"{task.prompt} {task.per_chunk}" for task in self.tasks)
        cost = f", about {short_usd(self.usd)}" if self.usd else ""
        lines = [
            f"Recipe {self.name}: about {self.dose:.1f} tokens of rows for each of the "
            f"{self.corpus_tokens:,} tokens of the documents, before the filter; "
            f"{self.need.requests:,} requests{cost}",
            f"Samples of each passage (of each sentence, where a prompt goes over these): {asked}",
        ]
        return "\n".join([*lines, self.cut] if self.cut else lines)


Afford = Callable[[Need], tuple[float, float | None]]
"""Tells which part of the caps a need takes (1 is all), and what it costs in dollars if known."""


def plan_recipe(
    name: RecipeName,
    chunks: Sequence[Mapping[str, object]],
    form: Form,
    sides: Mapping[str, str],
    find_prompt: Callable[[str], PromptFile],
    afford: Afford,
    without: Collection[str] = (),
) -> RecipePlan:
    """Decide how often each prompt of a recipe is asked.

    Where the caps don't allow the dose it is lowered, and then prompts are left out, the last ones
    of the recipe first.

    Args:
        name: Of the recipe.
        chunks: Rows of the chunks table, in the order of uri and start.
        form: How the teacher is asked.
        sides: Side of each chunk.
        find_prompt: Loads a prompt file by name.
        afford: What the caps say to a need.
        without: Prompts that are left out.

    Raises:
        PromptError: A prompt of the recipe can't be used.
    """
    recipe = RECIPES[name]
    about = [chunk for chunk in chunks if not chunk.get("messages")]
    sizes = [int(str(chunk["tokens"])) for chunk in about]
    corpus = Corpus(chunks, sides)

    def plan_all(tasks: Sequence[Task]) -> Iterator[Unit]:
        return plan_units(chunks, tasks, form, sides, corpus)

    parts = [part for part in recipe.parts(form) if part.prompt not in without]
    counted = [_Counted(part, find_prompt(part.prompt), form, plan_all) for part in parts]
    # Two passages that no pair can be made of, no names, no other document: nothing to ask.
    idle = [part.name for part in counted if not part.places]
    counted = [part for part in counted if part.places]
    dose = recipe.dose(sum(sizes))
    whole = plan = _Dosed(counted, dose, sum(sizes))
    while True:
        taken, _ = afford(plan.need)
        if taken <= _CAP_SHARE or not plan.need.requests:
            break
        if plan.is_least:
            if len([part for part in counted if part.asks]) == 1:
                break
            dropped = [part for part in counted if part.asks][-1]
            counted = [part for part in counted if part is not dropped]
        dose = min(dose * _CAP_SHARE / taken, dose * 0.95)
        plan = _Dosed(counted, dose, sum(sizes))

    def count(dosed: _Dosed) -> None:
        tasks = make_tasks(dosed.tasks, find_prompt)
        dosed.count(Counter(unit.prompt.name for unit in plan_all(tasks)))

    count(plan)
    if plan is not whole:
        count(whole)
    taken, usd = afford(plan.need)
    found = RecipePlan(name, plan.tasks, sum(sizes), plan.row_tokens, plan.need, usd)
    said = [f"Nothing in these documents for: {', '.join(idle)}."] if idle else []
    said += _tell_cut(whole, plan, found, over=taken > 1)
    return replace(found, cut=" ".join(said))


def _tell_cut(whole: "_Dosed", plan: "_Dosed", found: RecipePlan, *, over: bool) -> list[str]:
    said = []
    if plan.row_tokens < whole.row_tokens:
        dose = whole.row_tokens / max(1, found.corpus_tokens)
        said.append(
            f"The caps of teacher.budget lower that from {dose:.1f} tokens to {found.dose:.1f}."
        )
    out = [part.name for part in whole.parts if part not in plan.parts]
    if out:
        said.append(f"Left out for the caps: {', '.join(out)}.")
    if over:
        said.append("Even so the run is likely to stop at a cap; what is paid for is kept.")
    return said


class _Counted:
    """A part of a recipe beside the places that its prompt is asked about."""

    def __init__(
        self,
        part: Part,
        prompt: PromptFile,
        form: Form,
        plan_all: Callable[[Sequence[Task]], Iterator[Unit]],
    ) -> None:
        units = list(plan_all([Task(prompt, 1)]))
        self.name, self.share = part.prompt, part.share
        self.asks = prompt.header.asks
        self.steps = count_steps(prompt, form)
        self.places = len(units)
        tokens = [sum(int(chunk["tokens"]) for chunk in unit.chunks) for unit in units] or [0]
        within = (
            mean(
                min(1.0, len(u.text) / max(1, sum(len(c["text"]) for c in u.chunks))) for u in units
            )
            if units
            else 1.0
        )
        self.passage_tokens = mean(tokens) * within
        self.row_tokens = part.fixed_tokens + part.per_token * self.passage_tokens
        head = _FEW_SHOT_TOKENS if form == "completion" else _INSTRUCTION_TOKENS
        self.prompt_tokens = head + (self.passage_tokens if form == "completion" else mean(tokens))

    def samples(self, tokens: float) -> int:
        """Return how often the prompt is asked of each place, to make so many tokens of rows."""
        wanted = tokens / max(1.0, self.row_tokens * self.places)
        return min(_MOST_SAMPLES, max(1, round(wanted)))


class _Dosed:
    """All parts at one dose."""

    def __init__(self, parts: Sequence[_Counted], dose: float, corpus_tokens: int) -> None:
        self.parts = parts
        share = sum(part.share for part in parts)
        tokens = dose * corpus_tokens
        samples = [(part, part.samples(tokens * part.share / share)) for part in parts]
        self.tasks = tuple(TaskConfig(prompt=part.name, per_chunk=n) for part, n in samples)
        self.is_least = all(number == 1 for part, number in samples if part.asks)
        self.count({part.name: number * part.places for part, number in samples})

    def count(self, units: Mapping[str, int]) -> None:
        """Take how many units each prompt has; those of pairs and spans don't grow with samples."""
        each = [(part, units[part.name]) for part in self.parts]
        self.row_tokens = round(sum(number * part.row_tokens for part, number in each))
        asked = [(part, number * part.steps) for part, number in each if part.asks]
        self.need = Need(
            requests=sum(number for _, number in asked),
            prompt_tokens=math.ceil(sum(n * p.prompt_tokens for p, n in asked)),
            completion_tokens=math.ceil(sum(n * p.row_tokens for p, n in asked)),
        )
