"""The wizard's questions about places, as a user answers them: lines on standard input."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from domainforge.cli import app
from domainforge.pipeline_file import Pipeline, load_pipeline
from domainforge.sources.config import SourceConfig
from domainforge.sources.sql.config import SqlConfig
from domainforge.sources.web.config import CrawlConfig, WebConfig
from domainforge.stage import Settings
from tests.support.command import interrupt_wizard
from tests.support.small_run import make_project

ROOT = Path(__file__).parents[1]
SECRET = "hunter2-of-orl"
PAGES = "SELECT id, title, body FROM pages ORDER BY id"
# Teacher, student, questions, go on, exam, name, run now: all as they stand.
REST = ("", "", "", "", "", "", "")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a project that has documents and a database, and no pipeline yet."""
    folder = make_project(tmp_path / "project")
    with closing(sqlite3.connect(folder / "handbook.bin")) as connection:
        connection.execute("CREATE TABLE pages (id INTEGER, title TEXT, body TEXT)")
        row = (1, "Fares", "A crossing costs three copper marks.")
        connection.execute("INSERT INTO pages VALUES (?, ?, ?)", row)
        connection.commit()
    monkeypatch.chdir(folder)
    return folder


def answer(*lines: str) -> Result:
    """Run the wizard with these answers; an empty one takes the default."""
    stdin = "".join(f"{line}\n" for line in lines)
    return CliRunner().invoke(app, ["wizard"], input=stdin, catch_exceptions=False)


def said(result: Result) -> str:
    return " ".join(result.stdout.split())


def only_pipeline(project: Path) -> Pipeline:
    (path,) = (project / "pipelines").glob("*.yaml")
    return load_pipeline(path)


def sources_of(project: Path) -> list[dict[str, object]]:
    """Return the entries of `sources:` that were written, what has a default left out."""
    pipeline = only_pipeline(project)
    return [source.model_dump(mode="json", exclude_unset=True) for source in pipeline.sources]


def test_several_places_become_a_list(project: Path) -> None:
    result = answer("documents/*.md", "documents/market.txt", "documents/*.md", "", *REST)
    assert result.exit_code == 0, result.output
    assert "that place is there already" in result.stdout
    found = sources_of(project)
    assert found == [{"files": "documents/*.md"}, {"files": "documents/market.txt"}]
    assert only_pipeline(project).name == "documents", "named after the folder of the glob"


@pytest.mark.parametrize(
    ("lines", "web"),
    [
        (("https://h.example/a", ""), {"urls": ["https://h.example/a"]}),
        (("https://h.example/news", "feed"), {"feed": ["https://h.example/news"]}),
        (("https://h.example/sitemap.xml", ""), {"sitemap": ["https://h.example/sitemap.xml"]}),
        (
            ("HTTPS://h.example", "", "2", "80"),
            {"crawl": {"start": ["HTTPS://h.example"], "depth": 2, "pages": 80}},
        ),
        (
            ("http://127.0.0.1:8080/wiki", "no", "http://127.0.0.1:8080/wiki", "yes", "page"),
            {"urls": ["http://127.0.0.1:8080/wiki"], "allow_hosts": ["127.0.0.1:8080"]},
        ),
    ],
)
def test_an_address_is_a_page_a_site_a_sitemap_or_a_feed(
    project: Path, lines: tuple[str, ...], web: dict[str, object]
) -> None:
    result = answer(*lines, "", *REST)
    assert result.exit_code == 0, result.output
    assert sources_of(project) == [{"web": web}]
    assert "is not known before the documents are read; go on?" in said(result)


def test_files_are_estimated_beside_places_that_are_not_read_yet(project: Path) -> None:
    result = answer("documents", "https://h.example/a", "page", "", "", "student", "4", *REST[3:])
    assert result.exit_code == 0, result.output
    told = "by file size; those for the other places are not known before they are read; go on?"
    assert told in said(result)


def test_a_database_is_known_by_its_first_bytes_and_can_be_tried(project: Path) -> None:
    wrong = PAGES.replace("body", "bdy")
    lines = ("handbook.bin", "delete from pages", wrong, "yes", "no", PAGES, "yes")
    result = answer(*lines, "", *REST)
    assert result.exit_code == 0, result.output
    assert "begins with SELECT or WITH" in said(result)
    assert "no such column: bdy; did you mean 'body'?" in said(result)
    assert "the text is in body (36 characters in the first row); rows are named by id" in said(
        result
    )
    assert sources_of(project) == [{"sql": {"file": "handbook.bin", "query": PAGES}}]
    assert only_pipeline(project).name == "handbook"


def test_a_query_that_fails_can_be_kept_or_the_place_be_given_up(project: Path) -> None:
    lines = ("handbook.bin", "select x from y", "", "no", "", "documents", "")
    assert answer(*lines, *REST).exit_code == 0
    assert sources_of(project) == [{"files": "documents"}]
    kept = ("handbook.bin", "select x from y", "", "yes", "")
    assert answer(*kept, *REST[:-2], "kept", "").exit_code == 0
    (sql,) = load_pipeline(project / "pipelines" / "kept.yaml").sources
    assert sql.sql is not None
    assert sql.sql.query == "select x from y"


def test_no_server_is_asked_unless_the_user_says_so(project: Path) -> None:
    url = "postgresql://reader@127.0.0.1:9/handbook"  # nothing listens there
    result = answer(url, PAGES, "", "", *REST)
    assert result.exit_code == 0, result.output
    assert sources_of(project) == [{"sql": {"url": url, "query": PAGES}}]
    assert only_pipeline(project).name == "handbook"
    tried = answer(url, PAGES, "yes", "yes", "", *REST[:-2], "tried", "")
    assert "PostgreSQL database handbook at 127.0.0.1:9" in said(tried)
    assert "does the server run" in said(tried)


def test_a_variable_holds_the_address_and_the_file_only_its_name(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDBOOK_DB", f"postgresql://reader:{SECRET}@127.0.0.1:9/handbook")
    result = answer("$HANDBOOK_DB", PAGES, "yes", "yes", "", *REST)
    assert result.exit_code == 0, result.output
    assert "does the server run" in said(result)
    assert sources_of(project) == [{"sql": {"url_env": "HANDBOOK_DB", "query": PAGES}}]
    assert SECRET not in result.output
    assert_nowhere(SECRET, project)


def test_a_variable_that_is_not_set_can_be_kept(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDBOOK_DB", raising=False)
    monkeypatch.setenv("OTHER", f"mongodb://u:{SECRET}@h/d")
    lines = ("OTHER", "no", "HANDBOOK_DB", "no", "HANDBOOK_DB", "yes", PAGES, "")
    result = answer(*lines, *REST)
    assert result.exit_code == 0, result.output
    assert "mongodb is not known; there are" in said(result)
    assert "no file or folder of that name, so it is taken for a variable's" in said(result)
    assert "the environment variable HANDBOOK_DB is not set" in said(result)
    assert sources_of(project) == [{"sql": {"url_env": "HANDBOOK_DB", "query": PAGES}}]
    assert SECRET not in result.output


def assert_nowhere(secret: str, project: Path) -> None:
    for path in project.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://reader:{SECRET}@db.example/handbook",
        f"postgresql://reader:a@b?{SECRET}=x@db.example/handbook",
        f"postgresql:/reader:{SECRET}@db.example/handbook",
        f"mysql://db.example/handbook?password={SECRET}",
        f"reader:{SECRET}@db.example/handbook",
        f"host=db.example user=reader password={SECRET}",
        f"https://reader:{SECRET}@docs.example.com/",
        f"https://reader:{SECRET}/x@docs.example.com/",
    ],
)
def test_a_password_is_refused_and_nowhere_to_be_seen(project: Path, address: str) -> None:
    result = answer(address, "documents", "", *REST)
    assert result.exit_code == 0, result.output
    told = "`url_env: DOCUMENTS_DB`" if "https" not in address else "not sent anywhere"
    assert told in said(result)
    assert "(not shown)" in result.stdout
    assert SECRET not in result.output
    assert_nowhere(SECRET, project)
    assert sources_of(project) == [{"files": "documents"}]


def test_an_export_is_offered_as_what_it_looks_like(project: Path) -> None:
    (project / "vault" / ".obsidian").mkdir(parents=True)
    (project / "vault" / "Note.md").write_text("# Note\n\nThe bell weighs 340 kilograms.\n")
    result = answer("vault", "", "vault", "no", "", *REST)
    assert result.exit_code == 0, result.output
    assert "It looks like an Obsidian vault." in result.stdout
    found = sources_of(project)
    assert found == [{"obsidian": {"path": "vault"}}, {"files": "vault"}]


def test_an_export_is_counted_as_the_run_would(project: Path) -> None:
    (project / "vault" / ".obsidian").mkdir(parents=True)
    (project / "vault" / "Note.md").write_text("# Note\n\nThe bell weighs 340 kilograms.\n")
    result = answer("vault", "", "", "", "student", "5", *REST[3:])
    assert result.exit_code == 0, result.output
    assert "That makes 5 requests to the teacher; go on?" in said(result)


def test_wrong_answers_are_asked_again_with_the_reason(project: Path) -> None:
    (project / "broken.zip").write_bytes(b"PK\5\6" + b"\xff" * 18)
    (project / "secret").mkdir()
    os.mkfifo(project / "pipe.md")
    lines = (
        "a" * 5000, "~nobody-of-that-name/x", "a\0b", "pipe.md", "broken.zip/x", "secret",
        "docs.example.com", "ftp://h/x", "mongodb://h/d", "postgresql://h",
        "postgresql://h/d?options=x", "https://", "https://h/a b", "http://169.254.169.254/",
        "https://h.example", "all", "site", "51", "0", "many", "0", "3",
    )  # fmt: skip
    result = answer(*lines, "", *REST)
    assert result.exit_code == 0, result.output
    for reason in (
        "that can't be looked at: File name too long",
        "no such file or folder: ~nobody-of-that-name/x",
        "pipe.md: no file of a kind that can be read",
        "secret: no file of a kind that can be read",
        "a page of the web begins with https://",
        "an address begins with https://, http://, postgresql://, mysql:// or sqlite:///",
        "the address names no database",
        "options can't stand behind the ? of an address",
        "no usable address: no host in it",
        "too long, or with spaces",
        "no path holds a NUL character",
        "169.254.169.254 is link-local",
        "write page or site or sitemap or feed, not 'all'",
        "write a number of at most 50",
        "write a whole number",
        "write a number of at least 1",
    ):
        assert reason in said(result), reason
    crawl = {"start": ["https://h.example"], "depth": 0, "pages": 3}
    assert sources_of(project) == [{"web": {"crawl": crawl}}]


def test_the_file_reads_as_yaml_with_the_descriptions_as_comments(project: Path) -> None:
    lines = ("https://h.example", "", "2", "80", "handbook.bin", PAGES, "no", "documents", "")
    assert answer(*lines, *REST).exit_code == 0
    text = (project / "pipelines" / "h.example.yaml").read_text()

    def comment(model: type[Settings], name: str) -> str:
        return f"# {model.model_fields[name].description}"

    expected = f"""sources:
  {comment(SourceConfig, "web")}
  - web:
      {comment(WebConfig, "crawl")}
      crawl:
        {comment(CrawlConfig, "start")}
        start: 'https://h.example'
        {comment(CrawlConfig, "depth")}
        depth: 2
        {comment(CrawlConfig, "pages")}
        pages: 80
  {comment(SourceConfig, "sql")}
  - sql:
      {comment(SqlConfig, "file")}
      file: handbook.bin
      {comment(SqlConfig, "query")}
      query: '{PAGES}'
  {comment(SourceConfig, "files")}
  - files: documents
"""
    assert expected in text


@pytest.mark.slow
def test_ctrl_c_among_the_places_leaves_nothing_behind(project: Path) -> None:
    answers = f"documents\npostgresql://u:{SECRET}@h/d\nhandbook.bin\n{PAGES}\n"
    ended = interrupt_wizard(project, answers, "Query: ")
    assert ended.returncode == 130
    assert ended.stderr == "domainforge: stopped: nothing was written\n"
    assert SECRET not in ended.stdout
    assert not (project / "pipelines").exists()
