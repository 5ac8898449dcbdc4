"""Files that belong to no document: left by a process that died between saving one and writing its row."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import column, select, table

from asissto.ingestion.documents import SWEEP_AFTER, sweep_later
from asissto.ingestion.tables import DocumentVersion
from asissto.platform import jobs
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.stored_files import FoundFile

_ATTACHMENTS = table("attachments", column("tenant_id"), column("file_key"))
_EXPORTS = table("privacy_requests", column("tenant_id"), column("file_key"))
"""Of channels, which this component does not import: their files are nobody's leftovers either."""


async def sweep_files(services: Services, job: ClaimedJob) -> None:
    """The job: deletes those that are a day old; younger ones may get their row yet, and are looked at tomorrow."""
    settled, young = datetime.now(UTC) - SWEEP_AFTER, False
    async for batch in services.files.find(job.tenant_id):
        for file in await _unknown(services, job.tenant_id, batch):
            if file.saved_at < settled:
                await services.files.delete(file.key)
            else:
                young = True
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)
        if young:
            await sweep_later(session, job.tenant_id)


async def _unknown(services: Services, tenant_id: UUID, files: Sequence[FoundFile]) -> list[FoundFile]:
    keys = [file.key for file in files]
    version, attached = DocumentVersion, _ATTACHMENTS.c
    documents = select(version.storage_key).where(version.tenant_id == tenant_id, version.storage_key.in_(keys))
    exported = select(_EXPORTS.c.file_key).where(_EXPORTS.c.tenant_id == tenant_id, _EXPORTS.c.file_key.in_(keys))
    messages = select(attached.file_key).where(attached.tenant_id == tenant_id, attached.file_key.in_(keys))
    async with services.database.tenant(tenant_id) as session:
        known = {
            *await session.scalars(documents),
            *await session.scalars(messages),
            *await session.scalars(exported),
        }
    return [file for file in files if file.key not in known]
