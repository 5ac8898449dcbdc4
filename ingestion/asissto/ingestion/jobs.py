"""The jobs of this component."""

from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import DELETE_FILES, INGEST
from asissto.ingestion.pipeline import ingest, mark_failed
from asissto.ingestion.review import REVIEW, review
from asissto.platform import jobs
from asissto.platform.errors import AsisstoError
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.worker import Handler


async def delete_files(services: Services, job: ClaimedJob) -> None:
    for key in job.payload["keys"]:
        services.files.delete(key)
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)


async def give_up_ingesting(session: AsyncSession, job: ClaimedJob) -> None:
    await mark_failed(session, job, AsisstoError())


HANDLERS = {
    INGEST: Handler(ingest, give_up_ingesting),
    DELETE_FILES: Handler(delete_files),
    REVIEW: Handler(review),
}
