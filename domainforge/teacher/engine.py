"""The asynchronous half of a teacher: who may leave when, what comes back, and what is repeated.

A request goes through four queues. It comes in (`submit`), gets its worst case reserved (`_admit`),
is noted as started by the ledger's thread, and is sent when an endpoint has a free slot (`_fill`).
A slot is free again on receipt; only the consumer waits for the commit.

`Engine` lives in an event loop; `client.Teacher` drives it from ordinary code.
"""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from functools import partial
from random import Random

from domainforge.errors import BudgetError, TeacherError
from domainforge.teacher.commit import GROUP_MAX, GroupCommit, Noted
from domainforge.teacher.fault import Fault
from domainforge.teacher.giving_up import reason_to_stop
from domainforge.teacher.jobs import Call, Job, Outcome
from domainforge.teacher.lane import Lane, pick_lane
from domainforge.teacher.ledger import (
    CUT_OFF,
    Completed,
    Faulted,
    Started,
    Withdrawn,
    Written,
)
from domainforge.teacher.prices import Cost
from domainforge.teacher.probe import Prober, Till
from domainforge.teacher.request import Answer, Request, Usage, cached_tokens_of, usage_of
from domainforge.teacher.shared import Shared
from domainforge.teacher.under_way import UnderWay

_FEWEST_READY = 4
_MOST_WINDOWS = 16
_MOST_UNWRITTEN = 8 * GROUP_MAX


class Engine:
    """Answers requests through one or more lanes, within a budget.

    Attributes:
        limit: Requests that may be in flight now, over all lanes; safe to read from any thread.
    """

    def __init__(self, lanes: Sequence[Lane], shared: Shared) -> None:
        """Start the ledger's thread; nothing is sent yet."""
        self.lanes = list(lanes)
        for lane in self.lanes:
            lane.others = tuple(other for other in self.lanes if other is not lane)
        self._loop = asyncio.get_running_loop()
        self._identity = shared.identity
        self._account = shared.account
        self._config = config = shared.config
        self._pace = shared.pace
        self._counts = shared.counts
        self._budget = shared.budget
        self._say = shared.say
        # Tokens a minute are kept by the same worst case.
        has_cap = config.budget.has_cap or config.tokens_per_minute is not None
        self._counts_money = has_cap or not all(lane.price.free for lane in lanes)
        self._commit = GroupCommit(shared.ledger, self._on_written, self._on_unwritten)
        for lane in self.lanes:
            lane.recall(shared.ledger, self._commit.after, self._say)
            lane.down_seconds = self._pace.down_seconds
        till = Till(self._budget, self._commit, self._account) if self._counts_money else None
        self._prober = Prober(self.lanes, shared, till)
        self._incoming: deque[Job] = deque()
        self._ready: deque[Job] = deque()
        self._noting = 0
        self._calls: set[Call] = set()
        self._under_way = UnderWay()
        self._jitter = Random()
        self._finished = 0
        self._wake: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return sum(lane.limit for lane in self.lanes if lane.closed is None) or 1

    @property
    def activity(self) -> tuple[int, int]:
        """Requests in flight, and requests that wait to be repeated."""
        resting = sum(len(call.resting) for call in tuple(self._calls))
        return sum(lane.in_flight for lane in self.lanes), resting

    @property
    def window(self) -> int:
        """Requests that may be taken in ahead: what flies, as much again, and what rests."""
        return min(2 * self.limit + self.activity[1], _MOST_WINDOWS * self.limit)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take jobs in; runs in the loop."""
        for job in jobs:
            if not job.call.closed:
                self._calls.add(job.call)
                if self._under_way.claim(job):
                    self._incoming.append(job)
        self._stop_if_closed()
        self._admit()

    def forget(self, call: Call) -> None:
        """Drop a call of which nothing is under way."""
        self._calls.discard(call)

    def flush(self) -> None:
        """Nothing waits here for more to come; batch mode has something to do then."""

    async def finish(self, call: Call, grace_seconds: float) -> None:
        """Close a call, and give its requests in flight a moment to arrive and be kept."""
        call.close()
        for timeout in (grace_seconds, None):
            if call.flying:
                await asyncio.wait(call.flying, timeout=timeout)
            for task in call.flying:
                task.cancel()
        self._fill()
        await self._written()
        self._calls.discard(call)
        self.submit(self._under_way.leave(call))

    async def close(self) -> None:
        """Bring what arrived to the disk and close the connections."""
        try:
            # Those that end in another thread too: what they have in flight is charged now.
            calls = tuple(self._calls)
            for call in calls:
                call.close()
            for call in calls:
                await self.finish(call, 0)
            await self._written()
        finally:
            self._commit.close()
            for lane in self.lanes:
                await lane.transport.close()

    async def exchange(self, request: Request, *, with_schema: bool) -> Answer:
        """Send a request that is not remembered (a probe), with retries; see `Prober.send`."""
        return await self._prober.send(request, with_schema=with_schema)

    def _admit(self) -> None:
        """Reserve and note as many jobs as may soon leave."""
        lookahead = max(_FEWEST_READY, min(GROUP_MAX, self.limit))
        while self._incoming and self._noting + len(self._ready) < lookahead:
            job = self._incoming[0]
            if job.call.closed:
                self._incoming.popleft()
                continue
            if not self._reserve(job):
                return
            self._incoming.popleft()
            self._noting += 1
            started = Started(job.key, self._identity, self._account, *job.worst_case)
            self._commit.put(started, job)

    def _fill(self) -> None:
        """Send what is ready while an endpoint has room for it."""
        now = self._loop.time()
        while self._ready:
            job = self._ready[0]
            if job.call.closed:
                self._ready.popleft()
                self._withdraw(job)
                continue
            if self._commit.backlog > _MOST_UNWRITTEN:
                # The disk is behind; its next commit calls us again.
                break
            lane, wait_seconds = pick_lane(self.lanes, now, job.worst_case.tokens)
            if lane is None:
                self._wake_after(wait_seconds)
                break
            self._ready.popleft()
            lane.leave(now, job.worst_case.tokens)
            self._counts.asked += not job.was_sent
            job.was_sent = True
            task = self._loop.create_task(self._carry(job, lane))
            job.call.flying.add(task)
        self._admit()

    def _wake_after(self, seconds: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        # Without a time, the next reply frees a slot and fills it.
        self._wake = self._loop.call_later(seconds, self._fill) if seconds < math.inf else None

    async def _carry(self, job: Job, lane: Lane) -> None:
        """Send one job and deal with what comes; the slot is free when this ends."""
        try:
            await self._carry_to_end(job, lane)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Ours to mend; but whoever waits for the reply must hear of it.
            job.call.fail(error)
        finally:
            task = asyncio.current_task()
            assert task is not None
            job.call.flying.discard(task)
            self._fill()

    async def _carry_to_end(self, job: Job, lane: Lane) -> None:
        try:
            answer = await lane.send(job.request, with_schema=job.with_schema)
        except Fault as fault:
            lane.come_back(self._loop.time(), job.worst_case.tokens, fault)
            await self._on_fault(job, lane, fault)
        except BaseException:
            # Cancelled after its grace, or worse: it may have been billed.
            lane.come_back(self._loop.time(), job.worst_case.tokens, None)
            cost = job.worst_case
            if self._counts_money:
                self._budget.settle(cost, cost)
            self._commit.put(Faulted(job.key, CUT_OFF, "", self._account, *cost))
            raise
        else:
            usage = usage_of(answer.completion)
            lane.come_back(self._loop.time(), job.worst_case.tokens, (answer, usage))
            self._on_answer(job, lane, answer, usage)

    def _on_answer(self, job: Job, lane: Lane, answer: Answer, usage: Usage) -> None:
        cost = Cost(0, 0)
        if self._counts_money:
            cached = cached_tokens_of(answer.completion)
            cost = lane.price.billed(usage, job.worst_case, cached)
            self._budget.settle(job.worst_case, cost)
        self._finished += 1
        self._counts.prompt_tokens += usage.prompt_tokens
        self._counts.completion_tokens += usage.completion_tokens
        entry = Completed(
            job.key,
            self._identity,
            job.text,
            answer.text,
            usage.prompt_tokens,
            usage.completion_tokens,
            self._account,
            *cost,
        )
        self._commit.put(entry, (job, Outcome(job.key, completion=answer.completion)))

    async def _on_fault(self, job: Job, lane: Lane, fault: Fault) -> None:
        self._counts.faults[fault.kind] += 1
        cost = job.worst_case if self._counts_money and fault.may_be_billed else Cost(0, 0)
        if self._counts_money:
            self._budget.settle(job.worst_case, cost)
        entry = Faulted(job.key, fault.kind, fault.detail, self._account, *cost)
        try:
            stopped = await self._stop_lane(lane, fault)
        except asyncio.CancelledError:
            self._commit.put(entry)
            raise
        if (note := lane.trouble(fault)) is not None:
            self._say(note)
        spared = lane.is_to_blame
        used_up = job.attempt >= self._config.max_retries and not spared
        is_last = not stopped and (not fault.passing or used_up)
        self._commit.put(entry, (job, Outcome(job.key, fault=fault)) if is_last else None)
        if is_last:
            self._finished += 1
            self._counts.failed += 1
            lane.failures_in_row += 1
            done = (self._counts.failed, self._finished)
            if why := reason_to_stop(lane, fault, *done, self._config, self._pace):
                self._fail_all(TeacherError(why))
            return
        wait_seconds = 0.0
        if not stopped:
            wait_seconds = self._pace.wait_seconds(job.backoffs, fault.retry_after, self._jitter)
            job.attempt += not spared
            job.backoffs += fault.retry_after is None
            self._counts.retried += 1
        if not job.call.closed:
            self._rest(job, wait_seconds)

    def _rest(self, job: Job, seconds: float) -> None:
        """Let a job come in again after a while; it holds no slot meanwhile."""

        def come_in() -> None:
            job.call.resting.discard(timer)
            self._incoming.appendleft(job)
            self._admit()

        timer = self._loop.call_later(seconds, come_in)
        job.call.resting.add(timer)

    def _reserve(self, job: Job) -> bool:
        """Set the worst case aside; False where the job has to wait, or can't leave any more."""
        if not self._counts_money:
            return True
        # Nobody knows yet which lane it takes.
        costs = [lane.price.worst_case(job.request) for lane in self.lanes]
        job.worst_case = max(costs)
        if self._budget.reserve(job.worst_case):
            return True
        why = self._budget.why_stopped(job.worst_case)
        if why is not None:
            self._fail_all(BudgetError(why))
        return False

    def _withdraw(self, job: Job) -> None:
        if self._counts_money:
            self._budget.settle(job.worst_case, Cost(0, 0))
        self._commit.put(Withdrawn(job.key))

    def _on_written(self, group: Sequence[Noted], written: Written) -> None:
        """Hand out what is on disk; runs in the ledger's thread."""
        noted, ended = [], []
        done: dict[Call, list[Outcome]] = {}
        for entry, tag in group:
            if isinstance(entry, Started):
                noted.append(tag)
            elif tag is not None:
                job, outcome = tag
                earlier = written.earlier.get(job.key)
                if earlier is not None and outcome.completion is not None:
                    outcome = Outcome(job.key, text=earlier)
                done.setdefault(job.call, []).append(outcome)
                ended.append(outcome)
        # First, so that what the caller asks next finds the way clear.
        self._loop.call_soon_threadsafe(self._on_noted, noted, ended, len(written.interrupted))
        for call, outcomes in done.items():
            call.outcomes.put(outcomes)

    def _on_noted(self, jobs: Sequence[Job], ended: Sequence[Outcome], asked_again: int) -> None:
        self._under_way.end(ended)
        self._noting -= len(jobs)
        self._counts.asked_again += asked_again
        self._ready.extend(jobs)
        self._fill()

    def _on_unwritten(self, group: Sequence[Noted], error: BaseException) -> None:
        """End everything when the ledger can't be written; runs in the ledger's thread."""
        jobs = [noted.tag for noted in group if isinstance(noted.entry, Started)]

        def fail() -> None:
            self._noting -= len(jobs)
            if self._counts_money:
                for job in jobs:
                    self._budget.settle(job.worst_case, Cost(0, 0))
            self._fail_all(error)

        self._loop.call_soon_threadsafe(fail)

    async def _written(self) -> None:
        """Return when all that was handed to the ledger, and what followed from it, is on disk."""
        for _ in range(2):
            done = asyncio.Event()
            self._commit.after(partial(self._loop.call_soon_threadsafe, done.set))
            await done.wait()
            self._fill()

    async def _stop_lane(self, lane: Lane, fault: Fault) -> bool:
        """Close a lane whose fault is fatal to it; True if the request may try another one."""
        if lane.closed is not None:
            return True
        # Nothing more leaves while we look for what to say.
        lane.closed, lane.closing = fault.stop, True
        try:
            lane.closed = await lane.find_stop(fault)
        finally:
            lane.closing = False
            self._stop_if_closed()
        if lane.closed is None:
            return False
        if any(other.closed is None for other in self.lanes):
            self._say(f"one endpoint is left out from here on: {lane.closed}")
        return True

    def _stop_if_closed(self) -> None:
        stops = dict.fromkeys(lane.closed for lane in self.lanes)
        if None not in stops and not any(lane.closing for lane in self.lanes):
            self._fail_all(TeacherError("; ".join(map(str, stops))))

    def _fail_all(self, error: BaseException) -> None:
        for call in self._calls:
            call.fail(error)
        self._fill()
