"""What is said, in the few tags that Telegram knows, within its limits, with the sources in a quote that unfolds."""

import re
from collections.abc import Iterator, Sequence
from html import escape

import msgspec

from asissto.channels.blocks import Block, Span, blocks_of, pack
from asissto.channels.contract import Cited, Part, Said
from asissto.platform.texts import text

MOST_UNITS = 3_900
"""Telegram takes 4,096 UTF-16 units as they are shown."""

MOST_BYTES = 30_000
"""Telegram takes 32,768 with the tags (telegram-bot-api, Client.cpp, get_formatted_text)."""

MOST_TAGS = 90
"""Telegram drops the entities after the hundredth without a word."""

_LONGEST_LINK = 1_000
"""Bytes of a link as it is written; with `_MOST_MARKS` of them the text of a block can still be cut to fit."""

_LONGEST_TITLE = 200
_LONGEST_QUOTE = 300
_MOST_MARKS = 20
_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LINK = re.compile(r"(?:https?|tg)://[^\s\"<>]+|(?:mailto|tel):[^\s\"<>]+", re.IGNORECASE)


class _Written(msgspec.Struct, frozen=True):
    """`plain` is at least as long as what is shown of `html`."""

    html: str
    plain: str

    def __add__(self, other: "_Written") -> "_Written":
        return _Written(self.html + other.html, self.plain + other.plain)


_EMPTY = _Written("", "")


def render_html(said: Said) -> list[Part]:
    """Blocks are cut only where one alone is longer than a message; sources and notice follow the text."""
    urls = {cited.number: _safe(cited.url or "") for cited in said.citations}
    blocks = [_bearable(block, urls) for block in blocks_of(said)]
    messages = [_write(message, urls) for message in pack(blocks, lambda some: _fits(_write(some, urls)))]
    tail = [*_sources(said), *_notice(said)]
    parts = _joined([*messages, *tail], "\n\n")
    return [_part(part, number) for number, part in enumerate(part for part in parts if part.plain.strip())]


def units(words: str) -> int:
    """UTF-16 units, in which Telegram counts."""
    return len(words.encode("utf-16-le")) // 2


def _part(written: _Written, number: int) -> Part:
    return Part(text=written.html, format="html", plain=written.plain, extra={} if number else {"is_first": True})


def _fits(written: _Written) -> bool:
    return (
        units(written.plain) <= MOST_UNITS
        and len(written.html.encode()) <= MOST_BYTES
        and written.html.count("</") <= MOST_TAGS
    )


def _joined(pieces: Sequence[_Written], gap: str) -> list[_Written]:
    """Pieces in as few messages as will hold them."""
    messages: list[_Written] = []
    for piece in pieces:
        together = messages[-1] + _Written(gap, gap) + piece if messages else piece
        if messages and _fits(together):
            messages[-1] = together
        else:
            messages.append(piece)
    return messages


def _bearable(block: Block, urls: dict[int, str]) -> Block:
    """Marks of sources that are not there are words of the text; so are those beyond any sense."""
    marks = 0
    spans: list[Span] = []
    for span in block.spans:
        marks += span.number is not None
        is_mark = span.number in urls and marks <= _MOST_MARKS
        if span.number is None:
            spans.append(msgspec.structs.replace(span, url=_safe(span.url)))
        elif is_mark:
            spans.append(span)
        else:
            spans.append(Span(f" [{span.number}]" if spans else f"[{span.number}]"))
    return msgspec.structs.replace(block, spans=tuple(spans))


def _safe(url: str) -> str:
    return url if len(escape(url).encode()) <= _LONGEST_LINK and _LINK.fullmatch(url) else ""


def _write(blocks: Sequence[Block], urls: dict[int, str]) -> _Written:
    """Items stand in lines of their own, everything else in paragraphs."""
    written = _EMPTY
    before: Block | None = None
    for block in blocks:
        gap = "" if before is None else "\n" if before.kind == block.kind == "item" else "\n\n"
        written += _Written(gap, gap) + _write_block(block, urls)
        before = block
    return written


def _write_block(block: Block, urls: dict[int, str]) -> _Written:
    inner = _EMPTY
    for span in block.spans:
        is_apart = bool(inner.plain) and not inner.plain[-1].isspace() and inner.plain[-1] != "]"
        inner += _mark(span.number, urls, is_apart=is_apart) if span.number is not None else _words(span, block)
    if block.kind == "heading":
        return _tagged("b", inner)
    if block.kind == "quote":
        return _tagged("blockquote", inner)
    if block.kind == "code":
        return _tagged("pre", inner)
    if block.kind == "item":
        lead = "  " * block.level + (f"{block.marker} " if block.marker else "  ")
        return _Written(lead, lead) + inner
    return inner


def _mark(number: int, urls: dict[int, str], *, is_apart: bool) -> _Written:
    shown = f"[{number}]"
    gap = " " if is_apart else ""
    linked = f'<a href="{escape(urls[number])}">{shown}</a>' if urls.get(number) else shown
    return _Written(gap + linked, gap + shown)


def _words(span: Span, block: Block) -> _Written:
    """Telegram has no bold code, no link in code, and a heading is bold already."""
    shown = _UNSHOWN.sub("", span.text)
    written = _Written(escape(shown, quote=False), shown)
    if not shown or block.kind == "code":
        return written
    if span.url:
        plain = shown if shown == span.url else f"{shown} ({span.url})"
        written = _Written(f'<a href="{escape(span.url)}">{written.html}</a>', plain)
    elif span.code:
        return _tagged("code", written) if block.kind != "heading" else written
    if span.bold and block.kind != "heading":
        written = _tagged("b", written)
    return _tagged("i", written) if span.italic else written


def _tagged(tag: str, inner: _Written) -> _Written:
    return _Written(f"<{tag}>{inner.html}</{tag}>", inner.plain)


def _sources(said: Said) -> Iterator[_Written]:
    """In one quote, which shows three lines until it is opened; in more where one message cannot hold them."""
    if not said.citations:
        return
    heading = text("channel.sources", said.language)
    first = _Written(f"<b>{escape(heading, quote=False)}</b>", f"{heading}:")
    for lines in _joined([first, *(_source(cited) for cited in said.citations)], "\n"):
        yield _Written(f"<blockquote expandable>{lines.html}</blockquote>", lines.plain)


def _source(cited: Cited) -> _Written:
    """`[1] Title, place: “the words”`."""
    url = _safe(cited.url or "")
    title = _shortened(cited.title, _LONGEST_TITLE)
    place = _shortened(cited.locator, _LONGEST_TITLE) if cited.locator != cited.title else ""
    rest = (f", {place}" if place else "") + (f": “{_shortened(cited.quote, _LONGEST_QUOTE)}”" if cited.quote else "")
    linked = f'<a href="{escape(url)}">{escape(title, quote=False)}</a>' if url else escape(title, quote=False)
    plain = f"[{cited.number}] {title}{rest}{f' {url}' if url else ''}"
    return _Written(f"[{cited.number}] {linked}{escape(rest, quote=False)}", plain)


def _notice(said: Said) -> Iterator[_Written]:
    """Cut into pieces where somebody has written a very long one."""
    for start in range(0, len(said.notice), MOST_UNITS // 2):
        shown = _UNSHOWN.sub("", said.notice[start : start + MOST_UNITS // 2])
        yield _tagged("i", _Written(escape(shown, quote=False), shown))


def _shortened(words: str, most: int) -> str:
    """In one line."""
    line = " ".join(_UNSHOWN.sub(" ", words).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"
