"""What search finds and the answer stands on."""

from uuid import UUID

import msgspec


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Why a passage was found: `lexical` and `dense` as the search computed them, `fused` what it was ranked by."""

    lexical: float
    dense: float | None
    fused: float


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of a published document; `text == stored_text[start:end]` of its version."""

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


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where the answer's mark `[number]` stands: `quote == stored_text[start:end]` of the passage's version."""

    number: int
    passage: Passage
    locator: str
    quote: str
    start: int
    end: int
    support: float
