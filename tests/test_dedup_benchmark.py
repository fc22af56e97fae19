"""The benchmark of deduplication at its smallest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"


def run_benchmark(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
def test_ours_finds_what_is_planted(tmp_path: Path) -> None:
    done = run_benchmark(BENCHMARKS / "dedup.py", "--sizes", "6000", "--folder", tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["checked_groups"] > 1000
    assert figures["rows"] == 6000
    assert figures["recall"] >= 0.99
    assert figures["precision"] == 1
    assert figures["rows_per_s"] > 0
    assert figures["ratio_best"] is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_another_tool_is_compared_by_clusters_not_by_its_choice_in_them(tmp_path: Path) -> None:
    said = "the old bridge of nine stone arches over the river osk was built by the guild"
    everywhere = ["0.9", "0.8", "0.7", "0.6"]
    rows = [
        {"instruction": f"{said} of masons", "input": "", "output": "", "kept_at": []},
        {"instruction": f"{said} of mason", "input": "", "output": "", "kept_at": everywhere},
        {"instruction": "how do eels find the sea", "input": "", "output": "", "kept_at": []},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = run_benchmark(BENCHMARKS / "dedup_practice.py", path, "--list", "1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["agreement_0.7"] == pytest.approx(
        2 / 3, abs=1e-3
    )
    assert "alone at 0.7, jaccard 0.0" in done.stdout
    assert "| 0.7 | 2 | 1 | 1 | 0 | 66.7% |" in done.stdout
