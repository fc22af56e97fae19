import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domainforge.evaluation.exam import load_exam
from domainforge.pipeline_file import load_pipeline

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"


def gpu_train(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_train.py"), "--tiny", "--quick"]
    return subprocess.run(
        [*command, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_gpu_train_measures_at_tiny_size_on_a_cpu() -> None:
    done = gpu_train("--peak-flops", "1e12")
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.strip().splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("|")] == [
        "method",
        "---",
        "lora",
        "full",
    ]
    figures = json.loads(last)
    assert (figures["device"], figures["peak_flops"]) == ("cpu", 1e12)
    lora, full = figures["settings"]
    for result in (lora, full):
        assert result["steps"] >= 5
        assert result["tokens_per_second"] > 0
        assert result["peak_memory_gib"] > 0
        share = result["tokens_per_second"] * result["flops_per_token"] / 1e12
        assert result["mfu"] == pytest.approx(share, rel=1e-3)
    # Embeddings shared with the output, two layers of attention and the rest, five norms.
    parameters = 1024 * 64 + 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 128) + 5 * 64
    assert full["flops_per_token"] - lora["flops_per_token"] == pytest.approx(2 * parameters)


@pytest.mark.slow
def test_gpu_train_refuses_too_few_tokens() -> None:
    done = gpu_train("--tokens", "200")
    assert done.returncode != 0
    assert "200 tokens are too few for 4 steps" in done.stderr


@pytest.mark.parametrize("name", ["demo_seeds.py", "fairytale.py"])
def test_a_benchmark_says_what_it_claims(name: str) -> None:
    said = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), "--help"], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    assert "Claim:" in said.stdout
    assert "--quick" in said.stdout


PREPARE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import fairytale
print(fairytale._prepare(Path(sys.argv[2]), Path(sys.argv[3]), 1))
"""


def test_fairytale_prepares_a_project_that_loads(tmp_path: Path) -> None:
    data, project = tmp_path / "data", tmp_path / "project"
    data.mkdir()
    stories = [
        {"id": f"ft-{n}", "title": f"tale {n}", "text": "Once. " * (3 - n)} for n in range(3)
    ]
    asked = [
        {
            "id": f"ft-{n}-0",
            "doc_id": f"ft-{n}",
            "question_with_title": f'In the story "tale {n}": Who came?',
            "answers": ["the king"],
            "attribute": "character",
        }
        for n in range(3)
    ]
    for name, rows in (("documents", stories), ("questions", asked)):
        body = "\n".join(json.dumps(row) for row in rows)
        (data / f"{name}.jsonl").write_text(body)
    made = subprocess.run(
        [sys.executable, "-c", PREPARE, str(BENCHMARKS), str(data), str(project)],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == "1"
    assert [path.name for path in (project / "stories").iterdir()] == ["ft-2.md"]
    assert [path.name for path in (project / "others").iterdir()] == ["ft-1.md"]
    (question,) = load_exam(project / "exam.jsonl")
    assert question.document == "stories/ft-2.md"
    for name in ("control", "stories"):
        assert load_pipeline(project / f"{name}.yaml").name == name
