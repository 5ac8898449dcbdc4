"""The routes of what customers sent besides words."""

import re
from datetime import datetime
from typing import Self
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.attachments import fetch_again
from asissto.channels.contract import Attachment
from asissto.channels.tables import StoredAttachment
from asissto.ingestion.original_routes import attachment as as_download
from asissto.ingestion.original_routes import begun
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import NotFound
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.texts import TEXTS, Language, text
from asissto.platform.web import UNCOMPRESSED
from asissto.retrieval.tables import Message

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")


class AttachmentOut(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is waiting, stored, too_large, failed or no_file, `error` says why in words. `size` is in bytes.

    What has no file that could be fetched, such as a location, is told by its type and name alone.
    """

    id: UUID
    type: str
    name: str
    mime: str
    size: int | None
    seconds: float | None
    state: str
    error: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: StoredAttachment, language: Language) -> Self:
        told = msgspec.convert(row.content, Attachment)
        same = {name: getattr(told, name) for name in ("type", "name", "mime", "seconds")}
        key = f"attachment.{row.error}"
        error = None if row.error is None else text(key if key in TEXTS else "attachment.permanent", language)
        size = row.size or told.size
        state = row.state if told.ref or row.state != "waiting" else "no_file"
        return cls(**same, id=row.id, size=size, state=state, error=error, created_at=row.created_at)


class AttachmentController(Controller):
    path = "/api/v1/conversations/{conversation_id:uuid}/messages/{message_id:uuid}/attachments"
    tags = ("inbox",)

    @get(operation_id="attachments.list", guards=[need("conversations.read")])
    async def list(
        self,
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        language: NamedDependency[Language],
    ) -> list[AttachmentOut]:
        await _find_message(session, principal.tenant_id, conversation_id, message_id)
        mine = (StoredAttachment.tenant_id == principal.tenant_id, StoredAttachment.message_id == message_id)
        rows = await session.scalars(select(StoredAttachment).where(*mine).order_by(StoredAttachment.id))
        return [AttachmentOut.of(row, language) for row in rows]

    @get(
        "/{attachment_id:uuid}/content",
        operation_id="attachments.content",
        guards=[need("conversations.read")],
        opt={UNCOMPRESSED: True, MEDIA_TYPES: ("*/*",)},
    )
    async def content(
        self,
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        attachment_id: FromPath[UUID],
        services: SkipValidation[NamedDependency[Services]],
        principal: Caller,
    ) -> Stream:
        """As a download: whatever a customer sends is never shown as a page of ours."""
        async with services.database.tenant(principal.tenant_id) as session:
            await _find_message(session, principal.tenant_id, conversation_id, message_id)
            row = await session.get(StoredAttachment, (principal.tenant_id, attachment_id))
        if row is None or row.message_id != message_id or row.file_key is None:
            raise NotFound(kind="attachment")
        told = msgspec.convert(row.content, Attachment)
        pieces = await begun(services.files.read(row.file_key))
        headers = {"content-disposition": as_download(told.name or told.type), "content-length": str(row.size)}
        return Stream(pieces, media_type=_media_type(told.mime), headers=headers)

    @post(
        "/{attachment_id:uuid}/retry",
        operation_id="attachments.retry",
        status_code=200,
        guards=[need("conversations.write")],
    )
    async def retry(
        self,
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        attachment_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        language: NamedDependency[Language],
    ) -> AttachmentOut:
        """What could not be had is fetched once more."""
        await _find_message(session, principal.tenant_id, conversation_id, message_id)
        row = await session.get(StoredAttachment, (principal.tenant_id, attachment_id), with_for_update=True)
        if row is None or row.message_id != message_id:
            raise NotFound(kind="attachment")
        await fetch_again(session, row)
        about = {"conversation_id": conversation_id, "message_id": message_id}
        await record(session, principal, "attachments.retry", "attachment", attachment_id, **about)
        return AttachmentOut.of(row, language)


HANDLERS: list[ControllerRouterHandler] = [AttachmentController]


def _media_type(told: str) -> str:
    """What the customer's side claims, where it has the form of a media type."""
    return told.lower() if _MEDIA_TYPE.fullmatch(told.lower()) else "application/octet-stream"


async def _find_message(session: AsyncSession, tenant_id: UUID, conversation_id: UUID, message_id: UUID) -> None:
    """Raises NotFound."""
    found = await session.get(Message, (tenant_id, message_id))
    if found is None or found.conversation_id != conversation_id:
        raise NotFound(kind="message")
