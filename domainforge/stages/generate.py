"""Chunks to examples: each task's prompt file, asked of the teacher, every unit accounted for.

Chats among the documents are examples already, and are taken as they are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import Field

from domainforge.context import Context
from domainforge.dosing import identify_dose, plan_dose
from domainforge.errors import DataError
from domainforge.filters.filtering import VERSION as FILTER_VERSION
from domainforge.filters.filtering import filter_rows
from domainforge.filters.frame import frame_of
from domainforge.generation.coverage import Coverage
from domainforge.generation.foresight import CallCount, foresee
from domainforge.generation.forms import is_delimited, known_form
from domainforge.generation.given import given_examples, silent_examples
from domainforge.generation.harvest import Harvest
from domainforge.generation.novelty import NoveltyConfig
from domainforge.generation.outcome import Rows, part_rows, sum_up
from domainforge.generation.recipes import RECIPES, RecipeName, RecipePlan
from domainforge.generation.rounds import ask_rounds
from domainforge.generation.tasks import TaskConfig, make_tasks, tell_idle_tasks
from domainforge.generation.units import Form, Unit, plan_units
from domainforge.prompts import PromptFile
from domainforge.records import GIVEN, Example
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Settings, Stage, StageResult, shaping_values
from domainforge.tables import example_table
from domainforge.teacher.prices import NANO, teacher_price

if TYPE_CHECKING:
    from domainforge.teacher.client import Teacher
    from domainforge.teacher.jobs import Counts

_PROMPT_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "name", "text")])
PLAN_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("uri", pa.string()),
        ("chunk_id", pa.string()),
        ("prompt", pa.string()),
        ("planned", pa.int32()),
        ("asked", pa.bool_()),
    ]
)


class GenerateConfig(Settings):
    """What is asked of the teacher."""

    recipe: RecipeName | None = Field(
        None,
        description="What is asked, and how often: planned from the size of the documents and the "
        "teacher's caps, and told before anything is asked. Left out without `tasks`: `default`; "
        "with `tasks`: none.",
    )
    tasks: tuple[TaskConfig, ...] | None = Field(
        None,
        description="Prompt files and how often each is asked: in the place of a recipe, or beside "
        "the one that is named. An empty list where all documents are chats and no teacher is "
        "needed.",
    )
    novelty: NoveltyConfig | None = Field(
        default_factory=NoveltyConfig,
        description="When to stop asking about a passage; null asks all that is planned.",
    )
    rounds: int = Field(
        1,
        ge=1,
        description="Rounds of asking. Each later one asks, as many requests as the first at most, "
        "about sentences that no row rests on which passes `filter`.",
    )

    @property
    def named_recipe(self) -> RecipeName | None:
        """The recipe that is followed; None where tasks take its place."""
        return self.recipe or ("default" if self.tasks is None else None)


@dataclass(frozen=True)
class CallPlan:
    """What a run would ask, and which of its units the ledger can't answer to their end.

    Attributes:
        recipe: What a recipe comes to; None where the tasks are named.
        besides: What is asked beside it, in words.
        preferences: How many of the units come to a preference.
    """

    count: CallCount
    unfinished: tuple[Unit, ...]
    recipe: RecipePlan | None = None
    besides: tuple[str, ...] = ()
    preferences: int = 0

    def describe_recipe(self) -> str:
        """Say what a recipe comes to, and what is asked beside it; empty without one."""
        return "\n".join([self.recipe.describe(), *self.besides]) if self.recipe else ""


def run(config: GenerateConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Ask every task of every unit and write a row, dropped or not, for each."""
    sides = _sides(inputs)
    chunks = _chunks(inputs)
    given = given_examples(chunks, sides)
    tasks, recipe = _tasks(config, chunks, sides, context)
    if recipe is not None:
        context.say("\n".join([recipe.describe(), *_tell_besides(config)]))
    planned = _units(tasks, chunks, sides, context)
    out.write(_prompt_table(_prompt_files(config, context)), "prompts")
    if not planned and not given:
        raise DataError(_nothing_to_ask(config))
    idle = tell_idle_tasks(tasks, planned, context.prompt)
    silent = [unit for unit in planned if not unit.prompt.header.asks]
    units = [unit for unit in planned if unit.prompt.header.asks]
    free = [*given, *silent_examples(silent, sides)]
    if not units:
        context.progress(len(free), len(free), kept=len(free))
        out.write(_plan_table(planned, given), "plan")
        result = sum_up(_write_rows(out, free), 0, notes=idle)
        return replace(result, figures={**result.figures, **_recipe_figures(recipe)})
    with context.teacher() as teacher:
        harvest = Harvest(teacher, sides, free, context.progress, config.novelty)
        rounds = ask_rounds(
            units,
            config.rounds,
            lambda times: _units(tasks, chunks, sides, context, times),
            harvest,
            lambda rows: _cover(rows, units, inputs.table("chunk"), context),
            context.say,
        )
        price = teacher_price(context.teacher_config).describe()
        figures = {**_figures(teacher, harvest), "price": price}
        notes = (*idle, *teacher.gate_counts.notes(), *_repeat_note(teacher.counts))
    asked = [unit for plan in rounds for unit in plan.units]
    out.write(_plan_table([*silent, *asked], given, harvest.stopped), "plan")
    for plan in rounds[1:]:
        out.write(_plan_table(plan.units, ()), f"round-{plan.number}")
    figures["rounds"] = [plan.figures() for plan in rounds]
    figures |= _recipe_figures(recipe)
    return sum_up(_write_rows(out, harvest.rows), len(asked), figures, notes)


def asks_teacher(config: GenerateConfig, context: Context) -> bool:
    """Tell whether any task needs the teacher.

    Raises:
        PromptError: A prompt file that isn't there or can't be used.
    """
    return any(file.header.asks for file in _prompt_files(config, context))


def identify(config: GenerateConfig, context: Context) -> dict[str, Any]:
    """What the rows depend on besides config and chunks: prompt files and the teacher."""
    from domainforge.teacher.session import open_gate, teacher_identity

    files = _prompt_files(config, context)
    prompts: dict[str, Any] = {"prompts": {file.name: file.hash for file in files}}
    if config.named_recipe is not None:
        prompts["recipe"] = identify_dose(config.named_recipe, context)
    if not any(file.header.asks for file in files):
        return prompts
    # Later rounds ask about what the filter left without a row.
    kept_by = [FILTER_VERSION, shaping_values(context.filter_config)]
    return {
        **prompts,
        **({"filter": kept_by} if config.rounds > 1 else {}),
        "teacher": teacher_identity(context.teacher_config, context.project),
        "form": context.teacher_config.resolved_form,
        **_schema_identity(files, context),
        "privacy": open_gate(context.teacher_config).identity,
    }


def _schema_identity(files: Iterable[PromptFile], context: Context) -> dict[str, str]:
    """Name what the user says of JSON schemas, where that can decide how a reply is asked for.

    What `auto` finds out is the endpoint's own, as its weights are, and is remembered for good.
    """
    config = context.teacher_config
    may_vary = config.resolved_form == "chat" and not config.is_llamacpp
    if may_vary and any(is_delimited(file, "delimited") for file in files if file.header.asks):
        return {"json_schema": config.json_schema}
    return {}


def plan_calls(config: GenerateConfig, inputs: Inputs, context: Context) -> CallPlan:
    """Find the calls that the stage would make, without asking.

    Raises:
        PromptError: A prompt file that can't be used.
        DataError: A task goes over what the documents can't have, or there is nothing to ask about.
    """
    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.session import open_gate, teacher_identity

    chunks, sides = _chunks(inputs), _sides(inputs)
    tasks, recipe = _tasks(config, chunks, sides, context)
    planned_units = _units(tasks, chunks, sides, context)
    # A run would be refused as well.
    if not planned_units and not any(chunk.get("messages") for chunk in chunks):
        raise DataError(_nothing_to_ask(config))
    tell_idle_tasks(tasks, planned_units, context.prompt)
    units = [unit for unit in planned_units if unit.prompt.header.asks]
    if not units:
        return CallPlan(CallCount(0, 0, 0), (), recipe, tuple(_tell_besides(config)))
    identity = teacher_identity(context.teacher_config, context.project)
    gate = open_gate(context.teacher_config)
    with Ledger(context.ledger_path) as ledger:
        form = known_form(context.teacher_config, identity, ledger)
        count, unfinished = foresee(units, config.novelty, form, identity, ledger, gate)
    pairs = sum(unit.prompt.header.example.get("kind") == "preference" for unit in units)
    return CallPlan(count, unfinished, recipe, tuple(_tell_besides(config)), pairs)


def tell_rounds(config: GenerateConfig) -> list[str]:
    """Say what a plan of calls doesn't count: rounds that go by what comes of the first."""
    if config.rounds == 1:
        return []
    return [
        f"counted is the first of {config.rounds} rounds (generate.rounds): each later one asks as "
        "many requests as the first at most, about sentences without a row"
    ]


def _figures(teacher: "Teacher", harvest: Harvest) -> dict[str, Any]:
    counts, spent = teacher.counts, teacher.budget.spent
    figures = {
        "asked": counts.asked,
        "replayed": counts.replayed,
        "retried": counts.retried,
        "asked_again": counts.asked_again,
        "repaired": harvest.repaired,
        "repair_failed": harvest.repair_failed,
        "continued": harvest.continued,
        "continue_failed": harvest.continue_failed,
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.completion_tokens,
        "billed_tokens": spent.tokens,
        "usd": spent.nano_usd / NANO,
        "teacher": teacher.identity,
    }
    return figures | teacher.gate_counts.figures()


def _recipe_figures(recipe: RecipePlan | None) -> dict[str, Any]:
    if recipe is None:
        return {}
    tasks = {task.prompt: task.per_chunk for task in recipe.tasks}
    return {"recipe": {"name": recipe.name, "dose": round(recipe.dose, 2), "tasks": tasks}}


def _repeat_note(counts: "Counts") -> Iterator[str]:
    if counts.retried:
        kinds = ", ".join(f"{kind} {number}" for kind, number in counts.faults.most_common(4))
        yield f"{counts.retried:,} requests were repeated after faults ({kinds})"


def _write_rows(out: Output, examples: Sequence[Example]) -> Rows:
    rows = part_rows(examples)
    out.write(example_table(rows.made))
    out.write(example_table(rows.dropped), "dropped")
    out.write(example_table(rows.failed), "failed")
    return rows


def _nothing_to_ask(config: GenerateConfig) -> str:
    if config.tasks == ():
        return (
            "generate.tasks is empty, and no document is a chat that could be learned as it is; "
            "name a task, or set `chats: true` on a source of chats"
        )
    return (
        "there is nothing to ask about: no passage has a sentence of four words, or none that has "
        "in it what the prompts go over"
    )


def _chunks(inputs: Inputs) -> list[dict[str, Any]]:
    return sorted(inputs.table("chunk").to_pylist(), key=lambda c: (c["uri"], c["start"]))


def _prompt_files(config: GenerateConfig, context: Context) -> list[PromptFile]:
    """Load the prompts that may be asked, each once."""
    names = [task.prompt for task in config.tasks or ()]
    if config.named_recipe is not None:
        form = context.teacher_config.resolved_form
        names += [part.prompt for part in RECIPES[config.named_recipe].parts(form)]
    return [context.prompt(name) for name in dict.fromkeys(names)]


def _tasks(
    config: GenerateConfig,
    chunks: Sequence[Mapping[str, Any]],
    sides: Mapping[str, str],
    context: Context,
) -> tuple[tuple[TaskConfig, ...], RecipePlan | None]:
    """Return the tasks that are named, and those of the recipe with what it comes to.

    A task takes the place of the recipe's for the same prompt.
    """
    named = config.tasks or ()
    if config.named_recipe is None:
        return named, None
    own = frozenset(task.prompt for task in named)
    plan = plan_dose(config.named_recipe, chunks, sides, context, own)
    return (*plan.tasks, *named), plan


def _tell_besides(config: GenerateConfig) -> list[str]:
    """Name the tasks that are asked beside a recipe; its dose and its cost leave them out."""
    if not config.tasks or config.named_recipe is None:
        return []
    asked = ", ".join(f"{task.prompt} {task.per_chunk}" for task in config.tasks)
    return [f"Besides, and not counted in this: {asked}"]


def _units(
    tasks: Sequence[TaskConfig],
    chunks: Sequence[Mapping[str, Any]],
    sides: Mapping[str, str],
    context: Context,
    times: int = 1,
) -> list[Unit]:
    """Plan all units; with so many times the samples that the tasks ask for."""
    if not tasks:
        return []
    form: Form = context.teacher_config.resolved_form
    made = make_tasks(tasks, context.prompt)
    made = [replace(task, samples=task.samples * times) for task in made]
    return list(plan_units(chunks, made, form, sides))


def _sides(inputs: Inputs) -> dict[str, str]:
    return {row["id"]: row["side"] for row in inputs.table("assign").to_pylist()}


def _cover(
    rows: Sequence[Example], units: Sequence[Unit], chunks: pa.Table, context: Context
) -> Coverage:
    """Find what the rows that pass the filter rest on."""
    coverage = Coverage(chunks.to_pylist())
    made = example_table(row for row in rows if row.reason is None)
    prompts = {unit.prompt.hash: unit.prompt for unit in units}
    frames = {key: frame_of(prompt) for key, prompt in prompts.items()}
    filtered = filter_rows(made, chunks, context.filter_config, frames=frames)
    coverage.add(filtered.kept.to_pylist())
    return coverage


def _prompt_table(files: Iterable[PromptFile]) -> pa.Table:
    """Keep the text of every prompt beside its rows; its id is the `prompt_hash` of these."""
    rows = [{"id": file.hash, "name": file.name, "text": file.text} for file in files]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["id"]), schema=_PROMPT_SCHEMA)


def _plan_table(
    units: Sequence[Unit], given: Sequence[Example], stopped: Sequence[Unit] = ()
) -> pa.Table:
    """Count the units of each passage and prompt, without those that were not worth asking."""
    counts: Counter[tuple[str, str, str]] = Counter(
        (unit.chunk["uri"], unit.chunk["id"], unit.prompt.name) for unit in units
    )
    counts.subtract((unit.chunk["uri"], unit.chunk["id"], unit.prompt.name) for unit in stopped)
    counts.update((row.uri, row.chunk_id, GIVEN) for row in given)
    asked = {unit.prompt.name for unit in units if unit.prompt.header.asks}
    rows: list[dict[str, Any]] = [
        {
            "id": f"{chunk_id}:{prompt}",
            "uri": uri,
            "chunk_id": chunk_id,
            "prompt": prompt,
            "planned": planned,
            "asked": prompt in asked,
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
    version=7,
    identity=identify,
)
