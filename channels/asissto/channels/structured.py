"""What is said as data, for programs that show it in their own way: the generic channel and the widget."""

from typing import Any

import msgspec

from asissto.channels.blocks import blocks_of
from asissto.channels.contract import Part, Said
from asissto.channels.plain_words import plain_words


def structured_part(said: Said) -> Part:
    """One part: blocks, citations, notice and language, with the plain words for whoever shows nothing else."""
    extra: dict[str, Any] = {
        "blocks": msgspec.to_builtins(blocks_of(said)),
        "citations": msgspec.to_builtins(said.citations),
        "notice": said.notice,
        "language": said.language,
    }
    if said.asks:
        extra["asks"] = said.asks
    return Part(text=plain_words(said), extra=extra)
