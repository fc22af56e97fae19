"""Edit a prompt in the project: copy it there, open it, check it on a passage, keep what was."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from domainforge.errors import PromptError
from domainforge.prompt_check import try_prompt
from domainforge.prompt_folder import (
    before_path,
    keep_before,
    new_prompt,
    own_path,
    plain_name,
    shipped_path,
)
from domainforge.prompt_passages import Passages
from domainforge.prompts import PromptFile, load_prompt, parse_prompt


@dataclass(frozen=True)
class Edited:
    """What came of an edit.

    Attributes:
        prompt: As it is now, checked.
        before: The version of before; None where that was faulty.
        changed: Whether anything was.
        passages: What it was checked on.
    """

    prompt: PromptFile
    before: PromptFile | None
    changed: bool
    passages: Passages


def edit_prompt(
    project: Path,
    name: str,
    passages: Passages,
    open_file: Callable[[Path], None],
    wants_again: Callable[[str], bool],
) -> Edited:
    """Let the user edit a prompt until it is good or left as it is.

    What was saved is never taken back. A shipped prompt that was opened and not changed leaves no
    copy behind: one would hide later versions of it.

    Args:
        project: Folder that holds `prompts/`.
        name: Of the prompt.
        passages: What it is checked on.
        open_file: Opens the editor and waits for its end.
        wants_again: Told what is wrong with the file; says whether to open it again.

    Raises:
        PromptError: There is no such prompt, or it was left faulty.
        StorageError: It can't be written.
    """
    plain = plain_name(name, project)
    own = own_path(project, plain)
    is_copy = not own.exists()
    if is_copy:
        new_prompt(project, plain, plain)
    old = own.read_bytes()
    before = None
    with suppress(PromptError):
        before = replace(parse_prompt(own), path=before_path(project, plain))
    try:
        prompt = _edit_until_good(own, passages, open_file, wants_again)
    finally:
        changed = not own.exists() or own.read_bytes() != old
        if changed and before is not None:
            keep_before(project, plain, old.decode())
        if not changed and is_copy:
            own.unlink()
    if not changed:
        prompt = load_prompt(plain, project)
    return Edited(prompt, before, changed, passages.fitting(prompt))


def against(project: Path, name: str, wanted: str | None) -> tuple[str, PromptFile]:
    """Return the version that a prompt is to be compared with, and what to call it.

    Args:
        project: Folder that holds `prompts/`.
        name: Of the prompt.
        wanted: `shipped`, `before` (the last edit), or a file; left out, the shipped one where
            there is one, else that of before.

    Raises:
        PromptError: There is no such version, or it is faulty.
    """
    shipped, before = shipped_path(name), before_path(project, name)
    if wanted is None:
        wanted = "shipped" if shipped.exists() else "before"
    if wanted == "shipped":
        path, why = shipped, f"no shipped prompt is called '{name}'"
    elif wanted == "before":
        path, why = before, f"no edit of '{name}' has kept what was before it"
    else:
        path, why = project / wanted, f"no such file: {wanted}"
    if not path.is_file():
        raise PromptError(f"{why}; name a file to compare with: --against FILE")
    label = wanted if wanted in ("shipped", "before") else path.name
    return label, replace(parse_prompt(path), name=name)


def _edit_until_good(
    path: Path,
    passages: Passages,
    open_file: Callable[[Path], None],
    wants_again: Callable[[str], bool],
) -> PromptFile:
    while True:
        open_file(path)
        try:
            prompt = parse_prompt(path)
            fitting = passages.fitting(prompt)
            try_prompt(prompt, fitting.chunks, fitting.chunk_id)
        except PromptError as error:
            if not wants_again(str(error)):
                raise PromptError(
                    f"{error}\nthe text stays in {path}; `domainforge prompts edit {path.stem}` "
                    "opens it again"
                ) from error
        else:
            return prompt
