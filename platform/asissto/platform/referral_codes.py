"""Codes by which partners bring tenants: made or chosen, found however they are typed, and how often they were used."""

import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.attempts import knock, network_of
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.credentials import Visitor
from asissto.platform.errors import Conflict, InvalidInput, NotFound
from asissto.platform.paging import Page, page
from asissto.platform.plans import Code as ProgrammeCode
from asissto.platform.referral_tables import Referral, ReferralClicks, ReferralCode
from asissto.platform.referral_terms import STANDARD, ReferralTerms, find_terms
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.platform.tables import User, new_id
from asissto.platform.texts import Phrase

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without 0, 1, I, L and O."""

MADE_LENGTH = 8
"""31^8: two that are made clash once in 10^11 pairs."""

MOST_CODES = 100
"""Of one partner."""

_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{1,38}[A-Za-z0-9]")
_LOOK = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None})

Wanted = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9-]{1,38}[A-Za-z0-9]$")]
Campaign = Annotated[str, Meta(max_length=200)]
CodeStatus = Literal["active", "disabled"]


class CodeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without `code` one is made; `campaign` is a note of the partner's own, such as where the link stands."""

    code: Wanted | None = None
    campaign: Campaign = ""


class PartnerCodeIn(CodeIn, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For a partner, in a programme."""

    user_id: UUID
    programme: ProgrammeCode = STANDARD


class CodePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is; a disabled code brings nobody any more."""

    campaign: Campaign | UnsetType = UNSET
    status: CodeStatus | UnsetType = UNSET


class PartnerCodePatch(CodePatch, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another programme counts for those who are brought from now on."""

    programme: ProgrammeCode | UnsetType = UNSET


class CodeOut(msgspec.Struct, frozen=True, kw_only=True):
    """`link` is what to spread; `clicks` and `registrations` are all that there were by the code."""

    id: UUID
    user_id: UUID
    code: str
    link: str
    programme: str
    campaign: str
    status: str
    clicks: int
    registrations: int
    created_at: datetime


class Found(msgspec.Struct, frozen=True):
    """A code that brings somebody at this moment."""

    row: ReferralCode
    partner: User
    terms: ReferralTerms


async def add_code(session: AsyncSession, principal: Principal, what: PartnerCodeIn, action: str) -> ReferralCode:
    """Raises NotFound for somebody who is no partner or no programme, and Conflict for a code that is taken."""
    partner = await session.get(User, what.user_id, with_for_update={"key_share": True})
    if partner is None or partner.role != "referral":
        raise NotFound(kind="partner")
    await _check_programme(session, what.programme)
    have = select(func.count()).select_from(ReferralCode).where(ReferralCode.user_id == what.user_id)
    if (await session.scalar(have) or 0) >= MOST_CODES:
        raise Conflict(detail=Phrase("conflict.most_codes", MOST_CODES))
    code = (what.code or make_code()).upper()
    values = {"id": new_id(), "code": code, "look": look_of(code), "user_id": what.user_id}
    row = insert(ReferralCode).values(**values, programme=what.programme, campaign=what.campaign)
    code_id = await session.scalar(row.on_conflict_do_nothing().returning(ReferralCode.id))
    if code_id is None:
        raise Conflict(field="code", detail=Phrase("conflict.code_taken"))
    told = {"code": code, "partner": what.user_id, "programme": what.programme, "campaign": what.campaign}
    await record(session, principal, action, "referral_code", code_id, **told)
    return await session.get_one(ReferralCode, code_id)


async def change_code(
    session: AsyncSession, principal: Principal, code_id: UUID, what: CodePatch, owner: UUID | None = None
) -> ReferralCode:
    """With `owner` one of theirs. Raises NotFound."""
    row = await session.get(ReferralCode, code_id, with_for_update=True)
    if row is None or owner not in (None, row.user_id):
        raise NotFound(kind="referral_code")
    changes = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not UNSET}
    if "programme" in changes:
        await _check_programme(session, changes["programme"])
    before = {name: getattr(row, name) for name in changes}
    for name, value in changes.items():
        setattr(row, name, value)
    action = f"{'platform.' if owner is None else ''}referrals.codes.update"
    await record(session, principal, action, "referral_code", code_id, before=before, after=changes)
    return row


async def list_codes(
    session: AsyncSession, settings: Settings, user_id: UUID | None, limit: int, after: str | None
) -> Page[CodeOut]:
    """Oldest first; of one partner or of all."""
    wanted = select(ReferralCode) if user_id is None else select(ReferralCode).where(ReferralCode.user_id == user_id)
    found = await page(session, wanted, ReferralCode.id, limit, after)
    return Page(await show_codes(session, settings, found.items), found.next)


async def show_codes(session: AsyncSession, settings: Settings, rows: list[ReferralCode]) -> list[CodeOut]:
    ids, codes = [row.id for row in rows], [row.code for row in rows]
    clicks = select(ReferralClicks.code_id, func.sum(ReferralClicks.count))
    clicked = await _counts(session, clicks.where(ReferralClicks.code_id.in_(ids)).group_by(ReferralClicks.code_id))
    brought = select(Referral.code, func.count()).where(Referral.code.in_(codes)).group_by(Referral.code)
    registered = await _counts(session, brought)
    return [
        CodeOut(
            **{name: getattr(row, name) for name in CodeOut.__struct_fields__ if hasattr(row, name)},
            link=f"{settings.address}/?ref={row.code}",
            clicks=clicked.get(row.id, 0),
            registrations=registered.get(row.code, 0),
        )
        for row in rows
    ]


async def count_click(services: Services, code: str, visitor: Visitor) -> None:
    """One more today. Raises NotFound for a code that brings nobody, TooManyRequests."""
    await knock(services, ("click", network_of(visitor.ip)))
    async with services.database.system() as session:
        found = await find_code(session, code)
        if found is None:
            raise NotFound(kind="referral_code")
        row = insert(ReferralClicks).values(code_id=found.row.id, day=datetime.now(UTC).date())
        more = {"count": ReferralClicks.count + 1}
        await session.execute(row.on_conflict_do_update(index_elements=["code_id", "day"], set_=more))


async def find_code(session: AsyncSession, typed: str) -> Found | None:
    """However it was typed: in small letters, with an O for a 0, without its hyphens."""
    if not _FORM.fullmatch(typed.strip()):
        return None
    is_active: tuple[ColumnElement[bool], ...] = (ReferralCode.status == "active", User.status == "active")
    joined = select(ReferralCode, User).join(User, User.id == ReferralCode.user_id)
    joined = joined.where(ReferralCode.look == look_of(typed.strip()), User.role == "referral", *is_active)
    found = (await session.execute(joined)).one_or_none()
    if found is None:
        return None
    terms = await find_terms(session, found[0].programme)
    return None if terms is None else Found(found[0], found[1], terms)


def make_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(MADE_LENGTH))


def look_of(code: str) -> str:
    """The same for codes that people take for one another."""
    return code.upper().translate(_LOOK)


async def _check_programme(session: AsyncSession, code: str) -> None:
    if await find_terms(session, code) is None:
        raise InvalidInput(field="programme", detail=Phrase("invalid.programme"))


async def _counts(session: AsyncSession, query: Select[Any, int]) -> dict[Any, int]:
    return {row[0]: int(row[1]) for row in await session.execute(query)}
