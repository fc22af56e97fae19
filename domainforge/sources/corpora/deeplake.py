"""A Deep Lake dataset on this machine as a source."""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from domainforge.errors import SourceError
from domainforge.files import find_file
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import read_unless_known
from domainforge.sources.kinds.deeplake import LOG_FOLDER
from domainforge.sources.loaded import SourceFile
from domainforge.sources.reading import FileWork, Reader, Reading


class DeepLakeSource:
    """Reads the rows of a dataset, in a worker process that can't reach the network."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        assert config.deeplake is not None
        self._config = config
        self._path = config.deeplake.path
        self._folder = find_file(self._path, project).resolve()

    def identity(self) -> Mapping[str, Any]:
        """Return a hash of the names, sizes and times of its files."""
        return {"deeplake": self._state()}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read the rows in their order.

        Raises:
            SourceError: No dataset there, or Deep Lake's package is not installed.
        """
        if not self._folder.is_dir():
            raise SourceError(
                f"sources: deeplake: no such folder: {self._path}; a path in a pipeline file is "
                "relative to the project folder"
            )
        if importlib.util.find_spec("deeplake") is None:
            raise SourceError(
                "sources: deeplake: its package is not installed: "
                "pip install 'domainforge[deeplake]'"
            )
        log = self._folder / LOG_FOLDER
        entries = sorted(path for path in log.glob("*/*") if path.is_file())
        if not entries:
            raise SourceError(
                f"sources: deeplake: {self._path} is no dataset of Deep Lake 4; one of version 3 "
                "is made one by deeplake.convert"
            )
        file = SourceFile(entries[0], self._folder.name, self._config, "deeplake")
        yield from read_unless_known([FileWork(file, self._state())], reader)

    def _state(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                found = path.stat()
                name = path.relative_to(self._folder).as_posix()
                digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
        return digest.hexdigest()
