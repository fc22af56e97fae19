# ruff: noqa: RUF001 (letters of other scripts that look like Latin ones)
import pytest

from domainforge.filters.refusals import find_refusal_in
from tests.filters.passages import find_reason, make_row

QUESTION = "Who designed the bridge of nine arches?"

DECLINE = {
    "en": (
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I have no opinion on bridges.",
        "As an AI developed to help people, I would rather not say.",
        "I'm just an AI and have never seen the bridge.",
    ),
    "de": (
        "Als KI-Sprachmodell habe ich dazu keine Meinung.",
        "Ich bin nur eine KI und kenne die Brücke nicht.",
        "Ich weiß es nicht.",
        "Der Text enthält keine Angaben zur Erbauerin.",
        "Leider kann ich diese Frage nicht beantworten.",
    ),
    "fr": (
        "En tant que modèle de langage, je n'ai pas d'avis.",
        "Malheureusement, je ne suis pas en mesure de répondre.",
        "Je ne sais pas.",
        "Le texte ne précise pas qui a conçu le pont.",
    ),
    "es": (
        "Como inteligencia artificial, no tengo opiniones.",
        "Lamentablemente, no puedo responder a esta pregunta.",
        "No lo sé.",
        "El texto no menciona a la ingeniera.",
    ),
    "it": (
        "Mi dispiace, ma non posso rispondere a questa domanda.",
        "Come modello linguistico, non ho opinioni.",
        "Non posso fornire questa informazione.",
        "Il testo non specifica chi ha progettato il ponte.",
        "Non lo so.",
    ),
    "pt": (
        "Desculpe, mas não posso ajudar com isso.",
        "Como uma IA, não tenho opiniões.",
        "Infelizmente, não consigo responder a essa pergunta.",
        "O texto não menciona quem projetou a ponte.",
        "Não sei.",
    ),
    "nl": (
        "Het spijt me, maar ik kan daar niet mee helpen.",
        "Als taalmodel heb ik geen mening over bruggen.",
        "Ik kan deze vraag niet beantwoorden.",
        "De tekst vermeldt niet wie de brug ontwierp.",
        "Dat weet ik niet.",
    ),
    "pl": (
        "Przepraszam, ale nie mogę w tym pomóc.",
        "Jako model językowy nie mam opinii na temat mostów.",
        "Nie mogę odpowiedzieć na to pytanie.",
        "Tekst nie wspomina, kto zaprojektował most.",
        "Nie wiem.",
    ),
    "ru": (
        "Извините, но я не могу с этим помочь.",
        "Как языковая модель, я не имею мнения о мостах.",
        "Я не могу ответить на этот вопрос.",
        "В тексте не указано, кто спроектировал мост.",
        "Не знаю.",
    ),
    "zh": (
        "抱歉，我无法回答这个问题。",
        "对不起，我不能提供这些信息。",
        "作为一个人工智能语言模型，我没有个人观点。",
        "文中没有提到是谁设计了这座桥。",
        "我不知道。",
        "作為一個語言模型，我無法回答。",
    ),
    "ja": (
        "申し訳ありませんが、その質問にはお答えできません。",
        "AIとして、私は個人的な意見を持っていません。",
        "その質問にはお答えできません。",
        "本文には橋の設計者についての記載がありません。",
        "わかりません。",
    ),
    "ko": (
        "죄송합니다만, 그 질문에는 답변할 수 없습니다.",
        "인공지능으로서 저는 개인적인 의견이 없습니다.",
        "해당 질문에는 답변을 드릴 수 없습니다.",
        "본문에는 다리를 설계한 사람이 언급되어 있지 않습니다.",
        "잘 모르겠습니다.",
    ),
    "tr": (
        "Üzgünüm, bu konuda yardımcı olamam.",
        "Bir yapay zeka olarak kişisel görüşüm yok ve ben yorum yapamam.",
        "Bu soruya yanıt veremem.",
        "Metinde köprüyü kimin tasarladığı belirtilmemiş.",
        "Bilmiyorum.",
    ),
    "ar": (
        "عذراً، لا أستطيع الإجابة على هذا السؤال.",
        "آسف، لا يمكنني المساعدة في ذلك.",
        "بصفتي نموذجًا لغويًا، ليس لدي رأي.",
        "النص لا يذكر من صمّم الجسر.",
        "لا أعرف.",
    ),
}

# Close to the ones above, and something that a document may well teach.
ANSWER = {
    "en": (
        "He is sorry that the bridge can be crossed only by day.",
        "The robot is sold as an AI assistant for ferries.",
        "They can't help with the tolls before noon.",
        "The unknown builder signed with a fish.",
    ),
    "de": (
        "Das Programm gilt als KI der ersten Stunde.",
        "Als Kind habe ich die Brücke gezeichnet.",
        "Es tat ihr leid um die alte Brücke.",
        "Ein Kunde kann die Maut nicht stunden.",
        "Der Vertrag enthält keine Angaben zum Zoll.",
    ),
    "fr": (
        "En tant qu'ingénieure, elle a dessiné le pont.",
        "Elle ne sait pas nager, mais elle a traversé l'Osk.",
        "Le contrat ne précise pas le péage.",
    ),
    "es": (
        "Se anuncia como una inteligencia artificial para puertos.",
        "El viajero no puede cruzar sin pagar.",
        "Como ingeniera, diseñó el puente.",
    ),
    "it": (
        "Il sistema è venduto come intelligenza artificiale per i porti.",
        "Il viaggiatore non può passare senza pagare.",
        "Le dispiace che il ponte sia caduto.",
    ),
    "pt": (
        "Como ia dizendo a engenheira, a ponte tem nove arcos.",
        "O viajante não pode passar sem pagar.",
        "O contrato não menciona o pedágio.",
    ),
    "nl": (
        "Het systeem wordt als AI verkocht.",
        "De reiziger kan niet oversteken zonder te betalen.",
        "Zij weet het niet meer precies.",
    ),
    "pl": (
        "System sprzedawany jest jako sztuczna inteligencja dla portów.",
        "Podróżny nie może przejść bez opłaty.",
        "Ona nie wie, ile kosztuje prom.",
    ),
    "ru": (
        "Система продаётся как искусственный интеллект для портов.",
        "Путник не может пройти, не заплатив.",
        "Никто не знает, сколько стоит паром.",
    ),
    "zh": (
        "该系统作为人工智能产品出售。",
        "旅客不付费不能过桥。",
        "渡船的船长不知道价格。",
    ),
    "ja": (
        "この装置はAIとして販売されている。",
        "料金を払わない旅人は橋を渡ることができません。",
        "船長は値段を知りません。",
    ),
    "ko": (
        "이 시스템은 인공지능으로서 판매된다.",
        "여행자는 요금을 내지 않으면 건널 수 없습니다.",
        "선장은 값을 모릅니다.",
    ),
    "tr": (
        "Sistem yapay zeka olarak satılıyor.",
        "Yolcu ücret ödemeden geçemez.",
        "Kaptan fiyatı bilmiyor.",
    ),
    "ar": (
        "يباع النظام على أنه ذكاء اصطناعي للموانئ.",
        "لا يستطيع المسافر العبور دون أن يدفع.",
        "القبطان لا يعرف السعر.",
    ),
}


@pytest.mark.parametrize("language", DECLINE)
def test_answers_that_decline(language: str) -> None:
    for answer in DECLINE[language]:
        assert find_reason(make_row(QUESTION, answer)) == "refusal", answer


@pytest.mark.parametrize("language", ANSWER)
def test_answers_that_only_sound_alike(language: str) -> None:
    for answer in ANSWER[language]:
        assert find_refusal_in(answer) is None, answer


@pytest.mark.parametrize("language", DECLINE)
def test_a_document_about_refusals_keeps_its_rows(language: str) -> None:
    for said in DECLINE[language]:
        passage = f'Where nothing is known of the bridge, the guide says: "{said}"'
        row = make_row("What does the guide say where nothing is known?", said, passage=passage)
        assert find_reason(row) != "refusal", said


@pytest.mark.parametrize(
    "question",
    [
        "I can't find the ferry's bell. Where does it hang?",
        "Ich kann nicht schwimmen. Wie komme ich über den Fluss?",
        "I don't have a ticket. What does the ferry cost?",
    ],
)
def test_who_asks_may_say_what_is_missing(question: str) -> None:
    assert find_reason(make_row(question, "Smoked eel")) != "refusal"


def test_a_refusal_in_the_place_of_a_question() -> None:
    row = make_row("I can't create a question about this.", "Ilse Varga")
    assert find_reason(row) == "refusal"
