"""A Twilio of our own: it keeps what it was sent, signs what it calls, and has faults on demand.

`python tests/twilio_peer.py --port 8901` runs it alone; `/_control/…` then does what the methods do in a test.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Literal, Self, get_args
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from twilio.request_validator import HMAC_SHA1, RequestValidator

from asissto.channels.sms_text import segments

Fault = Literal[
    "hang",  # takes the request and says nothing
    "drop",  # the connection is gone, and nothing was taken
    "take_and_hang",  # the message goes out, and nothing is said
    "take_and_drop",  # the message goes out, and the connection is gone
    "page",  # a good status, then the HTML of some other server
    "bad_gateway",  # 502 with HTML
]

# Code: status and what Twilio says with it.
ERRORS = {
    20001: (400, "Bad request"),
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    20503: (503, "Service Unavailable"),
    21211: (400, "The 'To' number is not a valid phone number."),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number."),
    21602: (400, "Message body is required."),
    21606: (400, "The 'From' phone number provided is not a valid, message-capable Twilio phone number."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    63016: (400, "Failed to send freeform message because you are outside the allowed window."),
}

ACCOUNT = "AC" + "1" * 32
TOKEN = "t0ken-of-the-account"
SHARED_KEY = "shared-key-of-the-webhooks"
NUMBER = "+15005550006"
NUMBER_SID = "PN" + "2" * 32
_HTML = "<html><body>It works, somewhere else.</body></html>"


@dataclass
class _Failure:
    fault: Fault | int
    headers: dict[str, str]


@dataclass
class TwilioPeer:
    """`async with TwilioPeer() as peer:` serves at `peer.address`; `peer.messages` is what went out, oldest first.

    `callbacks` are the statuses that are told of each message, `shuffled` in any order and some of them twice.
    """

    token: str = TOKEN
    callbacks: Sequence[str] = ()
    shuffled: bool = False
    list_lag: float = 0.0
    """Seconds before a message can be seen in the list."""
    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    number: dict[str, Any] = field(
        default_factory=lambda: {"sid": NUMBER_SID, "account_sid": ACCOUNT, "phone_number": NUMBER, "sms_url": None}
    )
    media: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    account_status: str = "active"

    async def __aenter__(self) -> Self:
        self._failures: deque[_Failure] = deque()
        self._closing = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.address = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._session.close()
        await self._runner.cleanup()

    def fail_with(self, fault: Fault | int, *, times: int = 1, **headers: str) -> None:
        """The next `times` sendings meet the fault, or Twilio's error of that code; `retry_after="3"` is a header."""
        assert fault in get_args(Fault) or fault in ERRORS
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._failures.extend([_Failure(fault, named)] * times)

    async def say(self, url: str, text: str, *, sender: str, **fields: str) -> aiohttp.ClientResponse:
        """A customer writes: our hook is called with a signed form."""
        form = {**inbound(text, sender=sender, to=NUMBER), **fields}
        return await self._call(url, form)

    async def report(self, message: Mapping[str, Any], status: str, **fields: str) -> aiohttp.ClientResponse:
        """Tells the callback of a message what became of it."""
        form = {
            "MessageSid": message["sid"],
            "SmsSid": message["sid"],
            "MessageStatus": status,
            "SmsStatus": status,
            "AccountSid": ACCOUNT,
            "From": message["from"] or NUMBER,
            "To": message["to"],
            "ApiVersion": "2010-04-01",
            **fields,
        }
        return await self._call(message["status_callback"], form)

    async def all_told(self) -> None:
        """Once every callback has been made."""
        await asyncio.gather(*self._calls)

    async def _call(self, url: str, form: Mapping[str, str]) -> aiohttp.ClientResponse:
        headers = {"X-Twilio-Signature": sign(url, form, self.token), "Content-Type": FORM}
        async with self._session.post(url, data=urlencode(form).encode(), headers=headers) as response:
            await response.read()
            return response

    def _application(self) -> web.Application:
        account = f"/2010-04-01/Accounts/{ACCOUNT}"
        application = web.Application()
        application.add_routes(
            [
                web.post("/2010-04-01/Accounts/{account}/Messages.json", self._create),
                web.get(f"{account}/Messages.json", self._list),
                web.get(f"{account}.json", self._account),
                web.get(f"{account}/IncomingPhoneNumbers.json", self._numbers),
                web.post(f"{account}/IncomingPhoneNumbers/{NUMBER_SID}.json", self._update_number),
                web.get(account + "/Messages/{message}/Media/{media}", self._redirect_to_media),
                web.get("/store/{media}", self._media),
                web.get("/_control/messages", self._control_messages),
                web.post("/_control/{what}", self._control),
            ]
        )
        return application

    async def _create(self, request: web.Request) -> web.StreamResponse:
        form = await self._noted(request)
        failure = self._failures.popleft() if self._failures else None
        if failure is not None and failure.fault not in ("take_and_hang", "take_and_drop"):
            return await self._failed(request, failure)
        if code := self._refusal(request, form):
            return error(code)
        message = self._take(form)
        if failure is not None:
            return await self._failed(request, failure)
        return web.json_response(message, status=201)

    def _refusal(self, request: web.Request, form: Mapping[str, str]) -> int | None:
        if not self._is_ours(request):
            return 20003
        if request.match_info["account"] != ACCOUNT:
            return 20404
        recipient, body = form.get("To", ""), form.get("Body", "")
        if not recipient.removeprefix("whatsapp:").startswith("+"):
            return 21211
        if recipient in self.opted_out:
            return 21610
        if not body:
            return 21602
        return 21617 if len(body.encode("utf-16-le")) // 2 > 1_600 else None

    def _take(self, form: Mapping[str, str]) -> dict[str, Any]:
        service = form.get("MessagingServiceSid")
        stamp = format_datetime(datetime.now(UTC))
        message: dict[str, Any] = {
            "sid": f"SM{len(self.messages):032x}",
            "account_sid": ACCOUNT,
            "to": form["To"],
            "from": form.get("From"),
            "body": form["Body"],
            "messaging_service_sid": service,
            "num_segments": "0" if service else str(segments(form["Body"])),
            "status": "accepted" if service else "queued",
            "direction": "outbound-api",
            "date_created": stamp,
            "date_updated": stamp,
            "date_sent": None,
            "error_code": None,
            "error_message": None,
            "num_media": "0",
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM{len(self.messages):032x}.json",
            "subresource_uris": {},
            "status_callback": form.get("StatusCallback"),
            "taken_at": datetime.now(UTC).timestamp(),
        }
        self.messages.append(message)
        if message["status_callback"]:
            task = asyncio.create_task(self._tell(message))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        return message

    async def _tell(self, message: dict[str, Any]) -> None:
        """Callbacks are not tried again here, as in the real one's default."""
        statuses = list(self.callbacks)
        if self.shuffled:
            statuses += random.sample(statuses, k=len(statuses) // 2)
            random.shuffle(statuses)
        for status in statuses:
            message["status"] = status
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self.report(message, status)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        await self._noted(request)
        if not self._is_ours(request):
            return error(20003)
        query, before = request.query, datetime.now(UTC).timestamp() - self.list_lag
        found = [
            message
            for message in reversed(self.messages)
            if message["taken_at"] <= before
            and query.get("To", message["to"]) == message["to"]
            and query.get("From", message["from"]) == message["from"]
        ][: int(query.get("PageSize", "50"))]
        uri = str(request.rel_url)
        page = {"messages": found, "page": 0, "page_size": 50, "uri": uri, "first_page_uri": uri, "next_page_uri": None}
        return web.json_response(page)

    async def _account(self, request: web.Request) -> web.StreamResponse:
        await self._noted(request)
        if not self._is_ours(request):
            return error(20003)
        account = {"sid": ACCOUNT, "friendly_name": "Alice's flowers", "status": self.account_status, "type": "Full"}
        return web.json_response(account)

    async def _numbers(self, request: web.Request) -> web.StreamResponse:
        await self._noted(request)
        found = [self.number] if request.query.get("PhoneNumber") == NUMBER else []
        return web.json_response({"incoming_phone_numbers": found, "page": 0, "next_page_uri": None})

    async def _update_number(self, request: web.Request) -> web.StreamResponse:
        form = await self._noted(request)
        self.number |= {"sms_url": form.get("SmsUrl"), "sms_method": form.get("SmsMethod")}
        return web.json_response(self.number)

    async def _redirect_to_media(self, request: web.Request) -> web.StreamResponse:
        if not self._is_ours(request):
            return error(20003)
        # Another name of the same host, as the real store is another host.
        raise web.HTTPTemporaryRedirect(f"http://localhost:{self.port}/store/{request.match_info['media']}")

    async def _media(self, request: web.Request) -> web.StreamResponse:
        """The store is somebody else's: it refuses keys that are none of its business."""
        found = self.media.get(request.match_info["media"])
        if "Authorization" in request.headers or found is None:
            return web.Response(status=400 if found else 404)
        return web.Response(body=found[1], content_type=found[0])

    async def _failed(self, request: web.Request, failure: _Failure) -> web.StreamResponse:
        if isinstance(failure.fault, int):
            return error(failure.fault, failure.headers)
        if failure.fault in ("hang", "take_and_hang"):
            await self._closing.wait()
        if failure.fault in ("page", "bad_gateway"):
            status = 200 if failure.fault == "page" else 502
            return web.Response(status=status, text=_HTML, content_type="text/html")
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _noted(self, request: web.Request) -> dict[str, str]:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.requests.append((request.method, str(request.rel_url), form))
        return form

    def _is_ours(self, request: web.Request) -> bool:
        expected = base64.b64encode(f"{ACCOUNT}:{self.token}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {expected}"

    async def _control_messages(self, _request: web.Request) -> web.Response:
        return web.json_response(self.messages)

    async def _control(self, request: web.Request) -> web.Response:
        """`say`, `fail` and `set` with the arguments of `say`, `fail_with` and the fields as JSON."""
        arguments = await request.json()
        match request.match_info["what"]:
            case "say":
                status = (await self.say(arguments.pop("url"), arguments.pop("text"), **arguments)).status
                return web.json_response({"status": status})
            case "fail":
                self.fail_with(arguments.pop("fault"), **arguments)
            case "set":
                for name, value in arguments.items():
                    setattr(self, name, value)
            case _:
                raise web.HTTPNotFound
        return web.json_response({})


FORM = "application/x-www-form-urlencoded; charset=UTF-8"


def error(code: int, headers: Mapping[str, str] | None = None) -> web.Response:
    status, message = ERRORS[code]
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more, "status": status}
    return web.json_response(body, status=status, headers=headers)


def inbound(text: str, *, sender: str, to: str, sid: str = "") -> dict[str, str]:
    """The form of a message that came in, with the fields that the real one sends too."""
    sid = sid or f"SM{random.getrandbits(128):032x}"
    return {
        "ToCountry": "US",
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "SmsSid": sid,
        "SmsStatus": "received",
        "Body": text,
        "To": to,
        "NumSegments": str(segments(text)),
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "From": sender,
        "ApiVersion": "2010-04-01",
    }


def sign(url: str, form: Mapping[str, str], secret: str, algorithm: str = HMAC_SHA1) -> str:
    return str(RequestValidator(secret).compute_signature(url, form, algorithm))


async def _serve(port: int, callbacks: Sequence[str]) -> None:
    async with TwilioPeer(port=port, callbacks=callbacks, shuffled=True) as peer:
        print(json.dumps({"address": peer.address, "account_sid": ACCOUNT, "auth_token": TOKEN}), flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--callbacks", nargs="*", default=["queued", "sent", "delivered"])
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, options.callbacks))
