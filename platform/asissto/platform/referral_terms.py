"""What partners earn: the catalogue of programmes, which administrators keep, and what a rate gives of a payment."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import InvalidInput
from asissto.platform.plans import Amount, Code, Currency
from asissto.platform.referral_tables import ReferralProgramme
from asissto.platform.texts import Phrase

STANDARD = "standard"
"""The programme of codes that partners make themselves; it can be changed, not archived."""

_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
Status = Literal["active", "archived"]
Days = Annotated[int, Meta(ge=0, le=3650)]


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ten thousandths of each payment, or a fixed amount for each by currency, never more than was paid.

    `payments`: only of so many payments of a workspace; `days`: only of those within so many days from its beginning.
    """

    basis_points: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    fixed: Annotated[dict[Currency, Amount], Meta(max_length=50)] | None = None
    payments: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    days: Annotated[int, Meta(ge=1, le=3650)] | None = None


class ReferralTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`plans` holds rates for plans by their code, `rate` is that of all others.

    `click_days` may lie between the link and the registration. What is earned is payable `hold_days` after the payment,
    and partners may ask for it from the least amount of its currency on.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    click_days: Annotated[int, Meta(ge=1, le=3650)] = 60
    hold_days: Days = 30
    rate: Rate
    plans: Annotated[dict[Code, Rate], Meta(max_length=100)] = {}
    minimum_payouts: Annotated[dict[Currency, Amount], Meta(max_length=50)] = {}

    def rate_of(self, plan: str) -> Rate:
        return self.plans.get(plan, self.rate)


class ProgrammeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By a programme that is archived nobody is brought any more; those who were brought go on earning by it."""

    terms: ReferralTerms
    status: Status = "active"


class ProgrammeOut(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    terms: ReferralTerms
    status: str


async def programmes(session: AsyncSession) -> list[ProgrammeOut]:
    rows = await session.scalars(select(ReferralProgramme).order_by(ReferralProgramme.code))
    return [ProgrammeOut(code=row.code, terms=read_terms(row.terms), status=row.status) for row in rows]


async def put_programme(session: AsyncSession, principal: Principal, code: str, what: ProgrammeIn) -> ProgrammeOut:
    """Adds or changes it, for whoever is brought from now on. Raises InvalidInput."""
    if not _CODE.fullmatch(code):
        raise InvalidInput(field="code", detail=Phrase("invalid.form"))
    _check_rate("terms.rate", what.terms.rate)
    for plan, rate in what.terms.plans.items():
        _check_rate(f"terms.plans.{plan}", rate)
    if code == STANDARD and what.status != "active":
        raise InvalidInput(field="status", detail=Phrase("invalid.standard_programme"))
    values = {"terms": msgspec.to_builtins(what.terms), "status": what.status}
    row = insert(ReferralProgramme).values(code=code, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["code"], set_={**values, "updated_at": func.now()}))
    told = msgspec.to_builtins(what)
    await record(session, principal, "platform.referrals.programmes.put", "referral_programme", None, code=code, **told)
    return ProgrammeOut(code=code, terms=what.terms, status=what.status)


async def find_terms(session: AsyncSession, code: str) -> ReferralTerms | None:
    """None for a programme that is archived, or that there is not."""
    active = (ReferralProgramme.code == code, ReferralProgramme.status == "active")
    terms = await session.scalar(select(ReferralProgramme.terms).where(*active))
    return None if terms is None else read_terms(terms)


def read_terms(stored: object) -> ReferralTerms:
    return msgspec.convert(stored, ReferralTerms)


def commission(rate: Rate, amount: int, currency: str) -> int:
    """Minor units of a payment of `amount`; parts of a unit are left to the operator."""
    if rate.basis_points is not None:
        return amount * rate.basis_points // 10_000
    return min((rate.fixed or {}).get(currency, 0), amount)


def remaining(earned: int, amount: int, refunded: int) -> int:
    """Of what a payment has earned, by the part of it that was not given back; again without parts of a unit."""
    return earned * max(amount - refunded, 0) // amount


def still_earns(rate: Rate, registered_at: datetime, paid_at: datetime, paid_before: int) -> bool:
    """`paid_before` payments have earned something already."""
    in_time = rate.days is None or paid_at < registered_at + timedelta(days=rate.days)
    return in_time and (rate.payments is None or paid_before < rate.payments)


def _check_rate(field: str, rate: Rate) -> None:
    if (rate.basis_points is None) == (rate.fixed is None):
        raise InvalidInput(field=field, detail=Phrase("invalid.rate"))
