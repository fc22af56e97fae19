"""SQL as a source, on real SQLite files: rows to documents, faults, resuming, what is refused."""

import json
import os
import pwd
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from domainforge.errors import ConfigError, SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.reading import Reading
from domainforge.sources.sql.source import SqlSource
from tests.support.private_process import private_folder, unprivileged_user
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all

PAGES = "SELECT id, title, body, updated_at FROM pages ORDER BY id"


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    """Return a database of a handbook with five pages."""
    path = tmp_path / "handbook.sqlite"
    with closing(sqlite3.connect(path)) as base:
        base.execute(
            "CREATE TABLE pages (id INTEGER PRIMARY KEY, title TEXT, body TEXT, updated_at TEXT,"
            " score REAL, extra BLOB)"
        )
        base.executemany(
            "INSERT INTO pages VALUES (?, ?, ?, ?, ?, ?)",
            [
                (1, "Tides", "The tide turns twice a day.", "2024-03-01", 0.5, b"caf\xe9 au lait"),
                (2, None, "# Boats\n\nA boat floats.", None, None, None),
                (3, "Empty", "  \n", "2024-03-03", 1.0, None),
                (4, "Nets", "Nets are mended in winter.", "2024-03-04", 2.0, b"\x00\x01\x02" * 50),
                (5, "Ropes", "A rope has three strands.", "2024-03-05", 3.0, None),
            ],
        )
        base.commit()
    return path


def source(handbook: Path, sql: dict[str, Any] | None = None, **fields: Any) -> SqlSource:
    settings = {"file": handbook.name, "query": PAGES, **(sql or {})}
    return SqlSource(SourceConfig(sql=settings, **fields), handbook.parent)


def change(handbook: Path, statement: str) -> None:
    with closing(sqlite3.connect(handbook)) as base:
        base.execute(statement)
        base.commit()


def read(handbook: Path, sql: dict[str, Any] | None = None, **fields: Any) -> list[Reading]:
    return read_all(source(handbook, sql, **fields), SourceReader(handbook.parent))


def test_each_row_is_a_document(handbook: Path) -> None:
    readings = read(handbook, {"modified": "updated_at"})
    documents = documents_of(readings)
    assert [d.uri for d in documents] == [f"sql/handbook/pages#{n}" for n in (1, 2, 4, 5)]
    assert [d.title for d in documents] == ["Tides", "Boats", "Nets", "Ropes"]
    assert documents[0].text == "The tide turns twice a day."
    assert documents[0].modified == "2024-03-01"
    assert documents[1].modified is None
    assert documents[0].metadata == {"id": 1, "updated_at": "2024-03-01"}
    assert {r.kind for r in readings} == {"sql row"}
    assert [r.loaded.dropped[0].reason for r in readings if r.loaded.dropped] == ["empty"]


def test_templates_make_text_title_and_id(handbook: Path) -> None:
    sql = {
        "text": "# {{ title }}\n{{ body }} ({{ score }})",
        "title": "Page {{ title | upper }}",
        "id": "{{ title }}-{{ id }}",
        "query": "SELECT * FROM pages WHERE id IN (1, 2)",
        "name": "good pages".replace(" ", "-"),
        "created": "updated_at",
        "format": "text",
    }
    first, second = documents_of(read(handbook, sql))
    assert first.text == "# Tides\nThe tide turns twice a day. (0.5)"
    assert (first.uri, first.title) == ("sql/handbook/good-pages#Tides-1", "Page TIDES")
    assert first.media_type == "text/plain"
    assert first.created == "2024-03-01"
    assert second.text == "#\n# Boats\n\nA boat floats. ()", "nothing stands for NULL"
    assert set(first.metadata) == {"id", "updated_at", "extra"}, "what the text has is not twice"


def test_columns_are_chosen_by_settings_names_or_length(handbook: Path) -> None:
    query = "SELECT id AS number, title AS heading, body AS words FROM pages ORDER BY id"
    chosen = documents_of(read(handbook, {"query": query}))
    assert chosen[0].text == "The tide turns twice a day."
    assert chosen[0].uri == "sql/handbook/pages#row-1"
    named = documents_of(
        read(
            handbook,
            {"query": query},
            text_field="heading",
            title_field="words",
            id_field="number",
        )
    )
    assert (named[0].text, named[0].uri) == ("Tides", "sql/handbook/pages#1")
    assert named[0].title == "The tide turns twice a day."


def test_values_become_plain(handbook: Path) -> None:
    query = "SELECT id, body, score, extra FROM pages WHERE id IN (1, 4) ORDER BY id"
    first, fourth = documents_of(read(handbook, {"query": query}))
    assert first.metadata == {"id": 1, "score": 0.5, "extra": "café au lait"}
    assert fourth.metadata["extra"] == "150 bytes that are no text"


def test_bytes_as_text_are_decoded_or_named(handbook: Path) -> None:
    query = "SELECT id, extra FROM pages WHERE extra IS NOT NULL ORDER BY id"
    readings = read(handbook, {"query": query}, text_field="extra")
    assert documents_of(readings)[0].text == "café au lait"
    (fault,) = faults_of(readings)
    assert (fault.uri, fault.reason) == ("sql/handbook/pages#4", "not_text")
    assert "150 bytes" in fault.detail


def test_text_that_is_no_utf8_is_decoded(handbook: Path) -> None:
    change(handbook, "UPDATE pages SET body = CAST(extra AS TEXT) WHERE id = 1")
    assert documents_of(read(handbook))[0].text == "café au lait"


def test_html_is_parsed_by_workers(handbook: Path) -> None:
    change(
        handbook,
        "UPDATE pages SET body = '<nav>Menu</nav><h1>High</h1><p>Water <b>rises</b>.</p>'",
    )
    reader = SourceReader(handbook.parent)
    readings = read_all(source(handbook, {"format": "html", "modified": "updated_at"}), reader)
    documents = documents_of(readings)
    assert reader.parsed == [f"sql/handbook/pages#{n}" for n in range(1, 6)]
    assert documents[0].text == "# High\n\nWater **rises**."
    assert (documents[0].title, documents[1].title) == ("Tides", "High")
    assert documents[0].modified == "2024-03-01"
    assert documents[0].metadata == {"id": 1, "updated_at": "2024-03-01"}
    assert readings[4].position == {"rows": 5, "uri": "sql/handbook/pages#5"}
    assert not list(handbook.parent.glob("*.html"))


def test_duplicate_ids_are_told(handbook: Path) -> None:
    query = "SELECT 7 AS id, body FROM pages WHERE id IN (1, 5)"
    readings = read(handbook, {"query": query})
    assert [d.uri for d in documents_of(readings)] == ["sql/handbook/pages#7"]
    (fault,) = faults_of(readings)
    assert fault.reason == "duplicate_id"
    assert "row 2" in fault.detail
    assert len({r.uri for r in readings}) == 2


def test_a_row_that_breaks_the_template_costs_that_row(handbook: Path) -> None:
    readings = read(handbook, {"text": "{{ body ~ (1 / (id - 4)) }}"})
    assert len(documents_of(readings)) == 4
    (fault,) = faults_of(readings)
    assert (fault.uri, fault.reason) == ("sql/handbook/pages#4", "bad_template")
    assert "zero" in fault.detail


@pytest.mark.parametrize(
    "template", ["{{ ''.__class__.__mro__ }}", "{{ body.__init__.__globals__ }}"]
)
def test_templates_are_sandboxed(handbook: Path, template: str) -> None:
    readings = read(handbook, {"text": template})
    assert documents_of(readings) == []
    assert {fault.reason for fault in faults_of(readings)} == {"bad_template"}


def test_a_query_that_writes_is_refused(handbook: Path) -> None:
    before = handbook.read_bytes()
    for query in (
        "DELETE FROM pages RETURNING *",
        "DROP TABLE pages",
        "ATTACH 'other.sqlite' AS other",
        "PRAGMA query_only = OFF",
        "SELECT 1; DELETE FROM pages",
    ):
        with pytest.raises(SourceError, match=r"only reads|one statement"):
            read(handbook, {"query": query})
    assert handbook.read_bytes() == before
    assert sorted(p.name for p in handbook.parent.iterdir()) == ["handbook.sqlite"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ({"query": "SELECT * FROM page"}, "no such table: page; did you mean 'pages'"),
        ({"query": "SELECT bdy FROM pages"}, "no such column: bdy; did you mean 'body'"),
        ({"text": "{{ bdy }}"}, "text: the query gives no column 'bdy'; did you mean 'body'"),
        ({"modified": "changed"}, "modified: the query gives no column 'changed'"),
        ({"query": "SELEC 1"}, "syntax error"),
        ({"query": "SELECT id, id FROM pages"}, "two columns of one name: id"),
        ({"query": "SELECT id, score FROM pages"}, "no column of the query holds text"),
        ({"file": "other.sqlite"}, "no such file: other.sqlite"),
    ],
)
def test_faults_say_what_to_do(handbook: Path, sql: dict[str, str], message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(handbook, sql)
    assert message in str(caught.value)


def test_what_is_no_database_is_named(handbook: Path) -> None:
    handbook.write_bytes(b"Dear diary, today it rained." * 100)
    with pytest.raises(SourceError, match=r"not a database; name a SQLite file"):
        read(handbook)


@pytest.mark.slow
def test_a_slow_statement_ends(handbook: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(SourceError, match="statement_timeout_seconds: 1"):
        read(handbook, {"query": endless, "statement_timeout_seconds": 1})


def test_reading_goes_on_after_an_interruption(handbook: Path) -> None:
    whole = source(handbook)
    first = list(islice(whole.read(SourceReader(handbook.parent)), 2))
    reader = SourceReader(handbook.parent, position=first[-1].position)
    rest = read_all(whole, reader)
    assert [r.uri[-1] for r in first + rest] == ["1", "2", "3", "4", "5"]
    assert reader.said == []


def test_rows_in_another_order_are_looked_up_by_name(handbook: Path) -> None:
    first = list(islice(source(handbook).read(SourceReader(handbook.parent)), 2))
    change(handbook, "INSERT INTO pages (id, body) VALUES (0, 'New first page.')")
    done = {r.uri for r in first}
    reader = SourceReader(handbook.parent, position=first[-1].position, finished=done)
    rest = read_all(source(handbook), reader)
    assert [r.uri[-1] for r in rest] == ["0", "3", "4", "5"]
    assert "no longer in the order" in reader.said[0]
    change(handbook, "DELETE FROM pages WHERE id > 0")
    rest = read_all(source(handbook), reader)
    assert [r.uri[-1] for r in rest] == ["0"], "fewer rows than were passed over"


def test_only_what_changed_is_read_again(handbook: Path) -> None:
    reader = SourceReader(handbook.parent)
    again = reader.take_over(read_all(source(handbook), reader))
    assert all(r.unchanged for r in read_all(source(handbook), again))
    change(handbook, "UPDATE pages SET title = 'Knots' WHERE id = 5")
    change(handbook, "DELETE FROM pages WHERE id = 1")
    readings = read_all(source(handbook), again)
    assert [r.uri[-1] for r in readings if not r.unchanged] == ["5"]
    assert len(readings) == 4
    other = read_all(source(handbook, {"format": "text"}), again)
    assert not any(r.unchanged for r in other), "another setting makes other documents"


def test_identity_changes_with_query_and_content(handbook: Path) -> None:
    first = source(handbook).identity()
    assert source(handbook, {"statement_timeout_seconds": 5}).identity() == first
    assert source(handbook, {"query": "SELECT 1"}).identity() != first
    change(handbook, "DELETE FROM pages WHERE id = 1")
    assert source(handbook).identity() != first
    json.dumps(first)


def test_a_database_with_a_log_is_read_with_it(handbook: Path) -> None:
    with closing(sqlite3.connect(handbook)) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("UPDATE pages SET body = 'From the log.' WHERE id = 1")
        base.commit()
        assert documents_of(read(handbook))[0].text == "From the log."


@pytest.mark.slow
def test_a_database_that_is_written_to_is_not_read(handbook: Path) -> None:
    with closing(sqlite3.connect(handbook)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="database is locked; another program"):
            read(handbook, {"connect_timeout_seconds": 2})


def test_a_database_with_a_log_is_read_where_nothing_can_be_written(handbook: Path) -> None:
    user = unprivileged_user("nobody")
    with private_folder(user) as folder:
        path = folder / handbook.name
        path.write_bytes(handbook.read_bytes())
        with closing(sqlite3.connect(path)) as base:
            base.execute("PRAGMA journal_mode = WAL")
        folder.chmod(0o555)
        if user is not None:
            os.seteuid(pwd.getpwnam(user).pw_uid)
        try:
            documents = documents_of(read_all(source(path), SourceReader(folder)))
        finally:
            os.seteuid(os.getuid())
            folder.chmod(0o755)
    assert len(documents) == 4


def test_the_text_before_cleaning_is_kept_where_asked(handbook: Path) -> None:
    change(handbook, "UPDATE pages SET body = 'Soft­hyphen.' WHERE id = 1")
    assert documents_of(read(handbook))[0].raw is None
    document = documents_of(read(handbook, keep_raw=True))[0]
    assert (document.text, document.raw) == ("Softhyphen.", "Soft­hyphen.")


def test_sources_are_read_lazily_with_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.sqlite"
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")
        words = "Every row of this table says something else. " * 20
        rows: Iterator[tuple[int, str]] = ((n, f"{n} {words}") for n in range(5_000))
        base.executemany("INSERT INTO rows VALUES (?, ?)", rows)
        base.commit()
    large = source(path, {"query": "SELECT * FROM rows"})
    next(iter(large.read(SourceReader(tmp_path))))
    tracemalloc.start()
    try:
        count = sum(1 for _ in large.read(SourceReader(tmp_path)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5_000
    assert peak < 2_000_000, "the table has 4.5 MB"


def test_the_address_may_be_a_url_or_in_the_environment(
    handbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_url = source(handbook, {"file": None, "url": f"sqlite:///{handbook.name}"})
    assert len(documents_of(read_all(by_url, SourceReader(handbook.parent)))) == 4
    with pytest.raises(ConfigError, match="HANDBOOK_DB is not set"):
        source(handbook, {"file": None, "url_env": "HANDBOOK_DB"})
    monkeypatch.setenv("HANDBOOK_DB", f"sqlite:///{handbook}")
    by_name = source(handbook, {"file": None, "url_env": "HANDBOOK_DB"})
    assert len(documents_of(read_all(by_name, SourceReader(handbook.parent)))) == 4


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("handbook.sqlite", "a database needs a query"),
        ({"query": "SELECT 1"}, "one of file, url, url_env"),
        ({"file": "a", "url_env": "A", "query": "x"}, "here are file and url_env"),
        ({"url_env": "sqlite:///x", "query": "x"}, "NAME of an environment variable"),
        ({"file": "a", "query": "x", "text": "{{ a"}, "no template"),
        ({"url": "mysql://u:hunter2@h/d", "query": "x"}, "carry no password"),
        ({"url": "mysql://u@h/d?password=hunter2", "query": "x"}, "password can't stand behind"),
        ({"url": "oracle://u:hunter2@h/d", "query": "x"}, "oracle is not known"),
        ({"url": "postgresql://u:hunter2@h:12x/d", "query": "x"}, "no address of a database"),
        ({"url": "postgresql://u:a@hunter2@h/d", "query": "x"}, "no address of a database"),
        ({"url": "postgresql://u:a@b/hunter2@h/d", "query": "x"}, "no address of a database"),
        ({"url": "postgresql://u@h", "query": "x"}, "names no database"),
    ],
)
def test_settings_are_checked_and_keep_secrets(sql: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SourceConfig(sql=sql)
    texts = [fault["msg"] for fault in caught.value.errors()]
    assert any(message in text for text in texts), texts
    assert not any("hunter2" in text for text in texts)


def test_text_and_text_field_together_are_refused(handbook: Path) -> None:
    with pytest.raises(ConfigError, match="`text` and `text_field` say the same"):
        source(handbook, {"text": "{{ body }}"}, text_field="body")


@pytest.mark.parametrize(
    ("driver", "url", "extra"),
    [("psycopg", "postgresql", "postgres"), ("pymysql", "mariadb", "mysql")],
)
def test_a_missing_driver_names_its_extra(
    driver: str, url: str, extra: str, tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.modules['{driver}'] = None\n"
        "from pathlib import Path\n"
        "from domainforge.errors import ConfigError\n"
        "from domainforge.sources.config import SourceConfig\n"
        "from domainforge.sources.sql.source import SqlSource\n"
        f"config = SourceConfig(sql={{'url': '{url}://reader@127.0.0.1/a', 'query': 'SELECT 1'}})\n"
        "try:\n    SqlSource(config, Path())\nexcept ConfigError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    assert f'pip install "domainforge[{extra}]"' in done.stdout, done.stderr
