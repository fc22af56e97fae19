from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from domainforge.generation.units import Task, passages, plan_units
from tests.generation.prompts import CHAIN, TEXT, make_chunk, make_prompt, units_of


def said(text: str) -> list[str]:
    return [text[start:end] for start, end in passages(text)]


def test_a_sentence_is_a_passage_and_short_ones_are_none() -> None:
    assert said("The mill stands by the river. Look up! The miller keeps two horses.") == [
        "The mill stands by the river.",
        "The miller keeps two horses.",
    ]
    assert said("Only three words.") == []


def test_a_sentence_that_leans_back_brings_the_one_before() -> None:
    assert said("Maud keeps the lamp. She lights it every evening. The oil is dear now.") == [
        "Maud keeps the lamp.",
        "Maud keeps the lamp. She lights it every evening.",
        "The oil is dear now.",
    ]


def test_it_leans_on_a_short_sentence_too_and_on_nothing_at_the_start() -> None:
    assert said("Maud came. She lit the big lamp.") == ["Maud came. She lit the big lamp."]
    assert said("It burned down twice in winter.") == ["It burned down twice in winter."]
    assert said("The Theatre opens at nine. Italy is very far away.") == [
        "The Theatre opens at nine.",
        "Italy is very far away.",
    ]


@given(st.lists(st.sampled_from([*TEXT.split(), "It", "She.", "Dr.", "end!", "\n\n"]), max_size=40))
def test_passages_are_spans_of_the_text_in_order(words: list[str]) -> None:
    text = " ".join(words)
    spans = passages(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert [end for _, end in spans] == sorted({end for _, end in spans})


def test_units_over_chunks_are_the_whole_chunk(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path), samples=3)
    assert [(unit.sample, unit.index) for unit in units] == [(0, 0), (1, 0), (2, 0)]
    assert {(unit.start, unit.end) for unit in units} == {(100, 100 + len(TEXT))}
    assert {unit.text for unit in units} == {TEXT}


def test_units_over_sentences_have_exact_spans(tmp_path: Path) -> None:
    document = "x" * 100 + TEXT
    units = units_of(make_prompt(tmp_path), samples=1, form="completion")
    assert [unit.index for unit in units] == [0, 1]
    assert [document[unit.start : unit.end] for unit in units] == [unit.text for unit in units]
    assert units[0].text == "The mill at Harrow Bend was built in 1742."


def test_samples_take_the_variants_that_fit_once_each(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path), samples=5, form="completion")
    assert [(unit.index, unit.sample, unit.variant["start"]) for unit in units] == [
        (0, 0, " Who"),
        (0, 1, " When"),
        (1, 0, " Who"),
    ]


def test_a_prompt_without_a_completion_is_put_as_a_chat(tmp_path: Path) -> None:
    units = units_of(make_prompt(tmp_path, CHAIN), samples=2, form="completion")
    assert [unit.text for unit in units] == [TEXT, TEXT]


def test_a_chat_can_go_over_sentences(tmp_path: Path) -> None:
    text = CHAIN.replace("reply:", "over: sentence\nreply:")
    units = units_of(make_prompt(tmp_path, text), samples=1)
    assert units[0].text == "The mill at Harrow Bend was built in 1742."


def test_the_order_is_that_of_chunks_and_tasks(tmp_path: Path) -> None:
    chunks = [make_chunk(id=name) for name in "ab"]
    tasks = [Task(make_prompt(tmp_path, name=name), 2) for name in ("one", "two")]
    units = plan_units(chunks, tasks, "chat")
    assert [(u.chunk["id"], u.prompt.name, u.sample) for u in units] == [
        (chunk, prompt, sample) for chunk in "ab" for prompt in ("one", "two") for sample in (0, 1)
    ]
