"""Puts passages into the index and takes them out, each in the caller's one transaction."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.chunking import Chunk
from asissto.ingestion.lexemes import lexemes
from asissto.platform.database import driver
from asissto.platform.lexeme_codec import encode_tsvector
from asissto.platform.tables import new_id

Vector = NDArray[np.float32]


class Place(msgspec.Struct, frozen=True):
    """Where the passages of one version belong; `space_id` is the embedding space of their vectors."""

    tenant_id: UUID
    tenant_number: int
    collection_id: UUID
    document_id: UUID
    version_id: UUID
    space_id: int


async def add_passages(
    session: AsyncSession, place: Place, stored_text: str, chunks: Sequence[Chunk], vectors: Sequence[Vector | None]
) -> None:
    """Makes the passages searchable when the transaction commits; a chunk without a vector is found by its words.

    COPY is refused under row-level security, so the rows go through a temporary table.
    """
    prefix = lexeme_prefix(place.tenant_number).encode()
    rows, counts = await asyncio.to_thread(_rows, stored_text, chunks, vectors, prefix)
    connection = await driver(session)
    await connection.execute(_INCOMING)
    await connection.copy_records_to_table("incoming", records=rows, schema_name="pg_temp")
    tenant, collection = place.tenant_id, place.collection_id
    await connection.execute(_INSERT_CHUNKS, tenant, collection, place.document_id, place.version_id)
    await connection.execute(_INSERT_LEXEMES, tenant, collection, place.document_id)
    await connection.execute(_INSERT_EMBEDDINGS, tenant, collection, place.space_id, place.document_id)
    await connection.execute(_COUNT_LEXEMES, tenant, list(counts), list(counts.values()))
    await connection.execute(_GROW, tenant, len(rows), sum(row[-4] for row in rows))
    await connection.execute("DROP TABLE pg_temp.incoming")


async def remove_passages(session: AsyncSession, tenant_id: UUID, tenant_number: int, version_id: UUID) -> None:
    """Takes the version's passages out of both indexes and out of the lexeme counts."""
    connection = await driver(session)
    await connection.execute(_DISCOUNT, tenant_id, version_id, len(lexeme_prefix(tenant_number)))
    await connection.execute("DELETE FROM lexeme_counts WHERE tenant_id = $1 AND chunks <= 0", tenant_id)
    await connection.execute("DELETE FROM chunks WHERE tenant_id = $1 AND version_id = $2", tenant_id, version_id)


async def lock_knowledge(session: AsyncSession, tenant_id: UUID) -> None:
    """Publishing and deleting within a tenant happen one after the other; search never waits."""
    statement = text("UPDATE knowledge_bases SET version = version + 1 WHERE tenant_id = :tenant")
    await session.execute(statement, {"tenant": tenant_id})


def embedding_input(chunk: Chunk, stored_text: str) -> str:
    """What is embedded: the header gives the passage its context, but is never cited."""
    passage = stored_text[chunk.start : chunk.end]
    return f"{chunk.header}\n{passage}" if chunk.header else passage


def input_sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def lexeme_prefix(tenant_number: int) -> str:
    """Stands before each lexeme of the tenant in the index, so that postings of two tenants never mix."""
    return f"{tenant_number:x}:"


def _rows(
    stored_text: str, chunks: Sequence[Chunk], vectors: Sequence[Vector | None], prefix: bytes
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Rows for the temporary table, and in how many of them each lexeme stands, in the order of the lexemes."""
    counts: Counter[str] = Counter()
    rows = [_row(chunk, stored_text, vector, prefix, counts) for chunk, vector in zip(chunks, vectors, strict=True)]
    return rows, dict(sorted(counts.items()))


def _row(chunk: Chunk, stored_text: str, vector: Vector | None, prefix: bytes, counts: Counter[str]) -> tuple[Any, ...]:
    passage = stored_text[chunk.start : chunk.end]
    found = lexemes(f"{chunk.header}\n{passage}")
    occurrences = Counter(found)
    counts.update(occurrences.keys())
    return (
        new_id(),
        chunk.ord,
        chunk.start,
        chunk.end,
        chunk.section_start,
        chunk.section_end,
        chunk.page,
        list(chunk.heading_path),
        chunk.kind,
        chunk.language,
        chunk.header,
        passage,
        chunk.tokens,
        len(found),
        encode_tsvector(prefix, occurrences),
        vector,
        input_sha(embedding_input(chunk, stored_text)),
    )


_INCOMING = """
    CREATE TEMPORARY TABLE incoming (
        id uuid, ord int, start_offset int, end_offset int, section_start int, section_end int, page int,
        heading_path text[], kind text, language text, header text, text text, tokens int,
        length int, lexemes tsvector, embedding halfvec, input_sha bytea
    ) WITH (toast_tuple_target = 8160) ON COMMIT DROP
"""
_INSERT_CHUNKS = """
    INSERT INTO chunks (tenant_id, collection_id, document_id, version_id, id, ord, start_offset, end_offset,
        section_start, section_end, page, heading_path, kind, language, header, text, tokens)
    SELECT $1, $2, $3, $4, id, ord, start_offset, end_offset,
        section_start, section_end, page, heading_path, kind, language, header, text, tokens FROM pg_temp.incoming
"""
_INSERT_LEXEMES = """
    INSERT INTO chunk_lexemes (tenant_id, chunk_id, collection_id, document_id, length, lexemes)
    SELECT $1, id, $2, $3, length, lexemes FROM pg_temp.incoming
"""
_INSERT_EMBEDDINGS = """
    INSERT INTO chunk_embeddings (tenant_id, space_id, chunk_id, collection_id, document_id, input_sha, embedding)
    SELECT $1, $3, id, $2, $4, input_sha, embedding FROM pg_temp.incoming WHERE embedding IS NOT NULL
"""
_COUNT_LEXEMES = """
    INSERT INTO lexeme_counts (tenant_id, lexeme, chunks) SELECT $1, * FROM unnest($2::text[], $3::int[])
    ON CONFLICT (tenant_id, lexeme) DO UPDATE SET chunks = lexeme_counts.chunks + excluded.chunks
"""
_GROW = "UPDATE knowledge_bases SET chunks = chunks + $2, lexemes = lexemes + $3 WHERE tenant_id = $1"
_DISCOUNT = """
    WITH gone AS (
        SELECT x.length, x.lexemes FROM chunk_lexemes x JOIN chunks c ON c.tenant_id = x.tenant_id AND c.id = x.chunk_id
        WHERE x.tenant_id = $1 AND c.tenant_id = $1 AND c.version_id = $2
    ), counted AS (
        SELECT substr(u.lexeme, $3 + 1) AS lexeme, count(*) AS chunks FROM gone, unnest(gone.lexemes) u GROUP BY 1
    ), lowered AS (
        UPDATE lexeme_counts l SET chunks = l.chunks - counted.chunks FROM counted
        WHERE l.tenant_id = $1 AND l.lexeme = counted.lexeme
    )
    UPDATE knowledge_bases k SET chunks = k.chunks - (SELECT count(*) FROM gone),
        lexemes = k.lexemes - (SELECT coalesce(sum(length), 0) FROM gone) WHERE k.tenant_id = $1
"""
