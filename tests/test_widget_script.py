"""The widget's script in a real browser, on pages of another origin than the server's."""

import asyncio
import gzip
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import select

from asissto.channels import outbox
from asissto.channels.contract import Cited, Said
from asissto.channels.structured import structured_part
from asissto.channels.tables import Thread
from asissto.platform import console as console_module
from asissto.platform.tables import new_id
from asissto.platform.texts import text
from asissto.retrieval.evaluation import SetPassage, load_passages
from asissto.retrieval.tables import Message
from browsing import PHONE, WIDE, Console, browser, built, console, violations
from channels_at_work import Json, until
from people import Person
from test_answers import LIBRARY, ignore
from test_widget import make_widget, signed

assert browser
assert built
assert console
BUDGET = 15_000
"""Bytes that a site's page has to load for the widget, packed by gzip."""
SHOTS = os.environ.get("SHOTS")
HOSTILE = """
* { letter-spacing: 4px !important; box-sizing: content-box !important; font-family: fantasy !important;
    text-transform: uppercase !important; opacity: .5 !important }
html { font-size: 40px } body { transform: rotate(1deg); overflow: hidden }
button, textarea, p, div, section, asissto-widget {
     display: none !important; color: lime !important; z-index: 1 !important }
.cover { display: block !important; position: fixed; inset: 0; z-index: 2147483647 !important; background: pink }
"""

LONG = """## How to return a bicycle

1. **Bring it** [2]
2. Take the receipt
   - paper

> Within *14 days*, `unused`.

Fill in [the form](https://shop.example.com/form) or [this](javascript:alert(1)); <b onclick="alert(1)">then</b> wait.

```
status = "returned"  # a line that is much longer than the panel is wide, so that it has to be scrolled
```

| Zone | Price |
|---|---|
| A | 350 |

""" + "\n\n".join(f"Paragraph {number} of what else is to be said about it." for number in range(8))
CITED = (
    Cited(number=1, title="Terms", locator="Terms", quote="The terms."),
    Cited(number=2, title="Returns", locator="page 3", quote="Bring it.", url="https://shop.example.com/returns"),
)


@dataclass
class Wire:
    """Between the browser and the server; all that goes through it ends when it is cut."""

    port: int
    server_port: int
    is_cut: bool = False
    ends: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._join, "127.0.0.1", self.port):
            yield
            self.cut()

    def cut(self) -> None:
        self.is_cut = True
        for end in self.ends:
            end.close()

    def mend(self) -> None:
        self.is_cut = False

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.close()
            return
        behind, before = await asyncio.open_connection("127.0.0.1", self.server_port)
        self.ends += [writer, before]
        await asyncio.gather(pour(reader, before), pour(behind, writer))


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@dataclass
class Shop:
    """Alice's widget, and a server of pages beside that of the product."""

    console: Console
    alice: Person
    origin: str
    wire: Wire
    pages: dict[str, tuple[str, str]] = field(default_factory=dict)
    channel: Json = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.alice.tenant_id}/{self.channel['id']}"

    def put(
        self,
        path: str,
        *,
        lang: str = "en",
        style: str = "",
        policy: str = "",
        body: str = "",
        src: str = "",
        **data: str,
    ) -> str:
        """A page with the snippet of the guide; its address."""
        given = "".join(f' data-{name}="{escape(value)}"' for name, value in {"id": self.id, **data}.items())
        snippet = f'<script async src="{src or self.console.address}/widget.js"{given}></script>'
        styles = f"<style>{style}</style>" if style else ""
        head = f'<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>Breeze</title>{styles}'
        viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
        self.pages[path] = (policy, f"{head}{viewport}<main><h1>Breeze</h1>{body}</main>{snippet}")
        return self.origin + path

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        policy, page = self.pages.get(path, ("", ""))
        head = ["HTTP/1.1 200 OK", "Content-Type: text/html", "Connection: close"]
        head += [f"Content-Security-Policy: {policy}"] if policy else []
        writer.write("\r\n".join([*head, "", page]).encode())
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def opened(self, address: str, **tab: Any) -> AsyncIterator[Page]:
        async with self.console.page(**tab) as page:
            await page.goto(address)
            yield page


@pytest.fixture
async def shop(console: Console, alice: Person, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Shop]:
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in LIBRARY.items()]
    await load_passages(console.services, alice.tenant_id, passages, ignore)
    port = unused_tcp_port_factory()
    wire = Wire(unused_tcp_port_factory(), console.services.settings.port)
    shop = Shop(console, alice, f"http://127.0.0.1:{port}", wire)
    shop.channel = await make_widget(alice, allowed_origins=[shop.origin, console.address])
    async with await asyncio.start_server(shop.answer, "127.0.0.1", port):
        yield shop


async def open_chat(page: Page, name: str = "Open the chat") -> Locator:
    await page.get_by_role("button", name=name).click()
    await expect(page.get_by_role("textbox")).to_be_focused()
    return page.get_by_role("log")


async def ask(page: Page, question: str) -> None:
    await page.get_by_role("textbox").fill(question)
    await page.keyboard.press("Enter")


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"widget-{name}.png")


async def nothing_is_wrong(page: Page, name: str) -> None:
    for theme in ("light", "dark"):
        await page.emulate_media(color_scheme=theme)
        await shoot(page, f"{name}-{theme}")
        assert await violations(page) == [], f"{name} {theme}"


async def test_a_visitor_asks_opens_the_source_and_finds_it_all_after_a_reload(shop: Shop) -> None:
    """By keyboard; the popover says what stands around the quote, and Esc leads back step by step."""
    address = shop.put("/", suggestions="What is the deposit?|How long does a refund take?")
    async with shop.opened(address) as page:
        log = await open_chat(page)
        await expect(log).to_contain_text("Ask us!")
        await nothing_is_wrong(page, "begin")
        await page.get_by_role("button", name="How long does a refund take?").click()
        chip = log.get_by_role("button", name="1: Source, Refunds")
        await expect(chip).to_be_visible()
        await expect(page.get_by_role("button", name="What is the deposit?")).to_have_count(0)
        await chip.press("Enter")
        source = page.get_by_role("dialog", name="Source 1: Refunds")
        await expect(source).to_contain_text(LIBRARY["Refunds"])
        await nothing_is_wrong(page, "source")
        await page.keyboard.press("Escape")
        await expect(source).to_have_count(0)
        await expect(chip).to_be_focused()
        await page.reload()
        await expect(page.get_by_role("log").get_by_text("How long does a refund take?")).to_have_count(1)
        await expect(chip).to_have_count(1)
        await page.get_by_role("textbox").press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name="Open the chat")).to_be_focused()
        assert await page.context.cookies() == []
        assert await page.evaluate("document.activeElement.tagName") == "ASISSTO-WIDGET"


async def test_a_person_is_called_and_answers_live_also_beside_a_closed_chat(shop: Shop) -> None:
    """In Russian, as the page is; the words of the person are text, whatever they look like."""
    words = "Здравствуйте! <img src=x onerror=alert(1)> **Чем** помочь?"
    async with shop.opened(shop.put("/ru", lang="ru-RU")) as page:
        log = await open_chat(page, "Открыть чат")
        await ask(page, "Какая гарантия на электросамокат?")
        await expect(log.get_by_role("button", name=re.compile("^1: Источник"))).to_be_visible()
        await page.get_by_role("button", name="Позвать человека").click()
        status = page.get_by_text("Мы позвали сотрудника, он ответит здесь")
        await expect(status).to_be_visible()
        await expect(page.get_by_role("button", name="Позвать человека")).to_have_count(0)
        await page.keyboard.press("Escape")
        await until(lambda: is_waiting(shop.alice))
        (waiting,) = (await shop.alice.client.get("/api/v1/inbox")).json()["items"]
        await say_as_a_member(shop.alice, waiting, words)
        log = await open_chat(page, "Открыть чат: есть новое сообщение")
        await expect(log.get_by_text(words)).to_be_visible()
        await expect(page.get_by_text("Отвечает сотрудник")).to_be_visible()
        await nothing_is_wrong(page, "person")


async def say_as_a_member(person: Person, conversation: Json, words: str) -> None:
    address = f"/api/v1/conversations/{conversation['id']}/messages"
    (await person.client.post(address, json={"text": words})).raise_for_status()


async def is_waiting(person: Person) -> bool:
    items = (await person.client.get("/api/v1/inbox")).json()["items"]
    return [each["status"] for each in items] == ["pending"]


async def test_a_long_answer_has_its_shape_and_only_safe_links(shop: Shop) -> None:
    """Lists, quotes, code and tables of a model; it is read from its beginning, and its sources can all be opened."""
    async with shop.opened(shop.put("/", user=json.dumps(signed("42")))) as page:
        log = await open_chat(page)
        await ask(page, "Hello!")
        await expect(log.get_by_text(text("answer.greeting", "en"))).to_be_visible()
        await tell(
            shop, "user:42", Said(text=LONG, language="en", is_markdown=True, citations=CITED, notice="Or call us.")
        )
        await expect(log.get_by_text("Or call us.")).to_have_count(1)
        await expect(log.get_by_text("How to return a bicycle")).to_be_in_viewport()
        links = await log.get_by_role("link").evaluate_all(
            "all => all.map(each => [each.textContent, each.href, each.rel])"
        )
        assert links == [["the form", "https://shop.example.com/form", "noopener noreferrer"]]
        assert await log.get_by_role("listitem").all_inner_texts() == [
            "1.\nBring it2",
            "2.\nTake the receipt",
            "•\npaper",
        ]
        await expect(log.get_by_role("button", name="1: Source, Terms")).to_have_count(1)
        await nothing_is_wrong(page, "long")
        await log.get_by_role("button", name="2: Source, Returns").click()
        source = page.get_by_role("dialog", name="Source 2: Returns")
        await expect(source).to_contain_text("page 3")
        await expect(source.get_by_role("link")).to_have_attribute("href", "https://shop.example.com/returns")
        await nothing_is_wrong(page, "link")


async def tell(shop: Shop, visitor: str, said: Said) -> None:
    """What the assistant says to the visitor, as the courier brings it."""
    async with shop.console.services.database.tenant(shop.alice.tenant_id) as session:
        thread = (await session.scalars(select(Thread).where(Thread.external_key == visitor))).one()
        row = Message(tenant_id=thread.tenant_id, id=new_id(), conversation_id=thread.id, content=said.text)
        row.sender_kind = "assistant"
        session.add(row)
        await session.flush()
        await outbox.put(session, thread, row.id, [structured_part(said)])


async def test_a_page_of_a_foreign_origin_shows_nothing(shop: Shop) -> None:
    """The same page by another name of the same machine; what the browser writes down about it is its own."""
    async with shop.opened(shop.put("/").replace("127.0.0.1", "localhost")) as page:
        async with page.expect_console_message(lambda message: "is not shown" in message.text):
            await page.reload()
        assert await page.locator("asissto-widget").count() == 0
    assert all("has been blocked by CORS policy" in each for each in shop.console.errors)
    shop.console.errors.clear()


async def test_who_a_visitor_is_must_be_signed(shop: Shop) -> None:
    """A wrong signature is told in words; a right one finds the visitor's conversation in any browser."""
    wrong = json.dumps({**signed("42"), "user_id": "43"})
    async with shop.opened(shop.put("/wrong", user=wrong)) as page:
        await page.get_by_role("button", name="Open the chat").click()
        await expect(page.get_by_role("alert")).to_contain_text("We could not make sure who you are.")
        await shoot(page, "refused")
        await expect(page.get_by_role("textbox")).not_to_be_editable()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Open the chat")).to_be_focused()
    address = shop.put("/right", user=json.dumps(signed("42")))
    async with shop.opened(address) as page:
        await open_chat(page)
        await ask(page, "What is the deposit?")
        await expect(page.get_by_role("log").get_by_role("button", name="1: Source, Rental")).to_be_visible()
    async with shop.opened(shop.put("/later")) as page:
        await page.get_by_role("button", name="Open the chat").wait_for()
        at_once = "user => { Asissto.open(); return Asissto.identify(user) }"  # while the stranger's history is loaded
        assert await page.evaluate(at_once, signed("42")) is True
        await expect(page.get_by_text("What is the deposit?")).to_be_visible()
        assert await page.evaluate("Asissto.identify(null)") is True
        await expect(page.get_by_text("What is the deposit?")).to_have_count(0)


async def test_a_hostile_page_changes_nothing_and_notices_nothing(shop: Shop) -> None:
    """Its rules stay outside, its layers below, its policy is kept, and its keys are not those of the chat."""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {shop.console.address}; "
    policy += f"connect-src {shop.console.address}; require-trusted-types-for 'script'"
    address = shop.put("/hostile", style=HOSTILE, policy=policy, body='<div class="cover"></div>')
    async with shop.opened(address) as page:
        await page.evaluate("() => { window.heard = 0; addEventListener('keydown', () => heard++) }")
        await page.get_by_role("button", name="Open the chat").wait_for()
        await page.evaluate("document.documentElement.append(document.querySelector('.cover'))")  # after the widget
        log = await open_chat(page)
        await page.keyboard.type("Where?")
        assert await page.evaluate("heard") == 0
        shown = (
            "element => { const it = getComputedStyle(element); return [it.letterSpacing, it.boxSizing, it.opacity, "
        )
        shown += "it.textTransform, it.fontSize] }"
        assert await log.get_by_text("Ask us!").evaluate(shown) == ["normal", "border-box", "1", "none", "15px"]
        assert await page.locator("asissto-widget").evaluate("element => getComputedStyle(element).opacity") == "1"
        await shoot(page, "hostile")
        panel = await page.get_by_role("dialog").bounding_box()
        assert panel is not None
        assert (panel["width"], panel["x"] + panel["width"]) == (380, WIDE["width"] - 20)


async def test_on_a_telephone_it_is_the_whole_screen(shop: Shop) -> None:
    """Nothing stands behind it, for the keyboard neither, and nothing is wider than the screen."""
    async with shop.opened(shop.put("/", color="#ffb000"), size=PHONE) as page:
        await open_chat(page)
        await ask(page, "How long does a refund take?")
        await expect(page.get_by_role("button", name=re.compile("^1: Source"))).to_be_visible()
        assert await page.get_by_role("dialog").bounding_box() == {"x": 0, "y": 0, **PHONE}
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        await nothing_is_wrong(page, "phone")
        for _ in range(8):
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement.tagName") == "ASISSTO-WIDGET"
        await page.get_by_role("button", name="Close the chat").click()
        await expect(page.get_by_role("button", name="Open the chat")).to_be_focused()


async def test_after_a_lost_connection_nothing_is_missing_and_nothing_comes_twice(shop: Shop) -> None:
    """The visitor is told in words, and tries again; what a person wrote meanwhile comes by itself."""
    async with shop.wire.laid(), shop.opened(shop.put("/", src=shop.wire.address)) as page:
        log = await open_chat(page)
        await ask(page, "What is the deposit?")
        await expect(log.get_by_role("button", name="1: Source, Rental")).to_be_visible()
        shop.wire.cut()
        await expect(page.get_by_text("No connection. Trying again…")).to_be_visible()
        await ask(page, "How long does a refund take?")
        await expect(page.get_by_text("The message did not arrive")).to_be_visible()
        await shoot(page, "failed")
        (conversation,) = (await shop.alice.client.get("/api/v1/inbox")).json()["items"]
        await say_as_a_member(shop.alice, conversation, "It is one hundred.")
        shop.wire.mend()
        await page.evaluate("dispatchEvent(new Event('online'))")
        await expect(log.get_by_text("It is one hundred.", exact=True)).to_have_count(1)
        await expect(page.get_by_text("No connection. Trying again…")).to_have_count(0)
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
        await page.reload()
        for words in ("How long does a refund take?", "It is one hundred.", "What is the deposit?"):
            await expect(page.get_by_role("log").get_by_text(words, exact=True)).to_have_count(1)


async def test_the_page_for_a_frame_is_for_the_sites_of_the_widget(shop: Shop) -> None:
    """Its policy names them; the chat fills it, and a question is answered in it."""
    frame = f'<iframe title="Chat" width="400" height="600" src="{shop.console.address}/w/{shop.id}?lang=ru"></iframe>'
    shop.pages["/frame"] = ("", f"<!doctype html><html lang=en><title>Breeze</title>{frame}")
    async with shop.opened(f"{shop.origin}/frame") as page:
        chat = page.frame_locator("iframe")
        await chat.get_by_role("textbox").fill("Какая гарантия на электросамокат?")
        await chat.get_by_role("button", name="Отправить").click()
        await expect(chat.get_by_role("button", name=re.compile("^1: Источник"))).to_be_visible()
        await expect(chat.get_by_role("button", name="Закрыть чат")).to_have_count(0)
        await shoot(page, "frame")
    async with httpx.AsyncClient(base_url=shop.console.address) as client:
        answer = await client.get(f"/w/{shop.id}")
        policy = answer.headers["content-security-policy"]
        assert policy.endswith(f"frame-ancestors 'self' {shop.origin} {shop.console.address}")
        assert "x-frame-options" not in answer.headers
        nowhere = await client.get(f"/w/{shop.channel['id']}/{shop.channel['id']}")
        assert (nowhere.status_code, nowhere.headers["x-frame-options"]) == (404, "DENY")


def test_the_script_stays_within_its_budget(built: Path) -> None:
    """A site's page has better things to load."""
    assert len(gzip.compress((built / "widget.js").read_bytes())) <= BUDGET


async def test_the_script_is_for_all_sites_and_asked_for_again(
    built: Path, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its name stays the same: kept for minutes, and then only compared."""
    answer = await client.get("/widget.js")
    shown = {name: answer.headers[name] for name in ("content-type", "cache-control", "x-content-type-options")}
    assert (answer.status_code, shown) == (
        200,
        {
            "content-type": "text/javascript; charset=utf-8",
            "cache-control": "public, max-age=300, stale-while-revalidate=86400",
            "x-content-type-options": "nosniff",
        },
    )
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.content == (built / "widget.js").read_bytes()
    again = await client.get("/widget.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    monkeypatch.setattr(console_module, "CONSOLE", tmp_path)
    assert (await client.get("/widget.js")).status_code == 404
