"""Visit pages in order, each once, and make of every one what a source gives: work or a reading."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.web.fetch import MAX_REDIRECTS, Reply, status_error
from domainforge.sources.web.frontier import Frontier, Seen
from domainforge.sources.web.links import PageFacts, header_facts, read_facts
from domainforge.sources.web.media import (
    WEB_PAGE,
    charset_of,
    is_page,
    kind_of_reply,
    with_declared_charset,
)
from domainforge.sources.web.pace import Ask, Outcome, Pace
from domainforge.sources.web.request import usable_validator
from domainforge.sources.web.urls import fits, normalise, page_key, same_site
from domainforge.sources.web.visits import Visit, Visits

Piece = FileWork | Reading

_BATCH = 200
# Reasons that are the site's wish or ours; all others are faults.
_DROPPED = ("robots",)


@dataclass(frozen=True)
class Page:
    """A page to visit.

    Attributes:
        depth: Links between a start and it.
        given: What a feed knows of it.
        listed: The date of change that a sitemap gives.
        content: HTML that stands in where the page can't be had.
        via: The redirects that led to it.
    """

    url: str
    depth: int = 0
    given: Mapping[str, Any] = field(default_factory=dict)
    listed: str | None = None
    content: str = ""
    via: tuple[str, ...] = ()


@dataclass
class Trip:
    """One list of pages and what comes of it.

    Attributes:
        left: How many pages may be taken; None for all.
        frontier: Which links are followed; None for none.
        found: Links of these pages, to be visited next.
    """

    left: int | None = None
    frontier: Frontier | None = None
    found: list[Page] = field(default_factory=list)
    hops: list[Page] = field(default_factory=list)


@dataclass(frozen=True)
class Walk:
    """Visits pages for one source; all that it decides, it decides in the order of the pages."""

    config: SourceConfig
    reader: Reader
    visits: Visits
    pace: Pace
    folder: Path
    max_bytes: int
    seen: Seen = field(default_factory=Seen)
    _owners: dict[str, str] = field(default_factory=dict)

    def take(self, pages: Iterable[Page], trip: Trip) -> Iterator[Piece]:
        """Visit pages, and the pages that they lead to by redirect in their place."""
        queue = iter(pages)
        while trip.left is None or trip.left > 0:
            batch = list(islice(queue, min(_BATCH, trip.left or _BATCH)))
            if not batch:
                return
            recalled = [self._recall(page) for page in batch]
            outcomes = self.pace.ask_all(
                [self._ask(page) for page, visit in zip(batch, recalled, strict=True) if not visit]
            )
            for page, visit in zip(batch, recalled, strict=True):
                if visit is None:
                    yield from self._settle(page, next(outcomes), trip)
                else:
                    yield from self._repeat(page, visit, trip)
            outcomes.close()
            queue = chain(trip.hops, queue)
            trip.hops = []

    def _recall(self, page: Page) -> Visit | None:
        """Return an earlier visit that makes asking again needless."""
        visit = self.visits.get(page.url)
        if self.reader.done(page.url):
            return visit or Visit(page.url)
        if visit is None:
            return None
        end, steps = visit, 0
        while end.redirect and steps < MAX_REDIRECTS:
            if self.reader.done(end.redirect):
                return visit
            end, steps = self.visits.get(end.redirect) or Visit(end.redirect), steps + 1
        fresh = self._unchanged_since(page)
        return fresh if fresh and _listed_before(page, fresh) else None

    def _repeat(self, page: Page, visit: Visit, trip: Trip) -> Iterator[Piece]:
        """Do for an earlier visit what was done then, without asking."""
        if self.reader.done(page.url):
            self._follow(page, visit.links, trip)
            if visit.taken:
                self._owners.setdefault(page_key(visit.canonical or page.url), page.url)
                _count(trip)
        elif visit.redirect:
            yield from self._move(page, visit.redirect, trip)
        else:
            yield from self._take_over(page, visit, trip)

    def _unchanged_since(self, page: Page) -> Visit | None:
        """Return the visit that the last whole ingest has its document from."""
        visit = self.visits.get(page.url)
        known = self.reader.known(page.url)
        return visit if visit and visit.taken and known and visit.revision == known else None

    def _ask(self, page: Page) -> Ask:
        visit = self._unchanged_since(page)
        headers: dict[str, str] = {}
        if visit and visit.etag:
            headers["If-None-Match"] = visit.etag
        if visit and visit.modified:
            headers["If-Modified-Since"] = visit.modified
        return Ask(
            page.url,
            self.max_bytes,
            headers,
            wanted=lambda got: kind_of_reply(page.url, got.get("content-type", "")) is not None,
        )

    def _settle(self, page: Page, outcome: Outcome, trip: Trip) -> Iterator[Piece]:
        if isinstance(outcome, UnreadableError):
            yield from self._refuse(page, outcome, trip)
        elif outcome.location is not None:
            yield from self._move(page, outcome.location, trip)
        elif outcome.status == 304 and (visit := self._unchanged_since(page)):
            yield from self._take_over(page, visit, trip)
        elif outcome.status != 200:
            yield from self._refuse(page, status_error(outcome), trip)
        else:
            yield from self._read(page, outcome, trip)

    def _refuse(self, page: Page, error: UnreadableError, trip: Trip) -> Iterator[Piece]:
        if page.content:
            yield from self.take_content(page, trip)
        elif error.reason in _DROPPED:
            self.visits.put(Visit(page.url))
            yield self._drop(page, error.reason, error.detail)
        else:
            self.visits.put(Visit(page.url))
            fault = LeftOut(page.url, error.reason, error.detail)
            yield Reading(page.url, WEB_PAGE, Loaded(faults=(fault,)))

    def take_content(self, page: Page, trip: Trip) -> Iterator[Piece]:
        """Take what a feed says of a page for the page."""
        body = page.content.encode("utf-8", "replace")
        if self.reader.done(page.url):
            _count(trip)
        elif self.reader.known(page.url) == sha256(body).hexdigest():
            yield Reading(page.url, "html", revision=sha256(body).hexdigest(), unchanged=True)
        else:
            yield from self._hand_over(page, body, Visit(page.url), "html", {}, trip)

    def _drop(self, page: Page, reason: str, detail: str) -> Reading:
        dropped = LeftOut(page.url, reason, detail)
        return Reading(page.url, WEB_PAGE, Loaded(dropped=(dropped,)))

    def _move(self, page: Page, location: str, trip: Trip) -> Iterator[Piece]:
        """Put the page that a redirect leads to in the place of this one."""
        target = normalise(location)
        via = (*page.via, page.url)
        if target is None:
            error = UnreadableError("bad_url", "it redirects to something that is no web page")
            yield from self._refuse(page, error, trip)
        elif target in via or len(via) > MAX_REDIRECTS:
            why = "they lead in a circle" if target in via else f"more than {MAX_REDIRECTS}"
            error = UnreadableError("redirects", why)
            yield from self._refuse(page, error, trip)
        elif trip.frontier and page.depth and not trip.frontier.admits(target):
            self.visits.put(Visit(page.url))
            yield self._drop(page, "left_site", f"it redirects to {target}")
        elif page_key(target) != page_key(page.url) and not self.seen.add(target):
            self.visits.put(Visit(page.url, redirect=target))
            yield self._drop(page, "duplicate_url", f"it redirects to {target}")
        else:
            if trip.frontier and not page.depth:
                trip.frontier.widen(target)
            self.visits.put(Visit(page.url, redirect=target))
            trip.hops.append(replace(page, url=target, via=via))

    def _read(self, page: Page, reply: Reply, trip: Trip) -> Iterator[Piece]:
        kind = kind_of_reply(page.url, reply.headers.get("content-type", ""))
        if kind is None:
            self.visits.put(Visit(page.url))
            named = reply.media_type or "no media type"
            yield self._drop(page, "unknown_kind", f"{named[:100]}: no loader reads it")
            return
        charset = charset_of(reply.headers)
        facts = (
            read_facts(reply.body, page.url, reply.headers, charset)
            if is_page(reply.media_type)
            else header_facts(page.url, reply.headers)
        )
        visit = Visit(
            page.url,
            revision=reply.sha256,
            etag=usable_validator(reply.headers.get("etag")),
            modified=usable_validator(reply.headers.get("last-modified")),
            asked=_now(),
            canonical=_trusted_canonical(page.url, facts),
            listed=page.listed,
            links=facts.links if is_page(reply.media_type) else (),
        )
        if facts.noindex or not fits(page.url, self.config.include):
            self.visits.put(visit)
            self._follow(page, visit.links, trip)
            if facts.noindex:
                yield self._drop(page, "noindex", "the page asks not to be kept")
            else:
                yield self._drop(page, "not_included", "fits none of the source's include globs")
        elif visit.revision == self.reader.known(page.url):
            yield from self._take_over(page, visit, trip)
        else:
            body = with_declared_charset(reply.body, charset)
            yield from self._hand_over(page, body, visit, kind.name, reply.headers, trip)

    def _take_over(self, page: Page, visit: Visit, trip: Trip) -> Iterator[Piece]:
        """Report a page that is as it was."""
        self.visits.put(replace(visit, taken=True, listed=page.listed, asked=_now()))
        self._follow(page, visit.links, trip)
        if self._is_copy(page, visit):
            yield self._drop_copy(page, visit)
            return
        _count(trip)
        yield Reading(page.url, WEB_PAGE, revision=visit.revision, unchanged=True)

    def _hand_over(
        self,
        page: Page,
        body: bytes,
        visit: Visit,
        kind: str,
        headers: Mapping[str, str],
        trip: Trip,
    ) -> Iterator[Piece]:
        """Write a page to a file for its loader, unless it is a copy of another."""
        copy = self._is_copy(page, visit)
        self.visits.put(replace(visit, taken=not copy))
        self._follow(page, visit.links, trip)
        if copy:
            yield self._drop_copy(page, visit)
            return
        _count(trip)
        # The loader mends relative links by `url`, so that stays what was asked.
        given: dict[str, Any] = {"url": page.url, "fetched": _now()}
        if visit.canonical and visit.canonical != page.url:
            given["canonical"] = visit.canonical
        if modified := _iso(headers.get("last-modified")):
            given["modified"] = modified
        path = self.folder / sha256(page.url.encode()).hexdigest()[:32]
        path.write_bytes(body)
        file = SourceFile(path, page.url, self.config, kind, {**given, **page.given})
        yield FileWork(file, visit.revision or sha256(body).hexdigest())

    def _is_copy(self, page: Page, visit: Visit) -> bool:
        key = page_key(visit.canonical or page.url)
        return self._owners.setdefault(key, page.url) != page.url

    def _drop_copy(self, page: Page, visit: Visit) -> Reading:
        owner = self._owners[page_key(visit.canonical or page.url)]
        return self._drop(page, "duplicate_url", f"the same page as {owner}, by its canonical link")

    def _follow(self, page: Page, links: Iterable[str], trip: Trip) -> None:
        if trip.frontier is not None and page.depth < trip.frontier.depth:
            for link in links:
                if trip.frontier.claim(link, self.seen):
                    trip.found.append(Page(link, page.depth + 1))


def _trusted_canonical(url: str, facts: PageFacts) -> str | None:
    """Return the canonical link, unless it leads off the host or from inside to the front page.

    Sites that name their front page on every page are common, and would come to one document.
    """
    found = facts.canonical
    if found is None or not same_site(found, url, "host"):
        return None
    root = page_key(found).endswith("/") and page_key(found).count("/") == 1
    return None if root and page_key(url).partition("?")[0] != page_key(found) else found


def _listed_before(page: Page, visit: Visit) -> bool:
    """Tell whether a sitemap's date of change is the one it was, and older than our visit.

    Dates have no hours in many sitemaps, so a page visited on the day of its change may have
    changed again.
    """
    if not page.listed or page.listed != visit.listed or not visit.asked:
        return False
    try:
        changed = datetime.fromisoformat(page.listed)
        asked = datetime.fromisoformat(visit.asked)
    except ValueError:
        return False
    changed = changed if changed.tzinfo else changed.replace(tzinfo=UTC)
    return changed + timedelta(days=2) < asked


def _count(trip: Trip) -> None:
    if trip.left is not None:
        trip.left -= 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _iso(text: str | None) -> str | None:
    try:
        return parsedate_to_datetime(text).isoformat() if text else None
    except ValueError:
        return None
