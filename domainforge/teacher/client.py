"""The teacher as stages see it: ask requests lazily, get replies as they come, pay once."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Literal, TypeVar

from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.engine import Call, Counts, Engine, Outcome
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.pace import Pace
from domainforge.teacher.request import Reply, Request, classify, request_key, usage_of
from domainforge.teacher.transport import request_body

T = TypeVar("T")


class Teacher:
    """Asks one model, through a ledger.

    Nothing is started or sent before the first request that the ledger can't answer.

    Attributes:
        identity: Who answers, as it enters the ledger's keys.
        form: Whether prompts are chats or texts to continue.
        supports_schema: Whether `Request.schema` is enforced by the endpoint. Where it is not, the
            caller describes the wanted shape in the prompt.
        counts: What was done so far in this session.
    """

    def __init__(
        self,
        identity: str,
        config: TeacherConfig,
        ledger: Ledger,
        connect: Callable[[], Endpoint],
        pace: Pace,
    ) -> None:
        """Prepare; `connect` is called once, when the first request has to leave."""
        self.identity = identity
        self.form: Literal["chat", "completion"] = config.resolved_form
        self.supports_schema = False
        self.counts = Counts()
        self._config = config
        self._ledger = ledger
        self._connect = connect
        self._pace = pace
        self._line: _Line | None = None
        self._calls: set[Call] = set()

    def key(self, request: Request) -> str:
        """Return the request's key in the ledger."""
        return request_key(self.identity, request)

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
            StorageError: The ledger can't be written.
        """
        call, source, waiting = Call(), iter(requests), dict[str, list[Request]]()
        ahead, pending, exhausted = 2 * self._config.slots, 0, False
        self._calls.add(call)
        try:
            while waiting or not exhausted:
                while not exhausted and pending < ahead and call.outcomes.empty():
                    request = next(source, None)
                    if request is None:
                        exhausted = True
                        break
                    key = self.key(request)
                    if key not in waiting and (stored := self._ledger.get(key)) is not None:
                        yield self._reply(request, Outcome(key, response=stored), replayed=True)
                        continue
                    pending += 1
                    waiting.setdefault(key, []).append(request)
                    if len(waiting[key]) == 1:
                        self._submit(request, key, call)
                if not waiting:
                    continue
                outcome = call.outcomes.get()
                if outcome.error is not None:
                    raise outcome.error
                answered = waiting.pop(outcome.key)
                pending -= len(answered)
                for number, request in enumerate(answered):
                    yield self._reply(request, outcome, replayed=number > 0)
        finally:
            self._calls.discard(call)
            if waiting and self._line is not None:
                self._line.finish(call, self._pace.grace_seconds)

    def exchange(self, request: Request, *, with_schema: bool = False) -> dict[str, Any]:
        """Send a request past the ledger and return the raw completion (probes, speed checks).

        Raises:
            Fault: No completion came, retries included.
            TeacherError: No request can succeed.
        """
        line = self._open_line()
        return line.run(line.engine.exchange(request_body(request, line.endpoint, with_schema)))

    def list_models(self) -> tuple[str, ...] | None:
        """Return the models that the endpoint lists, or None where it has no such list."""
        line = self._open_line()
        return line.run(line.engine.transport.list_models())

    def close(self) -> None:
        """End what is under way and close the connections; asking again opens new ones."""
        line, self._line = self._line, None
        if line is not None:
            line.close(self._calls)

    def _open_line(self) -> "_Line":
        if self._line is None:
            endpoint = self._connect()
            self._line = _Line(
                endpoint,
                lambda: Engine(
                    endpoint, self.identity, self._config, self._ledger, self._pace, self.counts
                ),
            )
        return self._line

    def _submit(self, request: Request, key: str, call: Call) -> None:
        line = self._open_line()
        schema = self.supports_schema
        line.post(lambda: call.start(line.engine.answer(request, key, schema, call)))

    def _reply(self, request: Request, outcome: Outcome, *, replayed: bool) -> Reply:
        if outcome.response is None:
            fault = outcome.fault
            detail = f"{fault.kind}: {fault.detail}" if fault else ""
            reply = Reply(request, outcome.key, "failed", "", None, 0, 0, detail, replayed=False)
        else:
            reading, usage = classify(outcome.response), usage_of(outcome.response)
            status, text, finish, detail = reading
            reply = Reply(request, outcome.key, status, text, finish, *usage, detail, replayed)
            self.counts.replayed += replayed
        self.counts.statuses[reply.status] += 1
        return reply


class _Line:
    """An event loop in a thread of its own, with the engine that lives there."""

    def __init__(self, endpoint: Endpoint, build: Callable[[], Engine]) -> None:
        self.endpoint = endpoint
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="teacher", daemon=True)
        self._thread.start()
        self.engine = self.run(_build_in_loop(build))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; only the caller waits."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def post(self, act: Callable[[], None]) -> None:
        """Run a function in the loop, some time soon."""
        self._loop.call_soon_threadsafe(act)

    def finish(self, call: Call, grace_seconds: float) -> None:
        """End a call and wait for it."""
        work = asyncio.run_coroutine_threadsafe(call.finish(grace_seconds), self._loop)
        # A forgotten generator can be collected in the loop's thread, which must not wait.
        if threading.current_thread() is not self._thread:
            work.result()

    def close(self, calls: Iterable[Call]) -> None:
        """End the calls, bring what arrived to the disk, end the thread."""
        try:
            for call in calls:
                self.finish(call, 0)
            self.run(self.engine.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


async def _build_in_loop(build: Callable[[], Engine]) -> Engine:
    return build()
