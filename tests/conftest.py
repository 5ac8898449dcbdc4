"""A real database for every test: one server, one migrated template with three people in it, a copy for each test."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path

import asyncpg
import httpx
import pytest
from litestar import Litestar
from msgspec import structs

from asissto.platform.credentials import read_access_token
from asissto.platform.database import Addresses, Database
from asissto.platform.embedding import Embedder, make_embedder
from asissto.platform.entrypoints.web import build_app
from asissto.platform.keys import parse_key_ring
from asissto.platform.local_files import LocalFiles
from asissto.platform.migrate import embedded_addresses, migrate
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from people import PASSWORD, Member, People, Person, bearer, make_client

Template = tuple[Addresses, People]

_KEYS = parse_key_ring("test:" + "A" * 43 + "=")
_copies = count()


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """Below a folder that every account can enter, which pytest's own are not: the server does not run as root."""
    with tempfile.TemporaryDirectory(prefix="asissto-test-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder) / "data") as server:
            yield server


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return make_embedder(Settings(data_dir=tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="session")
async def template(server: EmbeddedPostgres, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The database that the tests copy, and who is in it; they came in through the API."""
    await _admin(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # a lost copy is no loss
    addresses = await embedded_addresses(server, "template")
    await migrate(addresses)
    async with _services(addresses, tmp_path_factory.mktemp("template"), embedder) as services:
        return addresses, await _invite_people(services)


@pytest.fixture
async def addresses(server: EmbeddedPostgres, template: Template) -> AsyncIterator[Addresses]:
    name = f"copy_{next(_copies)}"
    await _admin(server, f"CREATE DATABASE {name} TEMPLATE template OWNER asissto_owner")
    owner, app, sys = (address.set(database=name) for address in structs.astuple(template[0]))
    yield Addresses(owner, app, sys)
    await _admin(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def superuser(addresses: Addresses) -> AsyncIterator[asyncpg.Connection]:
    """Sees every row of the test's database."""
    socket_dir, database = addresses.owner.query["host"], addresses.owner.database
    connection = await asyncpg.connect(host=socket_dir, user="postgres", database=database)
    yield connection
    await connection.close()


@pytest.fixture
async def services(addresses: Addresses, tmp_path: Path, embedder: Embedder) -> AsyncIterator[Services]:
    async with _services(addresses, tmp_path, embedder) as services:
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
    async with _signed_in(app, services, people["alice"]) as person:
        yield person


@pytest.fixture
async def bob(app: Litestar, services: Services, people: People) -> AsyncIterator[Person]:
    async with _signed_in(app, services, people["bob"]) as person:
        yield person


@pytest.fixture
async def charlie(app: Litestar, services: Services, people: People) -> AsyncIterator[Person]:
    async with _signed_in(app, services, people["charlie"]) as person:
        yield person


@asynccontextmanager
async def _services(addresses: Addresses, folder: Path, embedder: Embedder) -> AsyncIterator[Services]:
    settings = Settings(data_dir=folder)
    database = Database(addresses, pool_size=2)
    files = LocalFiles(folder / "files")
    yield Services(settings=settings, keys=_KEYS, database=database, files=files, embedder=embedder, chat=None)
    await database.close()


@asynccontextmanager
async def _signed_in(app: Litestar, services: Services, member: Member) -> AsyncIterator[Person]:
    async with make_client(app, authorization=bearer(services, member)) as client:
        yield Person(**asdict(member), client=client)


async def _invite_people(services: Services) -> People:
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
    claims = read_access_token(_KEYS, session["access_token"])
    return Member(
        name=name,
        user_id=claims.sub,
        tenant_id=claims.tid,
        session_id=claims.sid,
        role=session["role"],
        refresh_token=session["refresh_token"],
    )


async def _admin(server: EmbeddedPostgres, *statements: str) -> None:
    connection = await asyncpg.connect(host=str(server.socket_dir), user="postgres", database="postgres")
    for statement in statements:
        await connection.execute(statement)
    await connection.close()
