"""An administrator says who has brought a tenant, or that nobody has, and why."""

from datetime import datetime
from typing import Self
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import ledger
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.commissions import void
from asissto.platform.errors import InvalidInput, NotFound
from asissto.platform.platform_tenants import Reason, find_tenant
from asissto.platform.referral_codes import Found, find_code
from asissto.platform.referral_tables import Referral
from asissto.platform.referral_terms import ReferralTerms, read_terms
from asissto.platform.referring import TypedCode, brings_themselves, find_referral, replace_referral
from asissto.platform.texts import Phrase


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By `takes_back` all that the tenant has earned somebody so far is taken back, also where it was paid out."""

    reason: Reason
    takes_back: bool = False


class ReferralIn(Correction, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`code` is that of the partner who is to be the one."""

    code: TypedCode


class ReferralOut(msgspec.Struct, frozen=True, kw_only=True):
    """`terms` are those of the programme when the tenant was brought; they hold whatever becomes of it."""

    id: UUID
    tenant_id: UUID
    partner_id: UUID
    code: str
    programme: str
    terms: ReferralTerms
    origin: str
    clicked_at: datetime | None
    registered_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, row: Referral) -> Self:
        plain = {name: getattr(row, name) for name in cls.__struct_fields__ if name != "terms"}
        return cls(**plain, terms=read_terms(row.terms))


async def read_referral(session: AsyncSession, principal: Principal, tenant_id: UUID) -> ReferralOut:
    """Raises NotFound."""
    await find_tenant(session, principal, tenant_id)
    row = await find_referral(session, tenant_id)
    if row is None:
        raise NotFound(kind="referral")
    return ReferralOut.of(row)


async def put_referral(session: AsyncSession, principal: Principal, tenant_id: UUID, what: ReferralIn) -> ReferralOut:
    """Payments from now on earn the partner of the code. Raises NotFound, InvalidInput for the tenant's own people."""
    await find_tenant(session, principal, tenant_id)
    await ledger.lock(session, tenant_id)
    found = await find_code(session, what.code)
    if found is None:
        raise NotFound(kind="referral_code")
    if await brings_themselves(session, tenant_id, found):
        raise InvalidInput(field="code", detail=Phrase("invalid.own_referral"))
    row = await _replace(session, principal, tenant_id, found, what)
    assert row is not None
    return ReferralOut.of(row)


async def remove_referral(session: AsyncSession, principal: Principal, tenant_id: UUID, what: Correction) -> None:
    """Payments from now on earn nobody anything. Raises NotFound."""
    await find_tenant(session, principal, tenant_id)
    await ledger.lock(session, tenant_id)
    if await find_referral(session, tenant_id) is None:
        raise NotFound(kind="referral")
    await _replace(session, principal, tenant_id, None, what)


async def _replace(
    session: AsyncSession, principal: Principal, tenant_id: UUID, found: Found | None, what: Correction
) -> Referral | None:
    before = await find_referral(session, tenant_id)
    old = {} if before is None else {"code": before.code, "partner": before.partner_id}
    voided = await void(session, tenant_id, before.id) if before is not None and what.takes_back else 0
    row = await replace_referral(session, tenant_id, found)
    new = {} if row is None else {"code": row.code, "partner": row.partner_id}
    action = "platform.referrals.remove" if row is None else "platform.referrals.put"
    told = {"before": old, "after": new, "reason": what.reason, "payments_voided": voided}
    await record(session, principal.within(tenant_id), action, "referral", tenant_id, **told)
    return row
