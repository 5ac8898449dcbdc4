import traceback
from collections.abc import AsyncIterator

import pytest

from asissto.platform import chat
from asissto.platform.chat import ChatDelta, ChatEnd, ChatMessage, ChatModel, OpenAIChat, Usage, make_chat_model
from asissto.platform.errors import ProviderError
from asissto.platform.settings import Settings
from openai_peer import Fault, OpenAIPeer

KEY = "sk-very-secret"
MESSAGES = [ChatMessage("system", "Answer from the sources only."), ChatMessage("user", "How long do refunds take?")]


@pytest.fixture
async def peer() -> AsyncIterator[OpenAIPeer]:
    async with OpenAIPeer() as server:
        server.reply_with("Five working days [1].")
        yield server


@pytest.fixture
async def model(peer: OpenAIPeer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenAIChat]:
    monkeypatch.setattr(chat, "PAUSE_SECONDS", 0.01)
    built = connect(peer.base_url)
    yield built
    await built.close()


def connect(base_url: str, name: str = "qwen3", key: str = KEY) -> OpenAIChat:
    model = make_chat_model(Settings(openai_api_key=key, openai_base_url=base_url), name)
    assert model is not None
    return model


async def everything(model: ChatModel, max_tokens: int = 300) -> list[ChatDelta | ChatEnd]:
    return [event async for event in model.stream(MESSAGES, max_tokens=max_tokens)]


async def failure(model: ChatModel) -> tuple[str, ProviderError]:
    """The text that came before the error, and the error."""
    text = ""

    async def read() -> None:
        nonlocal text
        async for event in model.stream(MESSAGES, max_tokens=300):
            text += event.text if isinstance(event, ChatDelta) else ""

    with pytest.raises(ProviderError) as caught:
        await read()
    return text, caught.value


async def test_the_answer_comes_in_pieces_and_ends_with_its_usage(peer: OpenAIPeer, model: OpenAIChat) -> None:
    """Pieces in order, then one end with the provider's own count."""
    assert await everything(model) == [
        ChatDelta("Five"),
        ChatDelta(" working"),
        ChatDelta(" days"),
        ChatDelta(" [1]."),
        ChatEnd(Usage("qwen3", prompt_tokens=10, completion_tokens=4, cached_tokens=3, estimated=False), "stop"),
    ]
    (request,) = peer.requests
    assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert request.body == {
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Answer from the sources only."},
            {"role": "user", "content": "How long do refunds take?"},
        ],
        "max_tokens": 300,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("gpt-5-mini", {"max_completion_tokens": 2300, "reasoning_effort": "low"}),
        ("openai/gpt-5.1", {"max_completion_tokens": 2300, "reasoning_effort": "low"}),
        ("o3", {"max_completion_tokens": 2300, "reasoning_effort": "low"}),
        ("gpt-5-chat-latest", {"max_completion_tokens": 2300}),
        ("gpt-4.1-mini", {"max_tokens": 300}),
        ("olmo-2", {"max_tokens": 300}),
    ],
)
async def test_models_that_think_get_room_to_think(peer: OpenAIPeer, name: str, limits: dict[str, object]) -> None:
    """OpenAI's newer models refuse `max_tokens`, other endpoints know nothing else."""
    model = connect(peer.base_url, name)
    await everything(model)
    await model.close()
    body = peer.requests[0].body
    assert {
        key: body[key] for key in ("max_tokens", "max_completion_tokens", "reasoning_effort") if key in body
    } == limits


async def test_a_missing_usage_is_estimated(peer: OpenAIPeer, model: OpenAIChat) -> None:
    """Counted in cl100k tokens, and marked as an estimate."""
    peer.fail_with("no_usage")
    assert (await everything(model))[-1] == ChatEnd(
        Usage("qwen3", prompt_tokens=12, completion_tokens=6, cached_tokens=0, estimated=True), "stop"
    )


@pytest.mark.parametrize(
    ("fault", "permanent", "reason", "text", "requests"),
    [
        (400, True, "refused", "", 1),
        (401, True, "bad_api_key", "", 1),
        (402, True, "refused", "", 1),
        (403, True, "refused", "", 1),
        (404, True, "unknown_model", "", 1),
        (408, False, "server_error", "", 3),
        (429, False, "rate_limited", "", 3),
        (500, False, "server_error", "", 3),
        ("hang", False, "timeout", "", 1),
        ("stall", False, "timeout", "Five", 1),
        ("cut_at_once", False, "broken_stream", "", 3),
        ("cut", False, "broken_stream", "Five", 1),
        ("garbage", False, "broken_stream", "", 3),
        ("page", False, "broken_stream", "", 3),
        ("error_event", False, "server_error", "", 3),
        ("no_finish", False, "broken_stream", "Five working days [1].", 1),
        ("empty", False, "empty_answer", "", 3),
        ("refusal", True, "refused", "", 1),
    ],
)
async def test_a_fault_of_the_endpoint_has_one_name(
    *,
    peer: OpenAIPeer,
    model: OpenAIChat,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault | int,
    permanent: bool,
    reason: str,
    text: str,
    requests: int,
) -> None:
    """A second try only where it can help and nothing has been shown yet; the key is quoted nowhere."""
    if fault in {"hang", "stall"}:
        monkeypatch.setattr(chat, "FIRST_TOKEN_SECONDS", 0.5)
        monkeypatch.setattr(chat, "ANSWER_SECONDS", 0.8)
    peer.fail_with(fault)
    came, error = await failure(model)
    assert (error.permanent, error.reason, came, len(peer.requests)) == (permanent, reason, text, requests)
    assert KEY not in "".join(traceback.format_exception(error))


async def test_a_second_try_can_succeed(peer: OpenAIPeer, model: OpenAIChat) -> None:
    """The reader sees one whole answer."""
    peer.fail_with("cut_at_once", times=1)
    events = await everything(model)
    assert "".join(event.text for event in events if isinstance(event, ChatDelta)) == "Five working days [1]."
    assert len(peer.requests) == 2


async def test_a_short_pause_is_kept(peer: OpenAIPeer, model: OpenAIChat, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause that the endpoint asks for goes before our own, which would end the test by its length."""
    monkeypatch.setattr(chat, "PAUSE_SECONDS", 3600)
    peer.fail_with(429, times=1, retry_after="0.01")
    assert isinstance((await everything(model))[-1], ChatEnd)


async def test_a_long_pause_is_not_waited_for(peer: OpenAIPeer, model: OpenAIChat) -> None:
    """Somebody waits for the answer: the error comes at once and says when the endpoint will answer again."""
    peer.fail_with(429, times=1, retry_after="20")
    _, error = await failure(model)
    assert (error.reason, error.params["retry_after"], len(peer.requests)) == ("rate_limited", 20.0, 1)


async def test_a_closed_port_is_unreachable() -> None:
    """Nobody listens at the address."""
    model = connect("http://127.0.0.1:1/v1")
    _, error = await failure(model)
    await model.close()
    assert (error.permanent, error.reason) == (False, "unreachable")


async def test_a_key_with_cyrillic_letters_is_a_bad_key(peer: OpenAIPeer) -> None:
    """A pasted С instead of C cannot even be sent."""
    model = connect(peer.base_url, key="sk-СЕКРЕТ")
    _, error = await failure(model)
    await model.close()
    assert (error.permanent, error.reason, peer.requests) == (True, "bad_api_key", [])


async def test_a_reader_may_leave_in_the_middle(peer: OpenAIPeer, model: OpenAIChat) -> None:
    """Closing the stream closes the request, and the model answers the next question."""
    peer.fail_with("stall", times=1)
    stream = model.stream(MESSAGES, max_tokens=300)
    assert await anext(stream) == ChatDelta("Five")
    await stream.aclose()  # type: ignore[attr-defined]
    assert isinstance((await everything(model))[-1], ChatEnd)


def test_without_an_endpoint_there_is_no_chat_model() -> None:
    """Answers are quoted then; a local endpoint without a key is enough for generated ones."""
    assert make_chat_model(Settings()) is None
    local = make_chat_model(Settings(openai_base_url="http://127.0.0.1:1/v1"))
    assert local is not None
    assert local.name == "gpt-5-mini"
