"""Reads HTML, Markdown, Word and PowerPoint through unstructured."""

import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile

# unstructured reports its use to its makers and advertises on stderr unless it is told not to before its import.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["SCARF_NO_ANALYTICS"] = "true"
os.environ["UNSTRUCTURED_DISABLE_NOTICE"] = "1"

import docx
import markdown  # type: ignore[import-untyped]
import pptx
import spacy
from docx.opc.exceptions import PackageNotFoundError as NoWordFile
from lxml import etree  # type: ignore[import-untyped]
from lxml.html import fragment_fromstring, tostring  # type: ignore[import-untyped]
from pptx.exc import PackageNotFoundError as NoSlidesFile
from pptx.slide import Slide
from unstructured.documents import elements as found
from unstructured.errors import UnprocessableEntityError
from unstructured.nlp import tokenize
from unstructured.partition.docx import partition_docx
from unstructured.partition.html import partition_html
from unstructured.partition.pptx import partition_pptx

from asissto.ingestion.archives import refuse_bomb
from asissto.ingestion.converting import CONVERTED, as_word
from asissto.ingestion.html_tree import readable_tree, take_apart
from asissto.ingestion.parsing import Block, Content, Kind
from asissto.ingestion.plain_text import decode
from asissto.ingestion.spreadsheets import table_blocks
from asissto.platform.errors import DocumentCorrupt


def read_marked_up(path: Path, name: str, suffix: str) -> Content:
    if suffix == ".md":
        return _read_markdown(decode(path.read_bytes(), name), name)
    if suffix in {".html", ".htm"}:
        return read_html(decode(path.read_bytes(), name), name)
    if suffix in CONVERTED:
        with as_word(path, name, suffix) as converted:
            return read_marked_up(converted, name, ".docx")
    refuse_bomb(path, name)
    try:
        return _read_word(path) if suffix == ".docx" else _read_slides(path)
    except _BROKEN_OFFICE as error:
        if getattr(error, "code", None) == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from error
        raise DocumentCorrupt(name=name) from error


_BROKEN_OFFICE = (
    BadZipFile,
    zlib.error,
    NotImplementedError,  # a zip of a later version, as a damaged one claims to be
    EOFError,
    KeyError,
    ValueError,
    etree.LxmlError,
    NoWordFile,
    NoSlidesFile,
    UnprocessableEntityError,
)


# In place of the English model that unstructured would download; its guesses of what is a title get rougher.
_PIPELINE = spacy.blank("xx")
_PIPELINE.add_pipe("sentencizer")
tokenize._load_spacy_model = lambda: _PIPELINE  # noqa: SLF001


def _read_word(path: Path) -> Content:
    blocks = _blocks(partition_docx(str(path), languages=[""]))
    pages = max((block.page or 1 for block in blocks), default=1)
    return Content(blocks, _genuine(docx.Document(str(path)).core_properties.title, blocks), pages)


def _read_slides(path: Path) -> Content:
    """Only the first line of a slide's title place is a heading, whatever else unstructured takes for a title."""
    parts = partition_pptx(str(path), languages=[""])
    blocks = [
        Block("text", block.text, block.page) if block.kind == "title" and block.depth else block
        for block in _blocks(parts)
    ]
    slides = pptx.Presentation(str(path))
    # unstructured would put the notes of a slide before its title, into the section of the slide before.
    spoken = [Block("text", _notes(slide), number) for number, slide in enumerate(slides.slides, 1)]
    content = sorted((*blocks, *spoken), key=lambda block: block.page or 0)
    return Content(content, _genuine(slides.core_properties.title, blocks), len(slides.slides))


def _notes(slide: Slide) -> str:
    frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    return frame.text if frame is not None else ""


def _genuine(title: str | None, blocks: Iterable[Block]) -> str:
    """The title property often comes from a template: it counts when it stands in the text."""
    folded = (title or "").casefold()
    return title or "" if any(folded in block.text.casefold() for block in blocks) else ""


def _read_markdown(text: str, name: str) -> Content:
    front = _FRONT_MATTER.match(text)
    declared = _FRONT_TITLE.search(front[0]) if front else None
    body = _LIST_IN_PARAGRAPH.sub(r"\1\n\n", text[front.end() :] if front else text)
    content = read_html(markdown.markdown(body, extensions=["tables", "fenced_code"]), name)
    return Content(content.blocks, declared[1] if declared else "")


_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.*?)[\"']?\s*$", re.MULTILINE)
# As in CommonMark, and not in python-markdown, a list may follow its lead-in without a blank line.
_LIST_IN_PARAGRAPH = re.compile(r"^([^\s>|#*+-].*)\n(?=[*+-] |\d{1,2}[.)] )", re.MULTILINE)


def read_html(text: str, name: str) -> Content:
    if not text.strip():
        return Content([])
    tree = readable_tree(text, name)
    title = tree.findtext(".//title") or ""
    for head in tree.xpath("/html/head"):
        head.drop_tree()
    return Content(_blocks(partition_html(text=tostring(tree, encoding="unicode"), languages=[""])), title)


def _blocks(parts: Iterable[found.Element]) -> list[Block]:
    return [block for part in parts if not isinstance(part, _NO_TEXT) for block in _part_blocks(part)]


_NO_TEXT = (found.PageBreak, found.PageNumber, found.Image)


def _part_blocks(part: found.Element) -> list[Block]:
    page = part.metadata.page_number
    if part.metadata.text_as_html:
        table = fragment_fromstring(part.metadata.text_as_html)
        take_apart(table)
        rows = table.xpath("./tr|./*/tr")
        return table_blocks([[cell.text_content() for cell in row] for row in rows], page=page)
    kind: Kind = next((kind for category, kind in _KINDS.items() if isinstance(part, category)), "text")
    return [Block(kind, part.text, page, part.metadata.category_depth or 0)]


_KINDS: dict[type[found.Element], Kind] = {found.Title: "title", found.ListItem: "list_item", found.CodeSnippet: "code"}
