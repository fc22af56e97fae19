import json
import shutil
from pathlib import Path

import pytest

from domainforge.run_folder import MANIFEST
from domainforge.show import find_run
from domainforge.status import read_status
from tests.support.small_run import make_project, make_small_run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("status") / "project")
    make_small_run(folder)
    return folder


def states(project: Path) -> dict[str, str]:
    return {stage.name: stage.state for stage in read_status(find_run(project, "small")).stages}


def test_what_was_made_of_something_that_changed_is_outdated(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    before = states(folder)
    assert [name for name, state in before.items() if state == "done"] == list(before)[:8]
    path = folder / "runs" / "small" / "kept" / MANIFEST
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "content_hash": "another"}))
    after = states(folder)
    assert [name for name, state in after.items() if state == "outdated"] == [
        "dedup",
        "judge",
        "split",
    ]
    assert after["filter"] == "done"
    path.unlink()
    assert states(folder)["filter"] == "not run"
    assert states(folder)["dedup"] == "outdated"
