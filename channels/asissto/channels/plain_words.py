"""What is said as plain text with numbered sources: for channels without a format of their own."""

from collections.abc import Sequence

from asissto.channels.blocks import Block, blocks_of
from asissto.channels.contract import Cited, Said
from asissto.platform.texts import text


def plain_words(said: Said) -> str:
    """The answer, the notice below it, and the list of its sources."""
    parts = [plain_blocks(blocks_of(said)), said.notice, plain_sources(said)]
    return "\n\n".join(part for part in parts if part)


def plain_blocks(blocks: Sequence[Block]) -> str:
    """Items stand in lines of their own, everything else in paragraphs."""
    written = ""
    before: Block | None = None
    for block in blocks:
        if before is not None:
            written += "\n" if before.kind == block.kind == "item" else "\n\n"
        written += plain_block(block)
        before = block
    return written


def plain_block(block: Block) -> str:
    marks = "".join(
        f" [{span.number}]"
        if span.number is not None
        else f"{span.text} ({span.url})"
        if span.url and span.url != span.text
        else span.text
        for span in block.spans
    )
    if block.kind == "item":
        return f"{'  ' * block.level}{block.marker} {marks}" if block.marker else f"{'  ' * block.level}  {marks}"
    return marks


def plain_sources(said: Said) -> str:
    """`[1] Title, place` a line; empty where nothing is cited."""
    if not said.citations:
        return ""
    lines = [plain_source(cited) for cited in said.citations]
    return "\n".join([f"{text('channel.sources', said.language)}:", *lines])


def plain_source(cited: Cited) -> str:
    place = f", {cited.locator}" if cited.locator and cited.locator != cited.title else ""
    address = f" {cited.url}" if cited.url else ""
    return f"[{cited.number}] {cited.title}{place}{address}"
