"""The key `web` of a source: which pages, how far a crawl goes, and how politely."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from domainforge.stage import Settings, transport_field


def as_list(value: Any) -> Any:
    """Take one name alone as a list of it."""
    return (value,) if isinstance(value, str) else value


def read_host_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return what `allow_hosts` lists, in lower case.

    Raises:
        ValueError: A whole address, of which only host and port count.
    """
    for name in names:
        if "/" in name or "@" in name or not name.strip():
            raise ValueError("write hosts alone, as `wiki.internal` or `wiki.internal:8080`")
    return tuple(name.lower() for name in names)


class CrawlConfig(Settings):
    """A crawl: where it starts and where it ends."""

    start: tuple[str, ...] = Field(min_length=1, description="URL to start at, or several.")
    depth: int = Field(3, ge=0, le=50, description="Most links between a start and a page.")
    pages: int = Field(500, ge=1, description="Most pages to take.")
    same_site: Literal["host", "domain", "prefix"] = Field(
        "host",
        description="Stay on the host of a start, on its domain with all subdomains, or below "
        "the start's folder.",
    )
    include: tuple[str, ...] = Field(
        ("*",), min_length=1, description="Follow only links whose path fits one of these globs."
    )
    exclude: tuple[str, ...] = Field(
        (), description="Follow no links whose path fits one of these globs."
    )

    _lists = field_validator("start", "include", "exclude", mode="before")(as_list)


class WebConfig(Settings):
    """Pages of the web, by address, sitemap, feed or crawl."""

    urls: tuple[str, ...] = Field((), description="Single pages to read.")
    sitemap: tuple[str, ...] = Field(
        (), description="Sitemap whose pages are read, or a robots.txt that lists sitemaps."
    )
    feed: tuple[str, ...] = Field(
        (), description="RSS or Atom feed whose entries are read, each from its own page."
    )
    crawl: CrawlConfig | None = Field(None, description="Follow links from a start.")
    allow_hosts: tuple[str, ...] = transport_field(
        (),
        "Hosts of yours with private addresses, as `host`, or `host:port` for another port.",
    )
    seconds_per_request: float = transport_field(
        1.0, "Least pause between two requests to one host, in seconds.", ge=0, le=3600
    )
    hosts_at_once: int = transport_field(
        4, "How many hosts are asked at once, each one request at a time.", ge=1, le=64
    )
    user_agent: str | None = transport_field(
        None, "What the requests call themselves; robots.txt is read for its first word."
    )
    max_page_mb: int = Field(20, ge=1, le=500, description="Larger pages are faults, in MB.")
    timeout_seconds: float = transport_field(
        30.0, "Longest time for one request, in seconds.", gt=0, le=600
    )

    _lists = field_validator("urls", "sitemap", "feed", "allow_hosts", mode="before")(as_list)

    _hosts = field_validator("allow_hosts")(read_host_names)

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_url(cls, value: Any) -> Any:
        return {"urls": [value]} if isinstance(value, str) else value

    @field_validator("crawl", mode="before")
    @classmethod
    def _accept_bare_start(cls, value: Any) -> Any:
        return {"start": value} if isinstance(value, str | list | tuple) else value

    @field_validator("user_agent")
    @classmethod
    def _check_agent(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isprintable() and value.strip()):
            raise ValueError("user_agent is one line of plain ASCII, for example Acme-Reader/1.0")
        return value

    @model_validator(mode="after")
    def _check_any(self) -> "WebConfig":
        if not (self.urls or self.sitemap or self.feed or self.crawl):
            raise ValueError("web names no page: give urls, sitemap, feed or crawl")
        return self
