"""The wheel as a stranger gets it: prompts, pipelines and data inside, and found."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROBE = """
from pathlib import Path
from domainforge.files import find_file, shipped_folder
from domainforge.pipeline_file import load_pipeline
from domainforge.prompts import load_prompt
here = Path.cwd()
assert "_shipped" in str(shipped_folder("prompts")), shipped_folder("prompts")
assert load_prompt("qa", here).header.version == 1
for path in sorted(shipped_folder("pipelines").glob("*.yaml")):
    load_pipeline(path)
assert find_file("data/handbook", here).is_dir()
assert find_file("data/handbook/exam.jsonl", here).exists()
assert find_file("data/replay.jsonl", here).exists()
print("found")
"""


@pytest.mark.slow
def test_an_installed_wheel_finds_what_it_ships(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        names = archive.namelist()
    assert any(name.endswith("LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
    empty = tmp_path / "empty"
    empty.mkdir()
    found = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "found"
