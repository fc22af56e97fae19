import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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
