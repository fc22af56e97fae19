from collections import Counter

from domainforge.generation.entities import find_entities, find_entity_pairs
from domainforge.generation.subjects import Chunk, Subject
from tests.generation.prompts import make_chunk


def make_chunks(*documents: str) -> list[Chunk]:
    return [
        make_chunk(id=f"c{n}", document_id=document, tokens=10)
        for n, document in enumerate(documents)
    ]


def shown(subjects: list[Subject]) -> list[tuple[str, str, list[str]]]:
    return [
        (s.values["entity"], s.values.get("other", ""), [chunk["id"] for chunk in s.chunks])
        for s in subjects
    ]


def test_an_entity_has_the_passages_that_name_it_most() -> None:
    names = {"Orla": Counter({0: 1, 1: 3, 2: 1}), "Veltren": Counter({2: 2})}
    found = shown(find_entities(make_chunks("a", "a", "b"), names, 20))
    assert found == [("Orla", "", ["c1", "c0"]), ("Veltren", "", ["c2"])]


def test_a_pair_meets_in_a_document_and_begins_where_both_stand() -> None:
    names = {
        "Orla": Counter({0: 3, 1: 1, 2: 1}),
        "Veltren": Counter({1: 1}),
        "Elsewhere": Counter({2: 2}),
    }
    found = shown(find_entity_pairs(make_chunks("a", "a", "b"), names, 1, 99))
    assert found == [("Orla", "Veltren", ["c1", "c0"]), ("Orla", "Elsewhere", ["c2"])]


def test_names_that_share_no_passage_still_meet() -> None:
    names = {"Orla": Counter({0: 1}), "Veltren": Counter({1: 1})}
    found = shown(find_entity_pairs(make_chunks("a", "a"), names, 1, 99))
    assert found == [("Orla", "Veltren", ["c0", "c1"])]


def test_no_passage_begins_more_pairs_than_asked_for_and_more_keep_the_first() -> None:
    names = {name: Counter({0: 1, 1: 1}) for name in ("Ann", "Ben", "Cid", "Dot")}
    chunks = make_chunks("a", "a")
    one, two = (find_entity_pairs(chunks, names, most, 99) for most in (1, 2))
    assert [s.chunks[0]["id"] for s in one] == ["c0", "c1"]
    assert shown(two)[:2] == shown(one)
    assert Counter(s.chunks[0]["id"] for s in two) == {"c0": 2, "c1": 2}
    pairs = [frozenset(s.values.values()) for s in two]
    assert len(set(pairs)) == 4
    assert frozenset().union(*pairs[:3]) == set(names), "every name has its turn"
