"""Holds a generated answer to its sources: each sentence is proved by a quote, and what nobody says is dropped."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from asissto.ingestion.lexemes import is_stop, lexemes
from asissto.platform.chat import ChatDelta, ChatEnd, ChatMessage, Usage
from asissto.platform.errors import ProviderError
from asissto.platform.model_calls import Purpose
from asissto.retrieval.citations import SUPPORTED, covered, numbers
from asissto.retrieval.claims import Claim, Claims, split_claims
from asissto.retrieval.contradictions import strange_names
from asissto.retrieval.extractive import CELL_EDGE
from asissto.retrieval.fields import Fields, FieldsReader
from asissto.retrieval.generation import NO_ANSWER, PROMPT_VERSION, Prompt, once_more
from asissto.retrieval.guardrails import broken, stops_all
from asissto.retrieval.markers import MarkerReader, Piece
from asissto.retrieval.output_checks import MOST_CHARACTERS, Checks, Screen, checks, faults, is_in
from asissto.retrieval.passages import Citation
from asissto.retrieval.proofs import Located, Proof, Sources, locate_quotes, prove
from asissto.retrieval.quoting import number_of

Asking = Callable[[Sequence[ChatMessage], Purpose], AsyncIterator[ChatDelta | ChatEnd]]
"""Puts messages to a model; the second argument is the purpose, answer or regenerate."""

_NAMED_FAILURES = 5
_LONGEST_CLARIFICATION = 300


class Grounded(msgspec.Struct, frozen=True, kw_only=True):
    """`knows` is False where the model found no answer in the sources; no citations: nothing of it was supported.

    `decision` and `reason` are the model's own; `text` is a question to the customer where it is clarify. `notes` say
    what was dropped, `blocked` are the places of the rules that dropped sentences, `details` go into the receipt.
    """

    text: str
    knows: bool
    citations: tuple[Citation, ...] = ()
    usage: tuple[Usage, ...] = ()
    notes: tuple[str, ...] = ()
    decision: str = "answer"
    reason: str = ""
    blocked: tuple[int, ...] = ()
    details: dict[str, Any] = {}


class Draft(msgspec.Struct, kw_only=True):
    """What came from the model, in parts; `finish` is its word for why it ended, `unknown` counts invented numbers."""

    pieces: list[Piece] = []
    fields: Fields = Fields()
    usage: Usage | None = None
    finish: str = ""
    unknown: int = 0

    @property
    def text(self) -> str:
        return _text(self.pieces)


async def generate(ask: Asking, prompt: Prompt, claims: Claims) -> AsyncGenerator[str | Grounded, None]:
    """Text as it comes, without marks, then what stood the check; raises ProviderError.

    Where nothing stood, or the language is wrong, the model is told so and asked once more, unseen by the reader.
    """
    against = checks(prompt.mark, prompt.private, [passage.text for passage in claims.passages])
    draft = Draft()
    async for shown in _read(ask(prompt.messages, "answer"), prompt, claims, Screen(against), draft):
        yield shown
    grounded = ground(draft, claims, against)
    reasons = _failures(draft, grounded, claims)
    if reasons:
        again = Draft()
        messages = once_more(prompt, draft.text, reasons)
        try:
            async for _ in _read(ask(messages, "regenerate"), prompt, claims, None, again):
                pass
            grounded = _second(grounded, ground(again, claims, against))
        except ProviderError as error:
            notes = (*grounded.notes, "regenerated", error.reason)
            grounded = msgspec.structs.replace(grounded, notes=notes)
    yield grounded


def ground(draft: Draft, claims: Claims, against: Checks) -> Grounded:
    """Keeps the sentences that their sources support; a sentence that others support better is pointed to them."""
    text, fields = draft.text.strip(), draft.fields
    count = Counter[str](unknown_numbers=draft.unknown)
    if fields.decision == "no_answer" or text.startswith(NO_ANSWER):
        return _grounded(draft, count, text="", knows=False, decision="no_answer")
    if fields.decision == "clarify":
        if _may_ask(text, claims, against):
            return _grounded(draft, count, text=text, knows=False)
        return _grounded(draft, count, text="")
    sources = Sources(claims)
    located = locate_quotes(fields.quotes, sources)
    count.update(quotes=len(fields.quotes), quotes_not_located=located.missing)
    answer = _Answer(claims, sources, located, against, count)
    if is_in(claims.language, text):
        for claim in split_claims(draft.pieces, cut=draft.finish == "length"):
            answer.add(claim)
    else:
        count["wrong_language"] += 1
    if stops_all(claims.rules, answer.blocked):
        answer.kept, answer.citations = [], []
    whole = "".join(answer.kept).strip()
    return _grounded(
        draft, count, text=whole, citations=tuple(answer.citations), blocked=tuple(dict.fromkeys(answer.blocked))
    )


class _Answer:
    """The answer as it grows claim by claim."""

    def __init__(
        self, claims: Claims, sources: Sources, located: Located, against: Checks, count: Counter[str]
    ) -> None:
        self.kept: list[str] = []
        self.citations: list[Citation] = []
        self.blocked: list[int] = []
        self._claims, self._sources, self._located, self._against = claims, sources, located, against
        self._count = count

    def add(self, claim: Claim) -> None:
        """Or count why not."""
        self._count["sentences"] += 1
        found = faults(claim.text, self._against)
        if found or sum(map(len, self.kept)) + len(claim.text) > MOST_CHARACTERS:
            self._count.update([f"refused_{fault}" for fault in found or ["length"]])
            return
        proof = prove(claim, self._sources, self._located)
        if proof is None:
            self._count["unsupported_sentences"] += 1
            return
        rules = self._broken(claim, proof)
        if rules:
            self.blocked += rules
            self._count["blocked_sentences"] += 1
            return
        self._keep(claim, proof)

    def _keep(self, claim: Claim, proof: Proof) -> None:
        named = {number - 1 for number in claim.sources}
        self._count.update(
            {
                "quoted_by_model": proof.by == "model",
                "cross_language": proof.cross_language,
                "pointed_elsewhere": bool(named) and not named & {span[0] for span in proof.spans},
            }
        )
        marks = "".join(f"[{number}]" for number in dict.fromkeys(self._number(span, proof) for span in proof.spans))
        self.kept.append(f"{claim.gap}{claim.text} {marks}")

    def _number(self, span: tuple[int, int, int], proof: Proof) -> int:
        passage = self._claims.passages[span[0]]
        stored = (passage.start + span[1], passage.start + span[2])
        return number_of(self.citations, passage, stored, proof.score, self._claims.language)

    def _broken(self, claim: Claim, proof: Proof) -> list[int]:
        heads = " ".join(
            line.window for span in proof.spans for line in self._sources.between(span) if CELL_EDGE in line.text
        )
        return broken(self._claims.rules, claim.text, heads)


async def _read(
    events: AsyncIterator[ChatDelta | ChatEnd], prompt: Prompt, claims: Claims, screen: Screen | None, draft: Draft
) -> AsyncIterator[str]:
    """What may be shown while the draft fills."""
    marks, fields = MarkerReader(len(claims.passages)), FieldsReader(prompt.mark)
    shown = ""
    async for event in events:
        if isinstance(event, ChatEnd):
            draft.usage, draft.finish = event.usage, event.finish
            continue
        fresh = marks.feed(fields.feed(event.text))
        draft.pieces += fresh
        shown += screen.pass_on(_text(fresh)) if screen else ""
        if shown and not NO_ANSWER.startswith(shown.strip()[: len(NO_ANSWER)]):
            yield shown
            shown = ""
    last = [*marks.feed(fields.close()), *marks.close()]
    draft.pieces += last
    draft.fields, draft.unknown = fields.fields(), marks.unknown
    if screen:
        shown += screen.pass_on(_text(last)) + screen.rest()
    if shown and not draft.text.strip().startswith(NO_ANSWER):
        yield shown


def _second(first: Grounded, second: Grounded) -> Grounded:
    return msgspec.structs.replace(
        second,
        usage=first.usage + second.usage,
        notes=(*first.notes, "regenerated", *second.notes),
        blocked=tuple(dict.fromkeys(first.blocked + second.blocked)),
        details={**second.details, "attempts": 2, "first": first.details},
    )


def _failures(draft: Draft, grounded: Grounded, claims: Claims) -> list[str]:
    """Why the model is asked once more; nothing where the answer stands or there is none."""
    if not grounded.knows or grounded.citations or (grounded.blocked and stops_all(claims.rules, grounded.blocked)):
        return []
    if grounded.decision == "clarify" or (grounded.decision == "hand_over" and not draft.text.strip()):
        return []
    if not draft.text.strip():
        return ["it was empty"]
    if not is_in(claims.language, draft.text):
        return [f"it must be written in {'Russian' if claims.language == 'ru' else 'English'}, every sentence of it"]
    failed = [claim.text for claim in split_claims(draft.pieces)][:_NAMED_FAILURES]
    return [f'the sources do not say "{sentence[:200]}"' for sentence in failed]


def _may_ask(text: str, claims: Claims, against: Checks) -> bool:
    """A question to the customer is no claim, but its words come from the sources: a customer's may be a trap."""
    known = [passage.text for passage in claims.passages]
    said = [lexeme for lexeme in lexemes(text) if not is_stop(lexeme)]
    return (
        text.endswith("?")
        and len(text) <= _LONGEST_CLARIFICATION
        and is_in(claims.language, text)
        and not faults(text, against)
        and not broken(claims.rules, text)
        and bool(said)
        and covered(text, known, {}) >= SUPPORTED
        and numbers(text) <= set[str]().union(*map(numbers, known))
        and not strange_names(text, known)
    )


def _grounded(  # noqa: PLR0913 - what an answer is made of
    draft: Draft,
    count: Counter[str],
    *,
    text: str,
    knows: bool = True,
    citations: tuple[Citation, ...] = (),
    decision: str = "",
    blocked: tuple[int, ...] = (),
) -> Grounded:
    counted = {name: number for name, number in sorted(count.items()) if number}
    noted = ("unsupported_sentences", "blocked_sentences", "wrong_language", "unknown_numbers", "quotes_not_located")
    refused = sum(number for name, number in counted.items() if name.startswith("refused_"))
    notes = [f"{name}:{counted[name]}" for name in noted if name in counted] + [f"refused_sentences:{refused}"] * bool(
        refused
    )
    details = {
        "prompt_version": PROMPT_VERSION,
        "decision": decision or draft.fields.decision,
        "reason": draft.fields.reason,
        "fields": draft.fields.told,
        "finish": draft.finish,
        "attempts": 1,
        **counted,
    }
    return Grounded(
        text=text,
        knows=knows,
        citations=citations,
        usage=() if draft.usage is None else (draft.usage,),
        notes=tuple(notes),
        decision=decision or draft.fields.decision,
        reason=draft.fields.reason,
        blocked=blocked,
        details=details,
    )


def _text(pieces: Sequence[Piece]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))
