"""The canary: words of the prompt in a row show that the reply talks about its frame.

The passage's markers are found as leftovers (`phrases`); here it is the prompt's own sentences.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import words

if TYPE_CHECKING:
    from domainforge.prompts import PromptFile

LEAKED_WORDS = 9
"""So many words of a prompt in a row are no chance; fewer are how anybody writes."""

# What a prompt quotes, or a template puts in, may well stand in a row.
_NOT_SAID = re.compile(
    r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|\"[^\"\n]*\"|\u201c[^\u201d\n]*\u201d|(?<!\w)'[^'\n]*'(?!\w)"
    r"|`[^`\n]*`",
    re.DOTALL,
)


def frame_of(prompt: "PromptFile") -> str:
    """Return what a prompt tells the teacher, the passage aside."""
    said = [text for step in prompt.steps for text in (step.system or "", step.user)]
    return "\n".join(dict.fromkeys(said))


def find_prompt_leak(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows that repeat what their prompt told the teacher, in nine words on end or more."""
    return [_prompt_leak(row) for row in rows]


def _prompt_leak(row: Row) -> Evidence:
    if not row.frame:
        return None
    frame = _prompt_runs(row.frame)
    leaked = [run for text in (row.question, row.answer) for run in _runs(text) if run in frame]
    passage = f" {' '.join(words(row.passage))} " if leaked else ""
    found = next((run for run in leaked if f" {run} " not in passage), None)
    return None if found is None else f"words of the prompt: {found!r}"


@lru_cache(maxsize=64)
def _prompt_runs(frame: str) -> frozenset[str]:
    """Return all runs of words in what a prompt says itself."""
    return frozenset(run for part in _NOT_SAID.split(frame) for run in _runs(part))


def _runs(text: str) -> list[str]:
    own = words(text)
    starts = range(len(own) - LEAKED_WORDS + 1)
    return [" ".join(own[at : at + LEAKED_WORDS]) for at in starts]
