"""Small exports in the formats of the tools, and how tests read them."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from domainforge.records import Document
from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import LeftOut
from domainforge.sources.reading import Reading, Source
from tests.support.source_reader import SourceReader, read_all


def write_folder(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files by their names below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def write_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a zip, whatever their names are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def read(
    source_class: type, place: str, options: Mapping[str, object], project: Path
) -> list[Reading]:
    """Read an export whole."""
    return read_all(source(source_class, place, options, project), reader(project))


def source(source_class: type, place: str, options: Mapping[str, object], project: Path) -> Source:
    """Make a source of one place; `include` and other keys of any source go beside it."""
    shared = {key: value for key, value in options.items() if key in ("include",)}
    own = {key: value for key, value in options.items() if key not in shared}
    config = SourceConfig.model_validate({place: own, **shared})
    made: Source = source_class(config, project)
    return made


def reader(project: Path) -> SourceReader:
    """Make a reader with a folder of its own beside the export."""
    return SourceReader(project / "reader")


def by_uri(readings: list[Reading]) -> dict[str, Document]:
    """Return all documents by their uri."""
    return {d.uri: d for reading in readings for d in reading.loaded.documents}


def reasons(readings: list[Reading]) -> dict[str, str]:
    """Return why what was left out, by uri."""
    left_out: list[LeftOut] = []
    for reading in readings:
        left_out += [*reading.loaded.dropped, *reading.loaded.faults]
    return {item.uri: item.reason for item in left_out}


def as_json(value: object) -> str:
    """Write a value as an export does."""
    return json.dumps(value, indent=4)
