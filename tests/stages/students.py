"""A run up to its split, and its trained student, for tests of the last three stages."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from domainforge.context import Context
from domainforge.records import Chunk, Document, Example
from domainforge.run_folder import Inputs, Output, RunFolder
from domainforge.stage import Stage, StageResult
from domainforge.stages import train
from domainforge.tables import EXAMPLE_SCHEMA, example_table, ordered_table
from domainforge.training.config import Mixture, TrainConfig
from tests.evaluation.exams import fact, make_exam
from tests.stages.runs import make_context
from tests.support.tables import chunk_table, document_table

FACTS = 16
GENERAL = 6
DOCUMENTS = 4
TEACHER = "http://10.1.2.3:8000/v1|/srv/private/teacher-7b"
FOLDERS = {
    "ingest": "documents",
    "chunk": "chunks",
    "assign": "sides",
    "generate": "examples",
    "split": "splits",
    "train": "student",
    "evaluate": "evaluation",
}
QUICK = TrainConfig(
    method="full",
    epochs=2,
    learning_rate=5e-3,
    sequence_tokens=128,
    sequences_per_step=2,
    mixture=Mixture(documents=1, replay=0),
    threads=1,
)


class SmallRun:
    """A run folder whose first stages are written as tables, and the rest by the stages."""

    def __init__(self, project: Path, student: Path, *, facts: int = FACTS) -> None:
        self.folder = RunFolder(project / "runs" / "small")
        self.folder.path.mkdir(parents=True)
        exam = project / "exam.jsonl"
        questions = [q.model_dump(mode="json") for q in make_exam(facts, documents=DOCUMENTS)]
        exam.write_text("".join(f"{json.dumps(question)}\n" for question in questions))
        self.events: list[Any] = []
        plain = make_context(project, exam_path=exam, events=self.events)
        self.context = replace(plain, student=str(student))
        self._write_first_stages(facts)

    @property
    def inputs(self) -> Inputs:
        return Inputs({name: self.folder.stage_folder(place) for name, place in FOLDERS.items()})

    def write(
        self, stage: str, tables: Mapping[str, pa.Table], figures: Mapping[str, Any] | None = None
    ) -> None:
        output = self.folder.begin(FOLDERS[stage], "f", resumable=False)
        for name, table in tables.items():
            output.write(table, name)
        self._finish(stage, output, {"figures": dict(figures or {})})

    def run(self, stage: Stage, config: Any, context: Context | None = None) -> StageResult:
        """Run a stage as the pipeline does."""
        output = self.folder.begin(stage.writes, "f", resumable=stage.resumable)
        result: StageResult = stage.run(config, self.inputs, output, context or self.context)
        assert result.account.balances
        facts = {"figures": dict(result.figures), "notes": list(result.notes)}
        self._finish(stage.name, output, facts, writes=stage.writes)
        return result

    def add_rows(self) -> None:
        """Put general rows and preferences into the split, beside what is there."""
        tables = {
            name: self.inputs.table("split", name) for name in ("train", "validation", "test")
        }
        for name, count in (("train", 3), ("test", 1)):
            chats = [row for row in tables[name].to_pylist() if row["kind"] == "chat"]
            changes = {"kind": "preference", "rejected": "Nobody knows."}
            rows = [{**row, **changes, "id": f"pair-{row['id']}"} for row in chats[:count]]
            tables[name] = _with_rows(tables[name], rows)
        general = example_table(_general(number) for number in range(GENERAL)).to_pylist()
        tables["train"] = _with_rows(tables["train"], general)
        self.write("split", tables, {"replay_from": "mine.jsonl"})

    def train(self, config: TrainConfig = QUICK) -> StageResult:
        return self.run(train.STAGE, config)

    def _finish(
        self, stage: str, output: Output, facts: Mapping[str, Any], writes: str | None = None
    ) -> None:
        whole = {
            "stage": stage,
            "fingerprint": "f",
            "account": {},
            "notes": [],
            "seconds": 0.0,
            **facts,
        }
        self.folder.finish(writes or FOLDERS[stage], output, whole)

    def _write_first_stages(self, facts: int) -> None:
        documents = [
            Document(
                f"handbook/{d}.md", "Handbook", "\n".join(map(fact, range(d, facts, DOCUMENTS)))
            )
            for d in range(DOCUMENTS)
        ]
        chunks = [_chunk(documents[i % DOCUMENTS], i) for i in range(facts)]
        held_out = documents[-1].id
        sides = {c.id: "test" if c.document_id == held_out else "train" for c in chunks}
        self.write("ingest", {"": document_table(documents)})
        self.write("chunk", {"": chunk_table(chunks)})
        self.write("assign", {"": pa.Table.from_pylist([_side(c, sides[c.id]) for c in chunks])})
        self.write("generate", {"": example_table([])}, {"teacher": TEACHER})
        rows = [make(c, sides[c.id]) for c in chunks for make in (_text, _chat)]
        trained = [row for row in rows if row.side == "train"]
        checks = [row for row in trained if row.kind == "chat"][:2]
        self.write(
            "split",
            {
                "train": example_table(row for row in trained if row not in checks),
                "validation": example_table(checks),
                "test": example_table(row for row in rows if row.side == "test"),
            },
        )


def mix_replay(share: float) -> TrainConfig:
    return QUICK.model_copy(update={"mixture": Mixture(documents=1, replay=share)})


def _with_rows(table: pa.Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return ordered_table([*table.to_pylist(), *map(dict, rows)], EXAMPLE_SCHEMA)


def _general(number: int) -> Example:
    messages = (
        {"role": "user", "content": f"What of rope {number}?"},
        {"role": "assistant", "content": "The keeper has a rope in every boat."},
    )
    place = {"document_id": "", "uri": f"replay/mine.jsonl#{number}", "chunk_id": ""}
    made = {"prompt": "replay", "prompt_hash": "replay", "teacher": "given", "side": "train"}
    return Example("chat", start=0, end=0, messages=messages, unit=number, **place, **made)


def _chunk(document: Document, index: int) -> Chunk:
    text = fact(index)
    start = document.text.index(text)
    return Chunk(
        document.id, document.uri, document.title, (), index, start, start + len(text), text, 12
    )


def _side(chunk: Chunk, side: str) -> dict[str, Any]:
    return {"id": chunk.id, "document_id": chunk.document_id, "uri": chunk.uri, "side": side}


def _text(chunk: Chunk, side: str) -> Example:
    return _row(chunk, side, kind="text", text=chunk.text, prompt="", prompt_hash="", teacher="")


def _chat(chunk: Chunk, side: str) -> Example:
    answer = chunk.text.rpartition(" sells ")[2]
    messages = (
        {"role": "user", "content": f"What is sold by keeper {chunk.index}?"},
        {"role": "assistant", "content": answer},
    )
    return _row(
        chunk,
        side,
        kind="chat",
        messages=messages,
        fields={"answer": answer},
        prompt="qa",
        prompt_hash="0123456789abcdef0123",
        teacher=TEACHER,
        ledger_keys=("k",),
    )


def _row(chunk: Chunk, side: str, **values: Any) -> Example:
    place = {name: asdict(chunk)[name] for name in ("document_id", "uri", "start", "end")}
    return Example(chunk_id=chunk.id, side=side, **place, **values)


def write_control(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder
