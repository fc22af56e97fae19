import itertools
from pathlib import Path

import pytest

from domainforge.errors import DataError, PromptError
from domainforge.generation.given_chats import SEEDS
from domainforge.generation.requests import make_request, template_values
from domainforge.generation.subjects import Chunk
from domainforge.generation.tasks import TaskConfig, tell_idle_tasks
from domainforge.generation.units import Task, Unit, plan_units
from domainforge.prompts import PromptFile
from tests.generation.prompts import fence, make_chunk, make_prompt

PROMPT = """---
version: 1
purpose: Of several passages.
over: OVER
MORE
reply: {text: str}
example: {kind: text, text: "{{ text }}"}
---
<!-- user -->
{{ fenced(chunks) }}
BODY
"""
TEXTS = (
    "The keeper Maud Tarrant trims the lamp at Veltren with oil.",
    "Oil for the lamp of Maud Tarrant comes from the town of Veltren.",
    "In winter Maud Tarrant counts the oil barrels for the lamp of Veltren.",
    "Everyone in the town of Veltren knows the lamp that Maud Tarrant trims.",
)


def prompt_over(folder: Path, over: str, body: str = "", more: str = "") -> PromptFile:
    basis = "basis: free" if over == "example" else ""
    text = PROMPT.replace("OVER", over).replace("BODY", body)
    return make_prompt(folder, text.replace("MORE", f"{basis}\n{more}".strip()), over)


def passages() -> list[Chunk]:
    return [
        make_chunk(text, id=f"c{n}", document_id=f"d{n // 2}", uri=f"{n // 2}.md")
        for n, text in enumerate(TEXTS)
    ]


def chats(number: int) -> list[Chunk]:
    return [
        make_chunk(
            f"chat {n}",
            id=f"chat{n}",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"Question {n}?"},
                {"role": "assistant", "content": f"Answer {n}."},
                {"role": "user", "content": "And then?"},
                {"role": "assistant", "content": "Nothing."},
            ],
        )
        for n in range(number)
    ]


def plan(
    prompt: PromptFile, chunks: list[Chunk], samples: int = 1, sides: dict[str, str] | None = None
) -> list[Unit]:
    return list(plan_units(chunks, [Task(prompt, samples)], "chat", sides))


@pytest.mark.parametrize(
    ("over", "number"),
    [("document", 2), ("section", 2), ("pair", 2), ("entity", 2), ("entity_pair", 2), ("topic", 1)],
)
def test_all_chunks_of_a_unit_are_of_one_side(tmp_path: Path, over: str, number: int) -> None:
    prompt = prompt_over(tmp_path, over)
    chunks = passages()
    sides = {"c0": "train", "c1": "test", "c2": "train", "c3": "test"}
    units = plan(prompt, chunks, 2, sides)
    assert units
    assert all(len({sides[chunk["id"]] for chunk in unit.chunks}) == 1 for unit in units)
    assert {sides[unit.chunk["id"]] for unit in units} == {"train", "test"}
    together = plan(prompt, chunks, 1)
    assert max(len(unit.chunks) for unit in together) >= number


def test_lineage_names_all_passages(tmp_path: Path) -> None:
    (unit, *_) = plan(prompt_over(tmp_path, "document"), passages())
    lineage = unit.lineage()
    assert lineage["chunk_id"] == "c0"
    assert lineage["also"] == ({"document_id": "d0", "uri": "0.md", "chunk_id": "c1"},)


def test_samples_repeat_what_is_asked_and_of_pairs_there_are_more(tmp_path: Path) -> None:
    entity = plan(prompt_over(tmp_path, "entity", "{{ entity }}"), passages(), 2)
    assert [(u.variant["entity"], u.sample) for u in entity[:2]] == [
        ("Maud Tarrant", 0),
        ("Maud Tarrant", 1),
    ]
    pairs = plan(prompt_over(tmp_path, "pair"), passages(), 2)
    assert {unit.sample for unit in pairs} == {0}
    assert len(pairs) > len(plan(prompt_over(tmp_path, "pair"), passages()))
    keys = [(u.chunk["id"], u.index) for u in pairs]
    assert len(set(keys)) == len(keys)


def test_what_a_unit_is_about_is_at_hand(tmp_path: Path) -> None:
    prompt = prompt_over(tmp_path, "entity_pair", "{{ entity }} and {{ other }}")
    (unit, *_) = plan(prompt, passages())
    asked = make_request(unit, "chat", 0, {}, fence).messages[-1]["content"]
    assert "Maud Tarrant and Veltren" in asked or "Veltren and Maud Tarrant" in asked
    topic = prompt_over(tmp_path, "topic", "{{ topic }}", "topics: [barrels of oil, the moon]")
    assert [unit.variant["topic"] for unit in plan(topic, passages())] == ["barrels of oil"]


def test_an_example_is_the_first_exchange_and_seeds_are_others(tmp_path: Path) -> None:
    body = "{{ example.question }}{% for seed in seeds %}{{ seed.question }}{% endfor %}"
    prompt = prompt_over(tmp_path, "example", body)
    units = plan(prompt, [*passages(), *chats(12)], 3)
    assert len(units) == 36
    assert {unit.sample for unit in units} == {0, 1, 2}
    assert units[0].variant["example"] == {"question": "Question 0?", "answer": "Answer 0."}
    drawn = [tuple(chunk["id"] for chunk in unit.also) for unit in units]
    assert {len({chunk["id"] for chunk in unit.chunks}) for unit in units} == {SEEDS + 1}
    assert len({frozenset(seeds) for seeds in drawn[:3]}) > 1, "other seeds for each sample"
    more = plan(prompt, [*passages(), *chats(13)], 3)
    same = [tuple(c["id"] for c in unit.also) for unit in more[:36]]
    kept = [one == other for one, other in zip(drawn, same, strict=True)]
    assert kept.count(True) > 18, "one more chat changes few draws"


def test_seeds_that_are_not_read_are_in_no_lineage(tmp_path: Path) -> None:
    prompt = prompt_over(tmp_path, "example", "{{ example.answer }}")
    assert all(unit.also == () for unit in plan(prompt, chats(4)))
    alone = plan(prompt_over(tmp_path, "example", "{{ seeds }}"), chats(1))
    assert template_values(alone[0], {}, fence)["seeds"] == []


def test_seeds_are_of_the_own_side(tmp_path: Path) -> None:
    prompt = prompt_over(tmp_path, "example", "{{ seeds }}")
    sides = {f"chat{n}": ("train", "test")[n % 2] for n in range(6)}
    for unit in plan(prompt, chats(6), 1, sides):
        assert {sides[chunk["id"]] for chunk in unit.chunks} == {sides[unit.chunk["id"]]}
        assert len(unit.also) == 2


def test_chats_are_asked_about_by_no_other_prompt(tmp_path: Path) -> None:
    for over in ("chunk", "document", "topic"):
        chunks = [*passages(), *chats(3)]
        units = plan(prompt_over(tmp_path, over), chunks)
        assert not any(chunk.get("messages") for unit in units for chunk in unit.chunks)


@pytest.mark.parametrize(
    ("over", "chunks", "message"),
    [
        ("example", passages(), r"example goes over chats .* set `chats: true` on a source"),
        ("pair", [*passages()[:1], *chats(2)], r"pair goes over pairs .* smaller chunk.max_tokens"),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, over: str, chunks: list[Chunk], message: str
) -> None:
    prompt = prompt_over(tmp_path, over)
    units = plan(prompt, chunks)
    assert units == []
    with pytest.raises(DataError, match=message):
        tell_idle_tasks([TaskConfig(prompt=over)], units, lambda name: prompt)


def test_a_task_that_finds_nothing_is_told(tmp_path: Path) -> None:
    prompt = prompt_over(tmp_path, "entity_pair")
    tasks = [TaskConfig(prompt="entity_pair")]
    (note,) = tell_idle_tasks(tasks, plan(prompt, chats(2)), lambda name: prompt)
    assert note.startswith("entity_pair asks nothing: no entity pair was found")
    assert tell_idle_tasks(tasks, plan(prompt, passages()), lambda name: prompt) == []


@pytest.mark.parametrize(
    ("over", "more", "message"),
    [
        ("chunk", "most_tokens: 100", "most_tokens: only a prompt over one of document, section"),
        ("entity", "topics: [a]", "topics: only a prompt with `over: topic`"),
        ("topic", "topics: [a, a]", "name each topic once"),
        ("document", "most_tokens: 0", "write a number of at least 1"),
        ("entity", "attributes: {entity: [a]}", "'entity' is the name of something else"),
        ("paragraph", "", "write 'chunk', 'sentence'"),
    ],
)
def test_headers_that_nothing_would_read(
    tmp_path: Path, over: str, more: str, message: str
) -> None:
    with pytest.raises(PromptError, match=message):
        prompt_over(tmp_path, over, more=more)


def test_an_example_stands_on_no_passage(tmp_path: Path) -> None:
    text = PROMPT.replace("OVER", "example").replace("MORE", "").replace("BODY", "")
    with pytest.raises(PromptError, match="write `basis: free`"):
        make_prompt(tmp_path, text)


def test_documents_elsewhere_leave_windows_and_entities_as_they_were(tmp_path: Path) -> None:
    more = make_chunk("Bakers knead rye at dawn.", id="z", document_id="z", uri="z.md")
    for over, body in itertools.product(("document", "section", "entity"), ("",)):
        prompt = prompt_over(tmp_path, over, body)
        units, longer = plan(prompt, passages()), plan(prompt, [*passages(), more])
        assert longer[: len(units)] == units
