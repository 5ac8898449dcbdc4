"""Every page of the console in both languages and themes, and on a telephone: usable by everybody, nothing sideways.

With SHOTS=<folder> a picture of each is left there; `make shots` does that.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Page

from asissto.platform.entrypoints.web import build_app
from browsing import PHONE, WIDE, Console, browser, built, console, settled, violations
from channels_at_work import Json, bring, make_gateway, until
from gateway_peer import Gateway
from people import Person, make_client
from test_answers import assistant_of
from test_ingestion import GUIDE, send

assert browser
assert built
assert console
SHOTS = os.environ.get("SHOTS")
OUTSIDE = {
    "sign-in": "/sign-in",
    "register": "/register",
    "forgot": "/forgot",
    "reset": "/reset#token=x",
    "confirm": "/confirm#token=x",
    "setup": "/setup#token=x",
}
SHOP = (
    ("shop", "Анна Смирнова", "Здравствуйте! Сколько стоит прокат на день?"),
    ("refund", "Peter Brown", "I want to talk to a person, please."),
    ("later", "Мария Котова", "Когда вернут залог за велосипед?"),
)


@dataclass(frozen=True)
class Filled:
    """The addresses of pages that have something to show, by the name of the picture."""

    routes: dict[str, str]


@pytest.fixture
async def filled(console: Console, alice: Person, gateway: Gateway) -> Filled:
    """A workspace as it is after a week: documents of all states, conversations, a draft, an invitation."""
    document = (await send(alice, "Прокат велосипедов.md", GUIDE)).json()
    await send(alice, "Delivery zones and prices 2026.csv", "Zone,Price\nA,350\nB,550\n")
    await send(alice, "Гарантия на монтаж.txt", "Гарантия на монтаж кондиционера действует два года со дня установки.")
    await send(alice, "Scanned card.pdf", b"%PDF-1.4 broken")
    channel = await make_gateway(alice, gateway)
    async with make_client(build_app(console.services)) as web:
        for place, (key, name, words) in enumerate(SHOP):
            body = {"conversation": key, "text": words, "sender": {"external_id": f"{place}", "name": name}}
            (await bring(web, channel, alice.tenant_id, key, body)).raise_for_status()
    await until(lambda: everything_is_answered(alice))
    assistant = await assistant_of(alice)
    revision = (await alice.client.get(f"/api/v1/assistants/{assistant}")).json()["revision"]
    changes = {"revision": revision, "instructions": "Обращайтесь на «вы»."}
    (await alice.client.patch(f"/api/v1/assistants/{assistant}/draft", json=changes)).raise_for_status()
    invited: Json = {"email": "olga@example.com", "role": "operator"}
    (await alice.client.post("/api/v1/invitations", json=invited)).raise_for_status()
    program: Json = {"name": "CRM", "scopes": ["ask", "documents.read"]}
    (await alice.client.post("/api/v1/keys", json=program)).raise_for_status()
    provider = {"name": "Our gateway", "base_url": "https://models.example.com/v1", "api_key": "sk-secret"}
    (await alice.client.post("/api/v1/model-providers", json=provider)).raise_for_status()
    conversation = (await alice.client.get("/api/v1/inbox?q=прокат")).json()["items"][0]["id"]
    passage = GUIDE.index("The deposit of")
    return Filled(
        {
            "home": "/",
            "inbox": "/inbox",
            "conversation": f"/inbox/{conversation}",
            "playground": "/playground",
            "assistants": "/assistants",
            "assistant": f"/assistants/{assistant}",
            "versions": f"/assistants/{assistant}?tab=versions",
            "knowledge": "/knowledge",
            "document": f"/knowledge/{document['id']}?start={passage - 40}&end={passage + 20}",
            "channels": "/channels",
            "team": "/team",
            "settings": "/settings",
            "security": "/settings/security",
            "workspace": "/settings/workspace",
            "models": "/settings/models",
            "keys": "/settings/keys",
            "nowhere": "/nowhere",
        }
    )


async def everything_is_answered(alice: Person) -> bool:
    inbox = (await alice.client.get("/api/v1/inbox")).json()["items"]
    documents = (await alice.client.get("/api/v1/documents")).json()["items"]
    said = [each["last"]["sender_kind"] for each in inbox]
    return said == ["assistant"] * len(SHOP) and {each["state"] for each in documents} == {"ready", "failed"}


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        folder = Path(SHOTS)
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else waits in a test
        await page.screenshot(path=folder / f"{name}.png")


_TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))))"
"""Until the page has turned its colours, or taken its new width."""


@dataclass
class Sweep:
    """What is wrong with the pages that were looked at, by their names."""

    page: Page
    language: str
    wrong: dict[str, list[str]] = field(default_factory=dict)

    async def look(self, name: str) -> None:
        """In both themes and, without loading it anew, at the width of a telephone."""
        await settled(self.page)
        for theme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=theme)
            await self.page.evaluate(_TWO_FRAMES)
            await shoot(self.page, f"{name}-{theme}-{self.language}")
            self.note(f"{name} {theme}", await violations(self.page))
        await self.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        await self.page.evaluate(_TWO_FRAMES)
        await settled(self.page)
        await shoot(self.page, f"{name}-phone-{self.language}")
        width = await self.page.evaluate("document.documentElement.scrollWidth")
        self.note(f"{name} phone", [f"{width} points wide"] if width > PHONE["width"] else [])
        await self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    async def visit(self, routes: dict[str, str]) -> None:
        for name, address in routes.items():
            await self.page.goto(address)
            await self.look(name)

    def note(self, name: str, wrong: list[str]) -> None:
        if wrong:
            self.wrong[name] = wrong


QUESTIONS = {"en": "When does the deposit come back?", "ru": "Где хранятся велосипеды зимой?"}


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_every_page_can_be_used_by_everybody(
    console: Console, filled: Filled, alice: Person, language: str
) -> None:
    """No violation that axe knows in either theme, and nothing sideways on a telephone, signed in or not."""
    async with console.page(alice, language=language) as page:
        inside = Sweep(page, language)
        await inside.visit(filled.routes)
        await page.goto("/playground")
        await page.get_by_role("textbox").fill(QUESTIONS[language])
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="1:").first.click()
        await page.get_by_test_id("passage").first.wait_for()
        await inside.look("answer")
        await page.goto("/team")
        await settled(page)
        await page.keyboard.press("Control+KeyK")
        await page.get_by_role("combobox", expanded=True).wait_for()
        await inside.look("palette")
    async with console.page(language=language) as page:
        outside = Sweep(page, language)
        await outside.visit(OUTSIDE)
    wrong = inside.wrong | outside.wrong
    assert not wrong, "\n".join(f"{name}: {each}" for name, found in wrong.items() for each in found)
