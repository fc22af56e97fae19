"""Common Crawl: WARC and WET files from disk, from addresses, or from the list of a crawl."""

import zlib
from pathlib import Path

from domainforge.errors import SourceError
from domainforge.files import find_file
from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.config import CommonCrawl
from domainforge.sources.corpora.shards import Corpus, ShardSource
from domainforge.sources.kinds.names import WARC_ENDINGS
from domainforge.stage import shaping_values

_MAX_LIST_BYTES = 200_000_000


def open_common_crawl(config: SourceConfig, project: Path) -> ShardSource:
    """Open files of Common Crawl.

    Raises:
        SourceError: The list of paths can't be read, or an address can't be asked.
    """
    crawl = config.common_crawl
    assert crawl is not None
    urls = crawl.urls if crawl.paths_file is None else _listed(crawl, crawl.paths_file, project)
    settings = shaping_values(crawl)
    return ShardSource(
        config, project, Corpus("warc", WARC_ENDINGS, crawl, settings, crawl.files, urls)
    )


def _listed(crawl: CommonCrawl, name: str, project: Path) -> list[str]:
    path = find_file(name, project)
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = zlib.decompressobj(31).decompress(data, _MAX_LIST_BYTES)
        lines = [line.strip() for line in data.decode().splitlines()]
    except OSError as error:
        raise SourceError(
            f"sources: common_crawl.paths_file: {name} can't be read: {error.strerror}; a path in "
            "a pipeline file is relative to the project folder"
        ) from None
    except (zlib.error, UnicodeDecodeError) as error:
        raise SourceError(
            f"sources: common_crawl.paths_file: {name} is no list of paths ({error}); load "
            "wet.paths.gz or warc.paths.gz of a crawl"
        ) from None
    found = [f"{crawl.base_url.rstrip('/')}/{line.lstrip('/')}" for line in lines if line]
    if not found:
        raise SourceError(f"sources: common_crawl.paths_file: {name} names no file")
    return found
