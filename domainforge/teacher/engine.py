"""The asynchronous half of a teacher: slots, retries, and the ledger before anyone looks.

`Engine` lives in an event loop; `client.Teacher` drives it from ordinary code.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from queue import SimpleQueue
from random import Random
from typing import Any

from domainforge.errors import TeacherError
from domainforge.teacher.commit import GroupCommit
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, down_advice
from domainforge.teacher.ledger import Completed, Faulted, Ledger, Started, Withdrawn
from domainforge.teacher.pace import Pace
from domainforge.teacher.request import Request, request_payload, usage_of
from domainforge.teacher.transport import Transport, request_body

_PROBE_RETRIES = 2


@dataclass
class Counts:
    """What a teacher did in this session.

    Attributes:
        asked: Requests sent, each counted once however often it was repeated.
        replayed: Replies that came from the ledger.
        retried: Repetitions after a fault.
        failed: Requests given up.
        asked_again: Requests sent that had been in flight before, when a run was cut off.
        prompt_tokens: Billed tokens of the replies that were asked for, not of those replayed.
        statuses: Replies handed out, by status.
        faults: Faults met, by kind, those included that a retry mended.
    """

    asked: int = 0
    replayed: int = 0
    retried: int = 0
    failed: int = 0
    asked_again: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Outcome:
    """What became of one request: a response in the ledger, a fault, or an error that ends all."""

    key: str = ""
    response: dict[str, Any] | None = None
    fault: Fault | None = None
    error: BaseException | None = None


class Call:
    """One `ask`: its tasks, and the queue on which its outcomes leave the event loop.

    Attributes:
        outcomes: What became of the requests, in order of completion.
        closed: Nothing more may leave.
    """

    def __init__(self) -> None:
        """Start with nothing to do."""
        self.outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self.closed = False
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self._sending: set[asyncio.Task[Outcome]] = set()

    def start(self, work: Coroutine[Any, Any, Outcome]) -> None:
        """Run one request as a task, unless the call is over."""
        if self.closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._settle)

    def enter_flight(self) -> None:
        """Mark the running task as one whose request is paid for."""
        task = asyncio.current_task()
        if task is not None:
            self._sending.add(task)

    def leave_flight(self) -> None:
        """Mark the running task as one that only waits, so that stopping loses nothing."""
        task = asyncio.current_task()
        if task is not None:
            self._sending.discard(task)
            if self.closed:
                task.cancel()

    def close(self) -> None:
        """Let nothing more leave; requests in flight go on."""
        self.closed = True
        for task in self._tasks - self._sending:
            task.cancel()

    async def finish(self, grace_seconds: float) -> None:
        """Close, and give requests in flight a moment to arrive and be kept."""
        self.close()
        for timeout in (grace_seconds, None):
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=timeout)
            for task in self._tasks:
                task.cancel()

    def _settle(self, task: asyncio.Task[Outcome]) -> None:
        self._tasks.discard(task)
        self._sending.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.close()
        self.outcomes.put(Outcome(error=error) if error else task.result())


class Engine:
    """Answers requests through a transport, at most so many at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        identity: str,
        config: TeacherConfig,
        ledger: Ledger,
        pace: Pace,
        counts: Counts,
    ) -> None:
        """Prepare a transport; nothing is sent yet."""
        self.transport = Transport(endpoint, config.timeout_seconds)
        self._endpoint = endpoint
        self._identity = identity
        self._config = config
        self._pace = pace
        self._counts = counts
        self._commit = GroupCommit(ledger)
        self._slots = asyncio.Semaphore(config.slots)
        self._jitter = Random()
        self._answered = False
        self._failures_in_row = 0

    async def close(self) -> None:
        """Bring what arrived to the disk and close the connections."""
        try:
            await self._commit.flush()
        finally:
            await self.transport.close()

    async def answer(
        self, request: Request, key: str, supports_schema: bool, call: Call
    ) -> Outcome:
        """Ask until a completion is in the ledger or the retries are used up.

        A slot is held while a request is in flight, not while it waits to be repeated.

        Raises:
            TeacherError: No further request can succeed.
            StorageError: The ledger can't be written.
        """
        body = request_body(request, self._endpoint, supports_schema)
        self._counts.asked += 1
        attempt = 0
        while True:
            try:
                async with self._slots:
                    call.enter_flight()
                    await self._note_start(key, call)
                    completion = await self.transport.send(body)
            except Fault as fault:
                if fault.stop:
                    call.close()
                await self._commit.write(Faulted(key, fault.kind, fault.detail))
                if not fault.stop:
                    call.leave_flight()
                if not await self._may_repeat(fault, attempt):
                    return Outcome(key, fault=fault)
                attempt += 1
            else:
                return Outcome(key, response=await self._keep(key, request, completion))

    async def exchange(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request that is neither remembered nor counted (a probe), with retries.

        A refused connection is retried but twice: who opens a teacher wants to know soon.

        Raises:
            Fault: The retries are used up.
            TeacherError: No request can succeed.
        """
        attempt = 0
        while True:
            try:
                return await self.transport.send(body)
            except Fault as fault:
                await self._stop_if_fatal(fault)
                most = self._config.max_retries
                if fault.kind == "connection":
                    most = min(most, _PROBE_RETRIES)
                if not fault.passing or attempt == most:
                    raise
                await self._wait(fault, attempt)
                attempt += 1

    async def _note_start(self, key: str, call: Call) -> None:
        written = await self._commit.write(Started(key, self._identity))
        if call.closed:
            await self._commit.write(Withdrawn(key))
            raise asyncio.CancelledError
        self._counts.asked_again += key in written.interrupted

    async def _keep(self, key: str, request: Request, completion: dict[str, Any]) -> dict[str, Any]:
        self._answered = True
        self._failures_in_row = 0
        usage = usage_of(completion)
        self._counts.prompt_tokens += usage.prompt_tokens
        self._counts.completion_tokens += usage.completion_tokens
        entry = Completed(key, self._identity, request_payload(request), completion, *usage)
        written = await self._commit.write(entry)
        return written.earlier.get(key, completion)

    async def _may_repeat(self, fault: Fault, attempt: int) -> bool:
        """Wait for the next attempt; False when there is none."""
        self._counts.faults[fault.kind] += 1
        await self._stop_if_fatal(fault)
        if not fault.passing or attempt == self._config.max_retries:
            self._counts.failed += 1
            self._stop_if_down(fault)
            return False
        self._counts.retried += 1
        await self._wait(fault, attempt)
        return True

    async def _wait(self, fault: Fault, attempt: int) -> None:
        await asyncio.sleep(self._pace.wait_seconds(attempt, fault.retry_after, self._jitter))

    async def _stop_if_fatal(self, fault: Fault) -> None:
        if fault.kind == "connection" and self._endpoint.find_death:
            death = self._endpoint.find_death()
            if death:
                raise TeacherError(death)
        if fault.stop is None:
            return
        models = await self.transport.list_models() if fault.unknown_model else None
        listed = f"; it lists: {', '.join(models[:20])}" if models else ""
        raise TeacherError(fault.stop + listed)

    def _stop_if_down(self, fault: Fault) -> None:
        self._failures_in_row += 1
        limit = self._config.stop_after_failures
        if fault.passing and not self._answered:
            limit = min(limit, self._pace.down_after)
        if self._failures_in_row < limit:
            return
        url = self._endpoint.base_url
        if fault.kind == "connection":
            raise TeacherError(down_advice(url, fault))
        raise TeacherError(
            f"{self._failures_in_row} requests in a row failed at {url}, the last with "
            f"{fault.kind} ({fault.detail}); mend that and run the same command again: replies so "
            "far are kept"
        )
