"""A row as a text to edit: what each side says under a line of its own, and back again."""

from collections.abc import Callable
from pathlib import Path

from domainforge.errors import DataError
from domainforge.labels import Content, Message
from domainforge.run_folder import storage_errors, write_atomic

DRAFTS = ".review"
_MARK = "=== "
_PASSAGE = "passage"
_HEAD = (
    "Change what stands under the lines that begin with ===, and leave these lines as they are.\n"
    "What stands above the first of them, and the passage, is not read.\n\n"
)


def edit_content(
    project: Path,
    row_id: str,
    content: Content,
    passage: str,
    open_file: Callable[[Path], None],
    wants_again: Callable[[str], bool],
) -> Content | None:
    """Let the user rewrite a row; a draft stays in the project until it is a label.

    Args:
        project: Holds the draft.
        row_id: Names it: an edit that was interrupted goes on.
        content: What the row says now.
        passage: Put below, only to be read.
        open_file: Opens the editor and waits for its end.
        wants_again: Told what is wrong with the text; says whether to open it again.

    Returns:
        What it says from now on; None where nothing was changed, or the user gave up.

    Raises:
        StorageError: The draft can't be written.
        ConfigError: There is no editor.
    """
    path = draft_path(project, row_id)
    if not path.exists():
        write_atomic(path, write_draft(content, passage))
    while True:
        open_file(path)
        try:
            edited = read_draft(path, content)
        except DataError as error:
            if wants_again(str(error)):
                continue
            return None
        if edited != content:
            return edited
        drop_draft(project, row_id)
        return None


def draft_path(project: Path, row_id: str) -> Path:
    """Return where the draft of a row lies."""
    return project / DRAFTS / f"{row_id}.txt"


def drop_draft(project: Path, row_id: str) -> None:
    """Remove a draft that is a label now, or that changes nothing."""
    path = draft_path(project, row_id)
    with storage_errors(path):
        path.unlink(missing_ok=True)


def write_draft(content: Content, passage: str) -> str:
    """Write a row as a text to edit."""
    parts = [f"{_MARK}{name}\n{_escape(text)}\n" for name, text in _parts(content)]
    return _HEAD + "\n".join(parts) + f"\n{_MARK}{_PASSAGE}\n{_escape(passage)}\n"


def read_draft(path: Path, content: Content) -> Content:
    """Read a text back.

    Args:
        path: The text.
        content: What the row said: its sides stay.

    Raises:
        DataError: The text can't be read, a line that must stay is gone, or nothing is under it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: {error}") from error
    found: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        if line.startswith(_MARK):
            found.append((line.removeprefix(_MARK).strip(), []))
        elif found:
            found[-1][1].append(line.removeprefix("\\") if line.startswith("\\") else line)
    if found and found[-1][0] == _PASSAGE:
        found.pop()
    wanted = [name for name, _ in _parts(content)]
    if [name for name, _ in found] != wanted:
        lines = ", ".join(f"{_MARK}{name}" for name in wanted)
        raise DataError(f"{path}: these lines must stay, in this order: {lines}")
    said = ["\n".join(lines).strip() for _, lines in found]
    empty = [name for name, text in zip(wanted, said, strict=True) if not text]
    if empty:
        raise DataError(f"{path}: nothing stands under {_MARK}{empty[0]}")
    return _with_parts(content, said)


def _parts(content: Content) -> list[tuple[str, str]]:
    parts = [(str(message.role), message.content) for message in content.messages]
    if content.rejected is not None:
        parts.append(("rejected", content.rejected))
    if not content.messages:
        parts.append(("text", content.text or ""))
    return parts


def _with_parts(content: Content, said: list[str]) -> Content:
    # What only differs by the space around it was not changed.
    kept = [
        old if _one_end(old).strip() == new else new
        for (_, old), new in zip(_parts(content), said, strict=True)
    ]
    messages = tuple(
        Message(role=message.role, content=text)
        for message, text in zip(content.messages, kept, strict=False)
    )
    rejected = None if content.rejected is None else kept[len(messages)]
    text = content.text if messages else kept[-1]
    return Content(messages=messages, rejected=rejected, text=text)


def _escape(text: str) -> str:
    """Keep a line of the row from being taken for one of ours."""
    lines = _one_end(text).split("\n")
    return "\n".join(f"\\{line}" if line.startswith(("=", "\\")) else line for line in lines)


def _one_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
