"""OpenAssistant's conversations: from each tree the best-ranked chat, which needs no teacher."""

from pathlib import Path

from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.shards import Corpus, ShardSource
from domainforge.stage import shaping_values

# Of both releases, oasst1 and oasst2.
LICENSE = "Apache-2.0"
_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")


def open_openassistant(config: SourceConfig, project: Path) -> ShardSource:
    """Open files of trees or messages.

    Raises:
        SourceError: An address can't be asked.
    """
    trees = config.openassistant
    assert trees is not None
    settings = shaping_values(trees)
    given = {"license": config.license or LICENSE}
    corpus = Corpus("openassistant", _ENDINGS, trees, settings, trees.files, trees.urls, given)
    return ShardSource(config, project, corpus)
