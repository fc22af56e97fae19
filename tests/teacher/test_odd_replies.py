import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from domainforge.teacher.pace import Pace
from domainforge.teacher.session import open_teacher
from tests.support.teacher_faults import Answer
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, chat, config_for

pytestmark = pytest.mark.timeout(20)

PRICE = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}
PLAIN = (
    b'{"choices": [{"index": 0, "finish_reason": "stop", "odd": 1,'
    b' "message": {"role": "assistant", "content": "said"}}]}'
)
HASTY = Pace(base_seconds=0.005, cap_seconds=0.01, retry_after_cap_seconds=0.05, grace_seconds=0.05)
TYPED_PART = b'[{"type": {"a": 1}, "text": "said"}]'


@pytest.mark.parametrize(
    "body",
    [
        PLAIN.replace(b"1", b"NaN"),
        PLAIN.replace(b"1", b"-Infinity"),
        PLAIN.replace(b"1", b"9" * 400),
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.decode().encode("utf-16"),
        PLAIN.replace(b'"said"', TYPED_PART),
    ],
    ids=["nan", "infinity", "large_number", "byte_order_mark", "utf16", "odd_part"],
)
def test_odd_json_in_a_reply_replays_as_it_came(tmp_path: Path, body: bytes) -> None:
    with TeacherServer(["odd"], extra={"odd": Answer(200, body)}) as server:
        for replayed in (False, True):
            with open_teacher(config_for(server.base_url), tmp_path / "l", FAST) as teacher:
                (reply,) = teacher.ask([chat(1)])
            assert (reply.status, reply.text, reply.replayed) == ("ok", "said", replayed)
        assert len(server.seen) == 1


def test_a_count_of_tokens_beyond_belief_costs_what_it_may_at_most(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 2**52, "completion_tokens": 2**52}
    body = json.dumps(json.loads(PLAIN) | {"usage": usage}).encode()
    with TeacherServer(["odd"], extra={"odd": Answer(200, body)}) as server:
        config = config_for(server.base_url, price=PRICE)
        with open_teacher(config, tmp_path / "l", FAST) as teacher:
            assert [reply.status for reply in teacher.ask([chat(1)])] == ["ok"]
            assert [reply.status for reply in teacher.ask([chat(2)])] == ["ok"]
            assert 0 < teacher.budget.spent.nano_usd < 2_000_000


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": ["a"], "param": "seed", "message": "seed is bad"}},
        {"error": {"message": "extra", "detail": [{"type": "extra_forbidden", "loc": [{}]}]}},
        {"detail": [{"type": "extra_forbidden", "loc": ["body", {}]}]},
        {"detail": [{"type": {}, "loc": ["body", ["x"]]}]},
    ],
)
def test_an_odd_refusal_is_a_failed_request(tmp_path: Path, error: dict[str, object]) -> None:
    odd = Answer(400, json.dumps(error).encode())
    with TeacherServer(lambda number, body: "odd", extra={"odd": odd}) as server:
        config = config_for(server.base_url, price=PRICE)
        with open_teacher(config, tmp_path / "l", FAST) as teacher:
            (reply,) = teacher.ask([chat(1)])
            assert reply.detail.startswith("http_400: ")
            assert teacher.budget.reserved == (0, 0)


@pytest.mark.parametrize(
    "retry_after",
    [
        format_datetime(datetime(9999, 12, 31, tzinfo=UTC)),
        "Mon, 01 Jan 0001 00:00:00 -0000",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "-5",
        "1e309",
        "nan",
    ],
)
def test_an_odd_time_to_wait_is_no_wait_without_end(tmp_path: Path, retry_after: str) -> None:
    with (
        TeacherServer(["429_retry_after"], retry_after=retry_after) as server,
        open_teacher(config_for(server.base_url), tmp_path / "l", HASTY) as teacher,
    ):
        assert [reply.status for reply in teacher.ask([chat(1)])] == ["ok"]


def test_an_allowance_that_never_comes_back_holds_nobody_up(tmp_path: Path) -> None:
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "99",
        "x-ratelimit-reset-requests": "9" * 400 + "s",
    }
    odd = Answer(200, PLAIN, headers)
    with (
        TeacherServer(lambda number, body: "odd", extra={"odd": odd}) as server,
        open_teacher(config_for(server.base_url), tmp_path / "l", FAST) as teacher,
    ):
        assert len(list(teacher.ask(chat(number) for number in range(5)))) == 5


@pytest.mark.parametrize("transport", ["direct", "openai"])
@pytest.mark.parametrize("header", [b"Set-Cookie: \xff=;;;", b"Content-Type: \xff/;;=charset=;"])
def test_bytes_in_a_header_that_are_no_text_do_no_harm(
    tmp_path: Path, transport: str, header: bytes
) -> None:
    with _raw_server(header) as base_url:
        config = config_for(base_url, transport=transport, price=PRICE, max_retries=0)
        with open_teacher(config, tmp_path / "l", FAST) as teacher:
            (reply,) = teacher.ask([chat(1)])
            assert (reply.status, reply.text) == ("ok", "said"), reply.detail
            assert teacher.budget.reserved == (0, 0)


@contextmanager
def _raw_server(header: bytes) -> Iterator[str]:
    """Answer each request with `PLAIN` under a header that no library would send."""
    lines = (b"HTTP/1.1 200 OK", header, b"Content-Length: %d" % len(PLAIN), b"Connection: close")

    def serve() -> None:
        # Closing the listener ends this.
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as request:
                    length = 0
                    while line := request.readline().strip().lower():
                        if line.startswith(b"content-length:"):
                            length = int(line.partition(b":")[2])
                    request.read(length)
                    connection.sendall(b"\r\n".join((*lines, b"", PLAIN)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
