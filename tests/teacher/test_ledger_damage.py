"""Torn writes, damaged files and full disks: survived, or reported, never silent."""

import shutil
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from domainforge.errors import StorageError
from domainforge.teacher.commit import GROUP_MAX
from domainforge.teacher.ledger import Completed, Ledger, Started
from domainforge.teacher.ledger_tools import read_figures
from tests.support.teacher_server import TeacherServer

ROOT = Path(__file__).parents[2]
GROUPS = 12
COUNT, CONCURRENCY = 400, 8


def group(number: int) -> list[Completed]:
    """Return a group; the first ones are a single row, the last ones many pages."""
    return [
        Completed(f"{number}-{row}", "m", "q" * 97 * number, "r" * 61 * row, 7, 3, "run", 11, 10)
        for row in range(1 + number * 2)
    ]


class Written:
    """A ledger copied while it was open: `main` as it began, `log` with all groups after it.

    Attributes:
        ends: How long the log was after each group.
        merged: The file when the log had been merged into it.
    """

    def __init__(self, path: Path) -> None:
        Ledger(path).close()
        self.main = path.read_bytes()
        self.ends = []
        with Ledger(path) as ledger:
            log = path.with_name(f"{path.name}-wal")
            for number in range(GROUPS):
                ledger.write([Started(entry.key, "m", "run") for entry in group(number)])
                ledger.write(group(number))
                self.ends.append(log.stat().st_size)
            assert path.read_bytes() == self.main, "the log was merged too early for this test"
            self.log = log.read_bytes()
        self.merged = path.read_bytes()

    def groups_in(self, log_bytes: int) -> int:
        return bisect_right(self.ends, log_bytes)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("written") / "l")


def put(folder: Path, main: bytes, log: bytes) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "l").write_bytes(main)
    (folder / "l-wal").write_bytes(log)
    return folder / "l"


def holds_exactly(path: Path, groups: int) -> None:
    """Assert that the first groups are there, whole, and nothing of the others."""
    wanted = {entry.key: entry for number in range(groups) for entry in group(number)}
    with Ledger(path) as ledger:
        rows = ledger.read("SELECT key, request, response FROM completions")
        assert {row[0]: row[1:] for row in rows} == {
            key: (entry.request, entry.response) for key, entry in wanted.items()
        }
        assert ledger.spent("run").nano_usd == 11 * len(wanted)
        assert ledger.read("PRAGMA integrity_check") == [("ok",)]
        ledger.write([Completed("more", "m", "{}", "{}", 1, 1)])
        assert ledger.get("more") == {}


def cuts(written: Written) -> Iterator[int]:
    """Yield the places where each write of the system may end, and many others."""
    yield from (0, 1, 31, 32, 33, len(written.log))
    for end in written.ends:
        yield from (end - 1, end)
    random = Random(31)
    yield from (random.randrange(len(written.log)) for _ in range(30))


def test_a_log_that_ends_anywhere_holds_the_groups_before(tmp_path: Path, written: Written) -> None:
    seen = set()
    for cut in cuts(written):
        path = put(tmp_path / "copy", written.main, written.log[:cut])
        groups = written.groups_in(cut)
        holds_exactly(path, groups)
        seen.add(groups)
    assert seen == set(range(GROUPS + 1))


def test_a_log_with_a_torn_page_holds_the_groups_before(tmp_path: Path, written: Written) -> None:
    random = Random(32)
    for _ in range(25):
        place, length = random.randrange(len(written.log)), random.choice([1, 512, 4096])
        log = bytearray(written.log)
        log[place : place + length] = bytes(byte ^ 0x5A for byte in log[place : place + length])
        path = put(tmp_path / "copy", written.main, bytes(log))
        holds_exactly(path, written.groups_in(place))


def test_a_merge_that_was_torn_is_done_again(tmp_path: Path, written: Written) -> None:
    """The log is whole until the file is: some sectors new, some old, and a file too short."""
    random = Random(33)
    old = written.main.ljust(len(written.merged), b"\0")
    for _ in range(10):
        sectors = [
            random.choice([old, written.merged])[start : start + 512]
            for start in range(0, len(old), 512)
        ]
        main = b"".join(sectors)
        if random.random() < 0.5:
            main = main[: max(len(written.main), random.randrange(len(main)) & ~511)]
        holds_exactly(put(tmp_path / "copy", main, written.log), GROUPS)


def read_all(path: Path) -> None:
    with Ledger(path) as ledger:
        for number in range(GROUPS):
            for entry in group(number):
                assert ledger.get_many([entry.key]) == {entry.key: entry.response}
        ledger.read("SELECT * FROM completions")
        read_figures(ledger)


def test_a_damaged_file_is_reported_with_what_to_do(tmp_path: Path, written: Written) -> None:
    random = Random(34)
    reported = []
    for page in range(len(written.merged) // 4096):
        main = bytearray(written.merged)
        main[page * 4096 : (page + 1) * 4096] = random.randbytes(4096)
        path = put(tmp_path / "copy", bytes(main), b"")
        try:
            read_all(path)
        except StorageError as error:
            reported.append(str(error))
    assert all(text.startswith(f"{path}: ") and "move it away" in text for text in reported)
    # All but pages of tables and indexes that this reads nothing of.
    assert len(reported) > 0.7 * len(written.merged) // 4096


def test_a_file_that_was_cut_is_reported(tmp_path: Path, written: Written) -> None:
    for share in (0.1, 0.5, 0.9):
        main = written.merged[: int(len(written.merged) * share)]
        path = put(tmp_path / "copy", main, b"")
        with pytest.raises(StorageError, match=r"damaged; move it away, or restore a copy"):
            read_all(path)


def test_damaged_text_is_not_quoted(tmp_path: Path, written: Written) -> None:
    main = written.merged.replace(b"r" * 61, b"r" * 60 + b"\xff")
    path = put(tmp_path / "copy", main, b"")
    with Ledger(path) as ledger, pytest.raises(StorageError, match="damaged") as caught:
        ledger.get_many([entry.key for entry in group(3)])
    assert "rrr" not in str(caught.value)


@pytest.mark.slow
def test_a_disk_that_fills_in_a_run_stops_it_and_the_same_command_goes_on(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    code = """
import resource, sys
if int(sys.argv[5]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]),) * 2)
from tests.teacher.ask_many import main
del sys.argv[5]
main()
"""

    def ask(most_bytes: int) -> "subprocess.CompletedProcess[str]":
        arguments = [server.base_url, str(ledger), str(COUNT), str(CONCURRENCY), str(most_bytes)]
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )

    with TeacherServer() as server:
        stopped = ask(400_000)
        assert stopped.returncode == 1
        assert f"StorageError: {ledger}: the disk" in stopped.stderr
        yielded = {line.split()[0] for line in stopped.stdout.splitlines()}
        bought = len(server.seen)
        with Ledger(ledger) as file:
            kept = {key for (key,) in file.read("SELECT key FROM completions")}
        assert yielded <= kept
        assert 0 < len(kept) < COUNT
        assert bought - len(kept) <= CONCURRENCY + GROUP_MAX
        assert ask(400_000).returncode == 1, "the disk is still full"
        more = len(server.seen)
        with Ledger(ledger) as file:
            kept = {key for (key,) in file.read("SELECT key FROM completions")}
        done = ask(0)
        assert done.returncode == 0, done.stderr
        lines = [line.split() for line in done.stdout.splitlines()[:-1]]
        assert len(lines) == COUNT
        assert kept == {key for key, _, replayed in lines if replayed == "True"}
        assert len(server.seen) - more == COUNT - len(kept)
