"""Files of JSON lines that people fill in: written once, and read back with every fault named."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from domainforge.errors import ConfigError
from domainforge.run_folder import storage_errors

Line = TypeVar("Line", bound=BaseModel)


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> int:
    """Write a new file; returns how many lines it has.

    Raises:
        ConfigError: The file is there already, or can't be written.
        StorageError: The disk refuses.
    """
    count = 0
    with storage_errors(path):
        try:
            handle = path.open("x", encoding="utf-8")
        except FileExistsError:
            raise ConfigError(f"{path} is there already; name another file") from None
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise ConfigError(f"{path} can't be written: {error.strerror}") from None
        with handle:
            for line in lines:
                handle.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
    return count


def read_lines(path: Path, form: type[Line], faults: list[str]) -> Iterator[Line]:
    """Yield the lines of a file; what is wrong with others is added to the faults.

    Raises:
        ConfigError: The file can't be read.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    with handle:
        # Bytes: only a line feed ends a line, whatever else a text may hold that could.
        for number, line in enumerate(handle, start=1):
            if not line.strip():
                continue
            try:
                yield form.model_validate_json(line)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                place = ".".join(map(str, first["loc"])) or "line"
                faults.append(f"{path}:{number}: {place}: {first['msg']}")
