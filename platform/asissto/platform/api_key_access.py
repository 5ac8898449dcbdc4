"""API keys as they are sent: what they look like, and whose they are."""

import re
import secrets
import string
from datetime import timedelta
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import func, or_, select, update

from asissto.platform.credentials import new_token, token_sha
from asissto.platform.database import Database
from asissto.platform.people_tables import ApiKey
from asissto.platform.permissions import WITHHELD, Permission, Role
from asissto.platform.tables import Membership, Tenant, User

PREFIX = "ast_"
NOT_FOR_KEYS: frozenset[Permission] = (WITHHELD - {"privacy.write"}) | {"me.read", "me.write", "me.sign_out"}
"""What is for people alone: accounts, keys, members and their roles, money.

A program that hears of a customer who wants to be forgotten may see to it.
"""

_KEY = re.compile(r"ast_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")
_TOUCH_AFTER = timedelta(minutes=1)


class KeyHolder(msgspec.Struct, frozen=True):
    """A key with what its maker is in the workspace at this moment."""

    tenant_id: UUID
    key_id: UUID
    user_id: UUID
    role: Role
    scopes: frozenset[str]


class FreshKey(msgspec.Struct, frozen=True):
    key: str
    prefix: str
    sha: bytes


def make_key() -> FreshKey:
    """`ast_<prefix>_<256 random bits>`: scanners of leaked secrets know the beginning, people the prefix."""
    prefix = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
    key = f"{PREFIX}{prefix}_{new_token()}"
    return FreshKey(key, prefix, token_sha(key))


async def holder_of(database: Database, key: str) -> KeyHolder | None:
    """None for a key that is unknown, revoked or expired, or whose maker is not in the workspace any more."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    mine = (
        select(ApiKey.tenant_id, ApiKey.id, ApiKey.created_by, Membership.role, ApiKey.scopes)
        .join(Membership, (Membership.tenant_id == ApiKey.tenant_id) & (Membership.user_id == ApiKey.created_by))
        .join(User, User.id == ApiKey.created_by)
        .join(Tenant, Tenant.id == ApiKey.tenant_id)
        .where(ApiKey.prefix == found[1], ApiKey.key_sha == token_sha(key), ApiKey.revoked_at.is_(None))
        .where(or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()))
        .where(User.status == "active", Tenant.status == "active")
    )
    async with database.system() as session:
        row = (await session.execute(mine)).one_or_none()
        if row is None:
            return None
        tenant_id, key_id, user_id, role, scopes = row
        is_stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - _TOUCH_AFTER)
        used = update(ApiKey).where(ApiKey.tenant_id == tenant_id, ApiKey.id == key_id, is_stale)
        await session.execute(used.values(last_used_at=func.now()))
    return KeyHolder(tenant_id, key_id, user_id, cast("Role", role), frozenset(scopes))
