"""A new key for every secret: in batches, as often as one likes, and afterwards the older keys are worth nothing."""

from contextlib import suppress
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
from asissto.platform.model_tables import ModelProvider
from asissto.platform.providers import connection_of
from asissto.platform.rotation import rotate
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from channels_at_work import make_channel
from copies import KEYS
from gateway_peer import SECRET
from people import People, Person

OLD = KEYS.keys[0]
NEW = ("new", b"N" * 32)
NO_SECRETS = {"document_versions.parsed", "pair_keys.key"}
BOTH, ONLY_NEW = KeyRing((NEW, OLD)), KeyRing((NEW,))


async def rotated(services: Services, keys: KeyRing) -> dict[str, tuple[int, int]]:
    return {each.place: (each.sealed_anew, each.unreadable) async for each in rotate(services.database, keys, SEALED)}


@pytest.fixture
async def sealed(alice: Person, charlie: Person) -> None:
    """Secrets of two workspaces, in every column that has any."""
    for person in (alice, charlie):
        for number in range(3):
            place = {"callback_url": "https://gateway.example/answers"}
            await make_channel(person, "http", place, {"secret": SECRET}, name=f"Gateway {number}")
        shop = {"name": "Shop", "base_url": "https://models.example/v1", "api_key": "sk-1", "headers": {"X-Team": "t1"}}
        (await person.client.post("/api/v1/model-providers", json=shop)).raise_for_status()


@pytest.mark.usefixtures("sealed")
async def test_old_keys_can_be_dropped_after_a_rotation(
    services: Services, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every secret opens with the new key alone, and a second run has nothing to do."""
    monkeypatch.setattr(rotation, "AT_ONCE", 2)
    expected = {"model_providers.api_key": (2, 0), "model_providers.headers": (2, 0), "channels.secrets": (6, 0)}
    assert await rotated(services, BOTH) == expected
    assert await rotated(services, BOTH) == dict.fromkeys(expected, (0, 0))
    for name in ("alice", "charlie"):
        async with services.database.tenant(people[name].tenant_id) as session:
            channels = [row for row in await session.scalars(select(Channel)) if row.secrets]
            [shop] = await session.scalars(select(ModelProvider))
        assert [unseal(ONLY_NEW, row) for row in channels] == [{"secret": SECRET}] * 3
        connection = connection_of(ONLY_NEW, services.settings, shop)
        assert (connection.api_key, connection.headers) == ("sk-1", (("X-Team", "t1"),))


@pytest.mark.usefixtures("sealed")
async def test_a_rotation_goes_on_where_it_was_stopped(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one batch has done is done."""
    monkeypatch.setattr(rotation, "AT_ONCE", 2)
    store, count = rotation._store, iter(range(100))

    async def failing(*args: Any) -> None:
        if next(count) == 7:
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
    assert await rotated(services, ONLY_NEW) == {
        "model_providers.api_key": (0, 2),
        "model_providers.headers": (0, 2),
        "channels.secrets": (0, 6),
    }
    assert (await rotated(services, BOTH))["channels.secrets"] == (6, 0)


async def test_no_sealed_column_is_forgotten(superuser: asyncpg.Connection) -> None:
    """Each column of bytes is sealed and known to the rotation, or a hash."""
    query = """
        SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'bytea'
    """
    columns = {row[0] for row in await superuser.fetch(query)}
    known = {f"{place.table.__tablename__}.{place.column}" for place in SEALED}
    unknown = {name for name in columns - known - NO_SECRETS if not name.endswith(("sha", "fingerprint"))}
    assert unknown == set()


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
