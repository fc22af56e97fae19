"""Who is asked what: the prompts of a judge, and the units that they make of a row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from domainforge.errors import ConfigError, PromptError
from domainforge.filters.words import says_yes_or_no, words
from domainforge.generation.units import Unit
from domainforge.judging.config import JudgeConfig
from domainforge.prompt_judging import Judges, scale_of
from domainforge.prompts import PromptFile
from domainforge.records import GIVEN, NO_TEACHER, answer_of, chunk_ids_of

What = Literal["rubric", "pair", "swapped", "again", "unaided"]
"""What is asked about a row; `swapped` is the pair in the other order."""

STEPS: tuple[tuple[What, ...], ...] = (("rubric",), ("pair", "swapped"), ("again",), ("unaided",))
"""In which order; a row that goes for one thing is asked no further."""

_JUDGES: dict[What, Judges] = {
    "rubric": "row",
    "pair": "pair",
    "swapped": "pair",
    "again": "answer",
    "unaided": "answer",
}
_OF_PREFERENCES: tuple[What, ...] = ("pair", "swapped")
_AT_ONCE = frozenset(("yes", "no", "true", "false"))


@dataclass(frozen=True)
class Panel:
    """The prompts by which rows are judged.

    Attributes:
        prompts: For each thing that is asked its prompt file.
    """

    config: JudgeConfig
    prompts: Mapping[What, PromptFile]

    @property
    def files(self) -> list[PromptFile]:
        """The prompt files, each once."""
        return list({file.hash: file for file in self.prompts.values()}.values())

    @property
    def most_requests(self) -> int:
        """The most requests that a row of a chat takes, repairs and continuations aside."""
        asked = [what for what in self.prompts if what not in _OF_PREFERENCES]
        return sum(len(self.prompts[what].steps) for what in asked)

    @property
    def more_requests(self) -> int:
        """How many a preference takes beside them, for its two answers in both orders."""
        asked = [what for what in self.prompts if what in _OF_PREFERENCES]
        return sum(len(self.prompts[what].steps) for what in asked)

    def steps(self, row: Mapping[str, Any], chunks: Mapping[str, Any]) -> list[dict[What, Unit]]:
        """Return what is asked about a row, step by step; empty where nothing is.

        Nobody is asked about rows that were made without a teacher, about chats that came with
        their source, nor about what no passage stands behind.

        Args:
            row: An example.
            chunks: Rows of the chunks table, by id.
        """
        if row["teacher"] in (NO_TEACHER, GIVEN) or row["basis"] == "free":
            return []
        passages = [chunks[at] for at in chunk_ids_of(row) if at in chunks]
        if not passages:
            return []
        asked = []
        for step in STEPS:
            units = {
                what: _make_unit(self.prompts[what], row, passages, what)
                for what in step
                if what in self.prompts and _is_asked(what, row)
            }
            if units:
                asked.append(units)
        return asked


def open_panel(config: JudgeConfig, find_prompt: Callable[[str], PromptFile]) -> Panel:
    """Load the prompts that a config names.

    Raises:
        PromptError: One that isn't there, can't be used, or is for something else.
        ConfigError: `min_score` is off the prompt's scale.
    """
    names: dict[What, tuple[str, str]] = {}
    if config.prompt is not None:
        names["rubric"] = ("prompt", config.prompt)
        if config.pair_prompt is not None:
            names["pair"] = names["swapped"] = ("pair_prompt", config.pair_prompt)
    if config.round_trip:
        names["again"] = ("round_trip_prompt", config.round_trip_prompt)
    if config.needs_document != "off":
        names["unaided"] = ("needs_document_prompt", config.needs_document_prompt)
    prompts = {what: _load(find_prompt, *name, _JUDGES[what]) for what, name in names.items()}
    if config.min_score is not None:
        _check_scale(config.min_score, prompts["rubric"])
    return Panel(config, prompts)


def said_by(row: Mapping[str, Any]) -> str:
    """Return what is judged: the last answer of a chat, or the text."""
    return answer_of(dict(row)) or str(row["text"] or "")


def question_before(row: Mapping[str, Any]) -> str:
    """Return what the last answer answers, with the turns before it; empty for a text."""
    turns = [m for m in row["messages"] or () if m["role"] != "system"]
    while turns and turns[-1]["role"] == "assistant":
        turns.pop()
    if len(turns) == 1:
        return str(turns[0]["content"])
    return "\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in turns)


def _load(
    find_prompt: Callable[[str], PromptFile], key: str, name: str, judges: Judges
) -> PromptFile:
    prompt = find_prompt(name)
    if prompt.header.judges != judges:
        found = prompt.header.judges
        is_for = f"has `judges: {found}`" if found else "makes rows"
        raise PromptError(
            f"judge.{key}: {prompt.path} {is_for}; what is wanted there is a prompt file with "
            f"`judges: {judges}` in its header"
        )
    return prompt


def _check_scale(min_score: float, prompt: PromptFile) -> None:
    least, most = scale_of(prompt.schema)
    if (least is not None and min_score < least) or (most is not None and min_score > most):
        raise ConfigError(
            f"judge.min_score: {min_score:g} is off the scale of {prompt.name}, whose overall goes "
            f"from {least} to {most}"
        )


def _is_asked(what: What, row: Mapping[str, Any]) -> bool:
    if what == "rubric":
        return True
    if what in _OF_PREFERENCES:
        return row["rejected"] is not None
    # One turn, whose answer the passage gives; later turns lean on the ones before.
    has_answer = row["basis"] == "passage" and bool(row["messages"])
    if not has_answer or sum(m["role"] == "user" for m in row["messages"]) != 1:
        return False
    # Of yes and no every second guess is right, which tells nothing of what is known.
    answer = said_by(row)
    return what == "again" or not (says_yes_or_no(answer) or set(words(answer)) <= _AT_ONCE)


def _make_unit(
    prompt: PromptFile, row: Mapping[str, Any], passages: Sequence[Mapping[str, Any]], what: What
) -> Unit:
    answer = said_by(row)
    both = (row["rejected"], answer) if what == "swapped" else (answer, row["rejected"])
    question = {"question": question_before(row)}
    of_row = {**question, "quote": _quote_of(row), "basis": row["basis"]}
    values: dict[Judges, Mapping[str, Any]] = {
        "row": {**of_row, "answer": answer},
        "pair": {**of_row, **dict(zip(("first", "second"), both, strict=True))},
        "answer": question,
    }
    first = passages[0]
    return Unit(
        prompt=prompt,
        chunk=first,
        text="\n\n".join(passage["text"] for passage in passages),
        start=first["start"],
        end=first["end"],
        index=0,
        sample=0,
        variant=values[_JUDGES[what]],
        also=tuple(passages[1:]),
    )


def _quote_of(row: Mapping[str, Any]) -> str:
    import json

    fields = json.loads(row["fields"] or "{}")
    quote = fields.get("quote") if isinstance(fields, dict) else None
    return quote if isinstance(quote, str) else ""
