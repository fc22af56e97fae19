"""Keys of `sources:` that name a public corpus."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from domainforge.sources.web.config import as_list, read_host_names
from domainforge.stage import Settings, transport_field


def is_url(text: str) -> bool:
    """Tell an address from a path."""
    return text.lower().startswith(("http://", "https://"))


def _bare(value: Any, path: str) -> Any:
    """Take a text alone, or a list of texts, as a path or as addresses."""
    if isinstance(value, str):
        value = [value] if is_url(value) else {path: value}
    return {"urls": value} if isinstance(value, list | tuple) else value


class Remote(Settings):
    """How files at addresses are had."""

    allow_hosts: tuple[str, ...] = transport_field(
        (), "Hosts of yours with private addresses, as `host`, or `host:port` for another port."
    )
    max_download_mb: int = transport_field(
        40_000, "Larger files at addresses are faults, in MB.", ge=1
    )

    _hosts = field_validator("allow_hosts")(read_host_names)
    _lists = field_validator("allow_hosts", mode="before")(as_list)


class Shards(Remote):
    """The files of a corpus, on this machine or at addresses."""

    files: str | None = Field(
        None, description="Folder, file or glob on this machine, relative to the project folder."
    )
    urls: tuple[str, ...] = Field(
        (), description="Addresses of files, each loaded when it is read."
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_bare(cls, value: Any) -> Any:
        return _bare(value, "files")

    @field_validator("urls", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_place(self) -> "Shards":
        if sum(map(bool, self._places())) != 1:
            raise ValueError("name one place: a path in `files`, or addresses in `urls`")
        return self

    def _places(self) -> tuple[Any, ...]:
        return self.files, self.urls


class CommonCrawl(Shards):
    """WARC or WET files of Common Crawl, or any others."""

    paths_file: str | None = Field(
        None,
        description="List of paths below `base_url`, one a line, such as `wet.paths.gz` of a "
        "crawl; relative to the project folder.",
    )
    base_url: str = Field(
        "https://data.commoncrawl.org/", description="Address that these paths are below."
    )

    def _places(self) -> tuple[Any, ...]:
        return self.files, self.urls, self.paths_file


class Wikipedia(Remote):
    """A dump of Wikipedia, or of one of its sister projects."""

    dump: str = Field(
        description="Path or address of a `pages-articles.xml.bz2` (multistream too).", min_length=1
    )
    namespaces: tuple[int, ...] = Field(
        (0,), min_length=1, description="Numbers of the namespaces to read; 0 is the articles."
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_dump(cls, value: Any) -> Any:
        return {"dump": value} if isinstance(value, str) else value


class Pile(Shards):
    """Shards of The Pile, or of a corpus in its form."""


class OpenAssistant(Shards):
    """Trees or messages of OpenAssistant's conversations."""

    languages: tuple[str, ...] = Field(
        (), description="Take only conversations in these languages, as the files name them."
    )
    states: tuple[str, ...] = Field(
        ("ready_for_export",),
        min_length=1,
        description="Take only trees in these states; others were not finished or not wanted.",
    )
    min_quality: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Pass over answers whose `quality`, as people rated it, is lower.",
    )

    @field_validator("languages", mode="before")
    @classmethod
    def _as_languages(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class DeepLake(Settings):
    """A Deep Lake dataset; each row is a document."""

    path: str = Field(
        min_length=1, description="Folder of the dataset, relative to the project folder."
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if "://" in path:
            raise ValueError(
                "only a dataset on this machine is read, since the package reports to its maker "
                "where it can reach the network: make a copy with deeplake.copy first"
            )
        return path
