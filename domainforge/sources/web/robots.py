"""What a site's robots.txt allows (RFC 9309)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.fetch import Reply

if TYPE_CHECKING:
    from protego import Protego

# RFC 9309, section 2.5: at least so much of it must be read.
MAX_ROBOTS_BYTES = 512_000


@dataclass(frozen=True)
class Rules:
    """The rules of one origin (scheme, host, port).

    Attributes:
        refusal: Why nothing there may be asked at all.
    """

    agent: str
    parsed: "Protego | None" = None
    refusal: UnreadableError | None = None

    @property
    def delay_seconds(self) -> float:
        """The pause that the site wants between two requests."""
        if self.parsed is None:
            return 0.0
        delay = self.parsed.crawl_delay(self.agent) or 0.0
        rate = self.parsed.request_rate(self.agent)
        if rate is not None and rate.requests:
            delay = max(delay, rate.seconds / rate.requests)
        return delay

    def check(self, url: str) -> None:
        """Refuse a URL that may not be asked.

        Raises:
            UnreadableError: The site doesn't want it.
        """
        if self.refusal is not None:
            raise self.refusal
        if self.parsed is not None and not self.parsed.can_fetch(url, self.agent):
            raise UnreadableError("robots", "the site's robots.txt asks to leave it alone")


def read_rules(outcome: Reply | UnreadableError, user_agent: str) -> Rules:
    """Turn the answer for /robots.txt into rules.

    No such file means that all is allowed; a server that fails means: stay out.
    """
    from protego import Protego

    agent = user_agent.split("/")[0].split()[0]
    if isinstance(outcome, UnreadableError):
        if outcome.reason in ("too_large", "redirects", "bad_url", "content_encoding"):
            return Rules(agent)
        if outcome.reason in ("blocked_address", "blocked_port", "no_such_host"):
            return Rules(agent, refusal=outcome)
        return Rules(agent, refusal=_unreachable(outcome.detail))
    if outcome.status >= 500 or outcome.status == 429:
        return Rules(agent, refusal=_unreachable(f"it answers {outcome.status}"))
    if outcome.status != 200:
        return Rules(agent)
    text = outcome.body.decode("utf-8-sig", "replace")
    return Rules(agent, Protego.parse(text))


def listed_sitemaps(body: bytes) -> list[str]:
    """Return the sitemaps that a robots.txt names."""
    from protego import Protego

    return list(dict.fromkeys(Protego.parse(body.decode("utf-8-sig", "replace")).sitemaps))


def _unreachable(detail: str) -> UnreadableError:
    return UnreadableError(
        "robots_unreachable", f"robots.txt can't be had ({detail}), which means: stay out"
    )
