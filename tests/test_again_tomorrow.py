"""The same command again, the day after and after a kill, as a user would give it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.run_folder import read_manifest
from tests.support.command import ROOT, give
from tests.support.small_run import make_project, pipeline_values, write_pipeline_file

# The real command, which commits often enough to be killed between two commits.
OFTEN = (
    "from domainforge.sources import collecting; collecting._COMMIT_SECONDS = 0.05; "
    "from domainforge.cli import main; main()"
)
ROWS = 40_000


def run(project: Path) -> dict[str, Any]:
    pipeline = check_pipeline(pipeline_values("http://127.0.0.1:9/v1"), "small.yaml")
    report = run_pipeline(pipeline, project, lambda event: None, until_stage="chunk")
    return {state.stage: state for state in report.stages}


@pytest.mark.slow
def test_run_again_tomorrow(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    assert run(project)["ingest"].state == "done"
    again = run(project)
    assert (again["ingest"].state, again["chunk"].state) == ("unchanged", "unchanged")
    os.utime(project / "documents" / "ferry.md")
    assert run(project)["ingest"].state == "unchanged"
    (project / "documents" / "ferry.md").write_text("# The Gull Ferry\n\nIt was sold.\n")
    edited = run(project)
    for stage in ("ingest", "chunk"):
        assert edited[stage].state == "done"
        assert edited[stage].manifest.figures["documents_unchanged"] == 2
    fresh = make_project(tmp_path / "fresh")
    (fresh / "documents" / "ferry.md").write_text("# The Gull Ferry\n\nIt was sold.\n")
    for stage, state in run(fresh).items():
        if state.manifest is not None:
            assert edited[stage].manifest.content_hash == state.manifest.content_hash


def committed(journal: Path) -> int:
    if not journal.exists():
        return 0
    try:
        with closing(sqlite3.connect(journal, timeout=5)) as file:
            return int(file.execute("SELECT count(*) FROM documents").fetchone()[0])
    except sqlite3.OperationalError:  # its tables are being made
        return 0


@pytest.mark.slow
def test_kill_in_the_middle_of_ingest(tmp_path: Path) -> None:
    calm, killed = (make_project(tmp_path / name) for name in ("calm", "killed"))
    rows = (json.dumps({"id": n, "text": f"Row {n} of {n % 977} things."}) for n in range(ROWS))
    body = "\n".join(rows)
    for project in (calm, killed):
        (project / "documents" / "rows.jsonl").write_text(body)
        values = pipeline_values("http://127.0.0.1:9/v1")
        write_pipeline_file(project / "small.yaml", values)
    command = ("run", "small.yaml", "--until", "ingest", "--json")
    ended = give(command, calm)
    assert ended.returncode == 0, ended.stderr
    journal = killed / "runs" / "small" / ".documents.unfinished" / ".items.sqlite"
    reached = []
    for wanted in (1, ROWS // 3):
        child = subprocess.Popen(
            [sys.executable, "-c", OFTEN, *command],
            cwd=killed,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while committed(journal) < wanted:
                assert child.poll() is None, "the ingest ended before the kill"
                time.sleep(0.02)
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        reached.append(committed(journal))
    assert 0 < reached[0] <= reached[1] < ROWS
    ended = give(command, killed)
    assert ended.returncode == 0, ended.stderr
    whole = [read_manifest(p / "runs" / "small" / "documents") for p in (calm, killed)]
    assert whole[0] is not None
    assert whole[1] is not None
    assert whole[0].content_hash == whole[1].content_hash
    assert whole[0].account == whole[1].account
