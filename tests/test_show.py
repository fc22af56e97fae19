import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from domainforge.batches import read_batch
from domainforge.cli import app
from domainforge.dropped import read_dropped
from domainforge.errors import ConfigError, DataError, StorageError
from domainforge.funnel import read_funnel
from domainforge.pipeline import STAGES
from domainforge.run_folder import RunFolder, read_manifest, read_table
from domainforge.show import find_places, find_run, list_places, select_rows
from domainforge.trace import read_exchange, trace_row
from domainforge.views import print_trace
from tests.support.small_run import PAGES, PROMPT, make_project, make_small_run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("small") / "project")
    make_small_run(folder, train={"student": "student", "mixture": {"replay": 0.2}})
    return folder


@pytest.fixture
def small(project: Path) -> RunFolder:
    return find_run(project, "small")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        *[(stage.name, stage.writes) for stage in STAGES[:6]],
        *[(stage.writes, stage.writes) for stage in STAGES[:6]],
        ("train", "splits/train"),
        ("validation", "splits/validation"),
        ("plan", "examples/plan"),
    ],
)
def test_stages_and_folders_both_name_rows(small: RunFolder, name: str, folder: str) -> None:
    (place,) = find_places(small, name)
    assert place.folder == small.path / folder
    rows = select_rows(small, name)
    assert rows.total == len(rows.rows) == read_table(place.folder).num_rows > 0


def test_the_split_is_its_three_parts(small: RunFolder) -> None:
    labels = [place.label for place in find_places(small, "split")]
    assert labels == ["train", "validation", "test"]


def test_every_table_of_every_whole_stage_is_listed(small: RunFolder) -> None:
    wanted = {}
    for stage in STAGES[:8]:
        manifest = read_manifest(small.stage_folder(stage.writes))
        assert manifest is not None
        for name, facts in manifest.tables.items():
            wanted[small.stage_folder(stage.writes) / name] = facts["rows"]
    assert {place.folder: place.rows for place in list_places(small)} == wanted


def test_dropped_rows_are_those_that_the_account_counts(small: RunFolder) -> None:
    manifest = read_manifest(small.stage_folder("examples"))
    assert manifest is not None
    dropped = manifest.account["dropped"]
    assert dropped == {"cut_off": 2, "off_schema": 1}
    assert select_rows(small, "generate", dropped=True).total == 3
    for reason, count in dropped.items():
        chosen = select_rows(small, "generate", reason=reason)
        assert chosen.total == count
        assert {row["reason"] for _, row in chosen.rows} == {reason}


def test_an_audit_is_shown_whole(
    project: Path, small: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    checks = [row for _, row in select_rows(small, "audit").rows]
    assert len(checks) > 10
    told = CliRunner().invoke(app, ["show", "small", "audit"]).stdout
    assert told.count("found: ") == len(checks)


def test_a_dropped_row_says_by_which_stage(small: RunFolder) -> None:
    (dropped,) = [p for p in list_places(small) if p.stage == "filter" and p.left_out]
    assert (dropped.label, dropped.title) == ("dropped", "dropped by filter")
    assert dropped in find_places(small, dropped.label)
    (kept,) = find_places(small, "filter")
    assert kept.title == kept.label == "kept"


def test_the_way_of_all_rows_adds_up(small: RunFolder) -> None:
    funnel = read_funnel(small)
    assert not funnel.faults
    assert [step.stage for step in funnel.steps] == [
        "generate",
        "filter",
        "dedup",
        "judge",
        "split",
    ]
    assert funnel.steps[0].left_out == {"cut_off": 2, "off_schema": 1}
    assert set(funnel.steps[-1].joined) == {"passages as texts", "general rows"}
    assert [reason.reason for reason in read_dropped(small, 1)][:2] == ["cut_off", "off_schema"]


def test_limit_and_row_choose_rows(small: RunFolder) -> None:
    everything = select_rows(small, "kept")
    some = select_rows(small, "kept", limit=3)
    assert some.rows == everything.rows[:3]
    assert some.total == everything.total
    wanted = everything.rows[5][1]
    for row_id in (wanted["id"], wanted["id"][:10]):
        assert [row for _, row in select_rows(small, "kept", row_id=row_id).rows] == [wanted]
    assert isinstance(wanted["fields"], dict), "JSON columns are decoded"


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("kepp", {}, ConfigError, "no stage or table 'kepp'; did you mean 'kept'?"),
        ("kept", {"row_id": "zz"}, ConfigError, "no row 'zz'"),
        ("generate", {"reason": "cut"}, ConfigError, r"cut_off \(2\), off_schema \(1\)"),
        ("export", {}, DataError, "export has not finished in run small yet"),
        ("chunk", {"dropped": True}, DataError, "keeps no table of what it leaves out"),
    ],
)
def test_what_is_not_there_is_explained(
    small: RunFolder, name: str, options: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        select_rows(small, name, **options)  # type: ignore[arg-type]


def test_runs_are_found_by_name_or_folder(project: Path, tmp_path: Path) -> None:
    assert find_run(project, "runs/small").path == project / "runs" / "small"
    with pytest.raises(ConfigError, match=r"no run 'smal' .*did you mean 'small'\?"):
        find_run(project, "smal")
    with pytest.raises(ConfigError, match="there is none yet"):
        find_run(tmp_path, "small")


def test_a_kept_row_leads_back_to_its_document(small: RunFolder, project: Path) -> None:
    _, row = select_rows(small, "validation", limit=1).rows[0]
    trace = trace_row(small, row["id"], project)
    assert [place.label for place in trace.way] == [
        "examples",
        "kept",
        "unique",
        "judged",
        "validation",
    ]
    assert trace.dropped_by is None
    assert trace.prompt is not None
    assert (trace.prompt.name, trace.prompt.changed) == ("ask", False)
    assert trace.prompt.hash == row["prompt_hash"]
    assert trace.chunk is not None
    assert trace.document is not None
    text = PAGES[Path(row["uri"]).name]
    assert text[row["start"] : row["end"]] == trace.chunk["text"]
    assert trace.document["text"][row["start"] : row["end"]] == trace.chunk["text"]
    (exchange,) = trace.exchanges
    assert exchange.key == row["ledger_keys"][0]
    assert exchange.status == "ok"
    assert json.loads(exchange.reply) == row["fields"]
    assert exchange.request is not None
    assert trace.chunk["text"] in exchange.request["messages"][-1]["content"]
    json.dumps(trace.as_dict())


@pytest.mark.parametrize(
    ("stage", "reason"), [("generate", "cut_off"), ("dedup", "near_duplicate")]
)
def test_a_dropped_row_is_found_where_it_was_dropped(
    small: RunFolder, project: Path, stage: str, reason: str
) -> None:
    _, row = select_rows(small, stage, reason=reason, limit=1).rows[0]
    trace = trace_row(small, row["id"], project)
    assert trace.dropped_by == stage
    assert trace.row["reason"] == reason
    assert trace.row["evidence"]
    assert trace.exchanges[0].request is not None
    assert trace.chunk is not None


@pytest.mark.parametrize("mended", [True, False])
def test_a_repair_is_traced_with_what_it_repaired(
    small: RunFolder, project: Path, mended: bool
) -> None:
    rows = [row for _, row in select_rows(small, "generate", dropped=not mended).rows]
    (row,) = [row for row in rows if row["sampling"].get("repair")]
    first, second = trace_row(small, row["id"], project).exchanges
    assert (first.status, first.is_repair) == ("off_schema", False)
    assert (second.status, second.is_repair) == ("ok", True)
    assert first.reply.startswith("Sure! Here is")
    assert (second.reply != first.reply) == mended
    assert second.request is not None
    assert second.request["messages"][-2]["content"] == first.reply
    assert (row["reason"] is None) == mended
    printed = StringIO()
    print_trace(Console(width=200, file=printed), trace_row(small, row["id"], project))
    assert "reply (off_schema)" in printed.getvalue()
    assert f"repair request {row['ledger_keys'][1][:16]}" in printed.getvalue()
    assert printed.getvalue().count("You write questions for an examination.") == 1


def test_a_continuation_is_traced_with_what_it_continues(small: RunFolder, project: Path) -> None:
    _, row = select_rows(small, "generate", reason="cut_off", limit=1).rows[0]
    trace = trace_row(small, row["id"], project)
    first, second = trace.exchanges
    assert (first.status, first.is_continuation) == ("cut_off", False)
    assert (second.status, second.is_continuation) == ("cut_off", True)
    assert second.request is not None
    assert first.reply.startswith(second.request["messages"][-2]["content"])
    printed = StringIO()
    print_trace(Console(width=200, file=printed), trace)
    assert f"continuation request {row['ledger_keys'][1][:16]}" in printed.getvalue()


def test_passages_documents_and_text_rows_are_traced_too(small: RunFolder, project: Path) -> None:
    _, chunk = select_rows(small, "chunk", limit=1).rows[0]
    trace = trace_row(small, chunk["id"], project)
    assert trace.row["text"] == chunk["text"]
    assert trace.document is not None
    assert trace.document["id"] == chunk["document_id"]
    of_document = trace_row(small, chunk["document_id"], project)
    assert of_document.document == trace.document
    texts = [row for _, row in select_rows(small, "train").rows if row["kind"] == "text"]
    of_text = trace_row(small, texts[0]["id"], project)
    assert (of_text.prompt, list(of_text.exchanges)) == (None, [])
    assert of_text.chunk is not None


def test_rows_without_a_teacher_what_was_drawn_and_all_passages_are_told(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    varied = PROMPT.replace("reply:", "attributes: {asker: [a child]}\nreply:").replace(
        "about this passage", "that {{ asker }} has"
    )
    (folder / "prompts" / "varied.md").write_text(varied)
    whole = PROMPT.replace("reply:", "over: document\nreply:")
    (folder / "prompts" / "whole.md").write_text(whole.replace("(chunk)", "(chunks)"))
    tasks = [{"prompt": "varied"}, {"prompt": "cloze"}, {"prompt": "whole"}]
    make_small_run(folder, generate={"tasks": tasks})
    run = find_run(folder, "small")
    rows = {row["prompt"]: row for _, row in select_rows(run, "generate").rows}
    assert rows["varied"]["attributes"] == {"asker": "a child"}
    assert rows["cloze"]["attributes"] == {}
    trace = trace_row(run, rows["cloze"]["id"], folder)
    assert trace.prompt is not None
    assert (trace.prompt.hash, trace.exchanges) == (rows["cloze"]["prompt_hash"], [])
    printed = StringIO()
    print_trace(Console(width=200, file=printed), trace)
    assert "teacher: none: made of the passage alone" in printed.getvalue()
    assert "attributes:" not in printed.getvalue()
    print_trace(Console(width=200, file=printed), trace_row(run, rows["varied"]["id"], folder))
    assert "attributes: asker a child" in printed.getvalue()
    several = next(row for _, row in select_rows(run, "generate").rows if row["also"])
    trace = trace_row(run, several["id"], folder)
    print_trace(Console(width=200, file=printed), trace)
    (also,) = trace.as_dict()["also"]
    assert also["id"] == several["also"][0]["chunk_id"] != several["chunk_id"]
    assert f"also passage {also['id']}, {also['uri']} [" in printed.getvalue()


def test_trace_says_what_is_missing_or_changed(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    run = find_run(copy, "small")
    _, row = select_rows(run, "kept", limit=1).rows[0]
    prompt = copy / "prompts" / "ask.md"
    prompt.write_text(prompt.read_text() + "\nOne more line.\n")
    (copy / "ledger.sqlite").unlink()
    trace = trace_row(run, row["id"], copy)
    assert trace.prompt is not None
    assert trace.prompt.changed
    assert trace.prompt.path == prompt
    assert "no ledger" in trace.exchanges[0].status
    prompt.unlink()
    told = trace_row(run, row["id"], copy).as_dict()["prompt"]
    assert (told["name"], told["path"], told["changed"]) == ("ask", None, True)
    assert not (copy / "ledger.sqlite").exists(), "tracing writes nothing"
    (copy / "ledger.sqlite").write_text("this is no ledger, but a text of some length")
    with pytest.raises(StorageError, match="can't be read as a ledger"):
        trace_row(run, row["id"], copy)


def test_a_key_that_the_ledger_lacks_is_said(project: Path) -> None:
    exchange = read_exchange(project / "ledger.sqlite", "0" * 64)
    assert (exchange.request, exchange.status) == (None, "not in this project's ledger")


@pytest.mark.parametrize(
    ("row_id", "message"),
    [("ab", "too short"), ("zzzz", "no row 'zzzz' in any stage of run small")],
)
def test_an_id_that_leads_nowhere(
    small: RunFolder, project: Path, row_id: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        trace_row(small, row_id, project)


def test_a_general_row_is_traced_to_no_document(small: RunFolder, project: Path) -> None:
    rows = select_rows(small, "train").rows
    row = next(row for _, row in rows if row["prompt"] == "replay")
    trace = trace_row(small, row["id"], project)
    assert (trace.chunk, trace.document, trace.prompt, trace.exchanges) == (None, None, None, [])
    printed = StringIO()
    print_trace(Console(width=200, file=printed), trace)
    assert row["uri"] in printed.getvalue()


def test_a_batch_marks_the_answers_and_whole_documents(small: RunFolder, project: Path) -> None:
    batch = read_batch(small, project, limit=100)
    rows = {row["id"]: row for _, row in select_rows(small, "train").rows}
    seen = set()
    for sequence in batch.sequences:
        for packed in sequence.rows:
            row = rows[packed.id]
            seen.add(packed.id)
            trained = "".join(span.text for span in packed.spans if span.trained)
            read = "".join(span.text for span in packed.spans if not span.trained)
            if row["kind"] == "chat":
                said = [m["content"] for m in row["messages"] if m["role"] == "assistant"]
                assert trained == "".join(f" {answer}<|end|>" for answer in said)
                assert row["messages"][0]["content"] in read
            else:
                assert (read + trained) == row["text"] + "<|end|>"
                assert packed.spans[0].tokens == 1, "the first token is not predicted"
        assert 0 < sequence.trained < sequence.tokens
    general = {at for at, row in rows.items() if row["prompt"] == "replay"}
    assert seen - general == set(rows) - general
    assert 0 < len(seen & general) < len(general)  # a share of the tokens, not all of them
    assert batch.total == len(batch.sequences)
    assert len(read_batch(small, project, limit=1).sequences) == 1
