"""Old Excel files that calamine would die of: sectors in a circle, claims of a billion cells."""

import io
import struct
from collections.abc import Sequence

from domainforge.sources.loaded import UnreadableError

# Of [MS-CFB], section 2.1: numbers from here on end a chain or mark a sector as special.
_FIRST_RESERVED = 0xFFFFFFFA
# Of [MS-XLS]: records that claim room before there is anything to put there.
_DIMENSIONS = 0x0200
_SHARED_STRINGS = 0x00FC
_SEVERAL_NUMBERS = 0x00BD
_CELLS = frozenset((0x0006, 0x00D6, 0x00FD, 0x0203, 0x0204, 0x0205, 0x027E, _SEVERAL_NUMBERS))
_MOST_ROWS = 65_536
_MOST_COLUMNS = 256


def check_old_workbook(data: bytes) -> None:
    """Refuse a file in which sectors run in a circle, or cells lie outside of any sheet.

    Raises:
        UnreadableError: It is such a file, or no OLE file at all.
    """
    import olefile

    if _index_is_circular(data):
        raise _broken("its sectors run in a circle")
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            ole.loadminifat()
            if _has_circle(ole.fat) or _has_circle(ole.minifat):
                raise _broken("its sectors run in a circle")
            name = next((name for name in ("Workbook", "Book") if ole.exists(name)), None)
            if name is None:
                raise _broken("no workbook in it")
            _check_records(ole.openstream(name).read())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise _broken(str(error)) from error


def _check_records(stream: bytes) -> None:
    """Go through the records of a workbook and look at what they claim."""
    place = 0
    while place + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, place)
        body = stream[place + 4 : place + 4 + min(size, 14)]
        place += 4 + size
        rows = columns = 0
        if kind == _DIMENSIONS and len(body) >= 12:
            first_row, rows, first_column, columns = struct.unpack_from("<IIHH", body)
            if first_row > rows or first_column > columns:
                raise _broken("a sheet in it ends before it begins")
        elif kind == _SHARED_STRINGS and len(body) >= 8:
            (strings,) = struct.unpack_from("<I", body, 4)
            if strings > len(stream):
                raise _broken(f"it claims to have {strings:,} texts")
        elif kind in _CELLS and len(body) >= 4:
            (columns,) = struct.unpack_from("<H", body, 2)
            columns += 1 if kind != _SEVERAL_NUMBERS else (size - 6) // 6
        if rows > _MOST_ROWS or columns > _MOST_COLUMNS:
            raise _broken(f"it claims to have {rows:,} rows and {columns:,} columns")


def _broken(detail: str) -> UnreadableError:
    return UnreadableError("unreadable", f"no readable .xls: {detail}"[:300])


def _has_circle(following: Sequence[int]) -> bool:
    """Tell whether any chain comes back to a sector that it has passed."""
    chain_of = [0] * len(following)
    for start in range(len(following)):
        sector = start
        while sector < len(following) and not chain_of[sector]:
            chain_of[sector] = start + 1
            sector = following[sector]
        # A free sector is followed by a reserved number, which is beyond the end.
        if sector < len(following) and chain_of[sector] == start + 1:
            return True
    return False


def _index_is_circular(data: bytes) -> bool:
    """Check the chain of sectors that list the others (DIFAT): each ends with the next one."""
    if len(data) < 512:
        return False
    (shift,) = struct.unpack_from("<H", data, 30)
    (sector,) = struct.unpack_from("<I", data, 68)
    seen: set[int] = set()
    while shift in (9, 12) and sector < _FIRST_RESERVED and ((sector + 2) << shift) <= len(data):
        if sector in seen:
            return True
        seen.add(sector)
        (sector,) = struct.unpack_from("<I", data, ((sector + 2) << shift) - 4)
    return False
