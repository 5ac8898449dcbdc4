"""Chat models of an OpenAI-compatible endpoint: the answer comes piece by piece and ends with what it used."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from copy import copy
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec import Struct

from asissto.platform.chat_chunks import Chunk, ThoughtFilter, read_chunk
from asissto.platform.endpoint import Endpoint, operators_connection, provider_errors
from asissto.platform.errors import ProviderError
from asissto.platform.model_calls import ModelCall, Outcome, Purpose, Tokens, call_of
from asissto.platform.settings import Settings
from asissto.platform.tokens import count_tokens

if TYPE_CHECKING:
    from openai import AsyncStream

FIRST_TOKEN_SECONDS = 15.0
ANSWER_SECONDS = 45.0
ATTEMPTS = 3
PAUSE_SECONDS = 0.5
# Somebody is waiting for the answer: where the provider asks for more than this, a quoted answer now is the better one.
LONGEST_PAUSE_SECONDS = 5.0

CHARACTERS_PER_TOKEN = 8
"""A provider that sends more than this for each token it may use does not keep to `max_tokens`, and is cut off."""

# These refuse `max_tokens`, and count their thoughts as part of the answer: 400 tokens leave nothing for the text.
THINKING_MODEL = re.compile(r"(?:.*/)?(?:gpt-[5-9]|o[1-9]\b)")
THINKING_TOKENS = 2000
MOST_THOUGHTS = THINKING_TOKENS * CHARACTERS_PER_TOKEN


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
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        purpose: Purpose = "answer",
        temperature: float | None = None,
        calls: list[ModelCall] | None = None,
    ) -> AsyncIterator[ChatDelta | ChatEnd]:
        """Deltas, then one ChatEnd; raises ProviderError, after some deltas too. `calls` gets each attempt."""
        ...

    def named(self, name: str) -> "ChatModel":
        """Another model of the same endpoint."""
        ...


def make_chat_model(settings: Settings, model: str | None = None) -> "OpenAIChat | None":
    """None where no endpoint is set, so that answers are quoted instead of generated."""
    if not settings.has_chat_model:
        return None
    endpoint = Endpoint(operators_connection(settings), seconds=FIRST_TOKEN_SECONDS)
    return OpenAIChat(endpoint, model or settings.chat_model)


def hurried(model: ChatModel, deadline: float, attempts: int) -> ChatModel:
    """The model with that many attempts, all of them before the deadline (time of the loop)."""
    return model.hurried(deadline, attempts) if isinstance(model, OpenAIChat) else model


class OpenAIChat:
    attempts = ATTEMPTS
    deadline = float("inf")

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self.name = name
        self._endpoint = endpoint

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        purpose: Purpose = "answer",
        temperature: float | None = None,
        calls: list[ModelCall] | None = None,
    ) -> AsyncIterator[ChatDelta | ChatEnd]:
        """Tries again only while no text has come: what the reader has seen cannot be taken back."""
        request = _Request(messages, max_tokens, temperature, purpose)
        await self._endpoint.client()  # the first one of the process takes seconds that no provider is to blame for
        limits = self._limits()
        for attempt in range(1, self.attempts + 1):
            text_came = False
            try:
                async with aclosing(self._attempt(request, limits, calls)) as events:
                    async for event in events:
                        text_came = True
                        yield event
            except ProviderError as error:
                pause = _pause(error, attempt)
                if text_came or error.permanent or attempt == self.attempts or not _worth(pause, limits):
                    raise
                await asyncio.sleep(pause)
            else:
                return

    def named(self, name: str) -> "OpenAIChat":
        other = copy(self)
        other.name = name
        return other

    def hurried(self, deadline: float, attempts: int) -> "OpenAIChat":
        other = copy(self)
        other.deadline, other.attempts = deadline, attempts
        return other

    async def close(self) -> None:
        await self._endpoint.close()

    def _limits(self) -> "_Limits":
        now, connection = _now(), self._endpoint.connection
        first = now + (connection.first_token_seconds or FIRST_TOKEN_SECONDS)
        whole = now + (connection.answer_seconds or ANSWER_SECONDS)
        return _Limits(min(first, self.deadline), min(whole, self.deadline))

    async def _attempt(
        self, request: "_Request", limits: "_Limits", calls: list[ModelCall] | None
    ) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
        """One request, which becomes a call however it ends."""
        attempt = _Attempt(started=_now())
        try:
            async with aclosing(self._events(request, limits, attempt)) as events:
                async for event in events:
                    yield event
        except ProviderError as error:
            attempt.error = error.reason
            raise
        except (GeneratorExit, asyncio.CancelledError):
            attempt.error = None if attempt.tokens else "abandoned"
            raise
        finally:
            call = await self._call(request, attempt)
            if calls is not None:
                calls.append(call)

    async def _events(
        self, request: "_Request", limits: "_Limits", attempt: "_Attempt"
    ) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
        filtered, finish = ThoughtFilter(), ""
        most = request.max_tokens * CHARACTERS_PER_TOKEN
        async with await self._open(request, limits.first) as chunks:
            attempt.accepted = True
            while (chunk := await _next(chunks, limits.whole if attempt.received else limits.first)) is not None:
                finish = chunk.finish or finish
                attempt.tokens = _tokens(chunk) or attempt.tokens
                attempt.received += len(chunk.text) + len(chunk.thoughts)
                text = filtered.feed(chunk.text)[: most - len(attempt.answer)]
                if text:
                    attempt.add(text)
                    yield ChatDelta(text)
                if len(attempt.answer) >= most or attempt.received >= most + MOST_THOUGHTS:
                    finish = "length"
                    break
        _require_whole(attempt.answer, finish)
        if attempt.tokens is None:
            attempt.tokens = await asyncio.to_thread(_estimate, request, attempt.answer)
        yield ChatEnd(_usage(self.name, attempt.tokens), finish)

    async def _open(self, request: "_Request", deadline: float) -> "AsyncStream[object]":
        """Chunks as plain objects: the SDK's own would be made for each of them, and read once."""
        from openai import AsyncStream

        with provider_errors():
            async with asyncio.timeout_at(deadline):
                client = await self._endpoint.client()
                body = self._parameters(request)
                return await client.post(
                    "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
                )

    def _parameters(self, request: "_Request") -> dict[str, Any]:
        """Models that think take no temperature."""
        parameters = {
            "model": self.name,
            "messages": msgspec.to_builtins(request.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if THINKING_MODEL.match(self.name) is None:
            limit: dict[str, Any] = {"max_tokens": request.max_tokens}
            return parameters | limit | ({} if request.temperature is None else {"temperature": request.temperature})
        effort = {} if "-chat" in self.name else {"reasoning_effort": "low"}
        return parameters | {"max_completion_tokens": request.max_tokens + THINKING_TOKENS} | effort

    async def _call(self, request: "_Request", attempt: "_Attempt") -> ModelCall:
        """What the provider did not count is estimated, but for requests that it never took."""
        ended, tokens = _now(), attempt.tokens
        if tokens is None:
            tokens = await asyncio.to_thread(_estimate, request, attempt.answer) if attempt.accepted else Tokens()
        first = attempt.first_token
        outcome = Outcome(
            latency_ms=(ended - attempt.started) * 1000,
            first_token_ms=None if first is None else (first - attempt.started) * 1000,
            error=attempt.error,
        )
        return call_of(self._endpoint.connection, self.name, request.purpose, tokens, outcome)


class _Request(Struct, frozen=True):
    messages: Sequence[ChatMessage]
    max_tokens: int
    temperature: float | None
    purpose: Purpose


class _Limits(Struct, frozen=True):
    """Times of the loop: when the first text must be there, and when all of it."""

    first: float
    whole: float


class _Attempt(Struct):
    """What came of a request so far; `received` counts characters, thoughts included."""

    started: float
    accepted: bool = False
    received: int = 0
    answer: str = ""
    first_token: float | None = None
    tokens: Tokens | None = None
    error: str | None = None

    def add(self, text: str) -> None:
        self.first_token = self.first_token or _now()
        self.answer += text


async def _next(chunks: "AsyncStream[object]", deadline: float) -> Chunk | None:
    with provider_errors(streaming=True):
        async with asyncio.timeout_at(deadline):
            received = await anext(chunks, None)
        chunk = None if received is None else read_chunk(received)
    if chunk and chunk.is_refusal:
        raise ProviderError(permanent=True, reason="refused")
    return chunk


def _require_whole(answer: str, finish: str) -> None:
    if not finish:  # a proxy that loses its model closes the stream as if all were well
        raise ProviderError(permanent=False, reason="broken_stream")
    if not answer.strip():
        raise ProviderError(permanent=False, reason="empty_answer")


def _pause(error: ProviderError, attempt: int) -> float:
    """As the provider asks, else twice as long each time, and never the same for all who were refused at once."""
    if error.retry_after is not None:
        return error.retry_after
    return float(PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - no secret


def _worth(pause: float, limits: _Limits) -> bool:
    return pause <= LONGEST_PAUSE_SECONDS and _now() + pause < limits.first


def _tokens(chunk: Chunk) -> Tokens | None:
    spent = chunk.usage
    if spent is None or spent.prompt_tokens is None or spent.completion_tokens is None:
        return None
    return Tokens(
        prompt=spent.prompt_tokens,
        cached=spent.cached_tokens,
        completion=spent.completion_tokens,
        reasoning=spent.reasoning_tokens,
    )


def _usage(model: str, tokens: Tokens) -> Usage:
    return Usage(model, tokens.prompt, tokens.completion, tokens.cached, estimated=tokens.estimated)


def _estimate(request: _Request, answer: str) -> Tokens:
    prompt = sum(count_tokens(message.content) for message in request.messages)
    return Tokens(prompt=prompt, completion=count_tokens(answer), estimated=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
