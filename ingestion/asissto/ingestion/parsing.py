"""Turns an uploaded file into one text with the spans of its titles, paragraphs, list items, tables and code."""

import re
import time
import unicodedata
from collections.abc import Callable, Iterable
from math import inf
from pathlib import Path, PurePath
from typing import Literal

from msgspec import Struct, field

from asissto.ingestion.names import clean_name
from asissto.ingestion.sniffing import SUPPORTED, sniff
from asissto.platform.errors import DocumentEmpty, DocumentTooComplex

Kind = Literal["title", "text", "list_item", "table", "code"]


class Element(Struct, frozen=True):
    """A part of the document's text; the heading path of a title ends with the title itself."""

    kind: Kind
    start: int
    end: int
    page: int | None
    heading_path: tuple[str, ...]


class ParsedDocument(Struct, frozen=True):
    """Elements follow each other in order, only line breaks stand between them; a table has a row a line, header first.

    Warnings are `code: detail`, as in `pages_without_text: 2, 5`. A `header` stands before every passage where it would
    begin with title and headings. `media_type` is what the content is, whatever its name says; empty: it was no file.
    """

    title: str
    text: str
    elements: tuple[Element, ...]
    pages: int | None
    warnings: tuple[str, ...]
    header: str = ""
    media_type: str = ""


class Block(Struct, frozen=True):
    """An element as a reader of one format finds it, before cleaning; `depth` counts from 0 and is the title's."""

    kind: Kind
    text: str
    page: int | None = None
    depth: int = 0


class Content(Struct, frozen=True):
    """What a reader of one format gives; `title` is what the file calls itself."""

    blocks: list[Block]
    title: str = ""
    pages: int | None = None
    warnings: tuple[str, ...] = ()


def _nobody(_done: int, _total: int) -> None:
    """Whom a parse tells of its pages where nobody asked."""


class TimeLimit(Struct, frozen=True):
    """Seconds from the start of a parse to its end by force, and who is told how many pages are read until then."""

    seconds: float = inf
    started: float = field(default_factory=time.monotonic)
    report: Callable[[int, int], None] = _nobody


def parse(path: Path, name: str, limit: TimeLimit | None = None) -> ParsedDocument:
    """Reads the file at `path` as what its content is; raises the subclasses of DocumentRefused."""
    suffix = sniff(path, name)
    try:
        content = _read(path, name, suffix, limit or TimeLimit())
    except RecursionError as error:
        raise DocumentTooComplex(name=name) from error
    blocks = [block for block in map(_cleaned, content.blocks) if block.text]
    if not blocks:
        raise DocumentEmpty(name=name)
    text, elements = _laid_out(_with_headings(blocks))
    title = _only_top_title(blocks) or _one_line(_DROPPED.sub("", content.title)) or PurePath(clean_name(name)).stem
    return ParsedDocument(title, text, elements, content.pages, content.warnings, media_type=SUPPORTED[suffix])


def _read(path: Path, name: str, suffix: str, limit: TimeLimit) -> Content:
    # The readers load pdfium, openpyxl, Pillow, and unstructured, which takes seconds and 170 MB.
    if suffix == ".pdf":
        from asissto.ingestion.pdf import read_pdf

        return read_pdf(path, name, limit)
    if suffix in _SPREADSHEETS:
        from asissto.ingestion.spreadsheets import read_spreadsheet

        return read_spreadsheet(path, name, suffix)
    if suffix == ".txt":
        from asissto.ingestion.plain_text import read_plain_text

        return read_plain_text(path, name)
    if suffix in _PICTURES:
        from asissto.ingestion.pictures import read_picture

        return read_picture(path, name, limit)
    if suffix in _MAIL:
        from asissto.ingestion.mail import read_mail

        return read_mail(path, name, suffix)
    from asissto.ingestion.partition import read_marked_up

    return read_marked_up(path, name, suffix)


_SPREADSHEETS = frozenset({".csv", ".tsv", ".xlsx", ".xls"})
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
_MAIL = frozenset({".eml", ".msg"})


_DROPPED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffc\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_LINE_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SPACE_RUNS = re.compile(" {2,}")
_BULLETS = dict.fromkeys("\uf0b7\uf0a7\uf0d8", "•")  # of Symbol and Wingdings
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl"}
_LETTERS = str.maketrans(_BULLETS | _LIGATURES)


def _cleaned(block: Block) -> Block:
    """The block in NFC, without characters that nobody sees, and without indentation unless it is code."""
    text = plain(block.text)
    if block.kind == "code":
        return Block(block.kind, text.strip("\n").rstrip(), block.page)
    lines = (_SPACE_RUNS.sub(" ", line).strip() for line in text.split("\n"))
    text = "\n".join(line for line in lines if line)
    if block.kind == "title":
        return _title(block, _one_line(text))
    return Block(block.kind, text, block.page)


def plain(text: str) -> str:
    """In NFC, without characters that nobody sees, with one kind of line break and of space."""
    text = _LINE_BREAKS.sub("\n", _DROPPED.sub("", text))
    return unicodedata.normalize("NFC", _SPACES.sub(" ", text).translate(_LETTERS))


def _title(block: Block, text: str) -> Block:
    """A heading style on a whole paragraph is a mistake of its author, not a heading."""
    return Block("title" if len(text) <= 200 else "text", text, block.page, block.depth)


def _one_line(text: str) -> str:
    return " ".join(text.split())


_NAMED = re.compile(
    r"(?:глава|раздел|часть|приложение|chapter|part|appendix|(статья|section|article))\s+№?\s*[\dIVXLC]+\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2})*)\.?\s+[A-ZА-ЯЁ].*[^\d.]")
_CAPITALS = re.compile(r"[^a-zа-яё]*[A-ZА-ЯЁ]{3}[^a-zа-яё]*")


def _with_headings(blocks: list[Block]) -> list[Block]:
    """Contracts, orders and plain text carry no styles: capitals, "Статья 5" and "2. Сроки" above text are headings."""
    if any(block.kind == "title" for block in blocks):
        return blocks
    following = [*(block.text for block in blocks[1:]), ""]
    return [_as_heading(block, next_text) for block, next_text in zip(blocks, following, strict=True)]


def _as_heading(block: Block, following: str) -> Block:
    text = block.text
    if block.kind not in {"text", "list_item"} or len(text) > 150 or "\n" in text or text[-1] in ":;,":
        return block
    if named := _NAMED.match(text):
        return Block("title", text, block.page, 1 if named[1] else 0)
    numbered = _NUMBERED.fullmatch(text)
    if numbered and (following.startswith(numbered[1] + ".") or len(following) > 150):
        return Block("title", text, block.page, numbered[1].count("."))
    if _CAPITALS.fullmatch(text) and 2 * sum(map(str.isalpha, text)) > len(text):
        return Block("title", text, block.page)
    return block


def _laid_out(blocks: Iterable[Block]) -> tuple[str, tuple[Element, ...]]:
    parts: list[str] = []
    elements: list[Element] = []
    path: dict[int, str] = {}
    position = 0
    for block in blocks:
        if elements:
            parts.append("\n" if block.kind == elements[-1].kind == "list_item" else "\n\n")
            position += len(parts[-1])
        if block.kind == "title":
            path = {depth: text for depth, text in path.items() if depth < block.depth} | {block.depth: block.text}
        end = position + len(block.text)
        elements.append(Element(block.kind, position, end, block.page, tuple(path.values())))
        parts.append(block.text)
        position = end
    return "".join(parts), tuple(elements)


def _only_top_title(blocks: list[Block]) -> str:
    """The one title above all others; several of them are chapters, and none names the document."""
    titles = [block for block in blocks if block.kind == "title"]
    top = [block.text for block in titles if block.depth == min(title.depth for title in titles)]
    return top[0] if len(top) == 1 else ""
