"""`kill -9` at ten moments across the stages, then the same command to its end."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from domainforge.pipeline import STAGES, find_scores
from domainforge.records import canonical_json
from domainforge.run_folder import read_manifest
from domainforge.stage import Account
from domainforge.teacher.ledger import Ledger
from tests.support.command import give, start
from tests.support.teacher_server import TeacherServer
from tests.support.whole_run import make_project, pipeline_values

SEED = 20
CONCURRENCY = 4
COMMAND = ("run", "small.yaml", "--json")
# Stage, and the part of its progress that must have been made before the kill.
MOMENTS = (
    ("ingest", None),
    ("chunk", None),
    ("generate", 0.15),
    ("generate", 0.4),
    ("generate", 0.7),
    ("filter", None),
    ("dedup", None),
    ("train", 0.3),
    ("train", 0.7),
    ("evaluate", None),
)


class Killed(NamedTuple):
    """What there was when a run was killed: stages that were whole, what was paid for and asked."""

    paid: set[str]
    asked: int


def kill_at(project: Path, stage: str, share: float | None, delay_seconds: float) -> None:
    """Give the command, and kill its whole group when it has come that far."""
    child = start(COMMAND, project)
    assert child.stdout is not None
    try:
        for line in child.stdout:
            event = json.loads(line)
            if event["event"] == "stage":
                current, state = event["stage"], event["state"]
                reached = current == stage and state == "running" and share is None
            elif event["event"] == "progress" and share is not None:
                reached = current == stage and event["done"] >= share * event["total"]
            else:
                continue
            if reached:
                time.sleep(delay_seconds)
                break
        else:
            assert child.stderr is not None
            pytest.fail(f"{stage} was never reached: {child.stderr.read()}")
        assert child.poll() is None, f"the run ended before the kill in {stage}"
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def paid_for(project: Path) -> set[str]:
    """The messages of every request whose reply is in the ledger."""
    import sqlite3

    if not (project / "ledger.sqlite").exists():
        return set()
    file = sqlite3.connect(project / "ledger.sqlite")
    try:
        rows = file.execute("SELECT request FROM completions").fetchall()
    finally:
        file.close()
    return {canonical_json(json.loads(row)["messages"]) for (row,) in rows}


def hashes(project: Path) -> dict[str, str]:
    found = {}
    for stage in STAGES:
        manifest = read_manifest(project / "runs" / "small" / stage.writes)
        assert manifest is not None, stage.name
        assert Account(**manifest.account).balances, stage.name
        found[stage.name] = manifest.content_hash
    return found


def figures(project: Path) -> dict[str, float]:
    scores = find_scores(project / "runs" / "small")
    assert scores is not None
    values = {f"{m['slice']} {m['line']} {m['name']}": m["value"] for m in scores["metrics"]}
    values |= {f"perplexity {k}": v for k, v in scores["perplexity"]["student"].items()}
    return values


def write_pipeline(project: Path, base_url: str) -> None:
    values: dict[str, Any] = pipeline_values(
        base_url,
        teacher={"concurrency": CONCURRENCY, "json_schema": "yes"},
        generate={"tasks": [{"prompt": "qa", "per_chunk": 40}]},
        train={"epochs": 18},
        evaluate={"control": None},
    )
    (project / "small.yaml").write_text(json.dumps(values))


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_ten_kills_change_nothing_and_cost_next_to_nothing(
    tmp_path: Path, tiny_student: Path
) -> None:
    killed, calm = make_project(tmp_path / "killed", tiny_student), tmp_path / "calm"
    shutil.copytree(killed, calm)
    with TeacherServer(delay_seconds=0.02) as server:
        write_pipeline(calm, server.base_url)
        ended = give(COMMAND, calm, timeout_seconds=200)
        assert ended.returncode == 0, ended.stderr
        # Of 200 planned: novelty stops where rows repeat, in both runs at the same places.
        needed = {canonical_json(seen.body["messages"]) for seen in server.seen}
        assert len(needed) > 100
    train = read_manifest(calm / "runs" / "small" / "student")
    assert train is not None
    assert train.seconds > 8, "too short a training to be killed in: raise the epochs"
    chance = Random(SEED)
    moments: list[Killed] = []
    with TeacherServer(delay_seconds=0.02) as server:
        write_pipeline(killed, server.base_url)
        for stage, share in MOMENTS:
            kill_at(killed, stage, share, chance.uniform(0, 0.1))
            time.sleep(0.1)  # what was on its way arrives
            moments.append(Killed(paid_for(killed), len(server.seen)))
        ended = give(COMMAND, killed, timeout_seconds=200)
        assert ended.returncode == 0, ended.stderr
        asked = [canonical_json(seen.body["messages"]) for seen in server.seen]
        repeats = server.repeats

    before, after = hashes(calm), hashes(killed)
    exact = [stage.name for stage in STAGES[: [s.name for s in STAGES].index("train")]]
    assert {name: after[name] for name in exact} == {name: before[name] for name in exact}
    wanted = figures(calm)
    assert len(wanted) > 10
    assert figures(killed) == pytest.approx(wanted, rel=0.02, abs=0.02)

    assert any(0 < len(moment.paid) < len(set(asked)) for moment in moments)
    for moment in moments:
        assert not moment.paid & set(asked[moment.asked :])
    assert set(asked) == needed
    assert repeats == len(asked) - len(needed) <= len(MOMENTS) * 2 * CONCURRENCY
    with Ledger(killed / "ledger.sqlite") as ledger:
        assert ledger.interrupted() == 0

    student = read_manifest(killed / "runs" / "small" / "student")
    assert student is not None
    assert student.figures["resumed_step"] > 0
    assert any("went on from the checkpoint" in note for note in student.notes)
    generate = read_manifest(killed / "runs" / "small" / "examples")
    assert generate is not None
    assert generate.figures["replayed"] > 0
    left = {path.name for path in (killed / "runs" / "small").iterdir()}
    assert not [name for name in left if name.endswith((".unfinished", ".old"))]
