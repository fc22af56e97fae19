"""`serve: vllm` against a stand-in for its program; real vLLM wants a GPU and isn't run here."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from domainforge.errors import TeacherError
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.session import check_teacher, open_teacher, teacher_identity
from tests.teacher.quick import FAST, chat
from tests.teacher.serve.processes import ROOT, children, own_server, wait_until

COMMIT = "0123456789abcdef0123456789abcdef01234567"
STAND_IN = f"""#!{sys.executable}
import argparse, json, os, sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.support.teacher_server import TeacherServer

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("verb", choices=["serve"])
parser.add_argument("model")
for name in ("--host", "--served-model-name", "--revision", "--max-model-len"):
    parser.add_argument(name)
parser.add_argument("--port", type=int)
parser.add_argument("--disable-uvicorn-access-log", action="store_true")
options = parser.parse_args()
print("loading weights", flush=True)
if options.max_model_len == "1":
    sys.exit("ValueError: the model's context is longer than its cache")
# Like vLLM's engine: a child in a session of its own that outlives a killed parent.
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
    os._exit(0)
time.sleep(0.2)
names = ("VLLM_API_KEY", "VLLM_NO_USAGE_STATS")
notes = vars(options) | {{name: os.environ.get(name) for name in names}}
Path(__file__).with_name("notes").write_text(json.dumps(notes))
TeacherServer(models=(options.served_model_name,), port=options.port).serve_in_foreground()
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-in on the PATH."""
    path = tmp_path / "bin" / "vllm"
    path.parent.mkdir()
    path.write_text(STAND_IN)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
    monkeypatch.setenv("VLLM_API_KEY", "would lock us out")
    return path


def make_model(project: Path) -> str:
    folder = project / "models" / "own"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    return "models/own"


def config_for(model: str, **settings: object) -> TeacherConfig:
    return TeacherConfig.model_validate({"serve": "vllm", "model": model, **settings})


def test_a_folder_is_served_and_everything_ends(
    tmp_path: Path, program: Path, marked: Callable[[], set[int]]
) -> None:
    config = config_for(make_model(tmp_path), serve_args=["--max-model-len", "8192"])
    with open_teacher(config, tmp_path / "ledger.sqlite", FAST) as teacher:
        assert (teacher.form, teacher.supports_schema) == ("chat", True)
        assert {reply.status for reply in teacher.ask(chat(n) for n in range(8))} == {"ok"}
        assert len(marked()) == 3  # keeper, server, and its engine
        assert len(children(own_server())) == 1
    assert marked() == set()
    notes = json.loads(program.with_name("notes").read_text())
    port = notes.pop("port")
    assert 1024 < port < 65536
    assert notes == {
        "verb": "serve",
        "model": str(tmp_path / "models" / "own"),
        "host": "127.0.0.1",
        "served_model_name": "own",
        "revision": None,
        "max_model_len": "8192",
        "disable_uvicorn_access_log": True,
        "VLLM_API_KEY": None,
        "VLLM_NO_USAGE_STATS": "1",
    }
    assert "loading weights" in (tmp_path / "logs" / "teacher-vllm.log").read_text()
    with open_teacher(config, tmp_path / "ledger.sqlite", FAST) as teacher:
        assert all(reply.replayed for reply in teacher.ask(chat(n) for n in range(8)))
        assert marked() == set()


@pytest.mark.slow
def test_a_killed_server_comes_back_without_its_old_engine(
    tmp_path: Path, program: Path, marked: Callable[[], set[int]]
) -> None:
    config = config_for(make_model(tmp_path), json_schema="yes", max_retries=1000)
    with open_teacher(config, tmp_path / "l", FAST) as teacher:
        replies = teacher.ask(chat(n) for n in range(40))
        statuses = [next(replies).status]
        first = marked()
        os.kill(own_server(), signal.SIGKILL)
        statuses += [reply.status for reply in replies]
        statuses += [reply.status for reply in teacher.ask([chat(99)])]
        assert statuses == ["ok"] * 41
        assert not first & marked()


def test_nothing_outlives_a_killed_run(
    tmp_path: Path, program: Path, marked: Callable[[], set[int]]
) -> None:
    code = f"""
import sys
from pathlib import Path
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.session import open_teacher
from tests.teacher.quick import chat
config = TeacherConfig(serve="vllm", model={make_model(tmp_path)!r}, json_schema="yes")
with open_teacher(config, Path({str(tmp_path / "l")!r})) as teacher:
    print([reply.status for reply in teacher.ask([chat(1)])], flush=True)
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
        assert parent.stdout.readline() == "['ok']\n"
        assert len(marked()) == 4
        parent.kill()
        parent.wait()
        assert wait_until(lambda: not marked())


def test_a_model_of_the_hub_is_served_at_its_commit(tmp_path: Path, program: Path) -> None:
    config = config_for("org/model", revision=COMMIT)
    report = check_teacher(config, tmp_path / "l", FAST)
    assert (report.fault, report.identity) == (None, f"hub:org/model@{COMMIT}")
    assert (report.model, report.models) == ("org/model", ("org/model",))
    notes = json.loads(program.with_name("notes").read_text())
    assert (notes["model"], notes["revision"]) == ("org/model", COMMIT)


def test_a_server_that_fails_is_reported_with_its_last_words(tmp_path: Path, program: Path) -> None:
    config = config_for(make_model(tmp_path), serve_args=["--max-model-len", "1"])
    with pytest.raises(TeacherError) as caught:
        check_teacher(config, tmp_path / "l", FAST)
    for part in ("vLLM with own did not start (exit status 1)", "longer than its cache"):
        assert part in str(caught.value)
    assert str(tmp_path / "logs" / "teacher-vllm.log") in str(caught.value)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TeacherError, match=r"no `vllm` is on the PATH; .*pip install vllm"):
        check_teacher(config_for(make_model(tmp_path)), tmp_path / "l", FAST)


def test_a_folder_is_named_by_its_content(tmp_path: Path) -> None:
    config = config_for(make_model(tmp_path))
    before = teacher_identity(config, tmp_path)
    assert before.startswith("sha256:")
    wide = config_for(config.model or "", serve_args=["--tensor-parallel-size", "2"])
    assert teacher_identity(wide, tmp_path) == before
    quantized = config_for(config.model or "", serve_args=["--quantization", "fp8"])
    assert teacher_identity(quantized, tmp_path) == f"{before}|--quantization fp8"
    for name in ("model.safetensors", "config.json"):
        (tmp_path / "models" / "own" / name).write_text("changed")
        after = teacher_identity(config, tmp_path)
        assert after != before
        before = after


def test_a_branch_is_resolved_in_the_cache_of_the_hub(tmp_path: Path) -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / "models--org--kept"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    (folder / "snapshots" / COMMIT / "config.json").write_text("{}")
    assert teacher_identity(config_for("org/kept"), tmp_path) == f"hub:org/kept@{COMMIT}"


def test_a_branch_that_is_not_cached_is_asked_of_the_hub(tmp_path: Path, program: Path) -> None:
    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.startswith("/api/models/org/new/revision/v1")
            body = json.dumps({"id": "org/new", "sha": COMMIT} if known else {}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    code = """
import sys
from pathlib import Path
from domainforge.teacher.serve.vllm import find_vllm_model
print(find_vllm_model("org/new", "v1", Path(sys.argv[1])).commit)
try:
    find_vllm_model("org/unknown", None, Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""
    with HTTPServer(("127.0.0.1", 0), Hub) as hub:
        thread = Thread(target=hub.serve_forever, args=(0.01,))
        thread.start()
        endpoint = f"http://127.0.0.1:{hub.server_port}"
        out = subprocess.check_output(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0"},
            text=True,
        )
        hub.shutdown()
        thread.join()
    found, fault = out.splitlines()
    assert found == COMMIT
    assert fault.startswith("TeacherError teacher.model: 'org/unknown' at 'main' is not in this")


def test_a_hub_that_cannot_be_reached_is_no_bug(tmp_path: Path, program: Path) -> None:
    code = """
import sys
from pathlib import Path
from domainforge.errors import TeacherError
from domainforge.teacher.serve.vllm import find_vllm_model
try:
    find_vllm_model("org/new", None, Path(sys.argv[1]))
except TeacherError as error:
    print(error)
"""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        out = subprocess.check_output(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT,
            env={
                **os.environ,
                "HF_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}",
                "HF_HUB_OFFLINE": "0",
            },
            text=True,
        )
    assert re.match(
        r"teacher\.model: 'org/new' at 'main' .* the Hub \(\S.*\); check .* the network", out
    )
    assert "give the whole commit in `revision`, or name a local folder" in out


def test_a_missing_program_is_named_before_the_hub_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TeacherError, match="no `vllm` is on the PATH"):
        teacher_identity(config_for("org/absent"), tmp_path)
    named = config_for("org/absent", revision=COMMIT)
    assert teacher_identity(named, tmp_path) == f"hub:org/absent@{COMMIT}"


@pytest.mark.parametrize(
    ("model", "revision", "message"),
    [
        ("org/absent", None, "not in this machine's cache .* give the whole commit in `revision`"),
        ("./absent", None, "neither a folder nor a Hub id"),
        ("absent", None, "neither a folder nor a Hub id"),
        ("models/own", "main", "is a folder; leave it out"),
        ("models", None, r"has no \*\.safetensors"),
    ],
)
def test_models_that_are_not_there_are_explained(
    tmp_path: Path, program: Path, model: str, revision: str | None, message: str
) -> None:
    make_model(tmp_path)
    with pytest.raises(TeacherError, match=message):
        teacher_identity(config_for(model, revision=revision), tmp_path)
