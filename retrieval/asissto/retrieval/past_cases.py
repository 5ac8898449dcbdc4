"""Makes cases out of answers that were given: what was right then is expected from now on."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import NotFound
from asissto.retrieval.conversations import MESSAGES_READ, within_budget
from asissto.retrieval.generation import Turn
from asissto.retrieval.question_sets import CaseIn, CitedDocument, SaidIn
from asissto.retrieval.tables import Citation, Message, Receipt
from asissto.retrieval.who_said import SAID, turn_of


async def cases_from(session: AsyncSession, tenant_id: UUID, message_ids: Sequence[UUID]) -> list[tuple[CaseIn, UUID]]:
    """With the conversations that their words are from; raises NotFound.

    Of an answer its citations are expected, of an abstention that it abstains.
    """
    return [await _case_from(session, tenant_id, message_id) for message_id in dict.fromkeys(message_ids)]


async def find_answer(session: AsyncSession, tenant_id: UUID, message_id: UUID) -> tuple[Message, Receipt]:
    """Raises NotFound for what is no answer of an assistant."""
    message = await session.get(Message, (tenant_id, message_id))
    receipt = await session.get(Receipt, (tenant_id, message_id))
    if message is None or receipt is None:
        raise NotFound(kind="message")
    return message, receipt


async def history_before(session: AsyncSession, message: Message) -> list[Turn]:
    """The turns that an answer was given after, oldest first, without the question itself."""
    mine = (Message.tenant_id == message.tenant_id, Message.conversation_id == message.conversation_id)
    earlier = select(Message).where(*mine, Message.id < message.id, Message.sender_kind.in_(SAID))
    rows = await session.scalars(earlier.order_by(Message.id.desc()).limit(MESSAGES_READ))
    said = [turn_of(row) for row in rows]
    while said and said[0].role != "assistant":
        said.pop(0)
    return within_budget(said[::-1])


async def _case_from(session: AsyncSession, tenant_id: UUID, message_id: UUID) -> tuple[CaseIn, UUID]:
    message, receipt = await find_answer(session, tenant_id, message_id)
    mine = select(Citation.document_id, Citation.title).where(Citation.tenant_id == tenant_id)
    rows = await session.execute(mine.where(Citation.message_id == message_id).order_by(Citation.number))
    titles = {row.document_id: row.title for row in rows}
    answered = receipt.outcome == "answered"
    case = CaseIn(
        question=receipt.question,
        history=[
            SaidIn("assistant" if turn.role == "assistant" else "user", turn.text)
            for turn in await history_before(session, message)
        ],
        expected="answer" if answered else "abstain",
        must_cite=[CitedDocument(document_id=document_id) for document_id in titles] if answered else [],
        note=", ".join(titles.values()),
    )
    return case, message.conversation_id
