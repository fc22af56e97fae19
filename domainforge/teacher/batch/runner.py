"""Answer requests through batches: hand over, follow, deliver, hand over again what is missing."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from domainforge.errors import TeacherError
from domainforge.teacher.batch.client import BatchClient
from domainforge.teacher.batch.files import cut
from domainforge.teacher.batch.follow import Follower
from domainforge.teacher.batch.hand_over import HandOver
from domainforge.teacher.batch.journal import Journal
from domainforge.teacher.batch.settle import Settled, Settler
from domainforge.teacher.batch.terms import BatchProgress, BatchTerms, Done, Tell, TellProgress
from domainforge.teacher.batch.view import Batch
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.dialect import USUAL, Dialect
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.pace import Pace
from domainforge.teacher.prices import Price
from domainforge.teacher.request import Request

MayRepeat = Callable[[str], bool]

_LOGGER = logging.getLogger(__name__)
_NO_TRACE = Fault("batch_missing", "another process closed the batch without a reply")


@dataclass
class _Work:
    """One request on its way."""

    request: Request
    faults: list[Fault] = field(default_factory=list)
    nano_usd: int = 0
    tokens: int = 0


@dataclass
class _Round:
    """What one round of batches brought.

    Attributes:
        executed: A batch was carried out, at least in part.
        queue_full: What the provider says when it takes no more for now.
        largest: Requests in its largest batch.
    """

    executed: bool = False
    queue_full: str | None = None
    largest: int = 0


class BatchDesk:
    """The batches of one teacher. Lives in an event loop.

    Batches that were left open by earlier sessions of the same teacher are followed too, and
    their replies kept, whether they are asked for or not.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        identity: str,
        config: TeacherConfig,
        ledger: Ledger,
        pace: Pace,
        price: Price,
        account: str = "",
        terms: BatchTerms | None = None,
        on_progress: TellProgress = lambda progress: None,
        dialect: Callable[[], Dialect] = lambda: USUAL,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            endpoint: Who answers.
            identity: The same as in the ledger's keys.
            config: Its retries, timeout and failures.
            ledger: Where replies and the journal are kept.
            pace: Waits between the retries of a call.
            price: Of live replies; those of batches cost what it says for them.
            account: Who pays.
            terms: Other sizes and waits than the usual ones.
            on_progress: Called in the event loop after each look at a batch.
            dialect: Tells how the endpoint wants to be asked.
        """
        self._endpoint = endpoint
        self._config = config
        self._ledger = ledger
        self._terms = terms or BatchTerms()
        self._on_progress = on_progress
        self._journal = Journal(ledger, identity, endpoint.base_url)
        self._client = client = BatchClient(endpoint, config, pace, self._terms)
        journal, price = self._journal, price.for_batch()
        self._hand_over = HandOver(endpoint, ledger, journal, client, price, account, dialect)
        settler = Settler(endpoint, identity, ledger, journal, client, price.billed, self._terms)
        self._follower = Follower(
            endpoint, journal, client, settler, self._terms, config.stop_after_failures
        )
        self._follows: dict[str, asyncio.Task[Settled]] = {}
        self._numbers: dict[str, int] = {}
        self._most_requests = self._terms.max_requests
        self._failures_in_row = 0

    async def answer(
        self,
        requests: Sequence[tuple[str, Request]],
        with_schema: bool,
        tell: Tell,
        may_repeat: MayRepeat = lambda key: True,
    ) -> None:
        """Answer requests, each with one call of `tell`; return when all are.

        What is in an open batch, of this process or any other, is not handed over again but
        waited for. When this is cancelled, or fails, the batches go on at the provider.

        Args:
            requests: Keys and requests, each key once. They may make several batches.
            with_schema: Send the requests' schemas along, to be enforced.
            tell: Called in the event loop for each request, when its reply is in the ledger or
                its last retry used up.
            may_repeat: Asked before a request is handed over again (there may be a budget).

        Raises:
            TeacherError: No further request can succeed: key, model, quota, no Batch API.
            StorageError: The ledger can't be written.
        """
        await self._follow_open()
        work = {key: _Work(request) for key, request in requests}
        full = 0
        while work:
            result = await self._run_round(work, with_schema, tell, may_repeat)
            full = full + 1 if result.queue_full and not result.executed else 0
            if full:
                await self._wait_for_room(full, result)

    async def close(self) -> None:
        """Stop following. Batches go on at the provider, and the next session takes them up."""
        going = [task for task in self._follows.values() if not task.done()]
        for task in going:
            task.cancel()
        await asyncio.gather(*self._follows.values(), return_exceptions=True)
        await self._client.close()
        if going:
            _LOGGER.warning(
                "%d of the batches handed over to %s go on there and will be billed; run the same "
                "command again to fetch their replies",
                len(going),
                self._endpoint.base_url,
            )

    async def _run_round(
        self, work: dict[str, _Work], with_schema: bool, tell: Tell, may_repeat: MayRepeat
    ) -> _Round:
        result = _Round()
        waits: dict[asyncio.Task[Settled], set[str]] = {}
        requests = {key: item.request for key, item in work.items()}
        lines = await asyncio.to_thread(self._hand_over.measure, requests, with_schema)
        for part in cut(lines, self._most_requests, self._terms.max_bytes):
            if part[0].size_bytes > self._terms.max_bytes:
                fault = Fault("too_large", f"{part[0].size_bytes:,} bytes", passing=False)
                self._finish(work, part[0].key, tell, fault)
                continue
            over = await self._hand_over.start(part, requests, with_schema)
            await self._deliver(list(over.claim.known), Settled(), work, tell)
            for held, keys in over.claim.held.items():
                waits.setdefault(self._follow(held), set()).update(keys)
            if taken := over.claim.taken:
                result.largest = max(result.largest, len(taken))
                waits[self._follow(over.submission, len(taken), started=True)] = taken
        while waits:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                settled = task.result()
                result.executed |= not settled.free
                result.queue_full = settled.queue_full or result.queue_full
                await self._take(list(waits.pop(task)), settled, work, tell, may_repeat)
        return result

    async def _take(
        self,
        keys: Sequence[str],
        settled: Settled,
        work: dict[str, _Work],
        tell: Tell,
        may_repeat: MayRepeat,
    ) -> None:
        """Deliver what a batch brought; what is left over stays in `work` for the next round."""
        for key in keys:
            cost = settled.costs.get(key)
            if cost is not None:
                work[key].nano_usd += cost.nano_usd
                work[key].tokens += cost.tokens
        answered = await self._deliver(keys, settled, work, tell)
        if answered:
            self._failures_in_row = 0
        for key in keys:
            if key in answered:
                continue
            fault = settled.faults.get(key) or (None if settled.free else _NO_TRACE)
            if fault is None:
                continue
            met = work[key].faults
            met.append(fault)
            if not fault.passing or len(met) > self._config.max_retries or not may_repeat(key):
                self._finish(work, key, tell, fault)
        if self._failures_in_row >= self._config.stop_after_failures:
            self._stop_as_failing(settled)

    async def _deliver(
        self, keys: Sequence[str], settled: Settled, work: dict[str, _Work], tell: Tell
    ) -> set[str]:
        answered: set[str] = set()
        for group in _groups(keys, self._terms.group_rows):
            found = await asyncio.to_thread(self._ledger.get_many, group)
            for key, text in found.items():
                item = work.pop(key)
                kinds = tuple(fault.kind for fault in item.faults)
                tell(
                    Done(
                        key,
                        json.loads(text),
                        fresh=key in settled.fresh,
                        faults=kinds,
                        nano_usd=item.nano_usd,
                        tokens=item.tokens,
                    )
                )
            answered |= found.keys()
        return answered

    def _finish(self, work: dict[str, _Work], key: str, tell: Tell, fault: Fault) -> None:
        item = work.pop(key)
        kinds = tuple(met.kind for met in item.faults) or (fault.kind,)
        self._failures_in_row += 1
        tell(Done(key, fault=fault, faults=kinds, nano_usd=item.nano_usd, tokens=item.tokens))

    def _stop_as_failing(self, settled: Settled) -> None:
        last = next(reversed(settled.faults.values()), _NO_TRACE)
        raise TeacherError(
            f"{self._failures_in_row} requests in a row failed in batches at "
            f"{self._endpoint.base_url}, the last with {last.kind} ({last.detail}); mend that and "
            "run the same command again: replies so far are kept"
        )

    async def _wait_for_room(self, times: int, result: _Round) -> None:
        """Wait when the provider's queue is full: for a batch of ours, or else with smaller ones.

        Raises:
            TeacherError: There was none for too long.
        """
        others = [task for task in self._follows.values() if not task.done()]
        if others:
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            return
        if times > self._config.stop_after_failures:
            raise TeacherError(
                f"{self._endpoint.base_url} took no batch {times} times in a row "
                f"({result.queue_full}); wait for what is queued there, or set teacher.batch to "
                "false"
            )
        self._most_requests = max(1, min(self._most_requests, result.largest) // 2)
        _LOGGER.warning("%s; next with %d requests a batch", result.queue_full, self._most_requests)
        await asyncio.sleep(self._terms.longest_look_seconds)

    async def _follow_open(self) -> None:
        for entry in await asyncio.to_thread(self._journal.find_open):
            if not entry.has_owner:
                self._follow(entry.submission)

    def _follow(
        self, submission: str, total: int = 0, *, started: bool = False
    ) -> asyncio.Task[Settled]:
        task = self._follows.get(submission)
        if task is not None and not task.done():
            return task
        number = self._numbers.setdefault(submission, len(self._numbers) + 1)

        def tell(batch: Batch, next_look_seconds: float | None) -> None:
            self._on_progress(
                BatchProgress(
                    number,
                    len(self._numbers),
                    batch.status,
                    batch.done,
                    batch.failed,
                    max(total, batch.total),
                    next_look_seconds,
                )
            )

        work = self._follower.follow(submission, tell, started=started)
        task = asyncio.get_running_loop().create_task(work)
        # Nobody may ever ask for what an earlier session left; its errors are then not asked for.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._follows[submission] = task
        return task


def _groups(keys: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(keys)
    while group := list(islice(rest, size)):
        yield group
