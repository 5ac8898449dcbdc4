"""Keys by which programs work in a workspace: made, listed, revoked; a key never does more than its maker may."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import Name
from asissto.platform.api_key_access import NOT_FOR_KEYS, make_key
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import InvalidInput, NotFound, ScopesBeyondRole
from asissto.platform.moments import in_utc
from asissto.platform.paging import Page, newest_first
from asissto.platform.people_tables import ApiKey
from asissto.platform.permissions import PERMISSIONS, Permission
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase


class KeyIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`scopes` are permissions; without `expires_at` the key works until it is revoked."""

    name: Name
    scopes: Annotated[list[Permission], Meta(min_length=1, max_length=100)]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class KeyOut(msgspec.Struct, frozen=True, kw_only=True):
    """`prefix` stands between the first two underscores of the key; `last_used_at` is exact to the minute."""

    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    created_by: UUID
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        return cls(**_fields(row))


class KeyMade(KeyOut, frozen=True, kw_only=True):
    """`key` is shown this once."""

    key: str


async def create_key(session: AsyncSession, principal: Principal, what: KeyIn) -> KeyMade:
    """Raises ScopesBeyondRole, InvalidInput."""
    scopes = sorted(set(what.scopes))
    beyond = set(scopes) - (PERMISSIONS[principal.role] & principal.permissions) | set(scopes) & NOT_FOR_KEYS
    if beyond:
        raise ScopesBeyondRole(field="scopes", scopes=", ".join(sorted(beyond)))
    expires_at = None if what.expires_at is None else in_utc(what.expires_at, "expires_at")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidInput(field="expires_at", detail=Phrase("invalid.past"))
    fresh = make_key()
    row = ApiKey(
        tenant_id=principal.tenant_id,
        id=new_id(),
        name=what.name,
        prefix=fresh.prefix,
        key_sha=fresh.sha,
        scopes=scopes,
        created_by=principal.user_id,
        created_at=datetime.now(UTC),
        expires_at=expires_at,
    )
    session.add(row)
    changes = {"name": what.name, "prefix": fresh.prefix, "scopes": scopes, "expires_at": expires_at}
    await record(session, principal, "keys.create", "key", row.id, **changes)
    return KeyMade(**_fields(row), key=fresh.key)


async def list_keys(session: AsyncSession, tenant_id: UUID, limit: int, after: str | None) -> Page[KeyOut]:
    """Revoked ones too, newest first."""
    mine = select(ApiKey).where(ApiKey.tenant_id == tenant_id)
    return (await newest_first(session, mine, ApiKey.id, limit, after)).map(KeyOut.of)


async def revoke_key(session: AsyncSession, principal: Principal, key_id: UUID) -> None:
    """It is worth nothing from now on; raises NotFound."""
    mine = (ApiKey.tenant_id == principal.tenant_id, ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    if await session.scalar(update(ApiKey).where(*mine).values(revoked_at=func.now()).returning(ApiKey.id)) is None:
        raise NotFound(kind="key")
    await record(session, principal, "keys.revoke", "key", key_id)


def _fields(row: ApiKey) -> dict[str, Any]:
    return {name: getattr(row, name) for name in KeyOut.__struct_fields__}
