import io
import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from domainforge.cli import app
from domainforge.errors import ConfigError, DataError
from domainforge.highlight import find_proof
from domainforge.label_file import LABELS, LabelFile
from domainforge.labels import Content, Labels, content_of, label_row
from domainforge.review import Review, ReviewRow, Wanted
from domainforge.review_draft import draft_path, edit_content, read_draft, write_draft
from domainforge.review_exchange import export_rows, import_labels
from domainforge.review_screen import draw_review
from domainforge.run_folder import RunFolder, read_table
from tests.support.small_run import make_project, make_small_run
from tests.support.terminal import Terminal


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("review") / "project")
    make_small_run(project)
    return project


@pytest.fixture
def run(made: Path) -> RunFolder:
    (made / LABELS).unlink(missing_ok=True)
    shutil.rmtree(made / ".review", ignore_errors=True)
    return RunFolder(made / "runs" / "small")


def judged(run: RunFolder) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_table(run.stage_folder("judged")).to_pylist()
    return rows


def shown(review: Review) -> ReviewRow:
    found = review.current()
    assert found is not None
    return found


def drawn(review: Review, columns: int = 80, lines: int = 24, *, whole: bool = False) -> str:
    console = Console(width=columns, height=lines, file=io.StringIO(), color_system=None)
    draw_review(console, review, whole=whole)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_going_through_rows(made: Path, run: RunFolder) -> None:
    rows = judged(run)
    review = Review(made, run, Wanted())
    assert (review.total, review.number, shown(review).row["id"]) == (len(rows), 1, rows[0]["id"])
    review.say("keep")
    review.forward()
    review.say("drop", comment="wrong")
    review.say("keep")
    assert [label.comment for label in review.given] == ["", "wrong", "wrong"]
    review.forward()
    assert review.undo()
    assert shown(review).row["id"] == rows[1]["id"]
    assert (label := shown(review).label) is not None
    assert label.verdict == "drop"
    assert review.undo()
    assert review.undo()
    assert (review.number, shown(review).label, review.labelled) == (1, None, 0)
    assert not review.undo()
    for _ in range(len(rows) + 2):
        review.forward()
    assert review.current() is None
    review.back()
    assert shown(review).row["id"] == rows[-1]["id"]


def test_what_was_said_is_there_next_time(made: Path, run: RunFolder) -> None:
    rows = judged(run)
    first = Review(made, run, Wanted(), who="Ada")
    first.say("drop", comment="twice")
    again = Review(made, run, Wanted())
    assert (label := shown(again).label) is not None
    assert (label.verdict, label.comment, label.who, label.run) == ("drop", "twice", "Ada", "small")
    unlabelled = Review(made, run, Wanted(unlabelled=True, limit=1))
    assert shown(unlabelled).row["id"] == rows[1]["id"]
    unlabelled.forward()
    assert unlabelled.current() is None
    assert again.undo()
    assert shown(Review(made, run, Wanted())).label is None


def test_dropped_rows_by_reason(made: Path, run: RunFolder) -> None:
    every = Review(made, run, Wanted(dropped=True))
    reasons = set()
    while (found := every.current()) is not None:
        reasons.add(found.row["reason"])
        every.forward()
    assert {"near_duplicate"} < reasons
    one = Review(made, run, Wanted(reason="near_duplicate"))
    assert one.total < every.total
    assert "dropped: near_duplicate: " in drawn(one)
    with pytest.raises(ConfigError, match=r"nothing was dropped as 'odd'; there are: .*near_dupl"):
        Review(made, run, Wanted(reason="odd"))
    with pytest.raises(ConfigError, match="filter, dedup, judge can be labelled"):
        Review(made, run, Wanted(stage="ingest"))


def fake(review: Review, **changes: Any) -> Review:
    """Show another row in the place of the current one."""
    found = replace(shown(review), **changes)
    review.current = lambda: found  # type: ignore[method-assign]
    return review


def long_row(review: Review) -> Review:
    sentence = "Sentence {0} says that keeper number {0} walks {1} miles."
    text = " ".join(sentence.format(number, number * 7) for number in range(60))
    messages = [
        {"role": "user", "content": "How far does keeper 41 walk? \x1b[2J[red]x[/red]\u202e"},
        {"role": "assistant", "content": "287 miles. " + "He walks and walks. " * 60},
    ]
    base = dict(shown(review).row)
    row = {**base, "messages": messages, "fields": {"quote": "Number 41\n walks 287 miles"}}
    chunk = {**shown(review).passages[0], "text": text, "uri": "a/" + "long" * 40}
    return fake(review, row=row, content=content_of(row), passages=[chunk])


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (40, 12), (200, 50)])
def test_the_screen_fits_and_shows_what_counts(
    made: Path, run: RunFolder, columns: int, lines: int
) -> None:
    said = drawn(long_row(Review(made, run, Wanted())), columns, lines)
    assert said.count("\n") <= lines
    assert max(map(len, said.split("\n"))) <= columns
    flat = " ".join(said.split())
    for text in ("question: How far does", "answer: 287 miles", "[[number 41 walks 287 miles"):
        assert text in flat
    assert ("... (m shows all of it)" in flat) == (lines < 50)
    assert "q quit" in flat


def test_more_shows_all_of_it(made: Path, run: RunFolder) -> None:
    said = " ".join(drawn(long_row(Review(made, run, Wanted())), whole=True).split())
    assert "Sentence 0 says" in said
    assert "Sentence 59 says" in said
    assert "m shows all" not in said


def test_documents_command_neither_terminal_nor_markup(made: Path, run: RunFolder) -> None:
    said = drawn(long_row(Review(made, run, Wanted())))
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "[red]x[/red]" in said


def test_proof_is_the_quote_or_the_nearest_sentence() -> None:
    text = "The lamp burns oil. It was first\nlit on 4 May 1887, by Maud Tarrant. Bells ring."

    def proof(quote: str | None, answer: str) -> list[str]:
        spans = find_proof(text, quote, "When was the lamp lit?", answer)
        return [text[start:end] for start, end in spans]

    assert proof("it was FIRST lit ... Maud Tarrant", "1887") == [
        "It was first\nlit",
        "Maud Tarrant",
    ]
    wanted = ["It was first\nlit on 4 May 1887, by Maud Tarrant."]
    assert proof(None, "On 4 May 1887.") == wanted
    assert proof("not there at all", "On 4 May 1887.") == wanted
    assert proof(None, "Zebras everywhere") == ["The lamp burns oil."]
    assert find_proof(text, None, "Who?", "Zebras") == []
    assert find_proof("", None, "Who?", "Zebras") == []


CONTENT = Content.model_validate(
    {
        "messages": [
            {"role": "user", "content": "=== user\n\\ odd\r\nlines?"},
            {"role": "assistant", "content": " An answer. "},
        ],
        "rejected": "A worse one.",
    }
)


def test_a_draft_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "draft.txt"
    for content in (CONTENT, Content(text="=== passage\n\nText.")):
        path.write_text(write_draft(content, "=== rejected\nThe passage."))
        assert read_draft(path, content) == content


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("=== assistant", "=== someone", "these lines must stay, in this order"),
        ("A worse one.", "  ", "nothing stands under === rejected"),
    ],
)
def test_a_broken_draft_is_opened_again_or_kept(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    told: list[str] = []

    def spoil(path: Path) -> None:
        path.write_text(path.read_text().replace(old, new))

    def give_up(text: str) -> bool:
        told.append(text)
        return False

    def mend(path: Path) -> None:
        path.write_text(write_draft(CONTENT, "").replace("A worse", "Much the worst"))

    assert edit_content(tmp_path, "row", CONTENT, "", spoil, give_up) is None
    assert fault in told[0]
    assert draft_path(tmp_path, "row").exists()
    edited = edit_content(tmp_path, "row", CONTENT, "", mend, lambda text: False)
    assert edited is not None
    assert edited.rejected == "Much the worst one."
    assert edited.messages == CONTENT.messages


def test_rows_go_out_to_a_file_and_labels_come_back(made: Path, run: RunFolder) -> None:
    rows, path = judged(run), made / "rows.jsonl"
    path.unlink(missing_ok=True)
    assert export_rows(made, run, Wanted(limit=4), path) == 4
    with pytest.raises(ConfigError, match="is there already"):
        export_rows(made, run, Wanted(), path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["row"] for line in lines] == [row["id"] for row in rows[:4]]
    assert all(line["passage"] and line["verdict"] is None for line in lines)
    assert import_labels(made, run, path) == 0
    lines[0]["verdict"] = "drop"
    lines[1] |= {"verdict": "keep", "comment": "fine"}
    lines[2]["verdict"] = "keep"
    lines[2]["messages"][1]["content"] = "Something else."
    path.write_text("\n".join(map(json.dumps, lines)))
    assert import_labels(made, run, path, "Ada") == 3
    labels = LabelFile(made).read()
    found = [labels.find(row) for row in rows[:4]]
    assert [label and label.verdict for label in found] == ["drop", "keep", "keep", None]
    assert [label and label.edited is not None for label in found] == [False, False, True, None]
    assert found[1] is not None
    assert (found[1].comment, found[1].who) == ("fine", "Ada")


def test_what_the_filter_took_out_of_a_row_is_no_edit(
    made: Path, run: RunFolder, tmp_path: Path
) -> None:
    shutil.copytree(run.path, tmp_path / "runs" / "small")
    copy, row_id = RunFolder(tmp_path / "runs" / "small"), judged(run)[0]["id"]
    for name in ("kept", "unique", "judged"):
        (part,) = copy.stage_folder(name).glob("part-*.parquet")
        table = pq.read_table(part)
        rows = table.to_pylist()
        for row in rows:
            if row["id"] == row_id:
                row["messages"][1]["content"] = "Ask [e-mail removed]."
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), part)
    path = tmp_path / "rows.jsonl"
    export_rows(tmp_path, copy, Wanted(limit=1), path)
    line = json.loads(path.read_text())
    path.write_text(json.dumps(line | {"verdict": "drop"}))
    assert import_labels(tmp_path, copy, path) == 1
    (label,) = LabelFile(tmp_path).read()
    assert (label.row, label.verdict, label.edited) == (row_id, "drop", None)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "line"),
        ('{"row": "0", "verdict": "maybe"}', "verdict"),
        ('{"row": "0", "verdict": "drop"}', "has no row 0"),
        ('{"row": "ROW", "verdict": "keep", "text": "x"}', "must have the same messages"),
        ('{"row": "ROW", "verdict": "keep", "messages": []}', "messages"),
    ],
)
def test_a_bad_file_of_labels_labels_nothing(
    made: Path, run: RunFolder, line: str, fault: str
) -> None:
    rows, path = judged(run), made / "bad.jsonl"
    good = json.dumps({"row": rows[1]["id"], "verdict": "drop"})
    path.write_text(f"{good}\n{line.replace('ROW', rows[0]['id'])}\n")
    with pytest.raises(DataError, match=f"(?s){fault}.*nothing was labelled"):
        import_labels(made, run, path)
    assert not (made / LABELS).exists()


def test_without_a_terminal_it_says_what_to_do(
    made: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    ended = CliRunner().invoke(app, ["review", "small"])
    assert ended.exit_code == ConfigError.exit_code
    assert "--export rows.jsonl" in ended.stderr
    assert "--labels rows.jsonl" in ended.stderr


def test_a_file_without_a_verdict_labels_nothing_and_says_so(
    made: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    ask = CliRunner().invoke
    told = ask(app, ["review", "small", "--limit", "1", "--export", "one.jsonl"]).stdout
    assert "wrote 1 row; fill in" in told
    told = ask(app, ["review", "small", "--labels", "one.jsonl"]).stdout
    assert told == "one.jsonl has no row with a verdict; nothing was labelled\n"
    assert not (made / LABELS).exists()


EDITOR = """
import sys
from pathlib import Path
path = Path(sys.argv[1])
head, mark, rest = path.read_text().partition("=== assistant\\n")
path.write_text(head + mark + "By hand.\\n\\n=== passage\\n")
"""


def test_keys_on_a_real_terminal(made: Path, run: RunFolder, tmp_path: Path) -> None:
    rows = judged(run)
    (tmp_path / "editor.py").write_text(EDITOR)
    editor = {"EDITOR": f"{sys.executable} {tmp_path / 'editor.py'}", "VISUAL": ""}
    terminal = Terminal(["review", "small"], made, editor)
    terminal.wait_for("q quit")
    for keys, answer in (
        ("k", "row 2 of"),
        ("z", "no such key: z"),
        ("d", "row 3 of"),
        ("c", "comment (Enter alone: none):"),
        ("odd \u00e9\n", "(no|odd"),
        ("e", "edited and kept"),
        ("u", "taken back"),
        ("u", "taken back"),
        ("\x1b[C", "row 4 of"),
    ):
        terminal.type(keys)
        if answer == "(no|odd":
            assert "odd \u00e9" in terminal.wait_for("q quit")
        else:
            terminal.wait_for(answer)
    labels = LabelFile(made).read()
    assert [label.verdict for label in labels] == ["keep", "drop"]
    terminal.type("q")
    assert terminal.end() == 0
    assert "2 labels given: 1 keep, 1 drop" in terminal.said
    assert labels.find(rows[0]) is not None
    terminal = Terminal(["review", "small"], made, editor)
    terminal.wait_for("q quit")
    terminal.type("u")
    terminal.wait_for("taken back")
    terminal.type("q")
    assert terminal.end() == 0
    assert "1 label of before taken back; the next run of small does so too" in terminal.said
    assert [label.verdict for label in LabelFile(made).read()] == ["drop"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_nothing_is_lost_whatever_ends_it(made: Path, run: RunFolder, how: str) -> None:
    terminal = Terminal(["review", "small"], made)
    terminal.wait_for("q quit")
    terminal.type("kd")
    terminal.wait_for("row 3 of")
    if how == "interrupt":
        terminal.type("\x03")
    else:
        os.kill(terminal.child.pid, signal.SIGKILL)
    assert terminal.end() == (130 if how == "interrupt" else -signal.SIGKILL)
    assert [label.verdict for label in LabelFile(made).read()] == ["keep", "drop"]


def test_a_label_shows_on_the_screen(made: Path, run: RunFolder) -> None:
    row = judged(run)[0]
    edited = content_of(row).model_copy(
        update={
            "messages": tuple(
                m.model_copy(update={"content": "Now."}) for m in content_of(row).messages
            )
        }
    )
    LabelFile(made).add(label_row(row, "keep", Labels(), edited=edited, comment="[b]so\nmuch"))
    said = drawn(Review(made, run, Wanted()))
    assert "keep, edited (" in said
    assert ": [b]so much)" in said
    assert "answer: Now." in said
