"""The arithmetic of ranking: which lexemes a question asks for, what each weighs, and how the scores are put together.

A passage's lexical score is BM25 over its header and text together (one label, the header simply comes first):

    norm = K1 * (1 - B + B * length / mean_length)
    lexical = sum over terms of max over spellings of  weight * likeness * idf * tf * (K1 + 1) / (tf + norm)

`length` counts lexemes, repeated ones too; `tf` is `cardinality(positions)` of the lexeme in `unnest(tsvector)`.
The spellings of a term are itself (likeness 1) and, of the vocabulary's lexemes that begin with its `near_prefix`, the
MOST_NEAR ones that share at least NEAR_ENOUGH of their trigrams with it (likeness NEAR_WEIGHT times that share).
They lift xquad_ru from .907/.980 to .925/.990 (hit@1/recall@5); with a third of the long words misspelt, xquad_ru goes
from .846/.971 to .879/.985 and b24_support_ru from .649 to .703 recall@5.

A term that no passage has is looked for in what it may have been meant for (`spelling`), and if that is nowhere either,
among the lexemes with its ending, whose beginning may be misspelt: FAR_ENOUGH of the trigrams do. With a third of the
words of four letters or more misspelt anywhere, xquad_ru goes from .858/.948 to .886/.959, typed in the other layout
from .141/.222 to .920/.985, written in Latin letters from .181/.302 to .915/.982 (hit@1/recall@5, words alone).

The lexical score is multiplied by the share of the terms that a passage has, to the power of COVERAGE: it decides near
ties. hit@1 rises by .002 on xquad_ru, .007 on xquad_en, .02 on docs, and falls by .01 on squad2_en; recall@5 of
mtragun_en rises by .006. Neighbouring words (a window of 3, 6 or 12), the best sentence's coverage, the words of the
section around or of the whole document each helped one or two sets and cost as many.

Both scores are taken for the union of the best LEG_SIZE passages of either leg, then

    fused = lexical / max(lexical) + DENSE_WEIGHT * greatest(cosine, 0) / max(cosine)

where a leg whose maximum is 0 gives 0, and the second half is absent where the embedder does not know the question's
language. For a passage without a vector the lexical half stands in for the dense one.
Measured (hit@1/recall@5): xquad_ru .925/.990, xquad_en .959/.997, squad2_en .865/.969, mtragun_en .907/.977,
b24_support_ru .541/.811. Rank fusion gives .961/.989, .833/.948 and .884/.965 on the English three.
"""

import math
import re

K1 = 1.5
B = 0.4
DENSE_WEIGHT = 1.25  # 1 to 1.5 is one plateau; below and above it every English set loses
LEG_SIZE = 60
CODE_WEIGHT = 1.5  # who types an article or telephone number means that one

NEAR_ENOUGH = 0.4
NEAR_WEIGHT = 0.8
MOST_NEAR = 3
FAR_ENOUGH = 0.3  # nothing else stands for the word; from .25 to .4 the same
COVERAGE = 0.1  # .05 to .15 is one plateau

_CODE = re.compile(r"(?=.{4}).*[^\W\d_].*\d.*|\d{5,}")  # neither a year nor the 11th


def own_weight(term: str) -> float:
    """Of a term of the question itself."""
    return CODE_WEIGHT if _CODE.fullmatch(term) else 1.0


def near_prefix(lexeme: str) -> str | None:
    """What a lexeme's misspellings and kin begin with; None where a near word would be another word."""
    return lexeme[: max(4, (len(lexeme) + 1) // 2)] if len(lexeme) > 4 and lexeme.isalpha() else None


def far_ending(lexeme: str) -> str | None:
    """What a lexeme ends with, from behind, where its beginning may be misspelt; None as for `near_prefix`."""
    prefix = near_prefix(lexeme)
    return None if prefix is None else lexeme[-len(prefix) :][::-1]


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
