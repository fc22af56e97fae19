import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domainforge.context import Context
from domainforge.errors import ConfigError, DataError, PromptError, TeacherError
from domainforge.generation.tasks import TaskConfig
from domainforge.records import Chunk
from domainforge.run_folder import Inputs, Output, folder_hash
from domainforge.stage import StageResult
from domainforge.stages import generate
from domainforge.stages.assign import SIDES_SCHEMA
from domainforge.stages.generate import GenerateConfig, identify, plan_calls
from domainforge.tables import ordered_table
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.ledger import Ledger
from tests.generation.prompts import CHAIN, MANY, QA
from tests.support.tables import chunk_table
from tests.support.teacher_server import TeacherServer

SENTENCES = (
    "The mill at Harrow Bend was built in 1742 by the carpenter Anselm Rook.",
    "Every Friday the bakers of Lund Square sell a dark loaf called brennick.",
)
# What the endpoint does, and what becomes of a request that it does it to every time.
FATES = {
    None: "done",
    "429": "http_429",
    "429_retry_after": "http_429",
    "500": "http_500",
    "503": "http_503",
    "timeout": "timeout",
    "drop": "connection",
    "truncated": "connection",
    "broken_json": "broken_json",
    "empty_body": "broken_json",
    "html": "html",
    "error_body": "error_body",
    "400": "http_400",
    "cut_off": "cut_off",
    "refusal": "refused",
    "null_content": "empty",
    "empty": "empty",
    "filtered": "filtered",
    "no_message": "malformed",
    "null_choices": "malformed",
    "tool_calls": "malformed",
    "wrong_schema": "off_schema",
    "prose": "off_schema",
}


class Room:
    """A project with chunks and sides, in which `generate` can run again and again."""

    def __init__(self, folder: Path, chunks: int = 3) -> None:
        self.project = folder
        rows = [self._chunk(number) for number in range(chunks)]
        Output(folder / "chunks").write(chunk_table(rows))
        sides = [
            {"id": row.id, "document_id": "d", "uri": row.uri, "unit": "d", "side": "train"}
            for row in rows
        ]
        Output(folder / "sides").write(ordered_table(sides, SIDES_SCHEMA))
        self.inputs = Inputs({"chunk": folder / "chunks", "assign": folder / "sides"})
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        (folder / "prompts").mkdir()
        self.prompt("ask", QA)

    def _chunk(self, number: int) -> Chunk:
        text = " ".join(f"{sentence[:-1]} of house {number}." for sentence in SENTENCES)
        uri = f"house-{number}.md"
        return Chunk("d", uri, "Houses", (), 0, number, number + len(text), text, 40)

    def prompt(self, name: str, text: str) -> None:
        (self.project / "prompts" / f"{name}.md").write_text(text)

    def context(self, server: TeacherServer, **settings: Any) -> Context:
        defaults: dict[str, Any] = {
            "base_url": server.base_url,
            "model": "local-teacher",
            "same_as": "one",
            "json_schema": "yes",
            "max_retries": 0,
            "timeout_seconds": 20,
            "stop_after_failures": 1000,
        }
        return Context(
            seed=7,
            project=self.project,
            sources=(),
            teacher_config=TeacherConfig(**{**defaults, **settings}),
            student="embedded",
            exam_path=None,
            emit=lambda kind, fields: self.events.append((kind, fields)),
        )

    def run(
        self, server: TeacherServer, name: str = "out", per_chunk: int = 4, **settings: Any
    ) -> tuple[StageResult, Output]:
        tasks = settings.pop("tasks", [{"prompt": "ask", "per_chunk": per_chunk}])
        novelty, rounds = settings.pop("novelty", None), settings.pop("rounds", 1)
        output = Output(self.project / name)
        config = GenerateConfig.model_validate(
            {"tasks": tasks, "novelty": novelty, "rounds": rounds}
        )
        result = generate.run(config, self.inputs, output, self.context(server, **settings))
        return result, output


def sticky(kinds: list[str | None], first: int = 4) -> Callable[[int, dict[str, Any]], str | None]:
    """A plan that leaves the first bodies alone and gives each later one a fault for good."""
    fates: dict[str, str | None] = {}

    def plan(number: int, body: dict[str, Any]) -> str | None:
        name = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        if name not in fates:
            later = len(fates) - first
            fates[name] = kinds[later % len(kinds)] if later >= 0 else None
        return fates[name]

    return plan


def is_second(body: dict[str, Any]) -> bool:
    """Tell whether a request has a reply in it, to be repaired or continued."""
    return any(message["role"] == "assistant" for message in body["messages"])


def is_repair(body: dict[str, Any]) -> bool:
    return "That reply can't be used" in body["messages"][-1]["content"]


def test_every_fault_is_counted_and_none_becomes_a_row(tmp_path: Path) -> None:
    room = Room(tmp_path, chunks=4)
    kinds = list(FATES)
    stick = sticky(kinds)

    def plan(number: int, body: dict[str, Any]) -> str | None:
        return "prose" if is_second(body) else stick(number, body)

    requests = 4 + 2 * len(kinds)
    per_chunk = -(-requests // 4)
    with TeacherServer(plan, retry_after="0") as server:
        result, output = room.run(
            server, per_chunk=per_chunk, concurrency=4, timeout_seconds=0.4, max_retries=1
        )
        asked = {seen.sha256: seen for seen in server.seen if not is_second(seen.body)}
        met = Counter(FATES[seen.fault] for seen in asked.values())
    account = result.account
    assert account.balances
    assert account.total == sum(met.values()) == 4 * per_chunk
    assert account.not_reached == 0
    assert set(met) == set(FATES.values())
    failed = {kind for kind in met if kind.startswith("http_")} | {
        "timeout",
        "connection",
        "broken_json",
        "html",
        "error_body",
    }
    assert dict(account.failed) == {kind: met[kind] for kind in failed}
    assert dict(account.dropped) == {
        kind: count for kind, count in met.items() if kind not in failed and kind != "done"
    }
    assert account.done == met["done"]
    rows = output.read().to_pylist()
    assert len(rows) == met["done"]
    assert all(row["reason"] is None and row["messages"] for row in rows)
    dropped = output.read("dropped").to_pylist()
    assert Counter(row["reason"] for row in dropped) == account.dropped
    assert all(row["evidence"] and not row["messages"] for row in dropped)
    lost = output.read("failed").to_pylist()
    assert Counter(row["reason"].removeprefix("failed_") for row in lost) == account.failed
    assert result.figures["repair_failed"] == met["off_schema"] > 0
    assert result.figures["continue_failed"] == met["cut_off"] > 0
    for row in [*rows, *dropped, *lost]:
        assert len(row["ledger_keys"]) == (2 if row["reason"] in ("off_schema", "cut_off") else 1)
    assert any("run again with --from generate" in note for note in result.notes)


@pytest.mark.slow
def test_faults_that_pass_leave_no_trace_in_the_rows(tmp_path: Path) -> None:
    def now_and_then(number: int, body: dict[str, Any]) -> str | None:
        return [None, "429_retry_after", None, "500", None, "drop"][number % 6]

    results = []
    for name, plan in (("clean", None), ("faulty", now_and_then)):
        (tmp_path / name).mkdir()
        room = Room(tmp_path / name)
        if name == "faulty":
            shutil.copy(tmp_path / "secret.sqlite", room.project / "ledger.sqlite")
        else:
            Ledger(tmp_path / "secret.sqlite").close()
            shutil.copy(tmp_path / "secret.sqlite", room.project / "ledger.sqlite")
        with TeacherServer(plan, retry_after="0") as server:
            result, output = room.run(server, max_retries=6)
        assert result.account.done == 12
        results.append(folder_hash(output))
    assert results[0] == results[1]


def test_the_order_of_replies_and_concurrency_leave_no_trace(tmp_path: Path) -> None:
    Ledger(tmp_path / "secret.sqlite").close()
    hashes = set()
    for name, concurrency in (("one", 1), ("sixteen", 16), ("again", 16)):
        (tmp_path / name).mkdir()
        room = Room(tmp_path / name)
        shutil.copy(tmp_path / "secret.sqlite", room.project / "ledger.sqlite")
        chance = Random(name)

        class Slow(TeacherServer):
            def enter(self, change: int, chance: Random = chance) -> None:
                super().enter(change)
                self.delay_seconds = chance.uniform(0, 0.03)

        with Slow() as server:
            _, output = room.run(server, per_chunk=8, concurrency=concurrency)
            assert (server.most_at_once > 1) == (concurrency > 1)
        hashes.add(folder_hash(output))
    assert len(hashes) == 1


def test_replaying_asks_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        first, output = room.run(server, json_schema="auto")
        asked = len(server.seen)
        assert asked == 12 + 1  # and one probe for JSON schemas
        again, second = room.run(server, "again", json_schema="auto")
        assert len(server.seen) == asked
    assert folder_hash(second) == folder_hash(output)
    assert (first.figures["asked"], first.figures["replayed"]) == (12, 0)
    assert (again.figures["asked"], again.figures["replayed"]) == (0, 12)
    # With the endpoint gone, what is paid for is still there.
    gone, third = room.run(server, "third", json_schema="auto")
    assert (gone.figures["replayed"], folder_hash(third)) == (12, folder_hash(output))


def test_more_samples_ask_only_for_those(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        room.run(server, per_chunk=2)
        result, _ = room.run(server, "more", per_chunk=5)
        assert len(server.seen) == 15
    assert (result.figures["asked"], result.figures["replayed"]) == (9, 6)


def test_editing_one_prompt_asks_again_only_for_that_task(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("other", QA.replace("You write questions.", "You write hard questions."))
    tasks = [{"prompt": "ask", "per_chunk": 2}, {"prompt": "other", "per_chunk": 2}]
    config = GenerateConfig.model_validate({"tasks": tasks})
    with TeacherServer() as server:
        room.run(server, tasks=tasks)
        before = identify(config, room.context(server))
        assert len(server.seen) == 12
        room.prompt("other", QA.replace("You write questions.", "You write easy questions."))
        result, _ = room.run(server, "again", tasks=tasks)
        assert len(server.seen) == 18
        asked = [seen.body["messages"][0]["content"] for seen in server.seen[12:]]
        after = identify(config, room.context(server))
    assert set(asked) == {"You write easy questions."}
    assert (result.figures["asked"], result.figures["replayed"]) == (6, 6)
    assert before["prompts"]["ask"] == after["prompts"]["ask"]
    assert before["prompts"]["other"] != after["prompts"]["other"]


def test_a_chain_asks_its_steps_in_order_and_keeps_all_keys(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("chain", CHAIN)
    with TeacherServer() as server:
        result, output = room.run(server, tasks=[{"prompt": "chain", "per_chunk": 2}])
        firsts = [s for s in server.seen if "Name one fact." in str(s.body["messages"])]
        lasts = [s for s in server.seen if "Ask about this fact: " in str(s.body["messages"])]
    assert (len(firsts), len(lasts)) == (6, 6)
    assert result.account.total == result.account.done == 6
    assert all("response_format" not in seen.body for seen in firsts)
    assert all("response_format" in seen.body for seen in lasts)
    facts = [s.body["messages"][1]["content"].split("fact: ")[1].split("\n")[0] for s in lasts]
    assert all(any(sentence[:20] in fact for sentence in SENTENCES) for fact in facts)
    rows = output.read().to_pylist()
    assert all(len(set(row["ledger_keys"])) == 2 for row in rows)
    assert result.figures["asked"] == 12


def test_a_chain_ends_where_a_step_is_no_use(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("chain", CHAIN)
    refused: list[int] = []

    def plan(number: int, body: dict[str, Any]) -> str | None:
        if "Name one fact." in str(body) and "house 1" in str(body):
            refused.append(number)
            return "refusal"
        return None

    with TeacherServer(plan) as server:
        result, output = room.run(server, tasks=[{"prompt": "chain", "per_chunk": 2}])
        assert len(server.seen) == 6 + 4
    assert len(refused) == 2
    assert (result.account.done, dict(result.account.dropped)) == (4, {"refused": 2})
    assert result.account.balances
    assert all(len(row["ledger_keys"]) == 1 for row in output.read("dropped").to_pylist())


def test_the_plan_counts_every_request_before_it_is_asked(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        config = GenerateConfig.model_validate({"tasks": [{"prompt": "ask", "per_chunk": 4}]})
        before = plan_calls(config, room.inputs, room.context(server)).count
        assert not server.seen
        _, output = room.run(server, per_chunk=4)
        after = plan_calls(config, room.inputs, room.context(server)).count
    assert (before.planned, before.in_ledger, before.to_ask) == (12, 0, 12)
    assert (after.planned, after.in_ledger, after.to_ask) == (12, 12, 0)
    plan = output.read("plan").to_pylist()
    assert [row["planned"] for row in plan] == [4, 4, 4]
    assert {row["uri"] for row in plan} == {f"house-{number}.md" for number in range(3)}


FATAL = {
    "401": "refused the request with 401",
    "403": "refused the request with 403",
    "402": "quota",
    "insufficient_quota": "quota",
    "404_model": "check teacher.model",
}


@pytest.mark.parametrize("kind", list(FATAL))
def test_what_no_retry_can_mend_stops_at_once_with_advice(tmp_path: Path, kind: str) -> None:
    room = Room(tmp_path)

    def plan(number: int, body: dict[str, Any]) -> str | None:
        return None if number < 3 else kind

    with TeacherServer(plan) as server:
        with pytest.raises(TeacherError, match=FATAL[kind]):
            room.run(server, per_chunk=20, concurrency=2, max_retries=5)
        assert len(server.seen) <= 3 + 2 + 2
        server.faults = None
        result, _ = room.run(server, "again", per_chunk=20, concurrency=2)
    assert result.account.done == 60
    assert result.figures["replayed"] >= 3


def test_progress_is_told_for_each_request(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer(["cut_off"]) as server:
        room.run(server)
    told = [fields for kind, fields in room.events if kind == "progress"]
    assert [fields["done"] for fields in told] == list(range(1, 13))
    assert (told[-1]["total"], told[-1]["kept"]) == (12, 11)
    assert told[-1]["tokens"] > 0


def test_progress_tells_what_is_spent_and_where_that_leads(tmp_path: Path) -> None:
    room = Room(tmp_path)
    money: dict[str, Any] = {
        "price": {"input_usd_per_million": 10, "output_usd_per_million": 100},
        "budget": {"max_usd": 5},
    }
    with TeacherServer() as server:
        result, _ = room.run(server, **money)
    figures = result.figures
    usd = (figures["prompt_tokens"] * 10 + figures["completion_tokens"] * 100) / 1e6
    assert figures["usd"] == pytest.approx(usd)
    assert figures["price"] == "$10 in, $100 out per million tokens (the pipeline file)"
    told = [fields for kind, fields in room.events if kind == "progress"]
    spent = [fields["usd"] for fields in told]
    assert spent == sorted(spent)
    assert spent[-1] == told[-1]["usd_projected"] == pytest.approx(usd)
    assert all(fields["max_usd"] == 5 for fields in told)
    assert 0.5 * usd < told[2]["usd_projected"] < 2 * usd


def test_what_costs_nothing_tells_no_money(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        result, _ = room.run(server)
    assert result.figures["usd"] == 0
    assert not any("usd" in name for kind, fields in room.events for name in fields)


def test_a_chain_is_followed_through_the_ledger(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("chain", CHAIN)
    config = GenerateConfig.model_validate({"tasks": [{"prompt": "chain", "per_chunk": 2}]})

    def plan(number: int, body: dict[str, Any]) -> str | None:
        if "Name one fact." in str(body):
            return "refusal" if "house 1" in str(body) else None
        return "500" if "house 2" in str(body) else None

    with TeacherServer(plan) as server:
        room.run(server, tasks=[{"prompt": "chain", "per_chunk": 2}])
        found = plan_calls(config, room.inputs, room.context(server))
    # House 0 is whole, house 1 ended at its first step, house 2 lacks its second.
    assert (found.count.planned, found.count.in_ledger, found.count.to_ask) == (12, 8, 2)
    assert {unit.chunk["uri"] for unit in found.unfinished} == {"house-2.md"}


def test_no_usable_reply_at_all_is_an_error_with_an_example(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with (
        TeacherServer(lambda number, body: "prose") as server,
        pytest.raises(DataError, match=r"to 12 requests \(off_schema 12\); the first: .*not JSON"),
    ):
        room.run(server)


def test_a_task_that_is_there_twice(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with (
        TeacherServer() as server,
        pytest.raises(ConfigError, match=r"generate\.tasks: ask is there twice"),
    ):
        room.run(server, tasks=[{"prompt": "ask"}, {"prompt": "ask"}])


def test_nothing_to_ask_about(tmp_path: Path) -> None:
    room = Room(tmp_path)
    chunk = Chunk("d", "x.md", "X", (), 0, 0, 8, "Two bits", 2)
    side = {"id": chunk.id, "document_id": "d", "uri": "x.md", "unit": "d", "side": "train"}
    Output(tmp_path / "chunks").write(chunk_table([chunk]))
    Output(tmp_path / "sides").write(ordered_table([side], SIDES_SCHEMA))
    config = GenerateConfig.model_validate({"tasks": [{"prompt": "ask"}]})
    with TeacherServer() as server:
        with pytest.raises(DataError, match="nothing to ask about"):
            room.run(server, form="completion")
        with pytest.raises(DataError, match="nothing to ask about"):
            plan_calls(config, room.inputs, room.context(server, form="completion"))


def test_an_unknown_name_in_a_prompt_stops_before_anything_is_asked(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("ask", QA.replace("{{ sample + 1 }}", "{{ smaple }}"))
    with TeacherServer() as server:
        with pytest.raises(PromptError, match=r"ask\.md:22: 'smaple' is undefined"):
            room.run(server)
        assert not server.seen


def test_the_completion_form_goes_sentence_by_sentence(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        result, output = room.run(server, form="completion", per_chunk=1)
        assert {seen.path for seen in server.seen} == {"/v1/completions"}
    assert result.account.total == 6
    rows = output.read().to_pylist()
    chunks = {row["id"]: row for row in room.inputs.table("chunk").to_pylist()}
    for row in rows:
        chunk = chunks[row["chunk_id"]]
        span = chunk["text"][row["start"] - chunk["start"] : row["end"] - chunk["start"]]
        assert json.loads(row["fields"])["quote"] == span


def test_a_reply_of_many_items_is_one_request_and_many_rows(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("many", MANY)
    with TeacherServer() as server:
        tasks = [{"prompt": "many", "per_chunk": 2}, {"prompt": "ask"}]
        result, out = room.run(server, tasks=tasks)
        requests = len(server.seen)
    rows = out.read().to_pylist()
    many = [row for row in rows if row["prompt"] == "many"]
    assert requests == result.account.total == result.account.done == 9
    assert result.account.balances
    assert result.figures["rows"] == len(rows) > 9
    assert len({row["id"] for row in rows}) == len(rows)
    assert Counter(row["item"] for row in many)[0] == 6
    assert all(row["item"] == 0 for row in rows if row["prompt"] == "ask")
    told = [fields for kind, fields in room.events if kind == "progress"]
    assert (told[-1]["done"], told[-1]["kept"]) == (9, 9)


def test_rows_carry_what_was_drawn_for_them(tmp_path: Path) -> None:
    room = Room(tmp_path)
    header = "temperature: 0.5\nattributes: {audience: [children, experts]}"
    room.prompt(
        "ask", QA.replace("temperature: 0.5", header).replace("Question n", "{{ audience }} n")
    )
    with TeacherServer() as server:
        _, out = room.run(server)
        share = {"audience": {"experts": 1}}
        tasks = [{"prompt": "ask", "per_chunk": 4, "attributes": share}]
        before = len(server.seen)
        _, only = room.run(server, "only", tasks=tasks)
        asked_again = len(server.seen) - before
        with pytest.raises(
            ConfigError, match="'tone' is none of the prompt file's; it has audience"
        ):
            room.run(server, "bad", tasks=[{"prompt": "ask", "attributes": {"tone": ["dry"]}}])
    drawn = Counter(json.loads(row["attributes"])["audience"] for row in out.read().to_pylist())
    assert drawn == {"children": 6, "experts": 6}
    assert {row["attributes"] for row in only.read().to_pylist()} == {'{"audience":"experts"}'}
    assert asked_again == 6, "what was asked for experts before comes from the ledger"


def test_a_passage_with_nothing_new_is_left_and_accounted_for(tmp_path: Path) -> None:
    room = Room(tmp_path)
    novelty = {"wave": 2, "stop_share": 0.2, "near_jaccard": 0.2}
    with TeacherServer() as server:
        result, output = room.run(server, per_chunk=12, novelty=novelty)
        seen = len(server.seen)
        _, same = room.run(server, "again", per_chunk=12, novelty=novelty, concurrency=1)
        assert len(server.seen) == seen
    stopped = result.account.dropped["repeating"]
    assert stopped > 0
    assert any(f"as repeating: {stopped} requests at" in note for note in result.notes)
    assert (seen, result.account.done) == (36 - stopped, 36 - stopped)
    assert folder_hash(output) == folder_hash(same)
    rows = output.read("dropped").to_pylist()
    assert len(rows) == stopped
    assert all("near-duplicates" in row["evidence"] for row in rows)
    assert sum(row["planned"] for row in output.read("plan").to_pylist()) == 36 - stopped


def test_later_rounds_ask_about_what_has_no_row(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("ask", QA.replace("Question number", "{% if focus %}Look: {{ focus }}{% endif %}"))
    with TeacherServer() as server:
        one, _ = room.run(server, per_chunk=1)
        first = len(server.seen)
        result, output = room.run(server, "rounds", per_chunk=1, rounds=2)
        later = server.seen[first:]
        room.run(server, "again", per_chunk=1, rounds=2)
        assert len(server.seen) == first + len(later)
    second = result.figures["rounds"][1]
    assert (one.account.total, result.account.total) == (3, 3 + len(later))
    assert 0 < len(later) == second["requests"] <= 3
    assert "Look: " not in str(server.seen[0].body)
    assert all(re.search("Look: (The mill|Every Friday).* of house", str(s.body)) for s in later)
    planned = output.read("round-2").to_pylist()
    assert sum(row["planned"] for row in planned) == second["requests"]


def test_rounds_end_where_everything_has_a_row(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        result, _ = room.run(server, per_chunk=12, rounds=9)
    assert len(result.figures["rounds"]) < 9
    assert any("nothing is left" in str(fields) for _, fields in room.events)


def test_the_plan_knows_what_novelty_left_out(tmp_path: Path) -> None:
    room = Room(tmp_path)
    novelty = {"wave": 2, "stop_share": 0.2, "near_jaccard": 0.2}
    tasks = [{"prompt": "ask", "per_chunk": 12}]
    config = GenerateConfig.model_validate({"tasks": tasks, "novelty": novelty})
    with TeacherServer() as server:
        context = room.context(server)
        before = plan_calls(config, room.inputs, context)
        assert (before.count.planned, before.count.to_ask) == (36, 36)
        result, _ = room.run(server, per_chunk=12, novelty=novelty)
        after = plan_calls(config, room.inputs, context)
    assert after.count.planned == after.count.in_ledger == result.account.done < 36
    assert (after.count.to_ask, after.unfinished) == (0, ())


def test_the_run_keeps_the_text_of_its_prompts(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        _, output = room.run(server, per_chunk=1)
    (kept,) = output.read("prompts").to_pylist()
    assert (kept["name"], kept["text"]) == ("ask", QA)
    assert {row["prompt_hash"] for row in output.read().to_pylist()} == {kept["id"]}


def test_a_recipe_that_asks_nobody_is_told_all_the_same(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        context = room.context(server, form="completion")
        config = GenerateConfig(recipe="cheap", tasks=None)
        result = generate.run(config, room.inputs, Output(tmp_path / "out"), context)
        assert not server.seen
    assert result.figures["recipe"]["name"] == "cheap"
    assert result.figures["recipe"]["tasks"]["cloze"] >= 1


def test_a_task_beside_a_recipe(tmp_path: Path) -> None:
    room = Room(tmp_path)
    config = GenerateConfig.model_validate({"recipe": "cheap", "tasks": [{"prompt": "ask"}]})
    output = Output(tmp_path / "both")
    with TeacherServer() as server:
        context = room.context(server)
        planned = plan_calls(config, room.inputs, context)
        result = generate.run(config, room.inputs, output, context)
    prompts = {row["prompt"] for row in output.read("plan").to_pylist()}
    assert {"ask", "rephrase", "qa"} <= prompts
    assert planned.count.to_ask == len(server.seen) == 15
    assert result.account.balances
    assert planned.besides == ("Besides, and not counted in this: ask 1",)
    said = [fields["text"] for kind, fields in room.events if kind == "note"]
    assert any("Besides, and not counted in this: ask 1" in text for text in said)
    own = config.model_copy(update={"tasks": (TaskConfig(prompt="qa", per_chunk=9),)})
    recipe = plan_calls(own, room.inputs, context).recipe
    assert recipe is not None
    assert "qa" not in [task.prompt for task in recipe.tasks]
