"""From a question to a cited answer or an honest "I do not know": the steps in their order, on one page."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from asissto.ingestion.labels import DocumentFilter
from asissto.ingestion.spaces import Space, no_space_yet
from asissto.ingestion.store import Vector
from asissto.ingestion.tables import EmbeddingSpace, KnowledgeBase
from asissto.platform.chat import ChatModel, Usage
from asissto.platform.errors import AssistantPaused, ProviderError, QuestionEmpty, QuestionTooLong
from asissto.platform.languages import language_of
from asissto.platform.services import Services
from asissto.platform.stopwatch import Stopwatch
from asissto.platform.tables import Tenant
from asissto.platform.texts import Language, text
from asissto.retrieval.approved import Sought, find_approved
from asissto.retrieval.assistants import AssistantSettings, find_assistant, settings_of
from asissto.retrieval.claims import Claims
from asissto.retrieval.confidence import LEAST_CONFIDENCE, confidence, gather
from asissto.retrieval.conversations import Asked, Turned, read_history, store_turn
from asissto.retrieval.dense import Dense
from asissto.retrieval.extractive import Quote, quote_answer, read
from asissto.retrieval.generation import Persona, Turn, lay_out
from asissto.retrieval.grounding import Asking, Grounded, generate
from asissto.retrieval.guardrails import RefuseTopic, keep_allowed, orders, refusal, with_endings
from asissto.retrieval.passages import Citation, Passage
from asissto.retrieval.quoting import cite, compose
from asissto.retrieval.ranking import follow_up_terms, search_text
from asissto.retrieval.search import Found, Query, search
from asissto.retrieval.suspicion import without_orders

MOST_CHARACTERS = 4000
"""Of a question; longer ones are letters, not questions, and nobody reads them word by word."""

FOUND = 30
"""Passages that the search gives: enough for ten different ones in an evaluation, few enough to read."""

MODEL_MAY_TRY = 0.2
"""Below it not even a model is asked: nothing in the documents speaks for an answer."""

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

    @property
    def sought(self) -> Sought:
        return Sought(
            collections=self.settings.collections,
            filters=(self.settings.filter, self.filter),
            audience=(*self.settings.audience, *self.audience),
        )


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` is answered or abstained; `mode` says what wrote it: generated, quoted, pair; `notes` why no model did.

    `best_sentences` are the quotes that answer best, in the order of their scores, also where it abstains. A note that
    begins with `embedding:` tells why it was found by words alone. `details` hold plain values by the stage that tells
    them, for the receipt.
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
    notes: tuple[str, ...] = ()
    hand_over_wanted: str | None = None
    """Why the model, or a rule of the assistant, wants a person to answer."""
    details: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def answered(self) -> bool:
        return self.outcome == "answered"

    @property
    def latency_ms(self) -> float:
        return self.timings["total"]


class Piece(msgspec.Struct, frozen=True):
    """A part of the answer as it comes; the Answer at the end is what counts."""

    text: str


class Told(msgspec.Struct, frozen=True):
    """An answer that is stored, and where."""

    answer: Answer
    conversation_id: UUID
    message_id: UUID


async def ask(services: Services, asked: Asked) -> Told:
    """The whole turn at once. Raises QuestionEmpty, QuestionTooLong, NotFound."""
    async for event in ask_in_pieces(services, asked):
        if isinstance(event, Told):
            return event
    raise AssertionError("the last event is the answer")


async def ask_in_pieces(services: Services, asked: Asked) -> AsyncIterator[Piece | Told]:
    """Pieces of the answer, then the stored turn. No connection is held while a model works."""
    check_question(asked.question)
    scope, history = await _prepare(services, asked)
    async for event in answer_in_pieces(services, scope, asked.question, history):
        if isinstance(event, Piece):
            yield event
        else:
            async with services.database.tenant(asked.tenant_id) as session:
                told = Told(event, *await store_turn(session, asked, _turned(event)))
            yield told  # only now: whoever gets it may never come back to let the transaction end


async def answer_question(services: Services, scope: Scope, question: str, history: Sequence[Turn]) -> Answer:
    """An answer that is not stored."""
    async for event in answer_in_pieces(services, scope, question, history):
        if isinstance(event, Answer):
            return event
    raise AssertionError("the last event is the answer")


async def answer_in_pieces(
    services: Services, scope: Scope, question: str, history: Sequence[Turn]
) -> AsyncIterator[Piece | Answer]:
    watch = Stopwatch()
    language = _language(question, scope)
    pair = await _approved(services, scope, question)
    watch.lap("pair")
    if pair is not None:
        yield _approved_answer(pair, language, watch.timings)
        return
    refused = refusal(scope.settings.rules, question)
    if refused is not None:
        yield _refused(*refused, language, watch.timings)
        return
    said = [turn.text for turn in history if turn.role == "user"]
    terms = follow_up_terms(question, said)
    dense = Dense(services, scope.space)
    vector = await dense.vector(search_text(question, said))
    watch.lap("embed")
    found = await _search(services, scope, terms, vector)
    watch.lap("search")
    shortened = without_orders(found.passages[: scope.settings.passages], scope.settings.suspicious)
    kept = shortened.passages
    reading = read(question, terms, found.idf(), kept)
    cosines = await dense.cosines(reading, vector)
    sure = confidence(gather(reading, cosines, found.passages))
    quotes = quote_answer(reading, cosines)
    watch.lap("read")
    answer = Answer(
        text=scope.settings.unknown_text or text("answer.unknown", language),
        language=language,
        confidence=round(sure, 4),
        found=found.passages,
        best_sentences=tuple(quote.text for quote in quotes),
        timings=watch.timings,
        notes=tuple(dense.notes),
        details={"suspicious": list(shortened.flagged)} if shortened.flagged else {},
    )
    chat = _chat_model(services, scope)
    if chat is not None and sure >= MODEL_MAY_TRY:
        persona = msgspec.structs.replace(scope.persona, orders=tuple(orders(scope.settings.rules)))
        prompt = lay_out(question, kept, history, persona, language)
        claims = Claims("\n".join((*said, question)), kept, found.idf(), language, scope.settings.rules)
        grounded = None
        try:
            async for event in generate(_asking(chat, scope), prompt, claims):
                if isinstance(event, Grounded):
                    grounded = event
                else:
                    yield Piece(event)
        except ProviderError as error:
            answer = msgspec.structs.replace(answer, notes=(*answer.notes, error.reason))
        watch.lap("generate")
        if grounded is not None:
            answer = _told_by_model(answer, grounded)
            if not grounded.knows or grounded.citations:
                yield _generated(answer, grounded, scope)
                return
    yield _quoted(answer, scope, quotes)


def check_question(question: str) -> None:
    """Raises QuestionEmpty and QuestionTooLong."""
    if not question.strip():
        raise QuestionEmpty(field="question")
    if len(question) > MOST_CHARACTERS:
        raise QuestionTooLong(field="question", length=len(question), limit=MOST_CHARACTERS)


async def whole_workspace(services: Services, tenant_id: UUID) -> Scope:
    """A scope without an assistant of its own: everything of the tenant, default settings."""
    tenant_and_space = (
        select(Tenant, EmbeddingSpace)
        .outerjoin(KnowledgeBase, KnowledgeBase.tenant_id == Tenant.id)
        .outerjoin(EmbeddingSpace, EmbeddingSpace.id == KnowledgeBase.space_id)
        .where(Tenant.id == tenant_id)
    )
    async with services.database.tenant(tenant_id) as session:
        tenant, active = (await session.execute(tenant_and_space)).one()
    space = no_space_yet(services) if active is None else Space.of(active)
    language: Language = "ru" if tenant.language == "ru" else "en"
    return Scope(tenant_id=tenant_id, tenant_number=tenant.number, language=language, space=space)


async def _prepare(services: Services, asked: Asked) -> tuple[Scope, list[Turn]]:
    scope = await whole_workspace(services, asked.tenant_id)
    async with services.database.tenant(asked.tenant_id) as session:
        assistant = await find_assistant(session, asked.tenant_id, asked.assistant_id)
        history = await read_history(session, asked)
    if assistant.status == "paused":
        raise AssistantPaused
    persona = Persona(assistant.role, assistant.prompt, assistant.instructions)
    settings = settings_of(assistant)
    whose = {"settings": settings, "persona": persona, "model": assistant.model}
    return msgspec.structs.replace(scope, **whose, filter=asked.filter, audience=asked.audience), history


def _language(question: str, scope: Scope) -> Language:
    found = language_of(question)
    return scope.language if found == "und" else found


def _chat_model(services: Services, scope: Scope) -> ChatModel | None:
    if services.chat is None or scope.model is None:
        return services.chat
    return services.chat.named(scope.model)


async def _approved(services: Services, scope: Scope, question: str) -> Passage | None:
    """Asked first, so that it needs neither an embedder nor a model."""
    async with services.database.tenant(scope.tenant_id) as session:
        return await find_approved(session, scope.tenant_id, question, scope.sought)


async def _search(services: Services, scope: Scope, terms: Mapping[str, float], vector: Vector | None) -> Found:
    query = Query(
        terms=terms,
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


def _refused(at: int, rule: RefuseTopic, language: Language, timings: dict[str, float]) -> Answer:
    return Answer(
        text=rule.text or text("answer.refused", language),
        language=language,
        confidence=0.0,
        found=(),
        best_sentences=(),
        timings=timings,
        notes=("guardrail",),
        hand_over_wanted="guardrail" if rule.action == "hand_over" else None,
        details={"guardrails": {"refused": at}},
    )


def _asking(chat: ChatModel, scope: Scope) -> Asking:
    return lambda messages, _purpose: chat.stream(messages, max_tokens=scope.settings.most_tokens)


def _told_by_model(answer: Answer, grounded: Grounded) -> Answer:
    """What it used and decided, whether its answer stands or not."""
    details = {**answer.details, "generation": grounded.details}
    if grounded.blocked:
        details["guardrails"] = {"blocked": list(grounded.blocked)}
    wanted = (grounded.reason or "model") if grounded.decision == "hand_over" else None
    notes = (*answer.notes, *grounded.notes)
    return msgspec.structs.replace(answer, usage=grounded.usage, notes=notes, details=details, hand_over_wanted=wanted)


def _generated(answer: Answer, grounded: Grounded, scope: Scope) -> Answer:
    """A clarifying question is no answer: it stands where "I do not know" would."""
    if not grounded.knows:
        return msgspec.structs.replace(answer, text=grounded.text or answer.text)
    whole = with_endings(scope.settings.rules, grounded.text, answer.language)
    return msgspec.structs.replace(
        answer, text=whole, outcome="answered", mode="generated", citations=grounded.citations
    )


def _quoted(answer: Answer, scope: Scope, quotes: Sequence[Quote]) -> Answer:
    least = LEAST_CONFIDENCE if scope.settings.least_confidence is None else scope.settings.least_confidence
    if not quotes or answer.confidence < least:
        return answer
    quotes, blocked = keep_allowed(scope.settings.rules, quotes)
    if blocked:
        answer = msgspec.structs.replace(answer, details={**answer.details, "guardrails": {"blocked": blocked}})
    if not quotes:
        return msgspec.structs.replace(answer, notes=(*answer.notes, "guardrail"))
    quoted, citations = compose(quotes, answer.found, answer.language)
    whole = with_endings(scope.settings.rules, quoted, answer.language)
    return msgspec.structs.replace(answer, text=whole, outcome="answered", mode="quoted", citations=citations)


def _turned(answer: Answer) -> Turned:
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
        details=answer.details,
    )


def _receipt_line(passage: Passage) -> dict[str, Any]:
    kept = ("chunk_id", "document_id", "version_id", "title", "kind", "start", "end", "scores")
    line: dict[str, Any] = msgspec.to_builtins({name: getattr(passage, name) for name in kept})
    return line
