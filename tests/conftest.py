"""A real database for every test: one server, one migrated template with three people in it, a copy for each test."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from hypothesis import settings as hypothesis_settings
from litestar import Litestar
from msgspec import structs

from asissto.platform import chat
from asissto.platform.chat import make_chat_model
from asissto.platform.credentials import read_access_token
from asissto.platform.database import Addresses
from asissto.platform.embedding import Embedder, make_embedder
from asissto.platform.entrypoints.web import build_app
from asissto.platform.migrate import embedded_addresses, migrate
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from copies import KEYS, copied, open_at, run_as_admin, server_folder, signed_in
from gateway_peer import Gateway
from openai_peer import OpenAIPeer
from people import PASSWORD, Member, People, Person, bearer, make_client

Template = tuple[Addresses, People]

hypothesis_settings.register_profile("any machine", deadline=None)
hypothesis_settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look through its 300,000 objects again each time."""
    gc.freeze()


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    with server_folder() as folder, EmbeddedPostgres(folder / "data") as server:
        yield server


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return make_embedder(Settings(data_dir=tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="session")
async def template(server: EmbeddedPostgres, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The database that the tests copy, and who is in it; they came in through the API."""
    await run_as_admin(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # a lost copy is no loss
    addresses = await embedded_addresses(server, "template")
    await migrate(addresses)
    async with open_at(addresses, tmp_path_factory.mktemp("template"), embedder) as services:
        return addresses, await invite_people(services)


@pytest.fixture
async def addresses(server: EmbeddedPostgres, template: Template) -> AsyncIterator[Addresses]:
    async with copied(server, template[0]) as addresses:
        yield addresses


@pytest.fixture
async def superuser(addresses: Addresses) -> AsyncIterator[asyncpg.Connection]:
    """Sees every row of the test's database."""
    socket_dir, database = addresses.owner.query["host"], addresses.owner.database
    connection = await asyncpg.connect(host=socket_dir, user="postgres", database=database)
    yield connection
    await connection.close()


@pytest.fixture
async def services(addresses: Addresses, tmp_path: Path, embedder: Embedder) -> AsyncIterator[Services]:
    async with open_at(addresses, tmp_path, embedder) as services:
        yield services


@pytest.fixture
def app(services: Services) -> Litestar:
    return build_app(services)


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is not signed in."""
    async with make_client(app) as client:
        yield client


@pytest.fixture
def people(template: Template) -> People:
    return template[1]


@pytest.fixture
async def alice(app: Litestar, services: Services, people: People) -> AsyncIterator[Person]:
    async with signed_in(app, services, people["alice"]) as person:
        yield person


@pytest.fixture
async def bob(app: Litestar, services: Services, people: People) -> AsyncIterator[Person]:
    async with signed_in(app, services, people["bob"]) as person:
        yield person


@pytest.fixture
async def charlie(app: Litestar, services: Services, people: People) -> AsyncIterator[Person]:
    async with signed_in(app, services, people["charlie"]) as person:
        yield person


@pytest.fixture
async def peer() -> AsyncIterator[OpenAIPeer]:
    async with OpenAIPeer() as server:
        yield server


@pytest.fixture
async def chatting(services: Services, peer: OpenAIPeer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    """Services with a model, which is the peer."""
    monkeypatch.setattr(chat, "PAUSE_SECONDS", 0.01)
    model = make_chat_model(Settings(openai_api_key="sk-secret", openai_base_url=peer.base_url), "qwen3")
    assert model is not None
    yield structs.replace(services, chat=model)
    await model.close()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway() as peer:
        yield peer


@pytest.fixture
def private(services: Services) -> Services:
    """Where gateways may lie in private networks, as the tests' own do."""
    settings = structs.replace(services.settings, provider_private_addresses=True)
    return structs.replace(services, settings=settings)


@pytest.fixture
async def web(private: Services) -> AsyncIterator[httpx.AsyncClient]:
    """The client of a provider, who is not signed in."""
    async with make_client(build_app(private)) as client:
        yield client


async def invite_people(services: Services) -> People:
    async with make_client(build_app(services)) as client:
        people = {name: await _register(client, name) for name in ("alice", "bob", "charlie")}
        alice = people["alice"]
        body = {"email": people["bob"].email, "role": "editor"}
        headers = {"authorization": bearer(services, alice)}
        (await client.post("/api/v1/members", json=body, headers=headers)).raise_for_status()
        in_her_workspace = {"email": people["bob"].email, "password": PASSWORD, "tenant_id": str(alice.tenant_id)}
        return people | {"bob": _member("bob", await client.post("/api/v1/auth/sign-in", json=in_her_workspace))}


async def _register(client: httpx.AsyncClient, name: str) -> Member:
    body = {"name": name.title(), "email": f"{name}@example.com", "password": PASSWORD}
    return _member(name, await client.post("/api/v1/auth/register", json=body))


def _member(name: str, response: httpx.Response) -> Member:
    session = response.raise_for_status().json()
    claims = read_access_token(KEYS, session["access_token"])
    return Member(
        name=name,
        user_id=claims.sub,
        tenant_id=claims.tid,
        session_id=claims.sid,
        role=session["role"],
        refresh_token=session["refresh_token"],
    )
