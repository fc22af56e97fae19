"""Follow a batch from its start, or from where another process left it, to its end."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from domainforge.errors import TeacherError
from domainforge.teacher.batch.client import NOT_THERE, BatchClient
from domainforge.teacher.batch.journal import WITHDRAWN, Journal, Submission
from domainforge.teacher.batch.settle import Settled, Settler
from domainforge.teacher.batch.terms import BatchTerms
from domainforge.teacher.batch.view import LOST, Batch
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault

TellLook = Callable[[Batch, float | None], None]
"""Hears of a look: what was seen, and the seconds until the next one, None after the last."""

_LOGGER = logging.getLogger(__name__)
_GONE_LOOKS = 3


@dataclass
class _Looks:
    """How the looks at one batch went.

    Attributes:
        seen: The endpoint knew the batch, in this session.
        failed: Looks in a row that told nothing.
    """

    seen: bool
    taken: int = 0
    failed: int = 0
    retry_after: float = 0.0


class Follower:
    """Follows batches, any number at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        client: BatchClient,
        settler: Settler,
        terms: BatchTerms,
        max_failed_looks: int,
    ) -> None:
        """Use that journal, client and settler."""
        self._url = endpoint.base_url
        self._journal = journal
        self._client = client
        self._settler = settler
        self._terms = terms
        self._max_failed_looks = max_failed_looks

    async def follow(self, submission: str, tell: TellLook, *, started: bool) -> Settled:
        """Return when the submission is closed, by this process or by another one.

        Args:
            submission: Which one; it may have no batch yet.
            tell: Called after each look.
            started: This process has just started the batch, so that the first look can wait.

        Raises:
            TeacherError: It can't be followed, or no further request can succeed.
            StorageError: The ledger can't be used.
        """
        looks = _Looks(seen=started)
        if started:
            await asyncio.sleep(self._terms.look_seconds(0))
        while True:
            entry = await asyncio.to_thread(self._journal.get, submission)
            if not entry.is_open:
                return Settled()
            wait = self._terms.look_seconds(looks.taken)
            settled = await self._step(entry, looks, wait, tell)
            if settled is not None:
                return settled
            await asyncio.sleep(max(wait, looks.retry_after))

    async def _step(
        self, entry: Submission, looks: _Looks, wait: float, tell: TellLook
    ) -> Settled | None:
        if entry.batch_id is None:
            return None if entry.has_owner else await self._recover(entry)
        batch = await self._look(entry, entry.batch_id, looks)
        if batch is None:
            return None
        tell(batch, None if batch.has_ended else wait)
        if not batch.has_ended or entry.has_owner:
            return None
        if not await asyncio.to_thread(self._journal.take_over, entry):
            return None
        with self._journal.working(entry.submission):
            return await self._settler.settle(entry, batch)

    async def _look(self, entry: Submission, batch_id: str, looks: _Looks) -> Batch | None:
        """Look once; None when that told nothing."""
        looks.taken += 1
        looks.retry_after = 0.0
        try:
            batch = await self._client.look(batch_id)
        except Fault as fault:
            looks.failed += 1
            looks.retry_after = fault.retry_after or 0.0
            return self._judge_failed_look(entry, batch_id, looks, fault)
        looks.seen, looks.failed = True, 0
        return batch

    def _judge_failed_look(
        self, entry: Submission, batch_id: str, looks: _Looks, fault: Fault
    ) -> Batch | None:
        if fault.stop is not None:
            raise TeacherError(f"{fault.stop}; batch {batch_id} goes on there")
        if fault.kind in NOT_THERE and looks.failed >= _GONE_LOOKS:
            hours = (time.time() - entry.created) / 3600
            if looks.seen or hours > self._terms.gone_hours:
                _LOGGER.warning("%s has lost batch %s; asking again", self._url, batch_id)
                return Batch(batch_id, LOST)
            raise TeacherError(
                f"{self._url} doesn't know batch {batch_id}, handed over {hours:.1f} hours ago "
                f"({fault.detail}); use the key that it was started with. If it is really gone: "
                "with teacher.batch set to false its requests are paid for again, one by one; "
                f"after {self._terms.gone_hours:.0f} hours they go into a new batch"
            )
        if looks.failed >= self._max_failed_looks:
            raise TeacherError(
                f"{looks.failed} looks in a row at batch {batch_id} failed at {self._url}, the "
                f"last with {fault.kind} ({fault.detail}); the batch goes on there: run the same "
                "command again to fetch its replies"
            )
        return None

    async def _recover(self, entry: Submission) -> Settled | None:
        """Find out whether a process that died had started its batch; None when it had."""
        if not await asyncio.to_thread(self._journal.take_over, entry):
            return None
        with self._journal.working(entry.submission):
            batch = await self._find(entry) if entry.file_id is not None else None
            if batch is None:
                await asyncio.to_thread(self._journal.close, entry.submission, WITHDRAWN)
                return Settled(free=True)
            _LOGGER.info("found batch %s, started by a process that died", batch.id)
            await asyncio.to_thread(self._journal.set_batch, entry.submission, batch.id)
            return None

    async def _find(self, entry: Submission) -> Batch | None:
        assert entry.file_id is not None
        batch = await self._client.find(entry.submission, entry.file_id, entry.created)
        if batch is None:
            # A batch that was started a moment before the process died may be listed late.
            await asyncio.sleep(self._terms.first_look_seconds)
            batch = await self._client.find(entry.submission, entry.file_id, entry.created)
        return batch
