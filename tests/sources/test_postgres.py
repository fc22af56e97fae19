"""SQL as a source, on a real PostgreSQL server."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.sql.source import SqlSource
from tests.support.postgres_server import PASSWORD, PostgresServer, has_postgres, postgres_server
from tests.support.private_process import free_port
from tests.support.source_reader import SourceReader, documents_of, read_all

pytestmark = pytest.mark.postgres

_TABLE = """
CREATE TABLE pages (
    id int PRIMARY KEY, title text, body text, updated_at timestamptz, price numeric(10, 2),
    facts jsonb, tags text[], picture bytea
)
"""
_ROWS = """
INSERT INTO pages
SELECT n, 'Page ' || n, 'Body ' || n || ': 50% of all :names', '2024-03-01 12:00:00+00', n + 0.5,
    '{"depth": {"metres": 7}}', ARRAY['a', 'b'], '\\x636166c3a9'
FROM generate_series(1, 1000) AS n
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    if not has_postgres():
        pytest.skip("needs PostgreSQL (initdb, postgres)")
    with postgres_server() as running:
        running.execute("CREATE DATABASE handbook")
        running.execute(
            _TABLE,
            _ROWS,
            "CREATE ROLE nobody_much LOGIN PASSWORD 'correct horse/battery'",
            "CREATE FUNCTION forget() RETURNS int LANGUAGE sql AS 'DELETE FROM pages; SELECT 1'",
            database="handbook",
        )
        yield running


@pytest.fixture
def address(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HANDBOOK_DB", server.url("handbook"))
    return server.url("handbook")


def source(query: str, tmp_path: Path, **sql: Any) -> SqlSource:
    config = SourceConfig(sql={"url_env": "HANDBOOK_DB", "query": query, **sql})
    return SqlSource(config, tmp_path)


def fail(query: str, tmp_path: Path, **sql: Any) -> str:
    with pytest.raises(SourceError) as caught:
        read_all(source(query, tmp_path, **sql), SourceReader(tmp_path))
    text = str(caught.value)
    assert PASSWORD not in text
    return text


def test_rows_with_every_type_become_documents(address: str, tmp_path: Path) -> None:
    query = "SELECT * FROM pages ORDER BY id"
    text = "{{ body }}\n\n{{ price }} {{ facts.depth.metres }} {{ updated_at }} {{ picture }}"
    pages = source(query, tmp_path, text=text, modified="updated_at", name="handbook")
    documents = documents_of(read_all(pages, SourceReader(tmp_path)))
    assert len(documents) == 1000
    first = documents[0]
    assert (first.uri, first.title) == ("sql/handbook/handbook#1", "Page 1")
    assert first.text == ("Body 1: 50% of all :names\n\n1.50 7 2024-03-01T12:00:00+00:00 café")
    assert first.modified == "2024-03-01T12:00:00+00:00"
    assert first.metadata == {"id": 1, "tags": ["a", "b"]}
    plain = documents_of(read_all(source(query, tmp_path), SourceReader(tmp_path)))[0]
    assert plain.metadata["price"] == 1.5
    assert plain.metadata["facts"] == {"depth": {"metres": 7}}
    assert plain.metadata["picture"] == "café"


def test_nothing_tells_the_password_or_the_host(address: str, tmp_path: Path) -> None:
    pages = source("SELECT id, body FROM pages LIMIT 1", tmp_path)
    readings = read_all(pages, SourceReader(tmp_path))
    shown = f"{pages.identity()} {readings}"
    assert PASSWORD not in shown
    assert "127.0.0.1" not in shown


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DELETE FROM pages", "only reads"),
        ("WITH gone AS (DELETE FROM pages RETURNING id) SELECT * FROM gone", "only reads"),
        ("SELECT forget()", "only reads"),
        ("SELECT 1; COMMIT; DELETE FROM pages", "multiple commands"),
        ("SELECT * FROM page", "did you mean 'pages'"),
        ("SELECT bdy FROM pages", "did you mean 'body'"),
        ("SELECT title FROM nowhere.pages", 'relation "nowhere.pages" does not exist'),
    ],
)
def test_the_database_refuses(
    address: str, server: PostgresServer, tmp_path: Path, query: str, message: str
) -> None:
    assert message in fail(query, tmp_path)
    rows = documents_of(read_all(source("SELECT * FROM pages", tmp_path), SourceReader(tmp_path)))
    assert len(rows) == 1000


def test_who_can_not_connect_is_told_why(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "SELECT * FROM pages"
    monkeypatch.setenv("HANDBOOK_DB", server.url("handbook", password="wrong, this one"))
    text = fail(query, tmp_path)
    assert "password authentication failed" in text
    assert "check user, password and rights of url_env: HANDBOOK_DB" in text
    assert "wrong, this one" not in text
    monkeypatch.setenv("HANDBOOK_DB", server.url("handbok"))
    assert "check the database's name" in fail(query, tmp_path)
    monkeypatch.setenv("HANDBOOK_DB", server.url("handbook", user="nobody_much"))
    assert "permission denied" in fail(query, tmp_path)
    nobody = PostgresServer(free_port())
    monkeypatch.setenv("HANDBOOK_DB", nobody.url("handbook"))
    assert f"at 127.0.0.1:{nobody.port}" in fail(query, tmp_path)
    assert "does the server run" in fail(query, tmp_path)


@pytest.mark.slow
def test_a_slow_statement_ends(address: str, tmp_path: Path) -> None:
    text = fail("SELECT pg_sleep(20)::text", tmp_path, statement_timeout_seconds=1)
    assert "statement_timeout_seconds: 1" in text


def test_rows_come_from_a_server_side_cursor(address: str, tmp_path: Path) -> None:
    """There are a thousand million rows: only a cursor gives the first ones at once."""
    query = "SELECT 'Row ' || a.id AS body FROM pages a, pages b, pages c"
    endless = source(query, tmp_path, statement_timeout_seconds=30)
    first = list(islice(endless.read(SourceReader(tmp_path)), 3))
    assert [d.text for d in documents_of(first)] == ["Row 1"] * 3


def test_values_that_python_lacks_come_as_text(address: str, tmp_path: Path) -> None:
    query = (
        "SELECT 1 AS id, 'x' AS body, date '20000-01-01' AS late, timestamptz 'infinity' AS never,"
        " (repeat('[', 3000) || repeat(']', 3000))::json AS deep, 'NaN'::float8 AS none,"
        " '10.0.0.1'::inet AS host"
    )
    (document,) = documents_of(read_all(source(query, tmp_path), SourceReader(tmp_path)))
    found = document.metadata
    assert (found["late"], found["never"]) == ("20000-01-01", "infinity")
    assert found["deep"].startswith("[[[")
    assert (found["none"], found["host"]) == ("nan", "10.0.0.1")


def test_a_connection_that_breaks_is_told(address: str, tmp_path: Path) -> None:
    text = fail("SELECT pg_terminate_backend(pg_backend_pid())", tmp_path)
    assert "the same command goes on from there" in text


def test_a_langchain_store_is_read_as_the_docs_say(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    recipe = next(block for block in blocks if "langchain_pg_embedding" in block)
    config = yaml.safe_load(recipe)["sources"][0]
    server.execute("CREATE DATABASE vectors")
    server.execute(
        # As langchain-postgres 0.0.19 makes them, but for the vectors.
        "CREATE TABLE langchain_pg_collection (uuid uuid PRIMARY KEY, name varchar)",
        "CREATE TABLE langchain_pg_embedding"
        " (id varchar PRIMARY KEY, collection_id uuid, document varchar, cmetadata jsonb)",
        "INSERT INTO langchain_pg_collection VALUES (gen_random_uuid(), 'handbook')",
        "INSERT INTO langchain_pg_embedding"
        " SELECT 'a', uuid, 'Chunk.', '{\"source\": \"x\"}' FROM langchain_pg_collection",
        database="vectors",
    )
    monkeypatch.setenv("VECTORS_DB", server.url("vectors"))
    stored = SqlSource(SourceConfig(**config), tmp_path)
    (document,) = documents_of(read_all(stored, SourceReader(tmp_path)))
    assert document.uri == "sql/vectors/langchain_pg_embedding#a"
    assert document.metadata["cmetadata"] == {"source": "x"}
