# ruff: noqa: RUF001 (letters of other scripts that look like Latin ones)
import pytest

from domainforge.filters.references import find_reference
from tests.filters.passages import VELTREN, find_reason, make_row, make_text

QUESTION = "Who designed the bridge of nine arches?"

POINTING = {
    "en": (
        "As mentioned above, Ilse Varga designed it.",
        "In the given context, Ilse Varga designed it.",
        "The document states that Ilse Varga designed it.",
        "Based on the provided information, Ilse Varga did.",
    ),
    "de": ("Wie oben erwähnt, war es Ilse Varga.", "Der Text besagt, dass es Ilse Varga war."),
    "fr": ("Comme mentionné ci-dessus, Ilse Varga.", "D'après l'extrait, c'est Ilse Varga."),
    "es": ("Como se mencionó anteriormente, Ilse Varga.", "El texto indica que fue Ilse Varga."),
    "it": ("Secondo il testo, è stata Ilse Varga.", "Come menzionato sopra, Ilse Varga."),
    "pt": ("De acordo com o texto, foi Ilse Varga.", "Como mencionado acima, Ilse Varga."),
    "nl": ("Volgens de tekst was het Ilse Varga.", "Zoals hierboven vermeld, Ilse Varga."),
    "pl": ("Zgodnie z tekstem była to Ilse Varga.", "Jak wspomniano powyżej, Ilse Varga."),
    "ru": ("Согласно тексту, это Илзе Варга.", "Как упоминалось выше, Илзе Варга."),
    "zh": ("根据上述文本，设计者是伊尔莎。", "如上所述，设计者是伊尔莎。"),
    "ja": ("本文によると、設計者はイルゼです。", "この文章では、設計者はイルゼです。"),
    "ko": ("본문에 따르면 설계자는 일제입니다.", "위에서 언급한 대로 일제입니다."),
    "tr": ("Metne göre köprüyü Ilse tasarladı.", "Yukarıda belirtildiği gibi, Ilse."),
    "ar": ("وفقا للنص، صممته إلسه.", "كما ذكر أعلاه، صممته إلسه."),
}

PLAIN = (
    "In the context of river trade, the bridge earned its cost in six years.",
    "The tower stands above the bridge and is described in the town's song.",
    "Im Kontext der Hanse war die Brücke ein Umweg.",
    "Dans le contexte du commerce, le pont rapportait peu.",
    "En el contexto de la guerra, el puente fue cerrado.",
    "Nel contesto della guerra il ponte fu chiuso.",
    "No contexto da guerra, a ponte foi fechada.",
    "In de context van de oorlog was de brug dicht.",
    "W kontekście wojny most był zamknięty.",
    "В контексте войны мост был закрыт.",
    "伊尔莎根据河流的宽度设计了九个拱。",
    "川の幅によると、橋には九つのアーチが要る。",
    "강의 너비에 따르면 아치는 아홉 개입니다.",
    "Nehrin genişliğine göre dokuz kemer gerekir.",
    "صممته وفقا للقانون القديم.",
)


@pytest.mark.parametrize("language", POINTING)
def test_references_to_what_the_reader_does_not_see(language: str) -> None:
    for answer in POINTING[language]:
        assert find_reason(make_row(QUESTION, answer)) == "template_leftover", answer


@pytest.mark.parametrize("answer", PLAIN)
def test_what_only_sounds_alike(answer: str) -> None:
    assert find_reference(make_row(QUESTION, answer), answer) is None


def test_a_passage_that_speaks_of_a_document_may_be_asked_about_it() -> None:
    passage = f"{VELTREN} The document of the guild states who designed the bridge."
    row = make_row("What does the document state?", "The document states who.", passage=passage)
    assert find_reason(row) != "template_leftover"


def test_in_a_conversation_above_is_what_was_said() -> None:
    answer = "As mentioned above, Ilse Varga designed it."
    assert find_reference(make_row(QUESTION, answer, said_before="Who was it?"), answer) is None


def test_a_text_may_speak_of_itself() -> None:
    manual = "This document describes how the ferry is moored. Later, as mentioned above, it rests."
    assert find_reference(make_text(manual), manual) is not None
    opening = "This document describes how the ferry is moored."
    assert find_reference(make_text(opening), opening) is None


def test_who_declines_may_name_the_documents() -> None:
    row = make_row(QUESTION, "There is nothing about it in the documents.", basis="absent")
    assert find_reference(row, row.answer) is None
