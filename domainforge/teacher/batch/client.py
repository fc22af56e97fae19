"""The calls of the files and batches endpoints, with their retries."""

import asyncio
import logging
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import IO, Any, TypeVar

from domainforge.errors import TeacherError
from domainforge.teacher.batch.files import disk_explained, open_file
from domainforge.teacher.batch.terms import BatchTerms
from domainforge.teacher.batch.view import (
    METADATA,
    Batch,
    parse,
    read_batch,
    read_object,
    read_text,
)
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, down_advice, error_code, read_error, shorten
from domainforge.teacher.pace import Pace

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

_PAGE = 100
_START_BYTES = 65_536
_CLOCK_SLACK_SECONDS = 3600.0
_CONNECT_TIMEOUT_SECONDS = 10.0
NOT_THERE = frozenset({"http_404", "http_405", "http_410", "http_501"})
"""Kinds of fault that say that the endpoint has no such thing."""


class BatchClient:
    """The `openai` client on files and batches, with its retries off: the pace is ours."""

    def __init__(
        self, endpoint: Endpoint, config: TeacherConfig, pace: Pace, terms: BatchTerms
    ) -> None:
        """Prepare a client; nothing is sent yet."""
        import openai

        self._endpoint = endpoint
        self._url = endpoint.base_url
        self._config = config
        self._pace = pace
        self._terms = terms
        self._jitter = Random()
        http_client = None
        if endpoint.is_loopback and endpoint.base_url.startswith("http:"):
            # No proxy to this machine, and no certificates where none are used.
            nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            http_client = openai.DefaultAsyncHttpxClient(trust_env=False, verify=nobody)
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or "none",
            max_retries=0,
            http_client=http_client,
        )
        # The SDK takes these from the environment, and would send them to any endpoint.
        self._client.organization = self._client.project = None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def upload(self, file: IO[bytes], name: str) -> str:
        """Upload a file of requests and return its id.

        Raises:
            TeacherError: The endpoint has no such thing, or refuses.
        """

        async def send() -> str:
            file.seek(0)
            content = (name, file, "application/jsonl")
            reply = await self._raw.files.with_raw_response.create(
                file=content, purpose="batch", timeout=self._timeout
            )
            return read_text(read_object(reply.content, self._endpoint), "id", self._endpoint)

        return await self._persist(send, "upload a batch's file", self._terms.transfer_seconds)

    async def create(self, file_id: str, url: str, submission: str, since: float) -> Batch:
        """Start a batch of an uploaded file, exactly once.

        When an answer is lost, the batch is looked for before it is asked for again.

        Args:
            file_id: Of the uploaded requests.
            url: Where its requests go.
            submission: Our name for it.
            since: When it was written down, by our clock.

        Raises:
            TeacherError: The endpoint has no such thing, or refuses.
        """

        async def send() -> Batch:
            reply = await self._raw.batches.with_raw_response.create(
                input_file_id=file_id,
                endpoint=url,
                completion_window="24h",
                metadata={METADATA: submission},
                timeout=self._timeout,
            )
            return read_batch(read_object(reply.content, self._endpoint), self._endpoint)

        async def mend(fault: Fault) -> Batch | None:
            # But for this one, the batch may exist, and only the answer is lost.
            return None if fault.kind == "http_429" else await self.find(submission, file_id, since)

        return await self._persist(send, "start a batch", self._config.timeout_seconds, mend)

    async def look(self, batch_id: str) -> Batch:
        """Look at a batch, once.

        Raises:
            Fault: The look told nothing; the batch goes on all the same.
        """

        async def send() -> Batch:
            resource = self._raw.batches.with_raw_response
            reply = await resource.retrieve(batch_id, timeout=self._timeout)
            return read_batch(read_object(reply.content, self._endpoint), self._endpoint)

        return await self._once(send, self._config.timeout_seconds)

    async def find(self, submission: str, file_id: str, since: float) -> Batch | None:
        """Look for a batch by our name for it, or by its file; None where there is none.

        Args:
            submission: Our name for it.
            file_id: Of the requests that it was started with.
            since: When it was handed over at the earliest; older ones are not gone through.

        Raises:
            TeacherError: The endpoint's list can't be read.
        """
        after: str | None = None
        while True:
            try:
                page, more = await self._list(after)
            except Refused as refused:
                if not refused.not_there:
                    raise
                _LOGGER.warning("%s lists no batches: a lost one can't be found", self._url)
                return None
            for batch in page:
                if batch.submission == submission or batch.input_file_id == file_id:
                    return batch
            newest = max((batch.created or math.inf for batch in page), default=0.0)
            if not more or newest < since - _CLOCK_SLACK_SECONDS:
                return None
            after = page[-1].id

    async def download(self, file_id: str, folder: Path) -> IO[bytes] | None:
        """Fetch a file into one without a name; None where the endpoint has it no more.

        Raises:
            StorageError: The disk is full.
            TeacherError: It can't be fetched.
        """
        target = open_file(folder)

        async def send() -> IO[bytes]:
            target.seek(0)
            target.truncate()
            resource = self._raw.files.with_streaming_response
            async with resource.content(file_id, timeout=self._timeout) as reply:
                async for chunk in reply.iter_bytes():
                    with disk_explained(folder):
                        target.write(chunk)
            _check_rows(target, self._endpoint)
            return target

        try:
            return await self._persist(send, "fetch replies", self._terms.transfer_seconds)
        except BaseException as error:
            target.close()
            if isinstance(error, Refused) and error.not_there:
                return None
            raise

    async def _list(self, after: str | None) -> tuple[list[Batch], bool]:
        async def send() -> tuple[list[Batch], bool]:
            cursor = {} if after is None else {"after": after}
            reply = await self._raw.batches.with_raw_response.list(
                limit=_PAGE, timeout=self._timeout, **cursor
            )
            page = read_object(reply.content, self._endpoint)
            entries = page.get("data")
            entries = entries if isinstance(entries, list) else []
            batches = [read_batch(entry, self._endpoint) for entry in entries]
            return batches, bool(page.get("has_more"))

        return await self._persist(send, "list batches", self._config.timeout_seconds)

    async def _persist(
        self,
        send: Callable[[], Awaitable[T]],
        purpose: str,
        seconds: float,
        mend: Callable[[Fault], Awaitable[T | None]] | None = None,
    ) -> T:
        """Send until it works; `mend` may find after a fault that it did."""
        attempt = 0
        while True:
            try:
                return await self._once(send, seconds)
            except Fault as fault:
                if not fault.passing or attempt == self._config.max_retries:
                    raise Refused(self._refusal(fault, purpose), fault) from fault
                wait = self._pace.wait_seconds(attempt, fault.retry_after, self._jitter)
                await asyncio.sleep(wait)
                if mend is not None and (found := await mend(fault)) is not None:
                    return found
                attempt += 1

    async def _once(self, send: Callable[[], Awaitable[T]], seconds: float) -> T:
        async with self._faults(seconds):
            result = await send()
        return result

    @asynccontextmanager
    async def _faults(self, seconds: float) -> AsyncIterator[None]:
        import httpx2
        import openai

        try:
            async with asyncio.timeout(seconds):
                yield
        except (TimeoutError, openai.APITimeoutError) as error:
            raise Fault("timeout", f"no whole answer within {seconds:g} s") from error
        # The SDK lets httpx2's own errors through while a download streams.
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            cause = error.__cause__ or error
            detail = self._endpoint.scrub(f"{type(cause).__name__}: {cause}")
            raise Fault("connection", shorten(detail.encode())) from error
        except openai.APIStatusError as error:
            answer = error.response
            raise self._status_fault(
                answer.status_code, await answer.aread(), answer.headers
            ) from None

    def _status_fault(self, status: int, body: bytes, headers: Mapping[str, str]) -> Fault:
        fault = read_error(status, body, headers, self._endpoint)
        if fault.kind in NOT_THERE and error_code(parse(body)) != "model_not_found":
            # Here it says that the file, the batch or the whole API isn't there, not the model.
            return Fault(fault.kind, fault.detail, passing=False)
        return fault

    def _refusal(self, fault: Fault, purpose: str) -> str:
        url, kept = self._url, "; what is handed over already goes on there"
        if fault.stop is not None:
            return fault.stop + kept
        if fault.kind == "connection":
            return down_advice(url, fault) + kept
        if fault.kind in NOT_THERE:
            return (
                f"{url} answered {fault.kind.removeprefix('http_')} to the call to {purpose} "
                f"({fault.detail}): it seems to have no Batch API; set teacher.batch to false"
            )
        return (
            f"{url} fails to {purpose}: {fault.kind} ({fault.detail}); mend that and run the same "
            f"command again{kept}"
        )

    @property
    def _raw(self) -> Any:
        """The client untyped: typed results hide broken bodies, so replies are read raw."""
        return self._client

    @property
    def _timeout(self) -> Any:
        import openai

        seconds = self._config.timeout_seconds
        return openai.Timeout(seconds, connect=min(_CONNECT_TIMEOUT_SECONDS, seconds))


class Refused(TeacherError):
    """A call that won't succeed; `not_there` where the endpoint has no such thing."""

    def __init__(self, advice: str, fault: Fault) -> None:
        """Keep what the fault says."""
        super().__init__(advice)
        self.not_there = fault.kind in NOT_THERE


def _check_rows(file: IO[bytes], endpoint: Endpoint) -> None:
    """Tell a file of rows from a proxy's page: to take one for the other is to pay again."""
    file.seek(0)
    start = file.read(_START_BYTES)
    file.seek(0)
    if start.strip() and b"custom_id" not in start:
        kind = "html" if start.lstrip().startswith(b"<") else "broken_json"
        detail = shorten(endpoint.scrub(start.decode(errors="replace")).encode())
        raise Fault(kind, detail)
