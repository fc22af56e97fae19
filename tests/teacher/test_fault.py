import json
from typing import Any

import pytest

from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, read_error, read_success
from tests.teacher.quick import KEY

JSON, HTML = {"content-type": "application/json"}, {"content-type": "text/html"}
ENDPOINT = Endpoint("http://host/v1", "m", KEY, "KEY_FOR_TESTS")


def error(status: int, message: str, **more: Any) -> Fault:
    body = json.dumps({"error": {"message": message, **more}}).encode()
    return read_error(status, body, {}, ENDPOINT)


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (error(400, "API key not valid. Please pass a valid API key."), "export KEY_FOR_TESTS"),
        (error(401, "no"), "export KEY_FOR_TESTS"),
        (error(402, "Insufficient Balance"), "add credit"),
        (error(400, "Your credit balance is too low to access the API"), "add credit"),
        (error(429, "You exceeded your current quota, check your billing"), "add credit"),
        (error(429, "no", code="insufficient_quota"), "add credit"),
        (error(429, "no", type="insufficient_quota"), "add credit"),
        (error(400, "x/y is not a valid model ID"), "teacher.model"),
        (error(400, "no", code="model_not_found"), "teacher.model"),
        (read_error(404, b"<html>", {}, ENDPOINT), "/v1"),
    ],
)
def test_fatal(fault: Fault, advice: str) -> None:
    assert advice in str(fault.stop)
    assert not fault.passing


@pytest.mark.parametrize(
    ("fault", "passing"),
    [
        (error(400, "maximum context length is 2048 tokens"), False),
        (error(413, "too large"), False),
        (error(422, "temperature must be positive"), False),
        (error(408, "slow"), True),
        (error(429, "RESOURCE_EXHAUSTED: You exceeded your current quota"), True),
        (error(529, "overloaded"), True),
        (read_error(502, b"", {}, ENDPOINT), True),
    ],
)
def test_not_fatal(fault: Fault, passing: bool) -> None:
    assert fault.stop is None
    assert fault.passing is passing


def test_a_rate_limit_that_says_when_to_return_is_no_empty_account() -> None:
    body = json.dumps({"error": {"message": "You exceeded your current quota"}}).encode()
    fault = read_error(429, body, {"retry-after": "3"}, ENDPOINT)
    assert (fault.stop, fault.retry_after) == (None, 3)


def test_an_endpoint_without_a_key_is_told_how_to_name_one() -> None:
    fault = read_error(401, b"{}", {}, Endpoint("http://host/v1", "m"))
    assert "teacher.api_key_env" in str(fault.stop)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'data: {"choices": []}\n\n', "text/event-stream"),
        (b": keep-alive\n\n", "text/event-stream; charset=utf-8"),
        (b"", "text/event-stream"),
        (b'event: message\ndata: {"cho', "application/json"),
    ],
)
def test_streams_have_a_name_of_their_own(body: bytes, content_type: str) -> None:
    with pytest.raises(Fault) as caught:
        read_success(body, {"content-type": content_type}, ENDPOINT)
    assert (caught.value.kind, caught.value.passing) == ("stream", False)


def test_a_completion_that_calls_itself_a_stream_is_taken() -> None:
    body = b'{"choices": []}'
    assert read_success(body, {"content-type": "text/event-stream"}, ENDPOINT).completion


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "broken_json"),
        (b"null", "broken_json"),
        (b"\xff\xfe\xfa", "broken_json"),
        (b"[" * 100_000, "broken_json"),
        (b'{"choices": ' + b"9" * 10_000 + b"}", "broken_json"),
        (b" \n<!doctype html>", "html"),
        (b'{"object": "error", "message": "no", "choices": []}', "error_body"),
        (b'{"detail": "Not Found"}', "error_body"),
        (b"{}", "error_body"),
        (b'{"error": "no", "choices": []}', "error_body"),
    ],
)
def test_bodies_that_are_no_completion(body: bytes, kind: str) -> None:
    with pytest.raises(Fault) as caught:
        read_success(body, JSON, ENDPOINT)
    assert (caught.value.kind, caught.value.passing) == (kind, True)


def test_the_content_type_is_not_believed() -> None:
    body = b'{"choices": [], "error": null}'
    assert read_success(body, HTML, ENDPOINT).completion["choices"] == []


def test_the_key_is_taken_out_however_it_is_spelt() -> None:
    spelt = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    body = f'{{"choices": [{{"message": {{"content": "{spelt}"}}}}]}}'.encode()
    assert KEY not in str(read_success(body, JSON, ENDPOINT))
    assert KEY not in error(401, f"bad key {KEY}").detail
    assert KEY not in repr(ENDPOINT)


def test_no_part_of_a_key_survives_where_a_body_is_cut() -> None:
    for length in range(240, 300, 7):
        body = ("x" * length + KEY + "y" * 400).encode()
        assert KEY[:8] not in read_error(500, body, {}, ENDPOINT).detail
        with pytest.raises(Fault) as seen:
            read_success(b"<html>" + body, HTML, ENDPOINT)
        assert KEY[:8] not in seen.value.detail


def test_placeholders_for_a_key_do_not_spoil_replies() -> None:
    body = b'{"choices": [{"text": "EMPTY"}]}'
    endpoint = Endpoint("http://host/v1", "m", "EMPTY", "KEY_FOR_TESTS")
    assert read_success(body, JSON, endpoint).completion["choices"][0]["text"] == "EMPTY"
