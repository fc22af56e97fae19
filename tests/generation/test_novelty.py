from itertools import permutations
from pathlib import Path

import pytest

from domainforge.generation.novelty import NoveltyConfig, Waves
from domainforge.generation.units import Unit
from domainforge.records import Example
from tests.generation.prompts import make_chunk, make_prompt, units_of

NEW = (
    "Who built the mill at Harrow Bend?",
    "How many horses does the miller keep?",
    "When did it burn for the second time?",
    "Where does the path behind the house lead?",
    "Which river drives the wheel in spring?",
    "Why was the old barn taken down?",
    "What do the bakers pay for a sack?",
    "Whose name stands above the door?",
)


def rows_of(unit: Unit, question: str, reason: str | None = None) -> list[Example]:
    messages = ({"role": "user", "content": question}, {"role": "assistant", "content": "Rook."})
    lineage = {**unit.lineage(), "teacher": "t"}
    return [Example(kind="chat", messages=messages, reason=reason, **lineage)]


def harvest(units: list[Unit], config: NoveltyConfig | None, said: dict[int, str]) -> Waves:
    """Ask everything that is handed out; a sample in `said` says that, another something new."""
    waves = Waves(units, config)
    queue = list(waves.first())
    while queue:
        unit = queue.pop(0)
        queue += waves.after(unit, rows_of(unit, said.get(unit.sample, NEW[unit.sample])))
    return waves


def test_a_passage_that_gives_nothing_new_is_not_asked_again(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path), samples=8)
    config = NoveltyConfig(wave=2)
    waves = harvest(units, config, dict.fromkeys(range(8), NEW[0]))
    # The second row already says what the first did: half of a wave, and not enough to stop.
    assert [unit.sample for unit, _ in waves.stopped] == [4, 5, 6, 7]
    assert waves.stopped[0][1].startswith("2 of the last 2 rows")


def test_what_is_new_is_asked_to_the_end(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path), samples=8)
    assert harvest(units, NoveltyConfig(wave=2), {}).stopped == []


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path), samples=8)
    waves = harvest(units, None, dict.fromkeys(range(8), NEW[0]))
    assert waves.stopped == []
    assert list(Waves(units, None).first()) == units


@pytest.mark.parametrize(("share", "stopped"), [(0.5, 4), (0.6, 0)])
def test_the_share_of_a_wave_decides(tmp_path: Path, share: float, stopped: int) -> None:
    units = units_of(make_prompt(tmp_path), samples=8)
    waves = harvest(units, NoveltyConfig(wave=4, stop_share=share), {2: NEW[0], 3: NEW[1]})
    assert len(waves.stopped) == stopped


def test_the_order_of_replies_changes_nothing(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path), samples=8)
    found = set()
    for order in permutations(range(4)):
        waves = Waves(units, NoveltyConfig(wave=4, stop_share=0.5))
        first = list(waves.first())
        more = [waves.after(first[at], rows_of(first[at], NEW[at // 2])) for at in order]
        assert [batch for batch in more[:-1] if batch] == []
        found.add(tuple(unit.sample for unit, _ in waves.stopped))
    assert found == {(4, 5, 6, 7)}


def test_rows_that_were_dropped_say_nothing(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path), samples=4)
    waves = Waves(units, NoveltyConfig(wave=2))
    first = list(waves.first())
    assert waves.after(first[0], rows_of(first[0], NEW[0], "cut_off")) == []
    assert waves.after(first[1], rows_of(first[1], NEW[0], "cut_off")) == units[2:]


def test_each_passage_is_judged_by_itself(tmp_path: Path) -> None:
    prompt = make_prompt(tmp_path)
    other = make_chunk(id="chunk-2", uri="barn.md")
    units = [*units_of(prompt, 4), *units_of(prompt, 4, chunk=other)]
    waves = Waves(units, NoveltyConfig(wave=2, stop_share=0.5))
    for unit in list(waves.first()):
        dull = unit.chunk["id"] == "chunk-1"
        waves.after(unit, rows_of(unit, NEW[0] if dull else NEW[unit.sample]))
    assert {unit.chunk["id"] for unit, _ in waves.stopped} == {"chunk-1"}


def test_what_was_said_before_is_remembered(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path), samples=6)
    config = NoveltyConfig(wave=2, stop_share=1.0)
    before = harvest(units[:2], config, {})
    waves = Waves(units[2:], config, before.said)
    for unit in list(waves.first()):
        waves.after(unit, rows_of(unit, NEW[unit.sample - 2]))
    assert [unit.sample for unit, _ in waves.stopped] == [4, 5]
