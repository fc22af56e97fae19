from domainforge.generation.elsewhere import find_elsewhere
from tests.generation.prompts import make_chunk

MILL = make_chunk("The mill at Harrow Bend was built in 1742 by the carpenter Anselm Rook.", 0)
BAKERS = make_chunk(
    "Every Friday the bakers of Lund Square sell a dark loaf called brennick.",
    0,
    id="chunk-2",
    document_id="doc-2",
    uri="bakers.md",
    title="The bakers",
)


def test_a_passage_meets_sentences_of_other_documents() -> None:
    found = find_elsewhere([MILL, BAKERS], 1)
    assert [turns[0].chunks for turns in found] == [(MILL, BAKERS), (BAKERS, MILL)]
    ((about_mill,), _) = found
    assert "____" in about_mill.values["elsewhere"]
    assert about_mill.values["span"] in BAKERS["text"]
    assert about_mill.text == MILL["text"]


def test_a_sentence_is_asked_of_a_passage_once() -> None:
    assert [len(turns) for turns in find_elsewhere([MILL, BAKERS], 5)] == [1, 1]


def test_what_the_document_says_itself_is_not_asked_of_it() -> None:
    same = {**BAKERS, "text": f"{BAKERS['text']} {MILL['text']}"}
    assert [turns[0].chunks[0]["id"] for turns in find_elsewhere([MILL, same], 1)] == ["chunk-1"]


def test_documents_of_one_title_are_no_others() -> None:
    assert find_elsewhere([MILL, {**BAKERS, "title": MILL["title"]}], 2) == []


def test_one_document_has_no_other() -> None:
    assert find_elsewhere([MILL], 2) == []


def test_the_only_sentence_of_another_document_is_found_from_everywhere() -> None:
    chunks = [
        make_chunk(f"The lamp number {at} was lit in {1000 + at} by Maud Tarrant.", 0, id=f"c{at}")
        for at in range(40)
    ]
    found = find_elsewhere([*chunks[:20], BAKERS, *chunks[20:]], 2)
    assert [len(turns) for turns in found] == [1] * 20 + [2] + [1] * 20
    others = [turns[0].chunks[1]["id"] for turns in found if turns[0].chunks[0]["id"] != "chunk-2"]
    assert others == ["chunk-2"] * 40
