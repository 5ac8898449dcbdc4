"""Looking through the audit trail: by who, what, about what and when, in pages or as a whole file."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.database import Database
from asissto.platform.moments import in_utc
from asissto.platform.spreadsheet_cells import cell_of, csv_text
from asissto.platform.tables import AuditEntry

Door = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Format = Literal["csv", "jsonl"]
TYPES: dict[Format, str] = {"csv": "text/csv", "jsonl": "application/jsonl"}
ROWS_AT_ONCE = 1_000


class AuditOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    at: datetime
    actor_id: UUID | None
    actor_kind: str
    impersonator_id: UUID | None
    ip: str | None
    action: str
    object_type: str
    object_id: UUID | None
    changes: dict[str, Any]
    request_id: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(**{field: getattr(entry, field) for field in cls.__struct_fields__})


class PlatformAuditOut(AuditOut, frozen=True, kw_only=True):
    """Of any tenant, also of one that is gone."""

    tenant_id: UUID


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What is left out is not looked at; `action` may end with a point, as `members.` for all of them.

    From `since` on, and before `until`.
    """

    actor_id: UUID | None = None
    actor_kind: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


def entries(tenant_id: UUID | None, sought: Sought) -> Select[AuditEntry]:
    """In no order yet; of one tenant or, for those who run the platform, of all."""
    found = select(AuditEntry)
    if tenant_id is not None:
        found = found.where(AuditEntry.tenant_id == tenant_id)
    for name in ("actor_id", "actor_kind", "object_type", "object_id"):
        value = getattr(sought, name)
        if value is not None:
            found = found.where(getattr(AuditEntry, name) == value)
    if sought.action is not None:
        is_family = sought.action.endswith(".")
        action = AuditEntry.action
        found = found.where(action.startswith(sought.action, autoescape=True) if is_family else action == sought.action)
    if sought.since is not None:
        found = found.where(AuditEntry.at >= in_utc(sought.since, "since"))
    if sought.until is not None:
        found = found.where(AuditEntry.at < in_utc(sought.until, "until"))
    return found


def export(database: Database, tenant_id: UUID, sought: Sought, form: Format) -> AsyncIterator[bytes]:
    """Oldest first, a part at a time: whoever reads slowly holds no connection meanwhile. Raises InvalidInput first."""
    return _parts(lambda: database.tenant(tenant_id), entries(tenant_id, sought), AuditOut, form)


def export_all(database: Database, tenant_id: UUID | None, sought: Sought, form: Format) -> AsyncIterator[bytes]:
    """The same for those who run the platform, of one tenant or all."""
    return _parts(database.system, entries(tenant_id, sought), PlatformAuditOut, form)


async def _parts(
    open_session: Door, found: Select[AuditEntry], shown: type[AuditOut], form: Format
) -> AsyncIterator[bytes]:
    found = found.order_by(AuditEntry.id).limit(ROWS_AT_ONCE)
    if form == "csv":
        yield _csv([shown.__struct_fields__])
    last: UUID | None = None
    while True:
        async with open_session() as session:
            further = found if last is None else found.where(AuditEntry.id > last)
            rows = [shown.of(entry) for entry in await session.scalars(further)]
        if rows:
            yield _csv(map(_cells, rows)) if form == "csv" else msgspec.json.Encoder().encode_lines(rows)
            last = rows[-1].id
        if len(rows) < ROWS_AT_ONCE:
            return


def _cells(row: AuditOut) -> list[str]:
    return [cell_of(getattr(row, field)) for field in row.__struct_fields__]


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    return csv_text(rows).encode()
