"""How teachers decline, in fourteen languages, as they open an answer.

A sentence counts where it is in the first person or speaks of the text it was given; that others
can't do a thing, or that something is said of AIs, is no refusal.
"""

# ruff: noqa: RUF001 (letters of other scripts that look like Latin ones)

import re

from domainforge.filters.words import words

# Each language: as what it speaks, its excuse, its "I can't", "the text doesn't say", a bare no.
_ENGLISH = (
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"(?! (?:company|firm|expert|team|researcher|engineer))"
    r"(?=\W*$|[^.!?\n]{0,60}?\b(?:I|I'm|my|me)\b)",
    r"\bI(?:'| a)m (?:just )?an? (?:ai|artificial intelligence|(?:large )?language model)\b",
    r"\b(?:sorry|apologi[sz]e)\b[^.!?\n]{0,40}\b(?:can(?:'|no)t|unable|not able|won't|could not"
    r"|couldn't|do(?:n't| not) have)\b",
    r"^\W*(?:unfortunately,? )?I (?:can(?:'|no)t|could not|couldn't|am unable to|am not able to"
    r"|won't) (?:help|assist|answer|provide|comply|fulfil|fulfill|do that|create|generate"
    r"|determine|find|continue|discuss|give|write)\b",
    r"^\W*I (?:don't|do not) (?:know|have (?:enough|any|sufficient|access|the))\b",
    r"^\W*(?:it is |this is |that is )?(?:not (?:mentioned|specified|stated|provided|given"
    r"|available|answerable)|unanswerable|no answer|n/a|unknown)\W*$",
    r"\b(?:passage|text|document|context|excerpt)\b[^.\n]{0,20} (?:does|did)(?:n't| not)"
    r" (?:mention|say|state|specify|provide|contain|give|tell|include)\b",
)
_GERMAN = (
    r"\bals (?:eine? )?(?:ki|sprachmodell|künstliche intelligenz)\b"
    r"(?=[^.!?\n]{0,60}?\b(?:ich|mir|meine?n?)\b)",
    r"\bich bin (?:nur |lediglich )?(?:eine? )?(?:ki|sprachmodell|künstliche intelligenz)\b",
    r"\b(?:es )?tut mir leid\b[^.!?\n]{0,40}\b(?:kann|darf|nicht)\b",
    r"^\W*ich kann (?:ihnen |dir |das |diese |dabei |leider )*(?:nicht|keine)\b",
    r"^\W*leider (?:kann|darf|habe) ich\b[^.!?\n]{0,40}\b(?:nicht|keine\w*)\b",
    r"^\W*(?:das )?weiß ich nicht\b|^\W*ich weiß (?:es |das )?nicht\b",
    r"\b(?:passage|text|dokument|abschnitt|kontext|auszug)\b (?:enthält|nennt|erwähnt|gibt|macht)"
    r" (?:dazu |darüber |hierzu |das )?(?:nicht|keine\w*)\b",
    r"^\W*(?:nicht (?:angegeben|erwähnt|genannt|beantwortbar)|keine angabe)\W*$",
)
_FRENCH = (
    r"\ben tant qu(?:'|e )(?:une? )?(?:ia|intelligence artificielle|modèle (?:de langage"
    r"|linguistique|d'ia))\b(?=[^.!?\n]{0,60}?(?:\bje\b|\bj'|\bmon\b|\bma\b|\bmes\b))",
    r"\bje (?:ne )?suis (?:qu')?(?:une?|juste une?) (?:ia|intelligence artificielle"
    r"|modèle de langage)\b",
    r"\b(?:désolée?|je regrette)\b[^.!?\n]{0,40}\bne (?:peux|puis|suis)\b",
    r"^\W*(?:malheureusement,? )?je ne (?:peux|puis|suis) pas (?:en mesure |capable )?"
    r"(?:de |d'|vous |t'|y )?(?:aid|répond|fourni|donn|cré|génér|trait|satisf)",
    r"^\W*je ne (?:peux|puis) pas\b",
    r"^\W*je (?:ne )?(?:le )?sais pas\b",
    r"^\W*il m'est impossible de\b",
    r"\b(?:texte|passage|document|contexte|extrait) (?:ne (?:le )?|n')(?:mentionne|précise|dit"
    r"|contient|fournit|donne|indique)(?: pas\b| aucun)",
    r"^\W*non (?:mentionné|précisé|spécifié|indiqué|disponible)e?\W*$",
)
_SPANISH = (
    r"\bcomo (?:una? )?(?:ia|inteligencia artificial|modelo de lenguaje)\b"
    r"(?=[^.!?\n]{0,60}?\b(?:no (?:tengo|puedo|soy|poseo)|mis?|yo|puedo|tengo)\b)",
    r"\b(?:sólo |solo )?soy (?:una? )?(?:ia|inteligencia artificial|modelo de lenguaje)\b",
    r"\b(?:lo siento|lo lamento|disculpa|disculpe)\b[^.!?\n]{0,40}\bno (?:puedo|tengo|es posible)"
    r"\b",
    r"^\W*(?:lamentablemente,? )?no puedo (?:ayudar|responder|proporcionar|cumplir|generar|crear"
    r"|dar)",
    r"^\W*no (?:lo )?sé\b\W*(?:$|[,.])",
    r"\b(?:texto|pasaje|documento|contexto|fragmento) no (?:lo )?(?:menciona|dice|especifica"
    r"|indica|proporciona|contiene)\b",
    r"^\W*no (?:se )?(?:mencionad?[oa]?|especificad?[oa]?|indicad?[oa]?)\W*$",
)
_ITALIAN = (
    r"\bcome (?:un'|una )?(?:ia|intelligenza artificiale|modello linguistico)\b"
    r"(?=[^.!?\n]{0,60}?\b(?:non (?:ho|posso|sono)|mi[oae]|io)\b)",
    r"\bsono (?:solo )?(?:un'|una |un )(?:ia|intelligenza artificiale|modello linguistico)\b",
    r"\b(?:mi dispiace|spiacente|mi scuso)\b[^.!?\n]{0,40}\bnon (?:posso|sono in grado|ho|riesco)"
    r"\b",
    r"^\W*(?:purtroppo,? )?non (?:posso|sono in grado di|riesco a) (?:aiutar|rispond|fornir"
    r"|generar|crear|soddisf)",
    r"^\W*non lo so\b",
    r"\b(?:testo|brano|documento|passaggio|contesto) non (?:lo )?(?:menziona|dice|specifica|indica"
    r"|fornisce|contiene|riporta)\b",
    r"^\W*non (?:specificat|menzionat|indicat)[oa]\W*$",
)
_PORTUGUESE = (
    r"\bcomo (?:uma? )?(?:ia|inteligência artificial|modelo de linguagem)\b"
    r"(?=[^.!?\n]{0,60}?\b(?:não (?:tenho|posso|sou|consigo|possuo)|meus?|minhas?|eu)\b)",
    r"\bsou (?:apenas )?(?:uma? )(?:ia|inteligência artificial|modelo de linguagem)\b",
    r"\b(?:desculpe|desculpa|sinto muito|lamento)\b[^.!?\n]{0,40}\bnão (?:posso|consigo|tenho"
    r"|é possível)",
    r"^\W*(?:infelizmente,? )?(?:eu )?não (?:posso|consigo) (?:ajud|respond|fornec|gerar|criar"
    r"|atend|cumpr)",
    r"^\W*(?:eu )?não sei\b",
    r"\b(?:texto|trecho|documento|contexto|passagem) não (?:o )?(?:menciona|diz|especifica|indica"
    r"|fornece|contém|informa)\b",
    r"^\W*não (?:especificad|mencionad|informad)[oa]\W*$",
)
_DUTCH = (
    r"\bals (?:een )?(?:ai|taalmodel|kunstmatige intelligentie|ai-\w+)\b"
    r"(?=[^.!?\n]{0,60}?\b(?:ik|mijn)\b)",
    r"\bik ben (?:slechts |maar )?een (?:ai|taalmodel|kunstmatige intelligentie)\b",
    r"\b(?:het spijt me|sorry|helaas)\b[^.!?\n]{0,20}\b(?:kan ik|ik kan|mag ik|heb ik|ik heb)\b"
    r"[^.!?\n]{0,40}\b(?:niet|geen)\b",
    r"^\W*ik kan (?:u |je |hier |hier(?:op|mee|over) |daar(?:op|mee) |dat |dit |deze |die |vraag )*"
    r"(?:niet|geen)\b",
    r"^\W*ik weet (?:het |dat )?niet\b|^\W*dat weet ik niet\b",
    r"\b(?:tekst|passage|document|fragment|context) (?:vermeldt|noemt|zegt|geeft|bevat)"
    r" (?:dit |dat |dit |hier |hierover )?(?:niet|geen|niets)\b",
    r"^\W*niet (?:vermeld|genoemd|gespecificeerd|beschikbaar)\W*$",
)
_POLISH = (
    r"\bjako (?:model językowy|sztuczna inteligencja|si|ai)\b"
    r"(?=[^.!?\n]{0,60}?\b(?:nie (?:mam|mogę|jestem|posiadam)|moj\w+|moich|mnie)\b)",
    r"\bjestem (?:tylko )?(?:modelem językowym|sztuczną inteligencją)\b",
    r"\b(?:przepraszam|przykro mi|niestety)\b[^.!?\n]{0,40}\bnie (?:mogę|jestem w stanie|mam"
    r"|potrafię)\b",
    r"^\W*nie (?:mogę|jestem w stanie|potrafię) (?:\w+ )?(?:pomóc|odpowiedzieć|udzielić|podać"
    r"|spełnić|wygenerować|stworzyć)\b",
    r"^\W*nie wiem\b",
    r"\b(?:tekst|fragment|dokument|kontekst) nie (?:wspomina|podaje|zawiera|mówi|określa|precyzuje)"
    r"\b",
    r"^\W*nie (?:podano|wspomniano|określono)\W*$",
)
_RUSSIAN = (
    r"\bкак (?:языковая модель|искусственный интеллект|ии)\b(?=[^.!?\n]{0,60}?\b(?:я|мне|мо[йеяи]|"
    r"меня)\b)",
    r"\bя (?:всего лишь |просто |— |- )?(?:языковая модель|искусственный интеллект)\b",
    r"\b(?:извините|простите|к сожалению|прошу прощения|сожалею)\b[^.!?\n]{0,40}\bне (?:могу|имею"
    r"|способ|в состоянии)",
    r"^\W*я не (?:могу|в состоянии) (?:\w+ )?(?:помочь|ответить|предоставить|выполнить|создать"
    r"|сгенерировать|дать)\b",
    r"^\W*(?:я )?(?:этого )?не знаю\b",
    r"\b(?:текст|отрывок|документ|контекст|фрагмент) (?:этого |об этом )?не (?:упомина|сообща"
    r"|содерж|указыва|говорит)",
    r"\bв (?:тексте|отрывке|документе) (?:об этом |это |этого )?не (?:упомин|указан|сказано"
    r"|говорится)",
    r"^\W*не (?:указан|упомина|сообща)\w*\W*$",
)
_CHINESE = (
    r"(?:作[为為])(?:一[个個名]|一款)?(?:ai|人工智[能慧]|(?:大型?)?[语語]言模型)[^。！？\n]{0,20}"
    r"(?:我|[无無]法|不能)",
    r"(?:[对對]不起|抱歉)[^。！？\n]{0,12}(?:[无無]法|不能|[没沒]法|[没沒]有)",
    r"^\W*我(?:[无無]法|不能|[没沒]办法)(?:[为為]您|[为為]你)?(?:回答|提供|[帮幫]助|[协協]助|生成|"
    r"[满滿]足|完成)",
    r"^\W*我?不知道",
    r"(?:文本|文章|文中|原文|段落|上下文|文[档檔]|[资資]料)(?:中|里|裡)?(?:[并並])?(?:[没沒]有|未)"
    r"(?:明确|明確)?(?:提到|提及|[说說]明|提供|包含|[给給]出)",
    r"^\W*(?:未提及|未[说說]明|未提供|[无無]法回答)\W*$",
)
_JAPANESE = (
    r"(?:ai|人工知能|言語モデル)(?:として|であり|である(?:ため)?|ですので|なので)"
    r"[^。！？\n]{0,40}(?:私|できません|持って|ありません|かねます)",
    r"(?:申し訳(?:ありません|ございません|ない)|すみません|ごめんなさい)[^。！？\n]{0,40}"
    r"(?:できません|できかね|いたしかね|[わ分]かりません|お答え)",
    r"^\W*(?:その|この)?(?:ご?質問|ご?要望|リクエスト)(?:には|に)[^。！？\n]{0,8}"
    r"(?:できません|られません|かねます)",
    r"^\W*[わ分]かりません",
    r"(?:本文|文章|文書|テキスト|文脈|資料)(?:に|で|中に)は[^。！？\n]{0,20}(?:記載|言及|説明|情報)"
    r"[^。！？\n]{0,4}(?:ていません|ありません|ておらず|ていない)",
    r"^\W*(?:記載なし|該当なし|回答不能)\W*$",
)
_KOREAN = (
    r"(?:인공지능|ai|언어 ?모델)(?:으로서|로서|이기 때문에|이므로|이라서)[^.!?\n]{0,40}"
    r"(?:저는|제가|없습니다|못합니다)",
    r"(?:죄송합니다만|죄송하지만|죄송합니다|미안하지만|유감스럽게도)[^!?\n]{0,60}"
    r"(?:없습니다|못합니다|어렵습니다)",
    r"^\W*(?:저는 )?(?:그|이|해당)? ?(?:질문|요청)에[^.!?\n]{0,30}(?:수 없습니다|어렵습니다)",
    r"^\W*(?:저는 )?(?:잘 )?모르겠습니다",
    r"(?:본문|지문|텍스트|문서|문맥)(?:에는|에서는|에|은|는)[^.!?\n]{0,30}(?:언급|명시|설명|나와"
    r"|포함|제공)[^.!?\n]{0,8}(?:않|없)",
    r"^\W*(?:언급되지 않음|언급 없음|정보 없음)\W*$",
)
_TURKISH = (
    r"\b(?:yapay zek[aâ]|dil modeli)\b[^.!?\n]{0,20}\bolarak\b[^.!?\n]{0,60}?"
    r"(?:\bben\b|\bbenim\b|\w+[ae]m[ae]m\b|sahip değilim)",
    r"\b(?:üzgünüm|özür dilerim|maalesef)\b[^.!?\n]{0,60}(?:\w+[ae]m[ae]m\b|\w+[ae]mıyorum"
    r"|\w+[ae]miyorum|mümkün değil|sahip değilim|bilmiyorum)",
    r"^\W*(?:bu|size|bu konuda|bu soruy[au])\b[^.!?\n]{0,40}(?:yardımcı olamam|yanıt veremem"
    r"|cevap veremem|yanıtlayamam|cevaplayamam)",
    r"^\W*(?:bunu )?bilmiyorum\b",
    r"\b(?:metin|metinde|pasajda?|belgede?|bağlamda)\b[^.!?\n]{0,40}(?:belirtilmemiş|bahsedilmi"
    r"|bahsetmi|yer almıyor|bulunmuyor|belirtilmiyor|içermiyor)",
    r"^\W*(?:belirtilmemiş|bahsedilmemiş)\W*$",
)
_ARABIC = (
    r"(?:بصفتي|باعتباري|كوني|أنا مجرد|كنموذج)[^.!؟\n]{0,12}(?:نموذج\w* (?:لغوي|لغة|ذكاء)|لغوي"
    r"|ذكاء\w* اصطناعي)",
    r"(?:آسف|آسفة|عذرا|أعتذر|للأسف|يؤسفني)[^.!؟\n]{0,40}(?:لا (?:أستطيع|يمكنني|أملك|أعرف)"
    r"|لست قادر|غير قادر|لن أتمكن)",
    r"^\W*لا (?:أستطيع|يمكنني) (?:الإجابة|المساعدة|مساعدت|تقديم|تلبية|إنشاء|الرد)",
    r"^\W*لا أعرف\b",
    r"(?:النص|المقطع|الوثيقة|الفقرة|المستند|السياق) (?:لا|لم) (?:ي|ت)(?:ذكر|حدد|حتوي|وفر|شير|تضمن)",
    r"^\W*(?:غير مذكور|غير محدد|لم يذكر)\w?\W*$",
)
_ALL = (
    *_ENGLISH,
    *_GERMAN,
    *_FRENCH,
    *_SPANISH,
    *_ITALIAN,
    *_PORTUGUESE,
    *_DUTCH,
    *_POLISH,
    *_RUSSIAN,
    *_CHINESE,
    *_JAPANESE,
    *_KOREAN,
    *_TURKISH,
    *_ARABIC,
)
_OTHER_SCRIPT = re.compile("[\u0370-\uffff]")


def _join(anchored: bool, latin: bool) -> re.Pattern[str]:
    """Join the patterns of one kind: each costs time at every place that it is tried at."""
    chosen = [
        pattern
        for pattern in _ALL
        if pattern.startswith("^") == anchored and (_OTHER_SCRIPT.search(pattern) is None) == latin
    ]
    return re.compile("|".join(chosen), re.IGNORECASE)


_OPENINGS, _ANYWHERE = _join(True, True), _join(False, True)
_OTHER_OPENINGS, _OTHER_ANYWHERE = _join(True, False), _join(False, False)
_MARKS = re.compile("[\u064b-\u0652\u0640]")
_QUESTION_MARK = re.compile("[?\uff1f\u061f\u037e]")


def find_refusal_in(text: str, asks: bool = False) -> str | None:
    """Return the words that decline in a text with straight apostrophes.

    Args:
        text: The opening of a text, some 200 characters; more where it is meant to decline.
        asks: Whether it stands in the place of a question, which may say that somebody can't.
    """
    text = _MARKS.sub("", text)
    found = _ANYWHERE.search(text)
    # "I can't find the key. Where is it?" is how people begin to ask.
    opens = not (asks and _QUESTION_MARK.search(text))
    if not found and opens:
        found = _OPENINGS.match(text)
    if not found and _OTHER_SCRIPT.search(text):
        found = _OTHER_ANYWHERE.search(text) or (_OTHER_OPENINGS.match(text) if opens else None)
    return found.group().strip() if found else None


def is_said_in(passage: str, refusal: str) -> bool:
    """Tell whether a passage has the words of a refusal itself; the last may go on there."""
    own, theirs = (" ".join(words(_MARKS.sub("", text))) for text in (refusal, passage))
    return f" {own}" in f" {theirs}"
