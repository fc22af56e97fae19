"""A MediaWiki dump as a source: one file, read in parts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from domainforge.files import file_hash
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import read_unless_known
from domainforge.sources.loaded import SourceFile
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.workspaces.export import place_of


class MediaWikiSource:
    """Reads the pages of a dump."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        assert config.mediawiki is not None
        self._config = config
        self._path = config.mediawiki.path
        self._project = project

    def identity(self) -> Mapping[str, Any]:
        """Return the hash of the dump."""
        return {"export": file_hash(place_of(self._path, self._project))}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read the pages, in the order of the dump.

        Raises:
            SourceError: No dump.
        """
        place = place_of(self._path, self._project)
        file = SourceFile(place, place.name, self._config, "mediawiki dump")
        yield from read_unless_known([FileWork(file, revision=file_hash(place))], reader)
