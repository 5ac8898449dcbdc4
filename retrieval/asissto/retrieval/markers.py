"""Reads the `[n]` marks out of an answer while it streams in."""

import re

Piece = str | int
"""A bit of text, or the number of the source that is cited there."""

_OPENERS, _CLOSERS = "[【［", "]】］"
_BEGUN = re.compile(r" ?[\[【［]{1,2}(?:[\d ,;–—‑-]+[\]】］]{0,2})?")
_NUMBERS = re.compile(r"\s*\d{1,2}(?:\s*[-–—‑,;]\s*\d{1,2})*\s*")
_RANGE = re.compile(r"(\d+)(?:\s*[-–—‑]\s*(\d+))?")
_LONGEST_MARK = 24
_LONGEST_RANGE = 9
_IDENTIFIER = re.compile(r"(?:(?<!\w)[A-Za-z]|_\w*)\Z")


class MarkerReader:
    """Parts text from `[n]` marks as it streams in; however the stream is cut, the pieces add up to the same.

    `[1, 3]`, `[2-4]`, `[[1]]` and `【1】` are marks too; code, `a[0]` and `[12345]` stay text. Numbers above `known`
    are dropped and counted in `unknown`. It goes by single characters, because patterns over a buffer gave other pieces
    for 4 to 28 % of the ways to cut a stream.
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
