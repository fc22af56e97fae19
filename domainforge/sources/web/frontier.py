"""Which links a crawl follows: every page once, on the site, within bounds, out of traps."""

from collections import Counter
from collections.abc import Iterable

from domainforge.sources.web.config import CrawlConfig
from domainforge.sources.web.urls import fits, is_trap, page_key, same_site, url_shape

# Pages of one shape (a calendar, a sorted table) may fill no more than this part of a crawl.
_MAX_SHAPE_SHARE = 0.5
_MIN_OF_SHAPE = 20


class Seen:
    """The pages that a source has met, by their keys."""

    def __init__(self) -> None:
        """Begin with none."""
        self._keys: set[str] = set()

    def add(self, url: str) -> bool:
        """Note a page; tell whether it is new."""
        key = page_key(url)
        if key in self._keys:
            return False
        self._keys.add(key)
        return True

    def __contains__(self, url: str) -> bool:
        """Tell whether a page was met."""
        return page_key(url) in self._keys


class Frontier:
    """The border of one crawl.

    Attributes:
        depth: Most links between a start and a page.
        traps: How many links were left alone because their site seems to make them without end.
    """

    def __init__(self, config: CrawlConfig, starts: Iterable[str]) -> None:
        """Begin at the starts."""
        self.depth = config.depth
        self.traps = 0
        self._config = config
        self._starts = list(starts)
        self._shapes: Counter[str] = Counter()
        self._most = max(_MIN_OF_SHAPE, int(config.pages * _MAX_SHAPE_SHARE))

    def widen(self, start: str) -> None:
        """Take the page that a start led to as a start."""
        self._starts.append(start)

    def admits(self, url: str) -> bool:
        """Tell whether a link lies within the crawl, traps aside."""
        config = self._config
        return (
            any(same_site(url, start, config.same_site) for start in self._starts)
            and fits(url, config.include)
            and not fits(url, config.exclude)
        )

    def claim(self, url: str, seen: Seen) -> bool:
        """Tell whether a link is to be followed, and note that it is."""
        if not self.admits(url) or url in seen:
            return False
        shape = url_shape(url)
        if is_trap(url) or (shape is not None and self._shapes[shape] >= self._most):
            self.traps += 1
            return False
        if shape is not None:
            self._shapes[shape] += 1
        return seen.add(url)
