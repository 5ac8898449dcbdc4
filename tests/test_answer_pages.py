"""The page behind the link in an SMS: for whoever has the link, as long as it is good, and for nobody else."""

import base64
import re
import time
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asissto.channels.answer_links import DAYS, Linked, answer_link, make_token, read_token
from asissto.channels.answer_pages import answer_page, sorry_page
from asissto.channels.channels import api_channel
from asissto.channels.contract import Cited, Said
from asissto.platform.keys import parse_key_ring
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import text
from asissto.retrieval.assistants import first_assistant
from asissto.retrieval.conversations import Asked, open_conversation
from asissto.retrieval.tables import Citation, Message
from copies import KEYS
from people import Person

OTHER_KEYS = parse_key_ring("other:" + "B" * 43 + "=")
TENANT, MESSAGE = UUID(int=3), UUID(int=4)
ANSWER = "Заказ едет **три дня** [1]. <script>alert(1)</script>"
PAGE = "/api/v1/answers"


async def store(services: Services, alice: Person, *, mode: str = "generated", sender: str = "assistant") -> UUID:
    """A message with one source."""
    message_id = new_id()
    async with services.database.tenant(alice.tenant_id) as session:
        assistant = await first_assistant(session, alice.tenant_id)
        channel_id = await api_channel(session, alice.tenant_id)
        asked = Asked(tenant_id=alice.tenant_id, assistant_id=assistant.id, channel_id=channel_id, question="?")
        conversation = await open_conversation(session, asked)
        message = Message(
            tenant_id=alice.tenant_id,
            id=message_id,
            conversation_id=conversation.id,
            sender_kind=sender,
            content=ANSWER,
            metadata_={"mode": mode},
        )
        session.add(message)
        await session.flush()
        where = {"document_id": new_id(), "version_id": new_id(), "chunk_id": new_id(), "support": 0.9}
        place = {"title": "Доставка & «сроки»", "locator": "с. 2", "start_offset": 0, "end_offset": 8}
        quote = "Заказ едет <b>три дня</b>."
        session.add(Citation(tenant_id=alice.tenant_id, message_id=message_id, number=1, quote=quote, **where, **place))
    return message_id


def path_of(services: Services, tenant_id: UUID, message_id: UUID, *, expires_in: float = 60) -> str:
    linked = Linked(tenant_id, message_id, int(time.time() + expires_in))
    return f"{PAGE}/{make_token(services.keys, linked)}"


async def test_the_link_opens_the_answer_with_its_sources(
    services: Services, alice: Person, client: httpx.AsyncClient
) -> None:
    """Nobody is asked to sign in; what the model wrote as Markdown is shown as such, and HTML as text."""
    public = msgspec.structs.replace(
        services, settings=msgspec.structs.replace(services.settings, public_url="https://a.example")
    )
    link = answer_link(public, alice.tenant_id, await store(services, alice))
    assert re.fullmatch(rf"https://a\.example{PAGE}/[\w-]{{64}}", link)
    page = await client.get(link.removeprefix("https://a.example"))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["cache-control"] == "no-store"
    assert re.search(r"<main>.*</ol>", page.text, re.DOTALL)[0] == (  # type: ignore[index]
        '<main><p>Заказ едет <strong>три дня</strong><sup><a href="#source-1">[1]</a></sup>. '
        "&lt;script&gt;alert(1)&lt;/script&gt;</p></main><h2>Источники</h2><ol>"
        '<li id="source-1" value="1"><cite>Доставка &amp; «сроки»</cite>, с. 2'
        "<blockquote>Заказ едет &lt;b&gt;три дня&lt;/b&gt;.</blockquote></li></ol>"
    )
    assert '<html lang="ru">' in page.text


async def test_the_page_keeps_the_policy_of_contents(
    services: Services, alice: Person, client: httpx.AsyncClient
) -> None:
    """Its style is a file of this server; there is nothing inline that a browser would refuse."""
    path = path_of(services, alice.tenant_id, await store(services, alice))
    page = await client.get(path)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert re.findall(r"<script|<style| style=| on\w+=|javascript:", page.text) == []
    assert re.findall(r'href="(\w.*?)"', page.text) == ["style.css"]
    style = await client.get(f"{PAGE}/style.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_words_that_no_model_wrote_are_shown_as_they_are(
    services: Services, alice: Person, client: httpx.AsyncClient
) -> None:
    """Stars in a quote or in a person's words mean themselves."""
    path = path_of(services, alice.tenant_id, await store(services, alice, mode="quoted"))
    assert "**три дня**" in (await client.get(path)).text


async def test_a_link_that_is_not_good_says_so_in_both_languages(
    services: Services, alice: Person, charlie: Person, client: httpx.AsyncClient, superuser: asyncpg.Connection
) -> None:
    """Expired ones apart from those that nobody made, that lead into another workspace, to a note or to nothing."""
    message_id = await store(services, alice)
    note_id = await store(services, alice, sender="note")
    good = path_of(services, alice.tenant_id, message_id)
    assert (await client.get(good)).status_code == 200
    foreign = make_token(OTHER_KEYS, Linked(alice.tenant_id, message_id, int(time.time()) + 60))
    unknown = [
        f"{PAGE}/guessed",
        f"{PAGE}/{foreign}",
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        path_of(services, charlie.tenant_id, message_id),
        path_of(services, alice.tenant_id, note_id),
        path_of(services, alice.tenant_id, new_id()),
        path_of(services, new_id(), message_id),
    ]
    sorry = {404: sorry_page("answer_page.unknown"), 410: sorry_page("answer_page.expired")}
    for path in unknown:
        page = await client.get(path)
        assert (page.status_code, page.text) == (404, sorry[404]), path
    expired = await client.get(path_of(services, alice.tenant_id, message_id, expires_in=-1))
    assert (expired.status_code, expired.text) == (410, sorry[410])
    assert all(text("answer_page.expired", language) in expired.text for language in ("ru", "en"))
    await superuser.execute("DELETE FROM conversations")
    assert (await client.get(good)).status_code == 404


def test_a_link_is_good_for_a_week(services: Services) -> None:
    """And there is none without a public address."""
    public = msgspec.structs.replace(
        services, settings=msgspec.structs.replace(services.settings, public_url="https://a.example/help/")
    )
    token = answer_link(public, TENANT, MESSAGE).removeprefix("https://a.example/help/api/v1/answers/")
    linked = read_token(services.keys, token)
    assert linked is not None
    assert (linked.tenant_id, linked.message_id) == (TENANT, MESSAGE)
    assert abs(linked.expires - time.time() - DAYS * 86_400) < 5
    assert answer_link(services, TENANT, MESSAGE) == ""


@given(st.integers(0, 47), st.integers(1, 255))
def test_no_byte_of_a_token_can_be_changed(at: int, change: int) -> None:
    """Neither whose answer it is, nor until when."""
    raw = bytearray(base64.urlsafe_b64decode(make_token(KEYS, Linked(TENANT, MESSAGE, 2_000_000_000))))
    raw[at] ^= change
    assert read_token(KEYS, base64.urlsafe_b64encode(raw).decode()) is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            Said(text="# One\n\n- [two](https://a.example/?a=1&b=2)\n  1. `<three>`", language="en", is_markdown=True),
            '<h2>One</h2><p class="item level-0">• <a href="https://a.example/?a=1&amp;b=2" '
            'rel="nofollow noopener noreferrer">two</a></p><p class="item level-1">1. <code>&lt;three&gt;</code></p>',
        ),
        (
            Said(text="> said\n\n```\n<a>\n```", language="en", is_markdown=True),
            "<blockquote>said</blockquote><pre>&lt;a&gt;</pre>",
        ),
        (Said(text="A mark of nothing [7].", language="en"), "<p>A mark of nothing.</p>"),
        (Said(text="[x](javascript:alert)", language="en", is_markdown=True), "<p>[x](javascript:alert)</p>"),
    ],
)
def test_blocks_become_html(said: Said, expected: str) -> None:
    """Whose every sign is escaped, and whose links go to the web alone."""
    assert re.search(r"<main>(.*)</main>", answer_page(said), re.DOTALL)[1] == expected  # type: ignore[index]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            'https://a.example/"><script>',
            '<cite><a href="https://a.example/&quot;&gt;&lt;script&gt;" rel="nofollow noopener noreferrer">T</a>',
        ),
        ("javascript:alert(1)", "<cite>T</cite>"),
        ("file:///etc/passwd", "<cite>T</cite>"),
        (None, "<cite>T</cite>"),
    ],
)
def test_a_source_is_a_link_only_to_the_web(url: str | None, shown: str) -> None:
    """The address of a document is what somebody entered."""
    cited = Cited(number=1, title="T", locator="", quote="q", url=url)
    assert shown in answer_page(Said(text="a [1]", language="en", citations=(cited,)))
