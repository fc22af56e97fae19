"""Ten kinds of bad input: each stops with a message that says what, where and what to do next."""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from domainforge import errors
from tests.support.command import COMMAND, ROOT, give
from tests.support.teacher_server import TeacherServer
from tests.support.whole_run import make_project, pipeline_values

# Each starts the program several times.
pytestmark = pytest.mark.slow
RUN = ("run", "small.yaml", "--plain", "--until", "split")


@pytest.fixture(scope="module")
def server() -> Iterator[TeacherServer]:
    with TeacherServer() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, tiny_student: Path, server: TeacherServer) -> Path:
    folder = make_project(tmp_path / "project", tiny_student)
    write_pipeline(folder, server.base_url)
    return folder


def write_pipeline(project: Path, base_url: str, **more: Mapping[str, Any] | Any) -> None:
    values = pipeline_values(base_url, **more)
    (project / "small.yaml").write_text(json.dumps(values, indent=1))


def refused(project: Path, error: type[errors.DomainForgeError], *more: str) -> str:
    """Give the command, which must fail as that error; return what it says."""
    ended = give([*RUN, *more], project, {"PYTHONWARNINGS": "default"})
    said = ended.stderr + ended.stdout
    assert ended.returncode == error.exit_code, said
    assert "Traceback" not in said
    return " ".join(ended.stderr.split())


def test_the_good_project_runs(project: Path) -> None:
    ended = give(RUN, project)
    assert ended.returncode == 0, ended.stderr


def test_a_missing_folder(project: Path) -> None:
    said = refused(project, errors.SourceError, "--set", "sources.0.files=nowhere")
    assert "nowhere" in said
    assert "no such" in said


def test_an_empty_folder(project: Path) -> None:
    (project / "empty").mkdir()
    said = refused(project, errors.SourceError, "--set", "sources.0.files=empty")
    assert "nothing to read in empty" in said
    assert "nothing found in empty: no files, pages or rows there" in said


def test_nothing_but_an_unreadable_pdf(project: Path) -> None:
    (project / "scans").mkdir()
    (project / "scans" / "old.pdf").write_bytes(b"%PDF-1.7\nnot really\n")
    said = refused(project, errors.SourceError, "--set", "sources.0.files=scans")
    assert "scans/old.pdf" in said
    assert "not read" in said


def test_broken_yaml(project: Path) -> None:
    (project / "small.yaml").write_text("name: small\nsources: [files: documents\nseed: 3\n")
    said = refused(project, errors.ConfigError)
    assert "small.yaml:" in said
    assert "not YAML" in said


def test_an_unknown_key(project: Path) -> None:
    (project / "small.yaml").write_text(
        "sources:\n - files: documents\nfilters: {}\ntrain: {epoch: 2}"
    )
    said = refused(project, errors.ConfigError)
    assert "small.yaml:3: filters: unknown key; did you mean 'filter'?" in said
    assert "small.yaml:4: train.epoch: unknown key; did you mean 'epochs'?" in said


def test_a_bad_prompt_file(project: Path) -> None:
    (project / "prompts" / "qa.md").write_text(
        "---\nversion: 1\npurpose: [\n---\n<!-- user -->\nx\n"
    )
    said = refused(project, errors.PromptError)
    assert "prompts/qa.md:" in said
    assert "header is not YAML" in said


def test_a_prompt_that_is_not_there(project: Path) -> None:
    said = refused(project, errors.PromptError, "--set", "generate.tasks.0.prompt=quiz")
    assert "no prompt 'quiz'" in said
    assert "there are: " in said


def test_no_key_in_the_environment(project: Path) -> None:
    said = refused(project, errors.ConfigError, "--set", "teacher.api_key_env=SOME_TEACHER_KEY")
    assert "teacher.api_key_env: the environment variable SOME_TEACHER_KEY is not set" in said
    assert "export SOME_TEACHER_KEY=" in said


@pytest.mark.parametrize("schema", ["auto", "yes"])
def test_an_endpoint_that_is_down_fails_soon(project: Path, schema: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write_pipeline(project, f"http://127.0.0.1:{port}/v1", teacher={"json_schema": schema})
    started = time.monotonic()
    said = refused(project, errors.TeacherError)
    assert time.monotonic() - started < 20
    assert f"http://127.0.0.1:{port}/v1 does not answer" in said
    assert "start it, or check teacher.base_url" in said


# What no file may outgrow, and the stage whose files do.
FULL = {"chunk": 4096, "train": 200_000}


@pytest.mark.parametrize("stage", ["chunk", "train"])
def test_a_full_disk(project: Path, stage: str) -> None:
    ended = give(RUN, project)
    assert ended.returncode == 0, ended.stderr
    record = json.loads((project / "runs" / "small" / "run.json").read_text())

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL[stage], FULL[stage]))

    full = subprocess.run(
        [*COMMAND, "run", "small.yaml", "--plain", "--from", stage],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=fill,
        check=False,
    )
    assert full.returncode == errors.StorageError.exit_code, full.stderr
    assert "Traceback" not in full.stderr
    said = " ".join(full.stderr.split())
    assert "the disk is full" in said
    assert "give the same command again" in said
    assert str(project) in said
    after = json.loads((project / "runs" / "small" / "run.json").read_text())
    assert after.pop("stopped", {"stage": ""})["stage"] in ("", stage)
    assert after == record
    # With space again, the same command goes to its end.
    assert give(RUN, project).returncode == 0


def test_a_run_folder_of_another_version(project: Path) -> None:
    folder = project / "runs" / "small"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"format": 99}')
    said = refused(project, errors.StorageError)
    assert "runs/small has run format 99" in said
    assert "--set name=NAME" in said
    (folder / "run.json").write_text("not ours")
    assert "is not a run that DomainForge wrote" in refused(project, errors.StorageError)


def test_exit_codes_are_all_different_and_spare_those_of_verdicts() -> None:
    kinds = [errors.DomainForgeError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    codes = [kind.exit_code for kind in kinds if kind.__module__ == errors.__name__]
    assert len(codes) == len(set(codes)) > 8
    assert not {0, 3, 4, 5} & set(codes)
    assert sys.modules[errors.__name__].__doc__
