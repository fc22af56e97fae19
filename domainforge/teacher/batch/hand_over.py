"""Hand requests over to a Batch API: claim, upload, start, each step on disk before the next."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.errors import TeacherError
from domainforge.teacher.batch.client import BatchClient
from domainforge.teacher.batch.files import Measured, request_line, request_url, write_lines
from domainforge.teacher.batch.journal import WITHDRAWN, Claim, Handed, Journal
from domainforge.teacher.dialect import Dialect
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.prices import Price
from domainforge.teacher.request import Request, request_text
from domainforge.teacher.transports.contract import request_body

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class HandedOver:
    """Whose the requests are now, and our name for the batch of those that were taken."""

    submission: str
    claim: Claim


class HandOver:
    """Starts batches, one at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        journal: Journal,
        client: BatchClient,
        price: Price,
        account: str,
        dialect: Callable[[], Dialect],
    ) -> None:
        """Use that journal and client; `price` is the batch API's."""
        self._dialect = dialect
        self._endpoint = endpoint
        self._folder = ledger.path.parent
        self._journal = journal
        self._client = client
        self._price = price
        self._account = account
        # One upload at a time: it bounds the disk, and the connection has no more to give.
        self._turn = asyncio.Lock()

    def measure(self, requests: Mapping[str, Request], with_schema: bool) -> list[Measured]:
        """Measure the requests' lines without keeping them."""
        measured = []
        for key, request in requests.items():
            body = self._body(request, with_schema)
            measured.append(Measured(key, request_url(body), len(request_line(key, body))))
        return measured

    async def start(
        self, part: Sequence[Measured], requests: Mapping[str, Request], with_schema: bool
    ) -> HandedOver:
        """Start a batch of those requests that are nobody else's and not answered yet.

        Raises:
            TeacherError: The endpoint has no Batch API, or refuses.
            StorageError: The disk is full.
        """
        submission = str(uuid.uuid4())
        handed = [self._as_handed(line.key, requests[line.key]) for line in part]
        async with self._turn:
            claim = await asyncio.to_thread(self._journal.claim, submission, handed)
            if claim.taken:
                taken = {line.key: requests[line.key] for line in part if line.key in claim.taken}
                with self._journal.working(submission):
                    await self._start(submission, part[0].url, taken, with_schema)
        return HandedOver(submission, claim)

    async def _start(
        self, submission: str, url: str, taken: Mapping[str, Request], with_schema: bool
    ) -> None:
        entry = await asyncio.to_thread(self._journal.get, submission)
        lines = (request_line(key, self._body(item, with_schema)) for key, item in taken.items())
        with await asyncio.to_thread(write_lines, self._folder, lines) as file:
            try:
                file_id = await self._client.upload(file, f"{submission}.jsonl")
            except TeacherError:
                # Without its file there is no batch, so nobody has to look for one.
                await asyncio.to_thread(self._journal.close, submission, WITHDRAWN)
                raise
        await asyncio.to_thread(self._journal.set_file, submission, file_id)
        batch = await self._client.create(file_id, url, submission, entry.created)
        await asyncio.to_thread(self._journal.set_batch, submission, batch.id)
        _LOGGER.info("handed over %d requests as batch %s", len(taken), batch.id)

    def _as_handed(self, key: str, request: Request) -> Handed:
        return Handed(key, request_text(request), self._account, *self._price.worst_case(request))

    def _body(self, request: Request, with_schema: bool) -> dict[str, Any]:
        return request_body(request, self._endpoint, with_schema, self._dialect())
