"""A small OpenAI-compatible server for tests: real sockets, official shapes, a journal, and faults on demand."""

import asyncio
import json
import re
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import numpy as np
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

Fault = Literal[
    "hang",  # takes the request and says nothing
    "stall",  # the first piece of the answer, then silence
    "cut",  # the first piece of the answer, then the connection is gone
    "cut_at_once",  # a good status, then the connection is gone
    "garbage",  # a good status, then broken JSON
    "page",  # a good status, then the HTML of some other server
    "error_event",  # a good status, then an error inside the stream
    "empty",  # a stream that ends well without any text
    "no_finish",  # a stream that ends early as if all were well
    "no_usage",  # a stream without the count of tokens
    "refusal",  # the model declines
    "half",  # one vector fewer than texts
]
Reply = Callable[[list[dict[str, str]]], str]


class Request(msgspec.Struct, frozen=True):
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class _Failure(msgspec.Struct, frozen=True):
    fault: Fault | int
    headers: dict[str, str]


class OpenAIPeer:
    """`async with OpenAIPeer() as peer:` serves at `peer.base_url`; `peer.requests` is the journal."""

    def __init__(self, *, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self.requests: list[Request] = []
        self._reply: Reply = lambda messages: f"You said: {messages[-1]['content']}"
        self._failures: deque[_Failure] = deque()
        self._connections: set[asyncio.Task[None]] = set()

    def reply_with(self, reply: str | Reply) -> None:
        """The answer to every later chat request, or a function that makes it from the messages."""
        self._reply = (lambda _: reply) if isinstance(reply, str) else reply

    def fail_with(self, fault: Fault | int, *, times: int = 100, **headers: str) -> None:
        """The next `times` requests meet the fault, an HTTP status or a Fault; `retry_after="1"` becomes a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._failures.extend([_Failure(fault, named)] * times)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            request = await _read_request(reader)
            self.requests.append(request)
            failure = self._failures.popleft() if self._failures else None
            async for block in self._response(request, failure):
                writer.write(block)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass  # the client has gone, or the test is over
        finally:
            self._connections.discard(task)
            writer.close()

    async def _response(self, request: Request, failure: _Failure | None) -> AsyncIterator[bytes]:
        fault = failure.fault if failure else None
        if failure and isinstance(fault, int):
            yield _error(fault, failure.headers, request)
        elif fault == "hang":
            await asyncio.Event().wait()
        elif fault == "page":
            yield _whole("<html>Welcome to the router</html>", kind="text/html")
        elif request.path == "/v1/embeddings":
            yield _whole("{garbage" if fault == "garbage" else self._embeddings(request.body, fault))
        elif request.path != "/v1/chat/completions":
            yield _error(404, {}, request)
        elif request.body.get("stream"):
            async for block in self._stream(request.body, fault):
                yield block
        else:
            yield _whole("{garbage" if fault == "garbage" else self._completion(request.body))

    async def _stream(self, body: dict[str, Any], fault: Fault | int | None) -> AsyncIterator[bytes]:
        yield _head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        if fault == "cut_at_once":
            return
        for number, event in enumerate(self._events(body, fault)):
            yield _chunked(f"data: {event}\n\n")
            if number == 1 and fault == "stall":
                await asyncio.Event().wait()
            if number == 1 and fault == "cut":
                return
        yield b"0\r\n\r\n"

    def _events(self, body: dict[str, Any], fault: Fault | int | None) -> Iterator[str]:
        """A role, the answer word by word, the reason of the end, the usage, [DONE]: the order of the real endpoint."""
        text = "" if fault in {"empty", "refusal"} else self._reply(body["messages"])
        if fault == "garbage":
            yield "{garbage"
        if fault == "error_event":
            yield json.dumps({"error": {"message": "overloaded", "type": "server_error"}})
        yield _chunk(body, {"role": "assistant", "content": ""})
        for word in re.findall(r"\s*\S+|\s+$", text):
            yield _chunk(body, {"content": word})
        if fault == "refusal":
            yield _chunk(body, {"refusal": "I cannot help with that."})
        if fault == "no_finish":
            return
        yield _chunk(body, {}, finish="stop")
        if fault != "no_usage" and body.get("stream_options", {}).get("include_usage"):
            yield _chunk(body, None, usage=_usage(body, text))
        yield "[DONE]"

    def _completion(self, body: dict[str, Any]) -> str:
        text = self._reply(body["messages"])
        message = {"role": "assistant", "content": text, "refusal": None}
        payload = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": _usage(body, text),
        }
        return ChatCompletion.model_validate(payload).model_dump_json()

    def _embeddings(self, body: dict[str, Any], fault: Fault | int | None) -> str:
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        dimensions = body.get("dimensions", self.dimensions)
        rows = [
            {"object": "embedding", "index": index, "embedding": embedding(text, dimensions)}
            for index, text in enumerate(texts)
        ]
        payload = {
            "object": "list",
            "model": body["model"],
            "data": rows[1:] if fault == "half" else rows[::-1],  # the order is told by the index alone
            "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)},
        }
        return CreateEmbeddingResponse.model_validate(payload).model_dump_json()


def embedding(text: str, dimensions: int) -> list[float]:
    """The same for the same words; texts that share words are near; three times too long on purpose."""
    words = re.findall(r"\w+", text.casefold()) or [""]
    random = [np.random.default_rng(zlib.crc32(word.encode())).standard_normal(dimensions) for word in words]
    total = np.sum(random, axis=0)
    vector: list[float] = (3 * total / np.linalg.norm(total)).tolist()
    return vector


def _chunk(
    body: dict[str, Any],
    delta: dict[str, str] | None,
    *,
    finish: str | None = None,
    usage: dict[str, Any] | None = None,
) -> str:
    payload = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": body["model"],
        "choices": [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}],
        "usage": usage,
    }
    return ChatCompletionChunk.model_validate(payload).model_dump_json(exclude_unset=True)


def _usage(body: dict[str, Any], text: str) -> dict[str, Any]:
    """One token per word, the first three of the prompt from the cache."""
    prompt = sum(len(message["content"].split()) for message in body["messages"])
    completion = len(text.split())
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": min(3, prompt)},
    }


def _error(status: int, headers: dict[str, str], request: Request) -> bytes:
    """Quotes the key, as some endpoints do."""
    message = f"Refused, key {request.headers.get('authorization', '')}"
    payload = {"error": {"message": message, "type": "error", "param": None, "code": None}}
    return _whole(json.dumps(payload), status=status, headers=headers)


def _whole(
    content: str, *, status: int = 200, kind: str = "application/json", headers: dict[str, str] | None = None
) -> bytes:
    data = content.encode()
    return _head(status, {"content-type": kind, "content-length": str(len(data)), **(headers or {})}) + data


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _chunked(text: str) -> bytes:
    data = text.encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    data = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(first.split()[1], headers, json.loads(data or b"{}"))
