"""A new key for every secret: in batches, as often as one likes, and afterwards the older keys are worth nothing."""

from base64 import b64encode
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from msgspec import structs
from sqlalchemy import select

from asissto.channels.accounts import unseal
from asissto.channels.tables import Channel
from asissto.platform import rotation
from asissto.platform.credentials import csrf_token, is_csrf_token
from asissto.platform.entrypoints.key_rotation import SEALED
from asissto.platform.keys import KeyRing, add_key, open_key_ring, with_new_key
from asissto.platform.mail import Letter, mail_later, opened_letter, until
from asissto.platform.model_tables import ModelProvider
from asissto.platform.people_tables import SecondFactor
from asissto.platform.providers import connection_of
from asissto.platform.rotation import rotate
from asissto.platform.second_factor import about_secret
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.platform.tables import Job
from channels_at_work import make_channel
from copies import KEYS
from gateway_peer import SECRET
from people import PASSWORD, People, Person

OLD = KEYS.keys[0]
NEW = ("new", b"N" * 32)
NO_SECRETS = {"document_versions.parsed", "pair_keys.key", "attempts.who"}
SEALERS = {
    "platform/asissto/platform/keys.py",
    "platform/asissto/platform/mail.py",
    "platform/asissto/platform/providers.py",
    "platform/asissto/platform/second_factor.py",
    "channels/asissto/channels/accounts.py",
}
"""Each of them seals what a place of the rotation names; of another one nobody would know."""

LETTER = Letter("zoe@example.com", "Come in", "https://example.com/#secret", until(timedelta(days=1)))
EACH = {
    "model_providers.api_key": 2,
    "model_providers.headers": 2,
    "second_factors.secret": 2,
    "jobs.payload.sealed": 2,
    "channels.secrets": 6,
}
"""How many secrets two workspaces have in each place."""

_OPENING = f"{OLD[0]}:".encode()
MARKS = (_OPENING.hex(), b64encode(_OPENING).decode()[:6])
"""How what is sealed with the old key begins, in bytes and in base64."""

BOTH, ONLY_NEW = KeyRing((NEW, OLD)), KeyRing((NEW,))


async def rotated(services: Services, keys: KeyRing) -> dict[str, tuple[int, int]]:
    return {each.place: (each.sealed_anew, each.unreadable) async for each in rotate(services.database, keys, SEALED)}


async def traces(superuser: asyncpg.Connection, marks: tuple[str, ...]) -> set[str]:
    """The tables that have one of the marks in any column of any row."""
    tables = [row[0] for row in await superuser.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    like = [f"%{mark}%" for mark in marks]
    query = "SELECT EXISTS (SELECT FROM {} t WHERE t::text LIKE ANY($1))"
    return {table for table in tables if await superuser.fetchval(query.format(table), like)}


@pytest.fixture
async def sealed(services: Services, alice: Person, charlie: Person) -> None:
    """Secrets of two workspaces and their owners, in every place that has any."""
    posting = structs.replace(services, settings=structs.replace(services.settings, smtp_host="127.0.0.1"))
    for person in (alice, charlie):
        for number in range(3):
            place = {"callback_url": "https://gateway.example/answers"}
            await make_channel(person, "http", place, {"secret": SECRET}, name=f"Gateway {number}")
        shop = {"name": "Shop", "base_url": "https://models.example/v1", "api_key": "sk-1", "headers": {"X-Team": "t1"}}
        (await person.client.post("/api/v1/model-providers", json=shop)).raise_for_status()
        (await person.client.post("/api/v1/auth/second-factor", json={"password": PASSWORD})).raise_for_status()
        async with services.database.tenant(person.tenant_id) as session:
            await mail_later(session, posting, person.tenant_id, LETTER)


@pytest.mark.usefixtures("sealed")
async def test_old_keys_can_be_dropped_after_a_rotation(
    services: Services, people: People, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row has a secret of the old key any more, each opens with the new one, and a second run has nothing to do."""
    monkeypatch.setattr(rotation, "AT_ONCE", 2)
    sealed_with_old = await traces(superuser, MARKS)
    assert sealed_with_old == {"model_providers", "second_factors", "jobs", "channels"}
    assert await rotated(services, BOTH) == {place: (number, 0) for place, number in EACH.items()}
    assert await rotated(services, BOTH) == dict.fromkeys(EACH, (0, 0))
    assert await traces(superuser, MARKS) == set()
    for name in ("alice", "charlie"):
        async with services.database.tenant(people[name].tenant_id) as session:
            channels = [row for row in await session.scalars(select(Channel)) if row.secrets]
            [shop] = await session.scalars(select(ModelProvider))
            [letter] = await session.scalars(select(Job.payload).where(Job.kind == "mail"))
        assert [unseal(ONLY_NEW, row) for row in channels] == [{"secret": SECRET}] * 3
        connection = connection_of(ONLY_NEW, services.settings, shop)
        assert (connection.api_key, connection.headers) == ("sk-1", (("X-Team", "t1"),))
        assert opened_letter(ONLY_NEW, people[name].tenant_id, letter) == LETTER
        async with services.database.system() as session:
            factor = await session.get_one(SecondFactor, people[name].user_id)
        assert len(ONLY_NEW.decrypt(factor.secret, about=about_secret(factor.user_id))) == 32


@pytest.mark.usefixtures("sealed")
async def test_a_rotation_goes_on_where_it_was_stopped(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one batch has done is done."""
    monkeypatch.setattr(rotation, "AT_ONCE", 2)
    store, count = rotation._store, iter(range(100))

    async def failing(*args: Any) -> None:
        if next(count) == 11:
            raise KeyboardInterrupt
        await store(*args)

    monkeypatch.setattr(rotation, "_store", failing)
    with suppress(KeyboardInterrupt):
        await rotated(services, BOTH)
    monkeypatch.setattr(rotation, "_store", store)
    assert (await rotated(services, BOTH))["channels.secrets"] == (4, 0)
    assert (await rotated(services, ONLY_NEW))["channels.secrets"] == (0, 0)


@pytest.mark.usefixtures("sealed")
async def test_what_no_key_opens_is_told_and_left_alone(services: Services) -> None:
    """A key that was dropped too early can be put back."""
    assert await rotated(services, ONLY_NEW) == {place: (0, number) for place, number in EACH.items()}
    assert (await rotated(services, BOTH))["channels.secrets"] == (6, 0)


async def test_no_sealed_column_is_forgotten(superuser: asyncpg.Connection) -> None:
    """Each column of bytes is sealed and known to the rotation, or a hash."""
    query = """
        SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'bytea'
    """
    columns = {row[0] for row in await superuser.fetch(query)}
    known = {place.name for place in SEALED}
    unknown = {name for name in columns - known - NO_SECRETS if not name.endswith(("sha", "fingerprint"))}
    assert unknown == set()


def test_nothing_is_sealed_that_the_rotation_does_not_know() -> None:
    """Also in objects of JSON, whose columns do not tell what they hold: whoever seals stands in the list above."""
    root = Path(__file__).parents[1]
    code = (
        path for part in ("platform", "ingestion", "retrieval", "channels") for path in root.glob(part + "/**/*.py")
    )
    assert {str(path.relative_to(root)) for path in code if ".encrypt(" in path.read_text()} == SEALERS


def test_a_page_that_was_open_goes_on(people: People) -> None:
    """Its token was made with the key before, and is good until that is dropped."""
    session_id = people["alice"].session_id
    sent = csrf_token(KEYS, session_id)
    assert [is_csrf_token(keys, session_id, sent) for keys in (KEYS, BOTH, ONLY_NEW)] == [True, True, False]
    assert [is_csrf_token(BOTH, session_id, sent) for sent in ("", "no hex", sent[:60])] == [False] * 3


def test_a_key_is_added_to_the_ring_of_the_data_folder(tmp_path: Any) -> None:
    """In front, for its owner alone, with the older ones behind it; of a setting the new value is returned."""
    settings = Settings(data_dir=tmp_path)
    [first] = open_key_ring(settings).keys
    assert add_key(settings) is None
    ring = open_key_ring(settings).keys
    assert ([name for name, _ in ring], ring[1]) == (["k2", "k1"], first)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    value = with_new_key("k2:" + "B" * 43 + "=")
    given = add_key(structs.replace(settings, keys="k2:" + "B" * 43 + "="))
    assert given is not None
    assert [each.partition(":")[0] for each in given.split(",")] == ["k1", "k2"]
    assert given != value
