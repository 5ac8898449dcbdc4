"""Renders what is said as a mail: plain words and HTML, each with footnotes that quote the sources."""

import html
import re
from collections.abc import Iterator, Sequence

from asissto.channels.blocks import Block, Span, blocks_of
from asissto.channels.contract import Cited, Part, Said
from asissto.platform.texts import text

_LONGEST_QUOTE = 500
_WEB = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_GREY = "color:#57606a"
_QUOTES = {"ru": ("«", "»"), "en": ("“", "”")}


def render_mail(said: Said) -> Part:
    """Both versions say the same; a program that shows no HTML loses nothing but its looks."""
    blocks = blocks_of(said)
    return Part(text=_plain(said, blocks), format="mail", extra={"html": _html(said, blocks)})


def _plain(said: Said, blocks: Sequence[Block]) -> str:
    passages = ["\n".join(_plain_block(block) for block in group) for group in _grouped(blocks)]
    if said.notice:
        passages.append(said.notice)
    if said.citations:
        notes = "\n\n".join(_plain_note(said, cited) for cited in said.citations)
        passages.append(f"{text('channel.sources', said.language)}:\n\n{notes}")
    return "\n\n".join(passages) + "\n"


def _grouped(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Items of a list stand right below each other."""
    group: list[Block] = []
    for block in blocks:
        if group and not (block.kind == group[-1].kind == "item"):
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _plain_block(block: Block) -> str:
    words = "".join(_plain_span(span) for span in block.spans)
    if block.kind == "item":
        indent = "  " * block.level
        marker = f"{block.marker} " if block.marker else "  "
        return indent + marker + words.replace("\n", f"\n{indent}{' ' * len(marker)}")
    return "> " + words.replace("\n", "\n> ") if block.kind == "quote" else words


def _plain_span(span: Span) -> str:
    if span.number is not None:
        return f" [{span.number}]"
    return f"{span.text} ({span.url})" if span.url and span.url != span.text else span.text


def _plain_note(said: Said, cited: Cited) -> str:
    lines = [f"[{cited.number}] {_named(cited)}", _quoted(said, cited), _web(cited.url)]
    return "\n".join(line for line in lines if line)


def _named(cited: Cited) -> str:
    return ", ".join(filter(None, (cited.title, cited.locator)))


def _quoted(said: Said, cited: Cited) -> str:
    quote = " ".join(cited.quote.split())
    if len(quote) > _LONGEST_QUOTE:
        quote = quote[:_LONGEST_QUOTE].rsplit(" ", 1)[0] + "…"
    opening, closing = _QUOTES[said.language]
    return f"{opening}{quote}{closing}" if quote else ""


def _web(url: str | None) -> str:
    return url if url and _WEB.fullmatch(url) else ""


def _html(said: Said, blocks: Sequence[Block]) -> str:
    links = {cited.number: _web(cited.url) for cited in said.citations}
    body = [_html_block(block, links) for block in blocks]
    if said.notice:
        body.append(f'<p style="{_GREY}">{_escaped(said.notice)}</p>')
    if said.citations:
        body.append(f'<hr><p style="{_GREY}"><b>{_escaped(text("channel.sources", said.language))}</b></p>')
        body += [_html_note(said, cited) for cited in said.citations]
    return (
        f'<!DOCTYPE html>\n<html lang="{said.language}"><head><meta charset="utf-8"></head>\n<body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _html_block(block: Block, links: dict[int, str]) -> str:
    words = "".join(_html_span(span, links) for span in block.spans)
    if block.kind == "item":
        marker = f"{_escaped(block.marker)} " if block.marker else ""
        return f'<p style="margin:0 0 4px {20 * (block.level + 1)}px">{marker}{words}</p>'
    if block.kind == "heading":
        return f"<p><b>{words}</b></p>"
    if block.kind == "code":
        return f"<pre>{words}</pre>"
    return f"<blockquote>{words}</blockquote>" if block.kind == "quote" else f"<p>{words}</p>"


def _html_span(span: Span, links: dict[int, str]) -> str:
    if span.number is not None:
        return f"<sup>{_linked(f'[{span.number}]', links.get(span.number, ''))}</sup>"
    words = _escaped(span.text)
    if span.code:
        words = f"<code>{words}</code>"
    if span.italic:
        words = f"<i>{words}</i>"
    if span.bold:
        words = f"<b>{words}</b>"
    return _linked(words, span.url)


def _html_note(said: Said, cited: Cited) -> str:
    quote = _quoted(said, cited)
    below = f"<br><i>{_escaped(quote)}</i>" if quote else ""
    return f'<p style="{_GREY}">[{cited.number}] {_linked(_escaped(_named(cited)), _web(cited.url))}{below}</p>'


def _linked(words: str, url: str) -> str:
    return f'<a href="{html.escape(url)}">{words}</a>' if url else words


def _escaped(words: str) -> str:
    return html.escape(words, quote=False).replace("\n", "<br>\n")
