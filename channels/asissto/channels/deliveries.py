"""What became of the parts of messages, and what a member may do about it: send once more, or not at all."""

from datetime import datetime
from typing import Self
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.outbox import key_of, wake
from asissto.channels.replying import check_reach
from asissto.channels.tables import Outgoing
from asissto.channels.threads import thread_of
from asissto.platform.errors import Conflict, NotFound
from asissto.platform.events import announce
from asissto.platform.tables import new_id
from asissto.platform.texts import TEXTS, Language, Phrase, text
from asissto.retrieval.conversations import TOPIC

OVER = ("failed", "unknown", "cancelled", "blocked")
_STALE = "stale"


class DeliveryOut(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a message; `state` is pending, sending, sent, unknown, failed, blocked or cancelled.

    `error` says in words why it is not sent, `detail` is the provider's own word. `delivery` is what the provider tells
    of a part that it took: delivered, read or failed.
    """

    id: UUID
    message_id: UUID
    seq: int
    part: int
    text: str
    state: str
    attempts: int
    error_code: str | None
    error: str | None
    detail: str | None
    delivery: str | None
    queued_at: datetime
    next_attempt_at: datetime | None
    first_sent_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Outgoing, language: Language) -> Self:
        same = (
            "id", "message_id", "seq", "part", "state", "attempts", "error_code", "delivery", "first_sent_at",
            "finished_at",
        )  # fmt: skip
        return cls(
            **{name: getattr(row, name) for name in same},
            text=row.content["text"],
            error=why(row, language),
            detail=row.error or None,
            queued_at=row.created_at,
            next_attempt_at=row.next_attempt_at if row.state == "pending" else None,
        )


def why(row: Outgoing, language: Language) -> str | None:
    """In words; None where nothing is wrong."""
    code = _STALE if row.state == "cancelled" and row.error == _STALE else row.error_code
    if code is None:
        return None
    keys = (f"delivery.{row.state}" if row.state == "unknown" else "", f"reach.{code}", f"delivery.{code}")
    return text(next((key for key in keys if key in TEXTS), "delivery.permanent"), language)


async def find_part(session: AsyncSession, tenant_id: UUID, conversation_id: UUID, part_id: UUID) -> Outgoing:
    """Locked: no courier takes it meanwhile. Raises NotFound."""
    mine = (Outgoing.tenant_id == tenant_id, Outgoing.conversation_id == conversation_id, Outgoing.id == part_id)
    row = await session.scalar(select(Outgoing).where(*mine).with_for_update())
    if row is None:
        raise NotFound(kind="part")
    return row


async def send_again(session: AsyncSession, row: Outgoing) -> None:
    """In its old place of the queue, with all attempts before it. Raises Conflict and CustomerUnreachable.

    Of one that may have arrived the provider is asked first where it can tell.
    """
    if row.state not in OVER:
        raise Conflict(detail=Phrase("conflict.part_state"))
    thread = await thread_of(session, row.tenant_id, row.conversation_id)
    assert thread is not None, "only conversations with a thread have an outbox"
    check_reach(thread)
    if row.provider_message_id is not None:  # it was taken and did not arrive: the same key again would do nothing
        row.key, row.provider_message_id, row.first_sent_at, row.is_uncertain = key_of(new_id()), None, None, False
    row.state, row.attempts, row.repeats = "pending", 0, 0
    row.error_code = row.error = row.finished_at = row.delivery = None
    row.next_attempt_at = row.created_at = func.now()  # what a person sends anew is not too old to be sent
    await _changed(session, row)


async def cancel_part(session: AsyncSession, row: Outgoing) -> None:
    """Those behind it go on. Raises Conflict where it is on its way or over."""
    if row.state != "pending":
        raise Conflict(detail=Phrase("conflict.part_state"))
    row.state, row.error_code, row.error, row.finished_at = "cancelled", "cancelled", None, func.now()
    await _changed(session, row)


async def _changed(session: AsyncSession, row: Outgoing) -> None:
    await session.flush()
    await session.refresh(row)
    await wake(session)
    await announce(session, row.tenant_id, TOPIC, row.conversation_id)
