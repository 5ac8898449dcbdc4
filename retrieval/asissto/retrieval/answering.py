"""From a question to a cited answer or an honest "I do not know": the steps in their order, on one page."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter
from asissto.ingestion.spaces import Space, no_space_yet
from asissto.ingestion.store import Vector
from asissto.ingestion.tables import EmbeddingSpace, KnowledgeBase
from asissto.platform.chat import ChatMessage, ChatModel, Usage
from asissto.platform.errors import AssistantPaused, ProviderError, QuestionEmpty, QuestionTooLong
from asissto.platform.languages import language_of
from asissto.platform.model_calls import ModelCall
from asissto.platform.model_chain import chain_for
from asissto.platform.reranking import Reranker
from asissto.platform.services import Services
from asissto.platform.stopwatch import Stopwatch
from asissto.platform.tables import Tenant
from asissto.platform.texts import Language, text
from asissto.retrieval.approved import Sought, find_approved
from asissto.retrieval.assistants import AssistantSettings, Snapshot, find_assistant, published
from asissto.retrieval.at_once import MODE as CANNED
from asissto.retrieval.at_once import Reply, reply_at_once
from asissto.retrieval.confidence import Judgement, gather, judge
from asissto.retrieval.conversations import Turned
from asissto.retrieval.dense import Dense
from asissto.retrieval.explaining import explain
from asissto.retrieval.extractive import Quote, quote_answer, read
from asissto.retrieval.generation import Persona, Turn, lay_out
from asissto.retrieval.grounding import Claims, Grounded, generate
from asissto.retrieval.handing_over import HandOver
from asissto.retrieval.passages import Citation, Passage
from asissto.retrieval.quoting import Manner, cite, compose
from asissto.retrieval.reranking import rerank
from asissto.retrieval.rewriting import rewrite
from asissto.retrieval.search import Found, Query, search
from asissto.retrieval.selecting import select_passages
from asissto.retrieval.speaking import QUOTES, speak
from asissto.retrieval.spelling import Variants, as_meant, variants

MOST_CHARACTERS = 4000
"""Of a question; longer ones are letters, not questions, and nobody reads them word by word."""

FOUND = 30
"""Passages that the search gives: enough for ten different ones in an evaluation, few enough to read."""

_KEPT_IN_RECEIPT = 10


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """In which tenant, for which assistant an answer is given."""

    tenant_id: UUID
    tenant_number: int
    language: Language
    space: Space
    settings: AssistantSettings = msgspec.field(default_factory=AssistantSettings)
    persona: Persona = Persona("", "", "")
    model: str | None = None
    filter: DocumentFilter = DocumentFilter()
    """Narrows that of the settings."""
    audience: Sequence[str] = ()
    """Who asks; whoever the settings speak for is added."""
    made_by: dict[str, Any] = {}
    """The version of the assistant, for the receipt."""

    @property
    def sought(self) -> Sought:
        return Sought(
            collections=self.settings.collections,
            filters=(self.settings.filter, self.filter),
            audience=(*self.settings.audience, *self.audience),
        )


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` is answered, abstained, handed_over or silent; `notes` say why no model wrote it.

    `mode` says what did: generated, quoted, pair, canned (a courtesy, a hand-over) or silent (a person has taken over).

    `best_sentences` are the quotes that answer best, in the order of their scores, also where it abstains. A note that
    begins with `embedding:` tells why it was found by words alone. `details` hold plain values by the stage that tells
    them, for the receipt. `messages` are what a model was asked, and are stored nowhere.
    """

    text: str
    language: Language
    confidence: float
    found: tuple[Passage, ...]
    best_sentences: tuple[str, ...]
    timings: dict[str, float]
    outcome: str = "abstained"
    mode: str = "none"
    citations: tuple[Citation, ...] = ()
    usage: tuple[Usage, ...] = ()
    calls: tuple[ModelCall, ...] = ()
    messages: tuple[ChatMessage, ...] = ()
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    hand_over: HandOver | None = None

    @property
    def answered(self) -> bool:
        return self.outcome == "answered"

    @property
    def latency_ms(self) -> float:
        return self.timings["total"]


class Piece(msgspec.Struct, frozen=True):
    """A part of the answer as it comes; the Answer at the end is what counts."""

    text: str


async def answer_question(services: Services, scope: Scope, question: str, history: Sequence[Turn]) -> Answer:
    """An answer that is not stored."""
    async for event in answer_in_pieces(services, scope, question, history):
        if isinstance(event, Answer):
            return event
    raise AssertionError("the last event is the answer")


async def answer_in_pieces(
    services: Services, scope: Scope, question: str, history: Sequence[Turn], calls: list[ModelCall] | None = None
) -> AsyncGenerator[Piece | Answer, None]:
    """The answer tells every call of a model; `calls` gets them as they are made."""
    made: list[ModelCall] = [] if calls is None else calls
    chat = chain_for(services, scope.tenant_id, scope.settings.models, scope.model, made)
    try:
        async with aclosing(_steps(services, scope, question, history, chat, made)) as events:
            async for event in events:
                yield event if isinstance(event, Piece) else _with_calls(event, made)
    finally:
        if chat is not None:
            await chat.close()


async def _steps(  # noqa: PLR0913, PLR0917 - the whole of a question
    services: Services,
    scope: Scope,
    question: str,
    history: Sequence[Turn],
    chat: ChatModel | None,
    calls: list[ModelCall],
) -> AsyncGenerator[Piece | Answer, None]:
    watch = Stopwatch()
    asked, question = question, as_meant(question)
    language = _language(question, scope)
    pair = await _approved(services, scope, question)
    watch.lap("pair")
    if pair is not None:
        yield _approved_answer(pair, language, watch.timings)
        return
    reply = reply_at_once(question, scope.settings, language)
    if reply is not None:
        watch.lap("at_once")
        yield _canned_answer(reply, language, watch.timings)
        return
    sought = await rewrite(chat, question, history)
    watch.lap("rewrite")
    dense = Dense(services, scope.tenant_id, scope.space, calls)
    vector = await dense.vector(sought.text)
    watch.lap("embed")
    found = await _search(services, scope, sought.search_terms, vector, variants(sought.words))
    watch.lap("search")
    ranked, notes = await rerank(_reranker(services, scope), question, found.passages)
    watch.lap("rerank")
    selection = select_passages(ranked, scope.settings.passages, scope.settings.passage_tokens)
    kept = selection.kept
    watch.lap("select")
    reading = read(question, found.as_read(sought.terms), found.idf(), kept)
    watch.lap("read")
    cosines = await dense.cosines(reading, vector)
    evidence = gather(reading, cosines, found.passages)
    judged = judge(evidence, scope.settings.calibration, scope.settings.least_confidence)
    quotes = quote_answer(reading, cosines)
    watch.lap("weigh")
    answer = Answer(
        text=scope.settings.unknown_text or text("answer.unknown", language),
        language=language,
        confidence=round(judged.confidence, 4),
        found=ranked,
        best_sentences=tuple(quote.text for quote in quotes),
        timings=watch.timings,
        notes=(*sought.notes, *dense.notes, *notes),
        details={
            "confidence": judged.told(),
            "rewrite": sought.details,
            "search": explain(asked, question, found, selection),
        },
    )
    if chat is not None and judged.zone != "none":
        messages = lay_out(question, kept, history, scope.persona, language)
        answer = msgspec.structs.replace(answer, messages=tuple(messages))
        claims = Claims(question, kept, found.idf(), language)
        grounded = None
        try:
            async for event in generate(chat, messages, claims, scope.settings):
                if isinstance(event, Grounded):
                    grounded = event
                else:
                    yield Piece(event)
        except ProviderError as error:
            answer = msgspec.structs.replace(answer, notes=(*answer.notes, error.reason))
        watch.lap("generate")
        if grounded is not None:
            answer = msgspec.structs.replace(
                answer, usage=(*answer.usage, *_used(grounded)), notes=(*answer.notes, *grounded.notes)
            )
            if not grounded.knows or grounded.citations:
                yield _generated(answer, grounded)
                return
    yield _quoted(answer, quotes, kept, Quoting(judged, question, QUOTES[scope.settings.answer_length]))


def check_question(question: str) -> None:
    """Raises QuestionEmpty and QuestionTooLong."""
    if not question.strip():
        raise QuestionEmpty(field="question")
    if len(question) > MOST_CHARACTERS:
        raise QuestionTooLong(field="question", length=len(question), limit=MOST_CHARACTERS)


async def whole_workspace(services: Services, tenant_id: UUID) -> Scope:
    """A scope without an assistant of its own: everything of the tenant, default settings."""
    async with services.database.tenant(tenant_id) as session:
        return await workspace_scope(session, services, tenant_id)


async def workspace_scope(session: AsyncSession, services: Services, tenant_id: UUID) -> Scope:
    """The same in a transaction that is open already."""
    tenant_and_space = (
        select(Tenant, EmbeddingSpace)
        .outerjoin(KnowledgeBase, KnowledgeBase.tenant_id == Tenant.id)
        .outerjoin(EmbeddingSpace, EmbeddingSpace.id == KnowledgeBase.space_id)
        .where(Tenant.id == tenant_id)
    )
    tenant, active = (await session.execute(tenant_and_space)).one()
    space = no_space_yet(services) if active is None else Space.of(active)
    language: Language = "ru" if tenant.language == "ru" else "en"
    return Scope(tenant_id=tenant_id, tenant_number=tenant.number, language=language, space=space)


class Speaker(msgspec.Struct, frozen=True):
    """A published assistant, before a question brings its variables."""

    workspace: Scope
    snapshot: Snapshot
    made_by: dict[str, Any]

    def scope(self, channel: str, variables: Mapping[str, str]) -> Scope:
        """How it speaks on a channel of that type. Raises UnknownVariable."""
        return speaking(self.workspace, self.snapshot, channel=channel, variables=variables, made_by=self.made_by)


def speaking(
    scope: Scope,
    snapshot: Snapshot,
    *,
    channel: str = "api",
    variables: Mapping[str, str] | None = None,
    made_by: dict[str, Any] | None = None,
) -> Scope:
    """The scope of one state of an assistant, as it speaks on a channel. Raises UnknownVariable."""
    spoken = msgspec.structs.asdict(speak(snapshot, channel, variables))
    return msgspec.structs.replace(scope, **spoken, made_by=made_by or {})


async def scope_of(  # noqa: PLR0913 - whose words, and where they are said
    services: Services,
    tenant_id: UUID,
    snapshot: Snapshot,
    *,
    channel: str = "api",
    variables: Mapping[str, str] | None = None,
    made_by: dict[str, Any] | None = None,
) -> Scope:
    """`speaking` from a workspace that is read for it. Raises UnknownVariable."""
    workspace = await whole_workspace(services, tenant_id)
    return speaking(workspace, snapshot, channel=channel, variables=variables, made_by=made_by)


async def find_speaker(session: AsyncSession, services: Services, tenant_id: UUID, assistant_id: UUID) -> Speaker:
    """Raises NotFound and AssistantPaused."""
    workspace = await workspace_scope(session, services, tenant_id)
    assistant = await find_assistant(session, tenant_id, assistant_id)
    if assistant.status == "paused":
        raise AssistantPaused
    snapshot = msgspec.convert(published(assistant), Snapshot)
    return Speaker(workspace, snapshot, {"version": assistant.version})


def _language(question: str, scope: Scope) -> Language:
    if scope.settings.language != "auto":
        return scope.settings.language
    found = language_of(question)
    return scope.language if found == "und" else found


def _reranker(services: Services, scope: Scope) -> Reranker | None:
    return services.reranker if scope.settings.rerank else None


async def _approved(services: Services, scope: Scope, question: str) -> Passage | None:
    """Asked first, so that it needs neither an embedder nor a model."""
    async with services.database.tenant(scope.tenant_id) as session:
        return await find_approved(session, scope.tenant_id, question, scope.sought)


async def _search(
    services: Services, scope: Scope, terms: Mapping[str, float], vector: Vector | None, meant: Variants
) -> Found:
    query = Query(
        terms=terms,
        variants=meant,
        vector=vector,
        space_id=scope.space.id,
        collections=scope.sought.collections,
        wanted=FOUND,
        filters=scope.sought.filters,
        audience=scope.sought.audience,
    )
    async with services.database.tenant(scope.tenant_id) as session:
        return await search(session, scope.tenant_id, scope.tenant_number, query)


def _approved_answer(pair: Passage, language: Language, timings: dict[str, float]) -> Answer:
    """Word for word and whole, whatever model is connected: somebody has approved these words."""
    citation = cite(1, pair, (pair.start, pair.end), 1.0, language)
    return Answer(
        text=f"{pair.text} [1]",
        language=language,
        confidence=1.0,
        found=(pair,),
        best_sentences=(pair.text,),
        timings=timings,
        outcome="answered",
        mode="pair",
        citations=(citation,),
    )


def _canned_answer(reply: Reply, language: Language, timings: dict[str, float]) -> Answer:
    return Answer(
        text=reply.text,
        language=language,
        confidence=1.0,
        found=(),
        best_sentences=(),
        timings=timings,
        outcome=reply.outcome,
        mode=CANNED,
        hand_over=reply.hand_over,
    )


def _used(grounded: Grounded) -> tuple[Usage, ...]:
    return () if grounded.usage is None else (grounded.usage,)


def _with_calls(answer: Answer, calls: Sequence[ModelCall]) -> Answer:
    if not calls:
        return answer
    told = msgspec.to_builtins(calls)
    return msgspec.structs.replace(answer, calls=tuple(calls), details={**answer.details, "calls": told})


def _generated(answer: Answer, grounded: Grounded) -> Answer:
    if not grounded.knows:
        return answer
    return msgspec.structs.replace(
        answer, text=grounded.text, outcome="answered", mode="generated", citations=grounded.citations
    )


class Quoting(msgspec.Struct, frozen=True):
    """How far the quotes are to be trusted, what was asked, and how many may be given."""

    judged: Judgement
    question: str
    most: int


def _quoted(answer: Answer, quotes: Sequence[Quote], kept: Sequence[Passage], how: Quoting) -> Answer:
    if not quotes or not how.judged.quotable:
        return answer
    manner = Manner(language=answer.language, question=how.question, unsure=how.judged.zone == "middle")
    quoted, citations = compose(quotes[: how.most], kept, manner)
    return msgspec.structs.replace(answer, text=quoted, outcome="answered", mode="quoted", citations=citations)


def turned(answer: Answer, made_by: dict[str, Any]) -> Turned:
    """What is stored of an answer."""
    return Turned(
        text=answer.text,
        outcome=answer.outcome,
        mode=answer.mode,
        notes=list(answer.notes),
        confidence=answer.confidence,
        citations=answer.citations,
        passages=[_receipt_line(passage) for passage in answer.found[:_KEPT_IN_RECEIPT]],
        timings=answer.timings,
        usage=[msgspec.to_builtins(each) for each in answer.usage],
        details=_details(answer, made_by),
    )


def _details(answer: Answer, made_by: dict[str, Any]) -> dict[str, Any]:
    notes = {"notes": list(answer.notes)} if answer.notes else {}
    return {**answer.details, **notes, "assistant": made_by}


def _receipt_line(passage: Passage) -> dict[str, Any]:
    kept = ("chunk_id", "document_id", "version_id", "title", "kind", "start", "end", "scores")
    line: dict[str, Any] = msgspec.to_builtins({name: getattr(passage, name) for name in kept})
    return line
