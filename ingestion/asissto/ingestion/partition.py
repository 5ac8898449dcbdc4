"""Reads HTML, Markdown, Word, PowerPoint and e-mail through unstructured."""

import os
import re
import zlib
from collections.abc import Iterable
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import default as modern
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
from lxml.html import HtmlElement, HTMLParser, document_fromstring, fragment_fromstring, tostring  # type: ignore[import-untyped]
from pptx.exc import PackageNotFoundError as NoSlidesFile
from unstructured.documents import elements as found
from unstructured.errors import UnprocessableEntityError
from unstructured.nlp import tokenize
from unstructured.partition.docx import partition_docx
from unstructured.partition.html import partition_html
from unstructured.partition.pptx import partition_pptx

from asissto.ingestion.parsing import Block, Content, Kind
from asissto.ingestion.plain_text import decode, paragraphs
from asissto.ingestion.spreadsheets import refuse_unless_zip, table_blocks
from asissto.platform.errors import DocumentCorrupt


def read_marked_up(path: Path, name: str, suffix: str) -> Content:
    if suffix == ".eml":
        return _read_mail(path.read_bytes(), name)
    if suffix == ".md":
        return _read_markdown(decode(path.read_bytes(), name))
    if suffix in {".html", ".htm"}:
        return _read_html(decode(path.read_bytes(), name))
    refuse_unless_zip(path, name)
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
    return Content(blocks, _genuine(slides.core_properties.title, blocks), len(slides.slides))


def _genuine(title: str | None, blocks: Iterable[Block]) -> str:
    """The title property often comes from a template: it counts when it stands in the text."""
    folded = (title or "").casefold()
    return title or "" if any(folded in block.text.casefold() for block in blocks) else ""


def _read_markdown(text: str) -> Content:
    front = _FRONT_MATTER.match(text)
    declared = _FRONT_TITLE.search(front[0]) if front else None
    body = _LIST_IN_PARAGRAPH.sub(r"\1\n\n", text[front.end() :] if front else text)
    content = _read_html(markdown.markdown(body, extensions=["tables", "fenced_code"]))
    return Content(content.blocks, declared[1] if declared else "")


_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.*?)[\"']?\s*$", re.MULTILINE)
# As in CommonMark, and not in python-markdown, a list may follow its lead-in without a blank line.
_LIST_IN_PARAGRAPH = re.compile(r"^([^\s>|#*+-].*)\n(?=[*+-] |\d{1,2}[.)] )", re.MULTILINE)


def _read_html(text: str) -> Content:
    if not text.strip():
        return Content([])
    parser = HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    tree = document_fromstring(text.encode(), parser=parser)
    title = tree.findtext(".//title") or ""
    for element in [element for element in tree.iter() if _hidden(element)]:
        element.drop_tree()
    return Content(_blocks(partition_html(text=tostring(tree, encoding="unicode"), languages=[""])), title)


_UNSEEN_TAGS = frozenset({"head", "script", "style", "noscript", "template", "nav"})
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|(?:font-size|opacity)\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)


def _hidden(element: HtmlElement) -> bool:
    """What a reader does not see must not be cited, and may be meant to steer the model."""
    unseen = element.tag in _UNSEEN_TAGS or element.get("hidden") is not None
    return unseen or _UNSEEN_STYLE.search(element.get("style") or "") is not None


def _read_mail(data: bytes, name: str) -> Content:
    message = message_from_bytes(data, _class=EmailMessage, policy=modern)
    if not any(message[field] for field in ("From", "Date", "Subject")):
        raise DocumentCorrupt(name=name)
    head = [f"{field}: {message[field]}" for field in ("From", "To", "Date") if message[field]]
    body = message.get_body(("html", "plain"))
    text = _payload(body, name) if body else ""
    blocks = _read_html(text).blocks if body and body.get_content_subtype() == "html" else paragraphs(text)
    return Content([Block("text", "\n".join(head)), *blocks] if blocks else [], str(message["Subject"] or ""))


def _payload(part: "MIMEPart[str, str]", name: str) -> str:
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)  # a part that is no multipart
    try:
        return data.decode(part.get_content_charset() or "")
    except (LookupError, UnicodeDecodeError):
        return decode(data, name)


def _blocks(parts: Iterable[found.Element]) -> list[Block]:
    return [block for part in parts if not isinstance(part, _NO_TEXT) for block in _part_blocks(part)]


_NO_TEXT = (found.PageBreak, found.PageNumber, found.Image)


def _part_blocks(part: found.Element) -> list[Block]:
    page = part.metadata.page_number
    if part.metadata.text_as_html:
        rows = fragment_fromstring(part.metadata.text_as_html).xpath("./tr|./*/tr")
        return table_blocks([[cell.text_content() for cell in row] for row in rows], page=page)
    kind: Kind = next((kind for category, kind in _KINDS.items() if isinstance(part, category)), "text")
    return [Block(kind, part.text, page, part.metadata.category_depth or 0)]


_KINDS: dict[type[found.Element], Kind] = {found.Title: "title", found.ListItem: "list_item", found.CodeSnippet: "code"}
