import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.converters import filled_cells, rows_found, words_found
from tests.sources.samples import make_pdf

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_converters_are_measured(tmp_path: Path) -> None:
    (tmp_path / "fares.pdf").write_bytes(make_pdf([["The ferry crosses every hour."]]))
    (tmp_path / "fares.html").write_text("<h1>Fares</h1><p>Two crowns.</p>")
    vectors = tmp_path / "rows.jsonl"
    vectors.write_text(
        json.dumps({"id": "fares.html", "must_include": ["# Fares"], "must_not_include": ["<p>"]})
    )
    script = str(ROOT / "benchmarks" / "converters.py")
    done = subprocess.run(
        [sys.executable, script, str(tmp_path), "--quick", "--vectors", str(vectors)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["converters"]
    assert figures["pdf domainforge"]["failed"] == 0
    assert figures["html domainforge"]["vectors"] == 1.0


def test_words_and_rows_are_counted_in_order() -> None:
    expected = "one two\n\n| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | 3 |"
    assert words_found("one | a | b two 1 2 3", expected) == (6, 7)
    assert rows_found("| a | b |\n|2|  |3|", expected) == (2, 2)
    assert filled_cells("| --- | --- |") == ()
