from collections.abc import Iterable
from pathlib import Path
from typing import Any

from domainforge.generation.coverage import Coverage
from domainforge.generation.novelty import place_of
from domainforge.generation.rounds import plan_round
from domainforge.generation.units import Unit
from tests.generation.prompts import QA, TEXT, make_chunk, make_prompt, units_of
from tests.generation.test_coverage import FIRST, LAST, row

FOCUSED = QA.replace(
    "Question number", "{% if focus %}About: {{ fenced(focus) }}{% endif %}\nQuestion number"
)
OTHER = make_chunk("The bakers of Lund sell a dark loaf.", id="chunk-2", uri="bakers.md")


class Planner:
    """Two passages, of which rows may cover parts."""

    def __init__(self, folder: Path, text: str = FOCUSED) -> None:
        self.prompt = make_prompt(folder, text)
        self.coverage = Coverage([make_chunk(), OTHER])

    def every(self, times: int) -> Iterable[Unit]:
        return [
            unit
            for chunk in (make_chunk(), OTHER)
            for unit in units_of(self.prompt, times, chunk=chunk)
        ]

    def plan(self, number: int = 2, most: int = 9, **covered: Any) -> list[Unit]:
        asked = {(place_of(unit), unit.sample) for unit in self.every(number - 1)}
        return list(plan_round(number, self.every, asked, self.coverage, most).units)


def test_what_was_asked_is_not_asked_again(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    assert [unit.sample for unit in planner.plan()] == [1, 1]
    assert [unit.sample for unit in planner.plan(3)] == [2, 2]


def test_passages_that_are_covered_are_left_out(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    planner.coverage.add([row(fields={"quote": quote}) for quote in (FIRST, LAST)])
    assert [unit.chunk["id"] for unit in planner.plan()] == ["chunk-2"]


def test_what_is_least_covered_comes_first(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    planner.coverage.add([row(fields={"quote": FIRST})])
    assert [unit.chunk["id"] for unit in planner.plan()] == ["chunk-2", "chunk-1"]
    assert [unit.chunk["id"] for unit in planner.plan(most=1)] == ["chunk-2"]


def test_each_sample_is_pointed_at_another_open_sentence(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    asked = {(place_of(unit), unit.sample) for unit in planner.every(1)}
    plan = plan_round(3, planner.every, asked, planner.coverage, 9)
    assert [u.focus for u in plan.units if u.chunk["id"] == "chunk-1"] == [FIRST, LAST]
    assert plan.open_sentences == 3


def test_a_prompt_that_reads_no_focus_gets_none(tmp_path: Path) -> None:
    assert {unit.focus for unit in Planner(tmp_path, QA).plan()} == {""}


def test_nothing_is_left_where_all_is_covered(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    planner.coverage.add([row(fields={"quote": quote}) for quote in (FIRST, LAST)])
    planner.coverage.add([row(chunk_id="chunk-2", fields={"quote": OTHER["text"]})])
    assert planner.plan() == []


def test_a_round_has_a_fingerprint_of_what_is_asked(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    asked = {(place_of(unit), unit.sample) for unit in planner.every(1)}
    one = plan_round(2, planner.every, asked, planner.coverage, 9).fingerprint
    assert one == plan_round(2, planner.every, asked, planner.coverage, 9).fingerprint
    planner.coverage.add([row(fields={"quote": FIRST}, end=100 + len(TEXT))])
    assert one != plan_round(2, planner.every, asked, planner.coverage, 9).fingerprint


def test_a_prompt_whose_rows_decline_covers_nothing_and_is_not_asked_again(tmp_path: Path) -> None:
    planner = Planner(tmp_path, QA.replace("version: 1", "version: 1\nbasis: absent"))
    assert planner.prompt.header.basis == "absent"
    assert planner.plan() == []


def test_a_passage_is_asked_about_once_for_each_open_sentence(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    asked = {(place_of(unit), unit.sample) for unit in planner.every(1)}
    plan = plan_round(9, planner.every, asked, planner.coverage, 99)
    assert [unit.chunk["id"] for unit in plan.units].count("chunk-1") == 2
    assert [unit.chunk["id"] for unit in plan.units].count("chunk-2") == 1
