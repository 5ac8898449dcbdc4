"""Answers: what each way of answering makes of what was found, and what is stored of it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from asissto.ingestion.store import Vector
from asissto.platform.chat import ChatMessage, Usage
from asissto.platform.model_calls import ModelCall
from asissto.platform.texts import Language, text
from asissto.retrieval.at_once import MODE as CANNED
from asissto.retrieval.at_once import Reply
from asissto.retrieval.confidence import Judgement
from asissto.retrieval.conversations import Turned
from asissto.retrieval.extractive import Quote
from asissto.retrieval.grounding import Grounded
from asissto.retrieval.guardrails import RefuseTopic, Rule, keep_allowed, with_endings
from asissto.retrieval.handing_over import HandOver
from asissto.retrieval.passages import Citation, Passage
from asissto.retrieval.quoting import Manner, cite, compose

_KEPT_IN_RECEIPT = 10
GUARDRAIL = "guardrail"


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
    vector: Vector | None = None
    """Of the question, as it was searched with; kept with the question and not in the receipt."""
    notes: tuple[str, ...] = ()
    hand_over_wanted: str | None = None
    """Why the model, or a rule of the assistant, wants a person to answer."""
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


def approved_answer(pair: Passage, language: Language, timings: dict[str, float]) -> Answer:
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


def canned_answer(reply: Reply, language: Language, timings: dict[str, float]) -> Answer:
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


def refused_answer(at: int, rule: RefuseTopic, language: Language, timings: dict[str, float]) -> Answer:
    """By the rule of the assistant that stands at this place."""
    return Answer(
        text=rule.text or text("answer.refused", language),
        language=language,
        confidence=0.0,
        found=(),
        best_sentences=(),
        timings=timings,
        notes=(GUARDRAIL,),
        hand_over_wanted=GUARDRAIL if rule.action == "hand_over" else None,
        details={"guardrails": {"refused": at}},
    )


def with_calls(answer: Answer, calls: Sequence[ModelCall], left_out: Sequence[str]) -> Answer:
    """`left_out` are the models that the plan does not include."""
    if left_out:
        notes = (*answer.notes, "model_not_included")
        details = {**answer.details, "not_included": list(left_out)}
        answer = msgspec.structs.replace(answer, notes=notes, details=details)
    if not calls:
        return answer
    told = msgspec.to_builtins(calls)
    return msgspec.structs.replace(answer, calls=tuple(calls), details={**answer.details, "calls": told})


def told_by_model(answer: Answer, grounded: Grounded) -> Answer:
    """What it used and decided, whether its answer stands or not."""
    details = {**answer.details, "generation": grounded.details}
    if grounded.blocked:
        details["guardrails"] = {"blocked": list(grounded.blocked)}
    wanted = (grounded.reason or "model") if grounded.decision == "hand_over" else None
    notes = (*answer.notes, *grounded.notes)
    return msgspec.structs.replace(answer, usage=grounded.usage, notes=notes, details=details, hand_over_wanted=wanted)


def generated(answer: Answer, grounded: Grounded, rules: Sequence[Rule]) -> Answer:
    """A clarifying question is no answer: it stands where "I do not know" would."""
    if not grounded.knows:
        return msgspec.structs.replace(answer, text=grounded.text or answer.text)
    whole = with_endings(rules, grounded.text, answer.language)
    return msgspec.structs.replace(
        answer, text=whole, outcome="answered", mode="generated", citations=grounded.citations
    )


class Quoting(msgspec.Struct, frozen=True, kw_only=True):
    """What may be quoted: `most` quotes of the passages, as far as they are to be trusted and the rules allow it."""

    question: str
    quotes: Sequence[Quote]
    passages: Sequence[Passage]
    judged: Judgement
    rules: Sequence[Rule]
    most: int


def quoted(answer: Answer, what: Quoting) -> Answer:
    """The answer with quotes, or as it is where nothing may be quoted."""
    if not what.quotes or not what.judged.quotable:
        return answer
    quotes, blocked = keep_allowed(what.rules, what.quotes)
    if blocked:
        answer = msgspec.structs.replace(answer, details={**answer.details, "guardrails": {"blocked": blocked}})
    if not quotes:
        return msgspec.structs.replace(answer, notes=(*answer.notes, GUARDRAIL))
    manner = Manner(language=answer.language, question=what.question, unsure=what.judged.zone == "middle")
    said, citations = compose(quotes[: what.most], what.passages, manner)
    whole = with_endings(what.rules, said, answer.language)
    return msgspec.structs.replace(answer, text=whole, outcome="answered", mode="quoted", citations=citations)


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
