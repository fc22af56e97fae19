from domainforge.generation.subjects import Chunk
from domainforge.generation.term_weights import TermWeights
from domainforge.generation.topics import CHUNKS_PER_TOPIC, find_topics
from tests.generation.prompts import make_chunk

LAMP = "The keeper trims the lamp with oil {} and the lamp burns."
BREAD = "Bakers knead the dough {} for dark bread and more bread."


def make_chunks(number: int) -> list[Chunk]:
    texts = [
        (LAMP, BREAD)[n % 2].format("abcdefghijklmnopqrstuvwxyz"[n] * 4) for n in range(number)
    ]
    return [make_chunk(t, id=f"c{n}", tokens=10, headings=[]) for n, t in enumerate(texts)]


def test_topics_are_found_and_named_by_their_words() -> None:
    chunks = make_chunks(2 * CHUNKS_PER_TOPIC)
    subjects = find_topics(chunks, TermWeights(chunks), 9999)
    names = [subject.values["topic"] for subject in subjects]
    assert [name.split(", ")[0] for name in names] == ["lamp", "bread"]
    lit = {int(chunk["id"][1:]) % 2 for chunk in subjects[0].chunks}
    assert lit == {0}
    again = find_topics(chunks, TermWeights(chunks), 9999)
    assert again == subjects


def test_as_many_passages_as_fit() -> None:
    chunks = make_chunks(8)
    (subject,) = find_topics(chunks, TermWeights(chunks), 35)
    assert len(subject.chunks) == 3


def test_named_topics_have_their_nearest_passages_or_are_left_out() -> None:
    chunks = make_chunks(6)
    named = ("Baking bread", "The stars", "lamps")
    subjects = find_topics(chunks, TermWeights(chunks), 15, named)
    assert [s.values["topic"] for s in subjects] == ["Baking bread", "lamps"]
    assert "bread" in subjects[0].text
    assert "lamp" in subjects[1].text


def test_without_words_there_is_no_topic() -> None:
    chunks = [make_chunk("and of the", headings=[])]
    assert find_topics(chunks, TermWeights(chunks), 99) == []
