"""Which class reads which place: an entry of `sources:` to what can be asked to read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from domainforge.errors import SourceError
from domainforge.files import find_file
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import FileHashes, FilesSource, find_by_source
from domainforge.sources.reading import Source

# Asked again only when the user says so: nobody can tell cheaply whether they have changed.
REMOTE = ("web", "sql", "dataset")
# Exports that would be read as plain files under another tool's key, private channels included.
# Not more: a vault may hold pages from Notion, and lie in a Git repository.
_MISTAKEN: Mapping[str, tuple[str, ...]] = {
    "confluence": ("slack", "notion", "obsidian"),
    "notion": ("slack", "confluence", "obsidian"),
    "obsidian": ("slack", "confluence"),
}


def is_remote(config: SourceConfig) -> bool:
    """Tell whether reading a source asks a server."""
    return config.place in REMOTE or bool(getattr(getattr(config, config.place), "urls", ()))


@dataclass(frozen=True)
class OpenSource:
    """A source ready to read, and the entry that it comes from."""

    config: SourceConfig
    source: Source


def open_sources(
    configs: Sequence[SourceConfig], project: Path, hashes: FileHashes
) -> list[OpenSource]:
    """Open all sources, in the order of the pipeline file; nothing is read yet.

    Raises:
        SourceError: A place that doesn't exist or may not be asked.
    """
    folders = [config for config in configs if config.files is not None]
    found = dict(zip(map(id, folders), find_by_source(folders, project), strict=True))
    return [
        OpenSource(
            config,
            FilesSource(found[id(config)], hashes)
            if config.files is not None
            else _open_place(config, project),
        )
        for config in configs
    ]


def _open_place(config: SourceConfig, project: Path) -> Source:
    from domainforge.sources.corpora.common_crawl import open_common_crawl
    from domainforge.sources.corpora.deeplake import DeepLakeSource
    from domainforge.sources.corpora.openassistant import open_openassistant
    from domainforge.sources.corpora.pile import open_pile
    from domainforge.sources.corpora.wikipedia import open_wikipedia
    from domainforge.sources.hub_datasets.source import DatasetSource
    from domainforge.sources.sql.source import SqlSource
    from domainforge.sources.web.source import WebSource
    from domainforge.sources.workspaces.confluence import ConfluenceSource
    from domainforge.sources.workspaces.git import GitSource
    from domainforge.sources.workspaces.notion import NotionSource
    from domainforge.sources.workspaces.obsidian import ObsidianSource
    from domainforge.sources.workspaces.slack import SlackSource
    from domainforge.sources.workspaces.wiki_dump import MediaWikiSource

    if config.place == "web":
        return WebSource(config)
    _refuse_mistaken(config, project)
    openers: Mapping[str, Callable[[SourceConfig, Path], Source]] = {
        "common_crawl": open_common_crawl,
        "confluence": ConfluenceSource,
        "dataset": DatasetSource,
        "deeplake": DeepLakeSource,
        "git": GitSource,
        "mediawiki": MediaWikiSource,
        "notion": NotionSource,
        "obsidian": ObsidianSource,
        "openassistant": open_openassistant,
        "pile": open_pile,
        "slack": SlackSource,
        "sql": SqlSource,
        "wikipedia": open_wikipedia,
    }
    return openers[config.place](config, project)


def _refuse_mistaken(config: SourceConfig, project: Path) -> None:
    if config.place not in _MISTAKEN:
        return
    from domainforge.sources.workspaces.recognise import recognise

    path = getattr(config, config.place).path
    found = recognise(find_file(path, project))
    if found in _MISTAKEN[config.place]:
        raise SourceError(
            f"sources: {config.place}: {path} is an export of {found.capitalize()}; write "
            f"`{found}: {path}`"
        )
