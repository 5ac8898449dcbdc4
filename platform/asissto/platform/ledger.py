"""The ledger of a tenant's money: transfers between accounts, each booked once, and money held for work that goes on.

A transfer takes `amount` minor units out of the account `debit` and puts them into the account `credit`: a balance is
what came in less what went out. `wallet` is what the tenant has paid and not used, `held` what is set aside of it;
neither goes below its floor. `revenue` is what the operator has earned, `cash:<provider>` goes below zero by what came
in through a provider, `adjustment` by what was given, `commission:<user id>` is owed to a referrer at the expense of
`cost:commission`. Whatever is booked, the accounts of a tenant add up to zero.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import structs
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.database import Database
from asissto.platform.errors import AnswersPaused, BalanceTooLow
from asissto.platform.jobs import wake
from asissto.platform.money_tables import LedgerAccount, LedgerEntry, LedgerHold
from asissto.platform.tables import Tenant, new_id

HOLD_SECONDS = 900
"""How long money stays set aside for work of which nothing more is heard; an answer takes two minutes at most."""

_BOOK = text("""
    WITH booked AS (
        INSERT INTO ledger_entries (tenant_id, id, kind, debit, credit, amount, currency, key, about, note)
        VALUES (:tenant_id, :id, :kind, :debit, :credit, :amount, :currency, :key, :about, :note)
        RETURNING tenant_id
    ), moved AS (
        UPDATE ledger_accounts a
        SET balance = a.balance + CASE a.name WHEN :credit THEN :amount ELSE -CAST(:amount AS bigint) END
        FROM booked b WHERE a.tenant_id = b.tenant_id AND a.name IN (:debit, :credit)
        RETURNING a.tenant_id, a.name, a.balance
    )
    UPDATE tenants t SET balance = m.balance FROM moved m WHERE t.id = m.tenant_id AND m.name = 'wallet'
""")


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units of `currency`; `available` is the wallet without what is held, below zero where it is overdrawn."""

    available: int
    held: int
    currency: str


async def transfer(  # noqa: PLR0913 - a line of the journal
    session: AsyncSession,
    tenant_id: UUID,
    *,
    kind: str,
    debit: str,
    credit: str,
    amount: int,
    key: str,
    about: UUID | None = None,
    note: str = "",
) -> bool:
    """False where `key` was booked before, whatever its amount was.

    Raises BalanceTooLow where `debit` would cross its floor; nothing is written then, and the transaction can go on.
    """
    currency = await lock(session, tenant_id)
    if await _is_booked(session, tenant_id, key):
        return False
    await _need(session, tenant_id, debit, amount)
    await _open_accounts(session, tenant_id, debit, credit)
    row = {"tenant_id": tenant_id, "id": new_id(), "kind": kind, "debit": debit, "credit": credit, "amount": amount}
    await session.execute(_BOOK, {**row, "currency": currency, "key": key, "about": about, "note": note})
    if credit == "wallet":
        await wake(session, tenant_id, AnswersPaused.code)
    return True


async def hold(session: AsyncSession, tenant_id: UUID, key: str, amount: int, *, about: UUID | None = None) -> bool:
    """Sets `amount` aside for HOLD_SECONDS. Raises BalanceTooLow.

    False where `key` is held, which it is from now on as long again, or was settled. What was given back, because it
    expired for one, is set aside anew.
    """
    await lock(session, tenant_id)
    found = await find_hold(session, tenant_id, key)
    if found is not None and found.state != "released":
        if found.state == "open":
            found.expires_at = await _now(session) + timedelta(seconds=HOLD_SECONDS)
        return False
    times = 1 if found is None else found.times + 1
    await _transfer(session, tenant_id, _Leg("hold", "wallet", "held", amount, times), key, about)
    row = insert(LedgerHold).values(tenant_id=tenant_id, key=key, times=times, amount=amount)
    await session.execute(row.values(expires_at=func.now() + timedelta(seconds=HOLD_SECONDS)))
    return True


async def settle(session: AsyncSession, tenant_id: UUID, key: str, amount: int, *, about: UUID | None = None) -> bool:
    """Charges `amount`, first from what is held by `key`, and gives the rest of it back; False where that was done.

    What is not held, because it was too little or has expired, comes out of the wallet. Raises BalanceTooLow.
    """
    await lock(session, tenant_id)
    found = await find_hold(session, tenant_id, key)
    if found is not None and found.state == "settled":
        return False
    held = found.amount if found is not None and found.state == "open" else 0
    times = 1 if found is None else found.times
    more = max(amount - held, 0)
    await _need(session, tenant_id, "wallet", more)
    for leg in (
        _Leg("settle", "held", "revenue", min(amount, held)),
        _Leg("spend", "wallet", "revenue", more),
        _Leg("release", "held", "wallet", max(held - amount, 0), times),
    ):
        await _transfer(session, tenant_id, leg, key, about)
    await _close(session, tenant_id, key, found, "settled")
    return True


async def release(session: AsyncSession, tenant_id: UUID, key: str, *, expired: bool = False) -> bool:
    """Gives all that is held by `key` back to the wallet; False where nothing is, or nothing that has `expired`."""
    await lock(session, tenant_id)
    found = await find_hold(session, tenant_id, key)
    if found is None or found.state != "open" or (expired and found.expires_at > await _now(session)):
        return False
    await _transfer(session, tenant_id, _Leg("release", "held", "wallet", found.amount, found.times), key, None)
    await _close(session, tenant_id, key, found, "released")
    return True


async def release_expired(database: Database) -> int:
    """How many holds of all tenants were given back because nobody has settled them in time."""
    async with database.system() as session:
        expired = select(LedgerHold.tenant_id, LedgerHold.key).where(
            LedgerHold.state == "open", LedgerHold.expires_at < func.now()
        )
        found = (await session.execute(expired)).all()
    released = 0
    for tenant_id, key in found:
        async with database.tenant(tenant_id) as session:
            released += await release(session, tenant_id, key, expired=True)  # it may have been renewed meanwhile
    return released


async def balance(session: AsyncSession, tenant_id: UUID) -> Balance:
    held = select(LedgerAccount.balance).where(LedgerAccount.tenant_id == tenant_id, LedgerAccount.name == "held")
    wanted = select(Tenant.balance, func.coalesce(held.scalar_subquery(), 0), Tenant.currency)
    row = (await session.execute(wanted.where(Tenant.id == tenant_id))).one()
    return Balance(available=row[0], held=row[1], currency=row[2])


class _Leg(msgspec.Struct, frozen=True):
    """`times`: how often it was done by the same key, this time included."""

    kind: str
    debit: str
    credit: str
    amount: int
    times: int = 1


async def _transfer(session: AsyncSession, tenant_id: UUID, leg: _Leg, key: str, about: UUID | None) -> None:
    """A part of what is done with the hold `key`; nothing where it is of nothing."""
    sides = structs.asdict(leg)
    times = sides.pop("times")
    if leg.amount:
        booked = f"{leg.kind}:{key}" if times == 1 else f"{leg.kind}.{times}:{key}"
        await transfer(session, tenant_id, **sides, key=booked, about=about)


async def _now(session: AsyncSession) -> datetime:
    return (await session.execute(select(func.now()))).scalar_one()


async def lock(session: AsyncSession, tenant_id: UUID) -> str:
    """The tenant's currency; its row is the one lock of its money, so that no two transactions wait for each other."""
    locked = select(Tenant.currency).where(Tenant.id == tenant_id).with_for_update(key_share=True)
    return (await session.execute(locked)).scalar_one()


async def _is_booked(session: AsyncSession, tenant_id: UUID, key: str) -> bool:
    booked = select(LedgerEntry.id).where(LedgerEntry.tenant_id == tenant_id, LedgerEntry.key == key)
    return await session.scalar(booked) is not None


async def _need(session: AsyncSession, tenant_id: UUID, name: str, amount: int) -> None:
    if name not in ("wallet", "held"):
        return
    account = select(LedgerAccount.balance + LedgerAccount.overdraft).where(
        LedgerAccount.tenant_id == tenant_id, LedgerAccount.name == name
    )
    if (await session.scalar(account) or 0) < amount:
        raise BalanceTooLow


async def _open_accounts(session: AsyncSession, tenant_id: UUID, *names: str) -> None:
    rows = [{"tenant_id": tenant_id, "name": name} for name in names]
    await session.execute(insert(LedgerAccount).values(rows).on_conflict_do_nothing())


async def find_hold(session: AsyncSession, tenant_id: UUID, key: str) -> LedgerHold | None:
    """The last time that something was set aside by the key."""
    wanted = select(LedgerHold).where(LedgerHold.tenant_id == tenant_id, LedgerHold.key == key)
    last = wanted.order_by(LedgerHold.times.desc()).limit(1)
    return await session.scalar(last.execution_options(populate_existing=True))


async def _close(session: AsyncSession, tenant_id: UUID, key: str, found: LedgerHold | None, state: str) -> None:
    closed = {"state": state, "closed_at": func.now()}
    # What had no hold gets one that is closed, so that it is charged once.
    row = insert(LedgerHold).values(tenant_id=tenant_id, key=key, times=1 if found is None else found.times, amount=0)
    row = row.values(expires_at=func.now(), **closed)
    await session.execute(row.on_conflict_do_update(index_elements=["tenant_id", "key", "times"], set_=closed))
