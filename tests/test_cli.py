import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from domainforge.cli import VERDICT_CODES, app
from domainforge.coverage_report import read_coverage
from domainforge.errors import ConfigError, DataError
from domainforge.pipeline import STAGES
from domainforge.pipeline_file import load_pipeline
from domainforge.run_folder import RunFolder, read_table
from domainforge.stage import StageResult
from domainforge.wording import short_usd
from tests.support.small_run import (
    SENTENCE,
    make_project,
    make_small_run,
    pipeline_values,
    write_pipeline_file,
    write_scores,
)
from tests.support.teacher_server import TeacherServer

ROOT = Path(__file__).parents[1]
COMMANDS = ("init", "run", "status", "show", "review", "trace", "chat", "wizard", "version")
GROUPS = (
    ("prompts", "list"),
    ("prompts", "show"),
    ("prompts", "check"),
    ("prompts", "new"),
    ("prompts", "edit"),
    ("prompts", "try"),
    ("prompts", "diff"),
    ("prompts", "restore"),
    ("teacher", "check"),
    ("ledger", "stats"),
    ("ledger", "export"),
    ("ledger", "prune"),
    ("setup", "embedded"),
)
HEAVY = (
    "torch transformers datasets trl peft openai pyarrow pydantic langchain sklearn numpy yaml "
    "genai_prices"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose run `small` went up to the split."""
    project = make_project(tmp_path_factory.mktemp("cli") / "project")
    make_small_run(project)
    return project


@pytest.fixture
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in that project; tests that write take a copy."""
    monkeypatch.chdir(finished)
    return finished


@pytest.fixture
def copy(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of that project."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str, stdin: str | None = None) -> Result:
    """Run the command line here; bugs come up as they are."""
    return CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)


def command(*arguments: str) -> list[str]:
    """Return the same as a process of its own."""
    return [sys.executable, "-m", "domainforge.cli", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def lines_of(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    code = (
        "import json, sys\n"
        "from domainforge.cli import app\n"
        "try:\n    app(['--help'])\n"
        "finally:\n    print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    *help_lines, loaded = done.stdout.splitlines()
    assert "Usage" in help_lines[0]
    assert not set(HEAVY.split()) & set(json.loads(loaded))
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command("--help"), env=environment(), capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # CPU seconds: the wall clock of a busy machine says nothing about the program.
    assert statistics.median(seconds) < 0.4


def test_every_command_is_listed_in_a_whole_line_and_has_help() -> None:
    text = call("--help").stdout
    for name in COMMANDS:
        assert f"\n  {name} " in text
    commands = text.partition("Commands:")[2]
    assert "..." not in commands, "a summary is too long for its line"
    for names in [(name,) for name in COMMANDS] + list(GROUPS):
        result = call(*names, "--help")
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage:")
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_version_names_the_package_and_its_libraries() -> None:
    text = call("version").stdout
    assert text.startswith("domainforge 0.")
    assert "\ntorch " in text


BAD_PIPELINES = {
    "broken.yaml": ("sources:\n  - files: a\n b: [1\n", 2, r"broken\.yaml:3: not YAML"),
    "list.yaml": ("- a\n", 2, r"list\.yaml:1: a pipeline file holds `key: value` lines"),
    "twice.yaml": ("seed: 1\nsources: []\nseed: 2\n", 2, r"twice\.yaml:3: seed: .*twice"),
    "nothere.yaml": ("sources: [{files: nowhere}]\n", 7, "no such file or folder: nowhere"),
    "exam.yaml": (
        "sources: [{files: documents}]\nevaluate: {exam: exam.jsonl}\n",
        2,
        "evaluate.exam: no such file: exam.jsonl",
    ),
}


@pytest.mark.parametrize("name", BAD_PIPELINES)
def test_a_bad_pipeline_is_a_message_and_an_exit_code(empty: Path, name: str) -> None:
    text, code, message = BAD_PIPELINES[name]
    (empty / name).write_text(text)
    done = subprocess.run(
        command("run", name), cwd=empty, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("domainforge: ")
    assert_matches(message, done.stderr)


def test_all_faults_are_shown_together_with_lines_and_near_matches(empty: Path) -> None:
    (empty / "p.yaml").write_text(
        "sources:\n  - files: documents\n    includ: ['*.md']\nseed: -1\n"
        "train:\n  epoch: 3\ndedup: {near_jaccard: 2}\n"
    )
    result = call("run", "p.yaml")
    assert result.exit_code == 2
    assert result.stdout == ""
    for fault in (
        r"p\.yaml:3: sources\.0\.includ: unknown key; did you mean 'include'\?",
        r"p\.yaml:4: seed: ",
        r"p\.yaml:6: train\.epoch: unknown key; did you mean 'epochs'\?",
        r"p\.yaml:7: dedup\.near_jaccard: .*\(it is 2\)",
    ):
        assert_matches(fault, result.stderr)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "nope.yaml"), 2, r"nope\.yaml: no such pipeline file; `domainforge init`"),
        (("run", "small.yaml", "--from", "teach"), 2, "--from teach: no such stage; there are"),
        (("run", "small.yaml", "--until", "teach"), 2, "--until teach: no such stage"),
        (("run", "small.yaml", "--dry-run", "--until", "teach"), 2, "no such stage"),
        (("run", "small.yaml", "--from", "split", "--until", "chunk"), 2, "comes after"),
        (("run", "small.yaml", "--set", "seed"), 2, "write it as key.path=value"),
        (("run", "small.yaml", "--set", "train.epoch=1"), 2, "train.epoch: unknown key"),
        (("run", "small.yaml", "--gate", "--until", "split"), 2, "--gate needs a verdict"),
        (("status", "smal"), 2, "no run 'smal' .*did you mean 'small'"),
        (("show", "other"), 2, "no run 'other'"),
        (("show", "small", "kepp"), 2, "did you mean 'kept'"),
        (("show", "small", "evaluate"), 10, "evaluate has not finished in run small"),
        (("show", "small", "kept", "--batch"), 2, "--batch shows training batches"),
        (("trace", "small", "zzzz"), 2, "no row 'zzzz'"),
        (("chat", "small"), 10, "no trained student yet"),
        (("prompts", "show", "nope"), 6, "no prompt 'nope'.*there are: .*qa"),
        (("teacher", "check", "--base-url", "foo"), 2, "teacher.base_url: write a whole address"),
        (("teacher", "check", "--model", "m"), 2, "`base_url` is missing"),
    ],
)
def test_what_a_user_can_mend_is_a_message_and_an_exit_code(
    project: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = call(*arguments)
    assert result.exit_code == code
    assert_matches(message, result.stderr)


def test_a_key_that_is_pasted_is_not_repeated(project: Path) -> None:
    result = call("teacher", "check", "--base-url", "http://x/v1", "--api-key-env", "sk-secret-1")
    assert result.exit_code == 2
    assert "NAME of an environment variable" in result.stderr
    assert "sk-secret-1" not in result.output


def test_a_run_of_another_version_is_left_alone(copy: Path) -> None:
    record = copy / "runs" / "small" / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "format": 99}))
    for arguments in (
        ("run", "small.yaml"),
        ("status", "small"),
        ("run", "small.yaml", "--dry-run"),
    ):
        result = call(*arguments)
        assert result.exit_code == 13
        assert "run format 99" in result.stderr
    listed = call("status")
    assert listed.exit_code == 0
    assert "can't be read" in listed.stdout


def test_a_bug_keeps_its_traceback(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("domainforge.status.read_all", fail)
    with pytest.raises(ZeroDivisionError):
        call("status")


def test_run_tells_each_stage_and_goes_on_without_asking_again(empty: Path) -> None:
    make_project(empty / "project")
    os.chdir(empty / "project")
    with TeacherServer() as server:
        write_pipeline_file(Path("p.yaml"), pipeline_values(server.base_url))
        first = call("run", "p.yaml", "--until", "split", "--set", "name=first")
        asked = len(server.seen)
        assert asked == 30
        assert first.exit_code == 0
        assert "generate: 30 of 30 requests done" in first.stdout
        assert first.stdout.splitlines()[-1] == "next: domainforge status first"
        second = call("run", "p.yaml", "--until", "split", "--set", "name=first", "--json")
        events = lines_of(second)
        states = [event["state"] for event in events if event["event"] == "stage"]
        assert states == ["unchanged"] * 8
        end = {"event": "end", "verdict": None, "sentence": None, "student": None}
        end |= {"usd": None, "billed_tokens": None}
        assert events[-1] == {**end, "next": "domainforge status first"}
        third = call("run", "p.yaml", "--until", "dedup", "--from", "generate", "--set", "name=2nd")
        assert "generate: 30 of 30 requests done" in third.stdout
        assert len(server.seen) == asked, "replies come from the ledger"


def test_a_shipped_pipeline_is_found_by_its_path(empty: Path) -> None:
    result = call("run", "pipelines/quickstart.yaml", "--set", "seed=-1")
    assert result.exit_code == 2
    assert str(ROOT / "pipelines" / "quickstart.yaml") in result.stderr
    shipped = sorted((ROOT / "pipelines").glob("*.yaml"))
    assert [path.stem for path in shipped] == ["endpoint", "quickstart"]
    for path in shipped:
        assert load_pipeline(path).name == path.stem


def test_dry_run_counts_calls_and_changes_nothing(copy: Path) -> None:
    before = snapshot(copy)
    result = call("run", "small.yaml", "--dry-run", "--set", "generate.tasks.0.per_chunk=8")
    assert result.exit_code == 0
    assert (
        "generate would put 44 requests: 34 are in the ledger, 10 would be asked" in result.stdout
    )
    plan = lines_of(call("run", "small.yaml", "--dry-run", "--json"))[0]
    states = {stage["stage"]: stage["state"] for stage in plan["stages"]}
    assert states["split"] == "unchanged"
    assert states["train"] == "would run"
    assert plan["calls"] is None
    assert snapshot(copy) == before


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(empty: Path) -> None:
    project = make_project(empty / "project")
    with TeacherServer(delay_seconds=0.3) as server:
        write_pipeline_file(project / "p.yaml", pipeline_values(server.base_url))
        run = command("run", "p.yaml", "--until", "filter")
        process = subprocess.Popen(
            run,
            cwd=project,
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("generate"):
                break
        while len(server.seen) < 12:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130
        assert errors == (
            "domainforge: stopped: what is finished stays; the same command goes on\n"
        )
        server.delay_seconds = 0
        done = subprocess.run(run, cwd=project, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0
        assert "chunk: unchanged" in done.stdout
        assert server.repeats <= 8, "at most those in flight are asked again"


PRICED = {
    "model": "local-teacher",
    "json_schema": "yes",
    "max_retries": 0,
    "price": {"input_usd_per_million": 10, "output_usd_per_million": 100},
}


def test_a_run_that_an_error_stopped_says_so_and_what_it_spent(empty: Path) -> None:
    os.chdir(make_project(empty / "project"))
    with TeacherServer() as server:
        teacher = {**PRICED, "base_url": server.base_url}
        capped = {**teacher, "budget": {"max_usd": 0.05}}
        write_pipeline_file(Path("p.yaml"), pipeline_values("", teacher=capped))
        stopped = call("run", "p.yaml", "--until", "filter")
        assert stopped.exit_code == 9
        message = stopped.stderr.removeprefix("domainforge: ").strip()
        assert message.startswith("teacher.budget.max_usd: ")
        ledger = stats_of("small")
        spent = f"spent {short_usd(ledger['usd'])}, {ledger['tokens']:,} tokens billed"
        assert 0 < ledger["usd"] <= 0.05
        assert_matches(
            r"\ngenerate: stopped at \d+ of 30, .*spent \$0\.\d+ of \$0\.0500", stopped.stdout
        )
        assert stopped.stdout.splitlines()[-1] == spent
        stop = {"stage": "generate", "message": message}
        events = Path("runs/small/events.jsonl").read_text().splitlines()
        last = json.loads(events[-1])
        assert last.pop("at") > 0
        assert last == {"event": "stopped", **stop}
        assert json.loads(Path("runs/small/run.json").read_text())["stopped"] == stop
        shown = call("status", "small").stdout.splitlines()
        assert spent in shown
        assert shown[-1] == f"generate stopped: {message}"
        (facts,) = lines_of(call("status", "small", "--json"))
        assert facts["stopped"] == stop
        assert (facts["usd"], facts["billed_tokens"]) == (ledger["usd"], ledger["tokens"])

        again = call("run", "p.yaml", "--until", "filter", "--json")
        last = lines_of(again)[-1]
        assert (last["event"], last["stage"]) == ("stopped", "generate")
        assert last["message"].startswith("teacher.budget.max_usd: ")

        write_pipeline_file(Path("p.yaml"), pipeline_values("", teacher=teacher))
        done = call("run", "p.yaml", "--until", "filter")
        ledger = stats_of("small")
        spent = f"spent {short_usd(ledger['usd'])}, {ledger['tokens']:,} tokens billed"
        assert spent in done.stdout.splitlines()[-3:]
        finished = call("status", "small").stdout
        assert spent in finished.splitlines(), "of a finished run too"
        assert "stopped" not in finished
        end = lines_of(call("run", "p.yaml", "--until", "filter", "--json"))[-1]
        assert (end["usd"], end["billed_tokens"]) == (ledger["usd"], ledger["tokens"])


def test_a_bug_in_a_stage_leaves_its_kind_and_nothing_of_its_text(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chdir(make_project(empty / "project"))
    write_pipeline_file(Path("p.yaml"), pipeline_values("http://127.0.0.1:9/v1"))

    def fail(*_: Any) -> StageResult:
        raise LookupError("sk-recognisable")

    monkeypatch.setattr("domainforge.pipeline.STAGES", (replace(STAGES[0], run=fail), *STAGES[1:]))
    with pytest.raises(LookupError):
        call("run", "p.yaml")
    record = json.loads(Path("runs/small/run.json").read_text())
    assert record["stopped"] == {"stage": "ingest", "message": "LookupError, a bug"}


def test_status_of_a_run_without_a_ledger_has_no_spending_and_makes_none(copy: Path) -> None:
    assert "34 requests asked" in call("status", "small").stdout
    for file in copy.glob("ledger.sqlite*"):
        file.unlink()
    assert "spent" not in call("status", "small").stdout
    (facts,) = lines_of(call("status", "small", "--json"))
    assert (facts["usd"], facts["billed_tokens"], facts["stopped"]) == (None, None, None)
    assert not list(copy.glob("ledger.sqlite*"))


def stats_of(account: str) -> dict[str, Any]:
    (facts,) = lines_of(call("ledger", "stats", "--json"))
    return dict(facts["charges"][account])


def test_status_of_all_runs_and_of_one(copy: Path) -> None:
    write_scores_into(copy)
    listed = call("status").stdout
    assert_matches(r"small +8 of 11 +gained", listed)
    one = call("status", "small").stdout
    assert_matches(r"generate +done .*27 of 30 requests done, 3 dropped \(cut_off 2, off_", one)
    assert_matches(r"train +not run", one)
    assert "teacher: 34 requests asked, 0 from the ledger" in one
    assert "passages produced nothing" in one
    assert SENTENCE in one
    (facts,) = lines_of(call("status", "small", "--json"))
    for stage in facts["stages"][:7]:
        account = stage["account"]
        parts = sum(account["dropped"].values()) + sum(account["failed"].values())
        assert account["total"] == account["done"] + parts + account["not_reached"]
    assert facts["verdict"] == "gained"
    assert lines_of(call("status", "--json"))[0]["stages_done"] == 8


def test_status_names_documents_that_produced_nothing(empty: Path) -> None:
    project = make_project(empty / "project")
    (project / "documents" / "dull.txt").write_text("Nothing of any note was ever said in here.")
    os.chdir(project)

    def refuse_dull(number: int, body: dict[str, Any]) -> str | None:
        return "refusal" if "dull" in body["messages"][-1]["content"] else None

    with TeacherServer(refuse_dull) as server:
        write_pipeline_file(Path("p.yaml"), pipeline_values(server.base_url))
        told = call("run", "p.yaml", "--plain", "--until", "filter")
        assert told.exit_code == 0
        assert "produced nothing (1 of 4):\n    documents/dull.txt" in told.stdout
    assert "documents that produced nothing: documents/dull.txt" in call("status", "small").stdout
    (facts,) = lines_of(call("status", "small", "--json"))
    assert facts["barren_documents"] == ["documents/dull.txt"]


def test_status_without_runs_says_what_to_do(empty: Path) -> None:
    assert "no runs here yet" in call("status").stdout
    assert call("status", "--json").stdout == ""


def test_show_writes_every_row_as_json_and_ten_for_people(project: Path) -> None:
    rows = lines_of(call("show", "small", "train", "--json"))
    table = read_table(project / "runs" / "small" / "splits", "train")
    assert [row["id"] for row in rows] == table.column("id").to_pylist()
    assert {row["split"] for row in rows} == {"train"}
    assert isinstance(rows[0]["fields"], dict)
    text = call("show", "small", "train").stdout
    assert sum(f"{row['id']}  train" in text for row in rows) == 10
    assert f"10 of {len(rows)} rows" in text
    row = rows[3]
    assert f"domainforge trace small {rows[0]['id']}" in text
    one = call("show", "small", "split", "--row", row["id"]).stdout
    assert row["uri"] in one
    assert (row["text"] or row["messages"][0]["content"]).splitlines()[0] in one


def test_show_without_a_stage_lists_what_there_is(project: Path) -> None:
    listed = call("show", "small").stdout
    assert_matches(r"generate +dropped +3 rows", listed)
    assert {"stage": "split", "table": "test", "rows": 0} in lines_of(
        call("show", "small", "--json")
    )


def test_show_dropped_gives_reason_and_evidence(project: Path) -> None:
    text = call("show", "small", "generate", "--reason", "off_schema").stdout
    assert "reason: off_schema" in text
    assert "evidence: not JSON" in text
    assert "cut_off" not in text
    assert text.count("reason:") == 1
    assert call("show", "small", "generate", "--dropped").stdout.count("reason:") == 3


@pytest.mark.slow
def test_show_batch_marks_trained_tokens(project: Path) -> None:
    text = call("show", "small", "--batch").stdout
    assert "[[" in text
    assert "legend: [[trained]] tokens count in the loss" in text
    coloured = CliRunner().invoke(
        app, ["show", "small", "train", "--batch"], env={"FORCE_COLOR": "1", "NO_COLOR": None}
    )
    assert "[[" not in coloured.stdout
    assert "\x1b[1;32m" in coloured.stdout
    (sequence,) = lines_of(call("show", "small", "--batch", "--json"))
    assert 0 < sequence["trained"] < sequence["tokens"]


def test_trace_prints_the_whole_way(project: Path) -> None:
    row = lines_of(call("show", "small", "validation", "--json"))[0]
    text = call("trace", "small", row["id"]).stdout
    (whole,) = lines_of(call("trace", "small", row["id"], "--json"))
    tokens = [whole["exchanges"][0][f"{name}_tokens"] for name in ("prompt", "completion")]
    assert min(tokens) > 0
    for part in (
        "way: generate: examples > filter: kept > dedup: unique > judge: judged > "
        "split: validation",
        f"prompt: ask {row['prompt_hash'][:16]}",
        f"request {row['ledger_keys'][0][:16]} (temperature 0.7, at most 300 tokens)",
        "You write questions for an examination.",
        f"reply (ok), {tokens[0]:,} tokens read, {tokens[1]:,} written",
        json.dumps(row["fields"]["quote"], ensure_ascii=False),
        f"passage {row['chunk_id']}, {row['uri']} [{row['start']}:{row['end']}]",
        f"document: {row['uri']}",
    ):
        assert part in text
    dropped = lines_of(call("show", "small", "generate", "--dropped", "--json"))[0]
    text = call("trace", "small", dropped["id"][:12]).stdout
    assert f"dropped by generate: {dropped['reason']}" in text
    (facts,) = lines_of(call("trace", "small", dropped["id"], "--json"))
    assert facts["dropped_by"] == "generate"


def test_documents_cannot_command_the_terminal(empty: Path) -> None:
    project = make_project(empty / "project")
    (project / "documents" / "evil.txt").write_text(
        "The warden \x1b]0;owned\x07\x1b[2J of Orl keeps [bold]seven[/bold] keys in a box."
    )
    os.chdir(project)
    write_pipeline_file(Path("p.yaml"), pipeline_values("http://127.0.0.1:9/v1"))
    assert call("run", "p.yaml", "--until", "chunk").exit_code == 0
    for name in ("documents", "chunks"):
        text = call("show", "small", name).stdout
        assert "\x1b" not in text
        assert "[bold]seven[/bold]" in text


def test_init_writes_a_file_that_runs_and_never_overwrites(empty: Path) -> None:
    make_project(empty / "project")
    os.chdir(empty / "project")
    result = call("init", "documents")
    assert result.exit_code == 0
    assert "3 files in documents can be read" in result.stdout
    path = Path("pipelines/documents.yaml")
    assert str(path) in result.stdout
    pipeline = load_pipeline(path)
    assert pipeline.sources[0].files == "documents"
    assert pipeline.teacher.embedded
    path.write_text(path.read_text() + "# mine\n")
    again = call("init", "documents")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert path.read_text().endswith("# mine\n")
    missing = call("init", "elsewhere")
    assert missing.exit_code == 7
    assert "no such file or folder: elsewhere" in missing.stderr


def test_prompts_are_listed_shown_and_checked(empty: Path) -> None:
    listed = call("prompts", "list").stdout
    assert_matches(r"qa +shipped +A question that the passage answers", listed)
    shown = call("prompts", "show", "qa").stdout
    assert shown == (ROOT / "prompts" / "qa.md").read_text()
    (empty / "prompts").mkdir()
    (empty / "prompts" / "mine.md").write_text(shown.replace("{{ start }}", "{{ strat }}"))
    assert_matches(r"mine +yours", call("prompts", "list").stdout)
    checked = call("prompts", "check", "qa").stdout
    assert "Skerry Light" in checked
    assert "assistant: (answer)" in checked
    assert call("prompts", "check", "prompts/mine.md").exit_code == 6
    everything = call("prompts", "check")
    assert everything.exit_code == 6
    assert "qa: good" in everything.stdout
    assert "mine.md" in everything.stderr
    assert "'strat' is undefined" in everything.stderr


def test_teacher_check_reports_and_exits_by_what_it_finds(empty: Path) -> None:
    with TeacherServer(models=("local-teacher", "other")) as server:
        good = call("teacher", "check", "--base-url", server.base_url, "--model", "local-teacher")
        assert good.exit_code == 0
        assert_matches("JSON schema: yes", good.stdout)
        assert_matches(r"price: free \(an address of this machine\)", good.stdout)
        unknown = call("teacher", "check", "--base-url", server.base_url, "--model", "nope")
        assert unknown.exit_code == 8
        assert "models there: local-teacher, other" in unknown.stdout
        values = pipeline_values(server.base_url)
        write_pipeline_file(empty / "p.yaml", values)
        by_file = call("teacher", "check", "p.yaml", "--set", "teacher.model=other", "--json")
        (report,) = lines_of(by_file)
        assert (report["model"], report["model_found"]) == ("other", True)
    down = call("teacher", "check", "--base-url", server.base_url, "--model", "local-teacher")
    assert down.exit_code == 8
    assert "does not answer" in down.stdout


def test_a_missing_key_names_its_variable(empty: Path) -> None:
    arguments = ("--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--api-key-env", "NO_KEY")
    result = call("teacher", "check", *arguments)
    assert result.exit_code == 2
    assert "export NO_KEY=..." in result.stderr


def test_verdicts_have_exit_codes() -> None:
    assert VERDICT_CODES == {"gained": 0, "not_shown": 3, "lost": 4, "forgot": 5}


@pytest.mark.slow
def test_the_whole_line_ends_with_student_what_to_try_and_verdict(
    empty: Path, tiny_student: Path
) -> None:
    project = make_project(empty / "project", student=tiny_student)
    os.chdir(project)
    question = "Who first lit the lamp of the Skerry Light?"
    exam = {
        "question": question,
        "answers": ["Maud Tarrant"],
        "answer_kind": "person",
        "passages": ["first lit on 4 May 1887 by the keeper Maud Tarrant"],
    }
    Path("exam.jsonl").write_text(json.dumps(exam) + "\n")
    with TeacherServer() as server:
        values = pipeline_values(
            server.base_url,
            train={"student": str(tiny_student), "epochs": 1},
            evaluate={"exam": "exam.jsonl"},
        )
        write_pipeline_file(Path("p.yaml"), values)
        run = command("run", "p.yaml", "--gate")
        first = subprocess.run(run, env=environment(), capture_output=True, text=True)
    assert first.returncode == VERDICT_CODES["not_shown"], first.stderr
    student, following, sentence = first.stdout.splitlines()[-3:]
    assert sentence.startswith("not shown: ")
    assert student == "the student: runs/small/export/model"
    assert following == "next: domainforge chat small"
    again = call("run", "p.yaml", "--gate", "--json")
    assert again.exit_code == VERDICT_CODES["not_shown"]
    assert lines_of(again)[-1]["verdict"] == "not_shown"
    assert call("run", "p.yaml").exit_code == 0, "without --gate the verdict is no failure"
    earlier = call("run", "p.yaml", "--until", "split").stdout
    assert "not shown" not in earlier, "scores of an earlier run are not this run's"
    said = call("chat", "small", stdin=f"{question}\nWhat is the bell?\n\nnot asked\n").stdout
    assert said.count("\nstudent: ") == said.count("\nbase: ") == 2
    assert "not asked" not in said
    assert_matches(r"small +11 of 11 +not_shown", call("status").stdout)
    assert question in call("show", "small", "evaluate").stdout


def write_scores_into(project: Path) -> None:
    write_scores(RunFolder(project / "runs" / "small"))


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file, but those that SQLite keeps beside a database that is read."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def assert_matches(pattern: str, text: str) -> None:
    assert re.search(pattern, text), f"{pattern!r} is not in:\n{text}"


def test_coverage_lists_what_few_rows_rest_on(project: Path) -> None:
    told = call("coverage", "small", "--rows", "99")
    assert told.exit_code == 0, told.output
    counted = re.findall(r"sentences with a kept row: (\d+) of (\d+)", told.stdout)
    covered, total = map(int, counted[0])
    parts = lines_of(call("coverage", "small", "--rows", "99", "--json"))
    sentences = [part for part in parts if part["kind"] == "sentence"]
    assert (sum(part["rows"] > 0 for part in sentences), len(sentences)) == (covered, total)
    assert total == 10
    assert " ".join(sentences[0]["text"].split())[:30] in " ".join(told.stdout.split())
    missing = lines_of(call("coverage", "small", "--kind", "sentence", "--json"))
    assert len(missing) == total - covered


def test_coverage_of_a_kind_that_is_none_or_before_the_filter(project: Path, empty: Path) -> None:
    with pytest.raises(ConfigError, match="--kind is one of sentence"):
        read_coverage(RunFolder(project / "runs" / "small"), "word")
    with pytest.raises(DataError, match="no coverage yet"):
        read_coverage(RunFolder(empty / "runs" / "none"))
