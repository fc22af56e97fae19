"""Deep Lake datasets on this machine: rows as documents, part by part."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from domainforge.sources.field_values import plain_value
from domainforge.sources.kinds.rows import PART_ROWS, TEXT_FIELDS, Row, RowReader
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

LOG_FOLDER = "_deeplake_log"
_NAMES = ("id", "url")
# Pictures, sound and vectors, which are no fields of a text.
_NO_FIELDS = frozenset(
    ("Audio", "BinaryMask", "BoundingBox", "Embedding", "Image", "Link", "Medical", "Mesh", "Point",
     "Polygon", "SegmentMask", "Video")
)  # fmt: skip
_MAX_ITEMS = 100
# Nothing listens there.
_NOWHERE = "http://127.0.0.1:9"
_PROXIES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def stream_deeplake(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded]:
    """Read the rows of a dataset; the file is any one directly below a folder of its log.

    Raises:
        UnreadableError: No dataset of version 4, a broken one, or none with a column of text.
    """
    deeplake = import_quietly()
    own = (kind for kind in vars(deeplake).values() if isinstance(kind, type))
    faults: tuple[type[Exception], ...] = (
        *(kind for kind in own if issubclass(kind, Exception)),
        *(ValueError, IndexError, KeyError, RuntimeError, OverflowError),
    )
    folder = dataset_of(file.path)
    try:
        dataset = deeplake.open_read_only(str(folder))
        columns = [c.name for c in dataset.schema.columns if _kind(c) not in _NO_FIELDS]
        _check_text(columns, file)
        yield from _read_rows(dataset, columns, file, skip)
    except faults as error:
        raise UnreadableError("unreadable", f"no whole dataset: {error}"[:300]) from error


def dataset_of(path: Path) -> Path:
    """Return the folder of the dataset that a file of its log belongs to."""
    return next(above.parent for above in path.parents if above.name == LOG_FOLDER)


def _read_rows(
    dataset: Any, columns: Sequence[str], file: SourceFile, skip: int
) -> Iterator[Loaded]:
    own = (file.config.id_field,) if file.config.id_field else _NAMES
    names = [name for name in columns if name in own]
    with RowReader(file, "row", "application/x-deeplake") as reader:
        for number, start in enumerate(range(0, len(dataset), PART_ROWS)):
            wanted = names if number < skip else columns
            if not wanted:
                continue
            view = dataset[start : min(start + PART_ROWS, len(dataset))]
            values = {name: view[name] for name in wanted}
            rows = [
                Row(start + index + 1, {name: _plain(values[name][index]) for name in wanted})
                for index in range(len(view))
            ]
            if number < skip:
                reader.pass_over(rows)
            else:
                yield reader.read(rows)


def _check_text(columns: Sequence[str], file: SourceFile) -> None:
    wanted = (file.config.text_field,) if file.config.text_field else TEXT_FIELDS
    if not set(wanted) & set(columns):
        raise UnreadableError(
            "no_text_field",
            f"no column {', '.join(wanted)}; set text_field to one of {', '.join(columns)}",
        )


def _kind(column: Any) -> str:
    return str(column.dtype.kind).rpartition(".")[2]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what is no scalar, text, list or object as None."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    elif hasattr(value, "tolist"):
        value = value.tolist() if value.size <= _MAX_ITEMS else None
    if isinstance(value, bytes):
        return None
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return plain_value(value)


def import_quietly() -> Any:
    """Import Deep Lake's package without its reports to its maker.

    On import it starts to report each session and each crash to a server of its maker, and offers
    no way to refuse (4.7). The first report is led to where nobody listens, then it is ended.
    """
    with _no_way_out():
        import deeplake

        _end_reports(deeplake)
    return deeplake


@contextmanager
def _no_way_out() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _PROXIES}
    os.environ.update(dict.fromkeys(_PROXIES, _NOWHERE))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_reports(deeplake: Any) -> None:
    import ctypes

    try:
        end = ctypes.CDLL(deeplake._deeplake.__file__).sentry_close
    except (AttributeError, OSError) as error:
        raise UnreadableError(
            "unreadable",
            "this build of deeplake can't be kept from reporting over the network; 4.7 can",
        ) from error
    end()
