"""Checks what an answer claims to stand on: weighs its sentences against sources and finds its quotes in them."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from asissto.ingestion.lexemes import distinct_lexemes, is_stop, lexemes
from asissto.retrieval.contradictions import contradictions
from asissto.retrieval.ranking import likeness

SUPPORTED = 0.55
"""The least score of a sentence that its sources support.

Measured on 455 sentences of people's answers (mtragun_en): against the right passages 5.5 % are refused, against wrong
ones 96 % are caught, against wrong ones about the same subject 92 %. A changed digit is caught in 96 % (xquad_en) and
97 % (xquad_ru) of the sentences.
"""

_FIGURE = re.compile(
    r"(?P<date>\d{1,2}\.\d{1,2}\.\d{2,4})"
    r"|(?P<spaced>\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)(?:[.,]\d+)?)"
    r"|(?P<commas>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?)"
    r"|\d+(?:[.,]\d+)?"
)
_LIST_NUMBER = re.compile(r"\A\s*\d{1,2}[.)]\s")
_WRITTEN_OUT = {
    "1": "one один одна одно одного одной одну",
    "2": "two два две двух двум",
    "3": "three три трех трем",
    "4": "four четыре четырех",
    "5": "five пять",
    "6": "six шесть",
    "7": "seven семь",
    "8": "eight восемь восьми",
    "9": "nine девять",
    "10": "ten десять",
    "12": "twelve двенадцать двенадцати",
    "14": "fourteen четырнадцать четырнадцати",
    "15": "fifteen пятнадцать пятнадцати",
    "20": "twenty двадцать двадцати",
    "30": "thirty тридцать тридцати",
    "100": "hundred",
    "1000": "thousand тысяча",
}
_NUMERALS = {lexeme: number for number, words in _WRITTEN_OUT.items() for lexeme in lexemes(words)}
_ABOUT_SOURCES = frozenset(
    lexemes("according based provided mentioned stated following sources согласно указано сказано следующие источники")
)

_CLUSTER = re.compile(r"\s+|\S[\u0300-\u036f]*")
_ALIKE = str.maketrans(
    dict.fromkeys("«»“”„‟″", '"')
    | dict.fromkeys("‘’‚‛′`", "'")
    | dict.fromkeys("‐‑‒–—―−", "-")
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", "")
    | {"ё": "е", "…": "..."}
)


class Support(msgspec.Struct, frozen=True):
    """`score` is the share of the sentence's content that its sources have; `bad_numbers` stand in none of them.

    `conflicts` are what it says otherwise than they do.
    """

    score: float
    bad_numbers: tuple[str, ...]
    conflicts: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return self.score >= SUPPORTED and not self.bad_numbers and not self.conflicts


def support(sentence: str, sources: Sequence[str], question: str, idf: Mapping[str, float]) -> Support:
    """How far `sources` together say what `sentence`, without its marks, says.

    Words that `idf` does not know weigh the mean of it. Numbers may also come from the question.
    """
    words = frozenset[str]().union(*map(distinct_lexemes, sources))
    allowed = set[str]().union(*map(numbers, (*sources, question))) | {
        _NUMERALS[word] for word in words & _NUMERALS.keys()
    }
    claimed = numbers(_LIST_NUMBER.sub("", sentence, count=1))
    wrong = contradictions(sentence, sources, (question,))
    return Support(content(sentence, idf, words).covered_by(words), tuple(sorted(claimed - allowed)), wrong)


def locate(quote: str, source: str) -> tuple[int, int] | None:
    """The span of `source` that says `quote` word for word, or None.

    Not told apart: upper and lower case, ё and е, kinds of white space, of quotation marks and of dashes, composed and
    decomposed letters. Invisible characters and quotation marks around the quote do not count.
    """
    wanted = "".join(letter for letter, _ in _plain(quote)).strip(" \"'")
    letters = list(_plain(source))
    at = "".join(letter for letter, _ in letters).find(wanted) if wanted else -1
    return None if at < 0 else (letters[at][1][0], letters[at + len(wanted) - 1][1][1])


class Content(msgspec.Struct, frozen=True):
    """What each lexeme by which a sentence says something weighs, and the words of the sources that are like it."""

    weights: Mapping[str, float]
    near: Mapping[str, Mapping[str, float]]

    def covered_by(self, words: Collection[str]) -> float:
        """The share that `words` of the sources have, between 0 and 1; 1 where the sentence says nothing."""
        total = sum(self.weights.values())
        return (
            sum(weight * self._found(lexeme, words) for lexeme, weight in self.weights.items()) / total
            if total
            else 1.0
        )

    def _found(self, lexeme: str, words: Collection[str]) -> float:
        if lexeme in words:
            return 1.0
        return max((like for word, like in self.near[lexeme].items() if word in words), default=0.0)


def content(sentence: str, idf: Mapping[str, float], vocabulary: Collection[str]) -> Content:
    """`vocabulary` has all words of the sources that it will be compared with."""
    said = {word for word in lexemes(sentence) if not (is_stop(word) or word[0].isdigit())} - _ABOUT_SOURCES
    usual = sum(idf.values()) / len(idf) if idf else 1.0
    beginnings: dict[str, list[str]] = {lexeme[:4]: [] for lexeme in said}
    for word in vocabulary:
        if word[:4] in beginnings:
            beginnings[word[:4]].append(word)
    near = {
        lexeme: {word: like for word in beginnings[lexeme[:4]] if (like := likeness(lexeme, word)) > 0}
        for lexeme in said
    }
    return Content({lexeme: idf.get(lexeme, usual) for lexeme in said}, near)


def covered(sentence: str, sources: Sequence[str], idf: Mapping[str, float]) -> float:
    """The share of the sentence's content that the sources have."""
    words = frozenset[str]().union(*map(distinct_lexemes, sources))
    return content(sentence, idf, words).covered_by(words)


@lru_cache(maxsize=4096)
def numbers(text: str) -> frozenset[str]:
    """Numbers as `1234.5`, however they are written; the parts of a date one by one."""
    found: set[str] = set()
    for match in _FIGURE.finditer(text):
        if match["date"]:
            found.update(map(_number, match["date"].split(".")))
        else:
            found.add(_number(match[0].replace(",", "") if match["commas"] else match[0]))
    return frozenset(found)


def _number(written: str) -> str:
    whole, _, fraction = "".join(written.split()).replace(",", ".").partition(".")
    return ".".join(part for part in (whole.lstrip("0") or "0", fraction.rstrip("0")) if part)


def _plain(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The letters of the text, folded, each with the span that it comes from."""
    for cluster in _CLUSTER.finditer(text):
        folded = " " if cluster[0].isspace() else unicodedata.normalize("NFC", cluster[0]).casefold().translate(_ALIKE)
        for letter in folded:
            yield letter, cluster.span()
