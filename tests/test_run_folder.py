import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.errors import DataError, StorageError
from domainforge.run_folder import (
    FORMAT,
    MANIFEST,
    Inputs,
    Output,
    RunFolder,
    folder_hash,
    read_manifest,
    read_table,
    storage_errors,
)
from domainforge.tables import content_hash

ROOT = Path(__file__).parents[1]
ABOUT = {
    "stage": "chunk",
    "fingerprint": "one",
    "account": {},
    "notes": [],
    "figures": {},
    "seconds": 0.1,
}


def table(*ids: str) -> pa.Table:
    return pa.table({"id": list(ids), "text": [f"text of {name}" for name in ids]})


def finish(run: RunFolder, fingerprint: str, *ids: str, writes: str = "chunks") -> None:
    output = run.begin(writes, fingerprint, resumable=False)
    output.write(table(*ids))
    run.finish(writes, output, {**ABOUT, "fingerprint": fingerprint})


def ids_in(run: RunFolder, writes: str = "chunks") -> list[str]:
    found: list[str] = read_table(run.stage_folder(writes)).column("id").to_pylist()
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def in_child(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_finished_stage_says_what_it_holds(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    output = run.begin("chunks", "one", resumable=False)
    output.write(table("b", "a"))
    output.write(table("c"), "dropped")
    assert not (tmp_path / "chunks").exists()
    made = run.finish("chunks", output, ABOUT)
    assert read_manifest(tmp_path / "chunks") == made
    assert {name: entry["rows"] for name, entry in made.tables.items()} == {"": 2, "dropped": 1}
    assert made.tables[""]["content_hash"] == content_hash(table("a", "b"))
    assert names(tmp_path) == {"chunks"}
    assert names(tmp_path / "chunks") == {"part-00000.parquet", "dropped", MANIFEST}


def test_a_new_output_replaces_the_old_one_only_when_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    finish(run, "one", "a")
    output = run.begin("chunks", "two", resumable=False)
    output.write(table("b"))
    assert ids_in(run) == ["a"]
    run.finish("chunks", output, {**ABOUT, "fingerprint": "two"})
    assert ids_in(run) == ["b"]
    assert names(tmp_path) == {"chunks"}


# What a kill can leave: the parts of the swap that have happened.
KILLED_WHEN = {
    "manifest not yet written": [],
    "whole, not yet moved": ["manifest"],
    "old moved away": ["manifest", "away"],
    "both moved": ["manifest", "away", "in"],
}


@pytest.mark.parametrize("state", list(KILLED_WHEN))
def test_recovery_from_a_kill_at_each_point_of_the_swap(tmp_path: Path, state: str) -> None:
    run = RunFolder(tmp_path)
    finish(run, "one", "a")
    done = KILLED_WHEN[state]
    unfinished, old = tmp_path / ".chunks.unfinished", tmp_path / ".chunks.old"
    output = run.begin("chunks", "two", resumable=False)
    output.write(table("b"))
    if "manifest" in done:
        whole = {**ABOUT, "fingerprint": "two", "content_hash": "x", "tables": output.tables}
        (unfinished / MANIFEST).write_text(json.dumps(whole))
    if "away" in done:
        (tmp_path / "chunks").rename(old)
    if "in" in done:
        unfinished.rename(tmp_path / "chunks")
    run.recover("chunks")
    new = "manifest" in done
    assert ids_in(run) == (["b"] if new else ["a"])
    assert not old.exists()
    assert unfinished.exists() != new
    if new:
        assert ".fingerprint" not in names(tmp_path / "chunks")
    assert read_manifest(tmp_path / "chunks") is not None


def test_recovery_puts_the_old_folder_back_where_nothing_new_is_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    finish(run, "one", "a")
    (tmp_path / "chunks").rename(tmp_path / ".chunks.old")
    run.recover("chunks")
    assert ids_in(run) == ["a"]
    assert names(tmp_path) == {"chunks"}


def test_an_unfinished_folder_is_handed_back_only_for_the_same_work(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    output = run.begin("student", "one", resumable=True)
    (output.folder / "checkpoint").write_text("half an epoch")
    assert (run.begin("student", "one", resumable=True).folder / "checkpoint").exists()
    assert not (run.begin("student", "two", resumable=True).folder / "checkpoint").exists()
    output = run.begin("chunks", "one", resumable=False)
    (output.folder / "stray").write_text("x")
    assert not (run.begin("chunks", "one", resumable=False).folder / "stray").exists()


def test_an_unfinished_folder_without_its_mark_is_not_trusted(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    output = run.begin("student", "one", resumable=True)
    (output.folder / "checkpoint").write_text("x")
    (output.folder / ".fingerprint").unlink()
    assert names(run.begin("student", "one", resumable=True).folder) == {".fingerprint"}


def test_resuming_does_not_rewrite_the_mark(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    mark = run.begin("student", "one", resumable=True).folder / ".fingerprint"
    before = mark.stat()
    run.begin("student", "one", resumable=True)
    assert (mark.stat().st_ino, mark.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from domainforge.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('in')"
    )
    run = RunFolder(tmp_path / "runs" / "a")
    with run.locked():
        second = in_child(code, str(run.path))
        assert second.returncode != 0
        assert "StorageError" in second.stderr
        assert "another process is working on this run" in second.stderr
        assert "--set name=" in second.stderr
    assert in_child(code, str(run.path)).stdout == "in\n"


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(StorageError, match=f"run format {FORMAT + 1}, this version writes") as seen:
        RunFolder(tmp_path).read_record()
    assert str(tmp_path) in str(seen.value)
    assert "--set name=NAME" in str(seen.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', "3", ""])
def test_a_foreign_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StorageError, match=r"run\.json is not a run that DomainForge wrote"):
        RunFolder(tmp_path).read_record()


def test_a_record_comes_back(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.read_record() == {}
    run.write_record({"name": "Fährhaus"})
    assert run.read_record() == {"format": FORMAT, "name": "Fährhaus"}
    assert names(tmp_path) == {"run.json"}


def test_an_event_is_one_line(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.append_event({"event": "note", "text": "two\nlines"})
    run.append_event({"event": "done"})
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["note", "done"]
    assert all(event["at"] > 0 for event in events)


WRITERS = {
    "file": "write_atomic(folder / 'run.json', 'x' * 100_000)",
    "table": "Output(folder).write(pa.table({'id': [str(i * 7919) for i in range(30_000)]}))",
    "event": "RunFolder(folder).append_event({'text': 'x' * 100_000})",
}


@pytest.mark.parametrize("what", list(WRITERS))
def test_a_full_disk_is_told_and_leaves_nothing_half(tmp_path: Path, what: str) -> None:
    code = f"""
import resource, sys
from pathlib import Path
import pyarrow as pa
from domainforge.errors import StorageError
from domainforge.run_folder import Output, RunFolder, write_atomic
folder = Path(sys.argv[1])
write_atomic(folder / 'run.json', 'old')
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    {WRITERS[what]}
except StorageError as error:
    print(error)
"""
    ended = in_child(code, str(tmp_path))
    assert ended.stderr == ""
    assert str(tmp_path) in ended.stdout
    assert "the disk is full" in ended.stdout
    assert "give the same command again" in ended.stdout
    assert (tmp_path / "run.json").read_text() == "old"
    assert not [name for name in names(tmp_path) if name.startswith(".run.json")]
    assert read_manifest(tmp_path) is None


def test_no_permission_is_told(tmp_path: Path) -> None:
    # Root may write anywhere, so the refusal itself stands here for a folder that is closed.
    with pytest.raises(StorageError, match="no permission to write here"), storage_errors(tmp_path):
        raise PermissionError(13, "Permission denied")


@given(st.permutations([f"id-{number}" for number in range(6)]))
@settings(max_examples=20, deadline=None)
def test_content_is_the_same_in_any_order(order: list[str]) -> None:
    assert content_hash(table(*order)) == content_hash(table(*sorted(order)))


def test_content_is_the_same_in_any_number_of_shards(tmp_path: Path) -> None:
    rows = table(*(f"id-{number:03}" for number in range(100)))
    output = Output(tmp_path / "one")
    output.write(rows)
    sharded = tmp_path / "three"
    sharded.mkdir()
    for index, start in enumerate((60, 0, 30)):
        pq.write_table(
            rows.slice(start, 40 if start == 60 else 30), sharded / f"part-{index}.parquet"
        )
    assert content_hash(read_table(sharded)) == output.tables[""]["content_hash"]
    assert content_hash(rows.slice(1)) != content_hash(rows)
    changed = pa.table({"id": rows["id"], "text": ["x", *rows["text"].to_pylist()[1:]]})
    assert content_hash(changed) != content_hash(rows)


def test_many_rows_go_into_several_shards_and_come_back(tmp_path: Path) -> None:
    output = Output(tmp_path)
    output.write(pa.table({"id": [f"{number:06}" for number in range(50_001)]}))
    assert len(list(tmp_path.glob("part-*.parquet"))) == 2
    assert output.read().num_rows == 50_001
    output.write(pa.table({"id": ["a"]}))
    assert output.read().num_rows == 1


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    output = Output(tmp_path)
    output.write(table())
    assert output.read().column_names == ["id", "text"]
    assert output.read().num_rows == 0


def test_files_are_hashed_without_checkpoints_marks_and_place(tmp_path: Path) -> None:
    def make(folder: Path, weights: str) -> str:
        (folder / "checkpoints" / "checkpoint-4").mkdir(parents=True)
        (folder / "checkpoints" / "checkpoint-4" / "state").write_text(str(folder))
        (folder / ".fingerprint").write_text(str(folder))
        (folder / "model.safetensors").write_text(weights)
        return folder_hash(Output(folder))

    first = make(tmp_path / "a", "weights")
    assert make(tmp_path / "checkpoints" / "b", "weights") == first
    assert make(tmp_path / "c", "other weights") != first
    assert make(tmp_path / "checkpoints" / "d", "other weights") != first


def test_missing_rows_and_manifests_say_what_to_do(tmp_path: Path) -> None:
    inputs = Inputs({"chunk": tmp_path})
    with pytest.raises(DataError, match="run the stage that writes them"):
        inputs.table("chunk")
    with pytest.raises(StorageError, match="run the stage again"):
        inputs.manifest("chunk")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "chunk"}'])
def test_a_half_written_manifest_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    assert read_manifest(tmp_path) is None


def test_nothing_is_left_of_a_replaced_table(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    finish(run, "one", "a")
    shutil.copytree(tmp_path / "chunks", tmp_path / ".chunks.old")
    finish(run, "two", "b")
    assert names(tmp_path) == {"chunks"}
    values: dict[str, Any] = json.loads((tmp_path / "chunks" / MANIFEST).read_text())
    assert values["fingerprint"] == "two"
