import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from domainforge.errors import ConfigError, StorageError
from domainforge.teacher.batch.journal import Handed, Journal
from domainforge.teacher.ledger import Completed, Faulted, Ledger, Spent
from domainforge.teacher.ledger_prune import (
    STATUSES,
    Wanted,
    check_statuses,
    compact,
    plan_prune,
)
from domainforge.teacher.session import open_teacher
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, chat, config_for

REPLIES = {
    "ok": {"message": {"content": "Osk"}, "finish_reason": "stop"},
    "cut_off": {"message": {"content": "Os"}, "finish_reason": "length"},
    "refused": {"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"},
    "filtered": {"message": {"content": ""}, "finish_reason": "content_filter"},
    "empty": {"message": {"content": ""}, "finish_reason": "stop"},
    "malformed": {},
}
# Argument 2 is what it does with the ledger before it waits.
OTHER_PROCESS = """
import sys
from pathlib import Path
from domainforge.teacher.batch.journal import Handed, Journal
from domainforge.teacher.ledger import Ledger, Started
ledger = Ledger(Path(sys.argv[1]))
exec(sys.argv[2])
print("ready", flush=True)
sys.stdin.read()
"""


def completed(key: str, identity: str = "m", status: str = "ok", text: str = "") -> Completed:
    reply = json.dumps({"choices": [REPLIES[status]], "more": text})
    return Completed(key, identity, json.dumps({"prompt": key}), reply, 7, 3, "run", 10, 10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a ledger with each status by `m`, one a day from 2026-01-01 on, and two of `n`."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.write([completed(status, "m", status) for status in REPLIES])
        ledger.write([completed("n1", "n"), Completed("n2", "n", "{}", "no JSON", 5, 5, "run")])
        ledger.write([Faulted("f1", "timeout", "", "run", 1, 1), Faulted("f2", "html", "")])
        with ledger.transaction() as file:
            for number, status in enumerate(REPLIES):
                row = (noon(number + 1), status)
                file.execute("UPDATE completions SET created = ? WHERE key = ?", row)
            file.execute("UPDATE faults SET at = ? WHERE key = 'f1'", (noon(1),))
    return path


def noon(day: int) -> float:
    return datetime(2026, 1, day, 12, tzinfo=UTC).timestamp()


def keys(ledger: Ledger, table: str = "completions") -> set[str]:
    return {key for (key,) in ledger.read(f"SELECT key FROM {table}")}


def prune(path: Path, wanted: Wanted) -> set[str]:
    """Carry a prune out and return the keys that went."""
    with Ledger(path) as ledger:
        before = keys(ledger) | keys(ledger, "faults")
        with plan_prune(ledger, wanted) as planned:
            planned.carry_out()
        gone = before - keys(ledger) - keys(ledger, "faults")
        doomed = planned.doomed
        assert sum([*doomed.completions.values(), *doomed.faults.values()]) == len(gone)
    return gone


ALL_OF_M = set(REPLIES)


@pytest.mark.parametrize(
    ("wanted", "gone"),
    [
        (Wanted(identity="n"), {"n1", "n2"}),
        (Wanted(before=noon(3)), {"ok", "cut_off"}),
        (Wanted(before=noon(3) + 1, identity="m"), {"ok", "cut_off", "refused"}),
        (Wanted(before=noon(1)), set()),
        (Wanted(statuses=frozenset({"malformed"})), {"malformed", "n2"}),
        (Wanted(statuses=frozenset({"ok", "empty"}), identity="m"), {"ok", "empty"}),
        (Wanted(statuses=frozenset({"ok"}), before=noon(9)), {"ok"}),
        *((Wanted("m", None, frozenset({status})), {status}) for status in STATUSES),
        (Wanted(statuses=frozenset(STATUSES)), ALL_OF_M | {"n1", "n2"}),
        (Wanted(faults=True), {"f1", "f2"}),
        (Wanted(faults=True, before=noon(2)), {"f1"}),
    ],
)
def test_what_fits_goes_and_nothing_else(path: Path, wanted: Wanted, gone: set[str]) -> None:
    assert prune(path, wanted) == gone


def test_every_status_of_a_completion_is_tried() -> None:
    assert set(REPLIES) == set(STATUSES)


def test_a_plan_says_what_it_costs_and_changes_nothing(path: Path) -> None:
    with Ledger(path) as ledger:
        with plan_prune(ledger, Wanted(before=noon(4))) as planned:
            doomed = planned.doomed
        assert doomed.completions == {"m": 3}
        assert (doomed.prompt_tokens, doomed.completion_tokens) == (21, 9)
        assert (doomed.oldest, doomed.newest) == (noon(1), noon(3))
        assert len(keys(ledger)) == 8
        with plan_prune(ledger, Wanted(faults=True)) as planned:
            assert planned.doomed.faults == {"html": 1, "timeout": 1}
            assert not planned.doomed.completions
        with plan_prune(ledger, Wanted(before=0.0)) as planned:
            assert planned.doomed.is_empty


def test_charges_secret_and_capabilities_stay(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.set_capability("m", "json_schema", "yes")
        before = (ledger.spent("run"), ledger.fence("chunk"), ledger.capability("m", "json_schema"))
    prune(path, Wanted(statuses=frozenset(STATUSES)))
    prune(path, Wanted(faults=True))
    with Ledger(path) as ledger:
        compact(ledger)
        after = (ledger.spent("run"), ledger.fence("chunk"), ledger.capability("m", "json_schema"))
        assert after == before
        assert before[0] == Spent(71, 71)
        assert ledger.read("PRAGMA user_version") == [(2,)]


def test_only_what_was_shown_goes(path: Path) -> None:
    with Ledger(path) as ledger:
        with plan_prune(ledger, Wanted(identity="n")) as planned:
            ledger.write([completed("n3", "n"), completed("more")])
            planned.carry_out()
        assert keys(ledger) == ALL_OF_M | {"n3", "more"}
        with plan_prune(ledger, Wanted(faults=True)) as planned:
            ledger.write([Faulted("f3", "timeout", "")])
            planned.carry_out()
        assert keys(ledger, "faults") == {"f3"}


def test_nonsense_is_refused(path: Path) -> None:
    with Ledger(path) as ledger:
        for wanted, message in [
            (Wanted(), "say what is to go"),
            (Wanted(identity="o"), r"--identity o: .* nothing of it; there is:\n  m\n  n"),
            (Wanted(identity="m", faults=True), "--faults goes without"),
            (Wanted(statuses=frozenset({"ok"}), faults=True), "--faults goes without"),
        ]:
            with pytest.raises(ConfigError, match=message), plan_prune(ledger, wanted):
                pass
    with pytest.raises(ConfigError, match=r"--status failed: not a status .* cut_off"):
        check_statuses(["ok", "failed"])
    assert check_statuses(["ok", "ok"]) == {"ok"}


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("ledger.write([Started('a', 'm'), Started('b', 'm')])", "has 2 requests in flight"),
        ("Journal(ledger, 'm', 'u').claim('s', [Handed('a', '{}')])", "is at work on a batch"),
    ],
)
def test_a_process_at_work_is_left_alone(path: Path, deed: str, message: str) -> None:
    command = [sys.executable, "-c", OTHER_PROCESS, str(path), deed]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    wanted = Wanted(identity="n")
    with Ledger(path) as ledger:
        with plan_prune(ledger, wanted) as planned, subprocess.Popen(command, **pipes) as child:  # type: ignore[call-overload]
            assert child.stdout.readline() == b"ready\n"
            expected = f"process {child.pid} {message}; wait for it to end, or stop it"
            with pytest.raises(StorageError, match=expected):
                planned.carry_out()
            with pytest.raises(StorageError, match=expected), plan_prune(ledger, wanted):
                pass
            assert len(keys(ledger)) == 8
            child.kill()
            child.wait()
        with plan_prune(ledger, wanted) as planned:
            planned.carry_out()
        assert keys(ledger) == ALL_OF_M


def test_a_batch_that_waits_at_the_provider_is_no_hindrance(path: Path) -> None:
    with Ledger(path) as ledger:
        journal = Journal(ledger, "m", "http://127.0.0.1")
        with journal.working("first"):
            journal.claim("first", [Handed("a", "{}")])
    assert prune(path, Wanted(identity="n")) == {"n1", "n2"}
    with Ledger(path) as ledger:
        assert keys(ledger, "batch_requests") == {"a"}


def test_the_file_shrinks_and_the_text_is_gone(path: Path) -> None:
    random = Random(5)
    with Ledger(path) as ledger:
        many = [
            completed(f"big-{n}", "big", text=random.randbytes(3_000).hex()) for n in range(200)
        ]
        ledger.write([*many, completed("kept", "m", text="stays here")])
        text = json.loads(many[0].response)["more"].encode()[:80]
    assert text in path.read_bytes()
    assert len(prune(path, Wanted(identity="big"))) == 200
    with Ledger(path) as ledger:
        done = compact(ledger)
        assert done.shortage is None
        assert done.bytes_before > 1_200_000
        assert done.bytes_after < 100_000
        assert compact(ledger).bytes_after == done.bytes_after
        assert ledger.read("PRAGMA integrity_check") == [("ok",)]
    assert path.stat().st_size == done.bytes_after
    assert text not in path.read_bytes()
    assert b"stays here" in path.read_bytes()


def test_without_space_for_a_copy_the_file_is_left_as_it_is(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.write([completed(f"big-{n}", "big", text="x" * 9_000) for n in range(50)])
    prune(path, Wanted(identity="big"))
    asked: list[Path] = []

    def little(place: Path) -> int:
        asked.append(place)
        return 5_000

    def enough(place: Path) -> int:
        return 200_000

    with Ledger(path) as ledger:
        done = compact(ledger, free_bytes=little)
        assert done.shortage is not None
        assert " has 5,000 bytes free, and " in done.shortage
        assert done.bytes_after == done.bytes_before > 400_000
        assert asked
        assert compact(ledger, min_empty_share=0.99).bytes_after == done.bytes_before
        assert compact(ledger, 0.5, enough).bytes_after < 100_000


def test_a_pruned_reply_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    faults = ["cut_off" if number < 3 else None for number in range(10)]
    with TeacherServer(faults) as server:
        config = config_for(server.base_url, concurrency=1)

        def ask() -> dict[str, int]:
            with open_teacher(config, path, FAST) as teacher:
                list(teacher.ask(chat(number) for number in range(10)))
                return dict(teacher.counts.statuses)

        assert ask() == {"cut_off": 3, "ok": 7}
        assert ask() == {"cut_off": 3, "ok": 7}
        assert len(server.seen) == 10
        assert len(prune(path, Wanted(statuses=frozenset({"cut_off"})))) == 3
        server.faults = None
        assert ask() == {"ok": 10}
        assert len(server.seen) == 13
