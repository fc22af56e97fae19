"""Requests beside the queues (does it hold schemas, how fast is it), paid like all others."""

import asyncio
from collections.abc import Sequence
from random import Random

from domainforge.errors import BudgetError, TeacherError
from domainforge.teacher.budget import Budget
from domainforge.teacher.commit import GroupCommit
from domainforge.teacher.fault import Fault
from domainforge.teacher.lane import Lane
from domainforge.teacher.ledger import Charged
from domainforge.teacher.prices import Cost
from domainforge.teacher.request import Answer, Request, cached_tokens_of, usage_of
from domainforge.teacher.shared import Shared

_CONNECTION_RETRIES = 2


class Till:
    """Reserves and settles what probes cost."""

    def __init__(self, budget: Budget, commit: GroupCommit, account: str) -> None:
        """Use that budget, and note charges through that commit."""
        self._budget = budget
        self._commit = commit
        self._account = account

    def reserve(self, cost: Cost) -> None:
        """Set the worst case aside.

        Raises:
            BudgetError: It doesn't fit.
        """
        if not self._budget.reserve(cost):
            why = self._budget.why_stopped(cost)
            raise BudgetError(why or "teacher.budget: what is in flight leaves no room for a probe")

    def settle(self, reserved: Cost, actual: Cost) -> None:
        """Charge what it really cost."""
        self._budget.settle(reserved, actual)
        self._commit.put(Charged(self._account, *actual))


class Prober:
    """Sends single requests that nobody remembers, at one lane after another until one answers."""

    def __init__(self, lanes: Sequence[Lane], shared: Shared, till: Till | None) -> None:
        """Prepare; `till` is None where nothing costs."""
        self._lanes = lanes
        self._config = shared.config
        self._pace = shared.pace
        self._say = shared.say
        self._till = till
        self._jitter = Random()

    async def send(self, request: Request, *, with_schema: bool) -> Answer:
        """Send a request, with retries.

        A refused connection is retried but twice: who opens a teacher wants to know soon. An
        endpoint that can't be used is passed over where there is another.

        Raises:
            Fault: The retries are used up.
            TeacherError: No request can succeed.
            BudgetError: It may cost more than is left.
        """
        for lane in self._lanes[:-1]:
            try:
                return await self._send(lane, request, with_schema=with_schema)
            except TeacherError as error:
                lane.closed = str(error)
                self._say(f"one endpoint is left out from here on: {error}")
            except Fault as fault:
                if not fault.passing:
                    raise
                self._say(f"one endpoint can't be used now: {lane.name}: {fault}")
        return await self._send(self._lanes[-1], request, with_schema=with_schema)

    async def _send(self, lane: Lane, request: Request, *, with_schema: bool) -> Answer:
        attempt = 0
        while True:
            try:
                return await self._send_once(lane, request, with_schema=with_schema)
            except Fault as fault:
                stop = await lane.find_stop(fault)
                if stop is not None:
                    raise TeacherError(stop) from fault
                most = self._config.max_retries
                if fault.kind == "connection":
                    most = min(most, _CONNECTION_RETRIES)
                if not fault.passing or attempt == most:
                    raise
                wait_seconds = self._pace.wait_seconds(attempt, fault.retry_after, self._jitter)
                await asyncio.sleep(wait_seconds)
                attempt += 1

    async def _send_once(self, lane: Lane, request: Request, *, with_schema: bool) -> Answer:
        if self._till is None:
            return await lane.send(request, with_schema=with_schema)
        worst = lane.price.worst_case(request)
        self._till.reserve(worst)
        # Whatever ends it, it may have been billed, unless the endpoint said otherwise.
        actual = worst
        try:
            answer = await lane.send(request, with_schema=with_schema)
            cached = cached_tokens_of(answer.completion)
            actual = lane.price.billed(usage_of(answer.completion), worst, cached)
            return answer
        except Fault as fault:
            if not fault.may_be_billed:
                actual = Cost(0, 0)
            raise
        finally:
            self._till.settle(worst, actual)
