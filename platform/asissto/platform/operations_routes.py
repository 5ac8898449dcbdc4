"""The routes of how the platform is doing."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler

from asissto.platform import platform_jobs
from asissto.platform.given import Caller, Open
from asissto.platform.operations import OperationsOut, show_operations
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page
from asissto.platform.permissions import need
from asissto.platform.platform_jobs import JobOut, State, Wanted

Kind = Annotated[str | None, QueryParameter(pattern=r"^[\w.-]{1,100}$", description="Only jobs of this kind.")]
InState = Annotated[State | None, QueryParameter(description="Only those.")]


class OperationsController(Controller):
    path = "/api/v1/platform/operations"
    tags = ("platform",)

    @get(operation_id="platform.operations.read", guards=[need("platform.operations.read")])
    async def read(self, services: Open) -> OperationsOut:
        """Queues with their oldest waits, outbox, failing channels, workers, the database, who uses most."""
        async with services.database.system() as session:
            return await show_operations(session)


class PlatformJobController(Controller):
    path = "/api/v1/platform"
    tags = ("platform",)

    @get("/jobs", operation_id="platform.jobs.list", guards=[need("platform.operations.read")])
    async def list(
        self,
        services: Open,
        status: InState = None,
        kind: Kind = None,
        tenant_id: FromQuery[UUID | None] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[JobOut]:
        """Newest first; dead ones with `status=dead`."""
        async with services.database.system() as session:
            wanted = Wanted(state=status, kind=kind, tenant_id=tenant_id)
            return await platform_jobs.list_jobs(session, wanted, limit, after)

    @post(
        "/tenants/{tenant_id:uuid}/jobs/{job_id:uuid}/retry",
        operation_id="platform.jobs.retry",
        status_code=200,
        guards=[need("platform.operations.write")],
    )
    async def retry(
        self, tenant_id: FromPath[UUID], job_id: FromPath[UUID], services: Open, principal: Caller
    ) -> JobOut:
        """A dead job is tried again from the beginning, one that waits at once."""
        async with services.database.system() as session:
            return await platform_jobs.retry_job(session, principal, tenant_id, job_id)

    @delete(
        "/tenants/{tenant_id:uuid}/jobs/{job_id:uuid}",
        operation_id="platform.jobs.cancel",
        guards=[need("platform.operations.write")],
    )
    async def cancel(
        self, tenant_id: FromPath[UUID], job_id: FromPath[UUID], services: Open, principal: Caller
    ) -> None:
        """What it was to do is not done, and nobody is told."""
        async with services.database.system() as session:
            await platform_jobs.cancel_job(session, principal, tenant_id, job_id)


HANDLERS: list[ControllerRouterHandler] = [OperationsController, PlatformJobController]
