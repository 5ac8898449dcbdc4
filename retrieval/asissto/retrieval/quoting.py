"""Makes an answer out of quotes: the documents' own sentences in their order, each with the number of its source."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from asissto.platform.texts import Language, text
from asissto.retrieval.extractive import Quote, reading_order
from asissto.retrieval.passages import Citation, Passage

_ROW = " | "


def compose(
    quotes: Sequence[Quote], passages: Sequence[Passage], language: Language
) -> tuple[str, tuple[Citation, ...]]:
    """The text with its marks `[1]`, `[2]`, …, and their citations; neighbours in a passage become one quote."""
    by_id = {passage.chunk_id: passage for passage in passages}
    citations = tuple(
        cite(number, by_id[quote.chunk_id], (quote.start, quote.end), quote.score, language)
        for number, quote in enumerate(_joined(reading_order(quotes), by_id), 1)
    )
    parts = [f"{citation.quote} [{citation.number}]" for citation in citations]
    apart = "\n" if any(_ROW in citation.quote or "\n" in citation.quote for citation in citations) else " "
    return apart.join(parts), citations


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


def locator(passage: Passage, language: Language) -> str:
    """Where in its document the passage stands: page and headings, as far as they are known."""
    page = text("locator.page", language, page=passage.page) if passage.page is not None else ""
    headings = [heading for heading in passage.heading_path if heading != passage.title]
    return ", ".join(part for part in (page, " › ".join(headings)) if part)


def _joined(quotes: Sequence[Quote], passages: Mapping[UUID, Passage]) -> list[Quote]:
    joined: list[Quote] = []
    for quote in quotes:
        last = joined[-1] if joined else None
        if last is not None and last.chunk_id == quote.chunk_id and last.end <= quote.start:
            passage = passages[quote.chunk_id]
            between = passage.text[last.end - passage.start : quote.start - passage.start]
            if not between.strip() and "\n\n" not in between:
                whole = passage.text[last.start - passage.start : quote.end - passage.start]
                score = max(last.score, quote.score)
                joined[-1] = msgspec.structs.replace(last, end=quote.end, text=whole, score=score)
                continue
        joined.append(quote)
    return joined
