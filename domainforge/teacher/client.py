"""The teacher as stages see it: ask requests lazily, get replies as they come, pay once."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from domainforge.errors import TeacherError
from domainforge.teacher.budget import Budget
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.engine import Engine
from domainforge.teacher.fault import Fault
from domainforge.teacher.garbage import Garbage
from domainforge.teacher.jobs import Call, Counts, Job, Outcome
from domainforge.teacher.lane import open_lane
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.pace import Pace
from domainforge.teacher.prices import Cost, Price
from domainforge.teacher.privacy import Gate, GateCounts, Withheld
from domainforge.teacher.request import (
    Reply,
    Request,
    classify,
    request_key,
    request_text,
    text_key,
    usage_of,
)
from domainforge.teacher.shared import Shared

if TYPE_CHECKING:
    from domainforge.teacher.batch.engine import BatchEngine
    from domainforge.teacher.batch.terms import BatchTerms

T = TypeVar("T")
_LOOKUP_REQUESTS = 64
_TAKING_SECONDS = 0.002


class Teacher:
    """Asks one model, through a ledger.

    Nothing is started or sent before the first request that the ledger can't answer.

    Attributes:
        identity: Who answers, as it enters the ledger's keys.
        account: Whose spending it is: the run's name.
        form: Whether prompts are chats or texts to continue.
        supports_schema: Whether `Request.schema` is enforced by the endpoint. Where it is not, the
            caller describes the wanted shape in the prompt.
        counts: What was done so far in this session.
        budget: What the account has spent, and its caps.
        gate_counts: What the privacy gate found.
    """

    def __init__(
        self,
        identity: str,
        account: str,
        config: TeacherConfig,
        ledger: Ledger,
        connect: Callable[[], Sequence[tuple[Endpoint, Price]]],
        pace: Pace,
        say: Callable[[str], None],
        gate: Gate,
        terms: "BatchTerms | None" = None,
    ) -> None:
        """Prepare; `connect` is called once, when the first request has to leave."""
        self.identity = identity
        self.account = account
        self.form: Literal["chat", "completion"] = config.resolved_form
        self.supports_schema = False
        self.counts = Counts()
        spent = ledger.spent(account)
        self.budget = Budget(config.budget, Cost(spent.nano_usd, spent.tokens))
        self._config = config
        self._ledger = ledger
        self._connect = connect
        self._pace = pace
        self._say = say
        self._gate = gate
        self._terms = terms
        self.gate_counts = GateCounts()
        self._line: _Line | None = None
        self._opening = threading.Lock()
        self._calls: set[Call] = set()
        has_batches = bool(ledger.read("SELECT 1 FROM batch_requests LIMIT 1"))
        self._minds_batches = has_batches and not config.batch

    def key(self, request: Request) -> str:
        """Return the request's key in the ledger; it names what the privacy gate lets out."""
        return request_key(self.identity, self._gate.check(request).request)

    def known(self, request: Request) -> bool:
        """Tell whether the ledger holds the reply, so that asking costs nothing."""
        return self._ledger.has(self.key(request))

    def fence(self, chunk_id: str) -> str:
        """Return the marker for a chunk's passage in a prompt."""
        return self._ledger.fence(chunk_id)

    def ask(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Yield a reply for each request, in order of completion.

        Requests are taken as slots become free, at most twice the concurrency ahead, and in the
        caller's own thread. A reply is in the ledger before it is yielded. Identical requests are
        asked once. When the caller stops early, or an error ends the call, nothing more leaves
        and what is in flight gets a moment to arrive and be kept.

        Raises:
            TeacherError: No request can succeed: key, model, quota, endpoint down.
            BudgetError: A cap is reached.
            StorageError: The ledger can't be written.
        """
        call, source = Call(), iter(requests)
        waiting: dict[str, list[Request]] = {}
        pending, exhausted = 0, False
        asker = threading.current_thread()
        self._calls.add(call)
        try:
            while waiting or not exhausted:
                is_full = False
                while not exhausted and call.outcomes.empty():
                    window = self._window()
                    room = min(window - pending, _LOOKUP_REQUESTS)
                    # Refilled a good part at a time: looking up one key costs as much as ten.
                    is_full = room < max(1, min(window // 4, _LOOKUP_REQUESTS))
                    if is_full:
                        break
                    taken = _take(source, room if waiting else 1)
                    exhausted = not taken
                    replies, jobs = self._look_up(taken, waiting, call)
                    pending += len(taken) - len(replies)
                    if jobs:
                        self._submit(jobs)
                    yield from replies
                if not waiting:
                    continue
                line = self._line
                if (is_full or exhausted) and line is not None:
                    line.post(line.engine.flush)
                for outcome in call.outcomes.get():
                    if outcome.error is not None:
                        raise outcome.error
                    answered = waiting.pop(outcome.key)
                    pending -= len(answered)
                    for number, request in enumerate(answered):
                        yield self._reply(request, outcome, replayed=number > 0)
        finally:
            self._calls.discard(call)
            line = self._line
            if line is not None and not waiting:
                line.post(lambda: line.engine.forget(call))
            elif line is not None:
                # A forgotten generator can be collected in any thread, that of the ledger too.
                wait = threading.current_thread() is asker
                if wait:
                    self._tell_wait()
                line.finish(call, self._pace.grace_seconds, wait=wait)

    def activity(self) -> dict[str, Any]:
        """Return what goes on now, for a live view: in flight, resting, repeated, and faults."""
        if self._line is None:
            return {}
        in_flight, resting = self._line.engine.activity
        return {
            "in_flight": in_flight,
            "resting": resting,
            "retried": self.counts.retried,
            "faults": dict(self.counts.faults),
        }

    def exchange(self, request: Request, *, with_schema: bool = False) -> dict[str, Any]:
        """Send a request past the ledger and return the raw completion (probes, speed checks).

        Raises:
            Fault: No completion came, retries included.
            TeacherError: No request can succeed.
        """
        line = self._open_line()
        return line.run(line.engine.exchange(request, with_schema=with_schema)).completion

    def list_models(self) -> tuple[str, ...] | None:
        """Return the models that the endpoint lists, or None where it has no such list."""
        line = self._open_line()
        return line.run(line.engine.lanes[0].transport.list_models())

    def close(self) -> None:
        """End what is under way and close the connections; asking again opens new ones."""
        with self._opening:
            line, self._line = self._line, None
            # They are told of the end; what their sources still give opens nothing again.
            calls = tuple(self._calls) if line is not None else ()
            self._calls.difference_update(calls)
        if line is not None:
            line.close(calls)

    def _tell_wait(self) -> None:
        in_flight = self.activity().get("in_flight", 0)
        if in_flight:
            most = self._pace.grace_seconds
            self._say(f"waiting up to {most:g} s for {in_flight} requests in flight, to keep them")

    def _window(self) -> int:
        return self._line.engine.window if self._line else 2

    def _open_line(self) -> "_Line":
        with self._opening:
            return self._line or self._make_line()

    def _make_line(self) -> "_Line":
        if self._line is None:
            endpoints = self._connect()
            self._line = _Line(lambda: self._build_engine(endpoints))
        return self._line

    def _build_engine(self, endpoints: Sequence[tuple[Endpoint, Price]]) -> "Engine | BatchEngine":
        lanes = [open_lane(endpoint, price, self._config) for endpoint, price in endpoints]
        shared = Shared(
            self.identity,
            self.account,
            self._config,
            self._ledger,
            self._pace,
            self.counts,
            self.budget,
            self._say,
        )
        live = Engine(lanes, shared)
        if not self._config.batch:
            return live
        from domainforge.teacher.batch.engine import BatchEngine

        return BatchEngine(live, shared, self._terms)

    def _look_up(
        self, requests: Sequence[Request], waiting: dict[str, list[Request]], call: Call
    ) -> tuple[list[Reply], list[Job]]:
        """Tell apart what may not leave, what the ledger answers and what has to be asked."""
        replies, jobs = [], []
        passed = []
        for request in requests:
            checked = self._gate.check(request)
            self.gate_counts.add(checked)
            if isinstance(checked, Withheld):
                replies.append(self._withhold(checked))
            else:
                passed.append(checked.request)
        texts = [request_text(request) for request in passed]
        keys = [text_key(self.identity, text) for text in texts]
        stored = self._ledger.get_many(keys) if keys else {}
        for request, key, text in zip(passed, keys, texts, strict=True):
            if key in waiting:
                waiting[key].append(request)
            elif key in stored:
                replies.append(self._reply(request, Outcome(key, text=stored[key]), replayed=True))
            else:
                waiting[key] = [request]
                jobs.append(Job(request, key, text, call, self.supports_schema))
        if jobs and self._minds_batches:
            self._refuse_what_is_in_batches([job.key for job in jobs])
        return replies, jobs

    def _refuse_what_is_in_batches(self, keys: Sequence[str]) -> None:
        held = self._ledger.in_open_batches(keys)
        if held:
            raise TeacherError(
                f"teacher.batch: {held:,} of the next {len(keys):,} requests are in a batch at the "
                "provider, which will bill it; run with `--set teacher.batch=true` to fetch its "
                "replies (or cancel it there first: `domainforge ledger stats` names it), so that "
                "nothing is paid for twice"
            )

    def _submit(self, jobs: Sequence[Job]) -> None:
        with self._opening:
            # `close` has told a call that is not there any more.
            line = self._make_line() if jobs[0].call in self._calls else None
        if line is not None:
            line.post(lambda: line.engine.submit(jobs))

    def _withhold(self, found: Withheld) -> Reply:
        self.counts.statuses["withheld"] += 1
        return Reply(found.request, "", "withheld", "", None, 0, 0, found.detail, replayed=False)

    def _reply(self, request: Request, outcome: Outcome, *, replayed: bool) -> Reply:
        import orjson

        fault, completion = outcome.fault, outcome.completion
        if completion is None and outcome.text is not None:
            try:
                completion = orjson.loads(outcome.text)
            except orjson.JSONDecodeError:
                # NaN, and numbers that no float holds, are JSON to Python alone.
                completion = json.loads(outcome.text)
        if completion is None:
            detail = f"{fault.kind}: {fault.detail}" if isinstance(fault, Fault) else ""
            reply = Reply(request, outcome.key, "failed", "", None, 0, 0, detail, replayed=False)
        else:
            reading, usage = classify(completion), usage_of(completion)
            status, text, finish, detail = reading
            reply = Reply(request, outcome.key, status, text, finish, *usage, detail, replayed)
            self.counts.replayed += replayed
        self.counts.statuses[reply.status] += 1
        return reply


def _take(source: Iterator[Request], most: int) -> list[Request]:
    """Take requests, but don't let those at hand wait for a source that is slow."""
    taken, until = [], time.monotonic() + _TAKING_SECONDS
    for request in source:
        taken.append(request)
        if len(taken) == most or time.monotonic() > until:
            break
    return taken


class _Line:
    """An event loop in a thread of its own, with the engine that lives there."""

    def __init__(self, build: "Callable[[], Engine | BatchEngine]") -> None:
        # Every reply makes hundreds of objects that are soon gone. Looking for cycles among them
        # as often as usual costs 10 % of the throughput at 256 in flight.
        Garbage.look_less()
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="teacher", daemon=True)
        self._thread.start()
        try:
            self.engine = self.run(_build_in_loop(build))
        except BaseException:
            self._end()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; only the caller waits."""
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    def post(self, act: Callable[[], None]) -> None:
        """Run a function in the loop, some time soon."""
        # Another thread may have closed it meanwhile, and has told its calls.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)

    def finish(self, call: Call, grace_seconds: float, *, wait: bool = True) -> None:
        """End a call and wait for it."""
        work = asyncio.run_coroutine_threadsafe(self.engine.finish(call, grace_seconds), self._loop)
        if wait:
            work.result()

    def close(self, calls: Iterable[Call]) -> None:
        """End the calls, bring what arrived to the disk, end the thread."""
        try:
            for call in calls:
                self.post(partial(call.fail, TeacherError("the teacher was closed meanwhile")))
                self.finish(call, 0)
            self.run(self.engine.close())
        finally:
            self._end()

    def _end(self) -> None:
        Garbage.look_again()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


async def _build_in_loop(build: "Callable[[], Engine | BatchEngine]") -> "Engine | BatchEngine":
    return build()
