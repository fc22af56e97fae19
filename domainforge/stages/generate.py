"""Chunks to examples: each task's prompt file, asked of the teacher, every unit accounted for.

Chats among the documents are examples already, and are taken as they are.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import Field, field_validator

from domainforge.context import Context
from domainforge.errors import BudgetError, ConfigError, DataError
from domainforge.generation.chains import Chain, ask_units, look_up
from domainforge.generation.given import given_examples, silent_examples
from domainforge.generation.replies import make_examples
from domainforge.generation.units import Form, Task, Unit, count_steps, plan_units
from domainforge.prompt_header import read_shares
from domainforge.records import GIVEN, Example
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.tables import example_table
from domainforge.teacher.prices import NANO, teacher_price
from domainforge.teacher.request import Reply
from domainforge.wording import short_usd

if TYPE_CHECKING:
    from domainforge.teacher.jobs import Counts

_RECENT_REPLIES = 64

PLAN_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("uri", pa.string()),
        ("chunk_id", pa.string()),
        ("prompt", pa.string()),
        ("planned", pa.int32()),
    ]
)
_FEWEST_REPAIRS = 10
_MANY_REPAIRS_SHARE = 0.05


_NOTHING_ASKED = {
    "asked": 0,
    "replayed": 0,
    "retried": 0,
    "asked_again": 0,
    "repaired": 0,
    "repair_failed": 0,
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "billed_tokens": 0,
    "usd": 0.0,
    "price": "nothing was asked",
    "teacher": GIVEN,
}


class TaskConfig(Settings):
    """One task: a prompt file and how often it is asked."""

    prompt: str = Field(description="Name of a prompt file, for example `qa`.")
    per_chunk: int = Field(
        1,
        ge=1,
        description="Times it is asked of each chunk (of each sentence, where the prompt goes "
        "sentence by sentence, as the embedded teacher needs it).",
    )
    attributes: dict[str, dict[str, float]] = Field(
        {},
        description="Shares in the place of the prompt file's own: "
        "`attributes: {audience: {children: 3, experts: 1}}`.",
    )

    @field_validator("attributes", mode="before")
    @classmethod
    def _take_shares(cls, value: Any) -> Any:
        return read_shares(value)


class GenerateConfig(Settings):
    """What is asked of the teacher."""

    tasks: tuple[TaskConfig, ...] = Field(
        (TaskConfig(prompt="qa", per_chunk=4),),
        description="Prompt files and how often each is asked; none, where all documents are chats "
        "and no teacher is needed.",
    )


@dataclass(frozen=True)
class CallCount:
    """Calls that a run would need, found without asking.

    Attributes:
        planned: All calls; of a chain of steps, every step. A repair counts once a reply in the
            ledger calls for it.
        in_ledger: Of these, paid for before.
        to_ask: Those that a run would make. A chain that ended early in the ledger wants no more,
            so the three need not add up.
    """

    planned: int
    in_ledger: int
    to_ask: int


@dataclass(frozen=True)
class CallPlan:
    """What a run would ask, and which of its units the ledger can't answer to their end."""

    count: CallCount
    unfinished: tuple[Unit, ...]


def run(config: GenerateConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Ask every task of every unit and write a row, dropped or not, for each."""
    sides = _sides(inputs)
    chunks = _chunks(inputs)
    given = given_examples(chunks, sides)
    planned = _units(config, chunks, context)
    if not planned and not given:
        raise DataError(_nothing_to_ask(config))
    out.write(_plan_table(planned, given), "plan")
    silent = silent_examples((u for u in planned if not u.prompt.header.asks), sides)
    units = [unit for unit in planned if unit.prompt.header.asks]
    made = {"given": len(given), "silent": len(silent)}
    given = [*given, *silent]
    if not units:
        context.progress(len(given), len(given), kept=len(given))
        return _write(out, given, len(given), {**_NOTHING_ASKED, **made}, ())
    with context.teacher() as teacher:
        examples: list[Example] = list(given)
        total = len(units) + len(given)
        counts: Counter[str] = Counter()

        def finish(chain: Chain, reply: Reply) -> None:
            unit = chain.unit
            keys, side = (*chain.keys, reply.key), sides[unit.chunk["id"]]
            asked = (teacher.form, teacher.identity, side, teacher.fence)
            rows = make_examples(unit, reply, keys, *asked, chain.bad)
            if chain.bad is not None:
                counts["calls"] += 1
                counts["repaired" if rows[0].reason is None else "repair_failed"] += 1
            if rows[0].reason == "failed":
                kind = reply.detail.partition(":")[0] or "unknown"
                rows = [replace(rows[0], reason=f"failed_{kind}")]
            examples.extend(rows)
            counts["done"] += 1
            counts["kept"] += sum(row.reason is None for row in rows)
            counts["tokens"] += reply.completion_tokens
            shown = {"kept": counts["kept"], "tokens": counts["tokens"]}
            left = _paid_calls_left(counts, recent)
            money = teacher.budget.figures(left)
            context.progress(
                len(given) + counts["done"], total, **shown, **teacher.activity(), **money
            )

        def note(unit: Unit, reply: Reply) -> None:
            counts["replies"] += 1
            recent.append(reply.replayed)

        recent: deque[bool] = deque(maxlen=_RECENT_REPLIES)
        counts["calls"] = sum(count_steps(unit.prompt, teacher.form) for unit in units)
        try:
            ask_units(units, teacher, finish, note)
        except BudgetError as error:
            done, open_units = counts["done"], len(units) - counts["done"]
            spent = teacher.budget.spent.nano_usd
            need = teacher.budget.project(_paid_calls_left(counts, recent)).nano_usd
            # Without a paid reply in this session there is nothing to go by.
            all_take = f"; all of them would take about {short_usd(need / NANO)}"
            about = all_take if need > spent else ""
            text = f"{error} ({done:,} of {len(units):,} are done, {open_units:,} left{about})"
            raise BudgetError(text) from error
        figures = {
            **made,
            "asked": teacher.counts.asked,
            "replayed": teacher.counts.replayed,
            "retried": teacher.counts.retried,
            "asked_again": teacher.counts.asked_again,
            "repaired": counts["repaired"],
            "repair_failed": counts["repair_failed"],
            "prompt_tokens": teacher.counts.prompt_tokens,
            "completion_tokens": teacher.counts.completion_tokens,
            "billed_tokens": teacher.budget.spent.tokens,
            "usd": teacher.budget.spent.nano_usd / NANO,
            "price": teacher_price(context.teacher_config).describe(),
            "teacher": teacher.identity,
        }
        figures |= teacher.gate_counts.figures()
        notes = (*teacher.gate_counts.notes(), *_repeat_note(teacher.counts))
    return _write(out, examples, total, figures, notes)


def identify(config: GenerateConfig, context: Context) -> dict[str, Any]:
    """What the rows depend on besides config and chunks: prompt files and the teacher."""
    from domainforge.teacher.session import open_gate, teacher_identity

    if not config.tasks:
        return {"prompts": {}}
    return {
        "prompts": {task.prompt: context.prompt(task.prompt).hash for task in config.tasks},
        "teacher": teacher_identity(context.teacher_config, context.project),
        "form": context.teacher_config.resolved_form,
        "privacy": open_gate(context.teacher_config).identity,
    }


def plan_calls(config: GenerateConfig, inputs: Inputs, context: Context) -> CallPlan:
    """Find the calls that the stage would make, without asking.

    Raises:
        PromptError: A prompt file that can't be used.
    """
    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.session import open_gate, teacher_identity

    if not config.tasks:
        return CallPlan(CallCount(0, 0, 0), ())
    form = context.teacher_config.resolved_form
    identity = teacher_identity(context.teacher_config, context.project)
    gate = open_gate(context.teacher_config)
    planned = known = to_ask = 0
    unfinished: list[Unit] = []
    with Ledger(context.ledger_path) as ledger:
        for unit in _units(config, _chunks(inputs), context):
            if not unit.prompt.header.asks:
                continue
            found = look_up(unit, form, identity, ledger, gate)
            planned += count_steps(unit.prompt, form) + found.repairs
            known += found.known
            if found.left:
                unfinished.append(unit)
                to_ask += found.left
    return CallPlan(CallCount(planned, known, to_ask), tuple(unfinished))


def _paid_calls_left(counts: Mapping[str, int], recent: Sequence[bool]) -> int:
    """Guess how many of the calls to come the ledger can't answer, by the last replies."""
    left = max(0, counts["calls"] - counts["replies"])
    return left if not recent else round(left * recent.count(False) / len(recent))


def _repeat_note(counts: "Counts") -> Iterator[str]:
    if counts.retried:
        kinds = ", ".join(f"{kind} {number}" for kind, number in counts.faults.most_common(4))
        yield f"{counts.retried:,} requests were repeated after faults ({kinds})"


def _write(
    out: Output,
    examples: Sequence[Example],
    total: int,
    figures: dict[str, Any],
    gate_notes: Sequence[str],
) -> StageResult:
    made = [row for row in examples if row.reason is None]
    failed = [row for row in examples if (row.reason or "").startswith("failed_")]
    dropped = [row for row in examples if row.reason and not row.reason.startswith("failed_")]
    out.write(example_table(made))
    out.write(example_table(dropped), "dropped")
    out.write(example_table(failed), "failed")
    # Of what one request came to, the first row counts for it.
    account = Account(
        unit=_unit(figures),
        total=total,
        done=sum(row.item == 0 for row in made),
        dropped=Counter(str(row.reason) for row in dropped),
        failed=Counter(str(row.reason).removeprefix("failed_") for row in failed),
        not_reached=total - sum(row.item == 0 for row in examples),
    )
    notes = list(gate_notes)
    if figures["silent"]:
        notes.append(f"rows made of passages alone, without a teacher: {figures['silent']:,}")
    if figures["given"]:
        notes.append(f"chats taken as they are, without a teacher: {figures['given']:,}")
    if failed:
        notes.append(
            f"{len(failed)} requests failed and have no row ({_count_reasons(failed)}); run again "
            "with --from generate to ask them once more (replies in the ledger are not asked again)"
        )
    if figures["asked_again"]:
        notes.append(
            f"{figures['asked_again']} requests were in flight when an earlier run ended, and may "
            "have been asked twice"
        )
    notes += _tell_repairs(figures["repaired"], figures["repair_failed"], total)
    given = int(figures["given"]) + int(figures["silent"])
    if len(made) == given < total:
        reasons = Counter(str(row.reason) for row in examples if row.reason).most_common(3)
        first = next((row.evidence for row in examples if row.evidence), "")
        raise DataError(
            f"the teacher gave no usable reply to {total - given} requests ({dict(reasons)}); "
            f"the first: {str(first)[:300]}"
        )
    return StageResult(account, tuple(notes), {**figures, "rows": len(made)})


def _unit(figures: Mapping[str, Any]) -> str:
    if figures["silent"]:
        return "requests and rows"
    return "requests and chats" if figures["given"] else "requests"


def _tell_repairs(repaired: int, failed: int, total: int) -> list[str]:
    asked = repaired + failed
    if asked < max(_FEWEST_REPAIRS, _MANY_REPAIRS_SHARE * total):
        return []
    return [
        f"{asked} of {total} replies did not fit their prompt's `reply` and were asked for once "
        f"more, which mended {repaired}; each costs a second call: ask for a simpler reply, or "
        "leave that out with `repair: false` in the prompt file"
    ]


def _count_reasons(failed: Sequence[Example]) -> str:
    kinds = Counter(str(row.reason).removeprefix("failed_") for row in failed)
    return ", ".join(f"{kind} {number}" for kind, number in kinds.most_common(4))


def _nothing_to_ask(config: GenerateConfig) -> str:
    if not config.tasks:
        return (
            "generate.tasks is empty, and no document is a chat that could be learned as it is; "
            "name a task, or set `chats: true` on a source of chats"
        )
    return "there is nothing to ask about: no passage has a sentence of four words"


def _chunks(inputs: Inputs) -> list[dict[str, Any]]:
    return sorted(inputs.table("chunk").to_pylist(), key=lambda c: (c["uri"], c["start"]))


def _units(
    config: GenerateConfig, chunks: Sequence[Mapping[str, Any]], context: Context
) -> list[Unit]:
    if not config.tasks:
        return []
    form: Form = context.teacher_config.resolved_form
    tasks = [
        Task(context.prompt(task.prompt), task.per_chunk, task.attributes) for task in config.tasks
    ]
    for task in tasks:
        unread = task.attributes.keys() - task.prompt.header.attributes.keys()
        if unread:
            has = ", ".join(task.prompt.header.attributes) or "none"
            raise ConfigError(
                f"generate.tasks: {task.prompt.name}: attributes: {min(unread)!r} is none of the "
                f"prompt file's; it has {has}"
            )
    names = Counter(task.prompt.name for task in tasks)
    double = [name for name, count in names.items() if count > 1]
    if double:
        raise ConfigError(
            f"generate.tasks: {double[0]} is there twice; raise its per_chunk instead"
        )
    if GIVEN in names:
        raise ConfigError(
            f"generate.tasks: no prompt may be called {GIVEN}: chats that came with their source "
            "are; rename the file"
        )
    return list(plan_units([c for c in chunks if not c.get("messages")], tasks, form))


def _sides(inputs: Inputs) -> dict[str, str]:
    return {row["id"]: row["side"] for row in inputs.table("assign").to_pylist()}


def _plan_table(units: Sequence[Unit], given: Sequence[Example]) -> pa.Table:
    counts: Counter[tuple[str, str, str]] = Counter(
        (unit.chunk["uri"], unit.chunk["id"], unit.prompt.name) for unit in units
    )
    counts.update((row.uri, row.chunk_id, GIVEN) for row in given)
    rows: list[dict[str, Any]] = [
        {
            "id": f"{chunk_id}:{prompt}",
            "uri": uri,
            "chunk_id": chunk_id,
            "prompt": prompt,
            "planned": planned,
        }
        for (uri, chunk_id, prompt), planned in counts.items()
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["id"])), schema=PLAN_SCHEMA)


STAGE = Stage(
    name="generate",
    config=GenerateConfig,
    run=run,
    writes="examples",
    reads=("chunk", "assign"),
    version=4,
    identity=identify,
)
