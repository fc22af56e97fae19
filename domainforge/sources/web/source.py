"""The web as a source: single pages, sitemaps, feeds and a crawl, in this order."""

import shutil
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import LeftOut, Loaded, UnreadableError
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.web.addresses import Resolve, check_url, resolve_host
from domainforge.sources.web.config import CrawlConfig, WebConfig
from domainforge.sources.web.feeds import MAX_FEED_BYTES, parse_feed
from domainforge.sources.web.frontier import Frontier
from domainforge.sources.web.pace import Pace
from domainforge.sources.web.request import USER_AGENT, Access
from domainforge.sources.web.sitemaps import MAX_SITEMAP_BYTES, Entry, read_sitemaps
from domainforge.sources.web.urls import fits, normalise
from domainforge.sources.web.visits import Visits
from domainforge.sources.web.walk import Page, Piece, Trip, Walk
from domainforge.stage import shaping_values

# Readings that need no parsing wait for the files before them, but no more than so many.
_MOST_ASIDE = 16


class WebSource:
    """Pages of the web."""

    def __init__(
        self,
        config: SourceConfig,
        *,
        resolve: Resolve = resolve_host,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Check every address that the user gave; nothing is asked yet.

        Raises:
            SourceError: One of them can't be asked.
        """
        assert config.web is not None
        self._config = config
        self._web: WebConfig = config.web
        self._access = Access(
            frozenset(self._web.allow_hosts),
            self._web.user_agent or USER_AGENT,
            self._web.timeout_seconds,
            resolve=resolve,
            tls=tls,
        )
        starts = self._web.crawl.start if self._web.crawl else ()
        for url in (*self._web.urls, *self._web.sitemap, *self._web.feed, *starts):
            self._check(url)

    def identity(self) -> Mapping[str, Any]:
        """Return what shapes the pages; the pages themselves are asked only when they are read."""
        return {"web": shaping_values(self._web)}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read all pages; what went wrong with one is in its reading."""
        fetched = reader.folder / "fetched"
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.mkdir(parents=True)
        try:
            yield from parse_pieces(self._pieces(reader, fetched), reader)
        finally:
            shutil.rmtree(fetched, ignore_errors=True)

    def _pieces(self, reader: Reader, folder: Path) -> Iterator[Piece]:
        web = self._web
        pace = Pace(self._access, web.seconds_per_request, web.hosts_at_once)
        with Visits(reader.folder) as visits, pace:
            max_bytes = web.max_page_mb * 1_000_000
            walk = Walk(self._config, reader, visits, pace, folder, max_bytes)
            urls = (normalise(url) for url in web.urls)
            yield from walk.take((Page(url) for url in urls if url and walk.seen.add(url)), Trip())
            for url in web.sitemap:
                yield from self._read_sitemap(url, walk)
            for url in web.feed:
                yield from self._read_feed(url, walk)
            if web.crawl is not None:
                yield from self._crawl(web.crawl, walk)

    def _read_sitemap(self, url: str, walk: Walk) -> Iterator[Piece]:
        broken: list[Reading] = []
        left_out = 0

        def listed() -> Iterator[Page]:
            nonlocal left_out
            for found in read_sitemaps(url, lambda u: walk.pace.get(u, MAX_SITEMAP_BYTES)):
                if not isinstance(found, Entry):
                    broken.append(_fault(*found))
                elif not fits(found.url, self._config.include):
                    left_out += 1
                elif walk.seen.add(found.url):
                    yield Page(found.url, listed=found.modified)

        yield from walk.take(listed(), Trip())
        yield from broken
        if left_out:
            walk.reader.say(
                f"{url}: pages left out that fit none of the source's include globs: {left_out:,}"
            )

    def _read_feed(self, url: str, walk: Walk) -> Iterator[Piece]:
        try:
            reply = walk.pace.get(url, MAX_FEED_BYTES)
            entries = parse_feed(reply.body, reply.url, reply.headers.get("content-type", ""))
        except UnreadableError as error:
            yield _fault(url, error)
            return
        linked = [
            Page(entry.url, given=entry.given, content=entry.content)
            for entry in entries
            if entry.url and fits(entry.url, self._config.include)
        ]
        yield from walk.take((page for page in linked if walk.seen.add(page.url)), Trip())
        for entry in entries:
            if not entry.url and entry.name and entry.content:
                page = Page(f"{reply.url}#{entry.name}", given=entry.given, content=entry.content)
                yield from walk.take_content(page, Trip())

    def _crawl(self, crawl: CrawlConfig, walk: Walk) -> Iterator[Piece]:
        starts = [url for url in map(normalise, crawl.start) if url]
        frontier = Frontier(crawl, starts)
        trip = Trip(crawl.pages, frontier)
        wave: list[Page] = []
        for start in starts:
            if walk.seen.add(start):
                wave.append(Page(start))
            elif crawl.depth and (visit := walk.visits.get(start)):
                links = [link for link in visit.links if frontier.claim(link, walk.seen)]
                trip.found += [Page(link, 1) for link in links]
        while wave or trip.found:
            yield from walk.take(wave, trip)
            wave, trip.found = trip.found, []
            if trip.left == 0:
                break
        if frontier.traps:
            walk.reader.say(
                f"crawl of {starts[0]}: links left alone that look made without end (deep or "
                f"repeating paths, too many of one shape): {frontier.traps:,}"
            )

    def _check(self, url: str) -> None:
        try:
            check_url(url, self._web.allow_hosts)
        except UnreadableError as error:
            shown = url.rpartition("@")[2][:200]
            raise SourceError(f"sources: web: {shown}: {error.detail}") from None


def parse_pieces(pieces: Iterable[Piece], reader: Reader) -> Iterator[Reading]:
    """Send the files to the reader's workers and put all readings in the order of the pieces."""
    rest = iter(pieces)
    for piece in rest:
        if isinstance(piece, Reading):
            yield piece
        else:
            yield from _parse_run(piece, rest, reader.parse)


def _parse_run(
    first: FileWork,
    rest: Iterator[Piece],
    parse: Callable[[Iterable[FileWork]], Iterator[Reading]],
) -> Iterator[Reading]:
    """Parse a run of files; readings that came between them keep their places."""
    aside: deque[tuple[int, Reading]] = deque()
    paths: deque[Path] = deque()
    sent = finished = 0

    def run() -> Iterator[FileWork]:
        nonlocal sent
        for piece in chain([first], rest):
            if isinstance(piece, Reading):
                aside.append((sent, piece))
                if len(aside) >= _MOST_ASIDE:
                    return
            else:
                sent += 1
                paths.append(piece.file.path)
                yield piece

    for reading in parse(run()):
        while aside and aside[0][0] <= finished:
            yield aside.popleft()[1]
        yield reading
        if reading.last:
            finished += 1
            paths.popleft().unlink(missing_ok=True)
    for _, reading in aside:
        yield reading


def _fault(url: str, error: UnreadableError) -> Reading:
    fault = LeftOut(url, error.reason, error.detail)
    return Reading(url, "web page", Loaded(faults=(fault,)))
