"""The judge stage against a real local teacher: what is asked, what goes, what is chosen."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domainforge.deduplicate.best import rank_row
from domainforge.errors import BudgetError, TeacherError
from domainforge.judging.config import JudgeConfig
from domainforge.judging.record import judge_key, write_calibration
from domainforge.run_folder import Inputs, Output, read_table
from domainforge.stage import StageResult
from domainforge.stages import judge as stage
from domainforge.tables import CHUNK_SCHEMA, EXAMPLE_SCHEMA, content_hash, ordered_table
from domainforge.teacher.config import TeacherConfig
from tests.judging.rows import ANSWER, PASSAGE, make_row
from tests.stages.runs import make_context
from tests.support.teacher_server import TeacherServer

MADE_UP = "She carries 90 passengers and a circus."
BELL = "How often is the bell rung?"


class Bench:
    """A stage's inputs on disk, and runs of it."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        self.folder, self.rows, self.runs = folder, rows, 0
        chunk = {"id": "c0", "document_id": "d", "uri": "light.md", "title": "Ferries"}
        place = {"headings": [], "index": 0, "start": 0, "end": len(PASSAGE), "tokens": 30}
        chunks = [{**chunk, **place, "text": PASSAGE, "context": "", "messages": []}]
        for name, found, schema in (
            ("chunk", chunks, CHUNK_SCHEMA),
            ("dedup", rows, EXAMPLE_SCHEMA),
        ):
            (folder / name).mkdir(parents=True)
            Output(folder / name).write(ordered_table(found, schema))
        self.inputs = Inputs({name: folder / name for name in ("chunk", "dedup")})
        self.events: list[Any] = []

    def context(self, server: TeacherServer | None, **teacher: Any) -> Any:
        context = make_context(self.folder, events=self.events)
        if server is None:
            return context
        values = {"base_url": server.base_url, "model": "local-teacher", "json_schema": "yes"}
        config = TeacherConfig(**{**values, "same_as": "one", "max_retries": 0, **teacher})
        return replace(context, teacher_config=config, run_name="run")

    def run(self, server: TeacherServer | None, teacher: Any = None, **settings: Any) -> "Judged":
        self.runs += 1
        out = Output(self.folder / f"out-{self.runs}")
        out.folder.mkdir()
        config = JudgeConfig(**settings)
        result = stage.run(config, self.inputs, out, self.context(server, **(teacher or {})))
        assert result.account.balances
        assert result.account.total == len(self.rows)
        return Judged(out, result)


class Judged:
    """What a run of the stage wrote."""

    def __init__(self, out: Output, result: StageResult) -> None:
        self.out, self.result = out, result
        self.kept = {row["id"]: row for row in out.read().to_pylist()}
        self.dropped = {row["id"]: row for row in out.read("dropped").to_pylist()}

    def scores(self, row_id: str) -> dict[str, float]:
        row = self.kept.get(row_id) or self.dropped[row_id]
        return dict(json.loads(row["scores"]))

    @property
    def hashes(self) -> list[str]:
        return [content_hash(read_table(self.out.folder, name)) for name in ("", "dropped")]


def test_without_a_config_nobody_is_asked_and_the_best_of_each_cluster_stays(
    tmp_path: Path,
) -> None:
    rows = [
        make_row(id="a", cluster="k", scores={"support": 0.7}),
        make_row(id="b", cluster="k", scores={"support": 0.9}),
        make_row(id="c", cluster="k", side="test", scores={"support": 0.1}),
        make_row(id="d"),
    ]
    found = Bench(tmp_path, rows).run(None)
    assert sorted(found.kept) == ["b", "c", "d"], "one of each side"
    assert found.dropped["a"]["reason"] == "not_best_of_cluster"
    expected = "b is the better one of its cluster: support 0.9, here 0.7"
    assert found.dropped["a"]["evidence"] == expected
    assert found.result.figures == {}
    assert not (found.out.folder / "verdicts").exists()


def test_scores_stay_on_the_row_and_the_low_ones_go(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [make_row(id="good"), make_row(id="bad", answer=MADE_UP)])
    with TeacherServer() as server:
        scored = bench.run(server, prompt="judge")
        assert sorted(scored.kept) == ["bad", "good"], "min_score is off"
        assert scored.scores("good")["judge"] == scored.scores("good")["judge_clear"] == 5
        found = bench.run(server, prompt="judge", min_score=3)
        assert len(server.seen) == 2, "the second run replays"
    assert list(found.kept) == ["good"]
    assert found.dropped["bad"]["reason"] == "judged_low"
    assert found.dropped["bad"]["evidence"] == "1 of the judge: It is made up."
    assert found.scores("bad")["judge"] == 1
    figures = found.result.figures
    assert (figures["asked"], figures["replayed"], figures["asked_about"]) == (0, 2, 2)
    (note,) = found.result.notes
    assert "nobody has compared with a person" in note
    sent = json.dumps(server.seen[0].body["messages"])
    assert PASSAGE in sent, "the judge sees the passage"


def test_a_judge_found_no_better_than_chance_is_told_of(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [make_row(id="good")])
    with TeacherServer() as server:
        figures = bench.run(server, prompt="judge").result.figures
        known = {"labels": 40, "kappa": 0.1, "low": -0.2, "high": 0.4, "usable": False}
        write_calibration(tmp_path, judge_key(figures), known)
        (note,) = bench.run(server, prompt="judge", min_score=3).result.notes
        assert "no better than chance over 40 labels (kappa 0.1, 95 % -0.2 to 0.4)" in note
        write_calibration(tmp_path, judge_key(figures), {**known, "usable": True})
        assert bench.run(server, prompt="judge", min_score=3).result.notes == ()


def test_the_best_of_a_cluster_is_chosen_after_judging(tmp_path: Path) -> None:
    """The one with the better support is judged low, so the other one of its cluster stays."""
    rows = [
        make_row(id="bad", answer=MADE_UP, cluster="k", scores={"support": 0.99}),
        make_row(id="good", cluster="k", scores={"support": 0.7}),
        make_row(id="alone", answer=MADE_UP, cluster="z"),
    ]
    bench = Bench(tmp_path, rows)
    with TeacherServer() as server:
        found = bench.run(server, prompt="judge")
        assert found.dropped["bad"]["reason"] == "not_best_of_cluster"
        assert found.dropped["bad"]["evidence"].endswith("judge 5, here 1")
        dropping = bench.run(server, prompt="judge", min_score=3)
    assert list(dropping.kept) == ["good"]
    assert {row["reason"] for row in dropping.dropped.values()} == {"judged_low"}


def test_what_is_asked_again_must_agree(tmp_path: Path) -> None:
    rows = [make_row(id="good"), make_row(id="off", answer="She carries 90 passengers.")]
    rows.append(
        make_row(id="said", question="When was the Sablewren launched?", answer="On 21 June 1958.")
    )
    with TeacherServer() as server:
        found = Bench(tmp_path, rows).run(server, round_trip=True)
    assert sorted(found.kept) == ["good", "said"]
    assert found.scores("good") == {"round_trip": 0.5}, "the sentence says more"
    assert found.dropped["off"]["reason"] == "round_trip"
    evidence = found.dropped["off"]["evidence"]
    assert "'She carries 90 passengers.'" in evidence
    assert "asked again: 'She carries 74 passengers" in evidence


def test_what_is_known_without_the_document_goes_or_is_scored(tmp_path: Path) -> None:
    rows = [make_row(id="known", answer="74 passengers."), make_row(id="own", question=BELL)]

    def knows(number: int, body: dict[str, Any]) -> str | None:
        return "known" if "Sablewren" in body["messages"][-1]["content"] else None

    bench = Bench(tmp_path, rows)
    with TeacherServer(faults=knows, extra={"known": answer_of('{"answer": "74"}')}) as server:
        scored = bench.run(server, needs_document="score")
        dropping = bench.run(server, needs_document="drop")
        assert all(PASSAGE not in json.dumps(seen.body) for seen in server.seen)
    assert scored.scores("known") == {"known_without_document": 1}
    assert scored.scores("own") == {"known_without_document": 0}
    assert dropping.dropped["known"]["reason"] == "known_without_document"
    assert dropping.dropped["known"]["evidence"].endswith("without the passage: '74'")
    assert list(dropping.kept) == ["own"]


def test_a_row_that_goes_is_asked_no_further(tmp_path: Path) -> None:
    rows = [make_row(id="bad", answer=MADE_UP), make_row(id="good")]
    every = {"prompt": "judge", "min_score": 3, "round_trip": True, "needs_document": "drop"}
    bench = Bench(tmp_path, rows)
    with TeacherServer() as server:
        before = stage.plan_calls(JudgeConfig(**every), bench.inputs, bench.context(server))
        bench.run(server, **every)
        assert len(server.seen) == 1 + 3
        after = stage.plan_calls(JudgeConfig(**every), bench.inputs, bench.context(server))
    assert (before.planned, before.in_ledger, before.to_ask) == (6, 0, 6), "at most"
    assert (after.planned, after.in_ledger, after.to_ask) == (4, 4, 0)


def test_pairs_are_asked_in_both_orders_and_the_position_is_counted(tmp_path: Path) -> None:
    pair = {"kind": "preference"}
    rows = [
        make_row(id="right", rejected=MADE_UP, **pair),
        make_row(id="wrong", answer="No circus is aboard.", rejected=ANSWER, **pair),
        make_row(id="alike", rejected="She has an amber funnel", **pair),
    ]
    with TeacherServer() as server:
        found = Bench(tmp_path, rows).run(server, prompt="judge", min_score=1)
    assert [found.scores(name)["judge_pair"] for name in ("right", "wrong", "alike")] == [1, 0, 0.5]
    assert found.dropped["wrong"]["reason"] == "judged_low"
    assert "the rejected answer is better in both orders" in found.dropped["wrong"]["evidence"]
    figures = found.result.figures
    told = [figures[name] for name in ("pairs", "pairs_by_position", "pairs_for_chosen")]
    assert told == [3, 1, 1]


@pytest.mark.parametrize("becomes", ["keep", "drop"])
def test_a_judge_that_can_not_be_read_is_told_and_the_row_accounted(
    tmp_path: Path, becomes: str
) -> None:
    bench = Bench(tmp_path, [make_row(id="one"), make_row(id="two", question=BELL)])

    def rambles(number: int, body: dict[str, Any]) -> str | None:
        return "prose" if "bell" in body["messages"][1]["content"] else None

    with TeacherServer(faults=rambles) as server:
        found = bench.run(server, prompt="judge", unjudged=becomes)
        assert len(server.seen) == 3, "asked once more, as other replies are"
    assert found.result.figures["unreadable"] == {"rubric": 1}
    note = next(note for note in found.result.notes if "could not be read" in note)
    assert ("stay without a score" if becomes == "keep" else "dropped as unjudged") in note
    if becomes == "keep":
        assert found.scores("two") == {}
        return
    assert found.dropped["two"]["reason"] == "unjudged"
    assert found.dropped["two"]["evidence"].startswith("rubric: not JSON")


def test_a_request_that_fails_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [make_row(id=name) for name in ("one", "two")])
    with TeacherServer(faults=["500", None]) as server:
        first = bench.run(server, {"concurrency": 1}, prompt="judge")
        assert any("--from judge" in note for note in first.result.notes)
        again = bench.run(server, prompt="judge")
    assert sum("judge" in first.scores(name) for name in ("one", "two")) == 0
    assert again.scores("one")["judge"] == 5, "one request serves both: they say the same"
    assert len(server.seen) == 2


def test_a_cap_holds_and_what_was_paid_is_not_asked_again(tmp_path: Path) -> None:
    rows = [make_row(id=f"{n}", question=f"{BELL[:-1]} on day {n}?") for n in range(6)]
    bench = Bench(tmp_path, rows)
    with TeacherServer() as server:
        capped = {"budget": {"max_tokens": 4000}, "concurrency": 1}
        with pytest.raises(BudgetError, match=r"of 6 rows are judged"):
            bench.run(server, capped, prompt="judge")
        paid = len(server.seen)
        assert 0 < paid < 6
        done = bench.run(server, prompt="judge")
        assert (len(server.seen), server.repeats) == (6, 0)
    assert done.result.figures["replayed"] == paid


def test_a_judge_of_its_own_is_asked_under_the_budget_of_the_teacher(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [make_row(id="one")])
    with TeacherServer(models=("judge-model",)) as other, TeacherServer() as writer:
        own = {"base_url": other.base_url, "model": "judge-model", "json_schema": "yes"}
        config = JudgeConfig(prompt="judge", teacher=TeacherConfig(**own))
        context = bench.context(writer, budget={"max_tokens": 100})
        assert stage.judge_teacher(config, context).budget.max_tokens == 100
        first = stage.identify(config, context)
        assert stage.identify(JudgeConfig(prompt="judge"), context) != first
        out = Output(tmp_path / "out")
        out.folder.mkdir()
        with pytest.raises(BudgetError):
            stage.run(config, bench.inputs, out, context)
        assert (len(other.seen), len(writer.seen)) == (0, 0)
        found = stage.run(config, bench.inputs, out, bench.context(writer))
        assert (len(other.seen), len(writer.seen)) == (1, 0)
    assert found.figures["teacher"].endswith("|judge-model")


def test_what_is_wrong_with_a_judge_of_its_own_names_its_keys(tmp_path: Path) -> None:
    bench, out = Bench(tmp_path, [make_row(id="one")]), Output(tmp_path / "out")
    out.folder.mkdir()
    with TeacherServer(models=("another",)) as server:
        own = TeacherConfig(base_url=server.base_url, model="wrong", json_schema="yes")
        config = JudgeConfig(prompt="judge", teacher=own)
        with pytest.raises(TeacherError, match=r"check judge\.teacher\.model, and that judge\.t"):
            stage.run(config, bench.inputs, out, bench.context(server))
        with pytest.raises(TeacherError, match=r"check teacher\.model, and that teacher\.base"):
            bench.run(server, prompt="judge")


def test_an_edited_rubric_asks_again_and_is_another_fingerprint(tmp_path: Path) -> None:
    from domainforge.files import shipped_folder

    bench = Bench(tmp_path, [make_row(id="one")])
    config = JudgeConfig(prompt="judge")
    with TeacherServer() as server:
        bench.run(server, prompt="judge")
        before = stage.identify(config, bench.context(server))
        (tmp_path / "prompts").mkdir()
        text = (shipped_folder("prompts") / "judge.md").read_text()
        (tmp_path / "prompts" / "judge.md").write_text(text.replace("strict and fair", "stern"))
        assert stage.identify(config, bench.context(server)) != before
        bench.run(server, prompt="judge")
        assert len(server.seen) == 2
    assert stage.identify(JudgeConfig(), bench.context(server)) == {}


def test_the_order_of_replies_changes_nothing(tmp_path: Path) -> None:
    random = Random(3)
    rows = [
        make_row(
            id=f"{random.getrandbits(64):016x}",
            question=f"Question {n}?",
            answer=random.choice([ANSWER, MADE_UP, f"Number {n}."]),
            cluster=f"k{random.randrange(6)}",
            side=random.choice(["train", "test"]),
            rejected=random.choice([None, MADE_UP]),
        )
        for n in range(50)
    ]
    settings = {"prompt": "judge", "min_score": 3, "needs_document": "score"}
    with TeacherServer() as server:
        one = Bench(tmp_path / "a", rows).run(server, {"concurrency": 1}, **settings)
        many = Bench(tmp_path / "b", rows[::-1]).run(server, {"concurrency": 16}, **settings)
    assert one.hashes == many.hashes
    reasons = {row["reason"] for row in one.dropped.values()}
    assert reasons == {"judged_low", "not_best_of_cluster"}
    groups = Counter((row["cluster"], row["side"]) for row in one.kept.values())
    assert max(groups.values()) == 1
    for row in one.dropped.values():
        if row["reason"] == "not_best_of_cluster":
            rival = next(
                other
                for other in one.kept.values()
                if (other["cluster"], other["side"]) == (row["cluster"], row["side"])
            )
            assert rank_row(rival) < rank_row(row)
            assert rival["id"] in row["evidence"]


def answer_of(text: str) -> Any:
    """Return an endpoint's answer that says a text."""
    from tests.support.teacher_faults import Answer

    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    body = {
        "id": "x",
        "object": "chat.completion",
        "choices": [{**choice, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return Answer(body=json.dumps(body).encode())


def test_rows_that_nobody_is_asked_about_stay_and_are_told(tmp_path: Path) -> None:
    rows = [make_row(id="gap", teacher="none"), make_row(id="chat", basis="free")]
    with TeacherServer() as server:
        found = Bench(tmp_path, rows).run(server, prompt="judge", min_score=3, unjudged="drop")
        assert server.seen == []
    assert sorted(found.kept) == ["chat", "gap"]
    assert found.result.notes[0].startswith("2 rows were not judged: made without a teacher")
    assert found.out.tables["verdicts"]["rows"] == 0
