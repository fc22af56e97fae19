"""The tasks of a pipeline file: which prompts are asked, how often, and what varies in them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from pydantic import Field

from domainforge.errors import ConfigError, DataError
from domainforge.generation.units import Task, Unit
from domainforge.prompt_header import SharesField
from domainforge.prompts import PromptFile
from domainforge.records import GIVEN, REPLAY, TAKEN_NAMES
from domainforge.stage import Settings

_WANTED = {
    "example": "chats that came with their source, and no document is one; set `chats: true` on a "
    "source of chats",
    "pair": "pairs of passages that are linked or near in meaning, and there are none; add "
    "documents, choose a smaller chunk.max_tokens",
}


class TaskConfig(Settings):
    """One task: a prompt file and how often it is asked."""

    prompt: str = Field(description="Name of a prompt file, for example `qa`.")
    per_chunk: int = Field(
        1,
        ge=1,
        description="Times it is asked of each chunk, or of whatever else the prompt goes over "
        "(sentences, as the embedded teacher needs it; sections, entities, topics, chats); where "
        "it goes over spans, the most spans of one sentence; over pairs, the most pairs of one "
        "chunk.",
    )
    attributes: SharesField = Field(
        {},
        description="Shares in the place of the prompt file's own: "
        "`attributes: {audience: {children: 3, experts: 1}}`.",
    )


def make_tasks(
    configs: Sequence[TaskConfig], find_prompt: Callable[[str], PromptFile]
) -> list[Task]:
    """Put tasks and their prompt files together.

    Raises:
        PromptError: A prompt file that isn't there or can't be used.
        ConfigError: A prompt that is there twice or has a name of ours; an attribute that the
            prompt doesn't have.
    """
    tasks = [Task(find_prompt(each.prompt), each.per_chunk, each.attributes) for each in configs]
    for task in tasks:
        unread = task.attributes.keys() - task.prompt.header.attributes.keys()
        if unread:
            has = ", ".join(task.prompt.header.attributes) or "none"
            raise ConfigError(
                f"generate.tasks: {task.prompt.name}: attributes: {min(unread)!r} is none of the "
                f"prompt file's; it has {has}"
            )
    names = Counter(task.prompt.name for task in tasks)
    double = [name for name, count in names.items() if count > 1]
    if double:
        raise ConfigError(
            f"generate.tasks: {double[0]} is there twice; raise its per_chunk instead"
        )
    for name in sorted(TAKEN_NAMES & names.keys()):
        raise ConfigError(
            f"generate.tasks: no prompt may be called {name}: chats that came with their source "
            f"are called {GIVEN}, general rows {REPLAY}; rename the file"
        )
    return tasks


def tell_idle_tasks(
    configs: Sequence[TaskConfig],
    units: Iterable[Unit],
    find_prompt: Callable[[str], PromptFile],
) -> list[str]:
    """Say which tasks found nothing to ask about.

    Raises:
        DataError: One of them goes over chats or pairs, which the documents can't have.
    """
    busy = {unit.prompt.name for unit in units}
    idle = [prompt for each in configs if (prompt := find_prompt(each.prompt)).name not in busy]
    for prompt in idle:
        if prompt.header.over in _WANTED:
            raise DataError(
                f"generate.tasks: {prompt.name} goes over {_WANTED[prompt.header.over]}, or take "
                "the task out"
            )
    return [
        f"{prompt.name} asks nothing: no {prompt.header.over.replace('_', ' ')} was found in these "
        "documents (names are told by capital letters, topics by words in common)"
        for prompt in idle
    ]
