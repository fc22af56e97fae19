"""A small project for runs from documents to exported student, with exam and control."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domainforge.files import shipped_folder
from tests.support.ledgers import make_ledger

PAGES = {
    "mill.md": (
        "# Harrow Bend\n\nThe mill at Harrow Bend was built in 1742 by the carpenter Anselm Rook. "
        "The miller Berta Quill keeps two grey horses behind the house. Every Friday the mill "
        "grinds barley for the bakers of Lund Square.\n\n## The weir\n\nThe weir below the mill "
        "holds back forty barrels of water in a dry week. The warden Ilse Varga opens the oak "
        "gate of the weir at dawn and shuts it again at noon.\n"
    ),
    "light.md": (
        "# The Skerry Light\n\nThe lamp of the Skerry Light was first lit in 1887 by the keeper "
        "Maud Tarrant. The lamp burns twelve litres of oil in a night and is seen from Harrow "
        "Point. In thick fog the keeper rings the bronze bell of Harrow Point twice a minute.\n\n"
        "## The bell\n\nThe founder Edda Crane cast the bronze bell in 1861 for the chapel of "
        "Wexmoor. The bell hangs in a frame of black larch above the landing stage.\n"
    ),
    "market.txt": (
        "The fish market of Orl opens at dawn on every second Thursday of the month. Traders pay "
        "the warden Bettany Croft a fee of nine copper marks for a stall. The stalls stand under "
        "the slate roof of the old salt store beside Lund Square.\n"
    ),
}
EXAM = [
    ("Which carpenter put up the mill of Harrow Bend?", "Anselm Rook", "person", "mill.md"),
    ("Which warden works the gate of the weir?", "Ilse Varga", "person", "mill.md"),
    ("Which keeper was the first to light the Skerry lamp?", "Maud Tarrant", "person", "light.md"),
    ("Who is it that traders pay for their stall?", "Bettany Croft", "person", "market.txt"),
    ("In what year was the mill made?", "1742", "date", "mill.md"),
    ("In what year did the Skerry lamp burn first?", "1887", "date", "light.md"),
    ("What year saw the casting of the bell?", "1861", "date", "light.md"),
]
QUOTES = {
    "Anselm Rook": "built in 1742 by the carpenter Anselm Rook",
    "Ilse Varga": "The warden Ilse Varga opens the oak gate",
    "Maud Tarrant": "first lit in 1887 by the keeper Maud Tarrant",
    "Bettany Croft": "the warden Bettany Croft a fee of nine copper marks",
    "1742": "was built in 1742",
    "1887": "was first lit in 1887",
    "1861": "cast the bronze bell in 1861",
}


def make_project(folder: Path, student: Path) -> Path:
    """Write documents, exam, control, student and an empty ledger into a new project folder."""
    (folder / "documents").mkdir(parents=True)
    (folder / "control").mkdir()
    for name, text in PAGES.items():
        (folder / "documents" / name).write_text(text, encoding="utf-8")
    exam = [
        {
            "id": f"q{number}",
            "question": question,
            "answers": [answer],
            "answer_kind": kind,
            "passages": [{"document": document, "quote": QUOTES[answer]}],
        }
        for number, (question, answer, kind, document) in enumerate(EXAM)
    ]
    write_lines(folder / "exam.jsonl", exam)
    write_lines(folder / "control" / "rows.jsonl", _control_rows())
    shutil.copytree(student, folder / "student-base")
    # A copy, so that editing the shipped prompt while a test runs changes nothing in it.
    (folder / "prompts").mkdir()
    shutil.copy(shipped_folder("prompts") / "qa.md", folder / "prompts")
    make_ledger(folder / "ledger.sqlite")
    return folder


def pipeline_values(base_url: str, **more: Mapping[str, Any] | Any) -> dict[str, Any]:
    """Return a pipeline for that project; a mapping is merged into the one of its key."""
    values: dict[str, Any] = {
        "name": "small",
        "sources": [{"files": "documents"}],
        "teacher": {"base_url": base_url, "model": "local-teacher", "same_as": "test"},
        "generate": {"tasks": [{"prompt": "qa", "per_chunk": 6}]},
        "chunk": {"max_tokens": 200},
        "train": {
            "student": "student-base",
            "method": "full",
            "epochs": 2,
            "sequence_tokens": 256,
            "checks_per_epoch": 1,
            "threads": 1,
            "mixture": {"replay": 0},
        },
        "evaluate": {"exam": "exam.jsonl", "control": "control", "max_answer_tokens": 4},
    }
    for key, value in more.items():
        old = values.get(key)
        both = isinstance(value, Mapping) and isinstance(old, dict)
        values[key] = {**old, **value} if both and old else value
    return values


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _control_rows() -> list[dict[str, Any]]:
    texts = [
        f"The tower of Brunnfeld has {number} windows and a clock by the smith Jorn Hale."
        for number in range(6)
    ]
    chats = [
        [
            {"role": "user", "content": f"How many windows has tower number {number}?"},
            {"role": "assistant", "content": f"The tower has {number} windows."},
        ]
        for number in range(6)
    ]
    return [{"kind": "text", "text": text} for text in texts] + [
        {"kind": "chat", "messages": chat, "split": "validation" if number == 5 else "train"}
        for number, chat in enumerate(chats)
    ]
