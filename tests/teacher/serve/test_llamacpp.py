import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from domainforge.errors import TeacherError
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.pace import Pace
from domainforge.teacher.request import Request
from domainforge.teacher.serve.embedded import embedded_model_path
from domainforge.teacher.serve.llamacpp import gguf_parts
from domainforge.teacher.session import check_teacher, open_teacher, teacher_identity
from tests.teacher.quick import FAST, QA_SCHEMA
from tests.teacher.serve.processes import gone, own_server

PATIENT = Pace(base_seconds=0.05, cap_seconds=0.2, grace_seconds=1.0)


def config_for(gguf: str, **settings: object) -> TeacherConfig:
    values = {"serve": "llamacpp", "gguf": gguf, "threads": 1, "context_tokens": 512, **settings}
    return TeacherConfig.model_validate(values)


def link_model(project: Path) -> str:
    (project / "models").mkdir(exist_ok=True)
    (project / "models" / "own.gguf").symlink_to(embedded_model_path())
    return "models/own.gguf"


@pytest.mark.slow
def test_a_file_of_the_project_is_served_as_chat(tmp_path: Path) -> None:
    config = config_for(link_model(tmp_path))
    question = ({"role": "user", "content": "Ask one question about the river Lorn."},)
    requests = [
        Request(messages=question, max_tokens=12),
        Request(messages=question, schema=QA_SCHEMA, max_tokens=40),
        Request(prompt="Reply:", schema=QA_SCHEMA, max_tokens=40),
    ]
    with open_teacher(config, tmp_path / "ledger.sqlite", FAST) as teacher:
        assert teacher.identity.startswith("sha256:b179c952")
        assert (teacher.form, teacher.supports_schema) == ("chat", True)
        replies = {reply.key: reply for reply in teacher.ask(requests)}
        server = own_server()
    assert gone(server)
    for request in requests[1:]:
        reply = replies[teacher.key(request)]
        assert reply.text.lstrip().startswith("{")
        if reply.status == "ok":
            assert json.loads(reply.text).keys() == {"question", "answer", "quote"}
    assert (tmp_path / "logs" / "teacher-llamacpp.log").exists()
    # The same weights elsewhere, under another name, are the same teacher.
    with open_teacher(TeacherConfig(embedded=True), tmp_path / "ledger.sqlite") as teacher:
        assert all(reply.replayed for reply in teacher.ask(requests))


@pytest.mark.slow
def test_kills_in_flight_lose_nothing(tmp_path: Path) -> None:
    config = config_for(link_model(tmp_path), max_retries=200, restarts=2)
    requests = [Request(prompt=f"Count from {n}:", max_tokens=16) for n in range(12)]
    statuses = []
    with open_teacher(config, tmp_path / "l", PATIENT) as teacher:
        for number, reply in enumerate(teacher.ask(iter(requests))):
            statuses.append(reply.status)
            if number in (0, 5):
                os.kill(own_server(), signal.SIGKILL)
        assert teacher.counts.retried > 0
    assert len(statuses) == 12
    assert set(statuses) <= {"ok", "cut_off"}
    log = (tmp_path / "logs" / "teacher-llamacpp.log").read_text()
    assert log.count("starting on port") == 3


def test_check_names_the_model(tmp_path: Path) -> None:
    report = check_teacher(config_for(link_model(tmp_path)), tmp_path / "l", FAST)
    assert (report.fault, report.model, report.models) == (None, "own", ("own",))
    assert (report.model_found, report.supports_schema) == (True, True)


def test_a_file_that_is_missing_or_none_is_reported(tmp_path: Path) -> None:
    (tmp_path / "near.gguf").write_bytes(b"no weights")
    with pytest.raises(TeacherError, match=r"no file .*other\.gguf; that folder has: near\.gguf"):
        teacher_identity(config_for("other.gguf"), tmp_path)
    with (
        open_teacher(config_for("near.gguf"), tmp_path / "l", FAST) as teacher,
        pytest.raises(
            TeacherError, match=r"near\.gguf did not start .*whole GGUF.*its log is"
        ) as caught,
    ):
        list(teacher.ask([Request(prompt="One", max_tokens=2)]))
    assert not re.search(r"\^\^|File \"|\.py", str(caught.value))


def test_a_model_in_several_files_is_all_of_them(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"m-0000{number}-of-00002.gguf").write_bytes(bytes([number]))
    first = tmp_path / "m-00001-of-00002.gguf"
    second = first.with_name("m-00002-of-00002.gguf")
    assert gguf_parts(first) == (first, second)
    before = teacher_identity(config_for(first.name), tmp_path)
    second.write_bytes(b"other")
    assert teacher_identity(config_for(first.name), tmp_path) != before
    shutil.copytree(tmp_path, tmp_path / "moved", ignore=shutil.ignore_patterns("moved"))
    moved = teacher_identity(config_for(f"moved/{first.name}"), tmp_path)
    assert moved == teacher_identity(config_for(first.name), tmp_path)
    with pytest.raises(TeacherError, match="name the first of the 2 parts"):
        teacher_identity(config_for(second.name), tmp_path)
    second.unlink()
    with pytest.raises(TeacherError, match=r"lacks m-00002-of-00002\.gguf"):
        teacher_identity(config_for(first.name), tmp_path)
