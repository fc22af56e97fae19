import io
import json
import os
import pty
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from domainforge.cli import app
from domainforge.editor import find_editor
from domainforge.errors import BudgetError, ConfigError, PromptError
from domainforge.files import shipped_folder
from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.prompt_trial import Outcome, Said, Sample, Trial
from domainforge.prompt_views import print_trial
from domainforge.teacher.ledger import Ledger
from tests.support.command import COMMAND, ROOT
from tests.support.ledgers import make_ledger
from tests.support.small_run import (
    PAGES,
    PROMPT,
    make_project,
    pipeline_values,
    write_pipeline_file,
)
from tests.support.teacher_server import TeacherServer

SHIPPED = shipped_folder("prompts")
QA = (SHIPPED / "qa.md").read_text()
BRIEF = "s/You write questions/You write brief questions/"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose run `small` has its passages, and asked nothing yet."""
    project = make_project(tmp_path_factory.mktemp("prompts") / "project")
    make_ledger(project / "ledger.sqlite")
    pipeline = check_pipeline(pipeline_values("http://127.0.0.1:9/v1"), "small.yaml")
    run_pipeline(pipeline, project, until_stage="assign")
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of that project."""
    shutil.copytree(finished, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(project: Path) -> Iterator[TeacherServer]:
    """Run a teacher and let `small.yaml` name it."""
    with TeacherServer() as server:
        write_pipeline_file(project / "small.yaml", pipeline_values(server.base_url))
        yield server


def call(*arguments: str, stdin: str | None = None) -> Result:
    """Run a command about prompts; bugs come up as they are."""
    return CliRunner().invoke(app, ["prompts", *arguments], input=stdin, catch_exceptions=False)


def set_editor(folder: Path, monkeypatch: pytest.MonkeyPatch, *scripts: str) -> None:
    """Let each opening of the editor run the next of some shell scripts; `$1` is the file."""
    folder.mkdir(exist_ok=True)
    for number, script in enumerate(scripts):
        (folder / f"{number}.sh").write_text(script)
    editor = folder / "editor"
    editor.write_text(
        f"#!/bin/sh\nn=$(cat {folder}/opened 2>/dev/null || echo 0)\necho $((n + 1)) > "
        f"{folder}/opened\n. {folder}/$n.sh\n"
    )
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(editor))


def sed(command: str) -> str:
    return f"sed -i '{command}' \"$1\"\n"


def trial_of(*arguments: str) -> dict[str, Any]:
    result = call("try", *arguments, "--pipeline", "small.yaml", "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_new_writes_a_skeleton_that_works_and_never_overwrites(empty: Path) -> None:
    wrote = call("new", "glossary")
    assert "wrote prompts/glossary.md" in wrote.stdout
    said = "beside a recipe or in its place: generate: {tasks: [{prompt: glossary}]}"
    assert said in wrote.stdout
    path = empty / "prompts" / "glossary.md"
    assert "#" in path.read_text()
    assert call("check", "glossary").exit_code == 0
    path.write_text("mine")
    again = call("new", "glossary")
    assert again.exit_code == ConfigError.exit_code
    assert "is there already" in again.stderr
    assert path.read_text() == "mine"


def test_new_copies_a_prompt(empty: Path) -> None:
    assert call("new", "mine", "--from", "qa").exit_code == 0
    assert (empty / "prompts" / "mine.md").read_text() == QA
    assert call("new", "qa", "--from", "qa").exit_code == 0
    missing = call("new", "other", "--from", "rephrse")
    assert missing.exit_code == PromptError.exit_code
    assert "did you mean 'rephrase'?" in missing.stderr


@pytest.mark.parametrize("name", ["qa", "a/b", "../x", "given", "replay", ".hidden", "two words"])
def test_new_refuses_names_that_hide_a_shipped_prompt_or_leave_the_folder(
    empty: Path, name: str
) -> None:
    result = call("new", name)
    assert result.exit_code == ConfigError.exit_code
    assert f"{name}'" in result.stderr
    assert list(empty.rglob("*")) == []


def test_a_new_prompt_makes_rows_that_are_kept(project: Path, server: TeacherServer) -> None:
    call("new", "glossary")
    text = (project / "prompts" / "glossary.md").read_text()
    (project / "other.md").write_text(text.replace("one or two sentences", "a sentence"))
    trial = trial_of("glossary", "--against", "other.md")
    assert all(outcome["kept"] > 0 for outcome in trial["outcomes"])
    tones = {"plain" in json.dumps(seen.body) for seen in server.seen}
    assert tones == {True, False}


def test_edit_copies_checks_shows_a_real_passage_and_keeps_what_was(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_editor(tmp_path / "editor", monkeypatch, sed(BRIEF), sed("s/brief/terse/"))
    edited = call("edit", "qa")
    assert edited.exit_code == 0
    own = project / "prompts" / "qa.md"
    assert own.read_text() == QA.replace("You write questions", "You write brief questions")
    assert "brief questions" in edited.stdout
    assert "The Gull Ferry crosses the Sound of Orl" in edited.stdout
    assert "rendered on a passage of run small" in edited.stdout
    before = project / "prompts" / "qa.md.before"
    assert before.read_text() == QA
    assert call("edit", "qa").exit_code == 0
    assert "brief" in before.read_text()
    assert "terse" in own.read_text()


def test_edit_without_a_run_says_that_it_takes_the_sample(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_editor(empty / "editor", monkeypatch, sed(BRIEF))
    edited = call("edit", "qa")
    assert "The Skerry Light" in edited.stdout
    assert "rendered on the sample passage, since no run here has passages yet" in edited.stdout
    asked = call("edit", "qa", "--run", "small")
    assert asked.exit_code == ConfigError.exit_code


def test_a_prompt_that_was_only_looked_at_leaves_no_copy(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_editor(empty / "editor", monkeypatch, ":\n")
    assert "nothing was changed" in call("edit", "qa").stdout
    assert list((empty / "prompts").iterdir()) == []


def test_a_faulty_edit_is_told_with_its_line_and_opened_again(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = QA.splitlines().index("{{ fenced(chunk) }}") + 1
    set_editor(empty / "editor", monkeypatch, sed("s/(chunk)/(chnk)/"), sed("s/chnk/chunk/"))
    edited = call("edit", "qa", stdin="yes\n")
    assert edited.exit_code == 0
    assert f"prompts/qa.md:{line}: 'chnk' is undefined" in edited.stdout
    assert (empty / "editor" / "opened").read_text() == "2\n"


@pytest.mark.parametrize("stdin", ["no\n", None])
def test_a_faulty_edit_is_never_lost(
    empty: Path, monkeypatch: pytest.MonkeyPatch, stdin: str | None
) -> None:
    set_editor(empty / "editor", monkeypatch, sed("s/^reply: .*/reply: {a: txt}/"), ":\n")
    edited = call("edit", "qa", stdin=stdin)
    assert edited.exit_code == PromptError.exit_code
    assert "the text stays in" in edited.stderr
    own = empty / "prompts" / "qa.md"
    assert "reply: {a: txt}" in own.read_text()
    assert (empty / "prompts" / "qa.md.before").read_text() == QA
    # What was faulty when it was opened takes no good text's place.
    set_editor(empty / "editor", monkeypatch, ":\n", ":\n", sed("s/txt/text/"))
    call("edit", "qa", stdin="no\n")
    call("edit", "qa", stdin="no\n")
    assert (empty / "prompts" / "qa.md.before").read_text() == QA
    assert "text" in own.read_text()


def test_an_editor_that_fails_leaves_things_as_they_were(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_editor(empty / "editor", monkeypatch, "exit 3\n")
    failed = call("edit", "qa")
    assert failed.exit_code == ConfigError.exit_code
    assert "ended with status 3" in failed.stderr
    assert not (empty / "prompts" / "qa.md").exists()
    monkeypatch.setenv("EDITOR", "no-such-editor --wait")
    assert "there is no such program here" in call("edit", "qa").stderr
    monkeypatch.delenv("EDITOR")
    assert "set EDITOR to one" in call("edit", "qa").stderr
    assert "did you mean 'rephrase'?" in call("edit", "rephrse").stderr


def test_ctrl_c_belongs_to_the_editor(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_editor(empty / "editor", monkeypatch, f"kill -INT {os.getpid()}\nsleep 0.1\n{sed(BRIEF)}")
    assert call("edit", "qa").exit_code == 0
    assert "brief" in (empty / "prompts" / "qa.md").read_text()


def test_which_editor_is_opened(tmp_path: Path) -> None:
    both = {"VISUAL": "sh -c", "EDITOR": "cat"}
    assert find_editor(both, has_terminal=True) == ["sh", "-c"]
    assert find_editor({"VISUAL": " ", "EDITOR": "cat"}, has_terminal=False) == ["cat"]
    with pytest.raises(ConfigError, match="is no command"):
        find_editor({"EDITOR": "sh 'a"}, has_terminal=True)


def test_edit_asks_both_versions_and_pays_once_for_each(
    project: Path, server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_editor(tmp_path / "editor", monkeypatch, sed(BRIEF), sed("s/brief/terse/"))
    first = call("edit", "ask", "--ask", "small.yaml")
    assert first.exit_code == 0, first.stderr
    systems = [seen.body["messages"][0]["content"] for seen in server.seen]
    assert systems == [
        "You write questions for an examination.",
        "You write brief questions for an examination.",
    ]
    assert first.stdout.count("kept") + first.stdout.count("dropped") == 2
    assert call("edit", "ask", "--ask", "small.yaml").exit_code == 0
    systems = [seen.body["messages"][0]["content"] for seen in server.seen[2:]]
    assert systems == ["You write terse questions for an examination."]


def test_what_a_run_has_nothing_of_is_shown_on_the_sample(
    project: Path, server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PROMPT.replace("version: 1", "version: 1\nover: example\nbasis: free")
    (project / "prompts" / "chats.md").write_text(text)
    set_editor(tmp_path / "editor", monkeypatch, sed(BRIEF))
    edited = call("edit", "chats", "--ask", "small.yaml")
    assert edited.exit_code == 0, edited.stderr
    assert "the sample passage, since run small has nothing that chats goes over" in edited.stdout
    assert len(server.seen) == 2
    tried = call("try", "chats", "--pipeline", "small.yaml", "--against", "before")
    assert "(`over: example`)" in tried.stderr


@pytest.mark.slow
def test_edit_at_a_terminal_offers_to_ask_the_teacher_of_the_run(
    project: Path, server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_editor(tmp_path / "editor", monkeypatch, sed(BRIEF))
    record = project / "runs" / "small" / "run.json"
    values = json.loads(record.read_text())
    values["pipeline"]["teacher"]["base_url"] = server.base_url
    record.write_text(json.dumps(values))
    keyboard, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    child = subprocess.Popen(
        [*COMMAND, "prompts", "edit", "ask"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    os.write(keyboard, b"yes\n")
    shown, _ = child.communicate(timeout=60)
    os.close(keyboard)
    os.close(terminal)
    assert child.returncode == 0
    assert "Ask the teacher of run small about this passage?" in shown
    assert len(server.seen) == 2
    assert shown.count("\nkept") + shown.count("\ndropped") >= 1


def test_try_compares_on_the_same_passages_and_pays_once(
    project: Path, server: TeacherServer
) -> None:
    (project / "old.md").write_text(PROMPT.replace("an examination", "a quiz"))
    two = trial_of("ask", "--against", "old.md", "--chunks", "2")
    assert [outcome["label"] for outcome in two["outcomes"]] == ["old.md", "yours"]
    for outcome in two["outcomes"]:
        assert outcome["units"] == outcome["calls"] == 12  # six for each chunk, as the task says
        assert outcome["replayed"] == 0
        assert outcome["rows"] == outcome["kept"] + sum(outcome["dropped"].values()) == 12
        assert outcome["completion_tokens"] > 0
        assert outcome["usd"] == 0
    passages = [
        {_passage(seen.body) for seen in server.seen if _is(seen, q)} for q in (True, False)
    ]
    assert passages[0] == passages[1]
    assert len(passages[0]) == 2
    more = trial_of("ask", "--against", "old.md", "--chunks", "4", "--per-chunk", "1")
    assert more["chunks"][:2] == two["chunks"]
    assert [outcome["replayed"] for outcome in more["outcomes"]] == [2, 2]
    assert [outcome["completion_tokens"] > 0 for outcome in more["outcomes"]] == [True, True]
    assert len(server.seen) == 24 + 4
    shown = call("try", "ask", "--against", "old.md", "--pipeline", "small.yaml", "--chunks", "2")
    assert shown.stdout.count("12, 12 from the ledger") == 2
    assert "user: " in shown.stdout
    assert len(server.seen) == 28


def _passage(body: dict[str, Any]) -> str:
    return str(body["messages"][1]["content"]).partition("</passage")[0]


def _is(seen: Any, quiz: bool) -> bool:
    return ("quiz" in seen.body["messages"][0]["content"]) is quiz


def test_try_applies_the_filter_of_the_pipeline_and_tells_why(
    project: Path, server: TeacherServer
) -> None:
    (project / "old.md").write_text(PROMPT.replace("an examination", "a quiz"))
    values = pipeline_values(server.base_url, filter={"max_answer_words": 3})
    write_pipeline_file(project / "small.yaml", values)
    trial = trial_of("ask", "--against", "old.md", "--chunks", "2")
    reasons = [outcome["dropped"] for outcome in trial["outcomes"]]
    assert all(reason.get("too_long") for reason in reasons)
    rows = [row for sample in trial["samples"] for said in sample["said"] for row in said]
    assert {row["reason"] for row in rows} >= {"too_long"}


def test_try_counts_a_reply_that_is_no_use_as_a_row_that_is_not_kept(project: Path) -> None:
    (project / "old.md").write_text(PROMPT.replace("an examination", "a quiz"))
    faults = lambda number, body: "cut_off" if _quiz(body) else None  # noqa: E731
    with TeacherServer(faults=faults) as server:
        write_pipeline_file(project / "small.yaml", pipeline_values(server.base_url))
        old, new = trial_of("ask", "--against", "old.md", "--chunks", "1")["outcomes"]
    assert (old["kept"], old["dropped"]) == (0, {"cut_off": 6})
    assert old["mean_answer_words"] is None
    assert new["kept"] > 0


def _quiz(body: dict[str, Any]) -> bool:
    return "quiz" in body["messages"][0]["content"]


def test_caps_hold_for_a_trial_and_a_known_price_is_counted(
    project: Path, server: TeacherServer
) -> None:
    (project / "old.md").write_text(PROMPT.replace("an examination", "a quiz"))
    against = ("try", "ask", "--against", "old.md", "--pipeline", "small.yaml")
    price = {"input_usd_per_million": 1, "output_usd_per_million": 2}
    prices = [f"--set=teacher.price.{name}={value}" for name, value in price.items()]
    told = json.loads(call(*against, *prices, "--chunks", "1", "--json").stdout)
    for outcome in told["outcomes"]:
        cost = outcome["prompt_tokens"] + 2 * outcome["completion_tokens"]
        assert outcome["usd"] == pytest.approx(cost / 10**6)
    assert told["paid_usd"] == pytest.approx(sum(o["usd"] for o in told["outcomes"]))
    with Ledger(project / "ledger.sqlite") as ledger:
        assert ledger.spent("small").nano_usd == pytest.approx(told["paid_usd"] * 10**9)
    asked = len(server.seen)
    stopped = call(*against, "--set=teacher.budget.max_tokens=10")
    assert stopped.exit_code == BudgetError.exit_code
    assert "teacher.budget.max_tokens" in stopped.stderr
    assert len(server.seen) == asked


def test_what_asks_nobody_is_tried_without_a_teacher(project: Path, server: TeacherServer) -> None:
    text = (SHIPPED / "cloze.md").read_text()
    (project / "prompts" / "cloze.md").write_text(text.replace("Complete what", "Finish what"))
    shown = call("try", "cloze", "--pipeline", "small.yaml")
    assert shown.exit_code == 0
    assert "nobody was asked" in shown.stdout
    assert "Finish what" in shown.stdout
    assert not server.seen


def test_try_says_what_there_is_to_compare(project: Path) -> None:
    same = call("try", "qa")
    assert same.exit_code == PromptError.exit_code
    assert "there is nothing to compare; `domainforge prompts edit qa`" in same.stderr
    alone = call("try", "ask")
    assert "no edit of 'ask' has kept what was before it" in alone.stderr
    assert "no such file: nope.md" in call("try", "ask", "--against", "nope.md").stderr
    shutil.rmtree(project / "runs")
    (project / "old.md").write_text(PROMPT.replace("an examination", "a quiz"))
    assert "--pipeline FILE" in call("try", "ask", "--against", "old.md").stderr


def test_try_reads_the_documents_where_there_is_no_run(
    project: Path, server: TeacherServer
) -> None:
    shutil.rmtree(project / "runs")
    (project / "old.md").write_text(PROMPT.replace("an examination", "a quiz"))
    trial = trial_of("ask", "--against", "old.md", "--chunks", "1", "--per-chunk", "1")
    assert trial["samples"][0]["passage"] in " ".join(" ".join(PAGES.values()).split())


def test_an_unknown_price_is_told_and_documents_cannot_command_the_terminal() -> None:
    outcomes = tuple(
        Outcome(label, "a.md", "0" * 64, 2, 2, 1, 100, 20, None, 2, 1, {"empty": 1}, 4.0)
        for label in ("shipped", "yours")
    )
    said = ((Said("\x1b[2Jone"), Said("", "empty", "the reply: \x07")), (Said("two"),))
    sample = Sample("c1", "a\x1b.md", "\x1b]0;title\x07 text", said)
    trial = Trial("qa", "http://x|m", "not known", None, ("c1",), outcomes, None, (sample,))
    out = io.StringIO()
    print_trial(Console(file=out, width=80), trial, 1)
    lines = out.getvalue().splitlines()
    assert [line.split() for line in lines if line.startswith("cost")] == [
        ["cost", "unknown", "unknown"]
    ]
    assert "paid now: unknown" in out.getvalue()
    assert not {"\x1b", "\x07"} & set(out.getvalue())
    assert max(map(len, lines)) <= 80


def test_list_marks_what_differs_and_shows_what_is_faulty(empty: Path) -> None:
    for name in ("qa", "facts"):
        call("new", name, "--from", name)
    call("new", "mine")
    (empty / "prompts" / "qa.md").write_text(QA.replace("You write", "You ask"))
    (empty / "prompts" / "bad.md").write_text("---\nversion: 1\n---\n")
    listed = {
        row["name"]: row for row in map(json.loads, call("list", "--json").stdout.splitlines())
    }
    states = {name: listed[name]["state"] for name in ("qa", "facts", "mine", "faq", "bad")}
    assert states == {
        "qa": "changed",
        "facts": "copy",
        "mine": "yours",
        "faq": "shipped",
        "bad": "yours",
    }
    assert "header: purpose" in listed["bad"]["fault"]
    lines = call("list").stdout.splitlines()
    assert any(line.split()[:2] == ["qa", "changed"] for line in lines)


def test_diff_shows_what_yours_says_otherwise(empty: Path) -> None:
    assert "isn't there" in call("diff", "qa").stdout
    call("new", "qa", "--from", "qa")
    assert "'qa' is as shipped" in call("diff", "qa").stdout
    (empty / "prompts" / "qa.md").write_text(QA.replace("You write questions", "You ask"))
    lines = call("diff", "qa").stdout.splitlines()
    assert lines[:2] == ["--- shipped/qa.md", "+++ prompts/qa.md"]
    assert (
        "+You ask for an examination. You use only what the passage states. The passage is" in lines
    )
    call("new", "mine")
    assert "yours alone" in call("diff", "mine").stdout
    assert "did you mean 'mine'?" in call("diff", "mien").stderr


def test_restore_asks_and_loses_nothing(empty: Path) -> None:
    own, texts = empty / "prompts" / "qa.md", [QA + "one\n", QA + "two\n"]
    own.parent.mkdir()
    own.write_text(texts[0])
    assert "nothing was changed" in call("restore", "qa", stdin="no\n").stdout
    nobody = call("restore", "qa")
    assert nobody.exit_code == ConfigError.exit_code
    assert "--yes" in nobody.stderr
    assert own.read_text() == texts[0]
    restored = call("restore", "qa", stdin="yes\n")
    assert "+one" in restored.stdout
    assert "yours is kept as prompts/qa.md.bak" in restored.stdout
    own.write_text(texts[1])
    assert call("restore", "qa", "--yes").exit_code == 0
    kept = [own.with_name(f"qa.md.bak{number}").read_text() for number in ("", 2)]
    assert kept == texts
    assert not own.exists()
    again = call("restore", "qa", "--yes")
    assert again.exit_code == ConfigError.exit_code
    assert "in use already" in again.stderr
    call("new", "mine")
    assert call("restore", "mine", "--yes").exit_code == PromptError.exit_code
    assert (own.parent / "mine.md").exists()


def test_show_renders_on_the_passage_that_is_named(project: Path) -> None:
    shown = call("show", "ask", "--rendered")
    assert "The Gull Ferry crosses" in shown.stdout
    trial = [row["id"] for row in _chunks(project) if "Ansel Rook" in row["text"]]
    named = call("show", "ask", "--run", "small", "--chunk", trial[0][:8])
    assert "cast by the founder Ansel Rook" in named.stdout
    assert "rendered on a passage of run small" in named.stdout
    wrong = call("show", "ask", "--chunk", "zzz")
    assert "no chunk 'zzz' in run small" in wrong.stderr
    assert call("show", "ask").stdout == PROMPT


def _chunks(project: Path) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["show", "small", "chunk", "--json"])
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("qa", "generate: {tasks: [{prompt: mine}]}"),
        ("judge", "to judge by it: judge: {prompt: mine}"),
        ("judge_pair", "to judge by it: judge: {pair_prompt: mine}"),
        ("answer_again", "to judge by it: judge: {round_trip_prompt: mine}"),
    ],
)
def test_a_new_prompt_says_where_it_is_named(empty: Path, source: str, said: str) -> None:
    assert said in call("new", "mine", "--from", source).output
