"""A project's own prompt files beside the shipped ones: write, copy, compare, put back."""

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from domainforge.errors import ConfigError, PromptError, StorageError
from domainforge.files import shipped_folder
from domainforge.prompt_skeleton import SKELETON
from domainforge.prompts import load_prompt, parse_prompt, prompt_names
from domainforge.records import TAKEN_NAMES
from domainforge.run_folder import storage_errors, write_atomic

State = Literal["shipped", "yours", "changed", "copy"]
"""Where a prompt is from: `changed` and `copy` are copies of a shipped one, in the project."""

_NAME = re.compile(r"\w[\w-]*")


@dataclass(frozen=True)
class Listed:
    """A prompt in a list.

    Attributes:
        purpose: What it is for; empty where the file is faulty.
        fault: What is wrong with the file.
    """

    name: str
    state: State
    path: Path
    purpose: str
    fault: str | None = None


@dataclass(frozen=True)
class Restored:
    """What `restore` did.

    Attributes:
        kept: Where the user's text is now; None where it said what the shipped one says.
    """

    name: str
    kept: Path | None


def list_prompts(project: Path) -> list[Listed]:
    """Return all prompts, a faulty one among them."""
    found = []
    for name in sorted(prompt_names(project)):
        path = own_path(project, name)
        path = path if path.exists() else shipped_path(name)
        try:
            purpose, fault = parse_prompt(path).header.purpose, None
        except PromptError as error:
            purpose, fault = "", str(error)
        found.append(Listed(name, state_of(project, name), path, purpose, fault))
    return found


def plain_name(name: str, project: Path) -> str:
    """Return the name that was typed, which may be that of a file in `prompts/`.

    Raises:
        PromptError: There is no such prompt; names the nearest.
    """
    plain = name.removeprefix("prompts/").removesuffix(".md")
    if plain not in prompt_names(project) or not _NAME.fullmatch(plain):
        load_prompt(name, project)  # says what there is
        raise PromptError(f"{name}: give the name of a prompt in prompts/, not another file")
    return plain


def own_path(project: Path, name: str) -> Path:
    """Return where the project's own version is, or would be."""
    return project / "prompts" / f"{name}.md"


def shipped_path(name: str) -> Path:
    """Return where the shipped version is, or would be."""
    return shipped_folder("prompts") / f"{name}.md"


def before_path(project: Path, name: str) -> Path:
    """Return where `edit` keeps the text of before the last edit."""
    return project / "prompts" / f"{name}.md.before"


def state_of(project: Path, name: str) -> State:
    """Tell where a prompt is from, and whether the project's own differs from the shipped one."""
    own, shipped = own_path(project, name), shipped_path(name)
    if not own.exists():
        return "shipped"
    if not shipped.exists():
        return "yours"
    return "copy" if own.read_bytes() == shipped.read_bytes() else "changed"


def new_prompt(project: Path, name: str, source: str | None = None) -> Path:
    """Write a new prompt file: a copy of another, or a skeleton.

    Args:
        project: Its folder `prompts` is made where it isn't there.
        name: Of the new prompt.
        source: Prompt to copy; left out, the skeleton.

    Raises:
        ConfigError: The name can't be one, is taken, or is a shipped prompt's.
        PromptError: There is no such prompt to copy.
        StorageError: It can't be written.
    """
    plain = name.removeprefix("prompts/").removesuffix(".md")
    if not _NAME.fullmatch(plain) or plain in TAKEN_NAMES:
        raise ConfigError(
            f"{name!r} can't name a prompt: letters, digits, '_' and '-' only, and none of "
            f"{', '.join(sorted(TAKEN_NAMES))}, which rows without a prompt are known by"
        )
    text = SKELETON if source is None else load_prompt(source, project).path.read_text("utf-8")
    path = own_path(project, plain)
    if path.exists():
        raise ConfigError(
            f"{path}: is there already and stays as it is; `domainforge prompts edit {plain}` "
            "opens it"
        )
    if shipped_path(plain).exists() and source != plain:
        raise ConfigError(
            f"'{plain}' is a shipped prompt, which a new one would hide; choose another name, or "
            f"change it for this project: domainforge prompts edit {plain}"
        )
    with _writing(path):
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return path


def diff_prompt(project: Path, name: str) -> list[str]:
    """Return what the project's own says otherwise than the shipped one, as a unified diff.

    Empty where nothing differs.

    Raises:
        PromptError: There is no such prompt.
    """
    plain = plain_name(name, project)
    own, shipped = own_path(project, plain), shipped_path(plain)
    if not own.exists() or not shipped.exists():
        return []
    old, new = (
        path.read_text(encoding="utf-8", errors="replace").splitlines() for path in (shipped, own)
    )
    names = (f"shipped/{plain}.md", f"prompts/{plain}.md")
    return list(difflib.unified_diff(old, new, *names, lineterm=""))


def restore_prompt(project: Path, name: str) -> Restored:
    """Put the shipped prompt back by moving the project's own aside; no text is lost.

    Raises:
        PromptError: There is no such prompt, or nothing shipped of that name.
        ConfigError: The project has none of its own.
        StorageError: It can't be moved.
    """
    plain = plain_name(name, project)
    own, state = own_path(project, plain), state_of(project, plain)
    if state == "yours":
        raise PromptError(f"{own}: is yours alone, and no shipped prompt has that name")
    if state == "shipped":
        raise ConfigError(f"the shipped '{plain}' is in use already; {own} isn't there")
    with _writing(own):
        if state == "copy":
            own.unlink()
            return Restored(plain, None)
        kept = free_name(own)
        own.rename(kept)
    return Restored(plain, kept)


def free_name(path: Path) -> Path:
    """Return a name beside a file that nothing has yet: `qa.md.bak`, `qa.md.bak2` ..."""
    number = 1
    while True:
        found = path.with_name(f"{path.name}.bak{number if number > 1 else ''}")
        if not found.exists() and not found.is_symlink():
            return found
        number += 1


def keep_before(project: Path, name: str, text: str) -> Path:
    """Keep the text of before an edit.

    Raises:
        StorageError: It can't be written.
    """
    path = before_path(project, name)
    with _writing(path):
        write_atomic(path, text)
    return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        with storage_errors(path):
            yield
    except OSError as error:
        raise StorageError(f"{path}: can't be written ({error.strerror})") from error
