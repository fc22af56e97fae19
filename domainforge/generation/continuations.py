"""A reply that was cut off at its limit is continued once, and the two halves are joined strictly.

The teacher is asked to repeat its last words first. Where the second half doesn't begin with words
that the first ends with, nobody can say how the two belong together, and nothing is made of them.
"""

import re
from dataclasses import replace

from domainforge.generation.forms import is_delimited
from domainforge.generation.units import Form, asks_completion
from domainforge.prompts import PromptFile
from domainforge.teacher.request import Request

_ASK = (
    "Your reply was cut off at its limit. Go on exactly where it stopped: begin with the last five "
    "words that you wrote, repeated letter by letter, then write the rest to its end, in the same "
    "form. Say nothing else, and begin nothing anew."
)
_LEAST_PART_CHARS = 20
_LEAST_OVERLAP_CHARS = 8
_MOST_OVERLAP_CHARS = 2000
_LONGEST_WORD_CHARS = 40
_CODE_FENCE = re.compile(r"\A\s*```\w*[ \t]*\n(.*)\n```\s*\Z", re.DOTALL)


def may_continue(prompt: PromptFile, form: Form, part: str, *, last: bool = True) -> bool:
    """Tell whether a reply that was cut off is worth a second request.

    One that was still reasoning has said nothing yet, and one that doesn't begin in its form won't
    end in it. A text to be continued is asked for by lines.

    Args:
        prompt: What it answers.
        form: How the teacher was asked.
        part: The reply, as far as it came.
        last: Whether it is the last of its chain, which has a form.
    """
    if not prompt.header.continues or asks_completion(prompt, form):
        return False
    shown = _whole_words(part)
    if len(shown) < _LEAST_PART_CHARS or shown.startswith("<think>"):
        return False
    opening = "===" if is_delimited(prompt, form) else "{"
    return not last or shown.startswith((opening, "```"))


def make_continuation(request: Request, part: str) -> Request:
    """Make the request for the rest: the same chat, what there is of the reply, and a turn more.

    No schema goes along: an endpoint that holds replies to it would begin again.

    Args:
        request: What the reply answers; the sampling stays.
        part: The reply, as far as it came.
    """
    more = (
        {"role": "assistant", "content": _whole_words(part)},
        {"role": "user", "content": _ASK},
    )
    return replace(request, messages=(*request.messages, *more), schema=None)


def join_parts(part: str, rest: str) -> str | None:
    """Return the whole reply; None where the rest doesn't begin with words that the part ends with.

    Args:
        part: The reply, as far as it came.
        rest: What the teacher said when asked to go on.
    """
    before = _whole_words(part)
    fenced = _CODE_FENCE.match(rest)
    if fenced and not before.startswith("```"):
        rest = fenced[1]
    rest = rest.lstrip()
    most = min(len(before), len(rest), _MOST_OVERLAP_CHARS)
    for length in range(most, _LEAST_OVERLAP_CHARS - 1, -1):
        if before.endswith(rest[:length]):
            return before + rest[length:]
    return None


def _whole_words(part: str) -> str:
    """Leave out a last word that may have been cut in two; where words have no spaces, nothing."""
    for end in range(len(part), max(0, len(part) - _LONGEST_WORD_CHARS), -1):
        if part[end - 1].isspace():
            return part[:end].strip()
    return part.strip()
