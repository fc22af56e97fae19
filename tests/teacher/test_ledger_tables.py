import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from domainforge.errors import StorageError
from domainforge.teacher.ledger import Completed, Ledger
from domainforge.teacher.ledger_tables import VERSION
from tests.support.ledgers import make_ledger, make_version_1, stats

# Migrates with a tiny cache, so that pages reach the disk before the end, and kills itself at the
# step of that number; 0 is just before the commit, -1 never. Prints how many steps there were.
MIGRATE = """
import os, sqlite3, sys
from domainforge.teacher.ledger_tables import prepare
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("PRAGMA cache_size = 5")
file.execute("BEGIN IMMEDIATE")
kill_at, steps = int(sys.argv[2]), 0
def step():
    global steps
    steps += 1
    if steps == kill_at:
        os.kill(os.getpid(), 9)
file.set_progress_handler(step, 20)
prepare(file, "the ledger")
if kill_at == 0:
    os.kill(os.getpid(), 9)
file.execute("COMMIT")
print(steps)
"""


def migrate(path: Path, kill_at: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", MIGRATE, str(path), str(kill_at)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as file:
        return list(file.iterdump())


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as file:
        return int(file.execute("PRAGMA user_version").fetchone()[0])


def schema_of(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        # A renamed table is written with quotes, which mean nothing.
        return {(name, " ".join(sql.replace('"', "").split())) for name, sql in rows}


def test_version_1_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "l"
    make_version_1(path)
    with closing(sqlite3.connect(path)) as file:
        before = {
            table: file.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("completions", "faults", "endpoints", "meta")
        }
    with Ledger(path) as ledger:
        for table, rows in before.items():
            assert ledger.read(f"SELECT * FROM {table}") == rows
            assert rows
        started = [("lost", "4194305:1", "m", 1700000001.5, "", 0, 0)]
        assert ledger.read("SELECT * FROM started") == started
        assert ledger.interrupted() == 1
        assert ledger.get("1") == {"choices": [{"text": "r1"}]}
        assert ledger.fence("chunk") == "81d35c448be13e42"
        ledger.write([Completed("new", "m", "{}", "{}", 1, 1, "run", 5, 2)])
        assert ledger.spent("run").nano_usd == 5
    assert version_of(path) == VERSION
    make_ledger(tmp_path / "new")
    assert schema_of(path) == schema_of(tmp_path / "new")


def test_a_kill_in_a_migration_leaves_version_1(tmp_path: Path) -> None:
    original, path = tmp_path / "original", tmp_path / "l"
    make_version_1(original, completions=3_000)
    before = dump(original)
    shutil.copy(original, path)
    done = migrate(path, -1)
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout)
    assert steps > 100
    spilled = 0
    for kill_at in [*range(1, steps, steps // 7), steps, 0]:
        for name in ("l", "l-wal", "l-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        shutil.copy(original, path)
        assert migrate(path, kill_at).returncode == -9
        spilled += (tmp_path / "l-wal").stat().st_size > 0
        assert version_of(path) == 1
        assert dump(path) == before
        with Ledger(path) as ledger:
            assert stats(ledger).completions == {"m": 3_000}
        assert version_of(path) == VERSION
    assert spilled, "no kill came when pages of the migration were on the disk"


def test_processes_migrate_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "l"
    make_version_1(path, completions=500)
    code = """
import sys
from pathlib import Path
from domainforge.teacher.ledger import Completed, Ledger
print("ready", flush=True)
with Ledger(Path(sys.argv[1])) as ledger:
    ledger.write([Completed(sys.argv[2], "m", "{}", "{}", 1, 1)])
    print(ledger.fence("chunk"))
"""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        # All of them wait for this, and then come at once.
        file.execute("BEGIN IMMEDIATE")
        children = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(path), name], stdout=subprocess.PIPE, text=True
            )
            for name in ("one", "two", "three")
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        file.execute("ROLLBACK")
    fences = {child.communicate(timeout=30)[0] for child in children}
    assert [child.returncode for child in children] == [0, 0, 0]
    assert fences == {"81d35c448be13e42\n"}
    with Ledger(path) as ledger:
        assert stats(ledger).completions == {"m": 503}


def test_a_full_disk_in_a_migration_leaves_version_1(tmp_path: Path) -> None:
    path = tmp_path / "l"
    make_version_1(path, completions=3_000)
    before = dump(path)
    code = """
import resource, sys
from pathlib import Path
from domainforge.errors import StorageError
from domainforge.teacher.ledger import Ledger
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    Ledger(Path(sys.argv[1]))
except StorageError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the disk" in done.stdout, done.stderr
    assert version_of(path) == 1
    assert dump(path) == before


@pytest.mark.parametrize("version", [1, VERSION])
def test_a_file_of_another_program_with_our_version_is_refused(
    tmp_path: Path, version: int
) -> None:
    with closing(sqlite3.connect(tmp_path / "l")) as file:
        file.execute("CREATE TABLE recipes (name TEXT)")
        file.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StorageError, match="no ledger"):
        Ledger(tmp_path / "l")
