"""Whether a server of ours answers yet."""

import json
from http import HTTPStatus

_TIMEOUT_SECONDS = 2.0


def is_ready(port: int, model: str) -> bool:
    """Tell whether the server on a loopback port is healthy and lists the model.

    llama.cpp lists its model before it has loaded it, hence `/health`; a foreign server that took
    the port may be healthy too, hence the list.
    """
    health, _ = _get(port, "/health")
    if health not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
        return False
    status, body = _get(port, "/v1/models")
    if status != HTTPStatus.OK:
        return False
    try:
        entries = json.loads(body)["data"]
        return any(entry["id"] == model for entry in entries)
    except (ValueError, KeyError, TypeError):
        return False


def _get(port: int, path: str) -> tuple[int | None, bytes]:
    """Return status and body, or None where nothing answers. No proxy is asked."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None, b""
    finally:
        connection.close()
