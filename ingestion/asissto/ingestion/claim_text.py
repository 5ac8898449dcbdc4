"""Tells what the words of a claim are about, what they name, and what they deny."""

import re
from collections.abc import Sequence
from itertools import pairwise

from asissto.ingestion.claim_words import CAN, NEGATIVE, PERMISSION, PERMISSION_WORDS, key
from asissto.ingestion.lexemes import is_stop, lexemes
from asissto.ingestion.value_reading import BOUND_BEFORE
from asissto.ingestion.values import Value, fold

LACKING = re.compile(r"\b(?:без|without|за пределами|за|вне|outside|beyond|outside of)\s(\w{4,})")

NAME = re.compile(r"(?<=[^\s.!?:])[ \n(«“\"]+([A-ZА-ЯЁ][\w-]+)")

_VERB = re.compile(
    r"\b(\w{2,}(?:[еиюуая]тся|[аяуе]ет|[аяуе]ют|[аяуе]ем)|(?<=мы )\w+|(?<=we )\w+|(?<=you )\w+|(?<=they )\w+)\b"
)
"""Finite verbs: what is done with a thing is said in many words, `хранится` and `держим`."""

_PARTICLE = re.compile(r"\b(check|log|sign|opt|pick|drop)[\s-](in|out|up|off)\b", re.IGNORECASE)

_PART = re.compile(r"\s{3,}|\n|[,;:()]")

LATIN = re.compile(r"[A-Za-z][\w-]+")

_QUOTED = re.compile(r"[«“\"]([^»”\"]{2,40})[»”\"]")

CODE = re.compile(r"\b(?=\w*\d)[\w/×x.-]+\b")


def pairs_of(bare: str) -> frozenset[tuple[str, str]]:
    """Not across a value or a mark."""
    parts = [keys(part) for part in _PART.split(bare)]
    return frozenset(pair for words in parts for pair in pairwise(words))


def verbs_in(folded: str) -> frozenset[str]:
    return frozenset(keys(" ".join(_VERB.findall(folded))))


def denied_in(folded: str) -> frozenset[str]:
    """Keys of what is denied; permission has a key of its own."""
    denied = [found["after"] or found["before"] or found["cannot"] for found in NEGATIVE.finditer(folded)]
    return frozenset(each for word in denied for each in _denied(word))


def _denied(word: str) -> list[str]:
    permission = CAN.match(word) or ((found := NEGATIVE.match(word)) and found["cannot"])
    return [PERMISSION] if permission else [key(stem) for stem in lexemes(word)]


def keys(text: str) -> list[str]:
    """Keys of the words that say what a text is about."""
    joined = _PARTICLE.sub(r"\1\2", text)
    return [key(stem) for stem in lexemes(joined) if not is_stop(stem) and key(stem) not in PERMISSION_WORDS]


def names_in(text: str) -> frozenset[str]:
    named = [match[1] for match in NAME.finditer(text)] + [match[1] for match in _QUOTED.finditer(text)]
    codes = CODE.findall(fold(text))
    return frozenset(each for name in named for each in keys(name)) | frozenset(codes)


def without(text: str, values: Sequence[Value]) -> str:
    """Values and the bounds before them give way to spaces, so that offsets stay."""
    folded = fold(text)
    for each in values:
        bound = BOUND_BEFORE.search(folded, 0, each.start)
        start = bound.start() if bound else each.start
        text = text[:start] + " " * (each.end - start) + text[each.end :]
    return text
