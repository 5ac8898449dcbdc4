"""What a plan lets a tenant keep: documents, files, channels, members."""

from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import PlanLimit
from asissto.platform.metering import warn
from asissto.platform.settings import Settings
from asissto.platform.subscriptions import find_subscription, terms_of

Kept = Literal["documents", "storage_mb", "channels", "seats"]
KEPT: tuple[Kept, ...] = get_args(Kept)
Limited = Literal["documents", "storage_mb", "channels", "seats", "members"]
"""`members` are the seats that are taken, whoever else was invited: what counts for somebody who joins."""

_MEMBERS = "SELECT count(*) FROM memberships WHERE tenant_id = :tenant_id"
_LEVELS: dict[Kept, str] = {
    "documents": """
        SELECT count(*) FROM documents d WHERE tenant_id = :tenant_id
        AND NOT EXISTS (SELECT FROM pairs p WHERE p.tenant_id = d.tenant_id AND p.document_id = d.id)
    """,
    "storage_mb": "SELECT coalesce(sum(size), 0) / 1000000 FROM document_versions WHERE tenant_id = :tenant_id",
    "channels": "SELECT count(*) FROM channels WHERE tenant_id = :tenant_id AND type <> 'api'",
    "seats": """
        SELECT (SELECT count(*) FROM memberships WHERE tenant_id = :tenant_id) + (
            SELECT count(*) FROM invitations WHERE tenant_id = :tenant_id
            AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now())
    """,
}
"""In SQL, because the tables are those of components that stand on this one."""


async def levels(session: AsyncSession, tenant_id: UUID) -> dict[str, int]:
    """What there is now of everything that a plan limits; an open invitation keeps its place."""
    return {name: await _level(session, tenant_id, name) for name in _LEVELS}


async def check_room(session: AsyncSession, settings: Settings, tenant_id: UUID, *names: Limited) -> None:
    """After something was added, in its transaction; nothing where billing is off. Raises PlanLimit.

    Two who add at once wait for each other here, so that the second one counts what the first has added.
    """
    if not settings.billing:
        return
    await session.flush()
    subscription = await find_subscription(session, tenant_id, locks=True)
    terms = terms_of(subscription)
    for name in names:
        sold: Kept = "seats" if name == "members" else name
        limit: int | None = getattr(terms, sold)
        if limit is None:
            continue
        level = await _level(session, tenant_id, name)
        if level > limit:
            raise PlanLimit(what=sold, limit=limit, plan=terms.name)
        await warn(session, subscription, sold, 0, level)


async def _level(session: AsyncSession, tenant_id: UUID, name: Limited) -> int:
    query = _MEMBERS if name == "members" else _LEVELS[name]
    return int(await session.scalar(text(query), {"tenant_id": tenant_id}) or 0)
