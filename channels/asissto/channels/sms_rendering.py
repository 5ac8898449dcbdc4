"""What is said, as one SMS within its limit of segments, or as messages with WhatsApp's own marks."""

from collections.abc import Callable, Iterator, Sequence

from asissto.channels.blocks import Block, Span, blocks_of, pack, paragraph
from asissto.channels.contract import Said
from asissto.channels.sms_text import fold, segments
from asissto.platform.texts import text

WHATSAPP_UNITS = 1_600
"""Of one message, in UTF-16 units: the largest body that Twilio takes (error 21617)."""

MOST_MESSAGES = 4
"""Of one answer in WhatsApp, before the link takes its rest."""

_MOST_LETTERS = 2_000
"""More than the ten segments of the largest limit hold in any alphabet."""


def one_sms(said: Said, max_segments: int, *, folds: bool) -> str:
    """The answer with a list of its sources; where that is too long, with the link; else its beginning and the link."""
    write = fold if folds else str

    def fits(words: str) -> bool:
        return segments(write(words)) <= max_segments

    return write(_first_fitting(said, fits))


def _first_fitting(said: Said, fits: Callable[[str], bool]) -> str:
    blocks = blocks_of(said)
    bare = _plain(blocks, marks=False)
    link = _link_line(said)
    whole = _joined(_plain(blocks, marks=bool(said.citations)), said.notice, _sources(said))
    for words in (whole, _joined(bare, said.notice, link)):
        if fits(words):
            return words
    for ending in ((said.notice, link), (link,), (said.link,), ()):
        if (cut := _beginning(bare, ending, fits)) is not None:
            return cut
    return ""


def _link_line(said: Said) -> str:
    return f"{text('channel.whole_answer', said.language)} {said.link}" if said.link else ""


def _beginning(words: str, ending: Sequence[str], fits: Callable[[str], bool]) -> str | None:
    """Up to the end of a sentence, if possible; None where the ending alone takes all the room."""

    def shown(blocks: Sequence[Block]) -> str:
        return _joined(blocks[0].text.rstrip() + "…", *ending)

    found = shown(pack([paragraph(words[:_MOST_LETTERS])], lambda blocks: fits(shown(blocks)))[0])
    return found if fits(found) else None


def _joined(*passages: str) -> str:
    return "\n".join(passage for passage in passages if passage)


def _plain(blocks: Sequence[Block], *, marks: bool) -> str:
    return "\n".join(_line(block, "".join(_plain_span(span, marks) for span in block.spans)) for block in blocks)


def _line(block: Block, words: str) -> str:
    return f"{'  ' * block.level}{block.marker} {words}" if block.marker else words


def _plain_span(span: Span, marks: bool) -> str:
    if span.number is not None:
        return f" [{span.number}]" if marks else ""
    return f"{span.text} ({span.url})" if _tells_more(span) else span.text


def _tells_more(span: Span) -> bool:
    return span.url.lower().startswith("http") and span.url.rstrip("/") != span.text.strip().rstrip("/")


def _sources(said: Said) -> str:
    return "\n".join(_source_lines(said, with_urls=False))


def _source_lines(said: Said, *, with_urls: bool) -> Iterator[str]:
    if said.citations:
        yield text("channel.sources", said.language) + ":"
    for cited in said.citations:
        place = f"[{cited.number}] {cited.title}" + (f", {cited.locator}" if cited.locator else "")
        yield f"{place}\n{cited.url}" if with_urls and cited.url else place


def whatsapp_messages(said: Said) -> list[str]:
    """Cut between blocks, and inside of one only where it is longer than a message; after MOST_MESSAGES the link."""
    sources = [paragraph(line) for line in _source_lines(said, with_urls=True)]
    notice = [paragraph(said.notice)] if said.notice else []
    blocks = [*blocks_of(said), *notice, *sources]
    packed = pack(blocks, lambda some: _units(_marked(some)) <= WHATSAPP_UNITS)
    if len(packed) > MOST_MESSAGES and said.link:
        packed = [*packed[:MOST_MESSAGES], [paragraph(_link_line(said))]]
    return [_marked(message) for message in packed]


def _units(words: str) -> int:
    return len(words.encode("utf-16-le")) // 2


def _marked(blocks: Sequence[Block]) -> str:
    return "\n".join(_line(block, _marked_words(block)) for block in blocks).strip()


def _marked_words(block: Block) -> str:
    if block.kind == "code":
        return f"```{block.text}```"
    words = "".join(_marked_span(span, heads=block.kind == "heading") for span in block.spans)
    return f"> {words}" if block.kind == "quote" else words


def _marked_span(span: Span, *, heads: bool) -> str:
    if span.number is not None or not span.text.strip():
        return _plain_span(span, marks=True)
    mark = "`" if span.code else "*" * (span.bold or heads) + "_" * span.italic
    inner = span.text.strip()
    before, after = span.text[: span.text.index(inner)], span.text[span.text.index(inner) + len(inner) :]
    told = f" ({span.url})" if _tells_more(span) else ""
    return f"{before}{mark}{inner}{mark[::-1]}{told}{after}"
