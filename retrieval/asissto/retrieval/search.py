"""Finds the passages for a question: one round trip, lexical and dense together."""

from collections.abc import Mapping, Sequence
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
from asissto.retrieval.passages import Passage, Scores

MOST_MATCHES = 4000
"""Passages that the terms may fetch together before commoner terms only score."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for; `vector` is None where the embedder does not know the question's language."""

    terms: Mapping[str, float]
    vector: NDArray[np.float32] | None
    space_id: int
    collections: list[UUID] | None
    wanted: int
    filters: Sequence[DocumentFilter] = ()
    """All must hold for a document; scores stay as they are without."""
    audience: Sequence[str] = ()
    """Who asks: documents with an audience are found by those alone."""


class Found(msgspec.Struct, frozen=True):
    """Passages, best first, and in how many of the tenant's `chunks` each term stands."""

    passages: tuple[Passage, ...]
    term_chunks: Mapping[str, int]
    chunks: int

    def idf(self) -> dict[str, float]:
        """What each term of the question tells, by the tenant's own documents."""
        return {term: ranking.idf(count, self.chunks) for term, count in self.term_chunks.items()}


async def search(session: AsyncSession, tenant_id: UUID, tenant_number: int, query: Query) -> Found:
    """Sees what is published at this moment: a document is there with all its passages or with none."""
    connection = await driver(session)
    terms = list(query.terms)
    rows = await connection.fetch(
        "SELECT * FROM search_passages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        tenant_id,
        lexeme_prefix(tenant_number),
        query.collections,
        await chosen_documents(session, tenant_id, query.filters),
        fold(query.audience),
        terms,
        [ranking.near_prefix(term) for term in terms],
        list(query.terms.values()),
        None if query.vector is None else query.space_id,
        None if query.vector is None else HalfVector(query.vector),
        msgspec.json.encode(_constants(query.wanted)).decode(),
    )
    if not rows:
        return Found((), dict.fromkeys(terms, 0), 0)
    counts = dict(zip(terms, rows[0]["term_chunks"] or (), strict=True))
    return Found(tuple(_passage(row) for row in rows), counts, rows[0]["all_chunks"])


def _constants(wanted: int) -> dict[str, float]:
    return {
        "k1": ranking.K1,
        "b": ranking.B,
        "dense_weight": ranking.DENSE_WEIGHT,
        "leg_size": ranking.LEG_SIZE,
        "near_enough": ranking.NEAR_ENOUGH,
        "near_weight": ranking.NEAR_WEIGHT,
        "most_near": ranking.MOST_NEAR,
        "most_matches": MOST_MATCHES,
        "wanted": wanted,
    }


def _passage(row: Mapping[str, Any]) -> Passage:
    values = {
        name: row[name] for name in ("chunk_id", "document_id", "version_id", "title", "page", "kind", "language")
    }
    scores = Scores(lexical=row["lexical"], dense=row["dense"], fused=row["fused"])
    return Passage(
        **values,
        heading_path=tuple(row["heading_path"]),
        text=row["passage"],
        start=row["start_offset"],
        end=row["end_offset"],
        scores=scores,
    )
