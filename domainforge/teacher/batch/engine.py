"""The engine's door for batch mode: gathers requests, hands them over, keeps to the budget."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from domainforge.errors import BudgetError, TeacherError
from domainforge.teacher.batch.journal import open_costs
from domainforge.teacher.batch.runner import BatchDesk
from domainforge.teacher.batch.terms import AHEAD_REQUESTS, BatchProgress, BatchTerms, Done
from domainforge.teacher.dialect import USUAL
from domainforge.teacher.engine import Engine
from domainforge.teacher.fault import Fault
from domainforge.teacher.jobs import Call, Job, Outcome
from domainforge.teacher.lane import Lane
from domainforge.teacher.prices import Cost
from domainforge.teacher.request import Answer, Request, usage_of
from domainforge.teacher.shared import Shared

_OPEN_BATCHES = (
    "teacher.budget: batches of an earlier session are still open, and what they may cost leaves "
    "no room under the cap; run the same command when they have ended, or raise the cap"
)
# Less than this part of what waits isn't worth a batch of its own.
_SMALLEST_SHARE = 0.1


class BatchEngine:
    """Answers jobs as `Engine` does, through a Batch API; probes go the live way.

    Attributes:
        live: The engine for probes.
    """

    def __init__(self, live: Engine, shared: Shared, terms: BatchTerms | None = None) -> None:
        """Take up what earlier sessions left open; nothing is sent yet."""
        self.live = live
        lane = live.lanes[0]
        self._price = lane.price.for_batch()
        self._counts = shared.counts
        self._budget = shared.budget
        self._say = shared.say
        self._said: dict[int, str] = {}
        self._most = (terms or BatchTerms()).max_requests
        self._desk = BatchDesk(
            lane.endpoint,
            shared.identity,
            shared.config,
            shared.ledger,
            shared.pace,
            lane.price,
            shared.account,
            terms,
            self._tell_progress,
            lambda: lane.dialect,
        )
        # They may be billed whether anyone asks for them again or not.
        self._find_open = partial(open_costs, shared.ledger, shared.identity, shared.account)
        self._open = self._find_open()
        for cost in self._open.values():
            self._budget.owe(cost)
        self._knows_dialect = lane.dialect != USUAL
        self._held: list[Job] = []
        self._gathered: list[Job] = []
        self._work: dict[asyncio.Task[None], Call] = {}

    @property
    def lanes(self) -> list[Lane]:
        """The live engine's lanes."""
        return self.live.lanes

    @property
    def activity(self) -> tuple[int, int]:
        """Nothing: what is at the provider stays there, whatever happens here."""
        return 0, 0

    @property
    def window(self) -> int:
        """Requests that may be taken in ahead."""
        return AHEAD_REQUESTS

    async def exchange(self, request: Request, *, with_schema: bool) -> Answer:
        """Send a probe, at once and not as a batch."""
        return await self.live.exchange(request, with_schema=with_schema)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take jobs in; a full batch of them is handed over at once."""
        self._held += jobs
        self._reserve()
        if len(self._gathered) >= self._most:
            self.flush()

    def forget(self, call: Call) -> None:
        """Nothing is kept of a call that is over."""

    def flush(self) -> None:
        """Hand over what is gathered: nothing more comes before some of it is answered."""
        part, self._gathered = self._gathered, []
        self._give_back([job for job in part if job.call.closed])
        jobs = [job for job in part if not job.call.closed]
        for call in {job.call for job in jobs}:
            own = {job.key: job for job in jobs if job.call is call}
            task = asyncio.get_running_loop().create_task(self._answer(call, own))
            self._work[task] = call
            task.add_done_callback(self._go_on)

    def _go_on(self, ended: asyncio.Task[None]) -> None:
        """Hand over what the budget held back, unless that has become a trickle."""
        self._work.pop(ended)
        if not self._held or self._work:
            return
        waiting = len(self._held)
        self._reserve()
        if self._held and len(self._gathered) < _SMALLEST_SHARE * waiting:
            self._stop(len(self._gathered), waiting)
        self.flush()

    def _stop(self, room: int, waiting: int) -> None:
        """End the calls: batches of a few requests would take a day each."""
        self._give_back(self._gathered)
        text = (
            f"teacher.budget: under max_usd or max_tokens there is room for {room:,} of the "
            f"{waiting:,} requests left, too few for a batch; raise the cap and run the same "
            "command again: replies so far are kept"
        )
        for call in {job.call for job in (*self._gathered, *self._held)}:
            call.fail(BudgetError(text))
        self._gathered, self._held = [], []

    async def finish(self, call: Call, grace_seconds: float) -> None:
        """Close a call; its batches go on at the provider and are fetched by the next session."""
        del grace_seconds
        call.close()
        self._held = [job for job in self._held if job.call is not call]
        self._give_back([job for job in self._gathered if job.call is call])
        self._gathered = [job for job in self._gathered if job.call is not call]
        tasks = [task for task, owner in self._work.items() if owner is call]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop following the batches, and close the connections."""
        try:
            await self._desk.close()
        finally:
            await self.live.close()

    def _reserve(self) -> None:
        while self._held:
            job = self._held[0]
            cost = self._open.pop(job.key, None)
            if cost is None:
                cost = self._price.worst_case(job.request)
                if not self._budget.reserve(cost):
                    why = self._budget.why_stopped(cost)
                    if why is None and not self._work and not self._gathered:
                        why = _OPEN_BATCHES
                    if why is not None:
                        job.call.fail(BudgetError(why))
                        self._held = [other for other in self._held if other.call is not job.call]
                    # Else the next reply that costs less than it might makes room.
                    return
            job.worst_case = cost
            self._gathered.append(self._held.pop(0))

    async def _answer(self, call: Call, jobs: dict[str, Job]) -> None:
        requests: list[tuple[str, Request]] = [(key, job.request) for key, job in jobs.items()]
        with_schema = next(iter(jobs.values())).with_schema
        self._counts.asked += len(jobs)
        try:
            if not self._knows_dialect:
                self._knows_dialect = True
                await self._learn_dialect(requests[0][1])
            await self._desk.answer(
                requests,
                with_schema,
                lambda done: self._take(jobs, done),
                lambda key: self._reserve_again(jobs[key]),
            )
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            call.fail(error)
        finally:
            self._give_back(list(jobs.values()))

    async def _learn_dialect(self, like: Request) -> None:
        """Ask one small thing at once: a batch that is refused for a setting is a day lost."""
        hello = ({"role": "user", "content": "Say hello."},)
        probe = replace(like, messages=hello, prompt=None, schema=None, max_tokens=16)
        # It is only for what it teaches; what is really wrong, the batch's own calls will say.
        with suppress(Fault, TeacherError, BudgetError):
            await self.live.exchange(probe, with_schema=False)

    def _give_back(self, jobs: Sequence[Job]) -> None:
        """Free what was set aside for jobs without an outcome, but for those in open batches."""
        handed_over = self._find_open() if jobs else {}
        for job in jobs:
            if job.key in handed_over:
                self._open[job.key] = job.worst_case
            else:
                self._budget.settle(job.worst_case, Cost(0, 0))

    def _reserve_again(self, job: Job) -> bool:
        """Set the worst case aside once more: what the first batch lost may be billed too."""
        cost = self._price.worst_case(job.request)
        if not self._budget.reserve(cost):
            return False
        before = job.worst_case
        job.worst_case = Cost(before.nano_usd + cost.nano_usd, before.tokens + cost.tokens)
        return True

    def _take(self, jobs: dict[str, Job], done: Done) -> None:
        job = jobs.pop(done.key)
        self._budget.settle(job.worst_case, Cost(done.nano_usd, done.tokens))
        self._counts.faults.update(done.faults)
        self._counts.retried += max(0, len(done.faults) - (done.fault is not None))
        self._counts.failed += done.fault is not None
        if done.fresh and done.response is not None:
            usage = usage_of(done.response)
            self._counts.prompt_tokens += usage.prompt_tokens
            self._counts.completion_tokens += usage.completion_tokens
        outcome = Outcome(done.key, completion=done.response, fault=done.fault)
        job.call.outcomes.put([outcome])

    def _tell_progress(self, progress: BatchProgress) -> None:
        """Say how a batch stands, when that has changed."""
        state = f"{progress.status} {progress.done} {progress.failed}"
        if self._said.get(progress.number) != state:
            self._said[progress.number] = state
            self._say(str(progress))
