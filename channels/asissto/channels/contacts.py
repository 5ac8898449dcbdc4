"""Contacts: customers as channels know them, corrected by members, and joined where two of them are one person."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.tables import Contact
from asissto.platform.errors import Conflict, NotFound
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase

CORRECTED = "corrected"
"""In the metadata: the fields that a member has set, which no message of the customer changes again."""

Field = Annotated[str, Meta(min_length=1, max_length=300)]


class ContactPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is; null empties a field."""

    name: Field | UnsetType | None = UNSET
    email: Field | UnsetType | None = UNSET
    phone: Field | UnsetType | None = UNSET
    language: Annotated[str, Meta(min_length=2, max_length=20)] | UnsetType | None = UNSET


class MergeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The contact that is the same person."""

    other: UUID = msgspec.field(name="with")


def contacts(tenant_id: UUID, channel_id: UUID | None, person_id: UUID | None, q: str | None) -> Select[Contact]:
    """`q` stands in the name, phone, e-mail or the channel's id of the contact."""
    conditions: list[ColumnElement[bool]] = [Contact.tenant_id == tenant_id]
    if channel_id is not None:
        conditions.append(Contact.channel_id == channel_id)
    if person_id is not None:
        conditions.append(func.coalesce(Contact.person_id, Contact.id) == person_id)
    if q is not None and q.strip():
        fields = (Contact.name, Contact.phone, Contact.email, Contact.external_id)
        conditions.append(or_(*(each.icontains(q.strip(), autoescape=True) for each in fields)))
    return select(Contact).where(*conditions)


async def lock_contact(session: AsyncSession, tenant_id: UUID, contact_id: UUID) -> Contact:
    """Raises NotFound."""
    found = await session.get(Contact, (tenant_id, contact_id), with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound(kind="contact")
    return found


def correct(contact: Contact, what: ContactPatch) -> list[str]:
    """The names of the fields that were set."""
    values: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not UNSET}
    for name, value in values.items():
        setattr(contact, name, value)
    known = {*contact.metadata_.get(CORRECTED, []), *values}
    contact.metadata_ = {**contact.metadata_, CORRECTED: sorted(known)}
    return sorted(values)


async def merge(session: AsyncSession, tenant_id: UUID, contact_id: UUID, other_id: UUID) -> Contact:
    """Whoever is one person with the other is one with this contact from now on. Raises NotFound and Conflict."""
    if contact_id == other_id:
        raise Conflict(field="with", detail=Phrase("conflict.same_contact"))
    locked = {each: await lock_contact(session, tenant_id, each) for each in sorted((contact_id, other_id))}
    contact, other = locked[contact_id], locked[other_id]
    theirs = func.coalesce(Contact.person_id, Contact.id) == (other.person_id or other.id)
    joined = update(Contact).where(Contact.tenant_id == tenant_id, theirs)
    await session.execute(joined.values(person_id=contact.person_id or contact.id))
    await session.refresh(contact)
    return contact


async def unmerge(session: AsyncSession, tenant_id: UUID, contact_id: UUID) -> Contact:
    """It is a person of its own again; the others stay together. Raises NotFound."""
    contact = await lock_contact(session, tenant_id, contact_id)
    contact.person_id = new_id()  # its own id may be the one that the others share
    await session.flush()
    return contact
