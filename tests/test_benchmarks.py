"""The benchmarks at their smallest. Those of the teacher need a C compiler."""

import importlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load import compiled_tools, load_server
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    "name",
    [
        "demo_seeds.py",
        "fairytale.py",
        "recipes.py",
        "teacher_throughput.py",
        "teacher_faults.py",
        "teacher_memory.py",
        "teacher_budget.py",
        "ingest.py",
        "filters.py",
        "decontamination.py",
    ],
)
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
print(fairytale.prepare(Path(sys.argv[2]), Path(sys.argv[3]), 1))
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


def ask_rows(base_url: str, rows: list[int]) -> dict[int, list[int]]:
    """Ask one after the other; return the statuses that each row met, 0 for none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    met: dict[int, list[int]] = {}
    for row in rows:
        messages = [{"role": "user", "content": f"About row {row}."}]
        body = json.dumps({"messages": messages, "max_tokens": 50}).encode()
        try:
            with opener.open(f"{base_url}/chat/completions", body, timeout=10) as answer:
                usage = json.load(answer)["usage"]
                assert 1 <= usage["completion_tokens"] <= 50
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code if error.headers["Retry-After"] == "0.25" else -1
        except OSError:
            status = 0
        met.setdefault(row, []).append(status)
    return met


@pytest.mark.compiler
def test_the_load_server_treats_a_row_alike_in_any_order() -> None:
    shares = {"refuse_share": 0.2, "drop_share": 0.1, "tail_share": 0.1, "tail_multiplier": 3}
    more = {"latency_ms": 0.2, "retry_after": 0.25, "random_lengths": 1, "record": 1}
    rows = [*range(60), *range(60)]
    met = []
    with compiled_tools() as tools:
        for order, seed in ((rows, 1), (rows[::-1], 1), (rows, 2)):
            with load_server(tools, **shares, **more, seed=seed) as server:
                met.append(ask_rows(server.base_url, order))
                stats, kinds = server.stats(), Counter(kind for _, kind, _ in server.requests())
                assert server.rows() == [2] * 60
            statuses = Counter(status for row in met[-1].values() for status in row)
            assert statuses == {
                200: stats["answered"],
                429: stats["refused"],
                0: stats["dropped"],
            }
            assert kinds["slow"] == stats["slow"] > 0
            assert stats["requests"] == 120 == kinds.total()
            asked_after_answer = sum(row[0] == 200 for row in met[-1].values())
            assert stats["unneeded"] == asked_after_answer
            assert min(statuses.values()) > 2
    assert met[0] == met[1] != met[2]


def test_the_replay_adds_nothing_to_what_cannot_be_avoided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    faults = importlib.import_module("teacher_faults")

    def seconds(slots: int, *rows: list[tuple[str, float]]) -> Any:
        return faults.replay([[faults.Attempt(*one) for one in row] for row in rows], slots, 1.0)

    answer = ("answer", 1.0)
    assert seconds(2, [answer], [answer], [answer]) == 2
    assert seconds(1, [("refuse", 0.0), answer], [answer]) == 2
    assert seconds(1, [("refuse", 0.0), answer], [("slow", 3.0)]) == 4
    assert seconds(2, [("refuse", 0.5), answer], [("slow", 3.0)]) == 3
    assert seconds(1, [("drop", 1.0), answer], [answer]) == 3
    assert seconds(1, [("refuse", 0.0), ("refuse", 0.0), answer]) == 3


def run_benchmark(name: str, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), "--quick", *options],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "n = " in done.stdout
    assert "|---|" in done.stdout
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.compiler
def test_teacher_throughput_measures(tmp_path: Path) -> None:
    figures = run_benchmark("teacher_throughput.py", "--scale", "0.05", "--folder", str(tmp_path))
    assert figures["rounds"] == 1
    for concurrency in (64, 256):
        assert 0 < figures[f"efficiency_{concurrency}"] < 1.1
        assert figures[f"ratio_openai_{concurrency}"] > 0
        assert figures[f"ratio_openai_aiohttp_{concurrency}"] > 0
    assert 0 < figures["cpu_ms_per_request"] < 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.compiler
def test_teacher_faults_cost_no_row(tmp_path: Path) -> None:
    options = ("--rounds", "1", "--rows", "300", "--folder", str(tmp_path))
    figures = run_benchmark("teacher_faults.py", *options)
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["wall_over_ideal"] >= 1


@pytest.mark.slow
@pytest.mark.compiler
def test_teacher_memory_stays_flat(tmp_path: Path) -> None:
    figures = run_benchmark("teacher_memory.py", "--requests", "5000", "--folder", str(tmp_path))
    assert (figures["requests"], figures["replies"], figures["unneeded"]) == (5000, 5000, 0)
    assert figures["rss_growth_mb"] < 100


@pytest.mark.slow
@pytest.mark.compiler
def test_teacher_budget_holds(tmp_path: Path) -> None:
    figures = run_benchmark("teacher_budget.py", "--runs", "3", "--folder", str(tmp_path))
    assert figures["runs"] == 3
    assert figures["max_spent_usd"] <= 1
    assert figures["mean_used_share"] >= 0.9


@pytest.mark.slow
@pytest.mark.compiler
def test_teacher_ledger_measures(tmp_path: Path) -> None:
    figures = run_benchmark("teacher_ledger.py", "--scale", "0.05", "--folder", str(tmp_path))
    assert figures["rounds"] == 1
    assert -1 < figures["ledger_cost_share_500"] < 1


@pytest.mark.slow
def test_ingest_measures_every_kind(tmp_path: Path) -> None:
    figures = run_benchmark("ingest.py", "--scale", "0.005", "--folder", str(tmp_path))
    for kind in ("txt", "md", "html", "pdf", "docx", "pptx", "xlsx", "csv", "jsonl", "eml"):
        assert figures[f"mb_per_s_{kind}_ours"] > 0
    assert figures["mb_per_s"] > 0
    assert figures["chunk_ratio_langchain"] > 1
    assert 0 < figures["chunk_most_tokens"] <= 256
    assert figures["rss_growth_mb"] < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ingest_takes_real_files(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.md").write_text("# A\n\nAlpha.")
    (files / "b.MD").write_text("# B\n\nBeta, and more of it.")
    (files / "c.md").write_text("# C\n\n" + "Gamma. " * 200_000)
    options = ("--files", str(files), "--parts", "kinds")
    figures = run_benchmark("ingest.py", *options)
    assert figures["mb_per_s_md_ours"] > 0


def write_lines(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


@pytest.mark.slow
def test_filters_measures_what_is_dropped(tmp_path: Path) -> None:
    lines = [f"On day {n} the miller Ilse of farm {n} sold grain to Orrin." for n in range(40)]
    story = {"id": "d", "title": "The mill", "text": "\n\n".join(lines)}
    asked = [
        {"id": f"q{n}", "doc_id": "d", "question": f"Who sold grain of farm {n}?", "answers": [who]}
        for n, who in enumerate(["the miller Ilse", "Ilse", "Ilse", "the smith Tove"])
    ]
    for part in ("fairytaleqa_val", "xquad_en"):
        write_lines(tmp_path / part / "documents.jsonl", story)
        write_lines(tmp_path / part / "questions.jsonl", *asked)
    mail = "Subject of the email: Grain.   Body: Dear Orrin, the grain has come. Regards, Ilse"
    write_lines(tmp_path / "harmless_email" / "rows.jsonl", {"id": "m", "text": mail})
    pair = {"context": lines[3], "question": "Who sold grain to Orrin?", "group": "g"}
    said = (("the miller Ilse", 1), ("the miller Tove", 0), ("It was all sold by Tove Lind", 0))
    rows = [{**pair, "id": answer, "answer": answer, "label": label} for answer, label in said]
    write_lines(tmp_path / "halueval_qa" / "rows.jsonl", *rows)
    command = [sys.executable, str(BENCHMARKS / "filters.py"), str(tmp_path), "--show", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["xquad_en_gold_rows"], figures["xquad_en_gold_dropped"]) == (4, 0.25)
    assert (figures["harmless_email_gold_rows"], figures["harmless_email_gold_dropped"]) == (2, 0)
    assert (figures["halueval_qa_made_up_rows"], figures["halueval_qa_made_up_dropped"]) == (1, 1)
    assert figures["auc_similarity"] == 1
    assert "the smith Tove" in done.stdout
