"""Tells what a file is by its first bytes; the name decides between kinds of text only."""

import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from asissto.ingestion.archives import archive_kind
from asissto.ingestion.names import suffix_of
from asissto.platform.errors import (
    DocumentEmpty,
    DocumentEncrypted,
    DocumentTypeMismatch,
    DocumentTypeUnknown,
)

SUPPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".pdf": "application/pdf",
        ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".doc": "application/msword",
        ".xls": "application/vnd.ms-excel",
        ".odt": "application/vnd.oasis.opendocument.text",
        ".rtf": "application/rtf",
        ".html": "text/html",
        ".htm": "text/html",
        ".md": "text/markdown",
        ".txt": "text/plain",
        ".csv": "text/csv",
        ".tsv": "text/tab-separated-values",
        ".eml": "message/rfc822",
        ".msg": "application/vnd.ms-outlook",
        ".png": "image/png",
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".tif": "image/tiff",
        ".tiff": "image/tiff",
        ".webp": "image/webp",
        ".bmp": "image/bmp",
    }
)
SUPPORTED_NAMES: Final = ", ".join(suffix[1:] for suffix in SUPPORTED)

_TEXT = frozenset({".html", ".htm", ".md", ".txt", ".csv", ".tsv", ".eml"})
_START = 4096


def sniff(path: Path, name: str) -> str:
    """The suffix that fits the content; `SUPPORTED[suffix]` is its media type.

    Raises DocumentEmpty, DocumentEncrypted, DocumentCorrupt, DocumentBomb, DocumentTypeUnknown, and
    DocumentTypeMismatch where the name promises something that the content is not.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    if not start:
        raise DocumentEmpty(name=name)
    named = suffix_of(name)
    found = _kind(path, name, start, named)
    if found in SUPPORTED:
        return found
    if found and named in SUPPORTED:
        raise DocumentTypeMismatch(name=name, found=found, supported=SUPPORTED_NAMES)
    if not found and named in SUPPORTED:
        return named
    raise DocumentTypeUnknown(name=name, supported=SUPPORTED_NAMES)


def _kind(path: Path, name: str, start: bytes, named: str) -> str:
    """A suffix of SUPPORTED, the name of another type, as in `EXE`, or nothing where the content does not tell."""
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return archive_kind(path, name)
    if start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_kind(path, name)
    if start.startswith(b"%PDF-") or (named not in _TEXT and b"%PDF-" in start[:1024]):
        return ".pdf"
    for signature, kind in _SIGNATURES:
        if signature.match(start):
            return kind
    return _text_kind(start, named) if _is_text(start) else ""


_SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x89PNG\r\n\x1a\n", ".png"),
        (rb"\xff\xd8\xff", ".jpg"),
        (rb"II\*\0|MM\0[*+]|II\+\0", ".tif"),
        (rb"RIFF.{4}WEBP", ".webp"),
        (rb"BM.{4}\0\0\0\0.{4}[\x0c\x28\x6c\x7c]\0\0\0", ".bmp"),
        (rb"\s*\{\\rtf", ".rtf"),
        (rb"MZ.*\0", "EXE"),
        (rb"\x7fELF|\xca\xfe\xba\xbe|[\xcf\xce]\xfa\xed\xfe", "EXE"),
        (rb"Rar!\x1a", "RAR"),
        (rb"7z\xbc\xaf\x27\x1c", "7Z"),
        (rb"\x1f\x8b", "GZIP"),
        (rb"BZh\d1AY", "BZIP2"),
        (rb"\xfd7zXZ\0", "XZ"),
        (rb"GIF8[79]a", "GIF"),
        (rb".{4}ftyp(?:heic|heix|mif1|avif)", "HEIC"),
        (rb".{4}ftyp", "MP4"),
        (rb"ID3|\xff[\xfb\xf3\xf2]", "MP3"),
        (rb"OggS", "OGG"),
        (rb"fLaC", "FLAC"),
        (rb"RIFF.{4}WAVE", "WAV"),
        (rb"RIFF.{4}AVI ", "AVI"),
        (rb"\x1a\x45\xdf\xa3", "MKV"),
        (rb"SQLite format 3\0", "SQLITE"),
        (rb"AT&TFORM", "DJVU"),
    )
)


def _ole_kind(path: Path, name: str) -> str:
    """By the names in the directory of the container, which begin at multiples of 128 bytes."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for stream, kind in _OLE_STREAMS.items():
            if _has_entry(content, stream):
                if kind == "encrypted":
                    raise DocumentEncrypted(name=name)
                return kind
    return ""


_OLE_STREAMS = {
    "EncryptedPackage": "encrypted",
    "__properties_version1.0": ".msg",
    "WordDocument": ".doc",
    "Workbook": ".xls",
    "Book": ".xls",
    "PowerPoint Document": "PPT",
}


def _has_entry(content: mmap.mmap, stream: str) -> bool:
    entry = stream.encode("utf-16-le") + b"\0\0"
    at = content.find(entry)
    while at >= 0 and at % 128:
        at = content.find(entry, at + 1)
    return at >= 0


def _is_text(start: bytes) -> bool:
    """In UTF-16 every other byte of Latin text is NUL; elsewhere control characters are rare."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return True
    fewer, more = sorted((start[::2].count(0), start[1::2].count(0)))
    if more > 0.15 * len(start) and more > 30 * fewer:
        return True
    return len(_CONTROLS.findall(start)) < 0.02 * len(start)


_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def _text_kind(start: bytes, named: str) -> str:
    if named != ".md" and _HTML.match(start):
        return ".html"
    if named not in {".html", ".htm"} and len(set(map(bytes.lower, _MAIL_HEADER.findall(_head(start))))) > 2:
        return ".eml"
    if named in _TEXT:
        return named
    return ".txt" if named in SUPPORTED or not named else ""


_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_MAIL_HEADER = re.compile(
    rb"^(from|to|subject|date|received|return-path|message-id|mime-version|delivered-to|content-type):",
    re.IGNORECASE | re.MULTILINE,
)


def _head(start: bytes) -> bytes:
    """What stands before the first empty line, where that begins like a header."""
    return re.split(rb"\r?\n\r?\n", start)[0] if re.match(rb"[A-Za-z-]+:|From ", start) else b""
