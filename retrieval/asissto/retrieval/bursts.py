"""Messages that wait for an answer: stored when they come, taken together by one turn, under a claim that expires.

A claim is two columns of the conversation's row, so that it holds between processes and costs no connection while a
model works. Whoever holds it renews it; when its process dies, another turn takes the same messages after LEASE.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, false, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.retrieval.conversations import (
    Asked,
    History,
    Narrowing,
    lock_conversation,
    open_conversation,
    read_history,
    store_message,
)
from asissto.retrieval.courtesies import courtesy
from asissto.retrieval.tables import Conversation, Message

LEASE = timedelta(seconds=15)
LOOK_SECONDS = 0.1
"""Between two looks at a conversation that another turn answers."""

MOST_JOINED = 20
MOST_CHARACTERS = 4_000
"""Of the messages that are joined to one question; the first one is taken whatever its length."""

LONGEST_WAIT = 5
"""Times `burst_seconds`: who never stops typing is answered nevertheless."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in which something waits; `message_id` is the message whose answer somebody waits for.

    `window` are the seconds within which messages belong together; `is_pushed` says that more may come even while a
    single message waits.
    """

    tenant_id: UUID
    conversation_id: UUID
    window: float
    is_pushed: bool
    message_id: UUID | None = None


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that this turn alone answers, and what was said before them."""

    place: Place
    claim: UUID
    message_ids: tuple[UUID, ...]
    question: str
    filter: DocumentFilter
    audience: tuple[str, ...]
    variables: dict[str, str]
    history: History


class Later(msgspec.Struct, frozen=True):
    """Nothing to do for so many seconds: another turn is at work, or the customer is still writing."""

    seconds: float


class Settled(msgspec.Struct, frozen=True):
    """The message does not wait any more; no answer: a person has the conversation."""

    message: Message


async def arrive(session: AsyncSession, asked: Asked, window: float) -> Place:
    """Stores the message, so that no crash loses it; raises NotFound and ConversationClosed."""
    conversation = await open_conversation(session, asked)
    return Place(
        tenant_id=asked.tenant_id,
        conversation_id=conversation.id,
        window=window,
        is_pushed=asked.more_may_come,
        message_id=await store_message(session, asked, conversation),
    )


async def look(session: AsyncSession, place: Place) -> Burst | Later | Settled | None:
    """Takes what waits where nobody else does; None: nothing waits."""
    conversation, is_taken = await _locked(session, place)
    if conversation.status != "bot":
        await withdraw(session, conversation)
    waiting = await _waiting(session, place)
    if place.message_id is not None and place.message_id not in [message.id for message, _ in waiting]:
        message = (await session.scalars(select(Message).where(*_those(place, [place.message_id])))).one()
        if not message.waits:
            return Settled(message)
    if is_taken:
        return Later(LOOK_SECONDS)
    if not waiting:
        return None
    pause = _pause(place, [age for _, age in waiting])
    if pause > 0:
        return Later(pause)
    return await _take(session, place, conversation, [message for message, _ in waiting])


async def hold(session: AsyncSession, burst: Burst) -> Conversation | None:
    """The locked conversation, whose claim ends with this transaction; None where another turn has it by now."""
    conversation = await lock_conversation(session, burst.place.tenant_id, burst.place.conversation_id)
    if conversation.claimed_by != burst.claim:
        return None
    conversation.claimed_by = conversation.claimed_until = None
    conversation.updated_at = func.now()
    return conversation


async def more_came(session: AsyncSession, burst: Burst) -> bool:
    """Whether messages wait that would belong to the burst."""
    with session.no_autoflush:
        waiting = [message for message, _ in await _waiting(session, burst.place)]
    return not waiting or tuple(message.id for message in _together(waiting)) != burst.message_ids


async def settle(session: AsyncSession, place: Place, message_ids: Sequence[UUID], answer_id: UUID) -> None:
    """They are answered."""
    settled = update(Message).where(*_those(place, message_ids)).values(waits=False, answer_id=answer_id)
    await session.execute(settled)


async def withdraw(session: AsyncSession, conversation: Conversation) -> None:
    """Nothing waits for the assistant any more: a person has the conversation. A turn that is at work loses it."""
    conversation.claimed_by = conversation.claimed_until = None
    mine = (Message.tenant_id == conversation.tenant_id, Message.conversation_id == conversation.id, Message.waits)
    await session.execute(update(Message).where(*mine).values(waits=False))


@asynccontextmanager
async def kept(services: Services, burst: Burst) -> AsyncIterator[None]:
    """Renews the claim as long as the block runs; when it fails, the messages are free for the next turn at once."""
    renewing = asyncio.create_task(_renew(services, burst))
    try:
        yield
    except BaseException:
        renewing.cancel()
        async with services.database.tenant(burst.place.tenant_id) as session:
            await hold(session, burst)
        raise
    finally:
        renewing.cancel()


async def _renew(services: Services, burst: Burst) -> None:
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        async with services.database.tenant(burst.place.tenant_id) as session:
            mine = update(Conversation).where(*_its(burst.place), Conversation.claimed_by == burst.claim)
            await session.execute(mine.values(claimed_until=func.clock_timestamp() + LEASE))


async def _locked(session: AsyncSession, place: Place) -> tuple[Conversation, bool]:
    """The conversation, which nobody else changes until the transaction ends, and whether a turn has it."""
    is_taken = func.coalesce(Conversation.claimed_until > func.clock_timestamp(), false())
    mine = select(Conversation, is_taken).where(*_its(place)).with_for_update(of=Conversation)
    conversation, taken = (await session.execute(mine.execution_options(populate_existing=True))).one()
    return conversation, bool(taken)


async def _waiting(session: AsyncSession, place: Place) -> list[tuple[Message, float]]:
    """With their age in seconds, in their order."""
    age = func.extract("epoch", func.clock_timestamp() - Message.created_at)
    mine = (Message.tenant_id == place.tenant_id, Message.conversation_id == place.conversation_id, Message.waits)
    rows = await session.execute(select(Message, age).where(*mine).order_by(Message.id).limit(MOST_JOINED))
    return [(message, float(seconds)) for message, seconds in rows]


def _pause(place: Place, ages: Sequence[float]) -> float:
    """A single question is not kept waiting, unless its channel says that more may come."""
    if len(ages) == 1 and not place.is_pushed:
        return 0.0
    return min(place.window - min(ages), place.window * LONGEST_WAIT - max(ages))


async def _take(session: AsyncSession, place: Place, conversation: Conversation, waiting: Sequence[Message]) -> Burst:
    messages = _together(waiting)
    claim = new_id()
    conversation.claimed_by = claim
    conversation.claimed_until = func.clock_timestamp() + LEASE
    narrowing = _narrowing(messages[0])
    return Burst(
        place=place,
        claim=claim,
        message_ids=tuple(message.id for message in messages),
        question=_joined([message.content for message in messages]),
        filter=narrowing.filter,
        audience=narrowing.audience,
        variables=narrowing.variables,
        history=await read_history(session, conversation),
    )


def _together(waiting: Sequence[Message]) -> list[Message]:
    """The first ones that ask for the same documents and make one question of bearable length."""
    taken = [waiting[0]]
    length = len(waiting[0].content)
    for message in waiting[1:]:
        length += len(message.content) + 1
        if length > MOST_CHARACTERS or _narrowing(message) != _narrowing(taken[0]):
            break
        taken.append(message)
    return taken


def _joined(contents: Sequence[str]) -> str:
    """Without repetitions, and without the greeting before a question."""
    distinct = list(dict.fromkeys(contents))
    return "\n".join([content for content in distinct if courtesy(content) is None] or distinct)


def _narrowing(message: Message) -> Narrowing:
    return msgspec.convert(message.metadata_, Narrowing)


def _its(place: Place) -> tuple[ColumnElement[bool], ...]:
    return (Conversation.tenant_id == place.tenant_id, Conversation.id == place.conversation_id)


def _those(place: Place, message_ids: Sequence[UUID]) -> tuple[ColumnElement[bool], ...]:
    return (Message.tenant_id == place.tenant_id, Message.id.in_(message_ids))
