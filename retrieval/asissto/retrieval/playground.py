"""Answers that leave no conversation behind: any state of an assistant, asked anything, with everything told."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from msgspec import Meta

from asissto.ingestion.labels import DocumentFilter, LabelList
from asissto.platform.errors import AnswersUsedUp
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import Language
from asissto.platform.trying import Tried
from asissto.retrieval.answering import answer_in_pieces, answer_question, check_question
from asissto.retrieval.answers import Answer, Piece
from asissto.retrieval.assistants import ChannelType, Variables, check_included, read_snapshot, with_other
from asissto.retrieval.charging import may_try, tried
from asissto.retrieval.generation import Turn
from asissto.retrieval.passages import Citation
from asissto.retrieval.publishing import Chosen, Which, choose
from asissto.retrieval.question_sets import SaidIn
from asissto.retrieval.scopes import Scope, scope_of

Other = dict[str, Any]
KIND: Tried = "playground_answers"


class Circumstances(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which state of the assistant is asked, for whom, and how."""

    version: Which = "published"
    audience: LabelList = []
    filter: DocumentFilter = msgspec.field(default_factory=DocumentFilter)
    channel: ChannelType = "api"
    variables: Variables = {}
    overrides: Other = {}
    """Settings by name that are different this once."""


class PlayIn(Circumstances, frozen=True, forbid_unknown_fields=True, kw_only=True):
    question: str
    history: Annotated[list[SaidIn], Meta(max_length=50)] = []


class PlayedCitation(msgspec.Struct, frozen=True, kw_only=True):
    """`quote` is `text[start:end]` of the document's version."""

    number: int
    document_id: UUID
    version_id: UUID
    document: str
    locator: str
    quote: str
    start: int
    end: int
    support: float

    @classmethod
    def of(cls, citation: Citation) -> Self:
        same = ("number", "locator", "quote", "start", "end", "support")
        passage = citation.passage
        return cls(
            **{name: getattr(citation, name) for name in same},
            document_id=passage.document_id,
            version_id=passage.version_id,
            document=passage.title,
        )


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """An answer and how it came about, untruncated.

    `passages` are what was found, best first, with text and scores; `details` tell the evidence by stage; timings in
    milliseconds. `messages` are what a model was asked: None for those who may not change the assistant, empty where
    none was asked.
    """

    version: int | None
    draft_revision: int | None
    answered: bool
    outcome: str
    mode: str
    text: str
    language: Language
    confidence: float
    citations: list[PlayedCitation]
    best_sentences: list[str]
    passages: list[dict[str, Any]]
    timings: dict[str, float]
    usage: list[dict[str, Any]]
    notes: list[str]
    details: dict[str, Any]
    messages: list[dict[str, Any]] | None


class Prepared(msgspec.Struct, frozen=True):
    """What is asked, and by which `key` the answer is paid for."""

    chosen: Chosen
    scope: Scope
    key: str


async def play(services: Services, tenant_id: UUID, assistant_id: UUID, what: PlayIn) -> tuple[Chosen, Answer]:
    """The whole answer at once. Raises what `prepare` does."""
    ready = await prepare(services, tenant_id, assistant_id, what)
    async with tried(services, tenant_id, KIND, ready.key) as calls:
        return ready.chosen, await answer_question(services, ready.scope, what.question, turns(what.history), calls)


async def play_in_pieces(
    services: Services, tenant_id: UUID, ready: Prepared, what: PlayIn
) -> AsyncGenerator[Piece | Answer, None]:
    """The same as it comes."""
    async with tried(services, tenant_id, KIND, ready.key) as calls:
        pieces = answer_in_pieces(services, ready.scope, what.question, turns(what.history), calls)
        async with aclosing(pieces) as events:
            async for event in events:
                yield event


async def prepare(services: Services, tenant_id: UUID, assistant_id: UUID, what: PlayIn) -> Prepared:
    """Also for a paused assistant.

    Raises QuestionEmpty, QuestionTooLong, NotFound, NoDraft, InvalidInput, ModelNotIncluded for a model that this call
    brings, and AnswersUsedUp.
    """
    check_question(what.question)
    async with services.database.tenant(tenant_id) as session:
        chosen = await choose(session, tenant_id, assistant_id, what.version)
        snapshot = read_snapshot(chosen.snapshot)
        if what.overrides:
            settings = with_other(snapshot.settings, what.overrides, "overrides")
            other = {**chosen.snapshot, "settings": msgspec.to_builtins(settings)}
            snapshot = read_snapshot(other)
            if "models" in what.overrides:
                await check_included(session, services.settings, tenant_id, other)
    scope = await scope_of(
        services, tenant_id, snapshot, channel=what.channel, variables=what.variables, made_by=chosen.made_by
    )
    key = str(new_id())
    if not await may_try(services, tenant_id, KIND, key):
        raise AnswersUsedUp
    return Prepared(chosen, msgspec.structs.replace(scope, filter=what.filter, audience=what.audience), key)


def turns(history: Sequence[SaidIn]) -> list[Turn]:
    return [Turn(said.role, said.text) for said in history]


def show_played(chosen: Chosen, answer: Answer, *, with_messages: bool) -> Played:
    return Played(
        version=chosen.version,
        draft_revision=chosen.draft_revision,
        answered=answer.answered,
        outcome=answer.outcome,
        mode=answer.mode,
        text=answer.text,
        language=answer.language,
        confidence=answer.confidence,
        citations=[PlayedCitation.of(citation) for citation in answer.citations],
        best_sentences=list(answer.best_sentences),
        passages=msgspec.to_builtins(answer.found),
        timings=answer.timings,
        usage=msgspec.to_builtins(answer.usage),
        notes=list(answer.notes),
        details=answer.details,
        messages=msgspec.to_builtins(answer.messages) if with_messages else None,
    )
