"""The arithmetic of ranking: which lexemes a question asks for, what each weighs, and how the scores are put together.

A passage's lexical score is BM25 over its header and text together (one label, the header simply comes first). Terms of
one `group` are spellings of the same word, and only the best of them counts:

    norm = K1 * (1 - B + B * length / mean_length)
    lexical = sum over groups of max over terms of  weight * tf * (K1 + 1) / (tf + norm)

`tf` is `cardinality(positions)` of the lexeme in `unnest(tsvector)`; from a single-lexeme rank it is
`0.6079 / (1 - ts_rank('{1,1,1,1}', tsvector, lexeme)) - 0.5`, since ts_rank sums 1/j² over the occurrences.
`length` counts lexemes, repeated ones too. `weight` is `Term.weight`: IDF is already in it.

Both scores are taken for the union of the best LEG_SIZE passages of either leg, then

    fused = lexical / max(lexical) + DENSE_WEIGHT * greatest(cosine, 0) / max(cosine)

where a leg whose maximum is 0 gives 0, and the second half is absent in languages that the embedder does not know.
Measured (hit@1/recall@5): xquad_ru .925/.990, xquad_en .956/.998, squad2_en .865/.969, mtragun_en .919/.977,
b24_support_ru .568/.811. Rank fusion gives .961/.989, .833/.948 and .884/.965 on the English three.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from asissto.ingestion.lexemes import question_terms

K1 = 1.5
B = 0.4
DENSE_WEIGHT = 1.25  # 1 to 1.5 is one plateau; below and above it every English set loses
LEG_SIZE = 60

_PREVIOUS_NEEDED = 0.6
_PREVIOUS_UNNEEDED = 0.2  # costs .003 of hit@1 when the subject has changed; .5 costs .13
_NEAR_ENOUGH = 0.4
_NEAR_WEIGHT = 0.8
_MOST_NEAR = 3

_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|this|these|those|he|she|him|он|она|оно|они|его|ее|её|ей|ему|им|их|нем|нём|ней|них"
    r"|это|этот|эта|эти|этого|этому|этой|этим|этом|этих|там|тогда|туда|такой|такое|такая|такие|такого|теперь|потом)\b"
    r"|^\W*(?:а|и|но|and|but|then|what about|how about)\b",
    re.IGNORECASE,
)


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """A lexeme to look up; terms of one `group` stand for the same word of the question."""

    group: int
    lexeme: str
    weight: float


def follow_up_terms(question: str, history: Sequence[str]) -> dict[str, float]:
    """Lexemes of the question at weight 1, then those of the user's message before it; `history` is oldest first.

    Recall@5 without and with the message before, lexical alone: mtragun_en .907, .942; twelve Russian dialogs .42, .83.
    """
    terms = dict.fromkeys(question_terms(question), 1.0)
    if history:
        weight = _PREVIOUS_NEEDED if leans_on_history(question) else _PREVIOUS_UNNEEDED
        for lexeme in question_terms(history[-1]):
            terms.setdefault(lexeme, weight)
    return terms


def search_text(question: str, history: Sequence[str]) -> str:
    """The text to embed: a question that leans on the message before it is joined to it."""
    return f"{history[-1]}\n{question}" if history and leans_on_history(question) else question


def leans_on_history(question: str) -> bool:
    """Whether the question hardly makes sense alone: one content word, or a short one that points back."""
    content = len(question_terms(question))
    return content <= 1 or (content <= 5 and bool(_POINTS_BACK.search(question)))


def near_prefix(lexeme: str) -> str | None:
    """What a lexeme's misspellings and kin begin with; None where a near word would be another word."""
    return lexeme[: max(4, (len(lexeme) + 1) // 2)] if len(lexeme) > 4 and lexeme.isalpha() else None


def weigh(terms: Mapping[str, float], df: Mapping[str, int], passages: int) -> list[Term]:
    """The terms to search for: those of the question, and up to three near lexemes of the vocabulary for each.

    `df` holds the number of passages for each term and for the lexemes that begin with its `near_prefix`.
    Near lexemes lift xquad_ru from .907/.980 to .925/.990 (hit@1/recall@5); with a third of the long words misspelt,
    xquad_ru goes from .846/.971 to .884/.985 and b24_support_ru from .649 to .703 recall@5.
    """
    found = []
    for group, (lexeme, weight) in enumerate(terms.items()):
        for spelling, likeness in [(lexeme, 1.0), *_near(lexeme, df)]:
            if spelling in df:
                found.append(Term(group=group, lexeme=spelling, weight=weight * likeness * idf(df[spelling], passages)))
    return found


def idf(df: int, passages: int) -> float:
    """The inverse document frequency of BM25, never negative: ln(1 + (N - df + .5) / (df + .5))."""
    return math.log(1 + (max(passages, df) - df + 0.5) / (df + 0.5))


def _near(lexeme: str, vocabulary: Iterable[str]) -> list[tuple[str, float]]:
    prefix = near_prefix(lexeme)
    if prefix is None:
        return []
    kin = [(word, _likeness(lexeme, word)) for word in vocabulary if word.startswith(prefix) and word != lexeme]
    best = sorted((pair for pair in kin if pair[1] >= _NEAR_ENOUGH), key=lambda pair: (-pair[1], pair[0]))[:_MOST_NEAR]
    return [(word, _NEAR_WEIGHT * likeness) for word, likeness in best]


def _likeness(one: str, other: str) -> float:
    """Share of common trigrams (Jaccard, the words padded as pg_trgm pads them)."""
    left, right = _trigrams(one), _trigrams(other)
    return len(left & right) / len(left | right)


def _trigrams(word: str) -> set[str]:
    padded = f"  {word} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}
