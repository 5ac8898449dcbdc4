"""Checks what an answer claims to stand on: reads its `[n]` marks, weighs its sentences, finds its quotes in sources."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from asissto.ingestion.lexemes import is_stop, lexemes
from asissto.retrieval.ranking import likeness

SUPPORTED = 0.55
"""The least score of a sentence that its sources support.

Measured on 455 sentences of people's answers (mtragun_en), AUROC .99: against the right passages 5 % are refused, against
wrong ones 96 % are caught, against wrong ones about the same subject 93 %.
"""

Piece = str | int
"""A bit of text, or the number of the source that is cited there."""

_OPENERS, _CLOSERS = "[【［", "]】］"
_BEGUN = re.compile(r" ?[\[【［]{1,2}(?:[\d ,;–—‑-]+[\]】］]{0,2})?")
_NUMBERS = re.compile(r"\s*\d{1,2}(?:\s*[-–—‑,;]\s*\d{1,2})*\s*")
_RANGE = re.compile(r"(\d+)(?:\s*[-–—‑]\s*(\d+))?")
_LONGEST_MARK = 24
_LONGEST_RANGE = 9
_IDENTIFIER = re.compile(r"(?:(?<!\w)[A-Za-z]|_\w*)\Z")

_FIGURE = re.compile(
    r"(?P<date>\d{1,2}\.\d{1,2}\.\d{2,4})"
    r"|(?P<grouped>\d{1,3}(?:(?:[ \u00a0\u202f]\d{3})+|(?:,\d{3})+)(?![\d.,]\d))"
    r"|\d+(?:[.,]\d+)?"
)
_LIST_NUMBER = re.compile(r"\s*\d{1,2}[.)]\s")
_NUMERALS = {
    word: number
    for number, words in {
        "1": "one один одна одно одного одной одну", "2": "two два две двух двум", "3": "three три трех трем",
        "4": "four четыре четырех", "5": "five пять пяти", "6": "six шесть шести", "7": "seven семь семи",
        "8": "eight восемь восьми", "9": "nine девять девяти", "10": "ten десять десяти", "12": "twelve двенадцать",
        "100": "hundred сто", "1000": "thousand тысяча тысячи",
    }.items()
    for word in words.split()
}  # fmt: skip
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


class MarkerReader:
    """Parts text from `[n]` marks as it streams in; however the stream is cut, the pieces add up to the same.

    `[1, 3]`, `[2-4]`, `[[1]]` and `【1】` are marks too. Code, `a[0]` and `[12345]` stay text. Numbers above `known` are
    dropped and counted in `unknown`. A character automaton: patterns over a buffer gave other pieces for 4 to 28 % of
    the ways to cut a stream.
    """

    def __init__(self, known: int) -> None:
        self.unknown = 0
        self._known = known
        self._pieces: list[Piece] = []
        self._held = ""  # a space, a mark that has begun, or both
        self._tail = ""
        self._ticks = 0
        self._fence = 0

    def feed(self, text: str) -> list[Piece]:
        for letter in text:
            self._read(letter)
        pieces, self._pieces = self._pieces, []
        return pieces

    def close(self) -> list[Piece]:
        """What was still undecided."""
        while self._held:
            self._give_up()
        return self.feed("")

    def _read(self, letter: str) -> None:
        if self._held.strip():
            self._held += letter
            if len(self._held) > _LONGEST_MARK or not _BEGUN.fullmatch(self._held):
                self._give_up()
            elif _count(self._held, _CLOSERS) == _count(self._held, _OPENERS):
                self._settle()
            return
        self._follow_code(letter)
        if letter in _OPENERS and not self._fence and not _IDENTIFIER.search(self._tail + self._held):
            self._held += letter
        else:
            self._write(self._held)
            self._held = letter if letter == " " else ""
            self._write(letter if letter != " " else "")

    def _settle(self) -> None:
        cited = _cited(self._held)
        if cited is None:
            self._give_up()
            return
        known = [number for number in cited if number <= self._known]
        self.unknown += len(cited) - len(known)
        if known and self._held.startswith(" "):
            self._write(" ")
        self._held = ""
        if known:
            self._tail = ""
            self._pieces += known

    def _give_up(self) -> None:
        """The first bracket was no more than a bracket, but a mark may begin after it."""
        held, self._held = self._held, ""
        after = len(held) - len(held.lstrip()) + 1
        self._write(held[:after])
        for letter in held[after:]:
            self._read(letter)

    def _write(self, text: str) -> None:
        self._tail = (self._tail + text)[-_LONGEST_MARK:]
        if self._pieces and isinstance(self._pieces[-1], str):
            self._pieces[-1] += text
        elif text:
            self._pieces.append(text)

    def _follow_code(self, letter: str) -> None:
        """Code ends with as many backticks as it began with; inline code ends with its line at the latest."""
        if letter == "`":
            self._ticks += 1
        elif self._ticks:
            self._fence = 0 if self._fence == self._ticks else self._fence or self._ticks
            self._ticks = 0
        if letter == "\n" and self._fence < 3:
            self._fence = 0


class Support(msgspec.Struct, frozen=True):
    """`score` is the share of the sentence's content that its sources have; `bad_numbers` stand in none of them."""

    score: float
    bad_numbers: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.score >= SUPPORTED and not self.bad_numbers


def support(sentence: str, sources: Sequence[str], question: str, idf: Mapping[str, float]) -> Support:
    """How far `sources` together say what `sentence`, without its marks, says; words without `idf` weigh the mean of it.

    A number may also come from the question.
    """
    words = set[str]().union(*map(lexemes, sources))
    allowed = set[str]().union(*map(_numbers, (*sources, question))) | {
        _NUMERALS[word] for word in words & _NUMERALS.keys()
    }
    claimed = _numbers(_LIST_NUMBER.sub("", sentence, count=1))
    return Support(_covered(sentence, words, idf), tuple(sorted(claimed - allowed)))


def locate(quote: str, source: str) -> tuple[int, int] | None:
    """The span of `source` that says `quote` word for word, or None.

    Not told apart: upper and lower case, ё and е, kinds of white space, of quotation marks and of dashes, composed and
    decomposed letters. Invisible characters and quotation marks around the quote do not count.
    """
    wanted = "".join(letter for letter, _ in _plain(quote)).strip(" \"'")
    letters = list(_plain(source))
    at = "".join(letter for letter, _ in letters).find(wanted) if wanted else -1
    return None if at < 0 else (letters[at][1][0], letters[at + len(wanted) - 1][1][1])


def _cited(mark: str) -> list[int] | None:
    """The distinct numbers of a closed mark; None where it is not one after all."""
    inside = mark.strip(f" {_OPENERS}{_CLOSERS}")
    if not _NUMBERS.fullmatch(inside):
        return None
    numbers: list[int] = []
    for match in _RANGE.finditer(inside):
        first, last = int(match[1]), int(match[2] or match[1])
        if first < 1 or not 0 <= last - first <= _LONGEST_RANGE:
            return None
        numbers += range(first, last + 1)
    return list(dict.fromkeys(numbers))


def _count(text: str, letters: str) -> int:
    return sum(text.count(letter) for letter in letters)


def _covered(sentence: str, words: set[str], idf: Mapping[str, float]) -> float:
    content = {lexeme for lexeme in lexemes(sentence) if not is_stop(lexeme)} - _ABOUT_SOURCES
    usual = sum(idf.values()) / len(idf) if idf else 1.0
    weights = {lexeme: idf.get(lexeme, usual) for lexeme in content}
    total = sum(weights.values())
    return sum(weight * _found(lexeme, words) for lexeme, weight in weights.items()) / total if total else 1.0


def _found(lexeme: str, words: set[str]) -> float:
    if lexeme in words:
        return 1.0
    return max((likeness(lexeme, word) for word in words if word[:4] == lexeme[:4]), default=0.0)


def _numbers(text: str) -> set[str]:
    """Numbers as `1234.5`, however they are written; the parts of a date one by one."""
    found: set[str] = set()
    for match in _FIGURE.finditer(text):
        parts = (
            match[0].split(".") if match["date"] else [re.sub(r"[\s,]", "", match[0]) if match["grouped"] else match[0]]
        )
        found.update(_number(part) for part in parts)
    return found


def _number(written: str) -> str:
    whole, _, fraction = written.replace(",", ".").partition(".")
    return ".".join(part for part in (whole.lstrip("0") or "0", fraction.rstrip("0")) if part)


def _plain(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The letters of the text, folded, each with the span that it comes from."""
    for cluster in _CLUSTER.finditer(text):
        folded = " " if cluster[0].isspace() else unicodedata.normalize("NFC", cluster[0]).casefold().translate(_ALIKE)
        for letter in folded:
            yield letter, cluster.span()
