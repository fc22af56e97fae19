"""SQL as a source, on a real MariaDB server."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.sql.source import SqlSource
from tests.support.mysql_server import PASSWORD, MysqlServer, has_mysql, mysql_server
from tests.support.private_process import free_port
from tests.support.source_reader import SourceReader, documents_of, read_all

pytestmark = pytest.mark.mysql

_TABLE = """
CREATE TABLE pages (
    id int PRIMARY KEY, title text, body text, updated_at datetime, price decimal(10, 2),
    facts json, picture blob
) CHARACTER SET utf8mb4
"""
_ROWS = """
INSERT INTO pages
SELECT seq, concat('Page ', seq), concat('Body ', seq, ': 50% of all :names 🎣'),
    '2024-03-01 12:00:00', seq + 0.5, '{"metres": 7}', unhex('636166C3A9')
FROM seq_1_to_1000
"""


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    if not has_mysql():
        pytest.skip("needs MariaDB (mariadbd)")
    with mysql_server() as running:
        running.execute("CREATE DATABASE handbook")
        running.execute(_TABLE, _ROWS, database="handbook")
        yield running


@pytest.fixture
def address(server: MysqlServer, monkeypatch: pytest.MonkeyPatch) -> str:
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
    pages = source("SELECT * FROM pages ORDER BY id", tmp_path, modified="updated_at")
    documents = documents_of(read_all(pages, SourceReader(tmp_path)))
    assert len(documents) == 1000
    first = documents[0]
    assert (first.uri, first.title) == ("sql/handbook/pages#1", "Page 1")
    assert first.text == "Body 1: 50% of all :names 🎣"
    assert first.modified == "2024-03-01T12:00:00"
    assert first.metadata["price"] == 1.5
    assert first.metadata["facts"] == '{"metres": 7}'
    assert first.metadata["picture"] == "café"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DELETE FROM pages", "only reads"),
        ("DROP TABLE pages", "only reads"),
        ("SELECT 1; DELETE FROM pages", "syntax"),
        ("SELECT * FROM page", "did you mean 'pages'"),
        ("SELECT bdy FROM pages", "did you mean 'body'"),
    ],
)
def test_the_database_refuses(address: str, tmp_path: Path, query: str, message: str) -> None:
    assert message in fail(query, tmp_path)
    rows = documents_of(read_all(source("SELECT * FROM pages", tmp_path), SourceReader(tmp_path)))
    assert len(rows) == 1000


def test_who_can_not_connect_is_told_why(
    server: MysqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "SELECT * FROM pages"
    monkeypatch.setenv("HANDBOOK_DB", server.url("handbook", password="wrong, this one"))
    text = fail(query, tmp_path)
    assert "check user, password and rights of url_env: HANDBOOK_DB" in text
    assert "wrong, this one" not in text
    monkeypatch.setenv("HANDBOOK_DB", server.url("handbok"))
    assert "check the database's name" in fail(query, tmp_path)
    nobody = MysqlServer(free_port())
    monkeypatch.setenv("HANDBOOK_DB", nobody.url("handbook"))
    assert f"at 127.0.0.1:{nobody.port}" in fail(query, tmp_path)
    assert "does the server run" in fail(query, tmp_path)


@pytest.mark.slow
def test_a_silent_server_is_left(address: str, tmp_path: Path) -> None:
    text = fail("SELECT sleep(20) AS body", tmp_path, statement_timeout_seconds=1)
    assert "statement_timeout_seconds: 1" in text


def test_the_first_rows_of_many_cost_little(address: str, tmp_path: Path) -> None:
    """Closing must not read the other millions, as the driver would."""
    query = "SELECT seq AS id, concat('Row ', seq) AS body FROM seq_1_to_100000000"
    begin = time.monotonic()
    first = list(islice(source(query, tmp_path).read(SourceReader(tmp_path)), 3))
    assert [d.text for d in documents_of(first)] == ["Row 1", "Row 2", "Row 3"]
    assert time.monotonic() - begin < 10, "reading all of them takes minutes"
