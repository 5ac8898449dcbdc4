"""Small answers of a model that are read as a whole: a line of text, or JSON of a known form."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from asissto.platform.chat import ChatDelta, ChatMessage, ChatModel
from asissto.platform.errors import ProviderError
from asissto.platform.model_calls import ModelCall, Purpose

T = TypeVar("T")

MOST_TRIES = 20
"""Brackets that are taken for the beginning of the JSON; a text of nothing but brackets would cost minutes."""

AGAIN = "That was not the JSON that was asked for. Reply with the JSON alone, without any other word."

_TRAILING_COMMA = re.compile(r",\s*(?=[}\]])")


async def complete(  # noqa: PLR0913 - what a request to a model has
    chat: ChatModel,
    messages: Sequence[ChatMessage],
    *,
    max_tokens: int,
    purpose: Purpose,
    temperature: float | None = None,
    calls: list[ModelCall] | None = None,
) -> str:
    """The whole answer; raises ProviderError."""
    stream = chat.stream(messages, max_tokens=max_tokens, purpose=purpose, temperature=temperature, calls=calls)
    return "".join([event.text async for event in stream if isinstance(event, ChatDelta)]).strip()


async def complete_json(  # noqa: PLR0913 - the same, and the form of the answer
    chat: ChatModel,
    messages: Sequence[ChatMessage],
    kind: type[T],
    *,
    max_tokens: int,
    purpose: Purpose,
    temperature: float | None = None,
    calls: list[ModelCall] | None = None,
) -> T | None:
    """Asked once more where nothing of the answer fits `kind`; None where that fails too, or the provider does."""
    asked = list(messages)
    for _ in range(2):
        try:
            answer = await complete(
                chat, asked, max_tokens=max_tokens, purpose=purpose, temperature=temperature, calls=calls
            )
        except ProviderError:
            return None
        found = read_json(answer, kind)
        if found is not None:
            return found
        asked = [*messages, ChatMessage("assistant", answer), ChatMessage("user", AGAIN)]
    return None


def read_json(answer: str, kind: type[T]) -> T | None:
    """The first JSON in the text that fits, whatever stands around it: fences, an introduction, a farewell."""
    for text in (answer, _TRAILING_COMMA.sub("", answer)):
        for value in _values(text):
            try:
                return msgspec.convert(value, kind)
            except msgspec.ValidationError:
                continue
    return None


def _values(text: str) -> Iterator[Any]:
    """The objects and lists that stand in the text, from left to right, none from within another."""
    decoder, at = json.JSONDecoder(), 0
    for _ in range(MOST_TRIES):
        start = _next_bracket(text, at)
        if start < 0:
            return
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        yield value


def _next_bracket(text: str, at: int) -> int:
    found = [start for start in (text.find("{", at), text.find("[", at)) if start >= 0]
    return min(found, default=-1)
