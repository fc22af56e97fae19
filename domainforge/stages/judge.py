"""Unique rows to judged: what a row is worth, asked of survivors only; the best of each cluster.

A judge is asked first, all rows in one stream; what it says is kept in a table of its own. Then
scorers go over rows and verdicts batch by batch, and at last the best of each cluster is chosen.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from domainforge.context import Context
from domainforge.errors import TeacherError
from domainforge.filters.reviewed import read_labels
from domainforge.generation.foresight import CallCount
from domainforge.judging.bias import Bias
from domainforge.judging.choice import Best, find_repeated
from domainforge.judging.config import DifficultyConfig, JudgeConfig
from domainforge.judging.costs import Bound, RowCount, bound_calls
from domainforge.judging.difficulty import DifficultyScorer
from domainforge.judging.inquiry import Court, Inquiry, foresee_rows
from domainforge.judging.marks import HeardVerdicts, Scorer, mark_rows
from domainforge.judging.panel import open_panel, said_by
from domainforge.judging.quality import hash_lesson, learn_quality
from domainforge.judging.record import note_of_calibration
from domainforge.judging.verdicts import VERDICT_SCHEMA
from domainforge.passages import PassageStore
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Stage, StageResult
from domainforge.table_writer import read_batches
from domainforge.tables import EXAMPLE_SCHEMA
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.prices import NANO, teacher_price

VERDICTS = "verdicts"
_TEACHER_KEY = re.compile(r"(?<![\w.])teacher\.(?=[a-z])")
Row = dict[str, Any]


def run(config: JudgeConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Ask about rows, score them, and keep the best row of each cluster and side."""
    figures: dict[str, Any] = {}
    notes: list[str] = []
    scorers: list[Scorer] = []
    if config.asks:
        figures, notes = _ask(config, inputs, out, context)
        verdicts = (row for b in read_batches(out.folder / VERDICTS) for row in b.to_pylist())
        scorers.append(HeardVerdicts(verdicts))
    # Each gets the rows that the ones before let stay.
    if config.difficulty is not None:
        scorers.append(_open_difficulty(config.difficulty, inputs.count("dedup"), context))
    if config.quality is not None:
        learned = learn_quality(config.quality, read_labels(context.project), context.seed)
        figures, notes = {**figures, **learned.figures}, [*notes, learned.note]
        if learned.scorer is not None:
            scorers.append(learned.scorer)
    batches: Callable[..., Iterator[pa.RecordBatch]] = partial(inputs.batches, "dedup")
    best = Best(find_repeated(batches(columns=("id", "cluster", "side"))))
    if scorers:
        batches = _marked(inputs, scorers, out.scratch)
    for batch in batches():
        best.take(batch)
    account = _write(batches(), best, out, inputs.count("dedup"), context)
    return StageResult(account, tuple(notes), figures)


def _open_difficulty(config: DifficultyConfig, total: int, context: Context) -> Scorer:
    def tell(done: int) -> None:
        context.progress(done, total, what="student's loss")

    return DifficultyScorer(config, context.student_folder, tell)


def asks_teacher(config: JudgeConfig, context: Context) -> bool:
    """Tell whether anybody is asked.

    Raises:
        PromptError: A prompt file that isn't there or can't be used.
        ConfigError: A cap in dollars, and no price for whoever is asked.
    """
    if not config.asks:
        return False
    open_panel(config, context.prompt)
    teacher_price(judge_teacher(config, context))
    return True


def judge_teacher(config: JudgeConfig, context: Context) -> TeacherConfig:
    """Return who is asked: the judge's own teacher, or the run's, whose budget holds for both."""
    own = config.teacher
    if own is None or own.budget.has_cap:
        return own or context.teacher_config
    return own.model_copy(update={"budget": context.teacher_config.budget})


def identify(config: JudgeConfig, context: Context) -> dict[str, Any]:
    """What rows depend on besides config and inputs: prompts, who is asked, labels, the student."""
    found: dict[str, Any] = {}
    if config.quality is not None:
        found["labels"] = hash_lesson(read_labels(context.project))
    if config.difficulty is not None:
        found["student"] = context.student_identity
    return {**found, **_identify_asked(config, context)} if config.asks else found


def _identify_asked(config: JudgeConfig, context: Context) -> dict[str, Any]:
    from domainforge.teacher.session import open_gate, teacher_identity

    teacher = judge_teacher(config, context)
    panel = open_panel(config, context.prompt)
    return {
        "prompts": {what: file.hash for what, file in panel.prompts.items()},
        "teacher": teacher_identity(teacher, context.project),
        "form": teacher.resolved_form,
        "json_schema": teacher.json_schema,
        "privacy": open_gate(teacher).identity,
    }


def plan_calls(config: JudgeConfig, inputs: Inputs, context: Context) -> CallCount:
    """Find the calls that the stage would make, without asking; its inputs are there.

    Raises:
        PromptError: A prompt file that can't be used.
    """
    from domainforge.generation.forms import known_form
    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.session import open_gate, teacher_identity

    panel, teacher = open_panel(config, context.prompt), judge_teacher(config, context)
    identity, gate = teacher_identity(teacher, context.project), open_gate(teacher)
    rows = (row for rows in _batches(inputs) for row in rows)
    with TemporaryDirectory(prefix="domainforge-judge-") as scratch:
        chunks = PassageStore.of(inputs.folder("chunk"), Path(scratch))
        with Ledger(context.ledger_path) as ledger:
            form = known_form(teacher, identity, ledger)
            return foresee_rows(rows, panel, chunks, form, identity, ledger, gate)


def bound_plan(config: JudgeConfig, inputs: Inputs, rows: RowCount, context: Context) -> Bound:
    """Bound the calls and the cost before the rows are there.

    Args:
        config: What is asked.
        inputs: Have the chunks.
        rows: The most that there can be.
        context: Finds prompts and the teacher.
    """
    teacher = judge_teacher(config, context)
    price = teacher_price(teacher)
    price = price.for_batch() if teacher.batch else price
    chunks = inputs.table("chunk").to_pylist()
    panel = open_panel(config, context.prompt)
    return bound_calls(panel, rows, chunks, teacher.resolved_form, price)


def _ask(
    config: JudgeConfig, inputs: Inputs, out: Output, context: Context
) -> tuple[dict[str, Any], list[str]]:
    """Ask about all rows; what each comes to goes into the table of verdicts."""
    panel = open_panel(config, context.prompt)
    teacher_config = judge_teacher(config, context)
    chunks = PassageStore.of(inputs.folder("chunk"), out.scratch)
    verdicts, bias = out.stream(VERDICT_SCHEMA, VERDICTS), Bias()

    def finish(inquiry: Inquiry) -> None:
        verdict = inquiry.verdict
        verdicts.add(verdict.as_row(inquiry.row, inquiry.heard))
        bias.take(verdict, len(said_by(inquiry.row)))

    total = inputs.count("dedup")
    with _naming_judge(config), context.teacher(teacher_config) as teacher:
        court = Court(teacher, panel, chunks, finish, context.progress)
        court.ask((row for rows in _batches(inputs) for row in rows), total)
        figures: dict[str, Any] = {
            "asked_about": court.asked,
            "unreadable": dict(court.unreadable),
            "asked": teacher.counts.asked,
            "replayed": teacher.counts.replayed,
            "prompt_tokens": teacher.counts.prompt_tokens,
            "completion_tokens": teacher.counts.completion_tokens,
            "usd": teacher.budget.spent.nano_usd / NANO,
            "price": teacher_price(teacher_config).describe(),
            "teacher": teacher.identity,
            "prompts": {what: file.hash for what, file in panel.prompts.items()},
            **bias.figures(),
        }
        notes = [*teacher.gate_counts.notes(), *_tell_asked(config, court, total), *bias.notes()]
    out.finish(verdicts, VERDICTS)
    notes += note_of_calibration(context.project, config.min_score, figures)
    return figures, notes


@contextmanager
def _naming_judge(config: JudgeConfig) -> Iterator[None]:
    """Let faults of a judge of its own name its keys, and not those of the teacher."""
    try:
        yield
    except TeacherError as error:
        if config.teacher is None:
            raise
        raise TeacherError(_TEACHER_KEY.sub("judge.teacher.", str(error))) from error


def _tell_asked(config: JudgeConfig, court: Court, total: int) -> Iterator[str]:
    if court.asked < total:
        yield (
            f"{total - court.asked:,} rows were not judged: made without a teacher, taken as they "
            "are, or with no passage behind them"
        )
    becomes = "stay without a score" if config.unjudged == "keep" else "were dropped as unjudged"
    if court.unreadable:
        counts = ", ".join(f"{what} {n}" for what, n in court.unreadable.most_common())
        yield (
            f"{court.unreadable.total():,} replies could not be read ({counts}); their rows "
            f"{becomes} (judge.unjudged)"
        )
    if court.failed:
        counts = ", ".join(f"{kind} {n}" for kind, n in court.failed.most_common(4))
        yield (
            f"{court.failed.total():,} requests failed ({counts}) and their rows {becomes}; run "
            "again with --from judge to ask them once more (replies in the ledger are not asked "
            "again)"
        )


def _marked(
    inputs: Inputs, scorers: Sequence[Scorer], scratch: Path
) -> Callable[[], Iterator[pa.RecordBatch]]:
    """Lay rows aside with what all scorers gave; return what reads them again."""
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / "marked.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, EXAMPLE_SCHEMA) as writer:
        for rows in _batches(inputs):
            marked = mark_rows(rows, scorers)
            writer.write_batch(pa.RecordBatch.from_pylist(marked, schema=EXAMPLE_SCHEMA))

    def read() -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(path)) as source:
            file = pa.ipc.open_file(source)
            yield from map(file.get_batch, range(file.num_record_batches))

    return read


def _write(
    batches: Iterable[pa.RecordBatch], best: Best, out: Output, total: int, context: Context
) -> Account:
    judged, dropped = out.stream(EXAMPLE_SCHEMA), out.stream(EXAMPLE_SCHEMA, "dropped")
    reasons = Counter[str]()
    done = 0
    for batch in batches:
        stays = batch.column("reason").is_null().to_numpy(zero_copy_only=False)
        gone = batch.filter(pa.array(~stays))
        beaten = best.beaten(batch)
        stays = stays.copy()
        stays[list(beaten)] = False
        judged.add_table(pa.Table.from_batches([batch.filter(pa.array(stays))]))
        if gone.num_rows:
            dropped.add_table(pa.Table.from_batches([gone]))
        for row in beaten.values():
            dropped.add(row)
        reasons.update(gone.column("reason").to_pylist())
        reasons.update(row["reason"] for row in beaten.values())
        done += batch.num_rows
        context.progress(done, total, judged=judged.rows)
    out.finish(judged)
    out.finish(dropped, "dropped")
    return Account("rows", total=total, done=judged.rows, dropped=reasons)


def _batches(inputs: Inputs) -> Iterator[list[Row]]:
    return (batch.to_pylist() for batch in inputs.batches("dedup"))


STAGE = Stage(
    name="judge",
    config=JudgeConfig,
    run=run,
    writes="judged",
    reads=("chunk", "dedup"),
    version=2,
    identity=identify,
)
