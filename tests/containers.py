"""Writes OLE containers, Outlook messages and old workbooks, which no library here can write."""

import struct
from collections.abc import Mapping

_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
Storage = Mapping[str, "bytes | Storage"]


def ole_container(root: Storage) -> bytes:
    """[MS-CFB] with one sector of FAT; streams are padded to 4,096 bytes, so that there is no mini stream."""
    entries: list[bytearray] = []
    data = bytearray()
    chain: list[int] = []

    def add(name: str, kind: int, start: int = _END, size: int = 0) -> int:
        raw = name.encode("utf-16-le") + b"\0\0"
        entry = bytearray(raw.ljust(64, b"\0") + struct.pack("<HBBLLL", len(raw), kind, 1, _FREE, _FREE, _FREE))
        entries.append(entry + bytes(36) + struct.pack("<LQ", start, size))
        return len(entries) - 1

    def fill(parent: int, storage: Storage) -> None:
        before = None
        for name, content in sorted(storage.items(), key=lambda item: (len(item[0]), item[0].upper())):
            if isinstance(content, bytes):
                start, sectors = len(data) // 512, max(8, -(-len(content) // 512))
                chain.extend([*range(start + 1, start + sectors), _END])
                data.extend(content.ljust(sectors * 512, b"\0"))
                number = add(name, 2, start, max(4096, len(content)))
            else:
                number = add(name, 1)
                fill(number, content)
            # A list to the right is a tree, if a slow one.
            struct.pack_into("<L", entries[parent if before is None else before], 76 if before is None else 72, number)
            before = number

    add("Root Entry", 5)
    fill(0, root)
    directory = b"".join(entries).ljust(-(-len(entries) // 4) * 512, b"\0")
    first = len(data) // 512
    chain += [*range(first + 1, first + len(directory) // 512), _END, _FAT]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<LLLLLLLLL", 0, 1, first, 0, 4096, _END, 0, _END, 0)
    header += struct.pack("<L", first + len(directory) // 512).ljust(436, b"\xff")
    fat = struct.pack(f"<{len(chain)}L", *chain).ljust(512, b"\xff")
    return header + bytes(data) + directory + fat


def outlook_message(subject: str, body: str, attachment: str) -> bytes:
    """[MS-OXMSG]: sender, subject and body as Unicode properties, and one attachment by name."""
    texts = {"0037001F": subject, "1000001F": body, "0C1A001F": "Anna", "0C1F001F": "anna@example.com"}
    attached = {"3707001F": attachment}
    root: dict[str, bytes | Storage] = dict(_properties(texts, struct.pack("<8xLLLL8x", 0, 1, 0, 1)))
    root["__nameid_version1.0"] = {
        "__substg1.0_00020102": b"",
        "__substg1.0_00030102": b"",
        "__substg1.0_00040102": b"",
    }
    root["__attach_version1.0_#00000000"] = _properties(attached, bytes(8))
    return ole_container(root)


def _properties(texts: Mapping[str, str], header: bytes) -> dict[str, bytes]:
    streams = {f"__substg1.0_{tag}": text.encode("utf-16-le") for tag, text in texts.items()}
    rows = (struct.pack("<LLLL", int(tag, 16), 6, 2 * len(text) + 2, 0) for tag, text in texts.items())
    return {**streams, "__properties_version1.0": header + b"".join(rows)}


def old_workbook(title: str, rows: list[list[str | float]]) -> bytes:
    """BIFF5, which Excel 5 and 95 wrote; text is in cp1251."""
    name = title.encode("cp1251")
    sheet = _record(0x809, struct.pack("<HHHH", 0x500, 0x10, 0, 1993))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            if isinstance(cell, str):
                text = cell.encode("cp1251")
                sheet += _record(0x204, struct.pack("<HHHH", row, column, 0, len(text)) + text)
            else:
                sheet += _record(0x203, struct.pack("<HHHd", row, column, 0, cell))
    sheet += _record(0x0A, b"")
    start = _record(0x809, struct.pack("<HHHH", 0x500, 5, 0, 1993)) + _record(0x42, struct.pack("<H", 1251))
    style = _record(0xE0, struct.pack("<HHHHHHHH", 0, 0, 0, 0x20, 0, 0, 0, 0))
    length = len(start + style) + 4 + 7 + len(name) + 4
    place = _record(0x85, struct.pack("<LBBB", length, 0, 0, len(name)) + name)
    return ole_container({"Book": start + style + place + _record(0x0A, b"") + sheet})


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data
