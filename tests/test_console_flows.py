"""What people do in the console, in a real browser: from the first link to a cited answer, and back from failures."""

import re
import time
from typing import Any
from uuid import uuid4

import pyotp
from playwright.async_api import Page, Route, expect

from asissto.platform.accounts import make_admin_link
from asissto.platform.entrypoints.web import build_app
from asissto.platform.links import make_link
from asissto.platform.second_factor import STEP_SECONDS
from browsing import Console, browser, built, console, settled
from channels_at_work import bring, make_gateway
from gateway_peer import Gateway
from openai_peer import OpenAIPeer
from partnering import Partner, Programme
from people import PASSWORD, Person, make_client
from test_answers import assistant_of
from test_ingestion import GUIDE, publish, send
from test_referrals import dora, programme

assert browser
assert built
assert console
assert dora
assert programme
DEPOSIT = "How large is the deposit?"
THREE_DAYS = re.compile("deposit of 100 euros")


def file(name: str, content: str | bytes = GUIDE) -> Any:
    body = content.encode() if isinstance(content, str) else content
    return {"name": name, "mimeType": "application/octet-stream", "buffer": body}


async def upload(page: Page, *files: Any) -> None:
    async with page.expect_file_chooser() as choosing:
        await page.get_by_role("button", name="choose files").click()
    await (await choosing.value).set_files(list(files))


async def ask(page: Page, question: str) -> None:
    await page.get_by_role("textbox", name="Question").fill(question)
    await page.keyboard.press("Enter")


async def test_from_the_first_link_to_a_cited_answer_of_ones_own_document(console: Console, alice: Person) -> None:
    """Five presses after the form: knowledge, choose a file, playground, ask, the number of the source."""
    async with console.services.database.system() as session:
        token = await make_admin_link(session, alice.tenant_id)
    async with console.page() as page:
        await page.goto(f"/setup#token={token}")
        await page.get_by_label("Your name").fill("Dora First")
        await page.get_by_label("E-mail").fill("dora@example.com")
        await page.get_by_label("New password").fill(PASSWORD)
        await page.get_by_role("button", name="Begin").click()
        await expect(page.get_by_role("heading", name="Hello, Dora")).to_be_visible()
        await page.get_by_role("link", name="Add your document").click()
        await upload(page, file("rental.md"))
        row = page.get_by_role("row", name=re.compile("Bicycle rental"))
        await expect(row.get_by_text("Ready")).to_be_visible()
        await page.get_by_role("link", name="Playground").click()
        await ask(page, DEPOSIT)
        await page.get_by_role("button", name="1: Bicycle rental").click()
        await expect(page.get_by_test_id("passage")).to_have_text(THREE_DAYS)
        await page.get_by_role("link", name="Open document").click()
        await expect(page.get_by_test_id("passage")).to_have_text(THREE_DAYS)
        await page.get_by_role("link", name="Home").click()
        await expect(page.get_by_role("link", name="Add your document")).to_contain_text("Done")


async def test_a_file_that_cannot_be_read_says_why_and_a_deleted_one_can_come_back(
    console: Console, alice: Person
) -> None:
    """By keyboard alone, and the list follows what the worker does."""
    async with console.page(alice) as page:
        await page.goto("/knowledge")
        await expect(page.get_by_role("heading", name="No documents yet")).to_be_visible()
        await upload(page, file("broken.pdf", b"%PDF-1.4 nothing"), file("rental.md"), file("no.xyz", b"\0\1\2"))
        await expect(page.get_by_role("alert")).to_contain_text("no.xyz")
        await expect(page.get_by_role("row", name=re.compile("broken"))).to_contain_text("damaged")
        await expect(page.get_by_role("row", name=re.compile("Bicycle rental"))).to_contain_text("Ready")
        await page.get_by_role("button", name=re.compile("^Failed")).click()
        await expect(page.get_by_role("row")).to_have_count(2)  # the head and the broken one
        assert page.url.endswith("/knowledge?state=failed")
        menu = page.get_by_role("button", name="Actions: broken")
        await menu.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("menuitem", name="Download the file")).to_be_focused()
        await page.keyboard.press("End")
        await expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("No document matches")).to_be_visible()
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("row")).to_have_count(2)
        documents = (await alice.client.get("/api/v1/documents")).json()["items"]
        assert sorted(each["state"] for each in documents) == ["failed", "ready"]


async def test_the_list_of_many_documents_makes_only_those_in_sight(console: Console, alice: Person) -> None:
    """Three of them are chosen, and all the others are there when one scrolls."""
    one = await publish(console.services, alice, "note.txt", "This note tells of the colour of a shelf.")
    others = [{**one, "id": str(uuid4()), "title": f"note {number:03}", "state": "ready"} for number in range(1, 300)]

    async def list_many(route: Route) -> None:
        await route.fulfill(json={"items": [one, *others], "next": None})

    async with console.page(alice) as page:
        await page.route("**/api/v1/documents?*", list_many)
        await page.goto("/knowledge")
        await settled(page)
        table = page.get_by_role("table", name="Knowledge")
        await expect(table).to_have_attribute("aria-rowcount", "301")
        assert await table.get_by_role("row").count() < 60
        for name in ("note 299", "note 298", "note 297"):
            await page.get_by_label(f"Choose {name}").check()
        await expect(page.get_by_role("region", name="Chosen documents")).to_contain_text("3 chosen")
        await page.mouse.wheel(0, 100_000)
        await expect(page.get_by_label("Choose note 001")).to_be_visible()


async def test_what_is_not_in_the_documents_is_not_answered_and_becomes_a_test(console: Console, alice: Person) -> None:
    """The run tells what was found; the question is kept with what is expected."""
    await publish(console.services, alice, "rental.md", GUIDE)
    async with console.page(alice) as page:
        await page.goto("/playground")
        await ask(page, "Who composed the anthem of Mongolia?")
        await expect(page.get_by_text("Does not know")).to_be_visible()
        await page.get_by_role("button", name="How it came about").click()
        await expect(page.get_by_role("heading", name="Time of each step")).to_be_visible()
        await page.get_by_role("button", name="Save as test").click()
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Saved as a test")).to_be_visible()
        (kept,) = (await alice.client.get("/api/v1/question-sets")).json()["items"]
        (case,) = (await alice.client.get(f"/api/v1/question-sets/{kept['id']}/cases")).json()["items"]
        assert (case["question"], case["expected"]) == ("Who composed the anthem of Mongolia?", "abstain")


async def test_an_operator_takes_over_answers_and_gives_back(
    console: Console, alice: Person, bob: Person, gateway: Gateway
) -> None:
    """By keys; the customer gets the words, a second member sees them at once, and the note stays inside."""
    channel = await make_gateway(alice, gateway)
    async with make_client(build_app(console.services)) as web, console.page(alice) as page, console.page(bob) as other:
        await page.goto("/inbox?view=waiting")
        await expect(page.get_by_text("Nobody is waiting")).to_be_visible()
        body = {
            "conversation": "c1",
            "text": "I want to talk to a person",
            "sender": {"external_id": "1", "name": "Ann"},
        }
        await bring(web, channel, alice.tenant_id, "e1", body)
        await page.get_by_role("button", name=re.compile("Ann")).wait_for()
        await page.keyboard.press("j")
        await expect(page.get_by_role("heading", name="Ann")).to_be_visible()
        await expect(page.get_by_text(re.compile("The assistant called a person"))).to_be_visible()
        await other.goto(page.url)
        await page.keyboard.press("r")
        await page.keyboard.type("Hello, this is Alice.")
        await page.keyboard.press("Control+Enter")
        await expect(other.get_by_text("Hello, this is Alice.").last).to_be_visible()
        await gateway.wait_for(2)
        assert gateway.said("c1")[-1] == "Hello, this is Alice."
        await page.get_by_role("button", name="Note").click()
        await page.get_by_role("textbox", name="Note").fill("She is a regular.")
        await page.get_by_role("button", name="Keep").click()
        await expect(other.get_by_text("She is a regular.")).to_be_visible()
        await page.get_by_role("button", name="Return to the assistant").click()
        await expect(other.get_by_text("Alice gave it back to the assistant")).to_be_visible()
        await page.get_by_role("heading", name="Ann").click()
        await page.keyboard.press("e")
        await expect(page.get_by_role("button", name="Reopen")).to_be_visible()
        assert gateway.said("c1")[-1] == "Hello, this is Alice."


async def test_a_draft_is_published_and_an_old_version_comes_back(console: Console, alice: Person) -> None:
    """Customers notice nothing before; publishing sends nothing else along."""
    path = f"/api/v1/assistants/{await assistant_of(alice)}"
    async with console.page(alice) as page:
        await page.goto(path.removeprefix("/api/v1"))
        await page.get_by_label("When it does not know").fill("Call us: 123.")
        await page.get_by_role("button", name="Save the draft").click()
        await expect(page.get_by_text("The draft is saved. Customers")).to_be_visible()
        assert (await alice.client.get(path)).json()["settings"]["unknown_text"] is None
        await page.get_by_role("button", name="Publish").click()
        dialog, sent = page.get_by_role("dialog"), list[str]()
        page.on("request", lambda request: sent.append(request.method) if request.method != "GET" else None)
        await dialog.get_by_label("What changed").fill("A telephone number")
        await dialog.get_by_role("button", name="Publish").click()
        await expect(page.get_by_text("Version 2 answers now.")).to_be_visible()
        assert sent == ["POST"]
        assert (await alice.client.get(path)).json()["settings"]["unknown_text"] == "Call us: 123."
        await page.get_by_role("tab", name="Versions").click()
        await page.get_by_role("button", name="Bring back").click()
        await page.get_by_role("alertdialog").get_by_role("button", name="Bring back").click()
        await expect(page.get_by_text("Version 1 again")).to_be_visible()
        assert (await alice.client.get(path)).json()["settings"]["unknown_text"] is None


async def test_a_channel_is_connected_with_a_look_whether_it_works(
    console: Console, alice: Person, gateway: Gateway
) -> None:
    """What is wrong with a field stands beside it."""
    async with console.page(alice) as page:
        await page.goto("/channels")
        await page.get_by_role("button", name="Connect a channel").first.click()
        await page.get_by_role("button", name="Webhooks").click()
        await page.get_by_label("Where answers go").fill(gateway.url)
        await page.get_by_label("Signing secret").fill("short")
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.get_by_label("Signing secret")).to_have_attribute("aria-invalid", "true")
        await page.get_by_label("Signing secret").fill("whsec_" + "A" * 32)
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("It works")
        await page.get_by_role("button", name="Done").click()
        await expect(page.get_by_role("heading", name="Webhooks")).to_be_visible()


async def test_a_model_of_ones_own_is_tried_and_writes_the_draft(
    console: Console, alice: Person, peer: OpenAIPeer
) -> None:
    """The key is given once; the assistant is told who writes, and the draft keeps it."""
    async with console.page(alice) as page:
        await page.goto("/settings/models")
        await page.get_by_role("button", name="Add a provider").click()
        await page.get_by_label("Name").fill("Our gateway")
        await page.get_by_label("Address").fill(peer.base_url)
        await page.get_by_label("API key").fill("sk-secret")
        await page.get_by_role("button", name="Add", exact=True).click()
        await page.get_by_role("button", name="Try", exact=True).click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Model").fill("qwen3")
        await dialog.get_by_role("button", name="Try").click()
        await expect(dialog.get_by_role("status")).to_contain_text("It answers")
        await page.goto(f"/assistants/{await assistant_of(alice)}")
        await page.get_by_label("Provider").select_option("Our gateway")
        await page.get_by_label("Model").fill("qwen3")
        await page.get_by_role("button", name="Save the draft").click()
        await expect(page.get_by_text("The draft is saved. Customers")).to_be_visible()
    draft = (await alice.client.get(f"/api/v1/assistants/{await assistant_of(alice)}/draft")).json()["draft"]
    assert [each["model"] for each in draft["settings"]["models"]] == ["qwen3"]


async def test_each_role_sees_what_it_may(console: Console, alice: Person, bob: Person, charlie: Person) -> None:
    """Neither the way nor the page, and of another workspace nothing at all."""
    document = await publish(console.services, alice, "rental.md", GUIDE)
    body = {"role": "analyst"}
    (await alice.client.patch(f"/api/v1/members/{bob.user_id}", json=body)).raise_for_status()
    async with console.page(bob) as page:
        await page.goto("/knowledge")
        await expect(page.get_by_role("link", name="Bicycle rental")).to_be_visible()
        navigation = page.get_by_role("navigation")
        await expect(navigation.get_by_role("link")).to_have_text(
            ["Home", "Inbox", "Assistants", "Knowledge", "Team", "Settings"]
        )
        await expect(page.get_by_role("button", name="Upload files")).to_have_count(0)
        for address in ("/channels", "/playground"):
            await page.goto(address)
            await expect(page.get_by_role("heading", name="You may not see this page")).to_be_visible()
    async with console.page(charlie) as page:
        await page.goto(f"/knowledge/{document['id']}")
        await expect(page.get_by_role("alert")).to_contain_text("not_found")


async def test_a_failure_shows_its_code_and_another_try_helps(console: Console, alice: Person) -> None:
    """Also the whole server: the page says that it is cut off, and goes on by itself."""

    async def fail(route: Route) -> None:
        problem = {"code": "unexpected", "detail": "It broke.", "status": 500, "title": "", "type": ""}
        await route.fulfill(status=500, json=problem)

    async with console.page(alice) as page:
        await page.route("**/api/v1/documents?*", fail)
        await page.goto("/knowledge")
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("It broke.")
        await expect(alert).to_contain_text("unexpected")
        await page.unroute("**/api/v1/documents?*")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("heading", name="No documents yet")).to_be_visible()
        await page.context.set_offline(True)
        await expect(page.get_by_text("You are offline.")).to_be_visible()
        await page.context.set_offline(False)
        await expect(page.get_by_text("You are offline.")).to_have_count(0)
        await send(alice, "late.txt", "It came while nobody was connected.")
        await expect(page.get_by_role("link", name="late")).to_be_visible()


async def test_signing_in_with_a_second_step_and_going_on_after_the_quarter_of_an_hour(
    console: Console, alice: Person
) -> None:
    """The page that was wanted opens; an access that has ended is renewed without a word; signing out ends it."""
    secret = (await alice.client.post("/api/v1/auth/second-factor", json={"password": PASSWORD})).json()["secret"]
    code = pyotp.TOTP(secret)
    (await alice.client.post("/api/v1/auth/second-factor/confirm", json={"code": code.now()})).raise_for_status()
    async with console.page() as page:
        await page.goto("/settings/workspace")
        await expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
        await page.get_by_label("E-mail").fill("alice@example.com")
        await page.get_by_label("Password").fill("wrong horse battery")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.get_by_label("Code of the authenticator app").fill(code.at(int(time.time()) + STEP_SECONDS))
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Name of the workspace")).to_have_value("Alice")
        await page.context.clear_cookies(name="asissto_access")
        await page.get_by_label("Name of the workspace").fill("Alice & Co")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("button", name=re.compile("Alice & Co"))).to_be_visible()
        await page.get_by_role("button", name=re.compile("Alice & Co")).click()
        await page.get_by_role("menuitem", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()


async def test_an_invited_person_joins_and_a_forgotten_password_is_set_anew(console: Console, alice: Person) -> None:
    """By the links that the server would mail; where it sends none, the owner copies the invitation's."""
    async with console.page(alice) as page:
        await page.goto("/team")
        await page.get_by_role("button", name="Invite").click()
        await page.get_by_label("E-mail").fill("olga@example.com")
        await page.get_by_role("dialog").get_by_role("button", name="Invite").click()
        link = await page.get_by_label("Link of the invitation").input_value()
    async with console.page() as page:
        await page.goto(link[link.index("/invitation") :])
        await expect(page.get_by_text("invites olga@example.com")).to_be_visible()
        await page.get_by_label("Your name").fill("Olga")
        await page.get_by_label("New password").fill(PASSWORD)
        await page.get_by_role("button", name="Join").click()
        await expect(page.get_by_role("heading", name="Hello, Olga")).to_be_visible()
    async with console.services.database.system() as session:
        token = await make_link(session, "reset", user_id=alice.user_id)
    async with console.page() as page:
        await page.goto(f"/reset#token={token}")
        await page.get_by_label("New password").fill("another horse battery")
        await page.get_by_role("button", name="Set the password").click()
        await page.get_by_label("E-mail").fill("alice@example.com")
        await page.get_by_label("Password").fill("another horse battery")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Hello, Alice")).to_be_visible()


async def test_a_referral_link_leads_to_the_registration_and_is_told_with_it(
    console: Console, programme: Programme, dora: Partner
) -> None:
    """The code leaves the address at once, is counted, and goes along with whoever registers."""
    code = (await dora.code())["code"]
    async with console.page() as page:
        async with page.expect_response("**/api/v1/referrals/clicks") as counting:
            await page.goto(f"/?ref={code}")
        assert (await counting.value).status == 204
        await page.wait_for_url("**/register")
        await page.get_by_label("Your name").fill("Ira")
        await page.get_by_label("E-mail").fill("ira@example.com")
        await page.get_by_label("New password").fill(PASSWORD)
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("heading", name="Hello, Ira")).to_be_visible()
        assert await page.evaluate("localStorage.getItem('referral')") is None
    brought = (await dora.client.get("/api/v1/referrals/codes")).json()
    assert [(each["clicks"], each["registrations"]) for each in brought["items"]] == [(1, 1)]


async def test_language_and_theme_are_kept(console: Console, alice: Person) -> None:
    """What the server says comes in the other language too."""
    await publish(console.services, alice, "blank.md", "\n \n")
    async with console.page(alice) as page:
        await page.goto("/knowledge")
        await expect(page.get_by_text("holds no text")).to_be_visible()
        await page.get_by_role("button", name="Русский").click()
        await expect(page.get_by_role("heading", name="База знаний")).to_be_visible()
        await expect(page.get_by_text("нет текста")).to_be_visible()
        await page.get_by_role("button", name="Тема").click()
        await page.get_by_role("menuitem", name="Тёмная").click()
        await page.reload()
        await expect(page.get_by_role("heading", name="База знаний")).to_be_visible()
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 15, 19)"
