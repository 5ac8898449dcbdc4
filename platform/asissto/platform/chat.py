"""Chat models of an OpenAI-compatible endpoint: the answer comes piece by piece and ends with what it used."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from copy import copy
from typing import TYPE_CHECKING, Literal, Protocol, cast

import msgspec
from msgspec import Struct

from asissto.platform.endpoint import Endpoint, provider_errors
from asissto.platform.errors import ProviderError
from asissto.platform.settings import Settings
from asissto.platform.tokens import count_tokens

if TYPE_CHECKING:
    from openai import AsyncStream
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

FIRST_TOKEN_SECONDS = 15.0
ANSWER_SECONDS = 45.0
PAUSE_SECONDS = 0.5
# Somebody is waiting for the answer: where the provider asks for more than this, a quoted answer now is the better one.
LONGEST_PAUSE_SECONDS = 5.0

# These refuse `max_tokens` and a temperature, and count their thoughts as part of the answer: 400 tokens leave nothing
# for the text.
THINKING_MODEL = re.compile(r"(?:.*/)?(?:gpt-[5-9]|o[1-9]\b)")
THINKING_TOKENS = 2000


class ChatMessage(Struct, frozen=True):
    role: Literal["system", "user", "assistant"]
    content: str


class Usage(Struct, frozen=True):
    """`cached_tokens` is the part of `prompt_tokens` that the provider had in its cache."""

    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    estimated: bool


class ChatDelta(Struct, frozen=True):
    text: str


class ChatEnd(Struct, frozen=True):
    """`finish` is "stop", "length" where the answer was cut at `max_tokens`, or a word of the provider's own."""

    usage: Usage
    finish: str


class ChatModel(Protocol):
    name: str

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, temperature: float | None = None
    ) -> AsyncIterator[ChatDelta | ChatEnd]:
        """Deltas, then one ChatEnd; raises ProviderError, after some deltas too. None: the provider's temperature."""
        ...

    def named(self, name: str) -> "ChatModel":
        """Another model of the same endpoint."""
        ...


def make_chat_model(settings: Settings, model: str | None = None) -> "OpenAIChat | None":
    """None where no endpoint is set, so that answers are quoted instead of generated."""
    return OpenAIChat(settings, model or settings.chat_model) if settings.has_chat_model else None


class OpenAIChat:
    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self._endpoint = Endpoint(settings, seconds=FIRST_TOKEN_SECONDS, retries=0)

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, temperature: float | None = None
    ) -> AsyncIterator[ChatDelta | ChatEnd]:
        """Tries a second time only while no text has come: what the reader has seen cannot be taken back."""
        started = asyncio.get_running_loop().time()
        for last_attempt in (False, True):
            text_came = False
            try:
                async with aclosing(self._attempt(messages, max_tokens, temperature, started)) as events:
                    async for event in events:
                        text_came = True
                        yield event
            except ProviderError as error:
                pause = _pause(error)
                if last_attempt or text_came or error.permanent or pause > LONGEST_PAUSE_SECONDS:
                    raise
                await asyncio.sleep(pause)
            else:
                return

    def named(self, name: str) -> "OpenAIChat":
        other = copy(self)
        other.name = name
        return other

    async def close(self) -> None:
        await self._endpoint.close()

    async def _attempt(
        self, messages: Sequence[ChatMessage], max_tokens: int, temperature: float | None, started: float
    ) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
        deadline = started + FIRST_TOKEN_SECONDS
        answer, finish, spent = "", "", None
        async with await self._open(messages, max_tokens, temperature, deadline) as chunks:
            while (chunk := await _next(chunks, deadline)) is not None:
                finish, spent = chunk.finish or finish, chunk.usage or spent
                if chunk.text:
                    answer += chunk.text
                    deadline = started + ANSWER_SECONDS
                    yield ChatDelta(chunk.text)
        _require_whole(answer, finish)
        usage = self._usage(spent) if spent else await asyncio.to_thread(self._estimate, messages, answer)
        yield ChatEnd(usage, finish)

    async def _open(
        self, messages: Sequence[ChatMessage], max_tokens: int, temperature: float | None, deadline: float
    ) -> "AsyncStream[ChatCompletionChunk]":
        client = await self._endpoint.client()
        from openai import omit

        thinks = THINKING_MODEL.match(self.name) is not None
        with provider_errors():
            async with asyncio.timeout_at(deadline):
                return await client.chat.completions.create(
                    model=self.name,
                    messages=cast("list[ChatCompletionMessageParam]", msgspec.to_builtins(messages)),
                    max_tokens=omit if thinks else max_tokens,
                    temperature=omit if thinks or temperature is None else temperature,
                    max_completion_tokens=max_tokens + THINKING_TOKENS if thinks else omit,
                    reasoning_effort="low" if thinks and "-chat" not in self.name else omit,
                    stream=True,
                    stream_options={"include_usage": True},
                )

    def _usage(self, spent: "_Spent") -> Usage:
        details = spent.prompt_tokens_details or _Details()
        return Usage(
            self.name, spent.prompt_tokens, spent.completion_tokens, details.cached_tokens or 0, estimated=False
        )

    def _estimate(self, messages: Sequence[ChatMessage], answer: str) -> Usage:
        prompt_tokens = sum(count_tokens(message.content) for message in messages)
        return Usage(self.name, prompt_tokens, count_tokens(answer), 0, estimated=True)


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Details(Struct):
    cached_tokens: int | None = None


class _Spent(Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Details | None = None


class _Chunk(Struct):
    """What is read of a chunk; the SDK itself passes on whatever JSON the endpoint sends."""

    choices: list[_Choice] | None = None
    usage: _Spent | None = None

    @property
    def text(self) -> str:
        return "".join(choice.delta.content or "" for choice in self.choices or () if choice.delta)

    @property
    def finish(self) -> str:
        return "".join(choice.finish_reason or "" for choice in self.choices or ())

    @property
    def is_refusal(self) -> bool:
        return (
            any(choice.delta and choice.delta.refusal for choice in self.choices or ())
            or self.finish == "content_filter"
        )


async def _next(chunks: "AsyncStream[ChatCompletionChunk]", deadline: float) -> _Chunk | None:
    with provider_errors(streaming=True):
        async with asyncio.timeout_at(deadline):
            received = await anext(chunks, None)
        chunk = None if received is None else msgspec.convert(received, _Chunk, from_attributes=True)
    if chunk and chunk.is_refusal:
        raise ProviderError(permanent=True, reason="refused")
    return chunk


def _require_whole(answer: str, finish: str) -> None:
    if not finish:  # a proxy that loses its model closes the stream as if all were well
        raise ProviderError(permanent=False, reason="broken_stream")
    if not answer.strip():
        raise ProviderError(permanent=False, reason="empty_answer")


def _pause(error: ProviderError) -> float:
    asked = error.params.get("retry_after")
    return asked if isinstance(asked, float) else PAUSE_SECONDS
