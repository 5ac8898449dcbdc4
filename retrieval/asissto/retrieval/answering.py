"""From a question to a cited answer or an honest "I do not know": the steps in their order, on one page."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import msgspec

from asissto.ingestion.store import Vector
from asissto.platform.chat import ChatDelta, ChatEnd, ChatMessage, ChatModel
from asissto.platform.errors import ProviderError, QuestionEmpty, QuestionTooLong
from asissto.platform.languages import language_of
from asissto.platform.model_calls import ModelCall, Purpose
from asissto.platform.model_chain import chain_for
from asissto.platform.reranking import Reranker
from asissto.platform.services import Services
from asissto.platform.stopwatch import Stopwatch
from asissto.platform.texts import Language, text
from asissto.retrieval.answers import (
    Answer,
    Piece,
    Quoting,
    approved_answer,
    canned_answer,
    generated,
    quoted,
    refused_answer,
    told_by_model,
    with_calls,
)
from asissto.retrieval.approved import find_approved
from asissto.retrieval.at_once import reply_at_once
from asissto.retrieval.claims import Claims
from asissto.retrieval.confidence import gather, judge
from asissto.retrieval.courtesies import opens_chat
from asissto.retrieval.dense import Dense
from asissto.retrieval.explaining import explain
from asissto.retrieval.extractive import quote_answer, read
from asissto.retrieval.generation import Prompt, Turn, lay_out
from asissto.retrieval.grounding import Grounded, generate
from asissto.retrieval.guardrails import orders, refusal
from asissto.retrieval.passages import Passage
from asissto.retrieval.reranking import rerank
from asissto.retrieval.rewriting import Sought, rewrite
from asissto.retrieval.scopes import Scope
from asissto.retrieval.search import Found, Query, search
from asissto.retrieval.selecting import select_passages
from asissto.retrieval.speaking import QUOTES
from asissto.retrieval.spelling import as_meant, variants
from asissto.retrieval.suspicion import without_orders

MOST_CHARACTERS = 4000
"""Of a question; longer ones are letters, not questions, and nobody reads them word by word."""

FOUND = 30
"""Passages that the search gives: enough for ten different ones in an evaluation, few enough to read."""


def check_question(question: str) -> None:
    """Raises QuestionEmpty and QuestionTooLong."""
    if not question.strip():
        raise QuestionEmpty(field="question")
    if len(question) > MOST_CHARACTERS:
        raise QuestionTooLong(field="question", length=len(question), limit=MOST_CHARACTERS)


async def answer_question(
    services: Services, scope: Scope, question: str, history: Sequence[Turn], calls: list[ModelCall] | None = None
) -> Answer:
    """An answer that is not stored."""
    async with aclosing(answer_in_pieces(services, scope, question, history, calls)) as events:
        async for event in events:
            if isinstance(event, Answer):
                return event
    raise AssertionError("the last event is the answer")


async def answer_in_pieces(
    services: Services, scope: Scope, question: str, history: Sequence[Turn], calls: list[ModelCall] | None = None
) -> AsyncGenerator[Piece | Answer, None]:
    """The answer tells every call of a model; `calls` gets them as they are made."""
    made: list[ModelCall] = [] if calls is None else calls
    chat = chain_for(services, scope.tenant_id, scope.settings.models, scope.model, made)
    task = _Task(services=services, scope=scope, asked=question, history=history, chat=chat, calls=made)
    try:
        async with aclosing(_steps(task)) as events:
            async for event in events:
                yield event if isinstance(event, Piece) else with_calls(event, made, chat.left_out if chat else ())
    finally:
        if chat is not None:
            await chat.close()


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    services: Services
    scope: Scope
    asked: str
    history: Sequence[Turn]
    chat: ChatModel | None
    calls: list[ModelCall]


class _Material(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer may be made of, and the answer where nothing is made of it."""

    found: Found
    quoting: Quoting
    nothing: Answer


async def _steps(task: _Task) -> AsyncGenerator[Piece | Answer, None]:
    watch, scope = Stopwatch(), task.scope
    question = as_meant(task.asked)
    language = _language(question, scope)
    pair = await _approved(task, question)
    watch.lap("pair")
    if pair is not None:
        yield approved_answer(pair, language, watch.timings)
        return
    at_once = _at_once(question, scope, language, watch)
    if at_once is not None:
        yield at_once
        return
    material = await _find(task, question, language, watch)
    answer = material.nothing
    if task.chat is not None and material.quoting.judged.zone != "none":
        prompt = _prompt(task, material)
        answer = msgspec.structs.replace(answer, messages=prompt.messages)
        grounded = None
        try:
            async with aclosing(_generate(task, task.chat, prompt, material)) as events:
                async for event in events:
                    if isinstance(event, Grounded):
                        grounded = event
                    else:
                        yield Piece(event)
        except ProviderError as error:
            answer = msgspec.structs.replace(answer, notes=(*answer.notes, error.reason))
        watch.lap("generate")
        if grounded is not None:
            answer = told_by_model(answer, grounded)
            if not grounded.knows or grounded.citations:
                yield generated(answer, grounded, scope.settings.rules)
                return
    yield quoted(answer, material.quoting)


def _at_once(question: str, scope: Scope, language: Language, watch: Stopwatch) -> Answer | None:
    """For what needs no documents: courtesies, calls for a person, topics that the assistant refuses."""
    reply = reply_at_once(question, scope.settings, language)
    refused = refusal(scope.settings.rules, question) if reply is None else None
    watch.lap("at_once")
    if reply is not None:
        return canned_answer(reply, language, watch.timings)
    return None if refused is None else refused_answer(*refused, language, watch.timings)


async def _find(task: _Task, question: str, language: Language, watch: Stopwatch) -> _Material:
    services, settings = task.services, task.scope.settings
    sought = await rewrite(task.chat, question, task.history)
    watch.lap("rewrite")
    dense = Dense(services, task.scope.tenant_id, task.scope.space, task.calls)
    vector = await dense.vector(sought.text)
    watch.lap("embed")
    found = await _search(services, task.scope, sought, vector)
    watch.lap("search")
    ranked, notes = await rerank(_reranker(services, task.scope), question, found.passages)
    watch.lap("rerank")
    selection = select_passages(ranked, settings.passages, settings.passage_tokens)
    shortened = without_orders(selection.kept, settings.suspicious)
    watch.lap("select")
    reading = read(question, found.as_read(sought.terms), found.idf(), shortened.passages)
    watch.lap("read")
    likeness = await dense.likeness(reading)
    cosines = None if likeness is None else likeness.cosines
    judged = judge(gather(reading, cosines, found.passages), settings.calibration, settings.least_confidence)
    quotes = quote_answer(reading, likeness)
    watch.lap("weigh")
    nothing = Answer(
        text=settings.unknown_text or text("answer.unknown", language),
        language=language,
        confidence=round(judged.confidence, 4),
        found=ranked,
        best_sentences=tuple(quote.text for quote in quotes),
        timings=watch.timings,
        vector=vector,
        notes=(*sought.notes, *dense.notes, *notes),
        details={
            "confidence": judged.told(),
            "rewrite": sought.details,
            "search": explain(task.asked, question, found, selection),
            **({"suspicious": list(shortened.flagged)} if shortened.flagged else {}),
        },
    )
    quoting = Quoting(
        question=question,
        quotes=quotes,
        passages=shortened.passages,
        judged=judged,
        rules=settings.rules,
        most=QUOTES[settings.answer_length],
    )
    return _Material(found=found, quoting=quoting, nothing=nothing)


def _prompt(task: _Task, material: _Material) -> Prompt:
    persona = msgspec.structs.replace(task.scope.persona, orders=tuple(orders(task.scope.settings.rules)))
    what, language = material.quoting, material.nothing.language
    return lay_out(what.question, what.passages, task.history, persona, language)


def _generate(
    task: _Task, chat: ChatModel, prompt: Prompt, material: _Material
) -> AsyncGenerator[str | Grounded, None]:
    """Raises ProviderError."""
    settings, what = task.scope.settings, material.quoting
    said = [turn.text for turn in task.history if turn.role == "user"]
    known, idf = "\n".join((*said, what.question)), material.found.idf()
    claims = Claims(known, what.passages, idf, material.nothing.language, settings.rules)

    def ask(messages: Sequence[ChatMessage], purpose: Purpose) -> AsyncIterator[ChatDelta | ChatEnd]:
        most, temperature = settings.most_tokens, settings.temperature
        return chat.stream(messages, max_tokens=most, temperature=temperature, purpose=purpose)

    return generate(ask, prompt, claims)


def _language(question: str, scope: Scope) -> Language:
    if scope.settings.language != "auto":
        return scope.settings.language
    found = "und" if opens_chat(question) else language_of(question)
    return scope.language if found == "und" else found


def _reranker(services: Services, scope: Scope) -> Reranker | None:
    return services.reranker if scope.settings.rerank else None


async def _approved(task: _Task, question: str) -> Passage | None:
    """Asked first, so that it needs neither an embedder nor a model."""
    async with task.services.database.tenant(task.scope.tenant_id) as session:
        return await find_approved(session, task.scope.tenant_id, question, task.scope.sought)


async def _search(services: Services, scope: Scope, sought: Sought, vector: Vector | None) -> Found:
    query = Query(
        terms=sought.search_terms,
        variants=variants(sought.words),
        vector=vector,
        space_id=scope.space.id,
        collections=scope.sought.collections,
        wanted=FOUND,
        filters=scope.sought.filters,
        audience=scope.sought.audience,
    )
    async with services.database.tenant(scope.tenant_id) as session:
        return await search(session, scope.tenant_id, scope.tenant_number, query)
