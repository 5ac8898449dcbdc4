"""Cuts excerpts that can be read alone: a sentence with what it leans on, a row with its head, a list whole."""

import re
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from asissto.ingestion.sentences import sentence_spans
from asissto.retrieval.extractive import CELL_EDGE, LIST_SIGN, Quote, heads, is_head
from asissto.retrieval.passages import Passage
from asissto.retrieval.wanted import Wanted, wanted

MOST_CHARACTERS = 500
"""Of all excerpts together, the first one and a list that was asked for aside."""

MOST_OF_A_LIST = 1_200

_SHORT_LINE = 90
_SMALL_GAP = 100


_LEANS = re.compile(
    r"[\"«“(]?(?:it|its|this|these|those|they|their|he|his|she|her|such|however|also|but|moreover|then|therefore|thus"
    r"|otherwise|in this case|for this|after that|он|его|она|её|ее|оно|они|их|это|эти|этот|эта|этого|этой|этом|такой"
    r"|такая|такое|такие|также|однако|но|кроме того|при этом|поэтому|тогда|иначе|в этом случае|для этого|после этого"
    r"|затем|там|тем не менее)\b(?! (?:is|was) (?:possible|necessary|important|recommended|worth)\b)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!?…][\"'»”’)\]]*\Z")
_ASKS_LIST = re.compile(
    r"\A\W*(?:how (?:do|can|to|should|does)\b|what (?:are|steps|documents|do i need)\b|which \w+s\b|list\b|steps\b"
    r"|как\b|каким образом|какие\b|что (?:нужно|надо|делать|входит|требуется)|перечисл|порядок\b|инструкц|шаги\b"
    r"|из чего|what is needed|what does .* (?:include|contain|consist))",
    re.IGNORECASE,
)


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """`start` and `end` count in the stored text; `head` is the span of the head of the table, where it is a row."""

    passage: Passage
    start: int
    end: int
    score: float
    head: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        return self.passage.text[self.start - self.passage.start : self.end - self.passage.start]


def excerpts(quotes: Sequence[Quote], passages: Mapping[UUID, Passage], question: str) -> list[Excerpt]:
    """From quotes that begin with the best, in the order of reading: the document of the best one comes first."""
    asked = wanted(question)
    cut: list[Excerpt] = []
    room = MOST_CHARACTERS
    for quote in quotes:
        page = _Page(passages[quote.chunk_id])
        at = page.number_of(quote.start)
        if any(_holds(excerpt, quote) for excerpt in cut):
            continue
        wide = page.widened(at, asked, asks_list=not cut and bool(_ASKS_LIST.search(question)))
        narrow = page.excerpt(at, at, quote.score)
        excerpt = page.excerpt(*wide, quote.score)
        if cut and len(excerpt.text) > room:
            excerpt = narrow
        if cut and (len(excerpt.text) > room or (_LEANS.match(excerpt.text) and not _follows_one(excerpt, cut))):
            continue
        cut = _merged([*cut, excerpt])
        room = MOST_CHARACTERS - sum(len(each.text) for each in cut)
    documents = [quote.version_id for quote in quotes]
    return sorted(cut, key=lambda each: (documents.index(each.passage.version_id), each.start))


class _Page:
    """The sentences and lines of a passage, by their numbers."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        self.spans = sentence_spans(passage.text)
        self.texts = [passage.text[start:end] for start, end in self.spans]
        self._headings = {name.casefold() for name in (passage.title, *passage.heading_path)}

    def number_of(self, start: int) -> int:
        """Of the sentence that holds the offset of the stored text."""
        return next(number for number, span in enumerate(self.spans) if start - self.passage.start < span[1])

    def excerpt(self, first: int, last: int, score: float) -> Excerpt:
        start, end = self.spans[first][0] + self.passage.start, self.spans[last][1] + self.passage.start
        head = self._head(first) if first == last else None
        return Excerpt(passage=self.passage, start=start, end=end, score=score, head=head)

    def widened(self, at: int, asked: Wanted, *, asks_list: bool) -> tuple[int, int]:
        """The first and the last sentence of what makes sense together with this one."""
        text = self.texts[at]
        if self._head(at) is not None:
            return at, at
        if text.endswith(":"):
            return at, self._last_item(at)
        if self._is_title(at) and at + 1 < len(self.texts) and not asked.given_by(text):
            return self._below(at)
        if asks_list and LIST_SIGN.match(text):
            return self._list(at)
        if self._is_line(at):
            return at - self._goes_on(at - 1, at), at + self._goes_on(at, at + 1)
        after = at + 1 if len(text.split()) == 1 and self._joins(at, at + 1) else at
        return self._antecedent(at), after

    def _below(self, heading: int) -> tuple[int, int]:
        """What stands under a heading or a question: its list, or its first two sentences."""
        first = heading + 1
        while first + 1 < len(self.texts) and self._is_title(first):
            first += 1
        if self.texts[first].endswith(":") or LIST_SIGN.match(self.texts[first]):
            return first, self._last_item(first)
        return first, first + (self._joins(first, first + 1) and self._same_line(first, first + 1))

    def _antecedent(self, at: int) -> int:
        """Two sentences back at most; a heading or a question says nothing that could be meant."""
        first = at
        while _LEANS.match(self.texts[first]) and at - first < 2 and self._joins(first - 1, first):
            first -= 1
        return first

    def _list(self, at: int) -> tuple[int, int]:
        first = at
        while first > 0 and LIST_SIGN.match(self.texts[first - 1]) and self._length(first - 1, at) <= MOST_OF_A_LIST:
            first -= 1
        if first > 0 and self.texts[first - 1].endswith(":"):
            first -= 1
        return first, self._last_item(first, at)

    def _last_item(self, first: int, at: int | None = None) -> int:
        last = first if at is None else at
        while (
            last + 1 < len(self.texts) and self._is_item(last + 1) and self._length(first, last + 1) <= MOST_OF_A_LIST
        ):
            last += 1
        return last

    def _is_item(self, at: int) -> bool:
        """Also the second sentence of an item, and lines without a sign after a colon."""
        return (
            bool(LIST_SIGN.match(self.texts[at]))
            or self._same_line(at - 1, at)
            or (self._is_line(at) and self._same_block(at - 1, at))
        )

    def _goes_on(self, one: int, other: int) -> bool:
        """Whether two lines of a form stand together."""
        inside = one >= 0 and other < len(self.texts)
        return inside and self._is_line(one) and self._is_line(other) and self._same_block(one, other)

    def _joins(self, one: int, other: int) -> bool:
        inside = one >= 0 and other < len(self.texts)
        return (
            inside
            and not self.texts[one].endswith("?")
            and not self._is_heading(one)
            and CELL_EDGE not in self.texts[one]
        )

    def _is_line(self, at: int) -> bool:
        """A short line of its own without the end of a sentence, as in forms and lists."""
        text = self.texts[at]
        alone = not self._same_line(at - 1, at) and not self._same_line(at, at + 1)
        short = len(text) <= _SHORT_LINE and not _ENDS.search(text)
        return alone and (short or (CELL_EDGE in text and len(text) <= 2 * _SHORT_LINE)) and not self._is_heading(at)

    def _is_title(self, at: int) -> bool:
        """A heading, a question, a picture: nothing that answers."""
        text = self.texts[at]
        named = self._is_heading(at) or text.startswith("![")
        return named or (heads(self.passage.text, self.spans, self.texts, at) and not text.endswith(":"))

    def _is_heading(self, at: int) -> bool:
        return self.texts[at].casefold() in self._headings

    def _same_line(self, one: int, other: int) -> bool:
        return one >= 0 and other < len(self.texts) and "\n" not in self._between(one, other)

    def _same_block(self, one: int, other: int) -> bool:
        return one >= 0 and other < len(self.texts) and self._between(one, other).count("\n") < 2

    def _between(self, one: int, other: int) -> str:
        return self.passage.text[self.spans[one][1] : self.spans[other][0]]

    def _length(self, first: int, last: int) -> int:
        return self.spans[last][1] - self.spans[first][0]

    def _head(self, at: int) -> tuple[int, int] | None:
        top = at
        while top > 0 and CELL_EDGE in self.texts[top] and CELL_EDGE in self.texts[top - 1]:
            top -= 1
        if top == at or not is_head(self.texts, top):
            return None
        start, end = self.spans[top]
        return start + self.passage.start, end + self.passage.start


def _holds(excerpt: Excerpt, quote: Quote) -> bool:
    return excerpt.passage.version_id == quote.version_id and excerpt.start <= quote.start < excerpt.end


def _follows_one(excerpt: Excerpt, others: Iterable[Excerpt]) -> bool:
    return any(
        other.passage.version_id == excerpt.passage.version_id and 0 <= excerpt.start - other.end <= 2
        for other in others
    )


def _merged(cut: Sequence[Excerpt]) -> list[Excerpt]:
    """Those of one passage that touch, or have nothing but white space between them, become one."""
    merged: list[Excerpt] = []
    for excerpt in sorted(cut, key=lambda each: (each.passage.chunk_id, each.start)):
        last = merged[-1] if merged else None
        if last is not None and _touch(last, excerpt):
            whole = msgspec.structs.replace(
                last, end=max(last.end, excerpt.end), score=max(last.score, excerpt.score), head=None
            )
            merged[-1] = whole
        else:
            merged.append(excerpt)
    return merged


def _touch(one: Excerpt, other: Excerpt) -> bool:
    """A gap that is not worth a second mark counts as none."""
    if one.passage.chunk_id != other.passage.chunk_id or (one.head or other.head):
        return False
    start = one.passage.start
    between = one.passage.text[one.end - start : max(one.end, other.start) - start]
    return len(between.strip()) <= _SMALL_GAP and "\n\n" not in between
