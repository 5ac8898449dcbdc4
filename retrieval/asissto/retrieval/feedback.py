"""What customers think of answers: one opinion of each message, which they may change."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import InvalidInput, NotFound
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase
from asissto.retrieval.analytics_tables import Feedback, Inquiry, Turn
from asissto.retrieval.tables import Conversation, Message
from asissto.retrieval.topics.asked import dislike

RATING = "csat.question"
"""The notice in the metadata of a message that asks for a rating."""

Asks = Literal["", "thumb", "rating"]
"""What a message asks its reader for."""

Thumb = Literal["up", "down"]
_THUMBS: dict[Thumb, int] = {"up": 1, "down": -1}


class Opinion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A thumb on an answer, or a rating where one was asked for; a comment that is left out stays as it is."""

    thumb: Thumb | None = None
    rating: Annotated[int, Meta(ge=1, le=5)] | None = None
    comment: Annotated[str, Meta(max_length=2_000)] | UnsetType = UNSET


class OpinionOut(msgspec.Struct, frozen=True, kw_only=True):
    message_id: UUID
    thumb: Thumb | None
    rating: int | None
    comment: str


async def take_opinion(session: AsyncSession, tenant_id: UUID, message_id: UUID, what: Opinion) -> OpinionOut:
    """In the place of the one before. Raises NotFound for what has no opinions, InvalidInput for the wrong kind."""
    message = await session.get(Message, (tenant_id, message_id))
    if message is None:
        raise NotFound(kind="message")
    asks = await _asks(session, message)
    wanted = what.rating if asks == "rating" else what.thumb
    other = what.thumb if asks == "rating" else what.rating
    if wanted is None or other is not None:
        raise InvalidInput(field=asks, detail=Phrase("invalid.missing" if wanted is None else "invalid.unknown"))
    opinion = {
        "thumb": None if what.thumb is None else _THUMBS[what.thumb],
        "rating": what.rating,
        **({} if what.comment is UNSET else {"comment": what.comment.replace("\x00", "")}),
    }
    about = await _about(session, message)
    row = insert(Feedback).values(tenant_id=tenant_id, id=new_id(), message_id=message_id, **about, **opinion)
    newer = row.on_conflict_do_update(
        index_elements=["tenant_id", "message_id"], set_={**opinion, "updated_at": func.now()}
    )
    comment = (await session.execute(newer.returning(Feedback.comment))).scalar_one()
    await dislike(session, tenant_id, message_id, disliked=what.thumb == "down")
    return OpinionOut(message_id=message_id, thumb=what.thumb, rating=what.rating, comment=comment)


async def _asks(session: AsyncSession, message: Message) -> Asks:
    """Answers can be liked, courtesies and words of persons cannot. Raises NotFound."""
    if message.metadata_.get("notice") == RATING:
        return "rating"
    turn = await session.get(Turn, (message.tenant_id, message.id))
    if turn is None or turn.result == "courtesy":
        raise NotFound(kind="message")
    return "thumb"


async def _about(session: AsyncSession, message: Message) -> dict[str, object]:
    """Whose work it is: that of the turn, or of the inquiry that the rating is about."""
    turn = await session.get(Turn, (message.tenant_id, message.id))
    mine = (Inquiry.tenant_id == message.tenant_id, Inquiry.conversation_id == message.conversation_id)
    before = select(Inquiry).where(*mine, Inquiry.started_at <= message.created_at).order_by(Inquiry.id.desc()).limit(1)
    work = turn or await session.scalar(before)
    conversation = await session.get_one(Conversation, (message.tenant_id, message.conversation_id))
    return {
        "conversation_id": conversation.id,
        "assistant_id": conversation.assistant_id,
        "channel_id": conversation.channel_id,
        **{name: getattr(work, name, None) for name in ("version", "model", "language")},
    }
