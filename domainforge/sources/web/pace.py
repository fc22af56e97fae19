"""Ask many URLs politely: one request at a time per host with pauses, several hosts at once."""

import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

from urllib3 import HTTPHeaderDict

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.addresses import check_url
from domainforge.sources.web.connection import Switch
from domainforge.sources.web.fetch import MAX_REDIRECTS, Reply, fetch, fetch_once, status_error
from domainforge.sources.web.request import Access, FetchError
from domainforge.sources.web.robots import MAX_ROBOTS_BYTES, Rules, read_rules
from domainforge.sources.web.urls import host_of

Outcome = Reply | UnreadableError
Wanted = Callable[[HTTPHeaderDict], bool]

_MAX_TRIES = 3
# Failures in a row, each after all its tries, until a host is left alone.
_MAX_FAILURES = 5
_MAX_WAIT_SECONDS = 120.0
_AHEAD = 2


@dataclass(frozen=True)
class Ask:
    """One URL to ask.

    Attributes:
        named: The user named this very file, so that robots.txt has no say (a sitemap, a feed).
    """

    url: str
    max_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    wanted: Wanted | None = None
    named: bool = False


@dataclass
class _Job:
    number: int
    ask: Ask
    origin: str
    tries: int = 0


@dataclass
class _Host:
    """How we stand with a host."""

    delay: float
    ready: float = 0.0
    busy: bool = False
    failures: int = 0
    given_up: UnreadableError | None = None
    waiting: deque[_Job] = field(default_factory=deque)


class Pace:
    """Sends requests for one source; use as a context, which ends them all when left."""

    def __init__(self, access: Access, seconds_per_request: float, hosts_at_once: int) -> None:
        """Send nothing yet."""
        self._access = replace(access, switch=Switch())
        self._delay = seconds_per_request
        self._at_once = hosts_at_once
        self._hosts: dict[str, _Host] = {}
        self._rules: dict[str, Rules] = {}
        self._pool = ThreadPoolExecutor(hosts_at_once, thread_name_prefix="web")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cut what is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._access.switch.cut()
        self._pool.shutdown(wait=True)

    def ask_all(self, asks: Iterable[Ask]) -> Generator[Outcome, None, None]:
        """Ask all URLs and give the outcomes in the same order, as soon as each is there.

        Redirects are outcomes, not followed. A reply of status 429, 503 or the like comes only
        after several tries.
        """
        outcomes: dict[int, Outcome] = {}
        flying: dict[Future[Outcome], _Job | str] = {}
        jobs = [self._job(number, ask, outcomes) for number, ask in enumerate(asks)]
        given = 0
        try:
            while given < len(jobs):
                pause = self._start(flying, given + _AHEAD * self._at_once, outcomes)
                if given in outcomes:
                    yield outcomes.pop(given)
                    given += 1
                elif flying:
                    for future in wait(flying, pause, FIRST_COMPLETED).done:
                        self._land(flying.pop(future), future.result(), outcomes)
                else:
                    time.sleep(pause or 0.0)
        finally:
            for host in self._hosts.values():
                host.waiting.clear()
                host.busy = False

    def get(self, url: str, max_bytes: int) -> Reply:
        """Ask one URL that the user named, and follow its redirects.

        Raises:
            UnreadableError: It gave nothing.
        """
        for _ in range(MAX_REDIRECTS + 1):
            (outcome,) = self.ask_all([Ask(url, max_bytes, named=True)])
            if isinstance(outcome, UnreadableError):
                raise outcome
            if outcome.location is None:
                if outcome.status != 200:
                    raise status_error(outcome)
                return outcome
            url = outcome.location
        raise FetchError("redirects", f"more than {MAX_REDIRECTS} redirects")

    def _job(self, number: int, ask: Ask, outcomes: dict[int, Outcome]) -> _Job:
        try:
            origin = check_url(ask.url, self._access.allow_hosts).origin
        except UnreadableError as error:
            outcomes[number] = error
            return _Job(number, ask, "")
        job = _Job(number, ask, origin)
        self._hosts.setdefault(host_of(ask.url), _Host(self._delay)).waiting.append(job)
        return job

    def _start(
        self, flying: dict[Future[Outcome], _Job | str], end: int, outcomes: dict[int, Outcome]
    ) -> float | None:
        """Start what may start now; return the seconds until the next may, None if none waits."""
        now = time.monotonic()
        pause: float | None = None
        heads = [host for host in self._hosts.values() if host.waiting and not host.busy]
        for host in sorted(heads, key=lambda host: host.waiting[0].number):
            while host.waiting and not host.busy and self._settle(host, outcomes):
                host.waiting.popleft()
            if not host.waiting or host.waiting[0].number >= end:
                continue
            if host.ready > now:
                pause = min(host.ready - now, pause or _MAX_WAIT_SECONDS)
            elif len(flying) < self._at_once:
                host.busy = True
                job = host.waiting[0]
                if not job.ask.named and job.origin not in self._rules:
                    flying[self._pool.submit(self._fetch_robots, job.origin)] = job.origin
                else:
                    host.waiting.popleft()
                    flying[self._pool.submit(self._fetch, job.ask)] = job
        return pause

    def _settle(self, host: _Host, outcomes: dict[int, Outcome]) -> bool:
        """Settle the next job of a host without asking, if that can be."""
        job = host.waiting[0]
        if host.given_up is not None:
            outcomes[job.number] = host.given_up
            return True
        rules = self._rules.get(job.origin)
        if rules is None or job.ask.named:
            return False
        try:
            rules.check(job.ask.url)
        except UnreadableError as error:
            outcomes[job.number] = error
            return True
        return False

    def _land(self, job: _Job | str, outcome: Outcome, outcomes: dict[int, Outcome]) -> None:
        """Take note of what came, and decide on another try."""
        host = self._hosts[host_of(job if isinstance(job, str) else job.ask.url)]
        host.busy = False
        host.ready = time.monotonic() + host.delay
        asked = _asked_to_wait(outcome)
        temporary = _is_temporary(outcome)
        if isinstance(job, str):
            job = _Job(-1, Ask(job, 0), job, tries=host.waiting[0].tries)
        if temporary and asked > _MAX_WAIT_SECONDS:
            detail = f"it asked to come back in {asked:.0f} seconds"
            host.given_up = UnreadableError("host_given_up", detail)
        elif temporary and job.tries + 1 < _MAX_TRIES:
            host.ready = time.monotonic() + max(asked, host.delay * 2 ** (job.tries + 1))
            if job.number < 0:
                host.waiting[0].tries += 1
            else:
                job.tries += 1
                host.waiting.appendleft(job)
            return
        if job.number < 0:
            host.waiting[0].tries = 0
            self._learn(job.origin, host, outcome)
            return
        host.failures = host.failures + 1 if temporary else 0
        if host.failures >= _MAX_FAILURES and host.given_up is None:
            last = outcome if isinstance(outcome, UnreadableError) else status_error(outcome)
            detail = f"{host.failures} requests in a row failed, the last with {last}"
            host.given_up = UnreadableError("host_given_up", detail)
        outcomes[job.number] = outcome

    def _learn(self, origin: str, host: _Host, outcome: Outcome) -> None:
        rules = read_rules(outcome, self._access.user_agent)
        self._rules[origin] = rules
        if rules.delay_seconds > _MAX_WAIT_SECONDS:
            detail = f"robots.txt asks for {rules.delay_seconds:.0f} seconds between requests"
            host.given_up = UnreadableError("crawl_delay", detail)
            return
        host.delay = max(host.delay, rules.delay_seconds)
        host.ready = time.monotonic() + host.delay

    def _fetch(self, ask: Ask) -> Outcome:
        try:
            return fetch_once(
                ask.url,
                self._access,
                max_bytes=ask.max_bytes,
                headers=ask.headers,
                wanted=ask.wanted,
            )
        except UnreadableError as error:
            return error

    def _fetch_robots(self, origin: str) -> Outcome:
        try:
            return fetch(f"{origin}/robots.txt", self._access, max_bytes=MAX_ROBOTS_BYTES)
        except UnreadableError as error:
            return error


def _is_temporary(outcome: Outcome) -> bool:
    if isinstance(outcome, UnreadableError):
        return isinstance(outcome, FetchError) and outcome.temporary
    return outcome.status in (408, 425, 429) or outcome.status >= 500


def _asked_to_wait(outcome: Outcome) -> float:
    """Return the seconds of a Retry-After, given as a number or a date."""
    text = "" if isinstance(outcome, UnreadableError) else outcome.headers.get("retry-after", "")
    if re.fullmatch(r"\s*\d{1,9}\s*", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
