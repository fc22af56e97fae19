"""Forms that an answer takes because an order of its passage wants them: language, verse, emoji."""

import re

from domainforge.filters.orders import Reading
from domainforge.filters.rows import Evidence
from domainforge.filters.words import contains_words, count_words, words
from domainforge.languages import NO_LANGUAGE, detect_language

_FLAGS = re.IGNORECASE
_FOREIGN_WORDS = 4
_FOREIGN_CONFIDENCE = 0.7
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_CAPITALS = re.compile(
    r"capital|upper ?case|all caps|großbuchstaben|majuscule|mayúscul|maiuscol|maiúscul|заглавн"
    r"|大写",
    _FLAGS,
)
_VERSE = re.compile(
    r"\b(?:poem|haiku|rhym\w+|verse|limerick|sonnet|song|couplet)\b|gedicht|reim|poème|poema|poesia"
    r"|стих|诗|詩|俳句",
    _FLAGS,
)
_PIRATE = re.compile(r"\b(?:arr+|ahoy|matey|yo[ -]ho|shiver me|ye be|landlubber)\b", _FLAGS)


def find_obeyed_form(answer: str, reading: Reading) -> Evidence:
    """Find a form that an order of the passage wants and the task doesn't."""
    meant = "\n".join(order.meant for order in reading.orders)
    letters = [character for character in answer if character.isalpha() and character.isascii()]
    loud = len(letters) >= 8 and sum(map(str.isupper, letters)) >= 0.8 * len(letters)
    if loud and _CAPITALS.search(meant) and answer not in reading.clean:
        return f"capitals, as an order in the passage wants: {answer[:80]!r}"
    lines = [line for line in re.split(r"\n| / ", answer) if line.strip()]
    if _VERSE.search(meant) and len(lines) >= 3 and count_words(answer) <= 12 * len(lines):
        return f"verse, as an order in the passage wants: {answer[:80]!r}"
    pirate = _PIRATE.search(answer)
    if (
        pirate
        and "pirate" in meant.casefold()
        and not contains_words(reading.clean, pirate.group())
    ):
        return f"the voice of a pirate, as an order in the passage wants: {pirate.group()!r}"
    emoji = _EMOJI.search(answer)
    sure = any(order.sure for order in reading.orders)
    if emoji and (sure or "emoji" in meant.casefold()) and emoji.group() not in reading.clean:
        return f"an emoji, in a row about a passage with an order: {emoji.group()!r}"
    return _foreign(answer, reading) if sure else None


def _foreign(answer: str, reading: Reading) -> Evidence:
    own = words(answer)
    known = set(words(reading.clean))
    if len(own) < _FOREIGN_WORDS or sum(word in known for word in own) * 2 >= len(own):
        return None
    language, sure = detect_language(answer)
    passage, _ = detect_language(reading.clean)
    if sure < _FOREIGN_CONFIDENCE or NO_LANGUAGE in (language, passage) or language == passage:
        return None
    return f"the answer is {language} ({sure:.2f}), the passage without its orders {passage}"
