"""Holds a generated answer to its sources: each sentence is checked, each mark becomes a quote, the rest is dropped."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from asissto.ingestion.sentences import sentence_spans
from asissto.platform.chat import ChatDelta, ChatMessage, ChatModel, Usage
from asissto.platform.texts import Language
from asissto.retrieval.assistants import AssistantSettings
from asissto.retrieval.citations import support
from asissto.retrieval.generation import NO_ANSWER
from asissto.retrieval.markers import MarkerReader, Piece
from asissto.retrieval.passages import Citation, Passage
from asissto.retrieval.quoting import cite

# "days [1]." leaves a space before the full stop when the mark is taken out.
_SPACE_LEFT = re.compile(r"\s+(?=[.,;:!?…])")


class Grounded(msgspec.Struct, frozen=True, kw_only=True):
    """`knows` is False where the model found no answer in the sources; no citations: nothing of it was supported.

    `notes` say what was dropped.
    """

    text: str
    knows: bool
    citations: tuple[Citation, ...]
    usage: Usage | None
    notes: tuple[str, ...] = ()


class Claims(msgspec.Struct, frozen=True):
    """What an answer is checked against."""

    question: str
    passages: Sequence[Passage]
    idf: Mapping[str, float]
    language: Language


class Claim(msgspec.Struct, frozen=True):
    """A sentence of the answer without its marks, and the sources it names."""

    text: str
    sources: tuple[int, ...]


async def generate(
    chat: ChatModel, messages: Sequence[ChatMessage], claims: Claims, settings: AssistantSettings
) -> AsyncIterator[str | Grounded]:
    """Text as it comes, without marks, then what stood the check; raises ProviderError."""
    reader = MarkerReader(len(claims.passages))
    pieces: list[Piece] = []
    usage: Usage | None = None
    shown = ""
    async for event in chat.stream(messages, max_tokens=settings.most_tokens, temperature=settings.temperature):
        if isinstance(event, ChatDelta):
            fresh = reader.feed(event.text)
            pieces += fresh
            shown += _plain(fresh)
            if shown and not NO_ANSWER.startswith(shown.strip()[: len(NO_ANSWER)]):
                yield shown
                shown = ""
        else:
            usage = event.usage
    pieces += reader.close()
    if _plain(pieces).strip().startswith(NO_ANSWER):
        yield Grounded(text="", knows=False, citations=(), usage=usage)
    else:
        yield ground(pieces, claims, usage)


def ground(pieces: Sequence[Piece], claims: Claims, usage: Usage | None) -> Grounded:
    """Keeps the sentences that their sources support; a sentence that others support better is pointed to them."""
    citations: list[Citation] = []
    kept: list[str] = []
    dropped = 0
    for claim in split_claims(pieces):
        sources = _supporting(claim, claims)
        if not sources:
            dropped += 1
            continue
        marks = "".join(f"[{_number(citations, claim.text, source, claims)}]" for source in sources)
        kept.append(f"{claim.text} {marks}")
    notes = (f"unsupported_sentences:{dropped}",) if dropped else ()
    return Grounded(text=" ".join(kept), knows=True, citations=tuple(citations), usage=usage, notes=notes)


def split_claims(pieces: Sequence[Piece]) -> list[Claim]:
    """The sentences with their marks; a mark belongs to the sentence that it stands in or right behind."""
    text, marks = "", list[tuple[int, int]]()
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
        else:
            marks.append((len(text.rstrip()), piece))
    claims = []
    for start, end in sentence_spans(text):
        sources = dict.fromkeys(number for at, number in marks if start < at <= end)
        claims.append(Claim(_SPACE_LEFT.sub("", " ".join(text[start:end].split())), tuple(sources)))
    return claims


def _supporting(claim: Claim, claims: Claims) -> list[int]:
    """Numbers of the sources that hold the claim: those it names, else the one that supports it best."""
    named = [claims.passages[number - 1].text for number in claim.sources]
    if named and support(claim.text, named, claims.question, claims.idf).holds:
        return list(claim.sources)
    weighed = [support(claim.text, [passage.text], claims.question, claims.idf) for passage in claims.passages]
    best = max(range(len(weighed)), key=lambda at: (weighed[at].holds, weighed[at].score))
    return [best + 1] if weighed[best].holds else []


def _number(citations: list[Citation], claim: str, source: int, claims: Claims) -> int:
    """The mark of the sentence in the source that says the claim; two claims may share a quote."""
    passage = claims.passages[source - 1]
    spans = sentence_spans(passage.text)
    scores = [support(claim, [passage.text[start:end]], claims.question, claims.idf).score for start, end in spans]
    start, end = spans[scores.index(max(scores))]
    for citation in citations:
        if (citation.start, citation.passage.version_id) == (passage.start + start, passage.version_id):
            return citation.number
    number = len(citations) + 1
    span = (passage.start + start, passage.start + end)
    citations.append(cite(number, passage, span, max(scores), claims.language))
    return number


def _plain(pieces: Sequence[Piece]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))
