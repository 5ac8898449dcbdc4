"""The route that gives an uploaded file back as it came."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from asissto.ingestion.documents import find_document, newest_version
from asissto.platform.authentication import Principal
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.web import UNCOMPRESSED


@get(
    "/api/v1/documents/{document_id:uuid}/original",
    operation_id="documents.original",
    guards=[need("documents.read")],
    tags=["documents"],
    opt={UNCOMPRESSED: True, MEDIA_TYPES: ("*/*",)},
)
async def original(
    document_id: FromPath[UUID],
    services: SkipValidation[NamedDependency[Services]],
    principal: NamedDependency[Principal],
) -> Stream:
    """The file of the newest version, as a download: a page in it is never shown as one of ours."""
    async with services.database.tenant(principal.tenant_id) as session:
        await find_document(session, principal.tenant_id, document_id)
        version = await newest_version(session, principal.tenant_id, document_id)
    assert version is not None, "a document is made together with its first version"
    content = await begun(services.files.read(version.storage_key))
    headers = {"content-disposition": attachment(version.file_name), "content-length": str(version.size)}
    return Stream(content, media_type=version.media_type, headers=headers)


HANDLERS: list[ControllerRouterHandler] = [original]


def attachment(name: str) -> str:
    """Content-Disposition with the name for old programs, and in UTF-8 (RFC 5987) for all others."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The first piece is read before the status is sent, so that a missing file is still an error."""
    first = await anext(pieces, b"")

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()
