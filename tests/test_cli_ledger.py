import json
import os
import pty
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from domainforge.cli import app
from domainforge.teacher.batch.journal import Handed, Journal
from domainforge.teacher.ledger import Completed, Faulted, Ledger
from tests.support.command import COMMAND, ROOT, give
from tests.support.ledgers import stats

IDENTITY = "https://api.example.com/v1 some-model"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a ledger of three replies."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "ledger.sqlite")
    return tmp_path


def fill(path: Path) -> None:
    reply = '{"choices": [{"text": "Osk", "finish_reason": "stop"}]}'
    entries = [
        Completed(key, identity, "{}", reply, 1_000, 234, "harbour", 31_200_001, 1_234)
        for key, identity in (("a", IDENTITY), ("b", IDENTITY), ("c", "other\x1b[2J"))
    ]
    with Ledger(path) as ledger:
        ledger.write([*entries, Faulted("d", "http_500", "no", "", 5, 1)])


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["ledger", *arguments], input=stdin, catch_exceptions=False)


def count(path: Path) -> int:
    with Ledger(path) as ledger:
        return sum(stats(ledger).completions.values())


def test_stats_are_exact(project: Path) -> None:
    result = call("stats")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith(f"{project / 'ledger.sqlite'}: version 2, ")
    assert lines[1].startswith("answered by completions tokens read written first")
    assert lines[2].startswith(f"{IDENTITY} 2 2,000 468 20")
    assert lines[3].startswith("other\ufffd[2J 1 1,000 234 20")
    assert lines[4] == "all 3 3,000 702"
    assert "(no run) $0.000000005 1" in lines
    assert "harbour $0.093600003 3,702" in lines
    assert "http_500 1" in lines
    assert "interrupted requests, without a reply: 0" in lines
    assert "open batches: 0, with 0 requests" in lines
    assert "\x1b" not in result.stdout


def test_stats_as_json(project: Path) -> None:
    (line,) = call("stats", "--json").stdout.splitlines()
    facts = json.loads(line)
    assert facts["completions"] == 3
    assert facts["charges"]["harbour"]["nano_usd"] == 93_600_003
    assert facts["identities"][0]["identity"] == IDENTITY


def test_stats_name_open_batches(project: Path) -> None:
    with Ledger(project / "ledger.sqlite") as ledger:
        journal = Journal(ledger, IDENTITY, "https://api.example.com/v1")
        for number, name in enumerate(("df-1", "df-2", "df-3")):
            journal.claim(name, [Handed(f"{name}:{part}", "{}") for part in range(number + 1)])
        journal.set_batch("df-2", "batch_abc\x1b[2J")
        journal.close("df-1", "completed")
        with ledger.transaction() as file:
            file.execute("UPDATE batches SET created = ?", (time.time() - 7260,))
    lines = call("stats").stdout.splitlines()
    assert lines[-3:] == [
        "open batches: 2, with 5 requests",
        f"  batch_abc\ufffd[2J: 2 requests, 2h01m old, {IDENTITY}",
        f"  not confirmed by the provider (df-3): 3 requests, 2h01m old, {IDENTITY}",
    ]
    facts = json.loads(call("stats", "--json").stdout)
    assert facts["open_batches"] == 2
    first, second = facts["batches"]
    assert (first["submission"], first["batch_id"]) == ("df-2", "batch_abc\x1b[2J")
    assert (second["submission"], second["batch_id"]) == ("df-3", None)
    assert (first["requests"], second["requests"]) == (2, 3)
    assert 7260 <= first["age_seconds"] < 7300
    assert first["identity"] == IDENTITY
    assert first["created"].startswith("20")


def test_stats_of_an_empty_ledger(tmp_path: Path) -> None:
    Ledger(tmp_path / "l").close()
    result = call("stats", "--ledger", str(tmp_path / "l"))
    assert "answered by: none" in result.stdout
    assert "charged to run: none" in result.stdout


@pytest.mark.parametrize("command", [["stats"], ["export", "x.jsonl"], ["prune", "--faults"]])
def test_without_a_ledger_the_way_to_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*command)
    assert result.exit_code == 13
    assert "there is no ledger here" in result.stderr
    assert not list(tmp_path.iterdir())


def test_export_writes_a_line_each(project: Path) -> None:
    result = call("export", "out.jsonl", "--identity", IDENTITY, "--since", "2020-01-01")
    assert result.stdout == "wrote 2 completions to out.jsonl\n"
    lines = (project / "out.jsonl").read_text().splitlines()
    assert {json.loads(line)["key"] for line in lines} == {"a", "b"}
    again = call("export", "out.jsonl")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert call("export", "out.jsonl", "--force").exit_code == 0
    assert len((project / "out.jsonl").read_text().splitlines()) == 3
    assert "--since soon: not a date" in call("export", "o.jsonl", "--since", "soon").stderr


def test_prune_shows_and_asks(project: Path) -> None:
    path = project / "ledger.sqlite"
    for stdin in ("n\n", "\n", "perhaps\n"):
        result = call("prune", "--identity", IDENTITY, stdin=stdin)
        assert result.exit_code == 0
        assert f"2 completions of {IDENTITY}" in result.stdout
        assert "making them took 2,000 tokens read and 468 written" in result.stdout
        assert "asks it again and pays again; charges stay" in result.stdout
        assert result.stdout.endswith("remove this? [y/N] nothing was removed\n")
        assert count(path) == 3
    nobody = call("prune", "--identity", IDENTITY)
    assert nobody.exit_code == 2
    assert "nobody answered; --yes goes on without a question" in nobody.stderr
    assert count(path) == 3
    done = call("prune", "--identity", IDENTITY, stdin="y\n")
    assert "removed\n" in done.stdout
    assert count(path) == 1
    facts = json.loads(call("stats", "--json").stdout)
    assert facts["charges"]["harbour"]["nano_usd"] == 93_600_003


def test_prune_with_yes_asks_nothing(project: Path) -> None:
    result = call("prune", "--status", "ok", "--status", "empty", "--yes")
    assert result.exit_code == 0
    assert "[y/N]" not in result.stdout
    assert count(project / "ledger.sqlite") == 0
    assert "there is nothing of that kind" in call("prune", "--status", "ok").stdout
    assert "1 logged faults: http_500" in call("prune", "--faults", "--yes").stdout
    with Ledger(project / "ledger.sqlite") as ledger:
        assert stats(ledger).faults == {}


def test_prune_says_how_much_smaller_the_file_is(project: Path) -> None:
    path = project / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.write([Completed(str(n), "big", "x" * 9_000, "{}", 1, 1) for n in range(40)])
    with Ledger(path) as ledger:
        pass
    before = path.stat().st_size
    result = call("prune", "--identity", "big", "--yes")
    assert f"the file had {before:,} bytes and has {path.stat().st_size:,}" in result.stdout
    assert path.stat().st_size < before / 4


def test_prune_needs_to_be_told_what(project: Path) -> None:
    assert call("prune", "--yes").exit_code == 2
    assert "say what is to go" in call("prune", "--yes").stderr
    assert "--status bad: not a status" in call("prune", "--status", "bad").stderr
    assert "--before x: not a date" in call("prune", "--before", "x").stderr
    assert count(project / "ledger.sqlite") == 3


@pytest.mark.slow
def test_a_person_at_a_terminal_can_answer(project: Path) -> None:
    main, child = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "ledger", "prune", "--identity", IDENTITY],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=child,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(child)
    os.write(main, b"yes\n")
    out, _ = process.communicate(timeout=30)
    os.close(main)
    assert "remove this? [y/N] removed\n" in out
    assert count(project / "ledger.sqlite") == 1


def test_it_loads_nothing_heavy_to_show_figures(project: Path) -> None:
    code = (
        "import sys\nfrom domainforge.cli import app\n"
        "try:\n    app(['ledger', 'stats'])\n"
        "finally:\n    print({m.partition('.')[0] for m in sys.modules} & "
        "{'torch', 'transformers', 'datasets', 'trl', 'openai', 'langchain', 'aiohttp'})"
    )
    done = subprocess.run(
        [COMMAND[0], "-c", code],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "set()", done


@pytest.mark.slow
def test_as_a_command(project: Path) -> None:
    done = give(["ledger", "export", "out.parquet"], project)
    assert (done.returncode, done.stderr) == (0, "")
    assert (project / "out.parquet").read_bytes()[:4] == b"PAR1"
