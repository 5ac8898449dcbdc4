"""The routes of personal data: exports, erasure, periods, and the file of an export for whoever has its link."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec
from litestar import Controller, get, post, put
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from msgspec import Meta
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.erasing import ERASE
from asissto.channels.export_links import PATH, LinkedExport, make_token, read_token
from asissto.channels.exporting import EXPORT
from asissto.channels.leaving import leave
from asissto.channels.privacy_tables import PrivacyRequest, RetentionPeriods
from asissto.channels.retention import Retention, change
from asissto.channels.tables import Contact
from asissto.ingestion.original_routes import attachment, begun
from asissto.platform import jobs
from asissto.platform.audit import Actor, record
from asissto.platform.authentication import Principal
from asissto.platform.errors import NotFound
from asissto.platform.given import Caller, Open, Session
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need, open_to_all
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.web import UNCOMPRESSED


class PrivacyRequestOut(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is waiting, done or failed; `link` is that of a file that nobody has fetched, good until `expires_at`."""

    id: UUID
    kind: str
    subject: str
    subject_id: UUID
    state: str
    error: str | None
    size: int | None
    link: str | None
    expires_at: datetime | None
    fetched_at: datetime | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: PrivacyRequest, services: Services) -> Self:
        same = {name: getattr(row, name) for name in cls.__struct_fields__ if name != "link"}
        return cls(link=_link(row, services), **same)


class EraseMe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The password once more: what is erased does not come back."""

    password: Annotated[str, Meta(max_length=200)]


class PersonController(Controller):
    path = "/api/v1/contacts/{contact_id:uuid}"
    tags = ("privacy",)

    @post("/export", operation_id="contacts.export", status_code=202, guards=[need("privacy.write")])
    async def export(
        self, contact_id: FromPath[UUID], principal: Caller, session: Session, services: Open
    ) -> PrivacyRequestOut:
        """Everything about the person, with all contacts that were joined; ask for the request until it has a link."""
        await _check_contact(session, principal, contact_id)
        return await _ask(session, services, principal, EXPORT, "contact", contact_id, "contacts.export")

    @post("/erase", operation_id="contacts.erase", status_code=202, guards=[need("privacy.write")])
    async def erase(
        self, contact_id: FromPath[UUID], principal: Caller, session: Session, services: Open
    ) -> PrivacyRequestOut:
        """With all that they said and sent, here and on contacts that were joined. It does not come back."""
        await _check_contact(session, principal, contact_id)
        return await _ask(session, services, principal, ERASE, "contact", contact_id, "contacts.erase")


class AccountController(Controller):
    path = "/api/v1/auth/me"
    tags = ("auth",)

    @post("/export", operation_id="auth.export", status_code=202, guards=[need("me.write")])
    async def export(self, principal: Caller, session: Session, services: Open) -> PrivacyRequestOut:
        """Everything about the caller, in all their workspaces."""
        return await _ask(session, services, principal, EXPORT, "user", principal.user_id, "auth.export")

    @get("/exports/{request_id:uuid}", operation_id="auth.export.read", guards=[need("me.read")])
    async def read(
        self, request_id: FromPath[UUID], principal: Caller, session: Session, services: Open
    ) -> PrivacyRequestOut:
        row = await session.get(PrivacyRequest, (principal.tenant_id, request_id))
        if row is None or row.subject != "user" or row.subject_id != principal.user_id:
            raise NotFound(kind="privacy_request")
        return PrivacyRequestOut.of(row, services)

    @post("/erase", operation_id="auth.erase", status_code=204, guards=[need("me.write")])
    async def erase(self, data: JSONBody[EraseMe], principal: Caller, services: Open) -> None:
        """The account goes at once, and with it the workspaces that nobody else is in."""
        await leave(services, principal, data.password)


class PrivacyController(Controller):
    path = "/api/v1/privacy"
    tags = ("privacy",)

    @get("/requests", operation_id="privacy.requests.list", guards=[need("privacy.write")])
    async def list(
        self, principal: Caller, session: Session, services: Open, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[PrivacyRequestOut]:
        """Those about contacts, the newest first."""
        mine = (PrivacyRequest.tenant_id == principal.tenant_id, PrivacyRequest.subject == "contact")
        found = await newest_first(session, select(PrivacyRequest).where(*mine), PrivacyRequest.id, limit, after)
        return found.map(lambda row: PrivacyRequestOut.of(row, services))

    @get("/requests/{request_id:uuid}", operation_id="privacy.requests.read", guards=[need("privacy.write")])
    async def read(
        self, request_id: FromPath[UUID], principal: Caller, session: Session, services: Open
    ) -> PrivacyRequestOut:
        row = await session.get(PrivacyRequest, (principal.tenant_id, request_id))
        if row is None or row.subject != "contact":
            raise NotFound(kind="privacy_request")
        return PrivacyRequestOut.of(row, services)

    @get("/retention", operation_id="privacy.retention.read", guards=[need("privacy.write")])
    async def periods(self, principal: Caller, session: Session) -> Retention:
        return Retention.of(await session.get(RetentionPeriods, principal.tenant_id))

    @put("/retention", operation_id="privacy.retention.update", guards=[need("privacy.write")])
    async def change(self, data: JSONBody[Retention], principal: Caller, session: Session) -> Retention:
        """What is left out is kept for ever. What is too old already goes at once."""
        await change(session, principal.tenant_id, data)
        told = msgspec.structs.asdict(data)
        await record(session, principal, "privacy.retention.update", "tenant", principal.tenant_id, **told)
        return data


@get(
    PATH + "/{token:str}",
    operation_id="exports.fetch",
    guards=[open_to_all],
    tags=["privacy"],
    opt={UNCOMPRESSED: True, MEDIA_TYPES: ("application/zip",)},
)
async def fetch(token: FromPath[str], services: Open) -> Stream:
    """Whoever has the link, once: what is begun here cannot be begun again."""
    linked = read_token(services.keys, token)
    if linked is None:
        raise NotFound(kind="export")
    async with services.database.tenant(linked.tenant_id) as session:
        row = await session.get(PrivacyRequest, (linked.tenant_id, linked.request_id))
        if row is None or row.file_key is None:
            raise NotFound(kind="export")
        content = services.files.read(row.file_key)
        unfetched = (PrivacyRequest.fetched_at.is_(None), PrivacyRequest.expires_at > func.now())
        mine = (PrivacyRequest.tenant_id == linked.tenant_id, PrivacyRequest.id == linked.request_id)
        taken = update(PrivacyRequest).where(*mine, *unfetched).values(fetched_at=func.now())
        if (await session.execute(taken.returning(PrivacyRequest.id))).first() is None:
            raise NotFound(kind="export")
        system = Actor(tenant_id=linked.tenant_id, kind="system")
        await record(session, system, "exports.fetch", "privacy_request", linked.request_id)
        size = str(row.size)
    headers = {"content-disposition": attachment("export.zip"), "content-length": size}
    return Stream(await begun(content), media_type="application/zip", headers=headers)


HANDLERS: list[ControllerRouterHandler] = [PersonController, AccountController, PrivacyController, fetch]


def _link(row: PrivacyRequest, services: Services) -> str | None:
    """A path where the server does not know its public address."""
    if row.file_key is None or row.fetched_at is not None:
        return None
    token = make_token(services.keys, LinkedExport(row.tenant_id, row.id))
    return f"{(services.settings.public_url or '').rstrip('/')}{PATH}/{token}"


async def _check_contact(session: AsyncSession, principal: Principal, contact_id: UUID) -> None:
    if await session.get(Contact, (principal.tenant_id, contact_id)) is None:
        raise NotFound(kind="contact")


async def _ask(
    session: AsyncSession,
    services: Services,
    principal: Principal,
    job: str,
    subject: str,
    subject_id: UUID,
    action: str,
) -> PrivacyRequestOut:
    kind = "export" if job == EXPORT else "erase"
    row = PrivacyRequest(
        tenant_id=principal.tenant_id,
        id=new_id(),
        kind=kind,
        subject=subject,
        subject_id=subject_id,
        created_by=principal.user_id,
    )
    session.add(row)
    payload = {"request_id": str(row.id), "subject": subject, "subject_id": str(subject_id)}
    await jobs.enqueue(session, principal.tenant_id, job, str(row.id), payload)
    await record(session, principal, action, subject, subject_id)
    await session.flush()
    await session.refresh(row)
    return PrivacyRequestOut.of(row, services)
