"""Web sources: a site becomes documents, and stays what the site is; with a real site, worker and database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec import structs

from asissto.ingestion import sync_log, syncing
from asissto.platform.entrypoints.web import build_app
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.services import Services
from people import Person, bearer, make_client
from test_ingestion import CountingEmbedder, check_consistency, collection_of, counts, found, stored_files, work
from web_site import Site, redirect, running_site, status

HOME = """<html><head><title>Rental</title></head><body><header>Logo</header><nav><a href="/prices">Prices</a></nav>
<main><h1>Bicycle rental</h1><p>We rent bicycles at the lake since 1998.</p><a href="/deposit">Deposit</a></main>
<footer>Call us at 555-0199 from nine to five.</footer></body></html>"""
PRICES = """<html><head><title>Prices</title></head><body><nav><a href="/">Home</a></nav>
<h1>Prices</h1><h2>By the day</h2><p>Renting a bicycle for a day costs 12 euros.</p>
<h2>By the week</h2><p>Renting a bicycle for a week costs 60 euros.</p>
<footer>Call us at 555-0199 from nine to five.</footer></body></html>"""
DEPOSIT = "<title>Deposit</title><h1>Deposit</h1><p>The deposit of 100 euros comes back within three working days.</p>"


@pytest.fixture
def services(services: Services) -> Services:
    """Those of a server that may read its own network."""
    return structs.replace(services, settings=structs.replace(services.settings, crawl_private_addresses=True))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else visits the site."""
    monkeypatch.setattr("asissto.ingestion.crawling.PAUSE_SECONDS", 0)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        site.pages |= {"/": HOME, "/prices": PRICES, "/deposit": DEPOSIT}
        yield site


async def add(person: Person, url: str, kind: str = "site", **more: Any) -> dict[str, Any]:
    body = {"collection_id": await collection_of(person), "url": url, "kind": kind, **more}
    source: dict[str, Any] = (await person.client.post("/api/v1/sources", json=body)).raise_for_status().json()
    return source


async def shown(person: Person, source: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = (await person.client.get(f"/api/v1/sources/{source['id']}")).raise_for_status().json()
    return answer


async def synced(services: Services, person: Person, source: dict[str, Any]) -> dict[str, Any]:
    """The account of a sync that begins now, with its entries."""
    (await person.client.post(f"/api/v1/sources/{source['id']}/sync")).raise_for_status()
    await work(services)
    return await newest_sync(person, source)


async def newest_sync(person: Person, source: dict[str, Any]) -> dict[str, Any]:
    syncs = f"/api/v1/sources/{source['id']}/syncs"
    newest = (await person.client.get(syncs)).raise_for_status().json()["items"][0]
    account: dict[str, Any] = (await person.client.get(f"{syncs}/{newest['id']}")).raise_for_status().json()
    return account


def figures(sync: dict[str, Any]) -> dict[str, int]:
    """What is not zero."""
    names = ("added", "changed", "unchanged", "removed", "failed", "skipped")
    return {name: sync[name] for name in names if sync[name]}


def told(sync: dict[str, Any], site: Site) -> dict[str, tuple[str, str | None]]:
    """Outcome and reason by path."""
    return {entry["url"].removeprefix(site.address): (entry["outcome"], entry["reason"]) for entry in sync["entries"]}


async def documents(person: Person) -> dict[str, dict[str, Any]]:
    """By address."""
    items = (await person.client.get("/api/v1/documents")).raise_for_status().json()["items"]
    return {item["url"] or item["file_name"]: item for item in items}


async def test_a_site_becomes_documents(services: Services, alice: Person, site: Site) -> None:
    """Each page that its first page leads to is found by what it says, and knows where it is from."""
    source = await add(alice, site.url("/"))
    assert (source["state"], source["name"], source["next_sync_at"]) == ("syncing", "127.0.0.1", None)
    await work(services)
    sync = await newest_sync(alice, source)
    assert (sync["state"], sync["reason"], figures(sync)) == ("done", None, {"added": 3})
    assert told(sync, site) == dict.fromkeys(("/", "/prices", "/deposit"), ("added", None))
    pages = await documents(alice)
    assert {url.removeprefix(site.address): (page["title"], page["state"]) for url, page in pages.items()} == {
        "/": ("Bicycle rental", "ready"),
        "/prices": ("Prices", "ready"),
        "/deposit": ("Deposit", "ready"),
    }
    assert {page["source_id"] for page in pages.values()} == {source["id"]}
    best = (await found(services, alice.tenant_id, "What does renting a bicycle for a week cost?"))[0]
    assert "60 euros" in best
    assert (await shown(alice, source))["state"] == "idle"


async def test_the_frame_of_the_pages_is_not_their_text(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """Menus and headers are left out, and the footer is kept once, where its phone number can be found."""
    await add(alice, site.url("/"))
    await work(services)
    texts = [row[0] for row in await superuser.fetch("SELECT text FROM chunks")]
    assert sum("555-0199" in text for text in texts) == 1
    assert [text for text in texts if "Logo" in text or "Home" in text] == []


@pytest.mark.parametrize("validators", [True, False])
async def test_an_unchanged_site_is_no_work(
    validators: bool, services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """No embedding, no row of a document, no file; whether the site answers 304 or sends everything again."""
    site.validators = validators
    counting = CountingEmbedder(services.embedder)
    watched = structs.replace(services, embedder=counting)
    source = await add(alice, site.url("/"))
    await work(watched)
    before, embedded, files = await counts(superuser), len(counting.texts), len(stored_files(services))
    audited = await superuser.fetchval("SELECT count(*) FROM audit_log WHERE actor_kind = 'system'")
    pages = await superuser.fetchval("SELECT count(*) FROM source_pages")
    sync = await synced(watched, alice, source)
    assert (sync["state"], figures(sync), sync["entries"]) == ("done", {"unchanged": 3}, [])
    assert embedded > 0
    assert len(counting.texts) == embedded
    assert await counts(superuser) == before
    assert len(stored_files(services)) == files
    assert await superuser.fetchval("SELECT count(*) FROM audit_log WHERE actor_kind = 'system'") == audited
    assert await superuser.fetchval("SELECT count(*) FROM source_pages") == pages


async def test_noise_is_no_change(services: Services, alice: Person, site: Site) -> None:
    """Tokens, scripts, comments and another menu differ from one answer to the next, and the words do not."""
    source = await add(alice, site.url("/"))
    await work(services)
    noise = '<script nonce="7f3">track(1)</script><!-- 12:00:01 --><input type="hidden" value="a81">'
    site.pages["/prices"] = PRICES.replace("<h1>", f'{noise}<h1 id="x17">').replace(">Home<", ">Start<")
    assert figures(await synced(services, alice, source)) == {"unchanged": 3}


async def test_a_changed_page_is_a_new_version(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """Only its changed passage is embedded."""
    counting = CountingEmbedder(services.embedder)
    watched = structs.replace(services, embedder=counting)
    source = await add(alice, site.url("/"))
    await work(watched)
    embedded = len(counting.texts)
    site.pages["/prices"] = PRICES.replace("12 euros", "15 euros")
    sync = await synced(watched, alice, source)
    assert figures(sync) == {"changed": 1, "unchanged": 2}
    assert told(sync, site) == {"/prices": ("changed", None)}
    assert ["15 euros" in text for text in counting.texts[embedded:]] == [True]
    assert (await counts(superuser))["documents"] == 3
    texts = "\n".join(await found(services, alice.tenant_id, "What does renting a bicycle for a day cost?"))
    assert ("15 euros" in texts, "12 euros" in texts) == (True, False)
    await check_consistency(superuser)


async def test_a_page_that_is_gone_is_out_of_every_answer(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """With its document and file, whether something still leads to it or not."""
    source = await add(alice, site.url("/"))
    await work(services)
    del site.pages["/prices"]
    site.pages["/"] = HOME.replace('<a href="/deposit">Deposit</a>', "")
    sync = await synced(services, alice, source)
    assert figures(sync) == {"changed": 1, "removed": 2}
    assert told(sync, site)["/prices"] == ("removed", "page_gone")
    assert told(sync, site)["/deposit"] == ("removed", "page_unlinked")
    gone = next(entry for entry in sync["entries"] if entry["reason"] == "page_gone")
    assert gone["detail"] == f"The page {site.url('/prices')} is not there any more (error 404)."
    assert list(await documents(alice)) == [site.url("/")]
    assert len(stored_files(services)) == 2, "both versions of the page that is left"
    texts = "\n".join(await found(services, alice.tenant_id, "What does renting a bicycle for a day cost?"))
    assert "euros" not in texts
    await check_consistency(superuser)


@pytest.mark.parametrize("code", [500, 403, 429])
async def test_a_page_in_trouble_keeps_its_document(code: int, services: Services, alice: Person, site: Site) -> None:
    """And what only that page leads to stays as well; the account says what the site answered."""
    site.pages["/deposit"] = DEPOSIT + '<a href="/terms">Terms</a>'
    site.pages["/terms"] = "<title>Terms</title><p>Bicycles come back before sunset.</p>"
    source = await add(alice, site.url("/"))
    await work(services)
    site.pages["/deposit"] = status(code, Retry_After="0")
    sync = await synced(services, alice, source)
    assert (sync["state"], figures(sync)) == ("done", {"unchanged": 3, "failed": 1})
    assert told(sync, site) == {"/deposit": ("failed", "page_busy" if code == 429 else "page_status")}
    assert len(await documents(alice)) == 4


@pytest.mark.parametrize("kind", ["site", "sitemap", "page"])
async def test_a_site_that_is_down_loses_nothing(kind: str, services: Services, alice: Person, site: Site) -> None:
    """The sync fails with its reason and the documents stay."""
    site.pages["/sitemap.xml"] = sitemap(site.url("/"), site.url("/prices"))
    source = await add(alice, site.url("/"), kind)
    await work(services)
    before = await documents(alice)
    site.pages = dict.fromkeys((*site.pages, "/robots.txt"), status(500))
    sync = await synced(services, alice, source)
    assert (sync["state"], sync["reason"], figures(sync)) == ("failed", "robots_unavailable", {})
    assert await documents(alice) == before
    after = await shown(alice, source)
    assert (after["state"], after["reason"]) == ("failed", "robots_unavailable")
    assert "so nothing is read until it can" in after["detail"]


async def test_a_first_page_that_is_gone_ends_the_sync(services: Services, alice: Person, site: Site) -> None:
    """It says nothing of the pages below."""
    source = await add(alice, site.url("/"))
    await work(services)
    del site.pages["/"]
    sync = await synced(services, alice, source)
    assert (sync["state"], sync["reason"], figures(sync)) == ("failed", "page_gone", {})
    assert len(await documents(alice)) == 3


async def test_a_single_page_that_is_gone_is_removed(services: Services, alice: Person, site: Site) -> None:
    """It was all that there was."""
    source = await add(alice, site.url("/prices"), "page")
    await work(services)
    assert list(await documents(alice)) == [site.url("/prices")]
    del site.pages["/prices"]
    sync = await synced(services, alice, source)
    assert (sync["state"], figures(sync)) == ("done", {"removed": 1})
    assert await documents(alice) == {}


async def test_when_most_pages_vanish_at_once_nothing_is_removed_yet(
    services: Services, alice: Person, site: Site
) -> None:
    """A page that says "back soon" is more likely than an emptied site; the next sync decides."""
    links = "".join(f'<a href="/{number}">{number}</a>' for number in range(8))
    site.pages = {"/": f"<p>All pages.</p>{links}"}
    site.pages |= {f"/{number}": f"<p>This is page {number} of them.</p>" for number in range(8)}
    source = await add(alice, site.url("/"))
    await work(services)
    site.pages["/"] = "<p>We will be back soon.</p>"
    first = await synced(services, alice, source)
    assert (first["state"], first["reason"], figures(first)) == ("partial", "pages_missing", {"changed": 1})
    assert len(await documents(alice)) == 9
    second = await synced(services, alice, source)
    assert (second["state"], figures(second)) == ("done", {"removed": 8, "unchanged": 1})
    assert list(await documents(alice)) == [site.url("/")]


async def test_beyond_the_page_limit_nothing_is_removed(services: Services, alice: Person, site: Site) -> None:
    """The account says that there is more."""
    source = await add(alice, site.url("/"))
    await work(services)
    address = f"/api/v1/sources/{source['id']}"
    (await alice.client.patch(address, json={"max_pages": 2})).raise_for_status()
    sync = await synced(services, alice, source)
    assert (sync["state"], sync["reason"], figures(sync)) == ("partial", "crawl_page_limit", {"unchanged": 2})
    assert sync["detail"].startswith("The site has more than 2 pages, the limit of this source.")
    assert len(await documents(alice)) == 3


async def test_pages_that_are_no_documents_say_why(services: Services, alice: Person, site: Site) -> None:
    """Hidden, forbidden, elsewhere, without text, twice the same, of an unknown type."""
    paths = ("hidden", "secret", "away", "empty", "twin", "archive", "old", "broken", "?sort=up")
    site.pages |= {
        "/": HOME + "".join(f'<a href="/{path}">x</a>' for path in paths),
        "/robots.txt": "User-agent: *\nDisallow: /secret",
        "/hidden": '<meta name="robots" content="noindex"><p>Hidden.</p>',
        "/secret": "<p>Secret.</p>",
        "/away": redirect("http://elsewhere.example/"),
        "/empty": '<div id="app"></div><script>start()</script>',
        "/twin": DEPOSIT,
        "/archive": status(200, Content_Type="application/x-tar"),
        "/old": redirect("/prices"),
        "/?sort=up": HOME.replace("<head>", '<head><link rel="canonical" href="/">'),
    }
    source = await add(alice, site.url("/"))
    await work(services)
    sync = await newest_sync(alice, source)
    assert {path: fate for path, fate in told(sync, site).items() if fate[1]} == {
        "/hidden": ("skipped", "page_hidden"),
        "/secret": ("skipped", "page_disallowed"),
        "/away": ("skipped", "page_elsewhere"),
        "/empty": ("failed", "page_empty"),
        "/twin": ("skipped", "page_duplicate"),
        "/archive": ("skipped", "page_type_unknown"),
        "/old": ("skipped", "page_duplicate"),
        "/broken": ("failed", "page_gone"),
        "/?sort=up": ("skipped", "page_duplicate"),
    }
    assert len(await documents(alice)) == 3
    assert "/secret" not in site.asked
    site.pages["/prices"] = '<meta name="robots" content="noindex"><p>Not any more.</p>'
    sync = await synced(services, alice, source)
    assert told(sync, site)["/prices"] == ("removed", "page_hidden")
    assert site.url("/prices") not in await documents(alice)


def sitemap(*addresses: str) -> str:
    places = "".join(f"<url><loc>{address}</loc></url>" for address in addresses)
    return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{places}</urlset>'


async def test_a_sitemap_lists_its_pages(services: Services, alice: Person, site: Site) -> None:
    """Nothing else is visited, and what it lists no more is removed."""
    site.pages["/map.xml"] = sitemap(site.url("/prices"), site.url("/deposit"), "http://elsewhere.example/")
    source = await add(alice, site.url("/map.xml"), "sitemap")
    await work(services)
    assert set(await documents(alice)) == {site.url("/prices"), site.url("/deposit")}
    site.pages["/map.xml"] = sitemap(site.url("/prices"))
    sync = await synced(services, alice, source)
    assert (figures(sync), told(sync, site)) == (
        {"removed": 1, "unchanged": 1},
        {"/deposit": ("removed", "page_unlinked")},
    )
    site.pages["/map.xml"] = "<html>Not found</html>"
    sync = await synced(services, alice, source)
    assert (sync["state"], sync["reason"]) == ("failed", "sitemap_unreadable")
    assert set(await documents(alice)) == {site.url("/prices")}


async def test_files_of_a_site_are_documents_too(services: Services, alice: Person, site: Site) -> None:
    """By the type that the site names, in whatever encoding."""
    site.pages |= {
        "/": HOME + '<a href="/rules.txt">x</a>',
        "/rules.txt": "Велосипеды возвращают до заката.".encode("cp1251"),
    }
    await add(alice, site.url("/"))
    await work(services)
    document = (await documents(alice))[site.url("/rules.txt")]
    assert (document["file_name"], document["state"]) == ("rules.txt", "ready")
    assert (await found(services, alice.tenant_id, "Когда возвращают велосипеды?"))[
        0
    ] == "Велосипеды возвращают до заката."


async def test_a_killed_sync_goes_on_where_it_was(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is doubled, what was stored is not asked for again, and the account is of the whole."""
    store, stored = sync_log.store_visit, 0

    async def die_at_the_second(*arguments: Any) -> None:
        nonlocal stored
        stored += 1
        if stored == 2:
            raise asyncio.CancelledError
        await store(*arguments)

    monkeypatch.setattr(syncing, "store_visit", die_at_the_second)
    source = await add(alice, site.url("/"))
    with pytest.raises(asyncio.CancelledError):
        await make_worker(services).run_one()
    assert len(await documents(alice)) == 1
    await work(services)
    sync = await newest_sync(alice, source)
    assert (sync["state"], figures(sync)) == ("done", {"added": 3})
    assert site.asked.count("/") == 1
    assert (await counts(superuser))["documents"] == 3
    assert await superuser.fetchval("SELECT count(*) FROM source_syncs") == 1
    await check_consistency(superuser)


async def test_a_page_that_was_received_but_not_noted_is_not_doubled(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died between the two transactions."""

    async def die(*_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as broken:
        broken.setattr(sync_log, "_write_page", die)
        source = await add(alice, site.url("/"))
        with pytest.raises(asyncio.CancelledError):
            await make_worker(services).run_one()
    assert len(await documents(alice)) == 1
    await work(services)
    assert figures(await newest_sync(alice, source)) == {"added": 3}
    assert (await counts(superuser))["document_versions"] == 3


async def test_a_long_sync_gives_other_jobs_their_turn(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In slices of one page each it comes to the same account."""
    monkeypatch.setattr(syncing, "SLICE_SECONDS", 0)
    source = await add(alice, site.url("/"))
    await work(services)
    sync = await newest_sync(alice, source)
    assert (sync["state"], figures(sync)) == ("done", {"added": 3})
    assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE kind = 'sources.sync'") == 4
    assert site.asked.count("/prices") == 1


async def test_a_busy_site_is_given_its_time(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """As long as it asks for, in another job; after three times the page has failed for now."""
    site.pages["/prices"] = status(503, Retry_After="100")
    source = await add(alice, site.url("/"))
    for pause in range(1, 4):
        await work(services)
        payload, wait = await superuser.fetchrow(
            "SELECT payload::text, run_at - now() FROM jobs WHERE kind = 'sources.sync' AND state = 'todo'"
        )
        assert f'"pauses": {pause}' in payload
        assert timedelta(seconds=90) < wait < timedelta(seconds=100)
        assert (await shown(alice, source))["state"] == "syncing"
        await superuser.execute("UPDATE jobs SET run_at = now()")
    await work(services)
    sync = await newest_sync(alice, source)
    assert (sync["state"], figures(sync)) == ("done", {"added": 2, "failed": 1})
    assert told(sync, site)["/prices"] == ("failed", "page_busy")


async def test_a_sync_is_stopped(
    services: Services, alice: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the page that it is at; what it has stays, and the next sync does the rest."""
    store = sync_log.store_visit
    source = await add(alice, site.url("/"))

    async def stop_meanwhile(*arguments: Any) -> None:
        (await alice.client.post(f"/api/v1/sources/{source['id']}/stop")).raise_for_status()
        await store(*arguments)

    with monkeypatch.context() as stopped:
        stopped.setattr(syncing, "store_visit", stop_meanwhile)
        await work(services)
    sync = await newest_sync(alice, source)
    assert (sync["state"], sync["reason"], figures(sync)) == ("cancelled", "crawl_cancelled", {"added": 1})
    assert (await shown(alice, source))["state"] == "idle"
    assert figures(await synced(services, alice, source)) == {"added": 2, "unchanged": 1}


async def test_a_sync_that_has_not_begun_is_stopped(services: Services, alice: Person, site: Site) -> None:
    """The site is never asked."""
    source = await add(alice, site.url("/"))
    stopped = await alice.client.post(f"/api/v1/sources/{source['id']}/stop")
    assert (stopped.status_code, stopped.json()["state"]) == (202, "stopping")
    await work(services)
    assert (await newest_sync(alice, source))["state"] == "cancelled"
    assert site.asked == []


async def test_one_sync_is_enough(services: Services, alice: Person, site: Site, superuser: asyncpg.Connection) -> None:
    """Asking again while it is on its way starts no second."""
    source = await add(alice, site.url("/"))
    for _ in range(3):
        assert (await alice.client.post(f"/api/v1/sources/{source['id']}/sync")).status_code == 202
    await work(services)
    assert await superuser.fetchval("SELECT count(*) FROM source_syncs") == 1


async def test_the_next_sync_comes_by_the_clock(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """Each puts the next one in its place, also one that failed; by hand it is brought forward."""
    due = "SELECT run_at FROM jobs WHERE kind = 'sources.sync' AND state = 'todo'"
    source = await add(alice, site.url("/"), every_hours=24)
    await work(services)
    after = await shown(alice, source)
    next_sync = datetime.fromisoformat(after["next_sync_at"])
    assert next_sync == datetime.fromisoformat(after["last_sync_at"]) + timedelta(hours=24)
    assert await superuser.fetchval(due) == next_sync
    site.pages["/"] = status(500)
    await superuser.execute("UPDATE jobs SET run_at = now() WHERE state = 'todo'")
    await work(services)
    assert (await newest_sync(alice, source))["state"] == "failed"
    assert await superuser.fetchval(due) > datetime.now(UTC) + timedelta(hours=23)
    site.pages["/"] = HOME
    assert figures(await synced(services, alice, source)) == {"unchanged": 3}
    address = f"/api/v1/sources/{source['id']}"
    assert (await alice.client.patch(address, json={"every_hours": 1})).json()["every_hours"] == 1
    assert await superuser.fetchval(due) < datetime.now(UTC) + timedelta(hours=1)
    patched = await alice.client.patch(address, json={"every_hours": None})
    assert patched.json()["next_sync_at"] is None
    assert await superuser.fetchval(due) is None


@pytest.mark.parametrize(("documents_", "left"), [("delete", 0), ("keep", 3)])
async def test_a_source_is_deleted(
    documents_: str, left: int, services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """With its documents, or without them; no job is left."""
    source = await add(alice, site.url("/"), every_hours=1)
    await work(services)
    address = f"/api/v1/sources/{source['id']}"
    assert (await alice.client.delete(address, params={"documents": documents_})).status_code == 204
    assert (await alice.client.get(address)).status_code == 404
    await work(services)
    pages = await documents(alice)
    assert [page["source_id"] for page in pages.values()] == [None] * left
    assert len(stored_files(services)) == left
    for table in ("sources", "source_pages", "source_syncs"):
        assert await superuser.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE state <> 'done' AND kind = 'sources.sync'") == 0
    await check_consistency(superuser)
    again = await add(alice, site.url("/"))
    await work(services)
    assert {page["source_id"] for page in (await documents(alice)).values()} == {again["id"]}
    assert (await counts(superuser))["documents"] == 3


async def test_a_source_that_is_deleted_before_its_sync_is_no_trouble(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """Also where its collection went with it."""
    source = await add(alice, site.url("/"))
    (await alice.client.delete(f"/api/v1/collections/{source['collection_id']}")).raise_for_status()
    await work(services)
    assert site.asked == []
    assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE state <> 'done' AND kind = 'sources.sync'") == 0


async def test_a_page_belongs_to_the_source_that_brought_it(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection
) -> None:
    """A second source with the same page neither doubles it nor takes it away."""
    first = await add(alice, site.url("/"))
    await work(services)
    second = await add(alice, site.url("/prices"), "page")
    await work(services)
    pages = await documents(alice)
    assert {page["source_id"] for page in pages.values()} == {first["id"]}
    (await alice.client.delete(f"/api/v1/sources/{second['id']}")).raise_for_status()
    assert await documents(alice) == pages


async def test_a_deleted_page_comes_back_with_the_next_sync(services: Services, alice: Person, site: Site) -> None:
    """As long as the site has it; a path to leave out keeps it away."""
    site.validators = True
    source = await add(alice, site.url("/"))
    await work(services)
    document = (await documents(alice))[site.url("/prices")]
    (await alice.client.delete(f"/api/v1/documents/{document['id']}")).raise_for_status()
    assert figures(await synced(services, alice, source)) == {"added": 1, "unchanged": 2}
    body = {"exclude": ["/prices"]}
    (await alice.client.patch(f"/api/v1/sources/{source['id']}", json=body)).raise_for_status()
    assert figures(await synced(services, alice, source)) == {"removed": 1, "unchanged": 2}


async def test_a_sync_that_fails_each_time_is_given_up(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source says so, and its next sync is in its place."""

    async def fail(*_: Any) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(syncing, "store_visit", fail)
    source = await add(alice, site.url("/"), every_hours=24)
    for _ in range(5):
        await work(services)
        await superuser.execute("UPDATE jobs SET run_at = now() WHERE attempts > 0")
    after = await shown(alice, source)
    assert (after["state"], after["reason"], after["next_sync_at"] is None) == ("failed", "internal", False)
    assert (await newest_sync(alice, source))["state"] == "failed"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://shop.example/", "address_unusable"),
        ("shop.example", "address_unusable"),
        ("http://alice:secret@shop.example/", "address_unusable"),
        ("", "invalid_input"),
    ],
)
async def test_an_address_that_is_none_is_refused(url: str, code: str, alice: Person) -> None:
    """In both languages, and with the field."""
    body = {"collection_id": await collection_of(alice), "url": url, "kind": "page"}
    for language in ("en", "ru"):
        refused = await alice.client.post("/api/v1/sources", json=body, headers={"accept-language": language})
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, code, "url")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1/", "address_refused"),
        ("http://[::ffff:169.254.169.254]/", "address_refused"),
        ("http://shop.example:6379/", "address_unusable"),
    ],
)
async def test_an_address_of_a_private_network_is_refused_at_once(
    url: str, code: str, alice: Person, services: Services
) -> None:
    """Where it can be told without a look-up, and the setting does not allow it."""
    settings = structs.replace(services.settings, crawl_private_addresses=False)
    app = build_app(structs.replace(services, settings=settings))
    body = {"collection_id": await collection_of(alice), "url": url, "kind": "page"}
    async with make_client(app, authorization=bearer(services, alice)) as client:
        refused = await client.post("/api/v1/sources", json=body)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, code, "url")
    assert (await alice.client.get("/api/v1/sources")).json()["items"] == []


async def test_a_name_of_a_private_network_fails_the_sync(services: Services, alice: Person) -> None:
    """What it stands for is known only then; the account says what to do."""
    settings = structs.replace(services.settings, crawl_private_addresses=False)
    source = await add(alice, "http://localhost/")
    await work(structs.replace(services, settings=settings))
    sync = await newest_sync(alice, source)
    assert (sync["state"], sync["reason"], figures(sync)) == ("failed", "address_refused", {})
    assert "ASISSTO_CRAWL_PRIVATE_ADDRESSES" in sync["detail"]


@pytest.mark.parametrize(
    "change", [{"depth": 11}, {"max_pages": 0}, {"every_hours": 0}, {"include": ["x"]}, {"url": "x"}]
)
async def test_limits_of_a_source_are_held(change: dict[str, Any], alice: Person, site: Site) -> None:
    """A value outside of them names its field."""
    source = await add(alice, site.url("/"), "page")
    refused = await alice.client.patch(f"/api/v1/sources/{source['id']}", json=change)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
    assert refused.json()["field"].startswith(next(iter(change)))


async def test_only_the_newest_accounts_are_kept(
    services: Services, alice: Person, site: Site, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that is synced each hour does not fill the disk."""
    monkeypatch.setattr(sync_log, "LOGS_KEPT", 2)
    source = await add(alice, site.url("/prices"), "page")
    await work(services)
    for _ in range(3):
        newest = await synced(services, alice, source)
    kept = [row[0] for row in await superuser.fetch("SELECT id FROM source_syncs ORDER BY id DESC")]
    assert (len(kept), kept[0]) == (2, UUID(newest["id"]))


async def test_pages_of_a_source_are_listed(services: Services, alice: Person, site: Site) -> None:
    """With their documents."""
    source = await add(alice, site.url("/"))
    await work(services)
    listed = (await alice.client.get(f"/api/v1/sources/{source['id']}/pages", params={"limit": 2})).json()
    by_url = {url: page["id"] for url, page in (await documents(alice)).items()}
    assert {page["url"]: page["document_id"] for page in listed["items"]}.items() <= by_url.items()
    assert listed["next"] is not None
    sources = (await alice.client.get("/api/v1/sources")).json()["items"]
    assert [each["id"] for each in sources] == [source["id"]]
