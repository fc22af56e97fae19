"""`kill -9` in the middle of judging, then the same command: nothing is bought twice."""

import json
import os
import signal
from pathlib import Path

import pytest

from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.run_folder import read_manifest
from domainforge.stage import Account
from tests.support.command import give, start
from tests.support.small_run import make_project, pipeline_values, write_pipeline_file
from tests.support.teacher_server import TeacherServer

COMMAND = ("run", "small.yaml", "--json", "--until", "judge")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_kill_while_judging_buys_nothing_twice(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    with TeacherServer() as server:
        values = pipeline_values(server.base_url, judge={"prompt": "judge", "round_trip": True})
        values["teacher"] |= {"concurrency": 2}
        write_pipeline_file(project / "small.yaml", values)
        run_pipeline(check_pipeline(values, "small.yaml"), project, until_stage="dedup")
        before, server.delay_seconds = len(server.seen), 0.1
        child = start(COMMAND, project)
        assert child.stdout is not None
        for line in child.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["done"] >= 5 and "asked" in event:
                break
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        killed, server.delay_seconds = len(server.seen), 0.0
        assert before < killed, "it was judging"
        done = give(COMMAND, project)
        assert done.returncode == 0, done.stderr
        assert server.repeats <= 2 * 2, "what was in flight or not yet committed"
    manifest = read_manifest(project / "runs" / "small" / "judged")
    assert manifest is not None
    assert Account(**manifest.account).balances
    assert manifest.figures["replayed"] > 0
    assert manifest.figures["asked"] == len(server.seen) - killed
