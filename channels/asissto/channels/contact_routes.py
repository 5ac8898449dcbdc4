"""The routes of contacts."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contacts import ContactPatch, MergeIn, contacts, correct, lock_contact, merge, unmerge
from asissto.channels.shown_inbox import ContactOut
from asissto.channels.tables import Contact
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import NotFound
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]
Words = Annotated[str | None, QueryParameter(max_length=200)]


class ContactController(Controller):
    path = "/api/v1/contacts"
    tags = ("contacts",)

    @get(operation_id="contacts.list", guards=[need("contacts.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        channel_id: FromQuery[UUID | None] = None,
        person_id: FromQuery[UUID | None] = None,
        q: Words = None,
    ) -> Page[ContactOut]:
        """The newest first; `q` is looked for in name, phone, e-mail, and the channel's id of the contact."""
        query = contacts(principal.tenant_id, channel_id, person_id, q)
        return (await newest_first(session, query, Contact.id, limit, after)).map(ContactOut.of)

    @get("/{contact_id:uuid}", operation_id="contacts.read", guards=[need("contacts.read")])
    async def read(self, contact_id: FromPath[UUID], principal: Caller, session: Session) -> ContactOut:
        found = await session.get(Contact, (principal.tenant_id, contact_id))
        if found is None:
            raise NotFound(kind="contact")
        return ContactOut.of(found)

    @patch("/{contact_id:uuid}", operation_id="contacts.update", guards=[need("contacts.write")])
    async def update(
        self, contact_id: FromPath[UUID], data: JSONBody[ContactPatch], principal: Caller, session: Session
    ) -> ContactOut:
        """What is set here stays, whatever the customer's messenger says later."""
        contact = await lock_contact(session, principal.tenant_id, contact_id)
        fields = correct(contact, data)
        await record(session, principal, "contacts.update", "contact", contact_id, fields=fields)
        return ContactOut.of(contact)

    @post("/{contact_id:uuid}/merge", operation_id="contacts.merge", status_code=200, guards=[need("contacts.write")])
    async def merge(
        self, contact_id: FromPath[UUID], data: JSONBody[MergeIn], principal: Caller, session: Session
    ) -> ContactOut:
        """Both are one person; nothing of either is lost, and `unmerge` parts them again."""
        contact = await merge(session, principal.tenant_id, contact_id, data.other)
        await record(session, principal, "contacts.merge", "contact", contact_id, other=data.other)
        return ContactOut.of(contact)

    @post(
        "/{contact_id:uuid}/unmerge",
        operation_id="contacts.unmerge",
        status_code=200,
        guards=[need("contacts.write")],
    )
    async def unmerge(self, contact_id: FromPath[UUID], principal: Caller, session: Session) -> ContactOut:
        contact = await unmerge(session, principal.tenant_id, contact_id)
        await record(session, principal, "contacts.unmerge", "contact", contact_id)
        return ContactOut.of(contact)


HANDLERS: list[ControllerRouterHandler] = [ContactController]
