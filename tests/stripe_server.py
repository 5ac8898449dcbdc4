"""Stripe for the tests: localstripe, a third party's server in an environment of its own, and what it lacks before it.

localstripe has payment intents, cards, charges, refunds and signed events. It has no Checkout and no disputes, and it
ignores idempotency keys: those are played by `StripeFront`, held to Stripe's published API, which passes on the rest.
localstripe is under the GPL and part of the tests alone.
"""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx
import msgspec
from aiohttp import ClientSession, web

from npm import free_port, give_up

HERE = Path(__file__).with_name("localstripe")
KEY, SECRET = "sk_test_that_nobody_logs", "whsec_that_nobody_logs"
CARD = {"number": "4242424242424242", "exp_month": "12", "exp_year": "2040", "cvc": "123"}
DECLINED = {**CARD, "number": "4000000000000341"}


@contextmanager
def running_localstripe() -> Iterator[str]:
    """Its address; skips with a reason where it cannot be installed, and fails there with REQUIRE_TOOLS=1."""
    python, port = _installed() / "bin/python", free_port()
    command = [str(python), "-m", "localstripe", "--port", str(port), "--from-scratch"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(process, f"http://localhost:{port}")
            yield f"http://localhost:{port}"
        finally:
            process.kill()
            process.wait()


class StripeFront:
    """`async with StripeFront(address) as stripe:` serves at `stripe.url`; `events` are the signed ones that came."""

    def __init__(self, localstripe: str) -> None:
        self.localstripe = localstripe
        self.sessions: dict[str, dict[str, Any]] = {}
        self.disputes: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[bytes, str]] = []
        self.calls: list[str] = []
        self.lose_next = False
        self.cut_next = False
        self._done: dict[str, tuple[bytes, bytes]] = {}
        self._came = asyncio.Event()

    async def pay(self, session_id: str, card: dict[str, str] = CARD) -> str:
        """As the customer does on Stripe's page; returns the id of the payment intent."""
        session = self.sessions[session_id]
        method = await self._ask("payment_methods", {"type": "card"} | {f"card[{k}]": v for k, v in card.items()})
        metadata = {f"metadata[{name}]": value for name, value in session["_intent_metadata"].items()}
        amount = {"amount": str(session["amount_total"]), "currency": session["currency"]}
        intent = await self._ask("payment_intents", {**amount, **metadata, "payment_method": method["id"]})
        session["payment_intent"] = intent["id"]
        await self._ask(f"payment_intents/{intent['id']}/confirm", {})
        session |= {"status": "complete", "payment_status": "paid"}
        return str(intent["id"])

    async def next_event(self) -> tuple[bytes, str]:
        """Body and signature as localstripe has sent them; it waits for a second first."""
        async with asyncio.timeout(10):
            while not self.events:
                self._came.clear()
                await self._came.wait()
        return self.events.pop(0)

    async def stored(self, path: str) -> dict[str, Any]:
        async with ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
            found: dict[str, Any] = await (await session.get(f"{self.localstripe}/v1/{path}")).json()
            return found

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/checkout/sessions", self._open_session)
        app.router.add_get("/v1/checkout/sessions/{id}", self._show_session)
        app.router.add_get("/v1/disputes", self._list_disputes)
        app.router.add_post("/hooks", self._hear)
        app.router.add_route("*", "/v1/{rest:.+}", self._pass_on)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        async with ClientSession() as session:
            hook = {"url": f"{self.url}/hooks", "secret": SECRET}
            await session.post(f"{self.localstripe}/_config/webhooks/tests", json=hook)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _hear(self, request: web.Request) -> web.Response:
        self.events.append((await request.read(), request.headers["Stripe-Signature"]))
        self._came.set()
        return web.Response()

    async def _open_session(self, request: web.Request) -> web.Response:
        return await self._once(request, self._make_session)

    async def _make_session(self, request: web.Request) -> bytes:
        sent = {name: str(value) for name, value in (await request.post()).items()}
        price = "line_items[0][price_data]"
        known = {
            "mode",
            "line_items[0][quantity]",
            f"{price}[currency]",
            f"{price}[unit_amount]",
            "client_reference_id",
        }
        known |= {f"{price}[product_data][name]", "customer_email", "success_url", "cancel_url"}
        known |= {
            f"{at}[{name}]"
            for at in ("metadata", "payment_intent_data[metadata]")
            for name in ("tenant_id", "payment_id")
        }
        assert sent.keys() <= known | {"payment_intent_data[description]"}, sent.keys() - known
        assert (sent["mode"], sent["line_items[0][quantity]"]) == ("payment", "1")
        assert sent["success_url"].startswith("http")
        session_id = f"cs_test_{uuid4().hex}"
        names = ("tenant_id", "payment_id")
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "status": "open",
            "payment_status": "unpaid",
            "url": f"https://checkout.stripe.com/c/pay/{session_id}",
            "amount_total": int(sent[f"{price}[unit_amount]"]),
            "currency": sent[f"{price}[currency]"],
            "metadata": {name: sent[f"metadata[{name}]"] for name in names},
            "payment_intent": None,
            "_intent_metadata": {name: sent[f"payment_intent_data[metadata][{name}]"] for name in names},
        }
        return _shown(self.sessions[session_id])

    async def _show_session(self, request: web.Request) -> web.Response:
        session = self.sessions.get(request.match_info["id"])
        if session is None:
            return web.json_response(
                {"error": {"type": "invalid_request_error", "code": "resource_missing"}}, status=404
            )
        return _answer(_shown(session))

    async def _list_disputes(self, request: web.Request) -> web.Response:
        mine = [each for each in self.disputes.values() if each["payment_intent"] == request.query["payment_intent"]]
        return web.json_response({"object": "list", "data": mine, "has_more": False, "url": "/v1/disputes"})

    async def _pass_on(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            return await self._once(request, self._forward)
        raw = await self._forward(request)
        shown = msgspec.json.decode(raw)
        if shown.get("object") == "payment_intent" and shown["latest_charge"] is not None:
            disputed = any(each["payment_intent"] == shown["id"] for each in self.disputes.values())
            shown["latest_charge"]["disputed"] = disputed
        return _answer(msgspec.json.encode(shown), 404 if "error" in shown else 200)

    async def _forward(self, request: web.Request) -> bytes:
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        async with ClientSession(headers=headers) as session:
            body = await request.read() or None
            made = await session.request(request.method, f"{self.localstripe}{request.path_qs}", data=body)
            return await made.read()

    async def _once(self, request: web.Request, make: Any) -> web.Response:
        """The same key with the same body is answered as before, with another body it is an error."""
        self.calls.append(request.path)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"type": "invalid_request_error", "message": KEY}}, status=401)
        key, body = request.headers["Idempotency-Key"], await request.read()
        if key not in self._done:
            self._done[key] = (body, await make(request))
        if self._done[key][0] != body:
            return web.json_response({"error": {"type": "idempotency_error"}}, status=400)
        if self.lose_next:
            self.lose_next = False
            assert request.transport is not None
            request.transport.abort()
        made = self._done[key][1]
        if self.cut_next:
            self.cut_next = False
            return await _cut(request, made)
        return _answer(made, 400 if b'"error"' in made else 200)

    async def _ask(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        async with ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
            made: dict[str, Any] = await (await session.post(f"{self.localstripe}/v1/{path}", data=form)).json()
            return made


def _answer(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


async def _cut(request: web.Request, body: bytes) -> web.Response:
    """The head of the answer and half of its body."""
    answer = web.Response(headers={"Content-Length": str(len(body))})
    begun = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await begun.prepare(request)
    await begun.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return answer


def _shown(session: dict[str, Any]) -> bytes:
    return msgspec.json.encode({name: value for name, value in session.items() if not name.startswith("_")})


def _installed() -> Path:
    """The environment of this folder's lock file; of two test runs at once the first to be done is used by both."""
    lock = HERE / "requirements.lock"
    named = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    folder = Path(sys.prefix) / "share" / f"localstripe-{named}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    uv = str(Path(sys.executable).with_name("uv"))
    _run(fresh, uv, "venv", "--quiet", "--python", sys.executable, "--relocatable", "--allow-existing", str(fresh))
    python = str(fresh / "bin/python")
    _run(fresh, uv, "pip", "install", "--quiet", "--require-hashes", "--python", python, "-r", str(lock))
    try:
        fresh.rename(folder)
    except OSError:
        shutil.rmtree(fresh)
    return folder


def _run(fresh: Path, *command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ran.returncode:
        shutil.rmtree(fresh)
        give_up(f"localstripe could not be installed: {ran.stderr[-500:]}")


def _wait(process: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            httpx.get(address, timeout=1)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
