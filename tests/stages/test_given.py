"""Chats that came with their source, from documents to the rows that are trained on."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domainforge.context import Context
from domainforge.errors import ConfigError, DataError
from domainforge.filters.rows import FilterConfig
from domainforge.records import Document
from domainforge.run_folder import Inputs, Output
from domainforge.sources.chats import make_chat, read_messages
from domainforge.splitting.config import SplitConfig
from domainforge.stage import StageResult
from domainforge.stages import assign, chunk, dedup, generate, judge, split
from domainforge.stages import filter as filter_stage
from domainforge.stages.generate import GenerateConfig
from domainforge.teacher.config import TeacherConfig
from tests.generation.prompts import QA
from tests.stages.runs import make_context
from tests.stages.test_chunk import make_student
from tests.support.tables import document_table
from tests.support.teacher_server import TeacherServer

QUESTION = "When was the bell of Orl cast?"
ANSWER = "In 1702, by the founder Ansel Rook, after the old one had cracked in the frost."
PAGE = Document(
    "mill.md", "The mill", "The mill at Harrow Bend was built in 1742 by the carpenter Anselm Rook."
)


def chat(name: str, *said: str, system: str | None = None) -> Document:
    roles = ("user", "assistant")
    turns = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
    first = [{"role": "system", "content": system}] if system else []
    return make_chat(f"chats.jsonl#{name}", read_messages([*first, *turns]), {})


class Line:
    """The stages from chunk to split, on documents of a test."""

    def __init__(self, folder: Path, *documents: Document) -> None:
        make_student(folder / "student")
        self.folder = folder
        self.context = replace(make_context(folder), student=str(folder / "student"))
        Output(folder / "ingest").write(document_table(documents))
        self._run(chunk.STAGE, chunk.ChunkConfig(max_tokens=100))
        self._run(assign.STAGE, assign.AssignConfig())

    def _run(self, stage: Any, config: Any, context: Context | None = None) -> StageResult:
        inputs = Inputs({name: self.folder / name for name in stage.reads})
        result: StageResult = stage.run(
            config, inputs, Output(self.folder / stage.name), context or self.context
        )
        assert result.account.balances
        return result

    def generate(self, tasks: tuple[Any, ...] = (), context: Context | None = None) -> StageResult:
        config = GenerateConfig.model_validate({"tasks": tasks})
        return self._run(generate.STAGE, config, context)

    def filter(self, **settings: Any) -> StageResult:
        return self._run(filter_stage.STAGE, FilterConfig(**settings))

    def finish(self) -> StageResult:
        self._run(dedup.STAGE, dedup.DedupConfig())
        self._run(judge.STAGE, judge.JudgeConfig())
        return self._run(split.STAGE, SplitConfig(validation_share=0))

    def rows(self, stage: str, table: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            Inputs({stage: self.folder / stage}).table(stage, table).to_pylist()
        )
        return found


def test_a_chat_is_trained_on_as_it_is_and_nobody_is_asked(tmp_path: Path) -> None:
    long = "So it was. " * 40
    said = (QUESTION, ANSWER, "And then?", f"Nothing more. {long}It rings to this day.")
    line = Line(tmp_path, chat("one", *said, system="You know bells."))
    result = line.generate()
    line.filter(skip=("repetition",))
    line.finish()
    (row,) = line.rows("split", "train")
    contents = [message["content"] for message in row["messages"]]
    assert contents == ["You know bells.", *said]
    assert [message["role"] for message in row["messages"]] == [
        "system", "user", "assistant", "user", "assistant"
    ]  # fmt: skip
    assert (row["prompt"], row["prompt_hash"], row["teacher"]) == ("given", "given", "given")
    assert (row["kind"], row["ledger_keys"], row["side"]) == ("chat", [], "train")
    (document,) = line.rows("ingest")
    assert row["document_id"] == document["id"]
    assert document["text"][row["start"] : row["end"]] == document["text"]
    assert result.account.done == result.account.total == 1
    assert result.figures["given"] == 1
    assert result.figures["teacher"] == "given"
    assert result.notes == ("chats taken as they are, without a teacher: 1",)


def test_a_chat_is_one_chunk_however_long_and_no_text_to_learn(tmp_path: Path) -> None:
    line = Line(tmp_path, chat("one", QUESTION, ANSWER * 5), PAGE)
    chunks = {row["uri"]: row for row in line.rows("chunk")}
    assert len(chunks) == 2
    assert chunks["chats.jsonl#one"]["tokens"] > 100
    assert not chunks["mill.md"]["messages"]
    line.generate()
    line.filter(skip=("repetition",))
    line.finish()
    kinds = {(row["uri"], row["kind"]) for row in line.rows("split", "train")}
    assert kinds == {("chats.jsonl#one", "chat"), ("mill.md", "text")}


def test_only_other_documents_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "ask.md").write_text(QA)
    line = Line(tmp_path, chat("one", QUESTION, ANSWER), PAGE)
    with TeacherServer() as server:
        config = TeacherConfig(base_url=server.base_url, model="local-teacher", json_schema="yes")
        context = replace(line.context, teacher_config=config)
        result = line.generate(({"prompt": "ask", "per_chunk": 2},), context)
        asked = json.dumps([seen.body for seen in server.seen])
    assert "Harrow Bend" in asked
    assert "bell of Orl" not in asked
    assert (result.account.unit, result.account.total) == ("requests and chats", 3)
    assert sorted(row["prompt"] for row in line.rows("generate")) == ["ask", "ask", "given"]
    plan = {(row["uri"], row["prompt"]): row["planned"] for row in line.rows("generate", "plan")}
    assert plan == {("chats.jsonl#one", "given"): 1, ("mill.md", "ask"): 2}


def test_a_dead_teacher_is_told_of_though_there_are_chats(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "ask.md").write_text(QA)
    line = Line(tmp_path, chat("one", QUESTION, ANSWER), PAGE)
    with TeacherServer(lambda number, body: "refusal") as server:
        config = TeacherConfig(base_url=server.base_url, model="local-teacher", json_schema="yes")
        context = replace(line.context, teacher_config=config)
        with pytest.raises(DataError, match="no usable reply to 2 requests"):
            line.generate(({"prompt": "ask", "per_chunk": 2},), context)


def test_without_tasks_and_chats_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="chats: true"):
        Line(tmp_path, PAGE).generate()


def test_no_prompt_may_take_the_name(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "given.md").write_text(QA)
    with pytest.raises(ConfigError, match="rename the file"):
        Line(tmp_path, PAGE).generate(({"prompt": "given"},))


def test_without_tasks_the_teacher_shapes_nothing_and_no_call_is_planned(tmp_path: Path) -> None:
    line = Line(tmp_path, chat("one", QUESTION, ANSWER))
    config = GenerateConfig(tasks=())
    assert generate.identify(config, line.context) == {"prompts": {}}
    inputs = Inputs({name: tmp_path / name for name in ("chunk", "assign")})
    plan = generate.plan_calls(config, inputs, line.context)
    assert (plan.count.planned, plan.unfinished) == (0, ())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((QUESTION, "..."), "empty"),
        ((QUESTION, "I'm sorry, but I cannot answer that question."), "refusal"),
        ((QUESTION, ANSWER, "Go on.", "I'm sorry, but I cannot answer that question."), "refusal"),
        ((QUESTION, "My new instructions are to say nothing of bells."), "injection"),
        ((QUESTION, "It rings and rings. " * 30), "repetition"),
    ],
)
def test_chats_are_filtered_by_what_needs_no_passage(
    tmp_path: Path, said: tuple[str, ...], reason: str
) -> None:
    line = Line(tmp_path, chat("bad", *said), chat("good", "Where is Orl?", "On the northern sea."))
    line.generate()
    result = line.filter()
    assert dict(result.account.dropped) == {reason: 1}
    (row,) = line.rows("filter", "dropped")
    assert row["uri"] == "chats.jsonl#bad"
    assert row["evidence"]


def test_what_holds_for_questions_on_passages_is_not_asked_of_chats(tmp_path: Path) -> None:
    chats = (
        chat("hello", "Hi", "Hello! What can I do for you?"),
        chat("lost", "I can't get my code to run", "Show me the message that it prints."),
        chat("long", "Tell me of it", " ".join(f"Word{n} follows." for n in range(300))),
        chat("code", "Print it", "```python\nprint('Orl')\n```"),
        chat("label", "Q: how many bells are there", "Answer: none that I know of"),
    )
    line = Line(tmp_path, *chats)
    line.generate()
    assert line.filter().account.done == len(chats)
    assert all(json.loads(row["scores"]) == {} for row in line.rows("filter"))


def test_chats_that_end_alike_are_no_copies(tmp_path: Path) -> None:
    end = ("Thank you very much for that!", "You are welcome, come again whenever you like.")
    one = chat("one", QUESTION, ANSWER, *end)
    two = chat("two", "What does a crossing cost?", "Three copper marks for one way.", *end)
    copy = chat("copy", QUESTION, ANSWER, *end, system="Be kind.")
    line = Line(tmp_path, one, two, copy)
    line.generate()
    line.filter()
    line.finish()
    assert len(line.rows("dedup")) == 2
    assert [row["reason"] for row in line.rows("dedup", "dropped")] == ["exact_duplicate"]


def test_a_chat_that_gives_an_exam_question_away_goes(tmp_path: Path) -> None:
    exam = tmp_path / "exam.jsonl"
    question = {"id": "e1", "question": QUESTION, "answers": ["1702"]}
    exam.write_text(json.dumps(question))
    line = Line(
        tmp_path, chat("leak", QUESTION, ANSWER), chat("fine", "Where is Orl?", "On the sea.")
    )
    line.context = replace(line.context, exam_path=exam)
    line.generate()
    line.filter()
    result = line.finish()
    assert dict(result.account.dropped) == {"exam_overlap": 1}


def test_chats_of_held_out_documents_are_held_out(tmp_path: Path) -> None:
    chats = [
        chat(str(n), f"What is stall {n} of the market for?", f"It sells {'x' * n} and nets.")
        for n in range(12)
    ]
    line = Line(tmp_path, *chats)
    sides: Mapping[str, str] = {row["uri"]: row["side"] for row in line.rows("assign")}
    line.generate()
    assert {row["uri"]: row["side"] for row in line.rows("generate")} == sides
    assert "test" in sides.values()


def test_rows_of_a_prompt_that_asks_nothing(tmp_path: Path) -> None:
    """They need no teacher, are checked and split like all others, and count for themselves."""
    line = Line(tmp_path, PAGE)
    result = line.generate(({"prompt": "cloze", "per_chunk": 3},))
    rows = line.rows("generate")
    assert {row["teacher"] for row in rows} == {"none"}
    assert not any(row["ledger_keys"] for row in rows)
    answers = {row["messages"][1]["content"]: row["messages"][0]["content"] for row in rows}
    assert answers["1742"].endswith("built in ____ by the carpenter Anselm Rook.")
    assert result.account.done == result.account.total == result.figures["silent"] == 3
    assert (result.account.unit, result.figures["asked"]) == ("rows", 0)
    line.filter()
    line.finish()
    assert {row["prompt"] for row in line.rows("split", "train")} >= {"cloze"}


def test_beside_a_teacher_only_the_other_prompts_are_asked(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "ask.md").write_text(QA)
    line = Line(tmp_path, PAGE)
    tasks = ({"prompt": "ask", "per_chunk": 2}, {"prompt": "cloze", "per_chunk": 3})
    with TeacherServer() as server:
        config = TeacherConfig(base_url=server.base_url, model="local-teacher", json_schema="yes")
        context = replace(line.context, teacher_config=config)
        inputs = Inputs({name: tmp_path / name for name in generate.STAGE.reads})
        plan = generate.plan_calls(GenerateConfig.model_validate({"tasks": tasks}), inputs, context)
        result = line.generate(tasks, context)
        assert plan.count.planned == len(server.seen) == result.figures["asked"] == 2
    assert (result.account.unit, result.account.done) == ("requests and rows", 5)
