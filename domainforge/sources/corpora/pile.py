"""The Pile, in shards of compressed JSON lines."""

from pathlib import Path

from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.shards import Corpus, ShardSource
from domainforge.stage import shaping_values

_ENDINGS = (".jsonl", ".jsonl.zst", ".jsonl.gz", ".jsonl.xz", ".json.gz", ".json.zst")


def open_pile(config: SourceConfig, project: Path) -> ShardSource:
    """Open shards of The Pile.

    Raises:
        SourceError: An address can't be asked.
    """
    pile = config.pile
    assert pile is not None
    settings = shaping_values(pile)
    corpus = Corpus("pile", _ENDINGS, pile, settings, pile.files, pile.urls)
    return ShardSource(config, project, corpus)
