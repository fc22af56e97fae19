"""The exam: questions whose answers are known, written before the first training run."""

import csv
import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError, field_validator

from domainforge.errors import ConfigError
from domainforge.files import file_hash
from domainforge.stage import Settings

Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

_CSV_LISTS = ("answers", "passages")


class ExamPassage(Settings):
    """A sentence of the documents that holds the answer, or a part of it."""

    quote: Filled = Field(description="The words as they stand in the document.")
    document: str | None = Field(None, description="Uri of the document.")


class ExamQuestion(Settings):
    """One question whose answer is known."""

    id: Filled = Field(description="Name of the question; its line number where it has none.")
    question: Filled = Field(description="The question as it is asked, without any passage.")
    answers: tuple[Filled, ...] = Field(min_length=1, description="Right answers, the best first.")
    answer_kind: Filled | None = Field(
        None, description="What the answer is (person, place, number ...); wrong ones match it."
    )
    document: str | None = Field(
        None, description="Uri of the document, where no passage names it."
    )
    passages: tuple[ExamPassage, ...] = Field(
        (), description="What must be known: quotes, each with its document where that is known."
    )

    @field_validator("passages", mode="before")
    @classmethod
    def _read_quotes(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [{"quote": part} if isinstance(part, str) else part for part in value]

    @property
    def one_passage(self) -> bool:
        """Whether one passage is enough to answer (so it is taken where none is named)."""
        return len(self.passages) < 2


@dataclass(frozen=True)
class _Record:
    """A question as the file has it, or what is wrong with the line."""

    line: int
    value: Any = None
    fault: str | None = None


def load_exam(path: Path) -> tuple[ExamQuestion, ...]:
    """Read an exam from JSON Lines, or from CSV with several answers separated by `|`.

    Raises:
        ConfigError: The file can't be read, or lines in it are wrong; names all of them.
    """
    records = _read_csv(path) if path.suffix.lower() == ".csv" else _read_jsonl(path)
    questions: list[ExamQuestion] = []
    faults: list[str] = []
    lines: dict[str, int] = {}
    for record in records:
        found, problems = _parse(record)
        if found is not None:
            for name, key in (("id", found.id), ("question", found.question.casefold())):
                earlier = lines.setdefault(f"{name}:{key}", record.line)
                if earlier != record.line:
                    problems.append(f"{name}: the same as in line {earlier}")
            questions.append(found)
        faults += [f"{path}:{record.line}: {problem}" for problem in problems]
    if not questions and not faults:
        faults = [f"{path}: no questions; each line is an object with question and answers"]
    if faults:
        raise ConfigError("\n".join(faults))
    return tuple(questions)


def exam_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal."""
    return file_hash(path)


def _parse(record: _Record) -> tuple[ExamQuestion | None, list[str]]:
    if record.fault is not None:
        return None, [record.fault]
    if not isinstance(record.value, dict):
        return None, [f"an object with question and answers wanted, not {_name(record.value)}"]
    try:
        return ExamQuestion(**{"id": f"line-{record.line}", **record.value}), []
    except ValidationError as error:
        return None, [_explain(fault) for fault in error.errors()]


def _explain(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = ExamPassage if fault["loc"][0] == "passages" else ExamQuestion
        near = difflib.get_close_matches(str(fault["loc"][-1]), known.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{place}: unknown key{hint}"
    if fault["type"] == "missing":
        return f"{place}: missing"
    return f"{place}: {fault['msg'].lower()}, not {_name(fault['input'])}"


def _name(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise ConfigError(f"{path}: the exam can't be read ({error.strerror})") from error


def _read_jsonl(path: Path) -> Iterator[_Record]:
    # Not splitlines(): JSON strings may hold the other line separators that it splits at.
    for number, line in enumerate(_read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield _Record(number, json.loads(line))
        except ValueError as error:
            yield _Record(number, fault=f"not JSON: {error}")


def _read_csv(path: Path) -> Iterator[_Record]:
    reader = csv.DictReader(_read_text(path).splitlines(keepends=True))
    for row in reader:
        if None in row:
            yield _Record(reader.line_num, fault="more cells than the header has columns")
            continue
        value: dict[str, Any] = {name: cell.strip() for name, cell in row.items() if cell}
        for name in _CSV_LISTS:
            if name in value:
                value[name] = [part.strip() for part in value[name].split("|") if part.strip()]
        yield _Record(reader.line_num, value)
