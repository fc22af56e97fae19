import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from domainforge.errors import StorageError
from domainforge.teacher.ledger import Completed, Faulted, Ledger, Started
from tests.support.ledgers import make_ledger, make_version_1, stats

RESPONSE = {"choices": [{"text": "Osk, \u00e9t\u00e9, \u4e2d, \U0001f600, \u0000"}]}


def reply(text: str) -> str:
    return json.dumps({"choices": [{"text": text}]})


def completed(key: str, text: str = "Osk") -> Completed:
    return Completed(key, "m", json.dumps({"prompt": key}), reply(text), 7, 3)


def run(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_written_reply_survives_reopening(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.sqlite"
    with Ledger(path) as ledger:
        assert ledger.get("a") is None
        ledger.write([Started("a", "m"), Completed("a", "m", "{}", json.dumps(RESPONSE), 7, 3)])
    with Ledger(path) as ledger:
        assert ledger.get("a") == RESPONSE
        assert ledger.has("a")
        assert not ledger.has("b")
        held = stats(ledger)
    assert (held.completions, held.prompt_tokens, held.completion_tokens) == ({"m": 1}, 7, 3)


def test_the_first_reply_stands(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as one, Ledger(tmp_path / "l") as two:
        assert one.write([completed("a", "first")]).earlier == {}
        written = two.write([completed("a", "second"), completed("b", "other")])
        assert written.earlier == {"a": reply("first")}
        assert two.get("a") == one.get("a") == {"choices": [{"text": "first"}]}


def test_a_group_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        bad = Completed("b", "m", "{}", "{}", 2**70, 0)
        with pytest.raises(OverflowError):
            ledger.write([completed("a"), bad])
        assert not ledger.has("a")
        ledger.write([completed("c")])
        assert ledger.has("c")


def test_requests_of_a_dead_process_count_as_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "l"
    code = """
import os, sys
from pathlib import Path
from domainforge.teacher.ledger import Completed, Faulted, Ledger, Started, Withdrawn
ledger = Ledger(Path(sys.argv[1]))
ledger.write([Started(key, "m") for key in "abcdef"])
ledger.write([Completed("a", "m", "{}", "{}", 0, 0), Faulted("b", "timeout", ""), Withdrawn("c")])
os.kill(os.getpid(), 9)
"""
    assert run(code, path).returncode == -9
    with Ledger(path) as ledger:
        ledger.write([Started("x", "m")])
        assert ledger.interrupted() == 3
        written = ledger.write([Started(key, "m") for key in "adg"])
        assert written.interrupted == {"d"}
        assert ledger.interrupted() == 2
        assert ledger.write([Started("x", "m")]).interrupted == {"x"}


def test_requests_of_a_live_process_do_not(tmp_path: Path) -> None:
    path = tmp_path / "l"
    code = """
import sys
from pathlib import Path
from domainforge.teacher.ledger import Ledger, Started
Ledger(Path(sys.argv[1])).write([Started("a", "m")])
print("ready", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with Ledger(path) as ledger, subprocess.Popen(command, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == b"ready\n"
        assert ledger.interrupted() == 0
        assert ledger.write([Started("a", "m")]).interrupted == set()
        child.kill()
        child.wait()
        assert ledger.interrupted() == 1


def test_faults_are_counted_and_not_replayed(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        ledger.write([Started("a", "m"), Faulted("a", "http_500", "no")])
        ledger.write([Faulted("a", "http_500", "no"), Faulted("b", "timeout", "slow")])
        assert stats(ledger).faults == {"http_500": 2, "timeout": 1}
        assert ledger.get("a") is None


def test_fence_is_stable_in_a_ledger_and_different_in_another(tmp_path: Path) -> None:
    with Ledger(tmp_path / "one") as one, Ledger(tmp_path / "two") as two:
        mark = one.fence("chunk")
        assert len(bytes.fromhex(mark)) == 8
        assert mark != one.fence("other")
        assert mark != two.fence("chunk")
    with Ledger(tmp_path / "one") as again:
        assert again.fence("chunk") == mark


def test_capabilities_are_remembered(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.capability("m", "json_schema") is None
        ledger.set_capability("m", "json_schema", "no")
        ledger.set_capability("m", "json_schema", "yes")
        assert ledger.capability("m", "json_schema") == "yes"


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "l").close()
    with closing(sqlite3.connect(tmp_path / "l")) as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match=r"version 99.*upgrade domainforge"):
        Ledger(tmp_path / "l")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, " * 100)
    with pytest.raises(StorageError, match="no ledger"):
        Ledger(tmp_path / "text")
    with closing(sqlite3.connect(tmp_path / "foreign")) as file:
        file.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StorageError, match="no ledger"):
        Ledger(tmp_path / "foreign")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="can't be opened"):
        Ledger(tmp_path / "folder")
    with pytest.raises(StorageError, match="folder can't be made"):
        Ledger(tmp_path / "text" / "l")


def test_a_disk_without_room_is_reported_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l"
    code = """
import resource, sys
from pathlib import Path
from domainforge.errors import StorageError
from domainforge.teacher.ledger import Completed, Ledger
ledger = Ledger(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
for number in range(100):
    try:
        ledger.write([Completed(str(number), "m", "x" * 20_000, "{}", 1, 1)])
    except StorageError as error:
        print(number, error)
        break
"""
    done = run(code, path)
    number, _, message = done.stdout.partition(" ")
    assert "the disk" in message, done.stderr
    assert str(path) in message
    with Ledger(path) as ledger:
        assert int(number) > 0
        assert stats(ledger).completions == {"m": int(number)}


def test_processes_share_one_new_file(tmp_path: Path) -> None:
    path = tmp_path / "l"
    code = """
import sys
from pathlib import Path
from domainforge.teacher.ledger import Completed, Ledger, Started
with Ledger(Path(sys.argv[1])) as ledger:
    for number in range(40):
        key = f"{sys.argv[2]}-{number}"
        ledger.write([Started(key, "m")])
        shared = Completed("shared", "m", "{}", "{}", 0, 0)
        ledger.write([Completed(key, "m", "{}", "{}", 1, 1), shared])
    print(ledger.fence("chunk"))
"""
    commands = [[sys.executable, "-c", code, str(path), name] for name in ("one", "two", "three")]
    children = [subprocess.Popen(c, stdout=subprocess.PIPE, text=True) for c in commands]
    fences = {child.communicate()[0] for child in children}
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len(fences) == 1
    with Ledger(path) as ledger:
        assert stats(ledger).completions == {"m": 121}
        assert ledger.interrupted() == 0


@pytest.mark.parametrize("make", [make_ledger, make_version_1])
@pytest.mark.parametrize("folder_mode", [0o555, 0o777])
def test_a_read_only_ledger_is_reported(make: Callable[[Path], None], folder_mode: int) -> None:
    code = """
import os, sys
from pathlib import Path
from domainforge.errors import StorageError
from domainforge.teacher.ledger import Ledger, Started
if os.geteuid() == 0:
    os.setuid(65534)
try:
    Ledger(Path(sys.argv[1])).write([Started("a", "m")])
except StorageError as error:
    print(error)
"""
    # Not below tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "l")
        before = (folder / "l").read_bytes()
        (folder / "l").chmod(0o444)
        folder.chmod(folder_mode)
        done = run(code, folder / "l")
        folder.chmod(0o755)
        assert (folder / "l").read_bytes() == before
    assert "can't be written; check its permissions" in done.stdout, done
