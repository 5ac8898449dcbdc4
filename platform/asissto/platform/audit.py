"""The audit trail: each operation that changes something writes one row, in the transaction of the change."""

from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.tables import AuditEntry


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts in which tenant, and who acts as them; `kind` is `system` for jobs.

    An API key acts in the name of whoever made it.
    """

    tenant_id: UUID
    user_id: UUID | None = None
    key_id: UUID | None = None
    kind: Literal["user", "api key", "system", "command line"] = "user"
    impersonator_id: UUID | None = None
    ip: str | None = None
    request_id: str | None = None


async def record(
    session: AsyncSession, actor: Actor, action: str, object_type: str, object_id: UUID | None, **changes: Any
) -> None:
    """`action` is the operation's id; `changes` are new values by field, never a secret or a customer's text."""
    session.add(
        AuditEntry(
            tenant_id=actor.tenant_id,
            actor_id=actor.key_id or actor.user_id,
            actor_kind=actor.kind,
            impersonator_id=actor.impersonator_id,
            ip=actor.ip,
            action=action,
            object_type=object_type,
            object_id=object_id,
            changes=msgspec.to_builtins(changes),
            request_id=actor.request_id,
        )
    )
