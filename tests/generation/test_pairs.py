import time

import pytest

from domainforge.generation.links import Links
from domainforge.generation.pairs import find_pairs
from domainforge.generation.subjects import Chunk
from domainforge.generation.term_weights import TermWeights
from tests.generation.prompts import make_chunk

LAMP = "The keeper trims the lamp with oil from Veltren every evening of the winter."
OIL = "Oil from Veltren comes in barrels, and the keeper counts them in the evening."
BREAD = "Bakers knead rye dough at dawn, and their bread is dark."
RYE = "Rye dough rests until dawn; bakers say that bread likes patience."
DOCUMENTS = [("docs/a.md", "The lamp"), ("docs/sub/b.md", "Oil"), ("https://x.test/c", "Sea")]


def chunks_of(*texts: str) -> list[Chunk]:
    return [
        make_chunk(text, id=f"c{n}", uri=f"docs/{n}.md", document_id=f"d{n}", headings=[])
        for n, text in enumerate(texts)
    ]


def pairs_of(chunks: list[Chunk], per_chunk: int = 1) -> list[tuple[str, ...]]:
    subjects = find_pairs(chunks, TermWeights(chunks), per_chunk)
    return [tuple(chunk["id"] for chunk in subject.chunks) for subject in subjects]


def test_what_is_near_in_meaning_is_a_pair_once() -> None:
    assert pairs_of(chunks_of(LAMP, BREAD, OIL, RYE)) == [("c0", "c2"), ("c1", "c3")]


def test_copies_and_strangers_are_no_pair() -> None:
    assert pairs_of(chunks_of(LAMP, LAMP)) == []
    assert pairs_of(chunks_of(LAMP, BREAD)) == []
    assert pairs_of(chunks_of("and of the", "to be")) == []


def test_a_larger_number_keeps_the_pairs_that_were_there() -> None:
    chunks = chunks_of(LAMP, BREAD, OIL, RYE, f"{OIL} {LAMP}", f"{BREAD} {OIL}")
    few, more = pairs_of(chunks, 1), pairs_of(chunks, 3)
    assert more[: len(few)] == few
    assert len({frozenset(pair) for pair in more}) == len(more) > len(few)


def test_a_link_comes_before_what_is_near() -> None:
    chunks = chunks_of(f"{LAMP} See [the bakers](1.md#top).", BREAD, OIL)
    assert pairs_of(chunks)[0] == ("c0", "c1")


def test_texts_without_spaces_are_near_by_their_characters() -> None:
    chunks = chunks_of("织女住在天河的东边。", "面包师傅很早起床。", "天河东边的织女每天织布。")
    assert pairs_of(chunks) == [("c0", "c2")]


@pytest.mark.parametrize(
    ("text", "uri", "found"),
    [
        ("[x](sub/b.md)", "docs/a.md", ["docs/sub/b.md"]),
        ("[x](<sub/b.md> 'title') [y](sub/b)", "docs/a.md", ["docs/sub/b.md"]),
        ("[up](../a.md?x=1#part)", "docs/sub/b.md", ["docs/a.md"]),
        ("[[b]] and [[The Lamp|it]]", "elsewhere.md", ["docs/sub/b.md", "docs/a.md"]),
        ("[x](c) [x](https://x.test/c/#y)", "https://x.test/d", ["https://x.test/c"]),
        ("![picture](a.md) [me](#here) [no](gone.md) [z](http://[)", "docs/z.md", []),
        ("[self](a.md) [[a]]", "docs/a.md", []),
    ],
)
def test_links_that_lead_to_another_document(text: str, uri: str, found: list[str]) -> None:
    assert Links(DOCUMENTS).of(uri, text) == found


def test_a_name_of_two_documents_leads_nowhere() -> None:
    assert Links([("x/a.md", "One"), ("y/a.md", "Two")]).of("z.md", "[[a]] [[Two]]") == ["y/a.md"]


def test_hostile_brackets_take_no_time() -> None:
    begin = time.perf_counter()
    for part in ("[", "[[", "[a](", "[a]( ", "[[a", "](", "!["):
        Links(DOCUMENTS).of("docs/a.md", part * 50_000)
    assert time.perf_counter() - begin < 5
