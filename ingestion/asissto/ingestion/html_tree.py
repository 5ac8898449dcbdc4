"""Prepares HTML for reading: what nobody sees goes, merged cells come apart, depth is bounded."""

import re
from collections.abc import Iterator

from lxml.html import Element, HtmlElement, HTMLParser, document_fromstring  # type: ignore[import-untyped]

from asissto.platform.errors import DocumentTooComplex

_DEEPEST = 100
"""Levels that unstructured is given; its parser drops without a word what lies below 256."""


def readable_tree(text: str, name: str) -> HtmlElement:
    """Raises DocumentTooComplex below 2,048 levels, where libxml2 stops reading."""
    parser = HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    tree = document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    if any("Excessive depth" in error.message for error in parser.error_log):
        raise DocumentTooComplex(name=name)
    for element in [element for element in tree.iter() if _hidden(element)]:
        element.drop_tree()
    for table in [*tree.iter("table")]:
        if _is_layout(table):
            _dissolve(table)
        else:
            take_apart(table)
    for element in _deep(tree):
        element.drop_tag()
    return tree


_UNSEEN_TAGS = frozenset({"script", "style", "noscript", "template", "nav"})
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|(?:font-size|opacity)\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)


def _hidden(element: HtmlElement) -> bool:
    """What a reader does not see must not be cited, and may be meant to steer the model."""
    unseen = element.tag in _UNSEEN_TAGS or element.get("hidden") is not None
    return unseen or _UNSEEN_STYLE.search(element.get("style") or "") is not None


def _is_layout(table: HtmlElement) -> bool:
    """Mail above all is laid out in tables of tables, or of one column."""
    rows = table.xpath("./tr|./*/tr")
    return bool(table.xpath(".//table")) or all(len(row.xpath("./td|./th")) < 2 for row in rows)


def _dissolve(table: HtmlElement) -> None:
    """Its cells become parts of the page; rows of several cells without a table in them stay tables."""
    rows = table.xpath("./tr|./*/tr")
    inner: HtmlElement | None = None
    for part in [table, *table.xpath("./tbody|./thead|./tfoot")]:
        part.tag = "div"
    for row in rows:
        filled = [cell for cell in row.xpath("./td|./th") if cell.text_content().strip()]
        if len(filled) < 2 or row.xpath(".//table"):
            inner = None
            for part in [row, *row.xpath("./td|./th")]:
                part.tag = "div"
            continue
        if inner is None:
            inner = Element("table")
            row.addprevious(inner)
        inner.append(row)
    for made in table.xpath("./table[tr]|./div/table[tr]"):
        take_apart(made)


def take_apart(table: HtmlElement) -> None:
    """A short cell over several rows is repeated in each, so that each row can be read alone; others leave gaps."""
    hanging: dict[int, tuple[int, str]] = {}
    for row in table.xpath("./tr|./*/tr"):
        hanging = _fill(row, hanging)


def _fill(row: HtmlElement, hanging: dict[int, tuple[int, str]]) -> dict[int, tuple[int, str]]:
    """Puts in what hangs down from the rows above; returns what hangs into the next: rows left and text by column."""
    following = {column: (rows - 1, text) for column, (rows, text) in hanging.items() if rows > 1}
    column = 0
    for cell in row.xpath("./td|./th"):
        while column in hanging:
            _insert(row, cell, hanging[column][1])
            column += 1
        width, height = _span(cell, "colspan", _MOST_COLUMNS - column), _span(cell, "rowspan", 65_534)
        text = " ".join(cell.text_content().split()) if height > 1 else ""
        for offset in range(width):
            if height > 1:
                repeated = text if not offset and len(text) <= _LONGEST_REPEATED else ""
                following[column + offset] = height - 1, repeated
            if offset:
                _insert(row, cell.getnext(), "")
        column += width
    while column in hanging:
        _insert(row, None, hanging[column][1])
        column += 1
    return following


_MOST_COLUMNS = 1_000  # the most that HTML allows one cell to span
_LONGEST_REPEATED = 100  # characters: longer cells are layout


def _span(cell: HtmlElement, attribute: str, most: int) -> int:
    written = cell.attrib.pop(attribute, "1").strip()
    return max(1, min(int(written[:6]), most)) if written.isdecimal() else 1


def _insert(row: HtmlElement, before: HtmlElement | None, text: str) -> None:
    cell = Element("td")
    cell.text = text
    if before is None:
        row.append(cell)
    else:
        before.addprevious(cell)


def _deep(tree: HtmlElement) -> list[HtmlElement]:
    return [element for element, depth in _with_depth(tree) if depth > _DEEPEST]


def _with_depth(tree: HtmlElement) -> Iterator[tuple[HtmlElement, int]]:
    level = [tree]
    depth = 0
    while level:
        for element in level:
            yield element, depth
        level = [child for element in level for child in element]
        depth += 1
