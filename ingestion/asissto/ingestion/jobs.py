"""The jobs of this component."""

from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import DELETE_FILES, INGEST
from asissto.ingestion.pipeline import ingest, mark_failed
from asissto.ingestion.reembedding import drop_space, give_up_reembedding, reembed
from asissto.ingestion.switching import DROP_SPACE, REEMBED
from asissto.platform import jobs
from asissto.platform.errors import AsisstoError, SpaceChanged
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.worker import Handler


async def delete_files(services: Services, job: ClaimedJob) -> None:
    for key in job.payload["keys"]:
        services.files.delete(key)
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)


async def ingest_in_active_space(services: Services, job: ClaimedJob) -> None:
    """Begins anew where the tenant's embedding model was switched while the vectors were made."""
    try:
        await ingest(services, job)
    except SpaceChanged:
        await ingest(services, job)


async def give_up_ingesting(session: AsyncSession, job: ClaimedJob) -> None:
    await mark_failed(session, job, AsisstoError())


HANDLERS = {
    INGEST: Handler(ingest_in_active_space, give_up_ingesting),
    DELETE_FILES: Handler(delete_files),
    REEMBED: Handler(reembed, give_up_reembedding),
    DROP_SPACE: Handler(drop_space),
}
