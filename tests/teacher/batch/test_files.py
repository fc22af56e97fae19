import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainforge.errors import StorageError
from domainforge.teacher.batch.files import Measured, cut, read_rows, request_line, write_lines
from domainforge.teacher.endpoint import Endpoint
from tests.teacher.quick import KEY

ENDPOINT = Endpoint("http://127.0.0.1:1/v1", "m", KEY)
COMPLETION = {"object": "chat.completion", "choices": [{"message": {"content": "yes"}}]}


def row(response: Any, error: Any = None) -> bytes:
    return json.dumps({"custom_id": "k", "response": response, "error": error}).encode() + b"\n"


def test_a_line_carries_the_key_and_the_body_as_it_is() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Größe\nü"}]}
    line = request_line("k", body)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "custom_id": "k",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
    }
    assert json.loads(request_line("k", {"prompt": "p"}))["url"] == "/v1/completions"


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 50)), max_size=40),
    st.integers(1, 9),
    st.integers(50, 120),
)
def test_cutting_loses_nothing_and_keeps_the_limits(
    sizes: list[tuple[str, int]], max_requests: int, max_bytes: int
) -> None:
    lines = [Measured(str(number), url, size) for number, (url, size) in enumerate(sizes)]
    parts = list(cut(lines, max_requests, max_bytes))
    assert sorted(line for part in parts for line in part) == sorted(lines)
    for part in parts:
        assert 1 <= len(part) <= max_requests
        assert sum(line.size_bytes for line in part) <= max_bytes
        assert len({line.url for line in part}) == 1


@pytest.mark.parametrize(
    ("line", "kind", "passing"),
    [
        (row({"status_code": 200, "body": "<html>KEY</html>".replace("KEY", KEY)}), "html", True),
        (row({"status_code": 200, "body": {"error": {"message": KEY}}}), "error_body", True),
        (row({"status_code": 200, "body": [1]}), "broken_json", True),
        (row({"status_code": 429, "body": {"error": {"message": KEY}}}), "http_429", True),
        (row({"status_code": 400, "body": {"error": {"message": KEY}}}), "http_400", False),
        (row({"body": {"error": KEY}}), "batch_row", True),
        (row(None, {"code": "batch_expired", "message": KEY}), "batch_expired", True),
        (row(None, {"code": "request_timeout", "message": "late"}), "timeout", True),
        (row(None, {"code": "invalid_request", "message": KEY}), "batch_row", False),
        (row(None, "odd"), "batch_row", True),
        (row(None), "batch_row", True),
    ],
)
def test_rows_without_a_completion_are_named_faults(line: bytes, kind: str, passing: bool) -> None:
    (read,) = read_rows(io.BytesIO(line), ENDPOINT)
    assert read.fault is not None
    assert (read.key, read.fault.kind, read.fault.passing) == ("k", kind, passing)
    assert KEY not in str(read.fault)


def test_unreadable_lines_are_left_out() -> None:
    good = row({"status_code": 200, "body": COMPLETION})
    odd = b'{"custom_id": "k", "resp\n[1]\n{"custom_id": 7}\n\n\xff\xfe\n'
    (read,) = read_rows(io.BytesIO(odd + good), ENDPOINT)
    assert read.answer is not None
    assert read.answer.completion == COMPLETION


def test_a_disk_that_fails_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="can't be written there"):
        write_lines(tmp_path / "absent", [b"a\n"])
