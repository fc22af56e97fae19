from hypothesis import given
from hypothesis import strategies as st

from domainforge.generation.groups import cut_windows, document_windows, section_windows
from domainforge.generation.subjects import Chunk
from tests.generation.prompts import make_chunk


def chunks_of(document: str, *headings: str, tokens: int = 10) -> list[Chunk]:
    return [
        make_chunk(
            id=f"{document}{index}",
            document_id=document,
            uri=document,
            headings=[heading] if heading else [],
            tokens=tokens,
        )
        for index, heading in enumerate(headings)
    ]


def ids(subjects: list) -> list[list[str]]:
    return [[chunk["id"] for chunk in subject.chunks] for subject in subjects]


def one_side(chunks: list[Chunk]) -> dict[str, str]:
    return {chunk["id"]: "train" for chunk in chunks}


def test_a_document_is_one_window_where_it_fits() -> None:
    chunks = [*chunks_of("a", "", "", ""), *chunks_of("b", "")]
    windows = document_windows(chunks, one_side(chunks), 30)
    assert ids(windows) == [["a0", "a1", "a2"], ["b0"]]
    assert windows[0].text == "\n\n".join(chunk["text"] for chunk in chunks[:3])
    assert (windows[0].start, windows[0].end) == (chunks[0]["start"], chunks[0]["end"])


def test_a_long_document_is_cut_evenly_to_its_end() -> None:
    chunks = chunks_of("a", *[""] * 7)
    assert ids(document_windows(chunks, one_side(chunks), 60)) == [
        ["a0", "a1", "a2", "a3"],
        ["a4", "a5", "a6"],
    ]


def test_no_window_has_chunks_of_both_sides() -> None:
    chunks = chunks_of("a", "", "", "", "")
    sides = {"a0": "train", "a1": "test", "a2": "train", "a3": "train"}
    assert ids(document_windows(chunks, sides, 99)) == [["a0"], ["a1"], ["a2", "a3"]]


def test_sections_are_those_of_the_top() -> None:
    chunks = chunks_of("a", "", "One", "One", "Two")
    chunks[2] = {**chunks[2], "headings": ["One", "Deeper"]}
    assert ids(section_windows(chunks, one_side(chunks), 99)) == [["a0"], ["a1", "a2"], ["a3"]]


def test_sections_of_two_documents_are_two() -> None:
    chunks = [*chunks_of("a", "One"), *chunks_of("b", "One")]
    assert ids(section_windows(chunks, one_side(chunks), 99)) == [["a0"], ["b0"]]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 100))
def test_every_chunk_is_in_one_window_and_only_a_chunk_alone_is_too_long(
    sizes: list[int], most: int
) -> None:
    chunks = [make_chunk(id=str(n), tokens=size) for n, size in enumerate(sizes)]
    windows = cut_windows(chunks, most)
    assert [chunk["id"] for window in windows for chunk in window] == [c["id"] for c in chunks]
    assert all(len(w) == 1 or sum(c["tokens"] for c in w) <= most for w in windows)
