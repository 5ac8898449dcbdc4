"""Parts a generated answer into claims, each with the sources that it names."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from asissto.ingestion.sentences import sentence_spans
from asissto.platform.texts import Language
from asissto.retrieval.guardrails import Rule
from asissto.retrieval.markers import Piece
from asissto.retrieval.passages import Passage

# "days [1]." leaves a space before the full stop when the mark is taken out.
_SPACE_LEFT = re.compile(r"\s+(?=[.,;:!?…])")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_WHOLE = re.compile(r"[.!?…][\"'»”)\]*_]*\s*\Z")


class Claims(msgspec.Struct, frozen=True):
    """What an answer is checked against."""

    question: str
    passages: Sequence[Passage]
    idf: Mapping[str, float]
    language: Language
    rules: Sequence[Rule] = ()


class Claim(msgspec.Struct, frozen=True):
    """A sentence of the answer without its marks, the sources it names, and what parts it from the one before."""

    text: str
    sources: tuple[int, ...]
    gap: str = " "


def split_claims(pieces: Sequence[Piece], *, cut: bool = False) -> list[Claim]:
    """The sentences with their marks; a mark belongs to the sentence that it stands in or right behind.

    Where the answer was `cut` at its greatest length, a last sentence without its end is left out.
    """
    text, marks = "", list[tuple[int, int]]()
    for piece in pieces:
        if isinstance(piece, str):
            text += _LINE_BREAK.sub(" ", piece)
        else:
            marks.append((len(text.rstrip()), piece))
    spans = sentence_spans(text)
    if cut and spans and not _WHOLE.search(text[spans[-1][0] : spans[-1][1]]):
        spans.pop()
    claims, before = [], 0
    for start, end in spans:
        sources = dict.fromkeys(number for at, number in marks if start < at <= end)
        gap = "\n" if "\n" in text[before:start] else " "
        claims.append(Claim(_SPACE_LEFT.sub("", " ".join(text[start:end].split())), tuple(sources), gap))
        before = end
    return claims
