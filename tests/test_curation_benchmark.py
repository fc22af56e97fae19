import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_each_stage_is_measured_at_its_smallest() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "curation.py"), "--rows", "400"],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.strip().splitlines()
    found = json.loads(last)["stages"]
    assert [row["stage"] for row in found] == ["filter", "dedup", "judge", "split"]
    assert len([line for line in lines if line.startswith("| 400")]) == 4
    read = {row["stage"]: row["read"] for row in found}
    kept = {row["stage"]: row["kept"] for row in found}
    assert read["filter"] == 400
    # The wrong years go, and what is nearly a copy; each passage is a row of the split.
    assert 0 < kept["filter"] < 400
    assert 0 < kept["dedup"] < read["dedup"] == kept["filter"]
    assert read["split"] == kept["judge"] + 80
    assert all(row["rows_per_s"] > 0 and row["anonymous_mb"] > 0 for row in found)
