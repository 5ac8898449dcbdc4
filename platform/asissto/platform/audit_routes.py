"""The routes of the audit trail."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from asissto.platform.audit_reading import (
    TYPES,
    AuditOut,
    Format,
    PlatformAuditOut,
    Sought,
    entries,
    export,
    export_all,
)
from asissto.platform.given import Caller, Open, Session
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.platform.tables import AuditEntry

_WORD = r"^[\w. -]{1,100}$"
Words = Annotated[str | None, QueryParameter(pattern=_WORD)]
Action = Annotated[
    str | None, QueryParameter(pattern=_WORD, description="An operation, or with a point at the end all of its kind.")
]
Since = Annotated[datetime | None, QueryParameter(description="From this moment on.")]
Until = Annotated[datetime | None, QueryParameter(description="Before this moment.")]


def provide_sought(
    actor_id: FromQuery[UUID | None] = None,
    actor_kind: Words = None,
    action: Action = None,
    object_type: Words = None,
    object_id: FromQuery[UUID | None] = None,
    since: Since = None,
    until: Until = None,
) -> Sought:
    return Sought(
        actor_id=actor_id,
        actor_kind=actor_kind,
        action=action,
        object_type=object_type,
        object_id=object_id,
        since=since,
        until=until,
    )


_SOUGHT = {"sought": Provide(provide_sought, sync_to_thread=False)}


class AuditController(Controller):
    path = "/api/v1/audit"
    tags = ("audit",)

    @get(operation_id="audit.list", guards=[need("audit.read")], dependencies=_SOUGHT)
    async def list(
        self,
        principal: Caller,
        session: Session,
        sought: NamedDependency[Sought],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[AuditOut]:
        found = await newest_first(session, entries(principal.tenant_id, sought), AuditEntry.id, limit, after)
        return found.map(AuditOut.of)

    @get(
        "/export",
        operation_id="audit.export",
        guards=[need("audit.read")],
        dependencies=_SOUGHT,
        opt={MEDIA_TYPES: tuple(TYPES.values())},
    )
    async def export(
        self,
        principal: Caller,
        services: Open,
        sought: NamedDependency[Sought],
        format: FromQuery[Format] = "csv",  # noqa: A002 - the name of the parameter
    ) -> Stream:
        """Oldest first, as a file."""
        rows = export(services.database, principal.tenant_id, sought, format)
        headers = {"content-disposition": f'attachment; filename="audit.{format}"'}
        return Stream(rows, media_type=TYPES[format], headers=headers)


class PlatformAuditController(Controller):
    path = "/api/v1/platform/audit"
    tags = ("platform",)

    @get(operation_id="platform.audit.list", guards=[need("platform.audit.read")], dependencies=_SOUGHT)
    async def list(
        self,
        services: Open,
        sought: NamedDependency[Sought],
        tenant_id: FromQuery[UUID | None] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PlatformAuditOut]:
        """What was done in all tenants or in one, newest first; also in one that is gone."""
        async with services.database.system() as session:
            found = await newest_first(session, entries(tenant_id, sought), AuditEntry.id, limit, after)
        return found.map(PlatformAuditOut.of)

    @get(
        "/export",
        operation_id="platform.audit.export",
        guards=[need("platform.audit.read")],
        dependencies=_SOUGHT,
        opt={MEDIA_TYPES: tuple(TYPES.values())},
    )
    async def export(
        self,
        services: Open,
        sought: NamedDependency[Sought],
        tenant_id: FromQuery[UUID | None] = None,
        format: FromQuery[Format] = "csv",  # noqa: A002 - the name of the parameter
    ) -> Stream:
        """Oldest first, as a file."""
        rows = export_all(services.database, tenant_id, sought, format)
        headers = {"content-disposition": f'attachment; filename="platform-audit.{format}"'}
        return Stream(rows, media_type=TYPES[format], headers=headers)


HANDLERS: list[ControllerRouterHandler] = [AuditController, PlatformAuditController]
