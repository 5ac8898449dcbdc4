"""The conversations of all channels in one list: which of them are wanted, what happened last in the first places."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, exists, func, or_, select

from asissto.channels.tables import Contact
from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase
from asissto.retrieval.handing_over import HandOverReason
from asissto.retrieval.tables import Conversation, Message

Status = Literal["bot", "pending", "human", "closed"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """None and nothing: whatever it is. `assignee` is a member's id, or `none`; `me` is the caller.

    `q` stands in a message, or in the name, phone or e-mail of the contact, whatever its case.
    """

    status: Sequence[Status] = ()
    channel_id: UUID | None = None
    assistant_id: UUID | None = None
    contact_id: UUID | None = None
    person_id: UUID | None = None
    assignee: str | None = None
    tag: str | None = None
    reason: HandOverReason | None = None
    q: str | None = None


def inbox(tenant_id: UUID, me: UUID, wanted: Wanted) -> Select[Conversation]:
    """Raises InvalidInput."""
    conditions: list[ColumnElement[bool]] = [Conversation.tenant_id == tenant_id]
    for name in ("channel_id", "assistant_id", "contact_id"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(getattr(Conversation, name) == value)
    if wanted.status:
        conditions.append(Conversation.status.in_(wanted.status))
    if wanted.reason is not None:
        conditions.append(Conversation.handed_over_reason == wanted.reason)
    if wanted.tag is not None:
        conditions.append(Conversation.tags.contains([wanted.tag]))
    if wanted.assignee is not None:
        conditions.append(_assigned(wanted.assignee, me))
    if wanted.person_id is not None:
        person = func.coalesce(Contact.person_id, Contact.id) == wanted.person_id
        conditions.append(_contact(tenant_id, person))
    if wanted.q is not None and wanted.q.strip():
        conditions.append(_mentions(tenant_id, wanted.q.strip()))
    return select(Conversation).where(*conditions)


def _assigned(assignee: str, me: UUID) -> ColumnElement[bool]:
    if assignee == "none":
        return Conversation.assignee_id.is_(None)
    try:
        return Conversation.assignee_id == (me if assignee == "me" else UUID(assignee))
    except ValueError:
        raise InvalidInput(field="assignee_id", detail=Phrase("invalid.form")) from None


def _contact(tenant_id: UUID, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    mine = select(Contact.id).where(Contact.tenant_id == tenant_id, condition)
    return Conversation.contact_id.in_(mine)


def _mentions(tenant_id: UUID, words: str) -> ColumnElement[bool]:
    own = (Message.tenant_id == Conversation.tenant_id, Message.conversation_id == Conversation.id)
    in_message = exists().where(*own, Message.content.icontains(words, autoescape=True))
    fields = (Contact.name, Contact.phone, Contact.email)
    in_contact = or_(*(each.icontains(words, autoescape=True) for each in fields))
    return or_(in_message, _contact(tenant_id, in_contact))
