"""Finds the passages for a question: one round trip, lexical and dense together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter, chosen_documents, fold
from asissto.ingestion.store import lexeme_prefix
from asissto.platform.database import driver
from asissto.retrieval import ranking
from asissto.retrieval.passages import Part, Passage, Scores, Surroundings
from asissto.retrieval.spelling import Variants

MOST_MATCHES = 4000
"""Passages that the terms may fetch together before commoner terms only score."""

LEAST_MISSPELT = 0.2
"""Of a term's weight: the words of the answer before weigh less, are spelled as the documents spell them, and are many:
their near spellings would cost more than they find."""

MOST_SURROUNDED = 12
"""Passages, the best ones, that are given with what lies around them."""

SHORT_TOKENS = 80
"""A passage with fewer says little without its section."""

MOST_SECTION_CHARACTERS = 6_000

MOST_TEXT_BYTES = 500_000
"""Of a version's text as it is stored, compressed: to unpack more takes longer than the search."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for; `vector` is None where the embedder does not know the question's language."""

    terms: Mapping[str, float]
    variants: Variants = {}
    vector: NDArray[np.float32] | None
    space_id: int
    collections: list[UUID] | None
    wanted: int
    filters: Sequence[DocumentFilter] = ()
    """All must hold for a document; scores stay as they are without."""
    audience: Sequence[str] = ()
    """Who asks: documents with an audience are found by those alone."""


class Found(msgspec.Struct, frozen=True):
    """Passages, best first, and in how many of the tenant's `chunks` each term stands.

    `terms` are those of the question, with the ones in place that were read as something else: `read_as` tells which.
    """

    passages: tuple[Passage, ...]
    term_chunks: Mapping[str, int]
    chunks: int
    terms: Mapping[str, float] = {}
    read_as: Mapping[str, str] = {}

    def idf(self) -> dict[str, float]:
        """What each term of the question tells, by the tenant's own documents."""
        return {term: ranking.idf(count, self.chunks) for term, count in self.term_chunks.items()}

    def as_read(self, terms: Mapping[str, float]) -> dict[str, float]:
        """Some of the terms that were looked for, as what they were read as."""
        read: dict[str, float] = {}
        for term, weight in terms.items():
            name = self.read_as.get(term, term)
            read[name] = max(weight, read.get(name, 0.0))
        return read


async def search(session: AsyncSession, tenant_id: UUID, tenant_number: int, query: Query) -> Found:
    """Sees what is published at this moment: a document is there with all its passages or with none."""
    connection = await driver(session)
    asked = list(_asked(query))
    rows = await connection.fetch(
        "SELECT * FROM search_passages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        tenant_id,
        lexeme_prefix(tenant_number),
        query.collections,
        await chosen_documents(session, tenant_id, query.filters),
        fold(query.audience),
        [term for term, _, _ in asked],
        [number for _, number, _ in asked],
        [ranking.near_prefix(term) if weight >= LEAST_MISSPELT else None for term, _, weight in asked],
        [ranking.far_ending(term) if weight >= LEAST_MISSPELT else None for term, _, weight in asked],
        [weight for _, _, weight in asked],
        None if query.vector is None else query.space_id,
        None if query.vector is None else HalfVector(query.vector),
        msgspec.json.encode(_constants(query.wanted)).decode(),
    )
    if not rows:
        return Found((), dict.fromkeys(query.terms, 0), 0, query.terms)
    return _found(query, rows)


def _asked(query: Query) -> Iterator[tuple[str, int | None, float]]:
    """Each term and its weight, then the variants with the number of the term that they stand for."""
    yield from ((term, None, weight) for term, weight in query.terms.items())
    for number, (term, weight) in enumerate(query.terms.items(), 1):
        yield from ((other, number, weight * like) for other, like in query.variants.get(term, {}).items())


def _found(query: Query, rows: Sequence[Mapping[str, Any]]) -> Found:
    counts, terms, read_as = dict[str, int](), dict[str, float](), dict[str, str]()
    told = (rows[0][name] or () for name in ("term_chunks", "read_as", "read_chunks"))
    for (term, weight), chunks, read, read_chunks in zip(query.terms.items(), *told, strict=True):
        taken = read is not None and not ranking.likeness(term, read)  # the reader knows a near word by itself
        if taken:
            read_as[term] = read
        name = read if taken else term
        terms[name] = max(weight, terms.get(name, 0.0))
        counts[name] = read_chunks if taken else chunks
    return Found(tuple(map(_passage, rows)), counts, rows[0]["all_chunks"], terms, read_as)


def _constants(wanted: int) -> dict[str, float]:
    return {
        "k1": ranking.K1,
        "b": ranking.B,
        "dense_weight": ranking.DENSE_WEIGHT,
        "leg_size": ranking.LEG_SIZE,
        "near_enough": ranking.NEAR_ENOUGH,
        "near_weight": ranking.NEAR_WEIGHT,
        "most_near": ranking.MOST_NEAR,
        "far_enough": ranking.FAR_ENOUGH,
        "coverage": ranking.COVERAGE,
        "kept": MOST_SURROUNDED,
        "short_tokens": SHORT_TOKENS,
        "most_section_characters": MOST_SECTION_CHARACTERS,
        "most_text_bytes": MOST_TEXT_BYTES,
        "most_matches": MOST_MATCHES,
        "wanted": wanted,
    }


def _passage(row: Mapping[str, Any]) -> Passage:
    names = ("chunk_id", "document_id", "version_id", "title", "page", "kind", "language", "tokens")
    values = {name: row[name] for name in names}
    around = Surroundings(
        start=row["section_start"],
        end=row["section_end"],
        edited=row["edited"],
        following=row["following"],
        section=row["section"],
        parts=_parts(row["section_parts"]),
    )
    scores = Scores(lexical=row["lexical"], dense=row["dense"], fused=row["fused"])
    return Passage(
        **values,
        heading_path=tuple(row["heading_path"]),
        text=row["passage"],
        start=row["start_offset"],
        end=row["end_offset"],
        scores=scores,
        around=around,
    )


def _parts(row: list[Any] | None) -> tuple[Part, ...]:
    chunks = msgspec.convert(row or [], list[tuple[UUID, int, int, int | None]])
    return tuple(Part(*chunk) for chunk in chunks)
