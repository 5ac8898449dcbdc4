"""What search finds and the answer stands on."""

from uuid import UUID

import msgspec


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Why a passage was found: `lexical` and `dense` as the search computed them, `fused` what it was ranked by.

    `rerank` is what a reranker gave it, where one was asked.
    """

    lexical: float
    dense: float | None
    fused: float
    rerank: float | None = None


class Part(msgspec.Struct, frozen=True):
    """A chunk that lies in a passage, and where it stands in the stored text."""

    chunk_id: UUID
    start: int
    end: int
    page: int | None = None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about the text around a found chunk; `following` and `section` only where somebody may want them.

    `following` are the first characters after the chunk, `section` is the stored text from `start` to `end` and `parts`
    are the chunks in it. An edited chunk stands apart from the text around it.
    """

    start: int
    end: int
    edited: bool = False
    following: str | None = None
    section: str | None = None
    parts: tuple[Part, ...] = ()


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of a published document, or several in a row; `text == stored_text[start:end]` of its version.

    Of several, `chunk_id` is the one that was found best, and `parts` are all of them in their order.
    """

    chunk_id: UUID
    document_id: UUID
    version_id: UUID
    title: str
    heading_path: tuple[str, ...]
    page: int | None
    kind: str
    language: str
    text: str
    start: int
    end: int
    scores: Scores
    tokens: int | None = None
    around: Surroundings | None = None
    parts: tuple[Part, ...] = ()

    def at(self, start: int) -> "Passage":
        """The same passage with the id and the page of the chunk that holds this place of the stored text."""
        holding = [part for part in self.parts if part.start <= start < part.end]
        if not holding or self.chunk_id in {part.chunk_id for part in holding}:
            return self
        return msgspec.structs.replace(self, chunk_id=holding[0].chunk_id, page=holding[0].page)


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where the answer's mark `[number]` stands: `quote == stored_text[start:end]` of the passage's version."""

    number: int
    passage: Passage
    locator: str
    quote: str
    start: int
    end: int
    support: float
