"""Holds a generated answer to its sources: each sentence is checked, each mark becomes a quote, the rest is dropped."""

from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from asissto.platform.chat import ChatMessage, ChatModel, Usage
from asissto.platform.texts import Language
from asissto.retrieval.passages import Citation, Passage


class Grounded(msgspec.Struct, frozen=True, kw_only=True):
    """`knows` is False where the model found no answer in the sources; no citations: nothing of it was supported."""

    text: str
    knows: bool
    citations: tuple[Citation, ...]
    usage: Usage
    notes: tuple[str, ...]


async def generate(
    chat: ChatModel,
    messages: Sequence[ChatMessage],
    passages: Sequence[Passage],
    question: str,
    idf: Mapping[str, float],
    most_tokens: int,
    language: Language,
) -> AsyncIterator[str | Grounded]:
    """Text as it comes, then what stood the check; raises ProviderError."""
    raise NotImplementedError
    yield ""
