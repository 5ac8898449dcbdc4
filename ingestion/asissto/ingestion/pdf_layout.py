"""Joins the lines of a PDF into paragraphs, list items and headings by their places on the page."""

import re
from collections import Counter

from msgspec import Struct

from asissto.ingestion.parsing import Block


class Line(Struct):
    """A line of text in points from the page's lower left corner, as tall as its font.

    `bottom` is where it starts and `end` where it ends: pdfium may take the first rows of a table for one line.
    """

    text: str
    page: int
    left: float
    right: float
    bottom: float
    end: float
    height: float
    bold: bool
    hyphenated: bool


Style = tuple[float, bool]  # height and weight


class Paragraph(Struct):
    """Lines of one style that belong together; `first` is the line it starts with."""

    first: Line
    text: str


def laid_out(pages: list[list[Line]]) -> list[Block]:
    """Headings are told by size and weight of their font against that of most of the text."""
    paragraphs = _paragraphs(_without_running_heads(pages))
    lengths = Counter[Style]()
    for paragraph in paragraphs:
        lengths[_style(paragraph)] += len(paragraph.text)
    body = lengths.most_common(1)[0][0]
    titles = [paragraph for paragraph in paragraphs if _is_title(paragraph, body)]
    # Where a third of the text stands out, nothing does.
    if 3 * sum(len(title.text) for title in titles) > lengths.total():
        titles = []
    styles = sorted({_style(title) for title in titles}, reverse=True)
    depths = {id(title): min(styles.index(_style(title)), 5) for title in titles}
    return [_block(paragraph, depths.get(id(paragraph))) for paragraph in paragraphs]


def _style(paragraph: Paragraph) -> Style:
    return round(paragraph.first.height), paragraph.first.bold


def _is_title(paragraph: Paragraph, body: Style) -> bool:
    size, bold = body
    text = paragraph.text
    if len(text) > 200 or text.count("\n") > 2 or text[-1] in ".;," or 2 * sum(map(str.isalpha, text)) < len(text):
        return False
    return paragraph.first.height > 1.15 * size or (paragraph.first.bold and not bold)


def _block(paragraph: Paragraph, depth: int | None) -> Block:
    page = paragraph.first.page
    if depth is not None:
        return Block("title", paragraph.text, page, depth)
    return Block("list_item" if _BULLET.match(paragraph.text) else "text", paragraph.text, page)


def _without_running_heads(pages: list[list[Line]]) -> list[Line]:
    """Lines that come at the edge of every other page, but for the page's number, are kept the first time only."""
    edges = {id(line): _running(line) for lines in pages for line in (*lines[:2], *lines[-2:])}
    counts = Counter(edges.values())
    kept: list[Line] = []
    seen: set[str] = set()
    for line in (line for lines in pages for line in lines):
        head = edges.get(id(line), "")
        if head not in seen and not (head.startswith("\0") and counts[head] > 2):
            kept.append(line)
        if counts[head] >= max(3, len(pages) / 2):
            seen.add(head)
    return kept


def _running(line: Line) -> str:
    """The line with its page's number taken out, which may count from elsewhere when nothing else is there."""
    bare = line.text.strip("-–—. ")
    return f"\0{int(bare) - line.page}" if bare.isdecimal() else re.sub(rf"\b{line.page}\b", "#", line.text)


def _paragraphs(lines: list[Line]) -> list[Paragraph]:
    paragraphs: list[Paragraph] = []
    for index, line in enumerate(lines):
        glue = _glue(lines, index) if index else None
        # A paragraph that runs over a page break is finished, and what follows it has its own page.
        if glue is None or (glue == "\n" and line.page != paragraphs[-1].first.page):
            paragraphs.append(Paragraph(line, line.text))
        else:
            paragraphs[-1].text += glue + line.text
    return paragraphs


def _glue(lines: list[Line], index: int) -> str | None:
    """What belongs between this line and the one before: nothing, a hyphen, a space, a line break; None for a gap."""
    before, line = lines[index - 1], lines[index]
    goes_on = line.text[0].islower() or line.text[0] in _CLOSING
    if before.hyphenated:
        return "" if before.text[-1].islower() and goes_on else "-"
    space = "" if line.text[0] in _CLOSING else " "
    step = before.end - line.bottom
    if line.page == before.page and abs(step) < 0.5 * line.height and line.left > before.left:
        return space
    unfinished = goes_on and not _SENTENCE_END.search(before.text)
    if line.page != before.page or step < 0:
        return space if unfinished else None
    if step > 1.9 * line.height or _ITEM.match(line.text):
        return None
    if not unfinished and (before.bold != line.bold or not 0.88 < line.height / before.height < 1.14):
        return None
    return space if unfinished or _is_wrapped(lines, index - 1) else "\n"


_CLOSING = ",;:)]»”"
_ITEM = re.compile(r"[•●▪◦–—-]\s|\uf0b7|\d{1,3}(?:\.\d{1,3})*[.)]\s|[a-zа-яё]\)\s", re.IGNORECASE)
_BULLET = re.compile(r"[•●▪◦–—-]\s|\uf0b7")
_SENTENCE_END = re.compile(r"[.!?:;…][\"'»”)\]]*$")


def _is_wrapped(lines: list[Line], index: int) -> bool:
    """Whether the next line's first word would not have fitted into this line; in prose most lines start small."""
    line, following = lines[index], lines[index + 1]
    column = [near for near in lines[max(0, index - 4) : index + 6] if near.left < line.right]
    word = len(following.text.split(maxsplit=1)[0]) / len(following.text) * (following.right - following.left)
    prose = sum(near.text[0].islower() for near in column) > 0.4 * len(column)
    return prose and line.right + word > max(near.right for near in column)
