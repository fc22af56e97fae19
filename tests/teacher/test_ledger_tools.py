import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from domainforge.errors import ConfigError, StorageError
from domainforge.teacher.batch.journal import Handed, Journal
from domainforge.teacher.ledger import Completed, Faulted, Ledger, Spent, Started
from domainforge.teacher.ledger_tools import (
    export_completions,
    open_existing,
    read_date,
    read_figures,
)
from tests.support.ledgers import SECRET_1, make_version_1

OTHER_PROCESS = """
import os, sys
from pathlib import Path
from domainforge.teacher.ledger import Ledger, Started
Ledger(Path(sys.argv[1])).write([Started("a", "m", "run", 40, 4), Started("b", "m", "run", 1, 1)])
print("ready", flush=True)
sys.stdin.read()
"""


def completed(key: str, identity: str = "m", text: str = "Osk") -> Completed:
    reply = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    return Completed(key, identity, json.dumps({"prompt": key}), reply, 7, 3, "run", 10, 10)


def set_created(ledger: Ledger, key: str, created: float) -> None:
    with ledger.transaction() as file:
        file.execute("UPDATE completions SET created = ? WHERE key = ?", (created, key))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a ledger with completions of two teachers, made one a day."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.write([completed("2", "n"), completed("1"), completed("3"), completed("4")])
        for day in (1, 2, 3, 4):
            set_created(ledger, str(day), datetime(2026, 1, day, 12, tzinfo=UTC).timestamp() + 0.25)
    return path


def test_figures_are_exact(path: Path) -> None:
    command = [sys.executable, "-c", OTHER_PROCESS, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with Ledger(path) as ledger, subprocess.Popen(command, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == b"ready\n"
        ledger.write([Faulted("a", "timeout", "slow", "other", 5, 2), Faulted("b", "http_500", "")])
        journal = Journal(ledger, "m", "http://127.0.0.1")
        journal.claim("first", [Handed("c", "{}"), Handed("d", "{}")])
        journal.claim("second", [Handed("e", "{}")])
        journal.close("second", "completed")
        alive = read_figures(ledger)
        child.kill()
        child.wait()
        dead = read_figures(ledger)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp() + 0.25
    assert alive.identities == (
        ("m", 3, 21, 9, noon, noon + 3 * 86_400),
        ("n", 1, 7, 3, noon + 86_400, noon + 86_400),
    )
    assert alive.faults == {"http_500": 1, "timeout": 1}
    assert alive.charges == {"other": Spent(5, 2), "run": Spent(40, 40)}
    assert (alive.interrupted, alive.in_flight) == (0, 2)
    assert (alive.open_batches, alive.batch_requests) == (1, 2)
    assert (alive.version, alive.free_bytes) == (2, 0)
    assert alive.file_bytes > path.stat().st_size
    assert (dead.interrupted, dead.in_flight) == (2, 0)
    assert dead.charges == {"other": Spent(5, 2), "run": Spent(81, 45)}
    facts = json.loads(json.dumps(alive.as_dict()))
    assert (facts["completions"], facts["prompt_tokens"], facts["completion_tokens"]) == (4, 28, 12)
    assert facts["identities"][1]["oldest"] == "2026-01-02T12:00:00.250000+00:00"
    assert facts["charges"]["run"] == {"usd": 4e-8, "nano_usd": 40, "tokens": 40}


def test_figures_do_not_read_the_texts(path: Path) -> None:
    """The pages that the large texts run over into are ruined, and nobody notices."""
    with Ledger(path) as ledger:
        entry = Completed("big", "m", "x" * 40_000, "{}", 100, 50)
        ledger.write([entry])
    ruined = path.read_bytes().replace(b"x" * 4092, b"\xff" * 4092)
    path.write_bytes(ruined)
    with Ledger(path) as ledger:
        figures = read_figures(ledger)
        assert [line.prompt_tokens for line in figures.identities] == [121, 7]
        with pytest.raises(StorageError):
            ledger.read("SELECT request, response FROM completions WHERE key = 'big'")


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"no ledger here.*--ledger"),
        open_existing(tmp_path / "l"),
    ):
        pass
    assert not (tmp_path / "l").exists()


def test_dates_are_local_unless_they_say_otherwise() -> None:
    assert read_date("2026-01-02", "--since") == datetime(2026, 1, 2).timestamp()
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()
    assert read_date("2026-01-02T14:00+02:00", "--since") == noon
    for text in ("yesterday", "2026-13-01", ""):
        with pytest.raises(ConfigError, match=r"--since .*not a date; write it like"):
            read_date(text, "--since")


def test_lines_hold_all_that_was_asked_and_answered(path: Path, tmp_path: Path) -> None:
    pretty = '{\n "choices": [\r\n {"text": "two\\nlines \u2028 \U0001f600"}]}'
    with Ledger(path) as ledger:
        ledger.write([Completed("5", "n", '{"prompt": "five"}', pretty, 1, 2)])
        ledger.write([Completed("6", "n", '{"prompt": "six"}', "no JSON\n", 1, 2)])
        target = tmp_path / "out.jsonl"
        assert export_completions(ledger, target) == 6
    lines = [json.loads(line) for line in target.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [line["key"] for line in lines] == ["1", "3", "4", "2", "5", "6"]
    assert lines[0] == {
        "key": "1",
        "identity": "m",
        "created": "2026-01-01T12:00:00.250000+00:00",
        "request": {"prompt": "1"},
        "response": json.loads(completed("1").response),
        "prompt_tokens": 7,
        "completion_tokens": 3,
    }
    assert lines[4]["response"] == json.loads(pretty)
    assert lines[5]["response"] == "no JSON\n"


def test_parquet_holds_the_same(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    with Ledger(path) as ledger:
        assert export_completions(ledger, target) == 4
    rows = pq.read_table(target).to_pylist()
    assert [row["key"] for row in rows] == ["1", "3", "4", "2"]
    assert rows[0] == {
        "key": "1",
        "identity": "m",
        "created": datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC),
        "request": '{"prompt": "1"}',
        "response": completed("1").response,
        "prompt_tokens": 7,
        "completion_tokens": 3,
    }


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_empty_selection_is_a_readable_file(path: Path, tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out.{ending}"
    with Ledger(path) as ledger:
        assert export_completions(ledger, target, since=2e9) == 0
    read: Callable[[Path], int] = {
        "jsonl": lambda file: len(file.read_text().splitlines()),
        "parquet": lambda file: int(pq.read_table(file).num_rows),
    }[ending]
    assert read(target) == 0


def test_identity_and_since_select(path: Path, tmp_path: Path) -> None:
    def keys(**options: object) -> list[str]:
        target = tmp_path / "out.jsonl"
        export_completions(ledger, target, force=True, **options)  # type: ignore[arg-type]
        return [json.loads(line)["key"] for line in target.read_text().splitlines()]

    third = datetime(2026, 1, 3, 12, tzinfo=UTC).timestamp() + 0.25
    with Ledger(path) as ledger:
        assert keys(identity="n") == ["2"]
        assert keys(since=third) == ["3", "4"]
        assert keys(since=third + 1, identity="m") == ["4"]
        with pytest.raises(
            ConfigError, match=r"--identity o: .* has nothing of it; there is:\n  m"
        ):
            keys(identity="o")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_the_secret_stays_in_the_ledger(tmp_path: Path, ending: str) -> None:
    make_version_1(tmp_path / "l", completions=50)
    target = tmp_path / f"out.{ending}"
    with Ledger(tmp_path / "l") as ledger:
        export_completions(ledger, target)
    assert SECRET_1.encode() in (tmp_path / "l").read_bytes()
    assert SECRET_1.encode() not in target.read_bytes()
    assert bytes.fromhex(SECRET_1) not in target.read_bytes()


def test_a_file_that_is_there_is_replaced_only_with_force(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("mine")
    with Ledger(path) as ledger:
        with pytest.raises(ConfigError, match=r"is there already; .*--force"):
            export_completions(ledger, target)
        assert target.read_text() == "mine"
        assert export_completions(ledger, target, force=True) == 4
        assert len(target.read_text().splitlines()) == 4
        with pytest.raises(ConfigError, match=r"has to end in \.jsonl or \.parquet"):
            export_completions(ledger, tmp_path / "out.csv")
        with pytest.raises(StorageError, match="can't be written"):
            export_completions(ledger, tmp_path / "no" / "out.jsonl")
    (tmp_path / "same.jsonl").hardlink_to(path)
    with Ledger(path) as ledger, pytest.raises(ConfigError, match="the ledger itself"):
        export_completions(ledger, tmp_path / "same.jsonl", force=True)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_disk_that_fills_leaves_the_old_file(path: Path, tmp_path: Path, ending: str) -> None:
    target = tmp_path / "folder" / f"out.{ending}"
    target.parent.mkdir()
    target.write_text("old")
    with Ledger(path) as ledger:
        texts = [hex(3 ** (7_000 + number)) for number in range(200)]
        ledger.write([completed(f"big-{n}", text=text) for n, text in enumerate(texts)])
    code = """
import resource, sys
from pathlib import Path
from domainforge.errors import StorageError
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.ledger_tools import export_completions
with Ledger(Path(sys.argv[1])) as ledger:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        export_completions(ledger, Path(sys.argv[2]), force=True)
    except StorageError as error:
        print(error)
"""
    command = [sys.executable, "-c", code, str(path), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"{target}: can't be written" in done.stdout, done.stderr
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    assert target.read_text() == "old"


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.slow
def test_memory_does_not_grow_with_the_ledger(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "l"
    with Ledger(path) as ledger:
        for start in range(0, 3_000, 250):
            ledger.write(
                [completed(str(n), text="word " * 8_000) for n in range(start, start + 250)]
            )
    code = """
import resource, sys
from pathlib import Path
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.ledger_tools import export_completions
def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with Ledger(Path(sys.argv[1])) as ledger:
    export_completions(ledger, Path("first." + sys.argv[2]), since=2e9)
    before = peak_mb()
    count = export_completions(ledger, Path("all." + sys.argv[2]))
    print(count, peak_mb() - before)
"""
    command = [sys.executable, "-c", code, str(path), ending]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    count, grown_mb = done.stdout.split()
    assert count == "3000"
    assert path.stat().st_size > 110 * 2**20
    assert float(grown_mb) < 70


def test_an_export_while_others_write_holds_whole_groups(path: Path, tmp_path: Path) -> None:
    groups = [[completed(f"{n:03}-{row}", "w") for row in range(5)] for n in range(150)]
    keys = [entry.key for group in groups for entry in group]
    target = tmp_path / "out.jsonl"
    with Ledger(path) as ledger, Ledger(path) as other, ThreadPoolExecutor(1) as threads:
        other.write(groups[0])
        writing = threads.submit(lambda: [other.write(group) for group in groups[1:]])
        counts = []
        while True:
            is_last = writing.done()
            counts.append(export_completions(ledger, target, identity="w", force=True))
            lines = target.read_text().splitlines()
            assert [json.loads(line)["key"] for line in lines] == keys[: counts[-1]]
            assert counts[-1] % 5 == 0
            if is_last:
                break
    assert counts[-1] == len(keys)
    assert len(set(counts)) > 2


def test_started_of_this_process_counts_as_in_flight(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.write([Started("z", "m")])
        assert read_figures(ledger).in_flight == 1
