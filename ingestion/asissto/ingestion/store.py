"""Puts passages into the index and takes them out, each in the caller's one transaction."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.chunking import Chunk
from asissto.ingestion.lexemes import lexemes
from asissto.platform.database import driver
from asissto.platform.errors import SpaceChanged, WrongDimensions
from asissto.platform.lexeme_codec import TsvectorEncoder
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


async def add_passages(  # noqa: PLR0913, PLR0917 - texts, places and vectors of the passages
    session: AsyncSession,
    place: Place,
    stored_text: str,
    chunks: Sequence[Chunk],
    vectors: Sequence[Vector | None],
    ids: Sequence[UUID] | None = None,
) -> None:
    """Makes the passages searchable when the transaction commits; a chunk without a vector is found by its words.

    One that is switched off is kept, and neither counted nor found. `ids` are given where passages take the place of
    others; new ones sort as the chunks do. Rows go to the server as arrays, because COPY is refused under row-level
    security, and a temporary table in between would be written and read once more. The next rows are made while the
    server stores the ones before. Raises SpaceChanged where the vectors belong to a space that the tenant has left.
    """
    connection = await driver(session)
    await _check_space(connection, place, vectors)
    making = _Rows(stored_text, lexeme_prefix(place.tenant_number))
    ids = [new_id() for _ in chunks] if ids is None else ids
    portions = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(chunks), _ROWS_AT_ONCE)]
    makers = [partial(making.columns, ids[part], chunks[part], vectors[part]) for part in portions]
    where = (place.tenant_id, place.collection_id, place.document_id, place.version_id, place.space_id)
    async for columns in _made_ahead(makers):
        await connection.execute(_INSERT, *where, *columns)
    counts = sorted(making.counts.items())
    lexemes_, numbers = [lexeme for lexeme, _ in counts], [number for _, number in counts]
    await connection.execute(_COUNT, place.tenant_id, lexemes_, numbers, making.found_chunks, making.length)


async def remove_passages(session: AsyncSession, tenant_id: UUID, tenant_number: int, version_id: UUID) -> None:
    """Takes the version's passages out of both indexes and out of the lexeme counts."""
    connection = await driver(session)
    query = "SELECT id FROM chunks WHERE tenant_id = $1 AND version_id = $2"
    ids = [row[0] for row in await connection.fetch(query, tenant_id, version_id)]
    await remove_chunks(session, tenant_id, tenant_number, ids)


async def remove_chunks(session: AsyncSession, tenant_id: UUID, tenant_number: int, ids: Sequence[UUID]) -> None:
    """The same for single passages."""
    connection = await driver(session)
    await connection.execute(_DISCOUNT, tenant_id, ids, len(lexeme_prefix(tenant_number)))
    await connection.execute("DELETE FROM lexeme_counts WHERE tenant_id = $1 AND chunks <= 0", tenant_id)
    await connection.execute("DELETE FROM chunks WHERE tenant_id = $1 AND id = ANY($2)", tenant_id, ids)


async def lock_knowledge(session: AsyncSession, tenant_id: UUID) -> None:
    """Publishing and deleting within a tenant happen one after the other; search never waits."""
    statement = text("UPDATE knowledge_bases SET version = version + 1 WHERE tenant_id = :tenant")
    await session.execute(statement, {"tenant": tenant_id})


async def known_vectors(
    session: AsyncSession, tenant_id: UUID, space_id: int, shas: list[bytes]
) -> dict[bytes, Vector]:
    """What the space has for these inputs already, whichever passage it was made for."""
    query = text("""
        SELECT DISTINCT ON (input_sha) input_sha, embedding::text FROM chunk_embeddings
        WHERE tenant_id = :tenant AND space_id = :space AND input_sha = ANY(:shas)
    """)
    rows = await session.execute(query, {"tenant": tenant_id, "space": space_id, "shas": shas})
    return {sha: np.array(msgspec.json.decode(vector), dtype=np.float32) for sha, vector in rows}


async def _check_space(connection: Any, place: Place, vectors: Sequence[Vector | None]) -> None:
    """The first passages decide the tenant's space; all later vectors belong to it, until a switch changes it."""
    space = await connection.fetchrow(_SPACE, place.tenant_id, place.space_id)
    if space["id"] != place.space_id:
        raise SpaceChanged
    for vector in vectors:
        if vector is not None and len(vector) != space["dimensions"]:
            raise WrongDimensions(model=space["model"], given=len(vector), wanted=space["dimensions"])


def embedding_input(chunk: Chunk, stored_text: str) -> str:
    """What is embedded: the header gives the passage its context, but is never cited."""
    passage = stored_text[chunk.start : chunk.end]
    return f"{chunk.header}\n{passage}" if chunk.header else passage


def input_sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def passage_sha(passage: str) -> bytes:
    """By which an edit knows its passage again in the next version, wherever it breaks its lines."""
    return input_sha(" ".join(passage.split()))


def lexeme_prefix(tenant_number: int) -> str:
    """Stands before each lexeme of the tenant in the index, so that postings of two tenants never mix."""
    return f"{tenant_number:x}:"


_ROWS_AT_ONCE = 250
"""Enough that a statement costs nothing beside its rows, and two portions already run side by side."""

Columns = tuple[Sequence[Any], ...]


async def _made_ahead(makers: Sequence[Callable[[], Columns]]) -> AsyncIterator[Columns]:
    """What each maker gives, one after the other; a thread works on the next while the caller is busy with this one."""
    made: asyncio.Task[Columns] | None = None
    for maker in makers:
        before = await made if made else None
        made = asyncio.create_task(asyncio.to_thread(maker))
        if before is not None:
            yield before
    if made is not None:
        yield await made


class _Rows:
    """Turns chunks into the columns of `_INSERT`, and counts in how many of them each lexeme stands."""

    def __init__(self, stored_text: str, prefix: str) -> None:
        self.counts: Counter[str] = Counter()
        self.found_chunks = self.length = 0
        self._text = stored_text
        self._encoder = TsvectorEncoder(prefix)

    def columns(self, ids: Sequence[UUID], chunks: Sequence[Chunk], vectors: Sequence[Vector | None]) -> Columns:
        rows = [self._row(*each) for each in zip(ids, chunks, vectors, strict=True)]
        return tuple(zip(*rows, strict=True))

    def _row(self, id_: UUID, chunk: Chunk, vector: Vector | None) -> tuple[Any, ...]:
        passage = self._text[chunk.start : chunk.end]
        found = lexemes(f"{chunk.header}\n{passage}") if chunk.enabled else []
        occurrences = Counter(found)
        self.counts.update(occurrences.keys())
        self.length += len(found)
        self.found_chunks += chunk.enabled
        return (
            id_,
            chunk.ord,
            chunk.start,
            chunk.end,
            chunk.section_start,
            chunk.section_end,
            chunk.page,
            _BETWEEN_HEADINGS.join(chunk.heading_path),
            chunk.kind,
            chunk.language,
            chunk.header,
            passage,
            chunk.tokens,
            chunk.enabled,
            *(chunk.source or (None, None)),
            passage_sha(self._text[slice(*chunk.source)] if chunk.source else passage),
            len(found),
            self._encoder.encode(occurrences),
            None if vector is None else HalfVector(vector),
            input_sha(embedding_input(chunk, self._text)),
        )


_BETWEEN_HEADINGS = "\x1f"  # no text holds it: `parsing` drops control characters

_INSERT = r"""
    WITH incoming AS MATERIALIZED (
        SELECT * FROM unnest($6::uuid[], $7::int[], $8::int[], $9::int[], $10::int[], $11::int[], $12::int[],
            $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::int[],
            $19::bool[], $20::int[], $21::int[], $22::bytea[],
            $23::int[], $24::tsvector[], $25::halfvec[], $26::bytea[])
        AS row (id, ord, start_offset, end_offset, section_start, section_end, page,
            heading_path, kind, language, header, text, tokens,
            enabled, source_start, source_end, source_sha, length, lexemes, embedding, input_sha)
    ), lexical AS (
        INSERT INTO chunk_lexemes (tenant_id, chunk_id, collection_id, document_id, length, lexemes)
        SELECT $1, id, $2, $3, length, lexemes FROM incoming WHERE enabled
    ), dense AS (
        INSERT INTO chunk_embeddings (tenant_id, space_id, chunk_id, collection_id, document_id, input_sha, embedding)
        SELECT $1, $5, id, $2, $3, input_sha, embedding FROM incoming WHERE enabled AND embedding IS NOT NULL
    )
    INSERT INTO chunks (tenant_id, collection_id, document_id, version_id, id, ord, start_offset, end_offset,
        section_start, section_end, page, heading_path, kind, language, header, text, tokens,
        enabled, source_start, source_end, source_sha)
    SELECT $1, $2, $3, $4, id, ord, start_offset, end_offset, section_start, section_end, page,
        string_to_array(heading_path, E'\x1f'), kind, language, header, text, tokens,
        enabled, source_start, source_end, source_sha FROM incoming
"""
# Nobody else writes counts of this tenant meanwhile. INSERT … ON CONFLICT locks each row before it changes it: 51 us a
# passage instead of 37.
_COUNT = """
    WITH incoming AS MATERIALIZED (
        SELECT * FROM unnest($2::text[], $3::int[]) AS row (lexeme, chunks)
    ), counted AS (
        UPDATE lexeme_counts l SET chunks = l.chunks + i.chunks FROM incoming i
        WHERE l.tenant_id = $1 AND l.lexeme = i.lexeme RETURNING l.lexeme
    ), grown AS (
        UPDATE knowledge_bases SET chunks = chunks + $4, lexemes = lexemes + $5 WHERE tenant_id = $1
    )
    INSERT INTO lexeme_counts (tenant_id, lexeme, chunks) SELECT $1, i.lexeme, i.chunks FROM incoming i
    WHERE NOT EXISTS (SELECT FROM counted c WHERE c.lexeme = i.lexeme)
"""
_SPACE = """
    UPDATE knowledge_bases k SET space_id = coalesce(k.space_id, $2) FROM embedding_spaces s
    WHERE k.tenant_id = $1 AND s.id = coalesce(k.space_id, $2) RETURNING s.id, s.model, s.dimensions
"""
_DISCOUNT = """
    WITH gone AS (
        SELECT length, lexemes FROM chunk_lexemes WHERE tenant_id = $1 AND chunk_id = ANY ($2)
    ), counted AS (
        SELECT substr(u.lexeme, $3 + 1) AS lexeme, count(*) AS chunks FROM gone, unnest(gone.lexemes) u GROUP BY 1
    ), lowered AS (
        UPDATE lexeme_counts l SET chunks = l.chunks - counted.chunks FROM counted
        WHERE l.tenant_id = $1 AND l.lexeme = counted.lexeme
    )
    UPDATE knowledge_bases k SET chunks = k.chunks - (SELECT count(*) FROM gone),
        lexemes = k.lexemes - (SELECT coalesce(sum(length), 0) FROM gone) WHERE k.tenant_id = $1
"""
