import csv
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from domainforge.cli import app
from domainforge.errors import ExportError, StorageError
from domainforge.forget import JOURNAL, Forgetting
from domainforge.forget_proof import find_leftovers
from domainforge.forget_rows import clean_run, clean_sqlite
from domainforge.forget_traces import Traces
from domainforge.label_file import LabelFile
from domainforge.labels import Content, Label, Labels, label_row
from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.publish.folders import copy_model
from domainforge.records import Document, text_hash
from domainforge.report.page import write_report
from domainforge.review_draft import draft_path
from domainforge.run_folder import RunFolder, read_manifest, read_table, write_atomic
from domainforge.sources.forgotten import Forgotten, add_forgotten, load_forgotten
from domainforge.sources.journal import Journal
from domainforge.sources.reading import Reading
from domainforge.teacher.ledger import Completed, Faulted, Ledger, Started
from tests.support.small_run import PAGES, make_project, make_small_run, pipeline_values
from tests.support.teacher_server import TeacherServer

GONE = "documents/ferry.md"
SENTENCES = (
    "The Gull Ferry crosses the Sound of Orl every forty minutes",
    "A crossing costs three copper marks",
    "The ferry is steered by Captain Idris Vane",
    "Her deckhands sleep in the red boathouse",
)

WHOLE = f"{SENTENCES[1]}, and children under seven go free."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with a run up to the split, to be copied."""
    folder = make_project(tmp_path_factory.mktemp("made") / "project")
    make_small_run(folder, train={"student": "student", "mixture": {"replay": 0.2}})
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a project with a run."""
    folder = tmp_path / "model" / "student"  # words that mean something inside a run only
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["forget", *arguments], input=stdin)


def rows_of(project: Path, uri: str) -> set[tuple[str, str]]:
    found = set()
    for path in (project / "runs").rglob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        place = str(path.parent.relative_to(project))
        found |= {(place, r["id"]) for r in table.to_pylist() if r.get("uri") == uri}
    return found


def bytes_of(project: Path) -> dict[Path, bytes]:
    places = [path for path in project.rglob("*") if path.is_file()]
    return {p: p.read_bytes() for p in places if p.parent.name != "documents" or "runs" in p.parts}


def texts_of(project: Path) -> str:
    """Return every byte of the project but its sources, and every value of its tables."""
    texts = []
    for path, content in bytes_of(project).items():
        texts.append(content.decode("latin-1"))
        if path.suffix == ".parquet":
            rows = pq.read_table(path, partitioning=None).to_pylist()
            texts.append(json.dumps(rows, ensure_ascii=False))
    return "\n".join(texts)


def test_nothing_of_a_document_is_left_and_it_does_not_come_back(project: Path) -> None:
    others = {
        uri: rows_of(project, uri)
        for uri in ("documents/light.md", "documents/market.txt", "replay/replay.jsonl#1")
    }
    assert all(others.values())
    before = texts_of(project)
    assert all(sentence in before for sentence in SENTENCES)
    with Ledger(project / "ledger.sqlite") as ledger:
        entries = ledger.read("SELECT count(*) FROM completions")[0][0]
        charges = ledger.read("SELECT * FROM charges")
    totals = {f.name: read_manifest(f) for f in (project / "runs" / "small").iterdir()}

    result = call(GONE, "--yes")

    assert result.exit_code == 0, result.output
    assert "nothing is left of it" in result.stdout
    assert f"still lies there: {project / GONE}" in result.stdout
    assert (project / GONE).read_text() == PAGES["ferry.md"]
    after = texts_of(project)
    assert [sentence for sentence in SENTENCES if sentence in after] == []
    assert "Idris Vane" not in after
    assert GONE not in after
    assert not rows_of(project, GONE)
    for uri, rows in others.items():
        assert rows_of(project, uri) == rows
    for name, old in totals.items():
        new = read_manifest(project / "runs" / "small" / name)
        if old is None or new is None:
            continue
        account = new.account
        left = sum(account["dropped"].values()) + sum(account["failed"].values())
        assert account["total"] == old.account["total"]
        assert account["total"] == account["done"] + left + account["not_reached"]
        assert account["dropped"]["forgotten"] > 0, name
        if name in ("kept", "unique", "judged"):
            assert account["done"] == new.tables[""]["rows"], name
        assert new.content_hash != old.content_hash
    with Ledger(project / "ledger.sqlite") as ledger:
        tombs = ledger.read("SELECT key, prompt_tokens FROM forgotten")
        kept = ledger.read("SELECT count(*) FROM completions")[0][0]
        assert tombs
        assert kept + len(tombs) == entries
        assert all(tokens > 0 for _, tokens in tombs)
        assert not ledger.has(tombs[0][0])
        assert ledger.read("SELECT * FROM charges") == charges
    assert not (project / JOURNAL).exists()

    with TeacherServer() as server:
        values = pipeline_values(server.base_url)
        values["teacher"] = json.loads((project / "small.yaml").read_text())["teacher"]
        pipeline = check_pipeline(values, "small.yaml")
        run_pipeline(pipeline, project, lambda event: None, until_stage="split")
        assert server.seen == []
    # The file still lies in the source, and is named as left out.
    assert {place for place, _ in rows_of(project, GONE)} == {"runs/small/documents/dropped"}
    again = texts_of(project)
    assert [sentence for sentence in SENTENCES if sentence in again] == []
    ingest = read_manifest(project / "runs" / "small" / "documents")
    assert ingest is not None
    assert ingest.account["dropped"]["forgotten"] == 1
    documents = {"light.md", "market.txt"}
    for uri in documents:
        held = {row for row in rows_of(project, f"documents/{uri}") if "examples" in row[0]}
        assert held == {row for row in others[f"documents/{uri}"] if "examples" in row[0]}


def test_a_dry_run_and_a_no_change_nothing(project: Path) -> None:
    (project / "runs" / "small" / ".lock").touch()
    before = bytes_of(project)
    dry = call(GONE, "--dry-run")
    assert dry.exit_code == 0
    assert "run small: " in dry.stdout
    assert "requests and replies; what they cost stays" in dry.stdout
    no = call(GONE, stdin="n\n")
    assert no.exit_code == 0
    assert "nothing was removed" in no.stdout
    after = bytes_of(project)
    ledger = project / "ledger.sqlite"
    kept = {p for p in before if p.parent != project or p == ledger}
    assert {p: after[p] for p in kept} == {p: before[p] for p in kept}


def test_an_unknown_document_is_told_what_is_near(project: Path) -> None:
    result = call("documents/fery.md", "--yes")
    assert result.exit_code == 2
    assert "did you mean documents/ferry.md" in result.output


def test_a_document_is_found_by_its_id(project: Path) -> None:
    rows = pq.read_table(
        project / "runs" / "small" / "documents" / "part-00000.parquet"
    ).to_pylist()
    (row,) = [row for row in rows if row["uri"] == GONE]
    assert call(row["id"], "--yes").exit_code == 0
    assert not rows_of(project, GONE)


def test_what_a_kill_interrupted_is_finished_by_the_same_command(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from domainforge import forget

    def stop(*_: object) -> int:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(forget, "remove_keys", stop)
        assert call(GONE, "--yes").exit_code == 13
    assert (project / JOURNAL).exists()
    assert load_forgotten(project).covers(GONE, "")
    once = {f.name: read_manifest(f) for f in (project / "runs" / "small").iterdir()}
    result = call(GONE, "--yes")
    assert result.exit_code == 0, result.output
    assert "goes on with documents/ferry.md" in result.stdout
    assert [s for s in SENTENCES if s in texts_of(project)] == []
    twice = {f.name: read_manifest(f) for f in (project / "runs" / "small").iterdir()}
    assert once == twice
    assert not (project / JOURNAL).exists()


def test_a_student_that_was_trained_on_it_is_marked_and_not_exported(project: Path) -> None:
    student = project / "runs" / "small" / "student"
    student.mkdir()
    (student / "model.safetensors").write_bytes(b"weights")
    copy_model(student, project / "out")
    card = project / "runs" / "small" / "export" / "model" / "README.md"
    card.parent.mkdir(parents=True)
    card.write_text("# small\n")
    assert "student of run small" in call(GONE, "--yes").stdout
    mark = json.loads((student / "forgotten.json").read_text())
    assert len(mark["trained_on"]) == 1
    assert RunFolder(project / "runs" / "small").read_record()["tainted"]
    assert "is not to be passed on" in card.read_text()
    with pytest.raises(ExportError, match="forgotten since"):
        copy_model(student, project / "out")


def test_notes_events_and_journals_forget_it_too(project: Path) -> None:
    run = RunFolder(project / "runs" / "small")
    run.append_event({"event": "note", "text": f"held out: {GONE}, documents/light.md"})
    run.append_event({"event": "stopped", "message": f"the first: {SENTENCES[2]} who lost two "})
    (run.path / "documents" / "list.csv").write_text(f"{GONE},ok\ndocuments/light.md,ok\n")
    stray = run.path / ".student.unfinished"
    stray.mkdir()
    (stray / "cache.txt").write_text(PAGES["ferry.md"])
    (project / ".sources" / "web").mkdir(parents=True)
    (project / ".sources" / "web" / "page").write_text(PAGES["ferry.md"])
    assert call(GONE, "--yes").exit_code == 0
    events = (run.path / "events.jsonl").read_text()
    assert ", documents/light.md" in events
    assert GONE not in events
    assert (run.path / "documents" / "list.csv").read_text().split() == ["documents/light.md,ok"]
    assert not stray.exists()
    assert not (project / ".sources").exists()


def test_requests_without_a_row_and_faults_go_by_their_text(project: Path) -> None:
    asked = json.dumps({"messages": [{"role": "user", "content": PAGES["ferry.md"]}]})
    other = json.dumps({"messages": [{"role": "user", "content": PAGES["light.md"]}]})
    with Ledger(project / "ledger.sqlite") as ledger:
        done = [Completed(k, "t", r, "{}", 3, 4) for k, r in (("no row", asked), ("kept", other))]
        ledger.write([*done, Faulted("no row", "http_500", "echo: " + PAGES["ferry.md"])])
    assert call(GONE, "--yes").exit_code == 0
    with Ledger(project / "ledger.sqlite") as ledger:
        assert not ledger.has("no row")
        assert ledger.has("kept")
        tomb = ledger.read("SELECT prompt_tokens FROM forgotten WHERE key = 'no row'")
        assert tomb == [(3,)]
        assert ledger.read("SELECT detail FROM faults WHERE key = 'no row'") == [("forgotten",)]


def test_a_ledger_or_a_run_in_use_is_left_alone(project: Path) -> None:
    before = rows_of(project, GONE)
    with Ledger(project / "ledger.sqlite") as ledger:
        ledger.write([Started("in flight", "t")])
        result = call(GONE, "--yes")
        assert result.exit_code == 13
        assert "in flight" in result.output
    with RunFolder(project / "runs" / "small").locked():
        assert call(GONE, "--yes").exit_code == 13
    assert rows_of(project, GONE) == before


def test_the_proof_sees_what_is_left(project: Path) -> None:
    with Forgetting(project) as forgetting:
        traces = forgetting.plan(GONE).traces
    found = {str(i.path.relative_to(project)): i.what for i in find_leftovers(project, traces)}
    assert found["runs/small/documents/part-00000.parquet"] == "sentence"
    assert found["runs/small/examples/plan/part-00000.parquet"] == "name"
    assert any(name.startswith("ledger.sqlite") for name in found)


def test_forgotten_documents_are_known_by_hashes_alone(tmp_path: Path) -> None:
    assert load_forgotten(tmp_path) == Forgotten()
    assert load_forgotten(tmp_path).digest() == ""
    add_forgotten(tmp_path, [("secret/name.md", text_hash("a text"))])
    first = (tmp_path / "forgotten.jsonl").read_text()
    add_forgotten(tmp_path, [("secret/name.md", text_hash("a text"))])
    assert (tmp_path / "forgotten.jsonl").read_text() == first
    assert "secret" not in first
    found = load_forgotten(tmp_path)
    assert found.covers("secret/name.md", text_hash("edited"))
    assert found.covers("other.md", text_hash("a text"))
    assert not found.covers("other.md", text_hash("edited"))
    add_forgotten(tmp_path, [("b", text_hash("b"))])
    assert load_forgotten(tmp_path).digest() not in ("", found.digest())
    (tmp_path / "forgotten.jsonl").write_text("{}\n")
    with pytest.raises(StorageError, match=r"forgotten\.jsonl:1"):
        load_forgotten(tmp_path)


def test_a_journal_of_a_source_is_cleaned_with_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / ".items.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, uri TEXT) WITHOUT ROWID")
        file.execute("CREATE TABLE left_out (item TEXT, detail TEXT)")
        file.execute("INSERT INTO documents VALUES ('1', 'a/b.md'), ('2', 'a/b.md.bak')")
        file.execute("INSERT INTO left_out VALUES ('c', 'same text as a/b.md'), ('d', 'x')")
        file.commit()
    clean_sqlite(path, Traces(uris={"a/b.md"}))
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT uri FROM documents").fetchall() == [("a/b.md.bak",)]
        assert file.execute("SELECT item FROM left_out").fetchall() == [("d",)]
    assert b"same text" not in path.read_bytes()


def test_an_item_that_lost_a_name_is_read_again(tmp_path: Path) -> None:
    """Else the next ingest takes the item over without saying what is forgotten of it."""
    path = tmp_path / ".items.sqlite"
    journal = Journal(path)
    secret, own = (Document(uri, "", text) for uri, text in (("a.md", "Secret."), ("z/b", "Own.")))
    journal.put_document("s", "a.md", secret, b"1", "a.md")
    journal.put_document("s", "z", replace(secret, uri="z/copy"), b"1", "z/copy")
    journal.put_document("s", "z", own, b"2", "z/b")
    for item in ("a.md", "z", "other"):
        journal.put_item("s", Reading(item, "zip", revision="r"))
    journal.put_hashes({f"/home/{name}": (1, 2, "h") for name in ("a.md", "ba.md", "z")})
    journal.commit(0)
    journal.close()
    clean_sqlite(path, Traces(uris={"a.md", "z/copy"}, items={"a.md"}))
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT uri FROM items").fetchall() == [("other",)]
        paths = file.execute("SELECT path FROM hashes ORDER BY path").fetchall()
    assert paths == [("/home/ba.md",), ("/home/z",)]


def test_names_are_found_however_a_file_writes_them(project: Path) -> None:
    run = RunFolder(project / "runs" / "small")
    traces = Traces(uris={'kb/F\u00e4hre "Nr. 1" (neu).md'})
    (uri,) = traces.uris
    with (run.path / "documents" / "ingest.csv").open("a", newline="") as handle:
        csv.writer(handle).writerow([uri, "markdown", "read"])
    run.append_event({"event": "note", "text": f"1 not read: {uri}"})
    (run.path / "old.json").write_text(json.dumps({"notes": [f"not read: {uri}"]}))
    before = {item.path.name for item in find_leftovers(project, traces)}
    assert before == {"ingest.csv", "events.jsonl", "old.json"}
    clean_run(run, traces, {})
    assert find_leftovers(project, traces) == []
    assert "Nr. 1" not in texts_of(project)


def test_a_document_of_one_word_takes_nothing_else_along() -> None:
    traces = Traces(sentences={"Yes.", "A sentence that is long enough to be searched for."})
    assert not traces.owns({"text": "Yes. The ferry goes on Sundays, too."})
    assert traces.owns({"text": "Yes.\n"})
    assert traces.owns({"text": "So: A sentence that is long enough to be searched for."})


def test_labels_and_drafts_about_it_go_and_the_others_stay(project: Path) -> None:
    file = LabelFile(project)
    rows = read_table(project / "runs" / "small" / "kept").to_pylist()
    mine = [row for row in rows if row["uri"] == GONE]
    others = [row for row in rows if row["uri"] != GONE]
    by_hand = "Its captain is a person of nine and a half fingers."
    edited = Content.model_validate(
        {"messages": [{**message, "content": by_hand} for message in mine[0]["messages"]]}
    )
    labels = [
        label_row(mine[0], "keep", Labels(), edited=edited),
        label_row({**mine[1], "id": "of another run"}, "drop", Labels()),
        label_row(others[0], "drop", Labels(), comment=f"better in {GONE}"),
        label_row(others[1], "keep", Labels(), comment="good"),
    ]
    file.add(*labels)
    file.undo(labels[3])
    for row, text in ((mine[2], "a draft"), (others[2], WHOLE), (others[3], "mine")):
        write_atomic(draft_path(project, row["id"]), text)
    write_atomic(project / ".labels.jsonl.123", by_hand)
    assert "labels: 2 given to its rows" in call(GONE, "--dry-run").output
    assert call(GONE, "--yes").exit_code == 0
    left = [line for line in file.lines() if isinstance(line, Label)]
    assert [(label.row, label.comment) for label in left] == [
        (others[0]["id"], "forgotten"),
        (others[1]["id"], "good"),
    ]
    assert len(list(file.lines())) == 3
    drafts = sorted((project / ".review").iterdir())
    assert drafts == [draft_path(project, others[3]["id"])]
    assert by_hand not in texts_of(project)


def test_the_proof_looks_into_labels(project: Path) -> None:
    with Forgetting(project) as forgetting:
        traces = forgetting.plan(GONE).traces
    call(GONE, "--yes")
    assert find_leftovers(project, traces) == []
    (project / "labels.jsonl").write_text(WHOLE)
    write_atomic(project / ".review" / "x.txt", f"see {GONE}")
    found = {item.path.name: item.what for item in find_leftovers(project, traces)}
    assert found == {"x.txt": "name", "labels.jsonl": "sentence"}


def test_the_report_goes_and_is_written_anew_without_the_document(project: Path) -> None:
    run = RunFolder(project / "runs" / "small")
    page = write_report(run, per_reason=9)
    stray = page.with_name(f".{page.name}.123")  # of a kill while it was written
    shutil.copy(page, stray)
    told = page.read_text(encoding="utf-8")
    assert GONE in told
    assert call(GONE, "--yes").exit_code == 0
    assert not page.exists()
    assert not stray.exists()
    again = write_report(run, per_reason=9).read_text(encoding="utf-8")
    assert GONE not in again
    assert not any(sentence in again for sentence in SENTENCES)
    assert "of a document that is forgotten" in again
    assert "add up" not in again
