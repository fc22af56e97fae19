"""A MediaWiki dump as a source: one file, read in parts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import read_unless_known
from domainforge.sources.loaded import SourceFile
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.workspaces.export import place_of, state_of


class MediaWikiSource:
    """Reads the pages of a dump."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        assert config.mediawiki is not None
        self._config = config
        self._path = config.mediawiki.path
        self._project = project

    def identity(self) -> Mapping[str, Any]:
        """Return the hash of the dump."""
        return {"export": state_of(self._place())}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read the pages, in the order of the dump.

        Raises:
            SourceError: No dump.
        """
        place = self._place()
        file = SourceFile(place, place.name, self._config, "mediawiki dump")
        yield from read_unless_known([FileWork(file, revision=state_of(place))], reader)

    def _place(self) -> Path:
        place = place_of(self._path, self._project)
        if place.is_dir():
            raise SourceError(
                f"sources: mediawiki: {self._path} is a folder; name one dump in it, an .xml, "
                ".xml.bz2, .xml.gz or .xml.zst"
            )
        return place
