"""What is said, as blocks of spans that every channel renders in its own way, and how blocks fit into messages."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from asissto.channels.contract import Said
from asissto.ingestion.sentences import sentence_spans

BlockKind = Literal["paragraph", "heading", "item", "quote", "code"]
_MARK = re.compile(r" ?\[(\d{1,2})\]")
_BULLET = re.compile(r"(?:[-•*–—]|\d{1,3}[.)])\s+(?=\S)")
_SAFE_LINK = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """Either text, or the mark of source `number`; `url` is http(s), mailto or tel."""

    text: str = ""
    number: int | None = None
    bold: bool = False
    italic: bool = False
    code: bool = False
    url: str = ""


class Block(msgspec.Struct, frozen=True):
    """`marker` stands before an item, such as `•` or `2.`; `level` counts how deep it is, from 0."""

    kind: BlockKind
    spans: tuple[Span, ...]
    marker: str = ""
    level: int = 0

    @property
    def text(self) -> str:
        """Without any mark of a source."""
        return "".join(span.text for span in self.spans)


def blocks_of(said: Said) -> list[Block]:
    """The text of what is said, without its notice and its sources."""
    blocks = list(_from_markdown(said.text) if said.is_markdown else _from_plain(said.text))
    return [block for block in blocks if block.spans]


def paragraph(text: str) -> Block:
    return Block("paragraph", (Span(text),))


def _from_plain(text: str) -> Iterator[Block]:
    for passage in re.split(r"\n\s*\n", text.strip()):
        lines: list[str] = []
        for line in passage.split("\n"):
            if bullet := _BULLET.match(line.strip()):
                yield from _joined(lines)
                lines = []
                yield Block("item", tuple(_marked(Span(line.strip()[bullet.end() :]))), _marker(bullet[0]))
            else:
                lines.append(line.strip())
        yield from _joined(lines)


def _joined(lines: Sequence[str]) -> Iterator[Block]:
    if any(lines):
        yield Block("paragraph", tuple(_marked(Span("\n".join(lines)))))


def _marker(bullet: str) -> str:
    return bullet.strip().rstrip(".)") + "." if bullet[0].isdigit() else "•"


def _marked(span: Span) -> Iterator[Span]:
    """The span with its `[n]` parted from the text."""
    end = 0
    for mark in _MARK.finditer(span.text):
        if mark.start() > end:
            yield msgspec.structs.replace(span, text=span.text[end : mark.start()])
        yield Span(number=int(mark[1]))
        end = mark.end()
    if end < len(span.text):
        yield msgspec.structs.replace(span, text=span.text[end:])


def _from_markdown(text: str) -> Iterator[Block]:
    yield from _read(SyntaxTreeNode(_MARKDOWN.parse(text)).children)


def _read(nodes: Sequence[SyntaxTreeNode], kind: BlockKind = "paragraph", level: int = -1) -> Iterator[Block]:
    for node in nodes:
        if node.type in ("bullet_list", "ordered_list"):
            yield from _items(node, level + 1)
        elif node.type == "blockquote":
            yield from _read(node.children, "quote", level)
        elif node.type in ("fence", "code_block"):
            yield Block("code", (Span(node.content.rstrip("\n"), code=True),))
        elif node.type == "tr":
            cells = [tuple(_inline(cell)) for cell in node.children]
            yield Block(kind, (*cells[0], *(span for cell in cells[1:] for span in (Span(" | "), *cell))))
        elif node.type in ("paragraph", "heading"):
            yield Block("heading" if node.type == "heading" else kind, tuple(_inline(node)))
        else:
            yield from _read(node.children, kind, level)


def _items(nodes: SyntaxTreeNode, level: int) -> Iterator[Block]:
    first = int(nodes.attrs.get("start", 1))
    for number, item in enumerate(nodes.children, first):
        marker = f"{number}." if nodes.type == "ordered_list" else "•"
        for block in _read(item.children, level=level):
            if block.kind == "paragraph":  # the second one of an item stands below it, without a marker
                block = Block("item", block.spans, marker, level)  # noqa: PLW2901
                marker = ""
            yield block


def _inline(node: SyntaxTreeNode) -> Iterator[Span]:
    for inline in node.children:
        yield from _spans(inline.children)


def _spans(nodes: Sequence[SyntaxTreeNode], style: Span = Span()) -> Iterator[Span]:  # noqa: B008 - it is frozen
    for node in nodes:
        if node.type == "strong":
            yield from _spans(node.children, msgspec.structs.replace(style, bold=True))
        elif node.type == "em":
            yield from _spans(node.children, msgspec.structs.replace(style, italic=True))
        elif node.type == "link":
            href = str(node.attrs.get("href", ""))
            yield from _spans(node.children, msgspec.structs.replace(style, url=href if _SAFE_LINK.match(href) else ""))
        elif node.type in ("softbreak", "hardbreak"):
            yield msgspec.structs.replace(style, text="\n")
        elif node.type == "code_inline":
            yield msgspec.structs.replace(style, text=node.content, code=True)
        elif node.children:
            yield from _spans(node.children, style)
        else:
            yield from _marked(msgspec.structs.replace(style, text=node.content))


def pack(blocks: Sequence[Block], fits: Callable[[Sequence[Block]], bool]) -> list[list[Block]]:
    """Blocks in as few messages as `fits` allows; one that is too long alone is cut, between sentences if possible."""
    messages: list[list[Block]] = [[]]
    waiting = list(reversed(blocks))
    while waiting:
        block = waiting.pop()
        if fits([*messages[-1], block]):
            messages[-1].append(block)
        elif messages[-1]:
            messages.append([])
            waiting.append(block)
        else:
            first, rest = _cut_to_fit(block, lambda part: fits([part]))
            messages[-1].append(first)
            if rest is not None:
                messages.append([])
                waiting.append(rest)
    return [message for message in messages if message]


def _cut_to_fit(block: Block, fits: Callable[[Block], bool]) -> tuple[Block, Block | None]:
    """The longest beginning that fits, at least one character of it."""
    low, high = 1, len(block.text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(_cut(block, middle)[0]) else (low, middle - 1)
    return _cut(block, _boundary(block, low))


def _boundary(block: Block, most: int) -> int:
    """The last end of a sentence, else of a line, else of a word that is not too early; else between letters."""
    text = block.text
    if most >= len(text):
        return most
    ends = [end for _, end in sentence_spans(text) if end <= most] if block.kind != "code" else []
    if ends and ends[-1] > most // 3:
        return ends[-1]
    for gap in ("\n", " "):
        if (found := text.rfind(gap, 0, most + 1)) > most // 3:
            return found
    while most > 1 and _is_joined(text[most]):
        most -= 1
    return most


def _is_joined(letter: str) -> bool:
    """Whether the letter belongs to the one before it: joiners, variation selectors, combining marks, skin tones."""
    return letter in "\u200d\ufe0e\ufe0f" or "\u0300" <= letter <= "\u036f" or "\U0001f3fb" <= letter <= "\U0001f3ff"


def _cut(block: Block, at: int) -> tuple[Block, Block | None]:
    first: list[Span] = []
    rest: list[Span] = []
    left = at
    for span in block.spans:
        if span.number is not None:
            (first if left >= 0 and not rest else rest).append(span)
            continue
        if left > 0:
            first.append(msgspec.structs.replace(span, text=span.text[:left]))
        if len(span.text) > left:
            more = span.text[max(left, 0) :]
            rest.append(msgspec.structs.replace(span, text=more if rest or block.kind == "code" else more.lstrip()))
        left -= len(span.text)
    others = tuple(span for span in rest if span.text or span.number is not None)
    beginning = msgspec.structs.replace(block, spans=tuple(first))
    return beginning, msgspec.structs.replace(block, spans=others, marker="") if others else None
