"""Looks into zip containers without unpacking them: what they hold, and whether they are bombs."""

import struct
import zlib
from copy import copy
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile, ZipInfo

from asissto.platform.errors import DocumentBomb, DocumentCorrupt, DocumentEncrypted

UNPACKED_MB: Final = 1000
"""Ten times the usual limit of an upload; what the parsers then make of it is limited by their process."""

_RATIO = 100  # of unpacked to packed; office files reach 10 to 40
_RATIO_COUNTS_FROM_MB = 100
_DIRECTORY_MB = 8  # of entries' names; office files have some hundreds, and these are 80,000
_PIECE = 1 << 20

# NotImplementedError is for a zip of a later version, as a damaged one claims to be.
_BROKEN = (BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError, KeyError)


def archive_kind(path: Path, name: str) -> str:
    """A suffix as in `.docx`, or another type's name, as in `ZIP`."""
    _refuse_crowd(path, name)
    try:
        with ZipFile(path) as archive:
            if any(entry.flag_bits & 1 for entry in archive.infolist()):
                raise DocumentEncrypted(name=name)
            entries = set(archive.namelist())
            if "mimetype" in entries:
                return _open_document(archive, name)
            if "[Content_Types].xml" in entries:
                types = _beginning(archive, "[Content_Types].xml")
                return next((kind for mark, kind in _OFFICE.items() if mark in types), "ZIP")
    except _BROKEN as error:
        raise DocumentCorrupt(name=name) from error
    return "ZIP"


_OFFICE = {
    b"wordprocessingml.document.main+xml": ".docx",
    b"wordprocessingml.template.main+xml": ".docx",
    b"ms-word.document.macroEnabled.main+xml": ".docx",
    b"spreadsheetml.sheet.main+xml": ".xlsx",
    b"spreadsheetml.template.main+xml": ".xlsx",
    b"ms-excel.sheet.macroEnabled.main+xml": ".xlsx",
    b"ms-excel.sheet.binary": "XLSB",
    b"presentationml.presentation.main+xml": ".pptx",
    b"presentationml.slideshow.main+xml": ".pptx",
    b"ms-powerpoint.presentation.macroEnabled.main+xml": ".pptx",
}


def _open_document(archive: ZipFile, name: str) -> str:
    kind = _beginning(archive, "mimetype").decode("ascii", "replace").strip()
    if "META-INF/manifest.xml" in archive.namelist() and b"encryption-data" in _beginning(
        archive, "META-INF/manifest.xml"
    ):
        raise DocumentEncrypted(name=name)
    return _OPEN_DOCUMENT.get(kind, "ZIP")


_OPEN_DOCUMENT = {
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.text-template": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ODS",
    "application/vnd.oasis.opendocument.presentation": "ODP",
    "application/epub+zip": "EPUB",
}


def _beginning(archive: ZipFile, entry: str) -> bytes:
    with archive.open(entry) as file:
        return file.read(_PIECE)


def refuse_bomb(path: Path, name: str) -> None:
    """Raises DocumentBomb for what unpacks too far, going by what it declares and by what it does.

    zipfile reads no more than an entry declares, other readers do; overlapping entries count each time. OOXML and
    OpenDocument allow no entities, which are there to multiply text.
    """
    _refuse_crowd(path, name)
    limit = UNPACKED_MB << 20
    try:
        with ZipFile(path) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if total <= limit:
                total = _unpacked(archive, entries, limit)
    except _BROKEN as error:
        raise DocumentCorrupt(name=name) from error
    if total > limit or (total > _RATIO_COUNTS_FROM_MB << 20 and total > _RATIO * path.stat().st_size):
        raise DocumentBomb(name=name, limit_mb=UNPACKED_MB if total > limit else _RATIO_COUNTS_FROM_MB)


def _unpacked(archive: ZipFile, entries: list[ZipInfo], limit: int) -> int:
    """Bytes of all entries, counted up to somewhat beyond the limit; entities count as beyond it."""
    total = 0
    for entry in entries:
        undeclared = copy(entry)
        undeclared.file_size = limit + 1
        declares_entities = False
        with archive.open(undeclared) as file:
            end = b""
            while total <= limit and (piece := file.read(_PIECE)):
                total += len(piece)
                declares_entities |= b"<!ENTITY" in end + piece
                end = piece[-8:]
        if total > limit or (declares_entities and entry.filename.endswith((".xml", ".rels"))):
            return limit + 1
    return total


def _refuse_crowd(path: Path, name: str) -> None:
    """A zip of a million names takes seconds and gigabytes only to be listed."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - (1 << 16) - 22 - 20))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            raise DocumentCorrupt(name=name)
        directory: int = struct.unpack_from("<L", tail, at + 12)[0]
        if at >= 20 and tail[at - 20 :].startswith(b"PK\x06\x07"):
            file.seek(min(size, struct.unpack_from("<Q", tail, at - 12)[0]))
            large = file.read(56)
            directory = struct.unpack_from("<Q", large, 40)[0] if len(large) == 56 else directory
    if directory > _DIRECTORY_MB << 20:
        raise DocumentBomb(name=name, limit_mb=UNPACKED_MB)
