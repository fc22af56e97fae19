"""What a run will ask, take and cost, extrapolated from a sample of its real calls."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from domainforge.context import Context
from domainforge.generation.chains import ask_units
from domainforge.generation.requests import count_steps
from domainforge.judging.costs import RowCount
from domainforge.pipeline import STAGES, make_context, run_pipeline
from domainforge.pipeline_file import Pipeline
from domainforge.run_folder import Inputs, RunFolder
from domainforge.stages import generate, judge
from domainforge.teacher.prices import NANO, Price, teacher_price
from domainforge.teacher.request import Reply, Usage
from domainforge.wording import short_time, short_usd

if TYPE_CHECKING:
    from domainforge.generation.units import Unit

CHEAP_STAGES = ("ingest", "chunk", "assign")
"""What has to be run to know what would be asked."""

LEAST_UNITS = 10
"""An interval from fewer units would say more than they know."""

_RESAMPLES = 2000
_DRAWS_AT_ONCE = 100_000
_INTERVAL_PERCENT = (2.5, 97.5)
_COLUMNS = ("calls", "prompt_tokens", "completion_tokens", "nano_usd", "seconds")


@dataclass(frozen=True)
class Range:
    """An expected number with the ends of its 95 % interval, which are None without one."""

    expected: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Sample:
    """The part of the plan that was asked for the estimate.

    Attributes:
        units: Units drawn; a unit is one question to the teacher, with all steps of its chain.
        calls: Calls made for them; replies that the ledger held are not among these.
        failed_share: Part of these calls that failed after all retries.
        usd: What they cost; None where the price is unknown.
        seconds: How long they took.
    """

    units: int
    calls: int
    failed_share: float
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """What a run would ask from now on, the sample being in the ledger.

    Attributes:
        planned_calls: All that the plan can take; of a chain of steps, every step.
        in_ledger: Of these, paid for before the sample.
        units_left: Units that the sample leaves to be asked, those that failed in it included.
        calls: Still to make, and so on for what follows.
        usd: None where the price is unknown.
        hours: None where a Batch API answers: as long as its batches take.
        spent_usd: What the run has spent so far, the sample and earlier sessions included; None
            where the price is unknown or nothing was asked.
        max_usd: The cap on dollars, if there is one.
        price: The price, where it comes from, and its date.
        recipe: What the recipe comes to, in words; empty where the tasks are named.
        notes: What isn't counted.
    """

    planned_calls: int
    in_ledger: int
    sample: Sample
    units_left: int
    calls: Range
    prompt_tokens: Range
    completion_tokens: Range
    usd: Range | None
    hours: Range | None
    spent_usd: float | None
    max_usd: float | None
    price: str
    recipe: str = ""
    notes: tuple[str, ...] = ()


def estimate_run(
    pipeline: Pipeline,
    project: Path,
    size: int,
    listener: Callable[[Mapping[str, Any]], None],
) -> Estimate:
    """Run the cheap stages, ask a sample of what generate would ask, and extrapolate.

    The sample is drawn by the pipeline's seed from what the ledger can't answer. Its replies are
    kept there, so the run will not ask them again. Caps hold for it as for the run.

    Args:
        pipeline: The checked pipeline file.
        project: Folder that holds `runs/` and the ledger.
        size: Units to draw, at most all that there are.
        listener: Told every event.

    Raises:
        DomainForgeError: What would stop the run, a cap that is reached among it.
    """
    price = teacher_price(pipeline.teacher)
    through_batches = pipeline.teacher.batch
    run_pipeline(pipeline, project, listener, until_stage=CHEAP_STAGES[-1])
    run = RunFolder(project / "runs" / pipeline.name)
    inputs = Inputs({s.name: run.stage_folder(s.writes) for s in STAGES if s.name in CHEAP_STAGES})
    # By the pipeline as it is: a recipe goes by the price of the batch API, where that is asked.
    plan = generate.plan_calls(pipeline.generate, inputs, make_context(pipeline, project, listener))
    # The sample is wanted now, and not when a provider's batch is through.
    live = pipeline.teacher.model_copy(update={"batch": False})
    pipeline = pipeline.model_copy(update={"teacher": live})
    context = make_context(pipeline, project, listener)
    drawn = Random(pipeline.seed).sample(plan.unfinished, min(size, len(plan.unfinished)))
    tally = _Tally(drawn, price)
    spent_usd = None
    if drawn:
        context.say(f"asking {len(drawn):,} of {len(plan.unfinished):,} open units")
        spent_usd = _ask(drawn, context, tally)
    asked = {id(unit) for unit in drawn} - tally.failed_units
    left = [unit for unit in plan.unfinished if id(unit) not in asked]
    ranges = extrapolate(
        [tally.rows[id(unit)] for unit in drawn],
        [_steps(unit, pipeline) for unit in drawn],
        [_steps(unit, pipeline) for unit in left],
        pipeline.seed,
    )
    calls, prompt_tokens, completion_tokens, nano, seconds = ranges
    share = tally.batch_share if through_batches else 1.0
    return Estimate(
        planned_calls=plan.count.planned,
        in_ledger=plan.count.in_ledger,
        sample=tally.sum_up(),
        units_left=len(left),
        calls=calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        usd=_scale(nano, share / NANO) if price.known else None,
        hours=None if through_batches else _scale(seconds, 1 / 3600),
        spent_usd=spent_usd if price.known else None,
        max_usd=pipeline.teacher.budget.max_usd,
        price=_describe_price(price, through_batches),
        recipe=plan.describe_recipe(),
        notes=(
            *generate.tell_rounds(pipeline.generate),
            *_tell_judge(pipeline, inputs, plan, context),
        ),
    )


def _tell_judge(
    pipeline: Pipeline, inputs: Inputs, plan: generate.CallPlan, context: Context
) -> list[str]:
    """Bound what a judge will be asked; the sample says nothing of how many rows survive."""
    if not pipeline.judge.asks or not plan.count.planned:
        return []
    rows = RowCount(plan.count.planned, plan.preferences)
    bound = judge.bound_plan(pipeline.judge, inputs, rows, context)
    return [f"not counted below: {bound.describe()}"]


def _describe_price(price: Price, through_batches: bool) -> str:
    if not through_batches:
        return price.describe()
    return f"{price.describe()}; at the Batch API {price.for_batch().describe()}"


def _steps(unit: "Unit", pipeline: Pipeline) -> int:
    return count_steps(unit.prompt, pipeline.teacher.resolved_form)


def extrapolate(
    rows: Sequence[Sequence[float]], steps: Sequence[int], steps_left: Sequence[int], seed: int
) -> list[Range]:
    """Predict the sums of more units from those of a random sample, column by column.

    Of each unit it is known how many steps it has, so what is sampled is the cost of a step: a
    ratio of two sums. Its interval is a bootstrap, widened by what the units to come vary
    themselves (in a finite population, sqrt(1 + n/left)) and by Student's t for small samples.

    Args:
        rows: What each unit of the sample took, a number for each of `_COLUMNS`.
        steps: Steps of each unit of the sample.
        steps_left: Steps of each unit to come.
        seed: Of the bootstrap.
    """
    import numpy as np

    if not rows or not steps_left:
        return [Range(0.0)] * len(_COLUMNS)
    # The steps are one more column, and divide the others.
    sample = np.column_stack([np.asarray(rows, dtype=np.float64), steps])
    size, mean, left = len(sample), sample.mean(axis=0), sum(steps_left)
    rate = mean[:-1] / mean[-1]
    if size < LEAST_UNITS:
        return [Range(float(left * value)) for value in rate]
    random = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // size)
    means = np.concatenate(
        [
            sample[random.integers(0, size, (min(at_once, _RESAMPLES - done), size))].mean(axis=1)
            for done in range(0, _RESAMPLES, at_once)
        ]
    )
    rates = means[:, :-1] / means[:, -1:]
    widening = _small_sample_widening(size) * np.sqrt(1 + size / len(steps_left))
    totals = left * (rate + (rates - rate) * widening)
    lows, highs = np.percentile(totals, _INTERVAL_PERCENT, axis=0)
    return [
        Range(float(left * value), max(0.0, float(low)), float(high))
        for value, low, high in zip(rate, lows, highs, strict=True)
    ]


def describe_estimate(estimate: Estimate) -> list[str]:
    """Return the estimate as lines to print."""
    if not estimate.planned_calls:
        return ["nothing would be asked of the teacher"]
    sample, seconds = estimate.sample, estimate.sample.seconds
    lines = [
        *estimate.recipe.splitlines(),
        f"planned: {estimate.planned_calls:,} calls, {estimate.in_ledger:,} of them in the ledger "
        "before",
        *estimate.notes,
        f"sample: {sample.calls:,} calls for {sample.units:,} units, {sample.failed_share:.1%} of "
        f"them failed, {sample.prompt_tokens:,} tokens in, {sample.completion_tokens:,} out"
        + ("" if sample.usd is None else f", {short_usd(sample.usd)}")
        + f", {short_time(seconds)}",
        f"price: {estimate.price}",
    ]
    if not estimate.units_left:
        return [*lines, "nothing is left to ask: the run replays all of it"]
    has_interval = estimate.calls.low is not None
    head = "still to come, with 95 % intervals:" if has_interval else "still to come:"
    lines += [
        head,
        f"  calls       {_show(estimate.calls, _count)}",
        f"  tokens in   {_show(estimate.prompt_tokens, _count)}",
        f"  tokens out  {_show(estimate.completion_tokens, _count)}",
        f"  dollars     {_show(estimate.usd, short_usd) if estimate.usd else 'not known'}",
        f"  time        {_show_hours(estimate.hours)}",
    ]
    if not has_interval:
        lines.append(f"an interval wants a sample of {LEAST_UNITS} units or more")
    cap, spent = estimate.max_usd, estimate.spent_usd or 0.0
    if cap is not None and estimate.usd and spent + estimate.usd.expected > cap:
        lines.append(f"teacher.budget.max_usd, {short_usd(cap)}, will stop the run before its end")
    if estimate.hours is not None:
        lines.append(
            "time is at the pace of the sample; a short one doesn't reach the pace of a long run"
        )
    return lines


def _show_hours(hours: Range | None) -> str:
    if hours is None:
        return "as long as the provider's batches take; the sample was asked live"
    return _show(hours, lambda value: short_time(value * 3600))


class _Tally:
    """What each drawn unit took, as its replies come."""

    def __init__(self, drawn: Sequence["Unit"], price: Price) -> None:
        self.rows: dict[int, list[float]] = {id(unit): [0.0] * len(_COLUMNS) for unit in drawn}
        self.failed_units: set[int] = set()
        self._price = price
        self._last = 0.0
        self._live_nano = self._batch_nano = 0

    def start(self) -> None:
        """Begin to count the time."""
        self._last = time.monotonic()

    def note(self, unit: "Unit", reply: Reply) -> None:
        """Add a reply; one that came from the ledger took nothing."""
        now = time.monotonic()
        waited, self._last = now - self._last, now
        row = self.rows[id(unit)]
        # The time since the reply before: these add up to the whole, however many were in flight.
        row[4] += waited
        if reply.replayed:
            return
        row[0] += 1
        if reply.status == "failed":
            self.failed_units.add(id(unit))
            return
        usage = Usage(reply.prompt_tokens, reply.completion_tokens)
        cost = self._price.billed(usage, self._price.worst_case(reply.request))
        row[1] += usage.prompt_tokens
        row[2] += usage.completion_tokens
        row[3] += cost.nano_usd
        batch = self._price.for_batch()
        self._live_nano += cost.nano_usd
        self._batch_nano += batch.billed(usage, batch.worst_case(reply.request)).nano_usd

    @property
    def batch_share(self) -> float:
        """Part of the live price that the Batch API takes for such requests."""
        return self._batch_nano / self._live_nano if self._live_nano else 1.0

    def correct_money(self, nano_usd: int) -> None:
        """Spread what was really charged: attempts that timed out are in it, and other prices."""
        found = sum(row[3] for row in self.rows.values())
        for row in self.rows.values():
            row[3] = row[3] * nano_usd / found if found else nano_usd / len(self.rows)

    def sum_up(self) -> Sample:
        """Return the sums over all units."""
        calls, prompt, completion, nano, seconds = (
            sum(row[index] for row in self.rows.values()) for index in range(len(_COLUMNS))
        )
        return Sample(
            units=len(self.rows),
            calls=int(calls),
            failed_share=len(self.failed_units) / calls if calls else 0.0,
            prompt_tokens=int(prompt),
            completion_tokens=int(completion),
            usd=nano / NANO if self._price.known else None,
            seconds=seconds,
        )


def _ask(drawn: Sequence["Unit"], context: Context, tally: _Tally) -> float:
    """Ask the sample; return the dollars that the run has spent by then."""
    with context.teacher() as teacher:
        # Starts a server of ours, whose seconds belong to no single call.
        teacher.list_models()
        before = teacher.budget.spent.nano_usd
        tally.start()
        ask_units(drawn, teacher, lambda chain, reply: (), tally.note)
        spent = teacher.budget.spent.nano_usd
        tally.correct_money(spent - before)
        return spent / NANO


def _small_sample_widening(size: int) -> float:
    """Return how much wider Student's t is than the normal curve at 95 %, for this sample.

    With the bias of the bootstrap's variance. The series is Abramowitz and Stegun, 26.7.5.
    """
    freedom = size - 1
    return float((1 + 1.21 / freedom + 1.44 / freedom**2) * (size / freedom) ** 0.5)


def _scale(value: Range, factor: float) -> Range:
    ends = [None if end is None else end * factor for end in (value.low, value.high)]
    return Range(value.expected * factor, *ends)


def _show(value: Range, write: Callable[[float], str]) -> str:
    text = write(value.expected)
    if value.low is None or value.high is None:
        return text
    return f"{text} ({write(value.low)} to {write(value.high)})"


def _count(value: float) -> str:
    return f"{value:,.0f}"
