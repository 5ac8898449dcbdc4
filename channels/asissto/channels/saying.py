"""What an answer says on a channel: its words, its citations with their addresses, and the notice below."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contract import Cited, Hours, Said
from asissto.ingestion.tables import Document
from asissto.platform.texts import text
from asissto.retrieval.answers import Answer
from asissto.retrieval.passages import Citation


async def said_of(session: AsyncSession, tenant_id: UUID, answer: Answer, hours: Hours | None, link: str = "") -> Said:
    return Said(
        text=answer.text,
        language=answer.language,
        is_markdown=answer.mode == "generated",
        citations=tuple(await _cited(session, tenant_id, answer.citations)),
        notice=_notice(answer, hours),
        link=link,
    )


def is_open(hours: Hours | None, now: datetime | None = None) -> bool:
    """Whether people are there; without hours they always are."""
    if hours is None:
        return True
    here = (now or datetime.now().astimezone()).astimezone(ZoneInfo(hours.timezone))
    clock = here.strftime("%H:%M")
    return any(here.isoweekday() in slot.days and slot.start <= clock < slot.end for slot in hours.open)


def _notice(answer: Answer, hours: Hours | None) -> str:
    """The offer of a person; or, after a hand-over, that nobody is there now."""
    if answer.hand_over is None:
        return ""
    if answer.hand_over.is_done:
        return "" if is_open(hours) or hours is None else hours.text or text("channel.closed_now", answer.language)
    return answer.hand_over.text


async def _cited(session: AsyncSession, tenant_id: UUID, citations: Sequence[Citation]) -> list[Cited]:
    ids = {citation.passage.document_id for citation in citations}
    mine = select(Document.id, Document.url).where(Document.tenant_id == tenant_id, Document.id.in_(ids))
    urls = {row.id: row.url for row in await session.execute(mine)} if ids else {}
    return [
        Cited(
            number=citation.number,
            title=citation.passage.title,
            locator=citation.locator,
            quote=citation.quote,
            url=urls.get(citation.passage.document_id),
        )
        for citation in citations
    ]
