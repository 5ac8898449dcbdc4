"""A VK for tests: methods, a Long Poll server, the Callback API, history, and faults on demand, over real sockets.

`python tests/vk_peer.py --port 8099` serves it alone; `/control` then takes and tells what the class does here.
"""

import argparse
import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec

Fault = Literal[
    "stall",  # carries it out and never answers
    "reset",  # carries it out and closes the connection
    "lost",  # closes the connection before anything is carried out
    "drip",  # carries it out and answers a byte at a time, without end
    "html",  # 502 with a page of HTML, nothing carried out
    "page",  # 200 with a page of HTML, nothing carried out
]
GROUP_ID, TOKEN = 1001, "vk1.a.token-of-the-community"
_MESSAGES = {
    1: "Unknown error occurred",
    5: "User authorization failed: invalid access_token (4).",
    6: "Too many requests per second",
    9: "Flood control",
    10: "Internal server error",
    14: "Captcha needed",
    27: "Group authorization failed",
    29: "Rate limit reached",
    100: "One of the parameters specified was missing or invalid",
    900: "Can't send messages for users from blacklist",
    901: "Can't send messages for users without permission",
    902: "Can't send messages to this user due to their privacy settings",
    914: "Message is too long",
    917: "You don't have access to this chat",
}


class Refused(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Call(msgspec.Struct, frozen=True):
    """A request as it arrived, whatever became of it."""

    method: str
    values: dict[str, str]
    at: float


class VkPeer:
    """`async with VkPeer() as peer:` serves at `peer.base_url`; `peer.calls` is the journal."""

    def __init__(self, *, port: int = 0, seed: int = 0) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._connections: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()
        self._drips = asyncio.Event()
        self.reset()

    def reset(self) -> None:
        """Forgets everything; events are numbered anew, as after VK's own trouble."""
        self.token, self.name, self.confirmation = TOKEN, "Test community", "c0ffee42"
        self.people: dict[int, dict[str, Any]] = {}
        self.calls: list[Call] = []
        self.messages: list[dict[str, Any]] = []
        self.typed: list[int] = []
        self.updates: list[dict[str, Any]] = []
        self.servers: list[dict[str, Any]] = []
        self.poll_settings: dict[str, str] = {}
        self.key, self.oldest, self.latency = "key1", 0, 0.0
        self.keeps_keys = True
        self._faults: dict[str, deque[int | Fault]] = {}
        self._flaky: dict[str, float] = {}

    # What happens on the other side.

    def fail_with(self, *faults: int | Fault, method: str = "messages.send") -> None:
        """The next requests of the method meet these, one each: an error code of VK or a Fault."""
        self._faults.setdefault(method, deque()).extend(faults)

    def be_flaky(self, **rates: float) -> None:
        """Of every send so many meet the fault, such as `reset=0.05` or `e6=0.1`."""
        self._flaky = rates

    async def write(self, user: int, text: str, *, peer_id: int | None = None, **more: Any) -> dict[str, Any]:
        """Somebody writes; the update that tells of it."""
        message = self._message(peer_id or user, user, text, **more)
        client = {"button_actions": ["text"], "keyboard": True, "inline_keyboard": True, "carousel": True, "lang_id": 0}
        return await self.tell("message_new", {"message": message, "client_info": client})

    async def tell(self, kind: str, what: dict[str, Any]) -> dict[str, Any]:
        number = len(self.updates) + 1
        update = {"type": kind, "object": what, "group_id": GROUP_ID, "event_id": f"e{number:039x}", "v": "5.199"}
        self.updates.append(update)
        async with self._news:
            self._news.notify_all()
        for server in self.servers:
            if server["status"] == "ok":
                self._spawn(self._deliver(server, update))
        return update

    async def answer_in_the_app(self, user: int, text: str, author: int = 7) -> dict[str, Any]:
        """The owner writes in VK itself."""
        message = self._message(user, -GROUP_ID, text, out=1, random_id=self._random.getrandbits(31))
        return await self.tell("message_reply", message | {"admin_author_id": author})

    def forget_updates(self) -> None:
        """Events so far can no longer be had, as after a long silence of ours."""
        self.oldest = len(self.updates)

    async def until_called(self, times: int) -> None:
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: len(self.calls) >= times)

    def said_to(self, peer_id: int) -> list[str]:
        return [each["text"] for each in self.messages if each["peer_id"] == peer_id and each["out"]]

    def _message(self, peer_id: int, from_id: int, text: str, **more: Any) -> dict[str, Any]:
        """In chats messages have no number of their own, as VK has it for communities."""
        number = len(self.messages) + 1
        cmid = sum(each["peer_id"] == peer_id for each in self.messages) + 1
        message: dict[str, Any] = {
            "id": 0 if peer_id >= 2_000_000_000 else number,
            "conversation_message_id": cmid,
            "date": int(time.time()),
            "peer_id": peer_id,
            "from_id": from_id,
            "text": text,
            "out": 0,
            "version": 10_000 + number,
            "random_id": 0,
            "attachments": [],
            "fwd_messages": [],
            "important": False,
            "is_hidden": False,
            **more,
        }
        self.messages.append(message)
        return message

    # The server.

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            method, target, host, body = await _read_request(reader)
            await self._route(writer, method, target, host, body)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass  # the client has gone, or the test is over
        finally:
            self._connections.discard(task)
            writer.close()

    async def _route(self, writer: asyncio.StreamWriter, method: str, target: str, host: str, body: bytes) -> None:
        address = urlsplit(target)
        if address.path.startswith("/method/"):
            values = dict(parse_qsl(body.decode(), keep_blank_values=True))
            await self._call(writer, address.path.removeprefix("/method/"), values)
        elif address.path == "/poll":
            await _answer(writer, await self._poll(dict(parse_qsl(address.query))))
        elif address.path == "/control":
            await _answer(writer, await self._control(json.loads(body)) if method == "POST" else self._state())
        elif address.path == "/media/photo":
            await _write(writer, b"", status=302, kind="text/plain", location="../stored/photo?size=big")
        elif address.path == "/media/busy":
            await _write(writer, b"", status=429, kind="text/plain", **{"retry-after": "7"})
        elif target == "/stored/photo?size=big":
            await _write(writer, host.encode(), kind="image/jpeg")
        else:
            await _write(writer, b"Not here", status=404, kind="text/plain")

    async def _call(self, writer: asyncio.StreamWriter, method: str, values: dict[str, str]) -> None:
        self.calls.append(Call(method, {k: v for k, v in values.items() if k != "access_token"}, time.monotonic()))
        async with self._news:
            self._news.notify_all()
        await asyncio.sleep(self.latency)
        fault = self._fault(method)
        if fault == "lost":
            return
        if fault in {"html", "page"}:
            page = b"<html><h1>Bad Gateway</h1></html>"
            await _write(writer, page, status=502 if fault == "html" else 200, kind="text/html")
            return
        try:
            if isinstance(fault, int):
                raise Refused(fault)
            if values.get("access_token") != self.token:
                raise Refused(5)
            answer = {"response": await self._carry_out(method, values)}
        except Refused as refused:
            answer = {"error": _error(refused.code, method)}
        if fault == "stall":
            await self._drips.wait()
        elif fault == "drip":
            await self._drip(writer)
        elif fault != "reset":
            await _answer(writer, answer)

    def _fault(self, method: str) -> int | Fault | None:
        if self._faults.get(method):
            return self._faults[method].popleft()
        if method == "messages.send":
            for name, rate in self._flaky.items():
                if self._random.random() < rate:
                    return int(name[1:]) if name[1:].isdigit() else name  # type: ignore[return-value]
        return None

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, "application/json", 100_000))
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def _poll(self, asked: dict[str, str]) -> dict[str, Any]:
        """Newer than `ts`, after at most `wait` seconds of silence."""
        fault = self._fault("poll")
        if fault == "stall":
            await self._drips.wait()
        if asked.get("key") != self.key:
            return {"failed": 2}
        ts = int(asked["ts"])
        if ts > len(self.updates):
            return {"failed": 3}
        if ts < self.oldest:
            return {"failed": 1, "ts": self.oldest}
        with suppress(TimeoutError):
            async with asyncio.timeout(float(asked["wait"])), self._news:
                await self._news.wait_for(lambda: len(self.updates) > ts)
        return {"ts": str(len(self.updates)), "updates": self.updates[ts:]}

    async def _carry_out(self, method: str, values: dict[str, str]) -> Any:
        carry: dict[str, Callable[[dict[str, str]], Any]] = {
            "messages.send": self._send,
            "messages.setActivity": self._type,
            "messages.getHistory": self._history,
            "messages.getConversations": self._conversations,
            "users.get": self._get_users,
            "groups.getById": lambda _: {"groups": [{"id": GROUP_ID, "name": self.name}], "profiles": []},
            "groups.getLongPollServer": lambda _: {
                "key": self.key,
                "server": f"{self.base_url}/poll",
                "ts": str(len(self.updates)),
            },
            "groups.setLongPollSettings": lambda asked: self.poll_settings.update(asked) or 1,
            "groups.getCallbackConfirmationCode": lambda _: {"code": self.confirmation},
            "groups.getCallbackServers": lambda _: {"count": len(self.servers), "items": self.servers},
            "groups.addCallbackServer": self._add_server,
            "groups.editCallbackServer": self._edit_server,
            "groups.setCallbackSettings": self._set_server,
        }
        if method not in carry:
            raise Refused(3)
        done = carry[method](values)
        return await done if asyncio.iscoroutine(done) else done

    async def _send(self, values: dict[str, str]) -> int:
        """The same `random_id` again is the same message, as long as it is remembered."""
        peer_id, key, text = int(values["peer_id"]), int(values["random_id"]), values.get("message", "")
        if not text or not key:
            raise Refused(100)
        if len(text.encode("utf-16-le")) > 2 * 4096:
            raise Refused(914)
        for each in self.messages if self.keeps_keys else []:
            if (each["peer_id"], each["random_id"], each["out"]) == (peer_id, key, 1):
                return int(each["id"])
        message = self._message(peer_id, -GROUP_ID, text, out=1, random_id=key)
        await self.tell("message_reply", message)
        return int(message["id"])

    def _type(self, values: dict[str, str]) -> int:
        self.typed.append(int(values["peer_id"]))
        return 1

    def _get_users(self, values: dict[str, str]) -> list[dict[str, Any]]:
        known = [int(each) for each in values["user_ids"].split(",") if int(each) in self.people]
        return [{"id": each, "can_access_closed": True, "is_closed": False, **self.people[each]} for each in known]

    def _history(self, values: dict[str, str]) -> dict[str, Any]:
        peer_id = int(values["peer_id"])
        if peer_id >= 2_000_000_000:  # not for communities, as VK's page of the method says
            raise Refused(917)
        mine = [each for each in reversed(self.messages) if each["peer_id"] == peer_id]
        return {"count": len(mine), "items": mine[: int(values["count"])]}

    def _conversations(self, values: dict[str, str]) -> dict[str, Any]:
        newest = {each["peer_id"]: each for each in self.messages}
        items = [
            {"conversation": {"peer": {"id": peer_id}}, "last_message": message}
            for peer_id, message in sorted(newest.items(), key=lambda item: -self.messages.index(item[1]))
        ]
        begin = int(values.get("offset", 0))
        return {"count": len(items), "items": items[begin : begin + int(values["count"])]}

    async def _add_server(self, values: dict[str, str]) -> dict[str, int]:
        if not 1 <= len(values["title"]) <= 14:
            raise Refused(100)
        number = len(self.servers) + 1
        server = {"id": number, "url": values["url"], "secret_key": values.get("secret_key", ""), "status": "wait"}
        self.servers.append(server)
        await self._confirm(server)
        return {"server_id": number}

    async def _edit_server(self, values: dict[str, str]) -> int:
        server = self.servers[int(values["server_id"]) - 1]
        server.update(url=values["url"], secret_key=values["secret_key"])
        await self._confirm(server)
        return 1

    def _set_server(self, values: dict[str, str]) -> int:
        self.servers[int(values["server_id"]) - 1]["settings"] = values
        return 1

    async def _confirm(self, server: dict[str, Any]) -> None:
        said = await _post(server["url"], {"type": "confirmation", "group_id": GROUP_ID})
        server["status"] = "ok" if said == (200, self.confirmation) else "failed"

    async def _deliver(self, server: dict[str, Any], update: dict[str, Any]) -> None:
        """Until it hears `ok`, as VK does."""
        pause = 0.2
        while await _post(server["url"], update | {"secret": server["secret_key"]}) != (200, "ok"):
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)

    # The control of a peer in a process of its own.

    async def _control(self, order: dict[str, Any]) -> dict[str, Any]:
        """`{"do": "write", "user": 5, "text": "Hi"}`; what can be done is the name of a method above."""
        do, values = order.pop("do"), order
        if do == "write":
            return await self.write(**values)
        if do == "answer_in_the_app":
            return await self.answer_in_the_app(**values)
        if do == "tell":
            return await self.tell(**values)
        if do == "fail_with":
            self.fail_with(*values.pop("faults"), **values)
        elif do == "set":  # token, key, latency, keeps_keys, …
            for name, value in values.items():
                setattr(self, name, value)
        else:
            {"be_flaky": self.be_flaky, "forget_updates": self.forget_updates, "reset": self.reset}[do](**values)
        return {}

    def _state(self) -> dict[str, Any]:
        calls = [msgspec.to_builtins(call) for call in self.calls]
        return {"messages": self.messages, "calls": calls, "typed": self.typed, "servers": self.servers}


def _error(code: int, method: str) -> dict[str, Any]:
    error: dict[str, Any] = {
        "error_code": code,
        "error_msg": _MESSAGES.get(code, f"Error {code}"),
        "request_params": [{"key": "method", "value": method}],
    }
    return error | {"captcha_sid": "1", "captcha_img": "https://example.org/captcha"} if code == 14 else error


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, str, bytes]:
    """Method, target, the host that is asked, and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split()
    return method, target, headers["host"], body


async def _answer(writer: asyncio.StreamWriter, what: object) -> None:
    await _write(writer, json.dumps(what).encode())


async def _write(
    writer: asyncio.StreamWriter, body: bytes, *, status: int = 200, kind: str = "application/json", **headers: str
) -> None:
    writer.write(_head(status, kind, len(body), **headers) + body)
    await writer.drain()


def _head(status: int, kind: str, length: int, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {length}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _post(url: str, what: dict[str, Any]) -> tuple[int, str]:
    """Status and body of the answer; (0, "") where there is none."""
    address, body = urlsplit(url), json.dumps(what).encode()
    path = address.path + (f"?{address.query}" if address.query else "")
    head = [f"POST {path} HTTP/1.1", f"host: {address.netloc}", "content-type: application/json", "connection: close"]
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(address.hostname, address.port or 80)
            writer.write("\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body)
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError):
        return 0, ""
    top, _, said = answer.partition(b"\r\n\r\n")
    return (int(top.split()[1]), said.decode()) if top else (0, "")


async def _serve(port: int) -> None:
    async with VkPeer(port=port) as peer:
        print(peer.base_url, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args().port))
