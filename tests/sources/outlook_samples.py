"""A small writer of Outlook messages, since no library writes them."""

import struct
from collections.abc import Mapping

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR, _SMALL, _SMALL_BELOW = 512, 64, 4096

Storage = Mapping[str, "bytes | Storage"]


def make_msg(
    properties: Mapping[int, str | bytes], attachments: Mapping[str, bytes] | None = None
) -> bytes:
    """Make a message of MAPI properties (by id: text or bytes) and attached files."""
    storage: dict[str, bytes | Storage] = dict(_storage(properties, 32))
    for number, (name, data) in enumerate((attachments or {}).items()):
        attached = _storage({0x3707: name, 0x3701: data}, 8)
        storage[f"__attach_version1.0_#{number:08X}"] = attached
    return compound_file(storage)


def _storage(properties: Mapping[int, str | bytes], header_bytes: int) -> dict[str, bytes]:
    streams = {}
    table = bytes(header_bytes)
    for pid, value in properties.items():
        kind = 0x1F if isinstance(value, str) else 0x102
        data = value.encode("utf-16-le") if isinstance(value, str) else value
        streams[f"__substg1.0_{pid:04X}{kind:04X}"] = data
        table += struct.pack("<HHLLL", kind, pid, 6, len(data) + 2 * (kind == 0x1F), 0)
    return {**streams, "__properties_version1.0": table}


def compound_file(root: Storage) -> bytes:
    """Write storages and streams as an OLE compound file, version 3."""
    entries: list[list[object]] = []  # name, kind, right, child, data
    _add(entries, "Root Entry", root)
    small, small_fat = bytearray(), []
    sectors: list[bytes] = []
    fat: list[int] = []

    def put(data: bytes) -> int:
        first = len(sectors)
        count = -(-len(data) // _SECTOR)
        for index in range(count):
            sectors.append(data[index * _SECTOR : (index + 1) * _SECTOR].ljust(_SECTOR, b"\0"))
            fat.append(first + index + 1 if index < count - 1 else _END)
        return first if count else _END

    places = {}
    for index, (_, kind, _, _, data) in enumerate(entries):
        if kind != 2:
            continue
        assert isinstance(data, bytes)
        if len(data) >= _SMALL_BELOW:
            places[index] = put(data)
            continue
        count = -(-len(data) // _SMALL)
        first = len(small_fat)
        places[index] = first if count else _END
        small += data.ljust(count * _SMALL, b"\0")
        small_fat += [first + i + 1 if i < count - 1 else _END for i in range(count)]
    places[0] = put(bytes(small))
    small_fat += [_FREE] * (-len(small_fat) % 128)
    small_fat_at = put(struct.pack(f"<{len(small_fat)}L", *small_fat))
    directory = b""
    for index, (name, kind, right, child, data) in enumerate(entries):
        size = len(small) if index == 0 else len(data) if isinstance(data, bytes) else 0
        label = str(name).encode("utf-16-le")
        directory += label.ljust(64, b"\0") + struct.pack(
            "<HBBLLL16sLQQLQ", len(label) + 2, kind, 1, _FREE, right, child, b"", 0, 0, 0,
            places.get(index, 0), size
        )  # fmt: skip
    directory_at = put(directory.ljust(-(-len(directory) // _SECTOR) * _SECTOR, b"\0"))
    fat_at = len(sectors)
    fat_sectors = -(-(len(fat) + 4) // 128)
    fat += [_FAT] * fat_sectors
    fat += [_FREE] * (-len(fat) % 128)
    packed = struct.pack(f"<{len(fat)}L", *fat)
    sectors += [packed[i : i + _SECTOR] for i in range(0, len(packed), _SECTOR)]
    where = [fat_at + i for i in range(fat_sectors)] + [_FREE] * (109 - fat_sectors)
    header = struct.pack(
        "<8s16sHHHHH6sLLLLLLLLL109L", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE,
        9, 6, b"", 0, fat_sectors, directory_at, 0, _SMALL_BELOW, small_fat_at,
        len(small_fat) // 128, _END, 0, *where
    )  # fmt: skip
    return header + b"".join(sectors)


def _add(entries: list[list[object]], name: str, content: "bytes | Storage") -> int:
    own = len(entries)
    kind = 2 if isinstance(content, bytes) else 1 if own else 5
    entries.append([name, kind, _FREE, _FREE, content])
    if not isinstance(content, bytes):
        before: int | None = None
        for child_name, child in content.items():
            index = _add(entries, child_name, child)
            if before is None:
                entries[own][3] = index
            else:
                entries[before][2] = index
            before = index
    return own
