"""A small Telegram Bot API server for tests: real sockets, the official schema, a journal, and faults on demand.

`async with TelegramPeer() as peer:` serves one bot at `peer.base_url` with `peer.token`. Customers write with `say`,
`edit`, `block` and `push`; what reached them is `arrived`. `fail_with` scripts faults, `trouble` rolls dice for them.

As a process: `python tests/telegram_peer.py [--port N]` prints its address. The same door over HTTP, JSON in and out:
POST /control/say, /control/edit, /control/push, /control/block, /control/unblock, /control/fail_with, /control/trouble
and /control/revoke take the parameters of the methods; GET /control/state tells what happened.
"""

import argparse
import asyncio
import contextlib
import json
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self, get_args

import aiohttp
import msgspec
from aiohttp import web

from telegram_markup import Entity, Read, Refused, read_text
from telegram_schema import wrong_call, wrong_object

TOKEN = "4200:AAHtest-token_of-35-letters-000000000"
BOT = {"id": 4200, "is_bot": True, "first_name": "Shop", "username": "shop_test_bot"}
MOST_BYTES = 20_000_000
"""Of a file that a bot may fetch."""

Fault = Literal[
    "too_many",  # 429 with retry_after; the chat is refused until the seconds are over
    "server_error",  # 500 as the Bot API says it; not taken
    "restart",  # 500 of a server that is being restarted; taken
    "bad_gateway",  # 502 with the HTML of a proxy; not taken
    "taken_bad_gateway",  # the same, but taken
    "page",  # 200 with HTML; not taken
    "reset",  # the connection is reset; not taken
    "drop",  # taken, then the connection is reset
    "stall",  # says nothing; not taken
    "taken_stall",  # taken, then says nothing
    "unauthorized",  # 401
    "not_found",  # 404, as for a token of a wrong shape
    "blocked",  # 403
    "kicked",  # 403 of a group
    "chat_not_found",  # 400
    "no_rights",  # 400
    "cannot_parse",  # 400
    "too_long",  # 400
    "migrated",  # 400 with migrate_to_chat_id
    "conflict",  # 409
]
_REFUSALS: dict[Fault, tuple[int, str]] = {
    "server_error": (500, "Internal Server Error"),
    "restart": (500, "Internal Server Error: restart"),
    "unauthorized": (401, "Unauthorized"),
    "not_found": (404, "Not Found"),
    "blocked": (403, "Forbidden: bot was blocked by the user"),
    "kicked": (403, "Forbidden: bot was kicked from the supergroup chat"),
    "chat_not_found": (400, "Bad Request: chat not found"),
    "no_rights": (400, "Bad Request: not enough rights to send text messages to the chat"),
    "cannot_parse": (400, "Bad Request: can't parse entities: unsupported start tag"),
    "too_long": (400, "Bad Request: message is too long"),
    "migrated": (400, "Bad Request: group chat was upgraded to a supergroup chat"),
    "conflict": (
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    ),
}
_HOOKED = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
_DEFAULT_KINDS_LACK = {"chat_member", "message_reaction", "message_reaction_count"}


class Call(msgspec.Struct, frozen=True):
    """`at` is the time of `time.monotonic`."""

    method: str
    params: dict[str, str]
    at: float


class Arrived(msgspec.Struct, frozen=True):
    """A message that the customer has on the screen, though the bot may never have heard so."""

    chat_id: int
    message_id: int
    text: str
    entities: list[Entity]
    params: dict[str, str]
    at: float


class Scripted(msgspec.Struct, frozen=True):
    fault: Fault
    method: str
    chat_id: int | None
    seconds: int


class Webhook(msgspec.Struct, frozen=True):
    url: str
    secret: str


class _Answer(Exception):
    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


class TelegramPeer:
    """`violations` are what the official description has against our calls; `too_early` are calls during a 429."""

    def __init__(self, *, port: int = 0, hook_retry_seconds: float = 0.05) -> None:
        self.token = TOKEN
        self.files: dict[str, bytes] = {}
        self.calls: list[Call] = []
        self.arrived: list[Arrived] = []
        self.violations: list[str] = []
        self.too_early: list[Call] = []
        self.pending: dict[int, dict[str, Any]] = {}
        self.webhook: Webhook | None = None
        self.hook_statuses: list[int] = []
        self._port = port
        self._hook_retry_seconds = hook_retry_seconds
        self._scripted: deque[Scripted] = deque()
        self._chances: dict[Fault, float] = {}
        self._random = random.Random(0)
        self._paused: dict[str, float] = {}
        self._blocked: set[int] = set()
        self._kinds: list[str] = []
        self._next_update = 700_000_001
        self._next_message = 1
        self._news = asyncio.Event()
        self._poll = 0
        self._deliveries: dict[int, asyncio.Task[None]] = {}

    # What customers do

    def say(self, chat_id: int, text: str = "", *, sender: int | None = None, **fields: Any) -> int:
        """A message, with `fields` of a Message besides; its update_id. A negative chat is a group."""
        message = self._message(chat_id, sender or abs(chat_id)) | ({"text": text} if text else {}) | fields
        if text.startswith("/"):
            command = {"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}
            message = {"entities": [command]} | message
        return self.push({"message": message})

    def edit(self, chat_id: int, message_id: int, text: str) -> int:
        message = self._message(chat_id, abs(chat_id)) | {"message_id": message_id, "text": text}
        return self.push({"edited_message": message | {"edit_date": int(time.time())}})

    def block(self, chat_id: int) -> int:
        """The customer stops the bot; what it sends is refused with 403 from now on."""
        self._blocked.add(chat_id)
        return self._membership(chat_id, "member", "kicked")

    def unblock(self, chat_id: int) -> int:
        self._blocked.discard(chat_id)
        return self._membership(chat_id, "kicked", "member")

    def push(self, update: dict[str, Any]) -> int:
        """Any update without its id; raises ValueError where the official description does not have it so."""
        update_id, self._next_update = self._next_update, self._next_update + 1
        whole = {"update_id": update_id} | update
        if wrong := wrong_object("Update", whole):
            raise ValueError(wrong)
        kind = next(iter(update))
        if kind in self._kinds if self._kinds else kind not in _DEFAULT_KINDS_LACK:
            self.pending[update_id] = whole
            self._news.set()
            self._deliver()
        return update_id

    # What goes wrong

    def fail_with(
        self,
        fault: Fault,
        *,
        times: int = 1,
        method: str = "sendMessage",
        chat_id: int | None = None,
        seconds: int = 1,
    ) -> None:
        """The next `times` calls of the method (and to the chat, if one is named) meet the fault."""
        assert fault in get_args(Fault)
        self._scripted.extend([Scripted(fault, method, chat_id, seconds)] * times)

    def trouble(self, *, seed: int = 0, **chances: float) -> None:
        """From now on, each sendMessage meets a fault with its chance; `trouble()` ends it."""
        assert set(chances) <= set(get_args(Fault))
        self._chances = msgspec.convert(chances, dict[Fault, float])
        self._random.seed(seed)

    def revoke(self, token: str = "4200:AAHanother-token_of-35-letters-00000") -> str:
        """The old token is refused with 401 from now on; returns the new one."""
        self.token = token
        return token

    # What was seen

    def texts(self, chat_id: int) -> list[str]:
        return [message.text for message in self.arrived if message.chat_id == chat_id]

    def called(self, method: str) -> list[dict[str, str]]:
        return [call.params for call in self.calls if call.method == method]

    async def delivered(self) -> None:
        """Returns when the webhook has taken everything."""
        await asyncio.gather(*self._deliveries.values())

    # The server

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_route("*", "/bot{token}/{method}", self._method)
        app.router.add_get("/file/bot{token}/{path:.+}", self._file)
        app.router.add_get("/control/state", self._state)
        app.router.add_post("/control/{action}", self._control)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._deliveries.values():
            task.cancel()
        await asyncio.gather(*self._deliveries.values(), return_exceptions=True)
        await self._client.close()
        await self._runner.cleanup()

    async def _method(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.match_info["method"], await _params(request), time.monotonic())
        self.calls.append(call)
        try:
            if request.match_info["token"] != self.token:
                raise _Answer(401, "Unauthorized")
            if wrong := wrong_call(call.method, call.params):
                self.violations.extend(wrong)
                raise _Answer(400, f"Bad Request: {wrong[0]}")
            self._refuse_early(call)
            fault = self._fault_of(call)
            if fault:
                return await self._failed(fault, call, request)
            return web.json_response({"ok": True, "result": await self._result(call)})
        except Refused as refused:
            return _refusal(_Answer(400, str(refused)))
        except _Answer as answer:
            return _refusal(answer)

    async def _result(self, call: Call) -> Any:  # noqa: PLR0911 - one line per method
        match call.method:
            case "getMe":
                return BOT | {"can_join_groups": True, "can_read_all_group_messages": False}
            case "getUpdates":
                return await self._updates(call.params)
            case "setWebhook":
                return self._set_webhook(call.params)
            case "deleteWebhook":
                return self._set_webhook({"url": ""} | call.params)
            case "getWebhookInfo":
                return self._webhook_info()
            case "sendMessage":
                return self._accept(call)
            case "sendChatAction" | "answerCallbackQuery":
                return True
            case "getFile":
                return self._describe(call.params["file_id"])
        raise _Answer(404, "Not Found: method not found")

    def _accept(self, call: Call) -> dict[str, Any]:
        chat_id = int(call.params["chat_id"])
        if chat_id in self._blocked:
            raise _Answer(403, "Forbidden: bot was blocked by the user")
        read = read_text(call.params["text"], call.params.get("parse_mode"))
        message = self._message(chat_id, chat_id) | {"from": BOT, "text": read.text}
        entities = [msgspec.to_builtins(entity) for entity in read.entities]
        self.arrived.append(_arrived(call, chat_id, message["message_id"], read))
        return message | ({"entities": entities} if entities else {})

    def _message(self, chat_id: int, user_id: int) -> dict[str, Any]:
        message_id, self._next_message = self._next_message, self._next_message + 1
        return {
            "message_id": message_id,
            "date": int(time.time()),
            "chat": _chat(chat_id),
            "from": _user(user_id),
        }

    def _membership(self, chat_id: int, before: str, after: str) -> int:
        changed = {
            "chat": _chat(chat_id),
            "from": _user(abs(chat_id)),
            "date": int(time.time()),
            "old_chat_member": _member(before),
            "new_chat_member": _member(after),
        }
        return self.push({"my_chat_member": changed})

    def _refuse_early(self, call: Call) -> None:
        left = self._paused.get(call.params.get("chat_id", ""), 0) - time.monotonic()
        if call.method == "sendMessage" and left > 0:
            self.too_early.append(call)
            raise _too_many(int(left) + 1)

    def _fault_of(self, call: Call) -> Scripted | None:
        for scripted in self._scripted:
            if scripted.method == call.method and scripted.chat_id in {None, int(call.params.get("chat_id", "0"))}:
                self._scripted.remove(scripted)
                return scripted
        if call.method == "sendMessage":
            rolled = self._random.random()
            for fault, chance in self._chances.items():
                rolled -= chance
                if rolled < 0:
                    return Scripted(fault, call.method, None, 1)
        return None

    async def _failed(self, scripted: Scripted, call: Call, request: web.Request) -> web.StreamResponse:
        fault = scripted.fault
        if fault in {"restart", "drop", "taken_stall", "taken_bad_gateway"}:
            await self._result(call)
        if fault == "too_many":
            self._paused[call.params.get("chat_id", "")] = time.monotonic() + scripted.seconds
            raise _too_many(scripted.seconds)
        if fault in {"stall", "taken_stall"}:
            await asyncio.Event().wait()
        if fault in {"reset", "drop"}:
            return _reset(request)
        if fault in {"bad_gateway", "taken_bad_gateway", "page"}:
            status = 200 if fault == "page" else 502
            return web.Response(status=status, text="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
        if fault == "migrated":
            raise _Answer(*_REFUSALS[fault], migrate_to_chat_id=-1_000_000_000_000 - abs(int(call.params["chat_id"])))
        raise _Answer(*_REFUSALS[fault])

    async def _updates(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        if self.webhook:
            raise _Answer(409, _HOOKED)
        self._kinds = json.loads(params["allowed_updates"]) if "allowed_updates" in params else self._kinds
        self._poll += 1
        mine = self._poll
        self._news.set()  # the poll before this one hears of it
        until = time.monotonic() + int(params.get("timeout", "0"))
        while not (found := self._unconfirmed(int(params.get("offset", "0")))) and time.monotonic() < until:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), until - time.monotonic())
            if mine != self._poll:
                raise _Answer(*_REFUSALS["conflict"])
            if self.webhook:
                raise _Answer(409, "Conflict: terminated by setWebhook request")
        return found[: int(params.get("limit", "100"))]

    def _unconfirmed(self, offset: int) -> list[dict[str, Any]]:
        """Forgets what is below the offset; a negative one leaves only so many of the newest."""
        first = min(sorted(self.pending)[offset:], default=0) if offset < 0 else offset
        for update_id in [update_id for update_id in self.pending if update_id < first]:
            del self.pending[update_id]
        return [self.pending[update_id] for update_id in sorted(self.pending)]

    def _set_webhook(self, params: Mapping[str, str]) -> bool:
        url = params["url"]
        if url and not url.startswith(("https://", "http://127.0.0.1:")):
            raise _Answer(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if params.get("drop_pending_updates", "").lower() == "true":
            self.pending.clear()
        if "allowed_updates" in params:
            self._kinds = json.loads(params["allowed_updates"])
        self.webhook = Webhook(url, params.get("secret_token", "")) if url else None
        self._news.set()
        self._deliver()
        return True

    def _webhook_info(self) -> dict[str, Any]:
        info = {"url": "", "has_custom_certificate": False, "pending_update_count": len(self.pending)}
        if self.webhook:
            info["url"] = self.webhook.url
            if failed := [status for status in self.hook_statuses if not 200 <= status < 300]:
                message = f"Wrong response from the webhook: {failed[-1]}"
                info |= {"last_error_date": int(time.time()), "last_error_message": message}
        return info

    def _deliver(self) -> None:
        """One queue per chat: the next update of a chat waits for the one before."""
        for chat_id in {_chat_of(update) for update in self.pending.values()} if self.webhook else ():
            if chat_id not in self._deliveries:
                self._deliveries[chat_id] = asyncio.create_task(self._deliver_to(chat_id))

    async def _deliver_to(self, chat_id: int) -> None:
        pause = self._hook_retry_seconds
        while self.webhook and (queue := [one for one in self.pending.values() if _chat_of(one) == chat_id]):
            status, retry_after = await self._call_hook(self.webhook, queue[0])
            self.hook_statuses.append(status)
            if 200 <= status < 300:
                self.pending.pop(queue[0]["update_id"], None)
                pause = self._hook_retry_seconds
            else:
                await asyncio.sleep(retry_after or pause)
                pause = min(pause * 2, 60)
        del self._deliveries[chat_id]

    async def _call_hook(self, webhook: Webhook, update: dict[str, Any]) -> tuple[int, float]:
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret} if webhook.secret else {}
        try:
            async with self._client.post(webhook.url, json=update, headers=headers) as response:
                await response.read()
                return response.status, float(response.headers.get("retry-after", "0"))
        except (aiohttp.ClientError, TimeoutError):
            return 0, 0

    def _describe(self, file_id: str) -> dict[str, Any]:
        if file_id not in self.files:
            raise _Answer(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        size = len(self.files[file_id])
        if size > MOST_BYTES:
            raise _Answer(400, "Bad Request: file is too big")
        return {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": size, "file_path": f"files/{file_id}"}

    async def _file(self, request: web.Request) -> web.StreamResponse:
        found = self.files.get(request.match_info["path"].removeprefix("files/"))
        if request.match_info["token"] != self.token or found is None:
            return _refusal(_Answer(404, "Not Found"))
        return web.Response(body=found, content_type="application/octet-stream")

    async def _control(self, request: web.Request) -> web.StreamResponse:
        action, given = request.match_info["action"], await request.json()
        if action not in {"say", "edit", "push", "block", "unblock", "fail_with", "trouble", "revoke"}:
            raise web.HTTPNotFound
        return web.json_response({"result": getattr(self, action)(**given)})

    async def _state(self, _: web.Request) -> web.StreamResponse:
        state = {
            "token": self.token,
            "arrived": msgspec.to_builtins(self.arrived),
            "calls": len(self.calls),
            "too_early": len(self.too_early),
            "pending": len(self.pending),
            "violations": self.violations,
            "webhook": self.webhook.url if self.webhook else "",
        }
        return web.json_response(state)


def _arrived(call: Call, chat_id: int, message_id: int, read: Read) -> Arrived:
    return Arrived(chat_id, message_id, read.text, read.entities, call.params, call.at)


def _chat(chat_id: int) -> dict[str, Any]:
    if chat_id < 0:
        return {"id": chat_id, "type": "supergroup", "title": f"Group {-chat_id}"}
    return {"id": chat_id, "type": "private", "first_name": f"Customer {chat_id}"}


def _user(user_id: int) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": f"Customer {user_id}", "language_code": "ru"}


def _member(status: str) -> dict[str, Any]:
    return {"status": status, "user": BOT} | ({"until_date": 0} if status == "kicked" else {})


def _chat_of(update: Mapping[str, Any]) -> int:
    about: Mapping[str, Any] = next((value for key, value in update.items() if key != "update_id"), {})
    return int(about.get("chat", {}).get("id", 0))


def _too_many(seconds: int) -> _Answer:
    return _Answer(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


def _refusal(answer: _Answer) -> web.Response:
    body = {"ok": False, "error_code": answer.status, "description": answer.description}
    if answer.parameters:
        body["parameters"] = answer.parameters
    waiting = answer.parameters.get("retry_after")
    return web.json_response(body, status=answer.status, headers={"Retry-After": str(waiting)} if waiting else None)


def _reset(request: web.Request) -> web.Response:
    """The client meets ECONNRESET, not an orderly end."""
    assert request.transport is not None
    raw = request.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()


async def _params(request: web.Request) -> dict[str, str]:
    if request.content_type == "application/json":
        given = await request.json()
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    return {name: str(value) for name, value in {**request.query, **await request.post()}.items()}


async def _serve(port: int) -> None:
    async with TelegramPeer(port=port) as peer:
        print(peer.base_url, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(options.parse_args().port))
