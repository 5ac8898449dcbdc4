"""Makes an answer out of quotes: the documents' own sentences in their order, each with the number of its source."""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from asissto.platform.texts import Language, text
from asissto.retrieval.excerpts import Excerpt, excerpts
from asissto.retrieval.extractive import CELL_EDGE, LIST_SIGN, Quote
from asissto.retrieval.passages import Citation, Passage


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How to say it: in what language of the customer, to which question, and whether it is said to be unsure."""

    language: Language
    question: str
    unsure: bool = False


def compose(quotes: Sequence[Quote], passages: Sequence[Passage], manner: Manner) -> tuple[str, tuple[Citation, ...]]:
    """The text with its marks `[1]`, `[2]`, …, and their citations.

    Quotes are verbatim; rows of tables are shown as `head: value`, and their citations hold them as they are. What is
    in another language than the customer's is introduced in the customer's.
    """
    cut = excerpts(quotes, {passage.chunk_id: passage for passage in passages}, manner.question)
    apart = "\n" if any(_has_lines(excerpt.text) for excerpt in cut) else " "
    citations: list[Citation] = []
    parts = []
    for introduction, group in groupby(cut, lambda excerpt: _introduction(excerpt, manner.language)):
        shown = apart.join(_shown(excerpt, citations, manner.language) for excerpt in group)
        parts.append(f"{introduction} {shown}" if introduction else shown)
    said = ("\n" if len(parts) > 1 else apart).join(parts)
    if manner.unsure:
        said = f"{text('answer.unsure', manner.language)}\n{said}"
    return said, tuple(citations)


def cite(number: int, passage: Passage, span: tuple[int, int], support: float, language: Language) -> Citation:
    """The quote is cut out of the passage itself, so it cannot differ from the stored text."""
    start, end = span
    where = passage.at(start)
    return Citation(
        number=number,
        passage=where,
        locator=locator(where, language),
        quote=passage.text[start - passage.start : end - passage.start],
        start=start,
        end=end,
        support=round(support, 4),
    )


def number_of(
    citations: list[Citation], passage: Passage, span: tuple[int, int], support: float, language: Language
) -> int:
    """The mark of the quote, which is added where it is new: two sentences may share one."""
    for citation in citations:
        if (citation.start, citation.end, citation.passage.version_id) == (*span, passage.version_id):
            return citation.number
    citations.append(cite(len(citations) + 1, passage, span, support, language))
    return len(citations)


def locator(passage: Passage, language: Language) -> str:
    """Where in its document the passage stands: page and headings, as far as they are known."""
    page = text("locator.page", language, page=passage.page) if passage.page is not None else ""
    headings = [heading for heading in passage.heading_path if heading != passage.title]
    return ", ".join(part for part in (page, " › ".join(headings)) if part)


def _has_lines(quote: str) -> bool:
    return CELL_EDGE in quote or "\n" in quote or bool(LIST_SIGN.match(quote))


def _shown(excerpt: Excerpt, citations: list[Citation], language: Language) -> str:
    """The excerpt with its marks; the head of a table is a citation of its own, which further rows share."""
    spans = [(excerpt.start, excerpt.end)] if excerpt.head is None else [excerpt.head, (excerpt.start, excerpt.end)]
    passage, score = excerpt.passage, excerpt.score
    numbers = [number_of(citations, passage, span, score, language) for span in spans]
    marks = "".join(f"[{number}]" for number in numbers)
    quoted = [citations[number - 1].quote for number in numbers]
    said = quoted[0] if len(quoted) == 1 else _row(*quoted)
    return f"{said} {marks}"


def _row(head: str, row: str) -> str:
    """`Plan: Pro; Price: 990`; head and row as they are where their cells do not match."""
    names, values = ([cell.strip() for cell in line.split(CELL_EDGE.strip())] for line in (head, row))
    if len(names) != len(values):
        return f"{head}\n{row}"
    pairs = zip(names, values, strict=True)
    return "; ".join(f"{name}: {value}" if name else value for name, value in pairs if value)


def _introduction(excerpt: Excerpt, language: Language) -> str:
    """Empty where the source speaks the customer's language, or none that is known."""
    passage = excerpt.passage
    if passage.language not in ("ru", "en") or passage.language == language:
        return ""
    spoken = text(f"answer.in_{passage.language}", language)
    return text("answer.foreign", language, title=passage.title, spoken=spoken)
