"""`asissto ingest`: uploads files from disk and waits until each is ready or has failed."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import select

from asissto.ingestion.documents import FINISHED, Upload, check_type, explain, newest_version, upload
from asissto.ingestion.sniffing import SUPPORTED
from asissto.ingestion.tables import Collection
from asissto.platform.audit import Actor
from asissto.platform.entrypoints.screen import print_json, progress, screen
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.entrypoints.workspace import first_workspace, read
from asissto.platform.errors import AsisstoError, DocumentTypeUnknown
from asissto.platform.services import Services
from asissto.platform.texts import text

_LOOK_AGAIN = 0.2


class Ingested(msgspec.Struct, kw_only=True):
    """What became of one file; `reason` and `detail` say why it failed."""

    file: str
    document_id: UUID | None = None
    state: str = "queued"
    stage: str = "queued"
    done: int = 0
    total: int = 0
    reason: str | None = None
    detail: str | None = None
    warnings: list[str] = []


Report = Callable[[int, int], None]
"""Takes how many files are finished, and of how many."""


class Ingestion(msgspec.Struct, frozen=True):
    files: list[Ingested]


async def ingest_here(services: Services, paths: Iterable[Path], *, as_json: bool) -> bool:
    """Prints what became of each file; whether all of them are ready."""
    tenant_id = await first_workspace(services)
    with progress(text("cli.reading", services.settings.language)) as report:
        files = await ingest_files(services, tenant_id, expand(paths), report)
    if as_json:
        print_json(Ingestion(files))
    else:
        for file in files:
            screen.print(f"{file.state:10} {file.file}" + (f": {file.detail}" if file.detail else ""))
    return all(file.state != "failed" for file in files)


async def ingest_files(
    services: Services, tenant_id: UUID, paths: Mapping[Path, str], report: Report
) -> list[Ingested]:
    """Runs a worker of its own meanwhile, so that it works beside `asissto up` and without it."""
    async with services.database.tenant(tenant_id) as session:
        collection = (await session.scalars(select(Collection.id).order_by(Collection.id).limit(1))).one()
    by = Actor(tenant_id=tenant_id, kind="command line")
    files = [
        await _send(services, tenant_id, path, Upload(collection, path.name, key, by)) for path, key in paths.items()
    ]
    await wait_until_finished(services, tenant_id, files, report)
    return files


async def wait_until_finished(services: Services, tenant_id: UUID, files: Sequence[Ingested], report: Report) -> None:
    working = asyncio.create_task(make_worker(services).run())
    try:
        while not all(file.state in FINISHED for file in files):
            if working.done():
                working.result()
            await asyncio.sleep(_LOOK_AGAIN)
            await _look(services, tenant_id, files)
            report(sum(file.state in FINISHED for file in files), len(files))
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


def expand(paths: Iterable[Path]) -> dict[Path, str]:
    """Files with what makes them the same document next time: below a folder their path in it, else their name.

    A folder gives the files that can be read; a file that was named is taken as it is.
    """
    found: dict[Path, str] = {}
    for path in paths:
        if path.is_dir():
            found |= {file: str(file.relative_to(path)) for file in sorted(filter(_is_supported, path.rglob("*")))}
        else:
            found[path] = path.name
    return found


def _is_supported(path: Path) -> bool:
    with contextlib.suppress(DocumentTypeUnknown):
        return path.is_file() and check_type(path.name) in SUPPORTED.values()
    return False


async def _send(services: Services, tenant_id: UUID, path: Path, what: Upload) -> Ingested:
    try:
        return Ingested(file=str(path), document_id=await upload(services, tenant_id, what, read(path)))
    except AsisstoError as error:
        sentence = error.sentence(services.settings.language)
        return Ingested(file=str(path), state="failed", stage="received", reason=error.code, detail=sentence)


async def _look(services: Services, tenant_id: UUID, files: Sequence[Ingested]) -> None:
    async with services.database.tenant(tenant_id) as session:
        for file in files:
            if file.document_id is None or file.state in FINISHED:
                continue
            version = await newest_version(session, tenant_id, file.document_id)
            if version is None:
                file.state, file.reason = "failed", "not_found"
                continue
            file.state, file.stage, file.done, file.total = version.state, version.stage, version.done, version.total
            file.warnings = version.warnings
            file.reason, file.detail = version.reason, explain(version, services.settings.language)
