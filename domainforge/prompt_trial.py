"""Versions of a prompt, asked about the same passages: what they cost and what they come to."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from domainforge.context import Context
from domainforge.errors import DataError, PromptError
from domainforge.evaluation.statistics import Interval, paired_interval
from domainforge.filters.filtering import filter_rows
from domainforge.filters.frame import frame_of
from domainforge.filters.models import locate_models
from domainforge.filters.rows import FilterConfig
from domainforge.generation.chains import Chain, ask_units
from domainforge.generation.forms import form_of
from domainforge.generation.given import silent_examples
from domainforge.generation.replies import make_examples
from domainforge.generation.units import Form, Task, Unit, goes_over, plan_units
from domainforge.pipeline_file import Pipeline
from domainforge.prompt_check import first_unit
from domainforge.prompts import PromptFile
from domainforge.records import Example, answer_of
from domainforge.tables import example_table
from domainforge.teacher.prices import NANO, Price, teacher_price
from domainforge.teacher.request import Reply, Usage

if TYPE_CHECKING:
    from domainforge.teacher.client import Teacher

_UNPAID = ("failed", "withheld")


@dataclass(frozen=True)
class Version:
    """A version of a prompt and what it is called."""

    label: str
    prompt: PromptFile


@dataclass(frozen=True)
class Said:
    """A row, or why there is none.

    Attributes:
        text: What it says; the evidence, where it says nothing.
        reason: Why it was dropped; None where it was kept.
    """

    text: str
    reason: str | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a version came to.

    Attributes:
        units: What was asked about.
        calls: Requests, those among them whose replies were in the ledger.
        replayed: Those.
        usd: What all its calls cost at the teacher's price, replayed ones too; None where the
            price is unknown.
        rows: All rows, each reply without one counted as one that was dropped.
        kept: Rows that the filter kept.
        dropped: The others, by reason.
        mean_answer_words: Of the rows kept; None without one.
    """

    label: str
    path: str
    prompt_hash: str
    units: int
    calls: int
    replayed: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    rows: int
    kept: int
    dropped: Mapping[str, int]
    mean_answer_words: float | None


@dataclass(frozen=True)
class Sample:
    """What each version says about one passage."""

    chunk_id: str
    uri: str
    passage: str
    said: tuple[tuple[Said, ...], ...]


@dataclass(frozen=True)
class Trial:
    """Versions of a prompt beside each other.

    Attributes:
        prompt: Its name.
        teacher: Who answered; None where nobody was asked.
        price: The price, where it comes from, and its date.
        paid_usd: What this session cost; None where the price is unknown.
        chunks: Ids of the passages, in the order in which they were drawn.
        outcomes: One for each version.
        difference: Of the share kept by passage, second version against the first, with its 95 %
            interval; None unless two versions were compared.
        samples: The passages with what was made of them.
    """

    prompt: str
    teacher: str | None
    price: str
    paid_usd: float | None
    chunks: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    difference: Interval | None
    samples: tuple[Sample, ...]


def plan_trial(
    versions: Sequence[Version],
    chunks: Sequence[Mapping[str, Any]],
    pipeline: Pipeline,
    size: int,
    per_chunk: int | None = None,
) -> list[list[Unit]]:
    """Draw passages by the pipeline's seed, and plan what each version asks about them.

    More passages take in those of a smaller number, so that these are replayed.

    Args:
        versions: Of one prompt.
        chunks: To draw from.
        pipeline: Its task for this prompt says how often to ask, and with which attributes.
        size: How many passages.
        per_chunk: How often to ask instead.

    Raises:
        DataError: Nothing can be asked about any of them.
    """
    form: Form = pipeline.teacher.resolved_form
    planned = [
        list(plan_units(chunks, [_task(version.prompt, pipeline, per_chunk)], form))
        for version in versions
    ]
    asked = {unit.chunk["id"] for units in planned for unit in units}
    order = [chunk["id"] for chunk in chunks]
    Random(pipeline.seed).shuffle(order)
    chosen = [chunk_id for chunk_id in order if chunk_id in asked][:size]
    if not chosen:
        over = goes_over(versions[-1].prompt, form)
        raise DataError(
            f"{versions[-1].prompt.path}: the run has nothing that it could ask about (`over: "
            f"{over}`), on the side that is trained on"
        )
    places = {chunk_id: place for place, chunk_id in enumerate(chosen)}
    wanted = [[unit for unit in units if unit.chunk["id"] in places] for units in planned]
    return [sorted(units, key=lambda unit: places[unit.chunk["id"]]) for units in wanted]


def plan_passage(
    versions: Sequence[Version],
    chunks: Sequence[Mapping[str, Any]],
    chunk_id: str | None,
    pipeline: Pipeline,
) -> list[list[Unit]]:
    """Plan one question of each version about the same passage.

    Args:
        versions: Of one prompt; the last one decides on the passage.
        chunks: To choose from.
        chunk_id: Of the passage; left out, the first that the last version fits.
        pipeline: Whose teacher will be asked.

    Raises:
        PromptError: The last version asks nothing about that passage, or makes no rows.
    """
    form: Form = pipeline.teacher.resolved_form
    if versions[-1].prompt.header.judges is not None:
        raise PromptError(
            f"{versions[-1].prompt.path}: makes no rows, so there is nothing to compare; what it "
            "says of rows shows in a run: domainforge show RUN verdicts"
        )
    last = first_unit(versions[-1].prompt, form, chunks, chunk_id)
    planned = [[last]]
    for version in reversed(versions[:-1]):
        units: list[Unit] = []
        with suppress(PromptError):
            units = [first_unit(version.prompt, form, chunks, last.chunk["id"])]
        planned.insert(0, units)
    return planned


def ask_versions(
    versions: Sequence[Version],
    planned: Sequence[Sequence[Unit]],
    pipeline: Pipeline,
    context: Context,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Trial:
    """Ask what was planned and filter what comes, as a run of that pipeline would.

    Replies go through the ledger and count for the run of the pipeline, whose caps hold.

    Args:
        versions: Of one prompt.
        planned: For each version, its units.
        pipeline: Whose filter decides what is kept.
        context: Whose teacher is asked.
        progress: Told how many units are done, of how many.

    Raises:
        DomainForgeError: What would stop a run: the teacher, a cap, a template that fails.
    """
    price = teacher_price(pipeline.teacher)
    total = sum(map(len, planned))
    asked = [_Asked(units, price) for units in planned]
    teacher_name, paid_nano = None, 0
    if any(unit.prompt.header.asks for units in planned for unit in units):
        with context.teacher() as teacher:
            before = teacher.budget.spent.nano_usd
            for each in asked:
                each.ask(teacher, lambda: progress(sum(one.done for one in asked), total))
            teacher_name, paid_nano = teacher.identity, teacher.budget.spent.nano_usd - before
    for each in asked:
        each.settle(locate_models(pipeline.filter, context.project))
    chosen = dict.fromkeys(unit.chunk["id"] for units in planned for unit in units)
    chunks = {unit.chunk["id"]: unit.chunk for units in planned for unit in units}
    outcomes = [each.sum_up(version) for each, version in zip(asked, versions, strict=True)]
    return Trial(
        prompt=versions[0].prompt.name,
        teacher=teacher_name,
        price=price.describe(),
        paid_usd=paid_nano / NANO if price.known else None,
        chunks=tuple(chosen),
        outcomes=tuple(outcomes),
        difference=_compare(asked[0], asked[1], chunks, pipeline.seed) if asked[1:] else None,
        samples=tuple(
            Sample(
                chunk_id,
                chunks[chunk_id]["uri"],
                chunks[chunk_id]["text"],
                tuple(tuple(each.said[chunk_id]) for each in asked),
            )
            for chunk_id in chosen
        ),
    )


@dataclass
class _Asked:
    """One version's replies as they come, and its rows."""

    units: Sequence[Unit]
    price: Price
    rows: list[Example] = field(default_factory=list)
    said: defaultdict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    kept: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    done: int = 0
    calls: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    nano_usd: int = 0

    def ask(self, teacher: "Teacher", progress: Callable[[], None]) -> None:
        """Ask about every unit that wants a teacher."""
        form = form_of(teacher)

        def finish(chain: Chain, reply: Reply) -> Iterable[Unit]:
            self.rows += make_examples(chain, reply, form, teacher.identity, "train", teacher.fence)
            self.done += 1
            progress()
            return ()

        wanted = [unit for unit in self.units if unit.prompt.header.asks]
        ask_units(wanted, teacher, finish, self._note)

    def settle(self, config: FilterConfig) -> None:
        """Make the rows that need no teacher, and filter all of them."""
        silent = [unit for unit in self.units if not unit.prompt.header.asks]
        self.rows += silent_examples(silent, {unit.chunk["id"]: "train" for unit in silent})
        chunks = {chunk["id"]: chunk for unit in self.units for chunk in unit.chunks}
        table = pa.Table.from_pylist(list(chunks.values()))
        made = example_table([row for row in self.rows if row.reason is None])
        frames = {unit.prompt.hash: frame_of(unit.prompt) for unit in self.units}
        filtered = filter_rows(made, table, config, frames=frames)
        self.kept = filtered.kept.to_pylist()
        found = {row["id"]: row for row in [*self.kept, *filtered.dropped.to_pylist()]}
        for row in sorted(self.rows, key=lambda row: (row.unit, row.sample, row.item)):
            reason, evidence = row.reason, row.evidence
            if reason is None:
                reason, evidence = found[row.id]["reason"], found[row.id]["evidence"]
            if reason is not None:
                self.dropped[reason] += 1
            self.said[row.chunk_id].append(Said(_text_of(row), reason, evidence))

    def sum_up(self, version: Version) -> Outcome:
        """Return the figures of the version."""
        words = [len((answer_of(row) or row["text"] or "").split()) for row in self.kept]
        return Outcome(
            label=version.label,
            path=str(version.prompt.path),
            prompt_hash=version.prompt.hash,
            units=len(self.units),
            calls=self.calls,
            replayed=self.replayed,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            usd=self.nano_usd / NANO if self.price.known else None,
            rows=len(self.rows),
            kept=len(self.kept),
            dropped=dict(self.dropped.most_common()),
            mean_answer_words=sum(words) / len(words) if words else None,
        )

    def kept_share(self, chunk_id: str) -> float | None:
        """Return the share of a passage's rows that was kept; None where it has none."""
        said = self.said[chunk_id]
        return sum(each.reason is None for each in said) / len(said) if said else None

    def _note(self, unit: Unit, reply: Reply) -> None:
        self.calls += 1
        self.replayed += reply.replayed
        if reply.status in _UNPAID:
            return
        usage = Usage(reply.prompt_tokens, reply.completion_tokens)
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.nano_usd += self.price.billed(usage, self.price.worst_case(reply.request)).nano_usd


def _task(prompt: PromptFile, pipeline: Pipeline, per_chunk: int | None) -> Task:
    own = next((t for t in pipeline.generate.tasks or () if t.prompt == prompt.name), None)
    if own is None:
        return Task(prompt, per_chunk or 1)
    # The other version may not have them.
    known = prompt.header.attributes
    attributes = {name: own.attributes[name] for name in own.attributes if name in known}
    return Task(prompt, per_chunk or own.per_chunk, attributes)


def _compare(
    first: _Asked, second: _Asked, chunks: Mapping[str, Mapping[str, Any]], seed: int
) -> Interval:
    differences, documents = [], []
    for chunk_id, chunk in chunks.items():
        before, after = first.kept_share(chunk_id), second.kept_share(chunk_id)
        if before is not None and after is not None:
            differences.append(after - before)
            documents.append(chunk["document_id"])
    return paired_interval(differences, documents, seed)


def _text_of(row: Example) -> str:
    if row.kind == "text":
        return row.text or ""
    said = [f"{message['role']}: {message['content']}" for message in row.messages]
    return "\n".join([*said, *([f"worse: {row.rejected}"] if row.rejected else [])])
