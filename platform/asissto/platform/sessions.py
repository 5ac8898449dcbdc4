"""Where a person is signed in, and how they sign out elsewhere."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.credentials import close_session, close_sessions
from asissto.platform.errors import NotFound
from asissto.platform.paging import Page
from asissto.platform.services import Services
from asissto.platform.tables import RefreshToken, Tenant

MOST = 200


class SessionOut(msgspec.Struct, frozen=True, kw_only=True):
    """`device` is what the program called itself; `last_used_at` is exact to an access token's life of 15 minutes.

    `impersonator_id` is who acts as the person in it.
    """

    id: UUID
    tenant_id: UUID
    workspace: str
    device: str | None
    ip: str | None
    opened_at: datetime
    last_used_at: datetime
    impersonator_id: UUID | None
    is_current: bool


class Closed(msgspec.Struct, frozen=True):
    closed: int


async def list_sessions(services: Services, principal: Principal) -> Page[SessionOut]:
    """The open ones, in all workspaces of the person, the last used first."""
    first = aliased(RefreshToken)
    newest = (
        select(RefreshToken.family_id, RefreshToken.device, RefreshToken.ip, RefreshToken.created_at)
        .where(RefreshToken.user_id == principal.user_id, RefreshToken.expires_at > func.now())
        .ext(distinct_on(RefreshToken.family_id))
        .order_by(RefreshToken.family_id, RefreshToken.created_at.desc(), RefreshToken.id.desc())
        .subquery()
    )
    opened = (
        select(
            first.id,
            first.tenant_id,
            Tenant.name.label("workspace"),
            newest.c.device,
            newest.c.ip,
            first.created_at.label("opened_at"),
            newest.c.created_at.label("last_used_at"),
            first.impersonator_id,
        )
        .join(newest, newest.c.family_id == first.id)
        .join(Tenant, Tenant.id == first.tenant_id)
        .where(first.revoked_at.is_(None))
        .order_by(newest.c.created_at.desc())
        .limit(MOST)
    )
    async with services.database.system() as session:
        rows = (await session.execute(opened)).mappings().all()
    return Page([SessionOut(**row, is_current=row["id"] == principal.session_id) for row in rows], None)


async def end_session(services: Services, principal: Principal, session_id: UUID) -> None:
    """Its tokens are worth nothing from now on; raises NotFound for somebody else's."""
    async with services.database.system() as session:
        opened = await session.get(RefreshToken, session_id)
        is_own = opened is not None and opened.user_id == principal.user_id and opened.family_id == opened.id
        if opened is None or not is_own or opened.revoked_at is not None:
            raise NotFound(kind="session")
        await close_session(session, session_id)
        await record(session, principal, "sessions.end", "session", session_id)


async def end_other_sessions(services: Services, principal: Principal) -> Closed:
    async with services.database.system() as session:
        closed = await close_sessions(session, principal.user_id, but=principal.session_id)
        await record(session, principal, "sessions.end_others", "user", principal.user_id, closed=len(closed))
    return Closed(len(closed))
