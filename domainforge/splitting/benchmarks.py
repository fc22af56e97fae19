"""Public benchmarks whose items no row may hold, read from files that the user brings."""

import json
from pathlib import Path
from typing import Any

from domainforge.deduplicate.overlap import ExamItem
from domainforge.errors import ConfigError

_SHOWN_FAULTS = 8
_MOST_ID_CHARS = 100


def load_benchmark(path: Path) -> list[ExamItem]:
    """Read a benchmark's items: JSON lines with `question`, or with `text` where it has none.

    `answers` (or `answer`) are a text or a list of texts; other keys are not read. An item is
    named by the file and its `id`, or its line where that is no short text.

    Raises:
        ConfigError: The file can't be read, has no item, or lines in it are wrong.
    """
    items: list[ExamItem] = []
    faults: list[str] = []
    for number, line in enumerate(_read(path).split("\n"), 1):
        if line.strip():
            try:
                items.append(_item(json.loads(line), f"{path.name}:{number}", path.name))
            except (ValueError, RecursionError) as error:
                faults.append(f"split.benchmarks: {path}:{number}: {error}")
    if not items and not faults:
        faults = [f"split.benchmarks: {path}: no items; each line is an object with question"]
    if faults:
        more = len(faults) - _SHOWN_FAULTS
        tail = [f"and {more} more lines"] if more > 0 else []
        raise ConfigError("\n".join([*faults[:_SHOWN_FAULTS], *tail]))
    return items


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise ConfigError(f"split.benchmarks: {path}: not UTF-8 ({where})") from error
    except OSError as error:
        raise ConfigError(
            f"split.benchmarks: {path} can't be read ({error.strerror}); name a file of JSON lines"
        ) from error


def _item(value: Any, name: str, file: str) -> ExamItem:
    if not isinstance(value, dict):
        raise ValueError(f"an object wanted, not {type(value).__name__}")
    asked = value.get("question", value.get("text"))
    if not isinstance(asked, str) or not asked.strip():
        raise ValueError("question or text wanted, a text that isn't empty")
    given = value.get("answers", value.get("answer", []))
    answers = tuple(str(answer) for answer in (given if isinstance(given, list) else [given]))
    known = value.get("id")
    # It will stand in evidence: on one line, in a table that takes no half characters.
    is_name = isinstance(known, str | int) and len(str(known)) <= _MOST_ID_CHARS
    own = f"{file}:{known}" if is_name and str(known).isprintable() else name
    return ExamItem(own, asked, tuple(answer for answer in answers if answer.strip()))
