"""Who has brought a tenant: noted at the registration, and set right by an administrator, who says why."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.own_referrals import is_own, same_mailbox
from asissto.platform.referral_codes import Found, find_code
from asissto.platform.referral_tables import Referral
from asissto.platform.tables import Membership, Tenant, User, new_id

TypedCode = Annotated[str, Meta(min_length=1, max_length=100)]


async def note_referral(
    session: AsyncSession, person: User, tenant_id: UUID, typed: str, clicked_at: datetime | None
) -> None:
    """In the transaction of the registration.

    Nothing where the code brings nobody, the link was followed too long ago, or the partner is the person. A page
    tells when the link was followed: the clock of a browser that runs ahead counts as now.
    """
    found = await find_code(session, typed)
    if found is None or same_mailbox(found.partner.email, person.email):
        return
    now = datetime.now(UTC)
    followed = None if clicked_at is None else min(clicked_at, now)
    if followed is not None and now - followed > timedelta(days=found.terms.click_days):
        return
    await _write(session, tenant_id, found, "registration", followed)
    person.referrer_id = found.partner.id


async def find_referral(session: AsyncSession, tenant_id: UUID) -> Referral | None:
    return await session.scalar(select(Referral).where(Referral.tenant_id == tenant_id))


async def replace_referral(session: AsyncSession, tenant_id: UUID, found: Found | None) -> Referral | None:
    """By an administrator, in a transaction that holds the tenant; None for nobody. What was earned stays earned."""
    await session.execute(delete(Referral).where(Referral.tenant_id == tenant_id))
    partner_id = None if found is None else found.partner.id
    await session.execute(
        update(User).where(User.id == await _first_owner(session, tenant_id)).values(referrer_id=partner_id)
    )
    return None if found is None else await _write(session, tenant_id, found, "admin", None)


async def brings_themselves(session: AsyncSession, tenant_id: UUID, found: Found) -> bool:
    return await is_own(session, found.partner, tenant_id)


async def _write(
    session: AsyncSession, tenant_id: UUID, found: Found, origin: str, clicked_at: datetime | None
) -> Referral:
    """With the terms of this moment, which hold for the tenant from now on."""
    begun = await session.scalar(select(Tenant.created_at).where(Tenant.id == tenant_id))
    row = Referral(
        tenant_id=tenant_id,
        id=new_id(),
        partner_id=found.partner.id,
        code=found.row.code,
        programme=found.row.programme,
        terms=msgspec.to_builtins(found.terms),
        origin=origin,
        clicked_at=clicked_at,
        registered_at=begun,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def _first_owner(session: AsyncSession, tenant_id: UUID) -> UUID | None:
    owners = select(Membership.user_id).where(Membership.tenant_id == tenant_id, Membership.role == "owner")
    return await session.scalar(owners.order_by(Membership.created_at, Membership.user_id).limit(1))
