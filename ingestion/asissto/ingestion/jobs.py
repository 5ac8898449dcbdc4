"""The jobs of this component."""

from asissto.ingestion.documents import DELETE_FILES, INGEST
from asissto.ingestion.pipeline import ingest, mark_failed, mark_postponed
from asissto.platform import jobs
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.worker import Handler


async def delete_files(services: Services, job: ClaimedJob) -> None:
    for key in job.payload["keys"]:
        services.files.delete(key)
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)


HANDLERS = {INGEST: Handler(ingest, mark_failed, mark_postponed), DELETE_FILES: Handler(delete_files)}
