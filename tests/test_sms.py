"""SMS and WhatsApp: requests are believed by their signature, answers fit into their price, errors are understood."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx2
import msgspec
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator

from asissto.channels import calling, twilio_sms
from asissto.channels.contract import (
    Account,
    Attachment,
    Cited,
    Delivery,
    Destination,
    Event,
    Health,
    Hook,
    Part,
    Said,
    Sender,
    Sent,
    Taken,
)
from asissto.channels.registry import connector_type
from asissto.channels.send_errors import (
    Blocked,
    ChannelBroken,
    Permanent,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)
from asissto.channels.sms_rendering import one_sms, whatsapp_messages
from asissto.channels.sms_text import fold, is_seven_bit, segments
from asissto.channels.twilio_sms import SmsSettings, TwilioSettings, TwilioSms, TwilioWhatsApp
from asissto.platform.errors import HookRefused
from asissto.platform.texts import TEXTS
from prism_server import running_prism, spec
from twilio_peer import ACCOUNT, NUMBER, SHARED_KEY, TOKEN, Fault, TwilioPeer, inbound, sign

HOOK = "https://help.example.com/api/v1/hooks/0199/0200"
CUSTOMER = "+79161234567"
SID = "SM" + "a" * 32
LINK = "https://help.example.com/api/v1/answers/" + "t" * 64
TO = Destination(CUSTOMER, {})


def connector(kind: str = "sms", *, base: str | None = None, hook_url: str | None = HOOK, **options: Any) -> Any:
    type_ = connector_type(kind)
    secrets = {name: options.pop(name) for name in ("auth_token", "shared_key", "proxy") if name in options}
    given_guard = options.pop("guarded", False)
    senders = {} if "messaging_service_sid" in options else {"sender": NUMBER}
    named = {"account_sid": ACCOUNT, "api_base": base, **senders, **options}
    return type_(
        Account(
            tenant_id=UUID(int=1),
            channel_id=UUID(int=2),
            settings=msgspec.convert(named, type_.Settings),
            secrets=msgspec.convert({"auth_token": TOKEN, **secrets}, type_.Secrets),
            language="ru",
            hook_url=hook_url,
            guarded=given_guard,
        )
    )


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioPeer]:
    async with TwilioPeer() as peer:
        yield peer


@pytest.fixture
async def sms(twilio: TwilioPeer) -> AsyncIterator[TwilioSms]:
    made = connector(base=twilio.address)
    yield made
    await made.close()


# What the provider sends us.


def hook(form: dict[str, str], *, url: str = HOOK, secret: str = TOKEN, **headers: str) -> Hook:
    algorithm = HMAC_SHA256 if "SHA256" in headers.get("settings", "") else HMAC_SHA1
    named = {"x-twilio-signature": headers.get("signature", sign(url, form, secret, algorithm))}
    if "settings" in headers:
        named["x-twilio-webhooks-signature-settings"] = headers["settings"]
    return Hook(method="POST", query="", headers=named, body=urlencode(form).encode())


def message(text: str = "Где мой заказ?", **fields: str) -> dict[str, str]:
    return {**inbound(text, sender=CUSTOMER, to=NUMBER, sid=SID), **fields}


FIELDS = (
    *inbound("", sender="", to=""),
    *("MessageStatus", "ErrorCode", "MediaUrl0", "MediaContentType0", "Latitude", "Longitude", "OptOutType", "New"),
)

ASKED = Event(
    key=SID,
    kind="message",
    thread=CUSTOMER,
    sender=Sender(external_id=CUSTOMER, phone=CUSTOMER),
    external_id=SID,
    text="Где мой заказ?",
)


def test_a_message_is_taken_once_its_signature_is_right() -> None:
    """The reply is an empty TwiML document: anything else would reach the customer as a message."""
    taken = connector().take(hook(message()))
    assert taken.events == [ASKED]
    assert (taken.reply.body, taken.reply.status, taken.reply.media_type) == (b"<Response/>", 200, "text/xml")


@pytest.mark.parametrize(
    "changed",
    [
        {"url": HOOK.replace("https", "http")},
        {"url": HOOK.replace("example.com", "example.com:8443")},
        {"url": HOOK.replace("help.", "other.")},
        {"url": HOOK + "?a=1"},
        {"url": HOOK + "/"},
        {"secret": "another account's"},
        {"signature": ""},
        {"signature": "ключ"},
        {"settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"},
        {"settings": "key=webhooks_sharedkey_1,algorithm=HMAC_MD5"},
    ],
    ids=str,
)
def test_another_signature_is_refused(changed: dict[str, str]) -> None:
    """Signed for another address, by another secret, or in a way that we have no key for."""
    with pytest.raises(HookRefused):
        connector().take(hook(message(), **changed))


@pytest.mark.parametrize(
    "body",
    [
        urlencode(message("Где чужой заказ?")),
        urlencode(message()) + "&Body=more",
        urlencode({name: value for name, value in message().items() if name != "To"}),
        "&".join(f"a{number}=1" for number in range(600)),
        "\xff",
    ],
)
def test_a_changed_body_is_refused(body: str) -> None:
    """Every field is signed, and none may be doubled, left out or added."""
    signed = msgspec.structs.replace(hook(message()), body=body.encode("latin-1", "replace"))
    with pytest.raises(HookRefused):
        connector().take(signed)


def test_a_request_is_not_asked_where_it_came_to() -> None:
    """Twilio signs the address with or without the port; ours alone counts, so none without one is believed."""
    with_port = hook(message(), url=HOOK.replace("example.com", "example.com:443"))
    assert connector().take(with_port).events == [ASKED]
    with pytest.raises(HookRefused):
        connector(hook_url=None).take(hook(message()))
    with pytest.raises(HookRefused):
        connector().take(msgspec.structs.replace(hook(message()), method="GET"))


def test_the_example_of_twilios_documentation_is_believed() -> None:
    """A signature that neither we nor the package's functions have made."""
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    made = connector(hook_url="https://mycompany.com/myapp.php?foo=1&bar=2", auth_token="12345")
    assert made.take(hook(form, signature="RSOYDt4T1cUTdK1PDd93/VVr8B8=")).events == []


def test_a_shared_key_signs_with_sha256() -> None:
    """Twilio's newer scheme names itself in a header, and needs a key of its own."""
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    signed = hook(message(), secret=SHARED_KEY, settings=settings)
    assert connector(shared_key=SHARED_KEY).take(signed).events == [ASKED]
    with pytest.raises(HookRefused):
        connector(shared_key=SHARED_KEY).take(hook(message(), settings=settings))


def test_our_signature_is_the_one_that_twilio_checks() -> None:
    """What the tests sign passes the validator of Twilio's own package, and that one refuses what we refuse."""
    form = message()
    validator = RequestValidator(TOKEN)
    assert validator.validate(HOOK, form, sign(HOOK, form, TOKEN))
    assert not validator.validate(HOOK.replace("https", "http"), form, sign(HOOK, form, TOKEN))


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=30)), st.sampled_from(["sms", "whatsapp"]))
def test_nothing_that_is_signed_breaks_us(fields: dict[str, str], kind: str) -> None:
    """Twilio adds fields without notice, and leaves others out."""
    fields = {name: value.encode(errors="ignore").decode() for name, value in fields.items()}
    assert connector(kind).take(hook(fields)).reply.status == 200


STOP = {"kind": "blocked", "key": f"{SID}:stop", "reason": "opted_out"}
START = {"kind": "unblocked", "key": f"{SID}:start", "reason": ""}


@pytest.mark.parametrize(
    ("text", "fields", "wants_answer", "choice"),
    [
        ("STOP", {}, False, STOP),
        (" стоп! ", {}, False, STOP),
        ("«Отписаться»", {}, False, STOP),
        ("Unsubscribe", {"OptOutType": "STOP"}, False, STOP),
        ("arrêt", {"OptOutType": "STOP"}, False, STOP),
        ("START", {}, True, START),
        ("старт", {}, True, START),
        ("unstop", {"OptOutType": "START"}, False, START),
        ("HELP", {"OptOutType": "HELP"}, False, None),
        ("помощь", {}, True, None),
        ("help", {}, True, None),
        ("Stop the delivery, please", {}, True, None),
        ("yes", {}, True, None),
    ],
)
def test_a_word_that_opts_out_is_kept_and_obeyed(
    text: str, fields: dict[str, str], wants_answer: bool, choice: dict[str, str] | None
) -> None:
    """The message stays one, after a START and before a STOP; what Twilio has replied to is not answered again."""
    events = list(connector().take(hook(message(text, **fields))).events)
    first, *others = events[::-1] if choice is START else events
    assert (first.kind, first.text, first.wants_answer) == ("message", text, wants_answer)
    assert [{name: getattr(each, name) for name in STOP} for each in others] == ([choice] if choice else [])
    assert {each.thread for each in others} <= {CUSTOMER}


@pytest.mark.parametrize(
    ("status", "code", "delivery", "reason"),
    [
        ("delivered", "", "delivered", ""),
        ("read", "", "read", ""),
        ("failed", "21610", "failed", "opted_out"),
        ("undelivered", "30003", "failed", "unreachable"),
        ("undelivered", "30004", "failed", "blocked"),
        ("failed", "63016", "failed", "window_closed"),
        ("undelivered", "30008", "failed", ""),
    ],
)
def test_a_callback_is_a_receipt(status: str, code: str, delivery: Delivery, reason: str) -> None:
    """Each status of a message is an event of its own, the same however often it is told."""
    form = {"MessageSid": SID, "MessageStatus": status, "AccountSid": ACCOUNT, "From": NUMBER, "To": CUSTOMER}
    taken = connector().take(hook(form | ({"ErrorCode": code} if code else {})))
    assert taken.events == [
        Event(
            key=f"{SID}:{status}",
            kind="receipt",
            thread=CUSTOMER,
            external_id=SID,
            delivery=delivery,
            reason=reason,
        )
    ]


def test_what_is_no_news_brings_nothing() -> None:
    """That a message is queued or sent, and what belongs to another account, channel or to nobody we could answer."""
    queued = {"MessageSid": SID, "MessageStatus": "queued", "To": CUSTOMER}
    assert connector().take(hook(queued)).events == []
    assert connector().take(hook({"Body": "no sid"})).events == []
    others = [
        ("sms", {"From": "MyBank"}),
        ("sms", {"From": f"whatsapp:{CUSTOMER}"}),
        ("whatsapp", {}),
        ("sms", {"AccountSid": "AC" + "9" * 32}),
        ("sms", {"From": NUMBER}),
    ]
    for kind, fields in others:
        assert connector(kind).take(hook(message(**fields))).events == [Event(key=SID, kind="ignored", external_id=SID)]


def test_a_whatsapp_message_has_a_name_and_attachments() -> None:
    """The thread is the bare number, so that one customer is the same person by SMS."""
    form = message(
        "\x00Смотрите",
        From=f"whatsapp:{CUSTOMER}",
        To=f"whatsapp:{NUMBER}",
        ProfileName="Мария\x00",
        NumMedia="3",
        MediaUrl0="https://api.twilio.com/m/0",
        MediaContentType0="image/jpeg",
        MediaUrl1="https://api.twilio.com/m/1",
        MediaContentType1="audio/ogg",
        Latitude="55.75",
        Longitude="37.61",
    )
    (event,) = connector("whatsapp").take(hook(form)).events
    assert (event.thread, event.text) == (CUSTOMER, "Смотрите")
    assert event.sender == Sender(external_id=CUSTOMER, name="Мария", phone=CUSTOMER)
    assert event.attachments == (
        Attachment(type="photo", ref="https://api.twilio.com/m/0", mime="image/jpeg"),
        Attachment(type="voice", ref="https://api.twilio.com/m/1", mime="audio/ogg"),
        Attachment(type="location", name="55.75,37.61"),
    )


def test_words_of_a_dialogue_end_nothing_in_a_messenger() -> None:
    """Twilio takes “cancel” for “stop” by SMS alone."""
    addresses = {"From": f"whatsapp:{CUSTOMER}", "To": f"whatsapp:{NUMBER}"}
    kinds = {
        (kind, word): [event.kind for event in connector(kind).take(hook(message(word, **fields))).events]
        for kind, fields in (("sms", {}), ("whatsapp", addresses))
        for word in ("cancel", "stop")
    }
    assert kinds == {
        ("sms", "cancel"): ["message", "blocked"],
        ("sms", "stop"): ["message", "blocked"],
        ("whatsapp", "cancel"): ["message"],
        ("whatsapp", "stop"): ["message", "blocked"],
    }


# What a message costs.


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 159 + "{", 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the escape and its letter stay together
        ("Δ" * 160, 1),
        ("ç" * 71, 2),
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("я" * 134, 2),
        ("я" * 135, 3),
        ("a" * 69 + "№", 1),
        ("a" * 70 + "“", 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),  # 134 units, but 33 pairs in each segment of 67
        ("я" * 600, 9),
    ],
    ids=lambda value: value if isinstance(value, int) else value[:1] + str(len(value)),
)
def test_segments_are_counted_as_they_are_paid(text: str, count: int) -> None:
    """By the 7-bit alphabet with its extension, else in UTF-16 units; longer messages pay for their headers."""
    assert segments(text) == count


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("“Yes” — it’s 5…", '"Yes" - it\'s 5...'),
        ("Cafe\u0301 №5 • 10\u00a0€", "Café No.5 - 10 €"),
        ("«Да» — и…", "«Да» — и…"),
        ("soft\u00adly, “Привет”", "softly, “Привет”"),
    ],
)
def test_signs_are_made_plain_only_where_that_helps(text: str, folded: str) -> None:
    """In Russian it saves nothing, so the author's signs stay."""
    assert fold(text) == folded


# How an answer is written.

HOURS = Said(
    text="We are open on weekdays from 9 to 18 [1]. On Saturdays we are open from 10 to 14 [2].",
    language="en",
    citations=(
        Cited(number=1, title="Opening hours", locator="p. 2", quote="weekdays from 9 to 18"),
        Cited(number=2, title="Weekends", locator="", quote="Saturdays from 10 to 14"),
    ),
    link=LINK,
)


def test_a_short_answer_comes_with_its_sources() -> None:
    """All of it fits, so no link is needed."""
    (part,) = connector().render(HOURS)
    assert part == Part(
        text="We are open on weekdays from 9 to 18 [1]. On Saturdays we are open from 10 to 14 [2].\n"
        "Sources:\n[1] Opening hours, p. 2\n[2] Weekends"
    )
    assert segments(part.text) == 1


def test_sources_that_do_not_fit_stand_behind_the_link() -> None:
    """The answer is whole, and what supports it is one tap away."""
    titles = tuple(msgspec.structs.replace(cited, title=cited.title * 20) for cited in HOURS.citations)
    said = msgspec.structs.replace(HOURS, citations=titles, notice="Write “operator” to talk to a person.")
    (part,) = connector(max_segments=2).render(said)
    assert part.text == (
        "We are open on weekdays from 9 to 18. On Saturdays we are open from 10 to 14.\n"
        f'Write "operator" to talk to a person.\nWhole answer with its sources: {LINK}'
    )


def test_a_long_answer_ends_with_a_sentence_and_the_link() -> None:
    """In Russian, four segments hold 268 letters."""
    sentence = "Заказ можно вернуть в течение четырнадцати дней со дня получения. "
    said = Said(text=sentence * 8, language="ru", link=LINK)
    (part,) = connector().render(said)
    assert part.text == f"{sentence.strip()} {sentence.strip()}…\nПолный ответ с источниками: {LINK}"
    assert segments(part.text) == 4
    (without,) = connector(max_segments=3).render(msgspec.structs.replace(said, link=""))
    assert without.text == (sentence * 3).strip() + "…"


@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
def test_a_very_long_answer_is_written_quickly(kind: str) -> None:
    """Twenty thousand letters with pictures and code, which no customer should wait for."""
    text = ("Текст 👍🏽 с `кодом` и **жирным** [1].\n\n```\nprint('😀')\n```\n\n" + "Слово за слово. " * 100) * 12
    said = Said(text=text, language="ru", is_markdown=True, citations=HOURS.citations, link=LINK)
    started = time.perf_counter()
    parts = connector(kind).render(said)
    assert time.perf_counter() - started < 1.0
    if kind == "sms":
        assert [(segments(part.text), part.text.endswith(LINK)) for part in parts] == [(4, True)]
    else:
        assert len(parts) == 4 + 1
        assert parts[-1].text == f"Полный ответ с источниками: {LINK}"
        assert len(connector(kind).render(msgspec.structs.replace(said, link=""))) == 25


def test_markdown_becomes_plain_lines() -> None:
    """Marks of a model mean nothing in an SMS; links are written out once."""
    said = Said(
        text="# Return\n\n**Two** ways:\n\n1. By [form](https://a.example/f)\n2. https://a.example/g\n   - at once",
        language="en",
        is_markdown=True,
    )
    assert one_sms(said, 4, folds=True) == (
        "Return\nTwo ways:\n1. By form (https://a.example/f)\n2. https://a.example/g\n  - at once"
    )


@st.composite
def answers(draw: st.DrawFn) -> Said:
    letters = st.sampled_from("aя“…№€{ \n.!*_#[]1-😀👍🏽é\u0301\u00ad\u200d")
    words = st.text(st.one_of(letters, st.characters(exclude_categories=["Cs"])), max_size=60)
    citations = [
        Cited(number=number, title=draw(words), locator=draw(words), quote="q")
        for number in range(1, draw(st.integers(0, 4)) + 1)
    ]
    return Said(
        text=draw(words) * draw(st.integers(0, 40)),
        language=draw(st.sampled_from(["ru", "en"])),
        is_markdown=draw(st.booleans()),
        citations=tuple(citations),
        notice=draw(words),
        link=draw(st.sampled_from(["", LINK])),
    )


@settings(max_examples=200)
@given(answers(), st.integers(1, 10), st.booleans())
def test_no_sms_costs_more_than_the_limit(said: Said, most: int, folds: bool) -> None:
    """Whatever is said, in whatever alphabet; and the same again each time."""
    written = one_sms(said, most, folds=folds)
    assert segments(written) <= most
    assert written == one_sms(said, most, folds=folds)


@settings(max_examples=100)
@given(answers())
def test_no_whatsapp_message_is_longer_than_twilio_takes(said: Said) -> None:
    """1,600 UTF-16 units are the largest body."""
    assert all(len(text.encode("utf-16-le")) <= 3_200 for text in whatsapp_messages(said))


def test_whatsapp_has_marks_of_its_own() -> None:
    """Bold, italic, code and quotes, and sources with their addresses."""
    said = Said(
        text="## Return\n\nIt takes **two days** [1] and is *free*: `R-1`.\n\n> Keep it\n\n- [Form](https://a.example)",
        language="en",
        is_markdown=True,
        citations=(Cited(number=1, title="Terms", locator="p. 3", quote="q", url="https://a.example/terms"),),
        notice="Write “operator”.",
    )
    assert connector("whatsapp").render(said) == [
        Part(
            text="*Return*\nIt takes *two days* [1] and is _free_: `R-1`.\n> Keep it\n"
            "• Form (https://a.example)\nWrite “operator”.\nSources:\n[1] Terms, p. 3\nhttps://a.example/terms",
            format="whatsapp",
        )
    ]


def test_a_long_whatsapp_answer_is_several_messages() -> None:
    """Nothing is lost between them."""
    paragraphs = [f"Абзац {number}. " + "Слово. " * 100 for number in range(6)]
    texts = whatsapp_messages(Said(text="\n\n".join(paragraphs), language="ru"))
    assert [text[:8] for text in texts] == ["Абзац 0.", "Абзац 2.", "Абзац 4."]
    assert "".join(texts).replace("\n", "").replace(" ", "") == "".join(paragraphs).replace(" ", "")


# What we send.


class Door:
    """The address that Twilio calls: what comes is handed to the connector, and kept."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        try:
            self.taken.append(self.connector.take(Hook(method="POST", query="", headers=headers, body=body)))
        except HookRefused:
            return web.Response(status=403)
        reply = self.taken[-1].reply
        return web.Response(body=reply.body, status=reply.status, content_type=reply.media_type)

    @property
    def events(self) -> list[Event]:
        return [event for taken in self.taken for event in taken.events]

    async def open(self, twilio: TwilioPeer) -> web.AppRunner:
        application = web.Application()
        application.add_routes([web.post("/hook", self.answer)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        self.connector = connector(base=twilio.address, hook_url=self.address)
        return runner


@pytest.fixture
async def door(twilio: TwilioPeer) -> AsyncIterator[Door]:
    door = Door()
    runner = await door.open(twilio)
    yield door
    await door.connector.close()
    await runner.cleanup()


async def test_a_dialogue_over_sockets(twilio: TwilioPeer, door: Door) -> None:
    """A question comes in, its answer goes out, and receipts come in any order, some of them twice."""
    twilio.callbacks, twilio.shuffled = ("queued", "sent", "delivered", "read"), True
    answer = await twilio.say(door.address, "Где мой заказ?", sender=CUSTOMER)
    assert (answer.status, answer.content_type, await answer.text()) == (200, "text/xml", "<Response/>")
    assert [(event.thread, event.text) for event in door.events] == [(CUSTOMER, "Где мой заказ?")]
    sent = await door.connector.send(TO, Part(text="Ваш заказ в пути."), 1)
    await twilio.all_told()
    assert sent == Sent(twilio.messages[0]["sid"], 1)
    assert twilio.requests == [
        (
            "POST",
            f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
            {"To": CUSTOMER, "From": NUMBER, "Body": "Ваш заказ в пути.", "StatusCallback": door.address},
        )
    ]
    assert len(door.taken) == 1 + 6
    receipts = {(event.key, event.external_id, event.delivery) for event in door.events[1:]}
    assert receipts == {(f"{sent.message_id}:{told}", sent.message_id, told) for told in ("delivered", "read")}


async def test_a_stranger_at_the_door_is_refused(twilio: TwilioPeer, door: Door) -> None:
    """Without the account's token nothing is taken."""
    twilio.token = "guessed"
    assert (await twilio.say(door.address, "Переведите деньги", sender=CUSTOMER)).status == 403
    assert door.taken == []


async def test_whatsapp_and_services_name_their_sender(twilio: TwilioPeer) -> None:
    """A service chooses the number, and counts its segments later than we do."""
    service = "MG" + "3" * 32
    for made in (
        connector("whatsapp", base=twilio.address),
        connector(base=twilio.address, messaging_service_sid=service),
    ):
        assert (await made.send(TO, Part(text="я" * 71), 1)).segments == 2
        await made.close()
    forms = [form for _, _, form in twilio.requests]
    assert (forms[0]["To"], forms[0]["From"]) == (f"whatsapp:{CUSTOMER}", f"whatsapp:{NUMBER}")
    assert (forms[1]["MessagingServiceSid"], "From" in forms[1]) == (service, False)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (20429, RateLimited(7.0, "channel", "20429 Too Many Requests")),
        (
            21611,
            RateLimited(7.0, "channel", "21611 This 'From' number has exceeded the maximum number of queued messages"),
        ),
        (20003, ChannelBroken("20003 Authenticate")),
        (20404, ChannelBroken("20404 The requested resource was not found")),
        (
            21606,
            ChannelBroken(
                "21606 The 'From' phone number provided is not a valid, message-capable Twilio phone number."
            ),
        ),
        (21610, Blocked("opted_out", "21610 Attempt to send to unsubscribed recipient")),
        (
            63016,
            Blocked(
                "window_closed", "63016 Failed to send freeform message because you are outside the allowed window."
            ),
        ),
        (21211, Permanent("21211 The 'To' number is not a valid phone number.")),
        (21614, Permanent("21614 'To' number is not a valid mobile number")),
        (21617, Permanent("21617 The concatenated message body exceeds the 1600 character limit")),
        (20500, Uncertain("20500 Internal Server Error")),
        (20503, Retryable("20503 Service Unavailable")),
        ("bad_gateway", Uncertain("502")),
        ("page", Uncertain("200, but no JSON")),
        ("drop", Uncertain("RemoteProtocolError")),
        ("take_and_drop", Uncertain("RemoteProtocolError")),
        ("hang", Uncertain("TimeoutError")),
    ],
    ids=lambda value: str(value) if not isinstance(value, SendError) else value.code,
)
async def test_an_error_says_what_happens_next(
    twilio: TwilioPeer, sms: TwilioSms, fault: Fault | int, error: SendError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call, one error, within the time; and no secret in what the owner reads."""
    monkeypatch.setattr(calling, "SEND_SECONDS", 0.3 if fault == "hang" else 15.0)
    twilio.fail_with(fault, retry_after="7")
    with pytest.raises(SendError) as raised:
        await sms.send(TO, Part(text="Ваш заказ в пути."), 1)
    assert type(raised.value) is type(error)
    assert vars(raised.value) == vars(error)
    assert len(twilio.requests) == 1
    assert TOKEN not in raised.value.detail


async def test_nobody_there_is_no_message() -> None:
    """A connection that was refused has sent nothing."""
    made = connector(base="http://127.0.0.1:9")
    with pytest.raises(Retryable):
        await made.send(TO, Part(text="Ваш заказ в пути."), 1)
    await made.close()


async def test_an_address_of_the_house_is_not_asked(twilio: TwilioPeer) -> None:
    """Whoever writes settings must not send the server into its own network."""
    made = connector(base=twilio.address, guarded=True)
    with pytest.raises(Retryable, match="AddressRefused"):
        await made.send(TO, Part(text="Ваш заказ в пути."), 1)
    assert twilio.requests == []
    await made.close()


async def test_a_lost_answer_is_looked_up(twilio: TwilioPeer, sms: TwilioSms) -> None:
    """What went out is found by its words, and what did not is known not to be there."""
    since, part = datetime.now(UTC), Part(text="“In two days” — see below")
    twilio.fail_with("drop")
    twilio.fail_with("take_and_drop")
    for found in (None, Sent("SM" + "0" * 32, 1)):
        with pytest.raises(Uncertain):
            await sms.send(TO, part, 1)
        assert await sms.find_sent(TO, part, 1, since) == found
    assert await sms.find_sent(Destination("+15550001111", {}), part, 1, since) is None
    assert await sms.find_sent(TO, Part(text="In three days"), 1, since) is None


@pytest.mark.parametrize(
    ("stored", "is_found"),
    [
        ({"body": '"In two days" - see below'}, True),  # smart encoding
        ({"body": "Sent from your Twilio trial account - “In two days” — see below"}, True),
        ({"status": "failed"}, True),
        ({"direction": "inbound"}, False),
    ],
)
async def test_words_are_found_as_twilio_keeps_them(
    twilio: TwilioPeer, sms: TwilioSms, stored: dict[str, str], is_found: bool
) -> None:
    """Which may be with other signs and a line before them; what the customer wrote is not ours."""
    since, part = datetime.now(UTC), Part(text="“In two days” — see below")
    await sms.send(TO, part, 1)
    twilio.messages[0].update(stored)
    assert (await sms.find_sent(TO, part, 1, since) is not None) == is_found


async def test_the_same_words_of_an_earlier_day_are_not_this_message(twilio: TwilioPeer, sms: TwilioSms) -> None:
    """A greeting is sent more than once in a life."""
    await sms.send(TO, Part(text="Здравствуйте!"), 1)
    later = datetime.now(UTC) + timedelta(seconds=12)
    assert await sms.find_sent(TO, Part(text="Здравствуйте!"), 2, later) is None
    clock_ahead = datetime.now(UTC) + timedelta(seconds=5)
    assert await sms.find_sent(TO, Part(text="Здравствуйте!"), 2, clock_ahead) is not None


async def test_a_list_that_does_not_reach_back_proves_nothing(
    twilio: TwilioPeer, sms: TwilioSms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message might be older than all that is listed."""
    monkeypatch.setattr(twilio_sms, "_LISTED", 2)
    since = datetime.now(UTC)
    for number in range(3):
        await sms.send(TO, Part(text=f"Сообщение {number}"), 1)
    assert await sms.find_sent(TO, Part(text="Сообщение 1"), 1, since) is not None
    with pytest.raises(Uncertain):
        await sms.find_sent(TO, Part(text="Сообщение 0"), 1, since)


async def test_checking_tells_whether_the_number_calls_us(twilio: TwilioPeer, sms: TwilioSms) -> None:
    """And installing makes it so; where it cannot be told, the owner reads what to enter."""
    assert await sms.check() == Health(name="Alice's flowers", notes=("twilio.not_installed",))
    await sms.install()
    assert (twilio.number["sms_url"], twilio.number["sms_method"]) == (HOOK, "POST")
    assert (await sms.check()).notes == ()
    others = {
        "twilio.enter_address": [
            connector("whatsapp", base=twilio.address),
            connector(base=twilio.address, sender="+15550009999"),
        ],
        "twilio.no_public_url": [connector(base=twilio.address, hook_url=None)],
    }
    for note, connectors in others.items():
        assert note in TEXTS
        for made in connectors:
            await made.install()
            assert (await made.check()).notes == (note,)
            await made.close()


async def test_checking_says_what_is_wrong_with_the_account(twilio: TwilioPeer, sms: TwilioSms) -> None:
    """A suspended account and a revoked token send nothing."""
    twilio.account_status = "suspended"
    with pytest.raises(ChannelBroken, match="suspended"):
        await sms.check()
    twilio.token = "another one"
    with pytest.raises(ChannelBroken, match="20003"):
        await sms.check()


MEDIA = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}/Media"


async def test_media_is_read_with_keys_that_stay_with_twilio(twilio: TwilioPeer, sms: TwilioSms) -> None:
    """The store that it redirects to gets none, and the content comes whole."""
    twilio.media["ME1"] = ("image/png", b"picture" * 20_000)
    pieces = [piece async for piece in sms.fetch(Attachment(type="photo", ref=f"{twilio.address}{MEDIA}/ME1"))]
    assert b"".join(pieces) == b"picture" * 20_000


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("{own}" + MEDIA + "/gone", "404"),
        ("file:///etc/passwd", "UnsupportedProtocol"),
        ("http://twilio:port/", "InvalidURL"),
        ("{guarded}" + MEDIA + "/ME1", "AddressRefused"),
    ],
)
async def test_media_elsewhere_is_not_read(twilio: TwilioPeer, address: str, error: str) -> None:
    """An address of the house, of no protocol or of no file ends in an error that tells it."""
    twilio.media["ME1"] = ("image/png", b"picture")
    made = connector(base=twilio.address, guarded="{guarded}" in address)
    ref = address.format(own=twilio.address, guarded=twilio.address)
    with pytest.raises(Permanent, match=error):
        [piece async for piece in made.fetch(Attachment(type="photo", ref=ref))]
    await made.close()


# The rest.


@pytest.mark.parametrize(
    ("given_settings", "is_right"),
    [
        ({"sender": NUMBER}, True),
        ({"sender": "Flowers"}, True),
        ({"messaging_service_sid": "MG" + "3" * 32}, True),
        ({}, False),
        ({"sender": NUMBER, "messaging_service_sid": "MG" + "3" * 32}, False),
        ({"sender": "+7 916"}, False),
        ({"sender": NUMBER, "max_segments": 11}, False),
    ],
)
def test_settings_name_one_sender(given_settings: dict[str, Any], is_right: bool) -> None:
    """A number, a name or a service."""
    given_settings = {"account_sid": ACCOUNT, **given_settings}
    if is_right:
        msgspec.convert(given_settings, SmsSettings)
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(given_settings, SmsSettings)


def test_each_type_has_its_class() -> None:
    """WhatsApp has no segments to limit."""
    assert (connector_type("sms"), connector_type("whatsapp")) == (TwilioSms, TwilioWhatsApp)
    assert (TwilioSms.Settings, TwilioWhatsApp.Settings) == (SmsSettings, TwilioSettings)


async def test_the_peer_runs_alone() -> None:
    """For tests that kill processes: another one tells it what to do."""
    script = Path(__file__).with_name("twilio_peer.py")
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    peer = msgspec.json.decode(await process.stdout.readline())
    made = connector(base=peer["address"])
    async with httpx2.AsyncClient() as client:
        await client.post(f"{peer['address']}/_control/fail", json={"fault": 20429, "retry_after": "2"})
        with pytest.raises(RateLimited):
            await made.send(TO, Part(text="Ваш заказ в пути."), 1)
        await made.send(TO, Part(text="Ваш заказ в пути."), 1)
        messages = (await client.get(f"{peer['address']}/_control/messages")).json()
    assert [each["body"] for each in messages] == ["Ваш заказ в пути."]
    await made.close()
    process.kill()
    await process.wait()


# Against Twilio's own description of its API.


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    with running_prism(spec("twilio_api_v2010.yaml")) as address:
        yield address


async def test_our_calls_are_those_that_twilio_describes(prism: str) -> None:
    """Send, look up, check and install, each accepted by a server made from the official description."""
    made = connector(base=prism)
    sent = await made.send(TO, Part(text="Ваш заказ в пути."), 1)
    assert sent.message_id
    assert await made.find_sent(TO, Part(text="Ваш заказ в пути."), 1, datetime.now(UTC)) is None
    assert (await made.check()).name
    await made.install()
    await made.close()


async def test_the_description_refuses_what_is_wrong(prism: str) -> None:
    """So that the dialogue above proves something."""
    made = connector(base=prism, hook_url="no address")
    with pytest.raises(SendError):
        await made.send(TO, Part(text="Ваш заказ в пути."), 1)
    async with httpx2.AsyncClient() as client:
        answer = await client.post(f"{prism}/2010-04-01/Accounts/AC1/Messages.json", data={"To": CUSTOMER})
    assert answer.is_client_error
    await made.close()


def test_plain_signs_are_of_the_alphabet() -> None:
    """Or folding would not make anything cheaper."""
    assert is_seven_bit(fold("“”„‟«»″‘’‚‛‹›′`´‐‑‒–—―−•·…№×→≤≥©®™\u00a0\t\u202f"))
