"""A whole reply of a chat model at once, for the small tasks around an answer."""

from collections.abc import Sequence
from typing import Any

from asissto.platform.chat import ChatDelta, ChatMessage, ChatModel


async def complete(
    chat: ChatModel, messages: Sequence[ChatMessage], *, max_tokens: int, purpose: str, calls: list[Any]
) -> str:
    """The text of the reply; what it used is added to `calls`. Raises ProviderError."""
    reply = ""
    async for event in chat.stream(messages, max_tokens=max_tokens):
        if isinstance(event, ChatDelta):
            reply += event.text
        else:
            calls.append((purpose, event.usage))
    return reply
