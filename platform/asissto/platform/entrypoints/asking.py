"""`asissto ask`: one question to the first assistant, answered in this process."""

from uuid import UUID

import msgspec

from asissto.channels.channels import api_channel
from asissto.platform.entrypoints.screen import screen
from asissto.platform.errors import InvalidInput
from asissto.platform.services import Services
from asissto.platform.texts import Language, Phrase, text
from asissto.retrieval.assistants import first_assistant
from asissto.retrieval.conversations import Asked
from asissto.retrieval.turns import Told, ask


class CitationShown(msgspec.Struct, frozen=True):
    """`quote` is `text[start:end]` of the stored document."""

    document: str
    locator: str
    quote: str
    start: int
    end: int


class AnswerShown(msgspec.Struct, frozen=True):
    answered: bool
    text: str
    citations: list[CitationShown]
    confidence: float
    latency_ms: float


async def ask_here(services: Services, tenant_id: UUID, question: str) -> AnswerShown:
    """Raises QuestionEmpty, QuestionTooLong, and InvalidInput for what a terminal of another encoding has typed."""
    try:
        question.encode()
    except UnicodeEncodeError:
        raise InvalidInput(field="question", detail=Phrase("invalid.characters")) from None
    async with services.database.tenant(tenant_id) as session:
        assistant = await first_assistant(session, tenant_id)
        channel_id = await api_channel(session, tenant_id)
    asked = Asked(tenant_id=tenant_id, assistant_id=assistant.id, channel_id=channel_id, question=question)
    return _shown(await ask(services, asked))


def show_answer(question: str, answer: AnswerShown, language: Language) -> None:
    screen.print()
    screen.print(text("cli.question", language, question=question))
    screen.print(answer.text)
    for number, citation in enumerate(answer.citations, 1):
        screen.print(f"  [{number}] {citation.document} · {citation.locator}: “{citation.quote}”")
    screen.print()


def _shown(told: Told) -> AnswerShown:
    answer = told.answer
    return AnswerShown(
        answered=answer.answered,
        text=answer.text,
        citations=[
            CitationShown(each.passage.title, each.locator, each.quote, each.start, each.end)
            for each in answer.citations
        ],
        confidence=answer.confidence,
        latency_ms=answer.latency_ms,
    )
