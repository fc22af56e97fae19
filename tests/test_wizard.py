import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from domainforge.cli import app
from domainforge.errors import ConfigError
from domainforge.pipeline_file import Pipeline, load_pipeline
from domainforge.stages.generate import GenerateConfig
from domainforge.starter import pipeline_text, run_name, starter_values, write_pipeline
from domainforge.training.config import TrainConfig
from tests.support.command import interrupt_wizard
from tests.support.small_run import make_project
from tests.support.teacher_server import TeacherServer

ROOT = Path(__file__).parents[1]
EXAM = '{"question": "Who lit the lamp?", "answers": ["Maud Tarrant"]}\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a project that has documents and a student, and no pipeline yet."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def answer(*lines: str) -> Result:
    """Run the wizard with these answers; an empty one takes the default."""
    stdin = "".join(f"{line}\n" for line in lines)
    return CliRunner().invoke(app, ["wizard"], input=stdin, catch_exceptions=False)


def written(project: Path) -> list[str]:
    return sorted(str(path.relative_to(project)) for path in project.rglob("*.yaml"))


def said(result: Result) -> str:
    return " ".join(result.stdout.split())


def test_defaults_write_a_pipeline_that_loads(project: Path) -> None:
    result = answer("", "", "", "", "", "", "", "", "")
    assert result.exit_code == 0
    assert "3 files can be read: 2 .md, 1 .txt" in result.stdout
    assert "to run it: domainforge run pipelines/documents.yaml" in said(result)
    pipeline = load_pipeline(project / "pipelines" / "documents.yaml")
    assert pipeline.name == "documents"
    assert pipeline.sources[0].files == "documents"
    assert pipeline.teacher.embedded
    assert pipeline.train.student == "embedded"
    assert pipeline.generate.recipe == "default"
    assert "cheap 1 to 3, default 4 to 12, rich 12 to 40" in said(result)
    assert "Recipe (cheap, default, rich, or a number) [default]:" in said(result)
    assert pipeline.evaluate.exam is None
    assert not (project / "runs").exists(), "the answer to `Run it now?` is no unless said"


def test_every_answer_ends_up_in_the_file(project: Path) -> None:
    (project / "exam.jsonl").write_text(EXAM)
    with TeacherServer() as server:
        result = answer(
            "documents/*.md", "", "endpoint", server.base_url, "local-teacher", "", "yes",
            "student", "3", "yes", "exam.jsonl", "mine", "no",
        )  # fmt: skip
    assert result.exit_code == 0
    assert "it answers: local-teacher, holds replies to a JSON schema" in said(result)
    assert "That makes 12 requests to the teacher; go on?" in result.stdout, "4 chunks, 3 each"
    assert "1 questions" in result.stdout
    pipeline = load_pipeline(project / "pipelines" / "mine.yaml")
    assert pipeline.sources[0].files == "documents/*.md"
    assert (pipeline.teacher.base_url, pipeline.teacher.model) == (server.base_url, "local-teacher")
    assert pipeline.teacher.api_key_env is None
    assert (pipeline.train.student, pipeline.evaluate.exam) == ("student", "exam.jsonl")
    assert pipeline.generate.tasks is not None
    assert pipeline.generate.tasks[0].per_chunk == 3


def test_a_recipe_is_chosen_by_its_name(project: Path) -> None:
    result = answer("", "", "", "student", "rich", "", "", "", "")
    assert result.exit_code == 0, result.output
    assert re.search(r"That makes \d+ requests to the teacher", result.stdout)
    assert load_pipeline(project / "pipelines" / "documents.yaml").generate.recipe == "rich"


def test_a_cap_in_dollars_and_unknown_prices_are_asked_for(project: Path) -> None:
    result = answer(
        "documents", "", "endpoint", "https://teacher.invalid/v1", "m", "", "no",
        "student", "1", "yes", "much", "-2", "2.5", "0.15", "x", "0.6", "", "capped", "no",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "price: not known" in said(result)
    assert "write a number of dollars above 0, not 'much'" in said(result)
    teacher = load_pipeline(project / "pipelines" / "capped.yaml").teacher
    assert teacher.budget.max_usd == 2.5
    assert teacher.price is not None
    assert teacher.price.input_usd_per_million == 0.15
    assert teacher.price.output_usd_per_million == 0.6


def test_a_known_price_is_not_asked_for(project: Path) -> None:
    result = answer(
        "documents", "", "endpoint", "https://api.openai.com/v1", "gpt-4o-mini", "", "no",
        "student", "1", "yes", "3", "", "known", "no",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    teacher = load_pipeline(project / "pipelines" / "known.yaml").teacher
    assert (teacher.budget.max_usd, teacher.price) == (3, None)


def test_wrong_answers_are_asked_again_with_the_reason(project: Path) -> None:
    (project / "empty").mkdir()
    (project / "bad.jsonl").write_text('{"question": 3}\n')
    (project / "pipelines").mkdir()
    (project / "pipelines" / "taken.yaml").write_text("mine")
    result = answer(
        "nowhere", "empty", "documents", "",
        "other", "endpoint", "localhost", "http://localhost:9/v1", "", "m", "sk-abcdef", "MY_KEY",
        "no",
        "./nothing", "empty", "student",
        "0", "many", "2", "no", "5", "yes",
        "missing.jsonl", "bad.jsonl", "",
        "taken", "a name", "good", "no",
    )  # fmt: skip
    assert result.exit_code == 0
    text = said(result)
    for reason in (
        "no such file or folder: nowhere",
        "empty: no file of a kind that can be read (markdown",
        "write embedded or endpoint, not 'other'",
        "write a whole address, for example http://127.0.0.1:8000/v1",
        "an answer is needed here",
        "write the NAME of an environment variable",
        "MY_KEY is not set here; set it before the run",
        "'./nothing' is neither 'embedded', nor a folder that is there, nor a Hub id",
        "empty is a folder without config.json, so no model",
        "write cheap, default, rich, or a number from 1 to 1000, not '0'",
        "write cheap, default, rich, or a number from 1 to 1000, not 'many'",
        "the exam can't be read",
        "bad.jsonl:1: question: ",
        "pipelines/taken.yaml is there already and stays as it is",
        "letters, digits",
    ):
        assert reason in text
    assert "That makes 10 requests" in text
    assert "That makes 25 requests" in text
    pipeline = load_pipeline(project / "pipelines" / "good.yaml")
    assert pipeline.generate.tasks is not None
    assert pipeline.generate.tasks[0].per_chunk == 5
    assert pipeline.teacher.api_key_env == "MY_KEY"
    assert (project / "pipelines" / "taken.yaml").read_text() == "mine"


def test_a_teacher_that_fails_its_check_can_be_changed(project: Path) -> None:
    with TeacherServer() as server:
        result = answer(
            "", "", "endpoint", server.base_url, "wrong", "", "yes", "no",
            server.base_url, "local-teacher", "", "yes",
            "student", "1", "yes", "", "", "no",
        )  # fmt: skip
    assert result.exit_code == 0
    assert "no model wrong" in said(result) or "does not exist" in said(result)
    assert load_pipeline(project / "pipelines" / "documents.yaml").teacher.model == "local-teacher"


@pytest.mark.slow
def test_it_runs_what_it_wrote_when_asked_to(project: Path) -> None:
    with TeacherServer() as server:
        url = server.base_url
    result = answer(
        "", "", "endpoint", url, "local-teacher", "", "no", "student", "1", "yes", "", "", "yes"
    )
    assert result.exit_code == 8, "the endpoint is down by now"
    assert "chunk: 3 of 3 documents done" in result.stdout
    assert "does not answer" in result.stderr
    assert written(project) == ["pipelines/documents.yaml"]


@pytest.mark.parametrize("given", range(7))
def test_answers_that_end_early_leave_nothing_behind(project: Path, given: int) -> None:
    result = answer(*[""] * given)
    assert result.exit_code == 2
    assert "the answers ended too early; nothing was written" in result.stderr
    assert written(project) == []


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(project: Path) -> None:
    ended = interrupt_wizard(project, "documents\n\nembedded\n", "Student")
    assert ended.returncode == 130
    assert ended.stderr == "domainforge: stopped: nothing was written\n"
    assert written(project) == []


def test_the_comments_are_the_descriptions_of_the_fields(project: Path) -> None:
    text = pipeline_text(starter_values("documents", project), Path("p.yaml"))
    comments = " ".join(re.findall(r"^ *# (.*)$", text, re.MULTILINE))
    for description in (
        Pipeline.model_fields["sources"].description,
        GenerateConfig.model_fields["recipe"].description,
        TrainConfig.model_fields["epochs"].description,
    ):
        assert description is not None
        assert description in comments
    assert max(map(len, text.splitlines())) <= 96


@pytest.mark.parametrize("teacher", ["embedded", {"base_url": "http://h/v1", "model": "m"}])
def test_the_hint_about_money_is_yaml_that_loads(tmp_path: Path, teacher: Any) -> None:
    text = pipeline_text({"sources": [{"files": "d"}], "teacher": teacher}, Path("p.yaml"))
    assert "--estimate" in text
    hinted = text if isinstance(teacher, dict) else text.replace("\nteacher: embedded\n", "\n")
    hinted = re.sub(r"^# (teacher:| +\w+: )", r"\1", hinted, flags=re.M)
    (tmp_path / "p.yaml").write_text(hinted)
    found = load_pipeline(tmp_path / "p.yaml").teacher
    assert found.price is not None
    assert (found.kind, found.budget.max_usd) == ("endpoint", 5)


def test_values_survive_being_written(project: Path) -> None:
    values = {
        "name": "x",
        "seed": 3,
        "sources": [
            {"files": "a: b # c", "include": ["*.md", "'q'"]},
            {"files": "ünï", "text_field": "body"},
        ],
        "teacher": {"base_url": "http://127.0.0.1:9/v1", "model": "no", "api_key_env": "KEY"},
        "generate": {"tasks": [{"prompt": "qa", "per_chunk": 2}, {"prompt": "yes"}]},
        "train": {"student": "1.0", "mixture": {"documents": 0.5}},
        "evaluate": {"exam": "null"},
    }
    assert yaml.safe_load(pipeline_text(values, Path("p.yaml"))) == values


def test_a_starter_finds_the_exam_beside_the_documents(project: Path) -> None:
    assert "evaluate" not in starter_values("documents", project)
    (project / "documents" / "exam.jsonl").write_text(EXAM)
    assert starter_values("documents/", project)["evaluate"] == {"exam": "documents/exam.jsonl"}


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "deep" / "p.yaml", "one")
    with pytest.raises(
        ConfigError, match=r"is there already .*`domainforge wizard` .* move it away"
    ):
        write_pipeline(tmp_path / "deep" / "p.yaml", "two")
    assert (tmp_path / "deep" / "p.yaml").read_text() == "one"


@pytest.mark.parametrize(
    ("folder", "name"), [("data/My Docs!/", "My-Docs"), ("../..", None), ("...", "run")]
)
def test_names_of_runs_are_fit_for_folders(folder: str, name: str | None) -> None:
    made = run_name(folder)
    assert re.fullmatch(r"[\w-][\w.-]*", made)
    assert name is None or made == name
