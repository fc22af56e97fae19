"""References to a passage that the reader of a row won't see, in fourteen languages.

What names the text is held against a row only where the passage has no such word itself: a letter
that speaks of "the document" may be asked about the document.
"""

# ruff: noqa: RUF001 (letters of other scripts that look like Latin ones)

import re

from domainforge.filters.rows import Row
from domainforge.filters.words import contains_words, fold

_BEGINNING_CHARS = 300
_STEM_CHARS = 4

# The group `noun` is what the passage must not have itself; `bare` is always a reference.
_NAMED = (
    r"\b(?:according to|based on|as (?:mentioned|described|stated|noted|explained) in|from|in)"
    r" (?:the|this|that) (?:(?:above|given|provided|following|supplied) )?"
    r"(?P<noun>passage|text|excerpt|paragraph|snippet|extract|article|document)s?\b",
    r"\b(?:according to|based on|in|from) the (?:(?:above|given|provided|following) )?"
    r"(?P<context>context)(?! (?:of|for|in|where)\b)\b",
    r"\b(?:the|this) (?:(?:above|given|provided|following) )?(?P<bare>passage|excerpt|snippet)\b",
    r"\b(?:the|this) (?:(?:above|given|provided|following|supplied) )?"
    r"(?P<saying>text|paragraph|document|article|context|extract)"
    r" (?:states?|says?|mentions|describes?|explains?|notes|tells us|does(?:n't| not)|indicates?"
    r"|specif(?:y|ies)|discusses|suggests|provided|above|implies|talks about)\b",
    r"\b(?:in|from|by|on) the (?:given|provided|supplied) (?P<given>information|details|content"
    r"|material|source|data)\b",
    r"\b(?:laut|gemäß|nach|entsprechend) (?:dem|diesem|der) (?:obigen |gegebenen |vorliegenden )?"
    r"(?P<german>text|textstelle|abschnitt|auszug|dokument|passage|kontext)s?\b",
    r"\b(?:im|in der|in dem|in diesem) (?:obigen |vorliegenden |gegebenen |angegebenen"
    r" |bereitgestellten )?(?P<german_in>text|textstelle|abschnitt|auszug|passage"
    r"|kontext(?! (?:des|der|von|einer?s?)\b))s?\b",
    r"\b(?:der|das|die) (?:obige |gegebene |vorliegende )?"
    r"(?P<german_saying>text|dokument|abschnitt|auszug|passage)"
    r" (?:besagt|sagt|beschreibt|erwähnt|erklärt|nennt|gibt an)\b",
    r"(?:\b(?:selon|d'après|dans|d'apres) (?:le|ce|la|cet|cette) ?|\b(?:selon|dans|d'après) l')"
    r"(?P<french>texte|passage|extrait|paragraphe|document|contexte(?! d(?:e|es|u)\b| d'))\b",
    r"\b(?:le|ce) (?P<french_saying>texte|passage|document) (?:ci-dessus|fourni|dit|indique"
    r"|précise|mentionne|explique|décrit)\b",
    r"\b(?:según|en|de acuerdo con) (?:el|este|la) "
    r"(?P<spanish>texto|pasaje|fragmento|extracto|documento|párrafo|contexto(?! del?\b))\b",
    r"\b(?:el|este) (?P<spanish_saying>texto|pasaje|documento|fragmento)"
    r" (?:dice|indica|menciona|afirma|señala|explica|proporcionado|anterior)\b",
    r"\b(?:secondo|in base a|nel|in base al) (?:il |questo |lo )?"
    r"(?P<italian>testo|brano|passaggio|passo|documento|estratto|contesto(?! d\w+\b))\b",
    r"\b(?:il|questo) (?P<italian_saying>testo|brano|documento|passaggio)"
    r" (?:dice|afferma|indica|menziona|spiega|fornito|sopra)\b",
    r"\b(?:segundo|de acordo com|conforme|com base n?) ?(?:o|este|no) "
    r"(?P<portuguese>texto|trecho|documento|parágrafo|excerto)\b",
    r"\b(?:no|neste) (?P<portuguese_in>texto|trecho|excerto|contexto(?! d[aeo]s?\b))\b",
    r"\bo (?P<portuguese_saying>texto|trecho|documento)"
    r" (?:diz|afirma|indica|menciona|explica|fornecido|acima)\b",
    r"\b(?:volgens|in) (?:de|het|deze|dit) (?:bovenstaande |gegeven )?"
    r"(?P<dutch>tekst|passage|fragment|document|alinea|context(?! van\b))\b",
    r"\b(?:de|het|deze) (?P<dutch_saying>tekst|passage|document|fragment)"
    r" (?:zegt|vermeldt|beschrijft|noemt|stelt|hierboven)\b",
    r"\b(?:według|zgodnie z|na podstawie|w) (?:tego |tym |powyższego |powyższym |podanego |podanym "
    r"|dostarczonym )?(?P<polish>tekst|fragmen|dokumen|akapi)\w*",
    r"\bw (?:powyższym|podanym) (?P<polish_context>kontekś)\w*",
    r"\b(?:согласно|в|по|из) (?:этому |этом |приведенному |приведённому |приведенном "
    r"|приведённом |данному |данном |данного |предоставленному )?"
    r"(?P<russian>текст|отрывк|абзац)\w*",
    r"\bсогласно (?:этому |данному )?(?P<russian_says>документ|контекст|фрагмент)\w*",
    r"(?:根[据據]|按照|依[据據])(?:上述|以上|[给給]定的?|提供的|[这這]段|本|文中的?)?"
    r"(?P<chinese>文本|文章|段落|上下文|文[档檔]|短文|原文|文字|[资資]料)",
    r"(?P<chinese_bare>文中提到|文中指出|原文提到|文章中提到)",
    r"(?:上記|この|与えられた|提供された|本)の?(?P<japanese>文章|テキスト|文書|文脈|段落|本文)"
    r"(?:によると|によれば|に基づ|では|には|で述べ)",
    r"(?P<japanese_bare>本文によ(?:ると|れば)|本文では)",
    r"(?:위|주어진|이|제공된) ?(?:의 )?(?P<korean>글|본문|지문|텍스트|문서|문맥|단락)"
    r"(?:에 따르면|에서|에는|에 의하면)",
    r"(?P<korean_bare>(?:본문|지문)에 (?:따르면|의하면))",
    r"\b(?:bu |verilen |yukarıdaki )?(?P<turkish>metn|metin|parça|paragraf|belge|pasaj|bağlam)\w*"
    r" göre\b",
    r"(?:وفق[اً]*|بحسب|حسب|بناء[ً]* على) (?:لل|ال|هذا ال)"
    r"(?P<arabic>نص|مقطع|وثيقة|فقرة|مستند|سياق)",
)
# One of these is in whatever the patterns find; most texts have none.
_STEMS = """
pass text excerpt paragraph snippet extra article document context information details content
material source data abschnitt auszug dokument kontext parágra párrafo fragment pasaj testo brano
documento contest estratto trecho excerto tekst alinea fragmen dokumen kontekś akapi текст отрывк
абзац документ контекст фрагмент 文 段落 資料 资料 テキスト 글 본문 지문 텍스트 단락 metn metin
parça paragraf belge bağlam نص مقطع وثيقة فقرة مستند سياق
"""
_NOUNS = tuple(_STEMS.split())
_ABOVE = (
    r"\bas (?:was |already )?(?:mentioned|stated|described|noted|explained|discussed|shown)"
    r" (?:above|earlier|before|previously)\b",
    r"\b(?:mentioned|described|stated|listed) above\b",
    r"\bthe above(?:-mentioned)? (?:text|information|passage|context|content|paragraph)\b",
    r"\bwie (?:bereits |schon )?(?:oben|zuvor|vorher) (?:erwähnt|beschrieben|genannt|angegeben)\b",
    r"\bcomme (?:mentionné|indiqué|décrit|dit|précisé) (?:ci-dessus|plus haut|précédemment)",
    r"\bcomo (?:se )?(?:mencionó|ha mencionado|menciona|indicó|indica|describió) (?:anteriormente"
    r"|arriba|más arriba|antes)\b",
    r"\bcome (?:menzionato|detto|indicato|descritto) (?:sopra|in precedenza|precedentemente)\b",
    r"\bcomo (?:mencionado|dito|indicado|descrito) (?:acima|anteriormente)\b",
    r"\bzoals (?:hierboven|eerder|boven) (?:is )?(?:vermeld|genoemd|beschreven|aangegeven)\b",
    r"\bjak (?:wspomniano|opisano|podano|wskazano) (?:powyżej|wcześniej|wyżej)\b",
    r"\bкак (?:указано|упомянуто|упоминалось|описано|сказано) (?:выше|ранее)\b",
    r"如上(?:文)?所[述示]",
    r"上記の(?:とおり|通り|ように)|前述の(?:とおり|通り|ように)",
    r"(?:위에서|앞서) (?:언급|설명|말|기술)(?:한|했|된|드린)",
    r"\byukarıda (?:belirtildiği|bahsedildiği|açıklandığı|anlatıldığı) gibi\b",
    r"كما (?:ذكر|ذُكر|ورد|ذكرنا|هو مذكور) (?:أعلاه|سابقا|سابقًا|آنفا)",
)


_REFERENCES = re.compile("|".join(_NAMED), re.IGNORECASE)
_TO_ABOVE = re.compile("|".join(_ABOVE), re.IGNORECASE)
_ENGLISH = ("noun", "context", "bare", "saying", "given")
# Always a reference, whoever speaks: nobody calls his own text so.
_BARE = ("bare", "chinese_bare", "japanese_bare", "korean_bare")


def find_reference(row: Row, text: str) -> str | None:
    """Return the words of a question, answer or text that point at the passage.

    Rows that decline may say that the documents don't tell. In a conversation, "as mentioned
    above" points at what was said, and in a long text at the text itself.

    Args:
        row: The row that the text is of.
        text: The text, with straight apostrophes.
    """
    folded = text.casefold()
    if not any(noun in folded for noun in _NOUNS):
        return _to_above(row, text)
    for found in _REFERENCES.finditer(text):
        if row.kind == "text" and found.group()[:5].casefold() == "this ":
            continue  # "This document describes ..." is how a manual begins
        name, noun = next((name, noun) for name, noun in found.groupdict().items() if noun)
        if row.basis == "absent" and name not in _BARE:
            continue  # "There is nothing about it in the documents" is how to decline
        if not _has_noun(row.passage, noun, name):
            return found.group()
    return _to_above(row, text)


def _to_above(row: Row, text: str) -> str | None:
    above = None if row.said_before else _TO_ABOVE.search(text[:_BEGINNING_CHARS])
    if above and not contains_words(row.passage, above.group()):
        return above.group()
    return None


def _has_noun(passage: str, noun: str, name: str) -> bool:
    """Tell whether the passage has a noun, in whatever ending where the language has many."""
    if name in _ENGLISH:
        return contains_words(passage, noun)
    return fold(noun)[:_STEM_CHARS] in fold(passage)
