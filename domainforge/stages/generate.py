"""Chunks to examples: each task's prompt file, asked of the teacher, every unit accounted for."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import Field

from domainforge.context import Context
from domainforge.errors import ConfigError, DataError
from domainforge.generation.replies import make_example
from domainforge.generation.units import (
    Form,
    Task,
    Unit,
    asks_completion,
    make_request,
    plan_units,
)
from domainforge.records import Example, example_table
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.teacher.prices import NANO, teacher_price
from domainforge.teacher.privacy import Withheld
from domainforge.teacher.request import Reply, Request, classify, request_key

if TYPE_CHECKING:
    from domainforge.teacher.client import Teacher
    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.privacy import Gate

PLAN_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("uri", pa.string()),
        ("chunk_id", pa.string()),
        ("prompt", pa.string()),
        ("planned", pa.int32()),
    ]
)


class TaskConfig(Settings):
    """One task: a prompt file and how often it is asked."""

    prompt: str = Field(description="Name of a prompt file, for example `qa`.")
    per_chunk: int = Field(
        1,
        ge=1,
        description="Times it is asked of each chunk (of each sentence, where the prompt goes "
        "sentence by sentence, as the embedded teacher needs it).",
    )


class GenerateConfig(Settings):
    """What is asked of the teacher."""

    tasks: tuple[TaskConfig, ...] = Field(
        (TaskConfig(prompt="qa", per_chunk=4),),
        min_length=1,
        description="Prompt files and how often each is asked.",
    )


@dataclass(frozen=True)
class CallCount:
    """Calls that a run would need, found without asking.

    Attributes:
        planned: All calls; of a chain of steps, every step.
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


@dataclass(frozen=True)
class _Chain:
    """A unit on its way through the steps of its prompt."""

    unit: Unit
    replies: Mapping[str, str]
    keys: tuple[str, ...] = ()


def run(config: GenerateConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Ask every task of every unit and write a row, dropped or not, for each."""
    sides = _sides(inputs)
    units = _units(config, inputs, context)
    if not units:
        raise DataError("there is nothing to ask about: no passage has a sentence of four words")
    out.write(_plan_table(units), "plan")
    with context.teacher() as teacher:
        examples: list[Example] = []
        counts: Counter[str] = Counter()

        def finish(chain: _Chain, reply: Reply) -> None:
            side = sides[chain.unit.chunk["id"]]
            keys = (*chain.keys, reply.key)
            row = make_example(
                chain.unit, reply, keys, teacher.form, teacher.identity, side, teacher.fence
            )
            if row.reason == "failed":
                kind = reply.detail.partition(":")[0] or "unknown"
                row = replace(row, reason=f"failed_{kind}")
            examples.append(row)
            counts["kept" if row.reason is None else "left_out"] += 1
            counts["tokens"] += reply.completion_tokens
            shown = {"kept": counts["kept"], "tokens": counts["tokens"]}
            context.progress(len(examples), len(units), **shown, **_count_money(teacher, calls))

        calls = sum(_steps(unit, teacher.form) for unit in units)
        ask_units(units, teacher, finish)
        figures = {
            "asked": teacher.counts.asked,
            "replayed": teacher.counts.replayed,
            "retried": teacher.counts.retried,
            "asked_again": teacher.counts.asked_again,
            "prompt_tokens": teacher.counts.prompt_tokens,
            "completion_tokens": teacher.counts.completion_tokens,
            "usd": teacher.budget.spent.nano_usd / NANO,
            "price": teacher_price(context.teacher_config).describe(),
            "teacher": teacher.identity,
        }
        figures |= teacher.gate_counts.figures()
        notes = teacher.gate_counts.notes()
    return _write(out, examples, len(units), figures, notes)


def identify(config: GenerateConfig, context: Context) -> dict[str, Any]:
    """What the rows depend on besides config and chunks: prompt files and the teacher."""
    from domainforge.teacher.session import teacher_identity

    return {
        "prompts": {task.prompt: context.prompt(task.prompt).hash for task in config.tasks},
        "teacher": teacher_identity(context.teacher_config, context.project),
        "form": context.teacher_config.resolved_form,
    }


def plan_calls(config: GenerateConfig, inputs: Inputs, context: Context) -> CallPlan:
    """Find the calls that the stage would make, without asking.

    Raises:
        PromptError: A prompt file that can't be used.
    """
    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.session import open_gate, teacher_identity

    form = context.teacher_config.resolved_form
    identity = teacher_identity(context.teacher_config, context.project)
    gate = open_gate(context.teacher_config)
    planned = known = to_ask = 0
    unfinished: list[Unit] = []
    with Ledger(context.ledger_path) as ledger:
        for unit in _units(config, inputs, context):
            planned += _steps(unit, form)
            found, left = _look_up(unit, form, identity, ledger, gate)
            known += found
            if left:
                unfinished.append(unit)
                to_ask += left
    return CallPlan(CallCount(planned, known, to_ask), tuple(unfinished))


def _look_up(
    unit: Unit, form: Form, identity: str, ledger: "Ledger", gate: "Gate"
) -> tuple[int, int]:
    """Follow a chain through the ledger; return the calls found there, and those still to make."""
    steps = _steps(unit, form)
    replies: dict[str, str] = {}
    for step in range(steps):
        checked = gate.check(make_request(unit, form, step, replies, ledger.fence))
        if isinstance(checked, Withheld):
            return step, 0
        request = checked.request
        stored = ledger.get(request_key(identity, request))
        if stored is None:
            return step, steps - step
        reading = classify(stored)
        if reading.status != "ok":
            return step + 1, 0
        if step + 1 < steps:
            replies[unit.prompt.steps[step].name] = reading.text
    return steps, 0


def ask_units(
    units: Sequence[Unit],
    teacher: "Teacher",
    finish: Callable[[_Chain, Reply], None],
    note: Callable[[Unit, Reply], None] = lambda unit, reply: None,
) -> None:
    """Ask step by step; a chain ends at its last step, or at the first reply that is no use.

    Args:
        units: What to ask about.
        teacher: Whom to ask.
        finish: Told of each chain that ended, with its last reply.
        note: Told of every reply, as it comes.
    """
    waiting = [_Chain(unit, {}) for unit in units]
    step = 0
    while waiting:
        chains = {id(chain): chain for chain in waiting}
        after: list[_Chain] = []

        def requests(now: Sequence[_Chain] = waiting, step: int = step) -> Iterator[Request]:
            for chain in now:
                request = make_request(chain.unit, teacher.form, step, chain.replies, teacher.fence)
                yield replace(request, tag=id(chain))

        for reply in teacher.ask(requests()):
            chain = chains.pop(reply.request.tag)
            note(chain.unit, reply)
            if reply.status == "ok" and step + 1 < _steps(chain.unit, teacher.form):
                name = chain.unit.prompt.steps[step].name
                replies = {**chain.replies, name: reply.text}
                after.append(_Chain(chain.unit, replies, (*chain.keys, reply.key)))
            else:
                finish(chain, reply)
        waiting = sorted(after, key=lambda c: (c.unit.chunk["id"], c.unit.index, c.unit.sample))
        step += 1


def _count_money(teacher: "Teacher", calls: int) -> dict[str, float]:
    """Return what is spent and where that leads, if anything costs."""
    return teacher.budget.figures(calls - teacher.counts.replayed)


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
    account = Account(
        unit="requests",
        total=total,
        done=len(made),
        dropped=Counter(str(row.reason) for row in dropped),
        failed=Counter(str(row.reason).removeprefix("failed_") for row in failed),
        not_reached=total - len(examples),
    )
    notes = list(gate_notes)
    if failed:
        notes.append(
            f"{len(failed)} requests failed after all retries and have no row; run again with "
            "--from generate to ask them once more (replies in the ledger are not asked again)"
        )
    if figures["asked_again"]:
        notes.append(
            f"{figures['asked_again']} requests were in flight when an earlier run was killed and "
            "had to be asked again"
        )
    if not made:
        reasons = Counter(str(row.reason) for row in examples).most_common(3)
        first = next((row.evidence for row in examples if row.evidence), "")
        raise DataError(
            f"the teacher gave no usable reply to {total} requests ({dict(reasons)}); "
            f"the first: {str(first)[:300]}"
        )
    return StageResult(account, tuple(notes), figures)


def _units(config: GenerateConfig, inputs: Inputs, context: Context) -> list[Unit]:
    form: Form = context.teacher_config.resolved_form
    tasks = [Task(context.prompt(task.prompt), task.per_chunk) for task in config.tasks]
    names = Counter(task.prompt.name for task in tasks)
    double = [name for name, count in names.items() if count > 1]
    if double:
        raise ConfigError(
            f"generate.tasks: {double[0]} is there twice; raise its per_chunk instead"
        )
    chunks = sorted(inputs.table("chunk").to_pylist(), key=lambda c: (c["uri"], c["start"]))
    return list(plan_units(chunks, tasks, form))


def _sides(inputs: Inputs) -> dict[str, str]:
    return {row["id"]: row["side"] for row in inputs.table("assign").to_pylist()}


def _steps(unit: Unit, form: Form) -> int:
    return 1 if asks_completion(unit.prompt, form) else len(unit.prompt.steps)


def _plan_table(units: Sequence[Unit]) -> pa.Table:
    counts: Counter[tuple[str, str, str]] = Counter(
        (unit.chunk["uri"], unit.chunk["id"], unit.prompt.name) for unit in units
    )
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
    identity=identify,
)
