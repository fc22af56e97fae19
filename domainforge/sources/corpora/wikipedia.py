"""Wikipedia's XML dumps, under Wikipedia's licence."""

from pathlib import Path

from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.config import is_url
from domainforge.sources.corpora.shards import Corpus, ShardSource
from domainforge.stage import shaping_values

# Of the text, since June 2023: https://foundation.wikimedia.org/wiki/Policy:Terms_of_Use
LICENSE = "CC-BY-SA-4.0"
_ENDINGS = (".xml", ".xml.bz2", ".xml.gz", ".xml.zst")


def open_wikipedia(config: SourceConfig, project: Path) -> ShardSource:
    """Open a dump.

    Raises:
        SourceError: Its address can't be asked.
    """
    wiki = config.wikipedia
    assert wiki is not None
    files, urls = (None, (wiki.dump,)) if is_url(wiki.dump) else (wiki.dump, ())
    settings = shaping_values(wiki)
    corpus = Corpus(
        "mediawiki dump",
        _ENDINGS,
        wiki,
        settings,
        files,
        urls,
        {"license": config.license or LICENSE},
    )
    return ShardSource(config, project, corpus)
