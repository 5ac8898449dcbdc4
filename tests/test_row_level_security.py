"""The database itself keeps the workspaces apart, whatever the code above it forgets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from asissto.ingestion.tables import Collection, Document
from asissto.platform.database import Addresses, Database
from people import People

FOUND_BY_TOKEN = {"refresh_tokens", "one_time_links"}
"""Looked up before anybody knows whose they are, and by the system role alone."""

OF_PERSONS = {"second_factors", "recovery_codes", "attempts"}
"""Of people and not of workspaces: the application's role may do nothing with them at all."""

OF_PARTNERS = {"referral_programmes", "referral_partners", "referral_codes", "referral_clicks", "referral_payouts"}
"""Of those who bring workspaces, and of the operator who pays them; the system role alone sees them."""

ABOUT_TENANTS = {"referrals", "commission_entries"}
"""Who has brought a tenant and what is owed for it is the operator's affair: the application may not even read it."""

OF_NOBODY = {"embedding_spaces", "alembic_version", "payment_events", "invoice_series", "plans"}
"""They hold nothing of anybody: ids that providers have told before anybody knows whose they are, and the last number
of an invoice; the application may not read either."""

WITHOUT_TENANT = {"tenants", "users", *OF_NOBODY, *OF_PERSONS, *OF_PARTNERS}
"""Tenants and users have policies of their own."""


async def column(connection: asyncpg.Connection, query: str, *values: object) -> list[Any]:
    return [row[0] for row in await connection.fetch(query, *values)]


async def tables(connection: asyncpg.Connection) -> set[str]:
    return set(await column(connection, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))


async def tenant_tables(connection: asyncpg.Connection) -> set[str]:
    query = (
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'"
    )
    return set(await column(connection, query))


async def views(connection: asyncpg.Connection) -> set[str]:
    return set(await column(connection, "SELECT viewname FROM pg_views WHERE schemaname = 'public'"))


async def foreign_rows(database: Database, connection: asyncpg.Connection, own: UUID, foreign: UUID) -> dict[str, int]:
    """How many rows of `foreign` a transaction of `own` sees, by table; nothing for tables that it may not read."""
    readable = await tenant_tables(connection) - FOUND_BY_TOKEN - ABOUT_TENANTS
    keys = dict.fromkeys(readable, "tenant_id") | {"tenants": "id"}
    async with database.tenant(own) as session:
        seen = {
            table: await session.scalar(
                text(f"SELECT count(*) FROM {table} WHERE {key} = :foreign"), {"foreign": foreign}
            )
            for table, key in keys.items()
        }
    return {table: count for table, count in seen.items() if count}


@pytest.fixture
async def one_connection(addresses: Addresses) -> AsyncIterator[Database]:
    """Every transaction meets the connection that the one before has used."""
    database = Database(addresses, pool_size=1)
    yield database
    await database.close()


async def test_every_table_is_of_a_tenant_or_known_not_to_be(superuser: asyncpg.Connection) -> None:
    """A new table without tenant_id needs a reason here."""
    assert await tables(superuser) - await tenant_tables(superuser) == WITHOUT_TENANT


async def test_every_view_asks_as_its_reader(superuser: asyncpg.Connection) -> None:
    """Else its owner's rights would hold, and everybody would see every workspace."""
    asks = "SELECT relname FROM pg_class WHERE relkind = 'v' AND 'security_invoker=true' = ANY(reloptions)"
    assert set(await column(superuser, asks)) == await views(superuser) != set()


async def test_every_tenant_table_forces_its_policies(superuser: asyncpg.Connection) -> None:
    """Row-level security holds for the owner as well, with one policy a runtime role."""
    secured = "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity"
    policies = "SELECT tablename || ' ' || policyname || ' ' || roles::text FROM pg_policies"
    expected = (await tenant_tables(superuser)) - (await views(superuser)) | {"tenants", "users"}
    assert set(await column(superuser, secured)) == expected
    assert sorted(await column(superuser, policies)) == sorted(
        [
            *(
                f"{table} {policy}"
                for table in expected
                for policy in ("own_tenant {asissto_app}", "whole_platform {asissto_sys}")
            ),
            "audit_log forgetting {asissto_owner}",
        ]
    )


async def test_every_unique_index_begins_with_the_tenant(superuser: asyncpg.Connection) -> None:
    """Else a clash would tell one tenant what another has."""
    query = """
        SELECT DISTINCT indrelid::regclass::text FROM pg_index
        JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indisunique AND indrelid::regclass::text = ANY($1) AND attname <> 'tenant_id'
    """
    assert set(await column(superuser, query, list(await tenant_tables(superuser)))) == FOUND_BY_TOKEN


async def test_every_foreign_key_between_tenant_tables_carries_the_tenant(superuser: asyncpg.Connection) -> None:
    """So that a row cannot even point into another workspace."""
    query = """
        SELECT conname FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE contype = 'f' AND conrelid::regclass::text = ANY($1) AND confrelid::regclass::text = ANY($1)
          AND attname <> 'tenant_id'
    """
    assert await column(superuser, query, list(await tenant_tables(superuser))) == []


async def test_views_ask_with_the_rights_of_who_reads_them(superuser: asyncpg.Connection) -> None:
    """A view with its owner's rights would show every tenant's rows."""
    query = """
        SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace
          AND NOT coalesce(reloptions @> '{security_invoker=true}', false)
    """
    assert await column(superuser, query) == []


@pytest.mark.parametrize(("role", "owns"), [("asissto_app", []), ("asissto_sys", ["search_passages"])])
async def test_runtime_role_has_no_way_around_the_policies(
    superuser: asyncpg.Connection, role: str, owns: list[str]
) -> None:
    """Neither by a privilege of its own, nor by owning tables, nor by becoming somebody else."""
    privileges = "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = $1"
    memberships = "SELECT count(*) FROM pg_auth_members WHERE member = $1::text::regrole"
    owned = """
        SELECT DISTINCT coalesce(proname, objid::text) FROM pg_shdepend
        LEFT JOIN pg_proc ON classid = 'pg_proc'::regclass AND pg_proc.oid = objid
        WHERE deptype = 'o' AND refobjid = $1::text::regrole
    """
    assert [await superuser.fetchval(query, role) for query in (privileges, memberships)] == [False, 0]
    assert await column(superuser, owned, role) == owns


async def test_functions_with_the_rights_of_another_are_known(superuser: asyncpg.Connection) -> None:
    """Each of them has to check the tenant itself."""
    assert await column(superuser, "SELECT proname FROM pg_proc WHERE prosecdef ORDER BY 1") == [
        "forget_audit",
        "search_passages",
    ]


async def test_without_a_tenant_there_are_no_rows(superuser: asyncpg.Connection, addresses: Addresses) -> None:
    """Whoever forgets to name the tenant sees nothing, instead of everything."""
    address = addresses.app
    connection = await asyncpg.connect(host=address.query["host"], user=address.username, database=address.database)
    readable = (await tenant_tables(superuser) - FOUND_BY_TOKEN - ABOUT_TENANTS) | {"tenants", "users"}
    counts = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in readable}
    await connection.close()
    assert {table: count for table, count in counts.items() if count} == {}


@pytest.mark.parametrize("table", sorted(FOUND_BY_TOKEN | OF_PERSONS | OF_PARTNERS | ABOUT_TENANTS))
async def test_some_tables_are_out_of_the_applications_reach(
    one_connection: Database, people: People, table: str
) -> None:
    """Only the system role reads them: sign-in, and the programme of those who bring workspaces."""
    with pytest.raises(DBAPIError, match="permission denied"):
        async with one_connection.tenant(people["alice"].tenant_id) as session:
            await session.execute(text(f"SELECT * FROM {table}"))


async def test_hashes_of_passwords_are_out_of_the_applications_reach(one_connection: Database, people: People) -> None:
    """It sees colleagues by name and address, and nobody's hash."""
    async with one_connection.tenant(people["alice"].tenant_id) as session:
        assert len((await session.execute(text("SELECT name, email FROM users"))).all()) == 2
    with pytest.raises(DBAPIError, match="permission denied"):
        async with one_connection.tenant(people["alice"].tenant_id) as session:
            await session.execute(text("SELECT password_hash FROM users"))


async def test_a_tenant_sees_none_of_anothers_rows(
    one_connection: Database, superuser: asyncpg.Connection, people: People
) -> None:
    """Table by table, with both workspaces full."""
    alice, charlie = people["alice"].tenant_id, people["charlie"].tenant_id
    assert await foreign_rows(one_connection, superuser, charlie, alice) == {}


async def test_the_leak_check_notices_a_role_that_sees_all(
    addresses: Addresses, superuser: asyncpg.Connection, people: People
) -> None:
    """Run as the superuser, the check above must fail, or it would prove nothing."""
    leaking = Database(Addresses(addresses.owner, addresses.app.set(username="postgres"), addresses.sys), pool_size=1)
    alice, charlie = people["alice"].tenant_id, people["charlie"].tenant_id
    found = await foreign_rows(leaking, superuser, charlie, alice)
    await leaking.close()
    assert set(found) >= {"tenants", "memberships", "collections", "assistants", "channels", "audit_log"}


async def test_a_used_connection_remembers_no_tenant(one_connection: Database, people: People) -> None:
    """The next transaction on the same connection sees its own tenant, or none at all."""
    alice, charlie = people["alice"].tenant_id, people["charlie"].tenant_id
    seen = "SELECT pg_backend_pid(), array_agg(id) FROM tenants"
    async with one_connection.tenant(alice) as session:
        pid, first = (await session.execute(text(seen))).one()
    async with one_connection.tenant(charlie) as session:
        second = (await session.execute(text(seen))).one()
    async with one_connection._app_sessions() as session:
        third = (await session.execute(text(seen))).one()
    assert (first, second, third) == ([alice], (pid, [charlie]), (pid, None))


async def test_a_failed_transaction_leaves_no_tenant_behind(one_connection: Database, people: People) -> None:
    """Nor does one that ended with an error."""
    with pytest.raises(DBAPIError):
        async with one_connection.tenant(people["alice"].tenant_id) as session:
            await session.execute(text("SELECT 1 / 0"))
    async with one_connection._app_sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM tenants")) == 0


async def test_many_transactions_at_once_keep_their_tenants(one_connection: Database, people: People) -> None:
    """Two connections, two tenants, a hundred transactions that wait for each other."""
    tenants = [people["alice"].tenant_id, people["charlie"].tenant_id] * 50

    async def sees(tenant_id: UUID) -> list[UUID]:
        async with one_connection.tenant(tenant_id) as session:
            await session.execute(text("SELECT 1"))
            return list(await session.scalars(text("SELECT id FROM tenants")))

    assert await asyncio.gather(*map(sees, tenants)) == [[tenant_id] for tenant_id in tenants]


async def test_nobody_writes_into_another_tenant(one_connection: Database, people: People) -> None:
    """A row that names a foreign tenant is refused."""
    alice, charlie = people["alice"].tenant_id, people["charlie"].tenant_id
    with pytest.raises(DBAPIError, match="row-level security"):
        async with one_connection.tenant(charlie) as session:
            session.add(Collection(tenant_id=alice, name="intruder"))


async def test_nobody_points_into_another_tenant(one_connection: Database, people: People) -> None:
    """A document cannot lie in a foreign collection, though foreign keys look past the policies."""
    alice, charlie = people["alice"].tenant_id, people["charlie"].tenant_id
    async with one_connection.tenant(alice) as session:
        collection = await session.scalar(select(Collection.id))
    with pytest.raises(IntegrityError, match="foreign key"):
        async with one_connection.tenant(charlie) as session:
            session.add(Document(tenant_id=charlie, collection_id=collection, title="intruder", source_key="intruder"))


@pytest.mark.parametrize(
    "change",
    ["UPDATE audit_log SET action = ''", "DELETE FROM audit_log", "TRUNCATE audit_log", "DROP TABLE audit_log"],
)
@pytest.mark.parametrize("door", ["tenant", "system"])
async def test_the_audit_trail_cannot_be_changed(
    one_connection: Database, people: People, change: str, door: str
) -> None:
    """Neither runtime role may do more than add to it."""
    alice = people["alice"].tenant_id
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        async with one_connection.tenant(alice) if door == "tenant" else one_connection.system() as session:
            await session.execute(text(change))
