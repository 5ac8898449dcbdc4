"""Links that may be followed once: what they are for, for whom, and how long; of their tokens the hash is kept."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.credentials import KEPT, new_token, token_sha
from asissto.platform.errors import LinkSpent
from asissto.platform.settings import Settings
from asissto.platform.tables import OneTimeLink

Purpose = Literal["admin", "reset", "confirm"]
LIVES: dict[Purpose, timedelta] = {
    "admin": timedelta(hours=72),
    "reset": timedelta(minutes=30),
    "confirm": timedelta(hours=72),
}
PATHS = {"admin": "setup", "reset": "reset", "confirm": "confirm", "invitation": "invitation"}


class Followed(msgspec.Struct, frozen=True):
    """For whom the link was made; `email` is where it was sent to, None for one that was printed."""

    tenant_id: UUID | None
    user_id: UUID | None
    email: str | None


async def make_link(
    session: AsyncSession,
    purpose: Purpose,
    *,
    tenant_id: UUID | None = None,
    user_id: UUID | None = None,
    email: str | None = None,
) -> str:
    """The token of a link for a tenant or a person; earlier ones for the same purpose of the person end."""
    token, expires = new_token(), datetime.now(UTC) + LIVES[purpose]
    if user_id is not None:
        await end_links(session, user_id, purpose)
    link = OneTimeLink(purpose=purpose, token_sha=token_sha(token), expires_at=expires)
    link.tenant_id, link.user_id, link.email = tenant_id, user_id, email
    session.add(link)
    return token


async def spend_link(session: AsyncSession, token: str, purpose: Purpose) -> Followed:
    """Raises LinkSpent."""
    unused = (OneTimeLink.used_at.is_(None), OneTimeLink.expires_at > func.now())
    spent = (
        update(OneTimeLink)
        .where(OneTimeLink.token_sha == token_sha(token), OneTimeLink.purpose == purpose, *unused)
        .values(used_at=func.now())
        .returning(OneTimeLink.tenant_id, OneTimeLink.user_id, OneTimeLink.email)
    )
    found = (await session.execute(spent)).one_or_none()
    if found is None:
        raise LinkSpent
    return Followed(*found)


async def end_links(session: AsyncSession, user_id: UUID, purpose: Purpose) -> None:
    mine = (OneTimeLink.user_id == user_id, OneTimeLink.purpose == purpose, OneTimeLink.used_at.is_(None))
    await session.execute(update(OneTimeLink).where(*mine).values(used_at=func.now()))


async def forget_old_links(session: AsyncSession) -> None:
    await session.execute(delete(OneTimeLink).where(OneTimeLink.expires_at < func.now() - KEPT))


def link_address(settings: Settings, kind: str, token: str) -> str:
    """The token stands behind a `#`, so that no server on the way and no log sees it."""
    return f"{settings.address}/{PATHS[kind]}#token={token}"
