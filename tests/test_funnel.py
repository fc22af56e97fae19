"""The way of all rows of a run, and examples of what left, against numbers that are known."""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from domainforge.cli import app
from domainforge.dropped import read_dropped
from domainforge.errors import DataError
from domainforge.funnel import read_funnel
from domainforge.reasons import MEANINGS
from domainforge.run_folder import MANIFEST, RunFolder, read_table
from domainforge.tables import example_table
from tests.support.funnel_run import (
    HOSTILE,
    SECRET,
    make_funnel_run,
    put_hostile_filter,
    put_stage,
    row,
)

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    return make_funnel_run(tmp_path)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["show", "small", *arguments])


def change_account(folder: Path, **more: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["account"] |= more
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_every_step_takes_in_what_the_one_before_gave(run: RunFolder) -> None:
    funnel = read_funnel(run)
    assert not funnel.faults
    assert [(s.label, s.came_in, s.lost, s.went_out) for s in funnel.steps] == [
        ("generated", 40, 5, 36),
        ("kept", 36, 6, 30),
        ("unique", 30, 4, 26),
        ("judged", 26, 1, 25),
        ("split", 25, 1, 27),
    ]
    assert all(step.balances for step in funnel.steps)
    assert funnel.steps[0].joined == {"more rows of one reply": 1}
    assert funnel.steps[0].left_out == {"cut_off": 3, "timeout": 1, "not_reached": 1}
    assert list(funnel.steps[1].left_out.items()) == [("unsupported", 5), ("brand_new_reason", 1)]
    assert funnel.steps[4].joined == {"passages as texts": 3}
    assert funnel.steps[4].parts == {"train": 22, "validation": 3, "test": 2}


def test_tasks_and_documents_are_counted_apart(run: RunFolder) -> None:
    funnel = read_funnel(run)
    assert funnel.columns == [
        "generated",
        "kept",
        "unique",
        "judged",
        "train",
        "validation",
        "test",
    ]
    (qa, texts) = funnel.tasks
    assert (qa.name, qa.planned, qa.counts["generated"], qa.counts["judged"]) == ("qa", 40, 36, 25)
    assert (texts.name, texts.planned, texts.counts["train"]) == ("", 0, 3)
    assert sum(way.planned for way in funnel.documents) == 40
    for step in funnel.steps[:4]:
        assert sum(way.counts[step.label] for way in funnel.documents) == step.went_out


def test_what_was_not_worth_asking_was_planned_all_the_same(run: RunFolder) -> None:
    """The plan on disk leaves it out; the account, and so the first step, has it."""
    (part,) = (run.stage_folder("examples") / "dropped").glob("part-*.parquet")
    rows = pq.read_table(part)
    reasons = pa.array(["repeating", *rows.column("reason").to_pylist()[1:]])
    pq.write_table(rows.set_column(rows.column_names.index("reason"), "reason", reasons), part)
    funnel = read_funnel(run)
    assert funnel.tasks[0].planned == 40 + 1
    assert sum(way.planned for way in funnel.documents) == 40 + 1
    losses = [way.left_out.total() for way in funnel.documents]
    assert losses == sorted(losses, reverse=True)
    assert sum(losses) == sum(step.lost for step in funnel.steps) - 1  # one was never asked


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"done": 31}, ""),  # tables are what is there
        ({"total": 37}, "filter: 37 came in, but 6 left and 30 went out"),
        ({"total": 37}, "filter read 37 rows, and 36 came out of generate"),
        (
            {"dropped": {"unsupported": 6}},
            "filter counts 0 rows left out as brand_new_reason, and its tables hold 1",
        ),
    ],
)
def test_what_does_not_add_up_is_told(run: RunFolder, change: dict[str, int], told: str) -> None:
    change_account(run.stage_folder("kept"), **change)
    faults = read_funnel(run).faults
    assert any(told in fault for fault in faults) if told else not faults
    assert told in call("--dropped").stdout


def test_a_stage_of_an_earlier_run_is_not_counted(run: RunFolder) -> None:
    (run.stage_folder("unique") / MANIFEST).unlink()
    funnel = read_funnel(run)
    assert [step.stage for step in funnel.steps] == ["generate", "filter"]
    assert funnel.faults == [
        "judge is of an earlier run: dedup, which comes before it, isn't whole"
    ]


def test_a_run_without_rows_says_what_to_do(run: RunFolder) -> None:
    shutil.rmtree(run.stage_folder("examples"))
    for folder in ("kept", "unique", "judged", "splits"):
        shutil.rmtree(run.stage_folder(folder))
    with pytest.raises(DataError, match="--until generate"):
        read_funnel(run)


def test_examples_come_from_different_sources_and_stay_the_same(run: RunFolder) -> None:
    found = {(r.stage, r.reason): r for r in read_dropped(run, 3)}
    unsupported = found["filter", "unsupported"]
    assert (unsupported.count, unsupported.share) == (5, 5 / 6)
    assert {example.uri for example in unsupported.examples} == {"a.md", "b.md", "c.md"}
    assert unsupported.means == MEANINGS["unsupported"]
    unknown = found["filter", "brand_new_reason"]
    assert (unknown.means, len(unknown.examples)) == ("", 1)
    assert unknown.examples[0].evidence.startswith("evidence 5")
    assert found["generate", "timeout"].examples[0].evidence == "no reply in 60 s"
    # Rows in other shards are chosen alike.
    dropped = run.stage_folder("kept") / "dropped"
    table = read_table(run.stage_folder("kept"), "dropped")
    import pyarrow.parquet as pq

    for at in range(table.num_rows):
        pq.write_table(table.slice(at, 1), dropped / f"part-{at:05d}.parquet")
    again = {(r.stage, r.reason): r for r in read_dropped(run, 3)}
    assert again["filter", "unsupported"] == unsupported


def test_secrets_are_taken_out_and_long_texts_cut(run: RunFolder) -> None:
    put_hostile_filter(run)
    found = {r.reason: r for r in read_dropped(run, 9)}
    told = json.dumps([r.as_dict() for r in found.values()])
    assert SECRET not in told
    assert "[secret removed]" in found["leaked_secret"].examples[0].question
    long = next(e for e in found["unsupported"].examples if "www" in e.question)
    assert len(long.question) < 1_700
    assert long.question.endswith(f"({len(HOSTILE[2]):,} characters in all)")


def test_show_dropped_prints_steps_reasons_and_ids(run: RunFolder) -> None:
    out = call("--dropped", "--per-reason", "1").stdout
    assert re.search(r"filter +36 +6 +30 +83\.3% +unsupported 5, brand_new_reason 1", out)
    assert re.search(r"split +25 +3 +1 +27 +96\.4% .*train 22, validation 3, test 2", out)
    assert "filter: unsupported  5 (83.3% of what filter left out)" in out
    example = read_dropped(run, 1)[0].examples[0]
    assert f"{example.id}  qa  {example.uri}" in out
    assert "evidence: it ends" in out
    assert out.count("it ends") == 1


def test_show_dropped_as_json_has_the_same_numbers(run: RunFolder) -> None:
    lines = [json.loads(line) for line in call("--dropped", "--json").stdout.splitlines()]
    kinds = {line["what"] for line in lines}
    assert kinds == {"step", "task", "document", "reason"}
    steps = [line for line in lines if line["what"] == "step"]
    assert [step["went_out"] for step in steps] == [36, 30, 26, 25, 27]
    reasons = [line for line in lines if line["what"] == "reason"]
    assert (
        sum(line["count"] for line in reasons)
        == sum(sum(s["left_out"].values()) for s in steps) - 1
    )


def test_a_reason_without_its_stage_is_asked_back(run: RunFolder) -> None:
    result = call("--reason", "unsupported")
    assert result.exit_code == 2
    assert "need a STAGE" in result.output


def test_a_prompt_may_be_called_document(run: RunFolder) -> None:
    rows = example_table([row(1, prompt="document"), row(2)])
    for folder in ("splits", "judged", "unique"):
        shutil.rmtree(run.stage_folder(folder))
    from domainforge.stage import Account

    put_stage(run, "generate", "examples", {"": rows}, Account("requests", 2, 2))
    assert {way.name for way in read_funnel(run).tasks} >= {"document", "qa"}


def test_the_papers_and_the_reports_give_reasons_the_same_meaning() -> None:
    page = (ROOT / "docs" / "filters.md").read_text("utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \| [a-z, ]+ \|$", page, re.MULTILINE))
    assert len(told) > 15
    assert {name: MEANINGS.get(name) for name in told} == told
