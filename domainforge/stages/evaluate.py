"""Student against its own base and a control, on the exam: scores.json and the verdict."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from domainforge.context import Context
from domainforge.errors import DataError
from domainforge.evaluation.control import control_hash, load_control, share_replay
from domainforge.evaluation.exam import exam_hash
from domainforge.evaluation.measure import Measured, measure_model
from domainforge.evaluation.questions import Item, prepare_items
from domainforge.evaluation.verdict import as_scores, compare_lines, decide
from domainforge.run_folder import Inputs, Output, write_atomic
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.training.config import TrainConfig

SCORES = "scores.json"


class EvaluateConfig(Settings):
    """Measuring the student."""

    exam: str | None = Field(
        None, description="Questions whose answers are known: JSON lines or CSV; none: no verdict."
    )
    control: str | None = Field(
        None,
        description="Other documents, to subtract what style alone gains: a folder with "
        "rows.jsonl, or another run's folder. Doubles the training time.",
    )
    open_book: bool = Field(
        True, description="Also measure the base with the passage in the prompt, as the ceiling."
    )
    max_answer_tokens: int = Field(24, ge=1, description="Longest answer of the student's own.")
    min_gain: float = Field(
        0.0, ge=0, description="Nats per token that the interval must lie above to say `gained`."
    )


def run(config: EvaluateConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Measure base, student and control; each line is kept, so that a killed run goes on."""
    if config.control is not None:
        load_control(context.find(config.control))
    sides = {row["id"]: row["side"] for row in inputs.table("assign").to_pylist()}
    items = prepare_items(context.exam, inputs.table("chunk").to_pylist(), sides)
    work = _Work(config, items, inputs, out.folder, context)
    lines = {"base": work.line("base"), "student": work.line("student")}
    if config.open_book and items:
        lines["open_book"] = work.line("open_book")
    if config.control is not None and items:
        lines["control"] = work.line("control")
    metrics = compare_lines(items, lines, context.seed)
    word, sentence = decide(metrics, config.min_gain)
    if not items:
        sentence = "not shown: no exam was given (evaluate.exam), so nothing was measured"
    perplexity = {name: work.perplexity(name) for name in ("base", "student")}
    extra = {
        "questions": _answers(items, lines),
        "slices": _count_slices(items),
        "dose": work.dose(),
    }
    scores = as_scores(word, sentence, metrics, perplexity, extra)
    write_atomic(out.folder / SCORES, json.dumps(scores, indent=2, ensure_ascii=False) + "\n")
    if items:
        out.write(pa.Table.from_pylist(_rows(items, lines)), "questions")
    shutil.rmtree(out.folder / "work", ignore_errors=True)
    account = Account("questions", len(items), len(items))
    notes = _notes(config, items)
    return StageResult(account, notes, {"verdict": word, "sentence": sentence})


def identify(config: EvaluateConfig, context: Context) -> dict[str, Any]:
    """What the scores depend on besides the student: exam, control, and the base."""
    control = context.find(config.control) if config.control else None
    return {
        "exam": exam_hash(context.exam_path) if context.exam_path else None,
        "control": control_hash(control) if control else None,
        "base": context.student_identity,
    }


class _Work:
    """The models of one evaluation, measured one after the other to hold one in memory."""

    def __init__(
        self,
        config: EvaluateConfig,
        items: Sequence[Item],
        inputs: Inputs,
        folder: Path,
        context: Context,
    ) -> None:
        self._config, self._items, self._inputs = config, items, inputs
        self._folder, self._context = folder / "work", context
        self._loaded: tuple[Path, Any, Any] | None = None
        extra = config.open_book + (config.control is not None)
        self._total = (2 + extra) * len(items)
        self._done = 0

    def line(self, name: str) -> list[Measured]:
        """Measure one line, or read what an interrupted run measured."""
        path = self._folder / f"{name}.json"
        if path.exists():
            stored = json.loads(path.read_text(encoding="utf-8"))
            self._tell(name, len(stored))
            return [Measured(**entry) for entry in stored]
        if not self._items:
            return []
        folder = self._model_folder(name)
        model, tokenizer = self._load(folder)
        measured = measure_model(
            model,
            tokenizer,
            self._items,
            lambda count: self._tell(name, count),
            open_book=name == "open_book",
            max_new_tokens=self._config.max_answer_tokens,
        )
        write_atomic(path, json.dumps([asdict(m) for m in measured]))
        if name == "control":
            self._loaded = None
            shutil.rmtree(folder)
        return measured

    def perplexity(self, name: str) -> dict[str, float]:
        """Perplexity on the validation and test splits, chats by their answers."""
        path = self._folder / f"{name}.perplexity.json"
        if path.exists():
            return dict(json.loads(path.read_text(encoding="utf-8")))
        from domainforge.evaluation.perplexity import split_perplexity

        model, tokenizer = self._load(self._model_folder(name))
        values: dict[str, float] = {}
        for split in ("validation", "test"):
            rows = self._inputs.table("split", split).to_pylist()
            values |= split_perplexity(model, tokenizer, split, rows)
        write_atomic(path, json.dumps(values))
        return values

    def _model_folder(self, name: str) -> Path:
        if name == "student":
            return self._inputs.folder("train")
        if name == "control":
            return self._train_control()
        return self._context.student_folder

    def _train_control(self) -> Path:
        """Train the control: same recipe, as many tokens, other documents."""
        from domainforge.training.sft import train_student

        self._loaded = None
        folder = self._folder / "control"
        whole = folder / "whole"
        if whole.exists():
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        train, validation = load_control(self._context.find(str(self._config.control)))
        figures = self._inputs.manifest("train").figures
        config = TrainConfig.model_validate(figures["recipe"])
        if config.mixture.replay:
            train = share_replay(train, self._inputs.table("split", "train").to_pylist())
        self._context.say(
            "Training the control: the same recipe, as many tokens, other documents ..."
        )

        def report(done: int, total: int, numbers: Mapping[str, Any]) -> None:
            self._context.progress(done, total, what="control training", **numbers)

        outcome = train_student(
            train,
            validation,
            self._context.student_folder,
            folder,
            config,
            self._context.seed,
            report,
            max_tokens=int(figures["tokens_per_epoch"]),
        )
        for kind, wanted, had in (
            ("chat", figures["chat_rows_per_epoch"], outcome.plan.chat_rows),
            ("text", figures["text_rows_per_epoch"], outcome.plan.text_rows),
        ):
            if wanted and not had:
                raise DataError(
                    f"evaluate.control: it has no {kind} rows, but the student learned from "
                    f"{wanted} an epoch; a control without them can't subtract their style"
                )
        dose = {"student_tokens": figures["tokens"], "control_tokens": outcome.tokens}
        write_atomic(self._folder / "dose.json", json.dumps(dose))
        whole.touch()
        return folder

    def dose(self) -> dict[str, int]:
        """Tokens that student and control were trained on; empty without a control."""
        path = self._folder / "dose.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def _load(self, folder: Path) -> tuple[Any, Any]:
        from domainforge.training.students import load_model, load_tokenizer

        if self._loaded is None or self._loaded[0] != folder:
            self._loaded = None
            self._loaded = (folder, load_model(folder), load_tokenizer(folder))
        return self._loaded[1], self._loaded[2]

    def _tell(self, name: str, count: int) -> None:
        self._done += count
        self._context.progress(self._done, self._total, what=name)


def _rows(items: Sequence[Item], lines: Mapping[str, Sequence[Measured]]) -> list[dict[str, Any]]:
    """One row per question and line, for `show`."""
    return [
        {
            "id": f"{item.question.id}:{line}",
            "question": item.question.question,
            "answers": list(item.question.answers),
            "slice": item.slice,
            "document": item.document,
            "line": line,
            **asdict(measured[index]),
        }
        for line, measured in lines.items()
        for index, item in enumerate(items)
    ]


def _answers(
    items: Sequence[Item], lines: Mapping[str, Sequence[Measured]]
) -> list[dict[str, Any]]:
    """What was asked and what each line answered, for readers of scores.json."""
    return [
        {
            "id": item.question.id,
            "slice": item.slice,
            "question": item.question.question,
            "gold": item.question.answers[0],
            "answers": {line: measured[index].answer for line, measured in lines.items()},
        }
        for index, item in enumerate(items)
    ]


def _count_slices(items: Sequence[Item]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in items:
        counts[item.slice] = counts.get(item.slice, 0) + 1
    return counts


def _notes(config: EvaluateConfig, items: Sequence[Item]) -> tuple[str, ...]:
    notes = []
    lonely = sum(not item.distractors for item in items)
    if lonely:
        notes.append(f"{lonely} questions have no other answer of their kind to stand out from")
    unplaced = sum(item.passage is None for item in items)
    if unplaced:
        notes.append(f"{unplaced} questions have no passage among the documents")
    if items and config.control is None:
        notes.append("no control was trained: style is not excluded (evaluate.control)")
    return tuple(notes)


STAGE = Stage(
    name="evaluate",
    config=EvaluateConfig,
    run=run,
    writes="evaluation",
    reads=("chunk", "assign", "split", "train"),
    identity=identify,
    resumable=True,
)
