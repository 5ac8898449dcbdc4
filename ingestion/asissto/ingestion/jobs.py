"""The jobs of this component."""

from asissto.ingestion.documents import DELETE_FILES, INGEST, SWEEP_FILES
from asissto.ingestion.pipeline import ingest, mark_failed, mark_postponed
from asissto.ingestion.reembedding import drop_space, mark_switch_failed, mark_switch_waiting, reembed
from asissto.ingestion.review import REVIEW, review
from asissto.ingestion.sources import SYNC
from asissto.ingestion.sweeping import sweep_files
from asissto.ingestion.switching import DROP_SPACE, REEMBED
from asissto.ingestion.syncing import give_up_syncing, sync
from asissto.platform import jobs
from asissto.platform.errors import SpaceChanged
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.worker import Handler


async def delete_files(services: Services, job: ClaimedJob) -> None:
    for key in job.payload["keys"]:
        await services.files.delete(key)
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)


async def ingest_in_active_space(services: Services, job: ClaimedJob) -> None:
    """Begins anew where the tenant's embedding model was switched while the vectors were made."""
    try:
        await ingest(services, job)
    except SpaceChanged:
        await ingest(services, job)


HANDLERS = {
    INGEST: Handler(ingest_in_active_space, mark_failed, mark_postponed),
    DELETE_FILES: Handler(delete_files),
    SWEEP_FILES: Handler(sweep_files, lane="slow"),
    REEMBED: Handler(reembed, mark_switch_failed, mark_switch_waiting, lane="slow"),
    DROP_SPACE: Handler(drop_space, lane="slow"),
    REVIEW: Handler(review, lane="slow"),
    SYNC: Handler(sync, give_up_syncing, lane="slow"),
}
