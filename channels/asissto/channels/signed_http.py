"""The generic channel: Standard Webhooks both ways, for messengers, gateways and programs that have no channel here."""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

import httpx2
import msgspec
from msgspec import Meta

from asissto.channels.calling import call, download, make_client
from asissto.channels.contract import (
    Attachment,
    Capabilities,
    CommonSecrets,
    CommonSettings,
    Connector,
    Destination,
    Event,
    Health,
    Hook,
    Kind,
    Part,
    Reply,
    Said,
    Sender,
    Sent,
    Taken,
)
from asissto.channels.send_errors import Blocked, ChannelBroken, Permanent, RateLimited, Retryable, Uncertain
from asissto.channels.structured import structured_part
from asissto.platform.errors import HookRefused

WINDOW_SECONDS = 300
"""How far the clock of a signed request may be off, as Standard Webhooks advises."""

_GONE = 410


class SignedHttpSettings(CommonSettings, frozen=True, kw_only=True):
    """Where answers are sent; the address must be public and encrypted unless the operator allows others."""

    callback_url: Annotated[str, Meta(max_length=2_000, pattern=r"^https?://\S+$")]


class SignedHttpSecrets(CommonSecrets, frozen=True, kw_only=True):
    """`whsec_` and base64 of 24 to 64 bytes, the same for both directions."""

    secret: Annotated[str, Meta(pattern=r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}$")]


class Incoming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a request to us; `webhook-id` in its headers is the event's key."""

    type: Literal["message", "edit", "delete", "receipt", "blocked", "unblocked"] = "message"
    conversation: Annotated[str, Meta(min_length=1, max_length=500)]
    message_id: Annotated[str, Meta(max_length=500)] = ""
    text: Annotated[str, Meta(max_length=100_000)] = ""
    sender: Sender | None = None
    attachments: Annotated[list[Attachment], Meta(max_length=20)] = []
    at: datetime | None = None
    delivery: Literal["delivered", "read", "failed"] | None = None
    reason: str = ""


class SignedHttp(Connector):
    """The other side knows a repetition by `webhook-id`, as Standard Webhooks asks of it."""

    capabilities: ClassVar[Capabilities] = Capabilities(again="idempotent")
    Settings = SignedHttpSettings
    Secrets = SignedHttpSecrets
    _client: httpx2.AsyncClient | None = None

    def take(self, hook: Hook) -> Taken:
        self._verify(hook)
        key = hook.headers["webhook-id"]
        try:
            body = msgspec.json.decode(hook.body, type=Incoming)
        except msgspec.DecodeError as error:  # signed, so that its author may know
            refused = {"code": "invalid_input", "detail": str(error)}
            return Taken([Event(key=key, kind="ignored")], _json(refused, 422))
        kind: Kind = body.type
        event = Event(
            key=key,
            kind=kind,
            thread=body.conversation,
            sender=body.sender or Sender(external_id=body.conversation),
            external_id=body.message_id,
            text=body.text,
            attachments=tuple(body.attachments),
            at=body.at,
            delivery=body.delivery,
            reason=body.reason,
        )
        return Taken([event], _json({"ok": True}, 200))

    def _verify(self, hook: Hook) -> None:
        name, sent, signatures = (hook.headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
        if not name or not sent.isdigit() or abs(time.time() - int(sent)) > WINDOW_SECONDS:
            raise HookRefused
        mine = sign(self.account.secrets.secret, name, int(sent), hook.body)
        if not any(hmac.compare_digest(mine, each) for each in signatures.split()):
            raise HookRefused

    def render(self, said: Said) -> list[Part]:
        """One part, with the plain words for whoever shows nothing else."""
        return [structured_part(said)]

    async def send(self, to: Destination, part: Part, key: int) -> Sent:
        body = msgspec.json.encode({"type": "message", "conversation": to.thread, "text": part.text, **part.extra})
        name = f"msg_{self.account.channel_id.hex[-12:]}_{key}"
        response = await self._post(name, body)
        _raise_for(response)
        return Sent(name)

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """`ref` is the address of the content, which is asked for without a signature."""
        return download(self._opened(), attachment.ref)

    async def check(self) -> Health:
        """Sends a signed `ping`, which any 2xx answers."""
        now = datetime.now(UTC)
        response = await self._post(f"ping_{now.timestamp()}", msgspec.json.encode({"type": "ping", "at": now}))
        _raise_for(response)
        return Health(name=self.account.settings.callback_url)

    async def _post(self, name: str, body: bytes) -> httpx2.Response:
        now = int(time.time())
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(self.account.secrets.secret, name, now, body),
            "content-type": "application/json",
        }
        return await call(self._opened(), "POST", self.account.settings.callback_url, content=body, headers=headers)

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = make_client(self.account, is_own_address=True)
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def sign(secret: str, name: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 HMAC-SHA256 of id, time and body (Standard Webhooks 1.0)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{name}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _json(body: object, status: int) -> Reply:
    return Reply(body=msgspec.json.encode(body), status=status, media_type="application/json")


def _raise_for(response: httpx2.Response) -> None:
    status = response.status_code
    if response.is_success:
        return
    detail = f"HTTP {status}"
    if status in (429, 503) and (pause := response.headers.get("retry-after", "")).isdigit():
        raise RateLimited(float(pause), "channel", detail)
    if status == 429:
        raise RateLimited(5.0, "channel", detail)
    if status in (401, 403, 404):
        raise ChannelBroken(detail)
    if status == _GONE:
        raise Blocked("unreachable", detail)
    if status >= 500:
        raise Uncertain(detail)
    if status == 408:
        raise Retryable(detail)
    raise Permanent(detail)
