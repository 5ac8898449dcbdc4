"""Whose words a message holds: the customer's, the assistant's, or a person's who answers in its place."""

from sqlalchemy import ColumnElement, and_

from asissto.retrieval.generation import Turn
from asissto.retrieval.tables import Message

CUSTOMERS = ("user", "contact")
SAID = (*CUSTOMERS, "assistant")
"""Kinds of what both sides hear; notes and messages of the system are for members alone, never for a model."""

FROM = "from"
"""In the metadata of a person's words to a customer: a `member` wrote them here, or the `provider` brought them."""


def turn_of(message: Message) -> Turn:
    """A person who answers a customer stands on the assistant's side."""
    is_customers = message.sender_kind in CUSTOMERS and FROM not in message.metadata_
    return Turn("user" if is_customers else "assistant", message.content)


def by_customer() -> ColumnElement[bool]:
    return and_(Message.sender_kind.in_(CUSTOMERS), ~Message.metadata_.has_key(FROM))


def by_person() -> ColumnElement[bool]:
    return and_(Message.sender_kind == "user", Message.metadata_.has_key(FROM))
