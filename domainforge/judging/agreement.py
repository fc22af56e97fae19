"""Whether two answers to one question say the same."""

import re

from domainforge.filters.words import content_terms, is_number, says_yes_or_no, words

# What the shipped prompts ask for where there is no answer, and how else that is said.
_NO_ANSWER = re.compile(
    r"^\W*(?:(?:it (?:is|was) )?not (?:said|known|stated|given|mentioned|specified|answered)"
    r"|unknown|none|n/?a|i (?:don't|do not) know)\b",
    re.IGNORECASE,
)


def agree(question: str, first: str, second: str) -> float:
    """Return how far two answers say the same, 0 to 1.

    That is F1 over their content words, those of the question aside: a false answer repeats them
    as well, and a whole sentence agrees with the name in it. Numbers of which neither answer has
    all of the other's disagree whatever else is said, and two answers that begin with yes or no
    are told by that. Words alone: two ways to say a thing don't agree.
    """
    if _NO_ANSWER.match(first) or _NO_ANSWER.match(second):
        return 0.0
    if says_yes_or_no(first) and says_yes_or_no(second):
        return float(words(first)[0] == words(second)[0])
    one, other = set(content_terms(first)), set(content_terms(second))
    if not one or not other:
        return float(words(first) == words(second))
    asked = set(content_terms(question))
    if one - asked and other - asked:  # a choice between two things is answered in its words
        one, other = one - asked, other - asked
    numbers, others = set(filter(is_number, one)), set(filter(is_number, other))
    if numbers and others and not (numbers <= others or others <= numbers):
        return 0.0
    return 2 * len(one & other) / (len(one) + len(other))
