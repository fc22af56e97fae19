"""A forgotten document goes from verdicts and from what was asked for them, too."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from domainforge.cli import app
from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.run_folder import read_table
from domainforge.teacher.ledger import Ledger
from tests.support.small_run import make_project, pipeline_values
from tests.support.teacher_server import TeacherServer

GONE = "documents/ferry.md"


def asked(project: Path) -> str:
    with Ledger(project / "ledger.sqlite") as ledger:
        return json.dumps(ledger.read("SELECT request, response FROM completions"))


@pytest.mark.slow
def test_nothing_of_it_is_left_in_verdicts_and_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "p")
    every = {"prompt": "judge", "round_trip": True, "min_agreement": 0.01}
    with TeacherServer() as server:
        values = pipeline_values(server.base_url, judge={**every, "needs_document": "score"})
        run_pipeline(check_pipeline(values, "p.yaml"), project, until_stage="judge")
    folder = project / "runs" / "small" / "judged"
    before = read_table(folder, "verdicts").to_pylist()
    rows = [*read_table(folder).to_pylist(), *read_table(folder, "dropped").to_pylist()]
    gone = {row["id"] for row in rows if row["uri"] == GONE}
    questions = [row["messages"][0]["content"] for row in rows if row["id"] in gone]
    assert gone
    assert len(before) == len(rows)
    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["forget", GONE, "--yes"])
    assert result.exit_code == 0, result.output
    left = read_table(folder, "verdicts").to_pylist()
    assert {row["id"] for row in left} == {row["id"] for row in rows} - gone
    told = asked(project)
    assert not any(question in told for question in questions)
    assert "Idris Vane" not in told
    assert "Maud Tarrant" in told
