"""Checks of rows that are meant to decline: they must, and there must be nothing to answer."""

import re
from collections.abc import Sequence

from domainforge.filters.kind import answers_kind
from domainforge.filters.phrases import straighten
from domainforge.filters.refusals import find_refusal_in
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import contains_words, content_terms, count_words, is_number
from domainforge.sentences import split_sentences

_SAYS = (
    r"(?:say|said|state|mention|specif|provid|giv|contain|includ|cover|tell|told|record|know|answer"
    r"|determin|document|describ|address|note|explain|detail|identif|report|list|name|indicat"
    r"|discuss|find|found|have|available|clear|disclos|reveal)"
)
_DECLINES = re.compile(
    rf"(?:\b(?:not|never|cannot|nowhere|without|neither|nor)|n't)\b[^.!?\n]{{0,40}}?\b{_SAYS}"
    r"|\b(?:is|are|was|were) not in (?:it|them|there)\b|\bsays? (?:nothing|not a word)\b"
    rf"|\b(?:no|nothing|any)\b[^.!?\n]{{0,50}}?\b(?:{_SAYS}|information|details?|answer|data"
    rf"|mention)"
    r"|\b(?:unknown|unspecified|unclear|unanswerable|undocumented)\b"
    r"|\b(?:silent (?:on|about)|beyond (?:what|the)|outside (?:of )?(?:what|the)|do(?:es)? not know"
    r"|don't know)\b"
    r"|\b(?:nicht|nichts|kein\w*|nirgends)\b[^.!?\n]{0,60}?(?:sag|steh|steht|angegeben|genannt"
    r"|erwähn"
    r"|bekannt|weiß|beantwort|enthalt|hervor|beschrieb|information|angab|auskunft)"
    r"|(?:sag|weiß|nenn|steh|erwähn|enthalt|enthält|geht)\w*\b[^.!?\n]{0,60}?\b(?:nicht|nichts"
    r"|kein\w*)\b"
    r"|\b(?:ne|n')\b ?[^.!?\n]{0,50}?\b(?:pas|rien|aucun\w*|jamais)\b|\baucune? (?:information"
    r"|mention)"
    r"|\bno (?:se )?(?:dice|menciona|indica|especifica|sabe|sé|consta|contiene|hay|aparece|explica)"
    r"|\bnon (?:si )?(?:dice|dicono|menziona|indica|specifica|so|sa|contien|è (?:noto|indicato"
    r"|detto))"
    r"|\bnão (?:se )?(?:diz|dizem|menciona|indica|especifica|sabe|sei|consta|contém|há|informa)"
    r"|\bне (?:сказано|указан|упомин|говорит|сообща|известн|знаю|содерж)|\bнет (?:сведений"  # noqa: RUF001
    r"|информации)"
    r"|没有(?:说|提|说明|提到|提及|记载|信息|给出)|未(?:提|说明|提及|记载)|不知道|无法(?:回答|确定)"
    r"|(?:書|述べ|記載|言及|触れ|示)\w{0,6}(?:ない|いません|おらず)|わかりません|分かりません|不明",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"^\W*(?:none|nothing|no(?: words| answer)?|not? found|n/?a|null|keine?s?|nichts|aucun\w*|rien"
    r"|ningun[oa]|nada|nessun[oa]?|nenhum[a]?|нет|无|没有|なし)\W*$",
    re.IGNORECASE,
)
_MIN_SHARED_TERMS = 3


def find_not_declined(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows whose answer is meant to decline, and doesn't (eight languages)."""
    return [_not_declined(row) for row in rows]


def find_answerable(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows that decline although the passage answers, as far as that shows.

    It shows where the teacher's own reply says so (`answered`) or holds words of the passage for
    the answer (`quote`, `answer_in_passage`); and where "how many" or "when" is asked
    with words that stand in one sentence, beside such a number or time. What only a reader would
    see is not found.
    """
    return [_answerable(row) for row in rows]


def _not_declined(row: Row) -> Evidence:
    answer = straighten(row.answer)
    if _DECLINES.search(answer) or find_refusal_in(answer):
        return None
    return f"meant to decline, and answers: {row.answer[:120]!r}"


def _answerable(row: Row) -> Evidence:
    if row.fields.get("answered") is True:
        return "the teacher's own reply says that the passage answers (`answered`)"
    for name in ("quote", "answer_in_passage"):
        found = row.fields.get(name)
        if not isinstance(found, str) or not count_words(found) or _NOTHING.match(found):
            continue
        if contains_words(row.passage, found):
            return f"the teacher found in the passage: {found[:160]!r}"
    asked = content_terms(row.question)
    if len(asked) < _MIN_SHARED_TERMS:
        return None
    for start, end in split_sentences(row.passage):
        sentence = row.passage[start:end]
        said = content_terms(sentence)
        if asked.keys() <= said.keys():
            new = " ".join(word for term, word in said.items() if term not in asked)
            if _counts_or_dates(row.question, new):
                return f"the passage answers: {sentence.strip()[:160]!r}"
    return None


def _counts_or_dates(question: str, words_beside: str) -> bool:
    """Tell whether what stands beside the question's words is the number that it asks for."""
    has_number = any(map(is_number, content_terms(words_beside)))
    return has_number and answers_kind(question, words_beside) is True
