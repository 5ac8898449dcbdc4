"""The arithmetic of ranking: which lexemes a question asks for, what each weighs, and how the scores are put together.

A passage's lexical score is BM25 over its header and text together (one label, the header simply comes first):

    norm = K1 * (1 - B + B * length / mean_length)
    lexical = sum over terms of max over spellings of  weight * likeness * idf * tf * (K1 + 1) / (tf + norm)

`length` counts lexemes, repeated ones too; `tf` is `cardinality(positions)` of the lexeme in `unnest(tsvector)`.
The spellings of a term are itself (likeness 1) and, of the vocabulary's lexemes that begin with its `near_prefix`, the
MOST_NEAR ones that share at least NEAR_ENOUGH of their trigrams with it (likeness NEAR_WEIGHT times that share).
They lift xquad_ru from .907/.980 to .925/.990 (hit@1/recall@5); with a third of the long words misspelt, xquad_ru goes
from .846/.971 to .879/.985 and b24_support_ru from .649 to .703 recall@5.

Both scores are taken for the union of the best LEG_SIZE passages of either leg, then

    fused = lexical / max(lexical) + DENSE_WEIGHT * greatest(cosine, 0) / max(cosine)

where a leg whose maximum is 0 gives 0, and the second half is absent where the embedder does not know the question's
language. For a passage without a vector the lexical half stands in for the dense one.
Measured (hit@1/recall@5): xquad_ru .925/.990, xquad_en .959/.997, squad2_en .865/.969, mtragun_en .907/.977,
b24_support_ru .541/.811. Rank fusion gives .961/.989, .833/.948 and .884/.965 on the English three.
"""

import math

K1 = 1.5
B = 0.4
DENSE_WEIGHT = 1.25  # 1 to 1.5 is one plateau; below and above it every English set loses
LEG_SIZE = 60

NEAR_ENOUGH = 0.4
NEAR_WEIGHT = 0.8
MOST_NEAR = 3


def near_prefix(lexeme: str) -> str | None:
    """What a lexeme's misspellings and kin begin with; None where a near word would be another word."""
    return lexeme[: max(4, (len(lexeme) + 1) // 2)] if len(lexeme) > 4 and lexeme.isalpha() else None


def idf(df: int, passages: int) -> float:
    """The inverse document frequency of BM25, never negative: ln(1 + (N - df + .5) / (df + .5))."""
    return math.log(1 + (max(passages, df) - df + 0.5) / (df + 0.5))


def likeness(term: str, word: str) -> float:
    """What a word counts for in the place of a term: 1 for the term itself, 0 when it is not near enough."""
    if term == word:
        return 1.0
    prefix = near_prefix(term)
    if prefix is None or not word.startswith(prefix):
        return 0.0
    left, right = _trigrams(term), _trigrams(word)
    shared = len(left & right) / len(left | right)
    return NEAR_WEIGHT * shared if shared >= NEAR_ENOUGH else 0.0


def _trigrams(word: str) -> set[str]:
    """Padded as pg_trgm pads them."""
    padded = f"  {word} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}
