"""Passages in the index: put in and taken out in the caller's transaction, counted to the lexeme."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import numpy as np
import pytest
from msgspec import structs
from sqlalchemy import select

from asissto.ingestion.chunking import Chunk, chunk
from asissto.ingestion.documents import embedding_space, tenant_number
from asissto.ingestion.lexemes import lexemes
from asissto.ingestion.parsing import Element, ParsedDocument
from asissto.ingestion.store import Place, Vector, add_passages, lexeme_prefix, remove_passages
from asissto.ingestion.tables import Collection, Document, DocumentVersion
from asissto.platform.errors import SpaceChanged, WrongDimensions
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from people import Person

ODD = "It's a \\backslash\\ & 'quotes' :* | !a <-> (b) 😀 100% C:\\temp\\ö.txt, mail a_b@c.de and артикул АВ-12/3."


def parsed(text: str) -> ParsedDocument:
    element = Element(kind="text", start=0, end=len(text), page=None, heading_path=("Chapter",))
    return ParsedDocument(title="Title", text=text, elements=(element,), pages=None, warnings=())


def axis(number: int, dimensions: int) -> Vector:
    vector = np.zeros(dimensions, np.float32)
    vector[number] = 1
    return vector


async def make_place(services: Services, tenant_id: UUID) -> Place:
    """A document with one version and nothing in it."""
    space_id = await embedding_space(services.database, services.embedder)
    async with services.database.tenant(tenant_id) as session:
        collection_id = (await session.scalars(select(Collection.id).limit(1))).one()
        place = Place(tenant_id, await tenant_number(session, tenant_id), collection_id, new_id(), new_id(), space_id)
        same = {"tenant_id": tenant_id}
        session.add(
            Document(**same, id=place.document_id, collection_id=collection_id, title="T", source_key=str(new_id()))
        )
        await session.flush()
        bytes_ = {"content_sha": b"", "pipeline_sha": b""}
        text = {"file_name": "t.txt", "media_type": "text/plain", "storage_key": ""}
        session.add(
            DocumentVersion(**same, id=place.version_id, document_id=place.document_id, size=0, **bytes_, **text)
        )
    return place


async def add(
    services: Services, place: Place, text: str, chunks: Sequence[Chunk], vectors: Sequence[Vector | None]
) -> None:
    async with services.database.tenant(place.tenant_id) as session:
        await add_passages(session, place, text, chunks, vectors)


async def remove(services: Services, place: Place) -> None:
    async with services.database.tenant(place.tenant_id) as session:
        await remove_passages(session, place.tenant_id, place.tenant_number, place.version_id)


async def figures(connection: asyncpg.Connection) -> tuple[dict[str, int], int, int]:
    """Lexemes with their counts, then the passages and the lexemes of all knowledge bases."""
    known = dict(map(tuple, await connection.fetch("SELECT lexeme, chunks FROM lexeme_counts WHERE chunks <> 0")))
    sums = await connection.fetchrow("SELECT sum(chunks)::int, sum(lexemes)::int FROM knowledge_bases")
    return known, *sums


async def test_a_passage_is_stored_with_its_place_and_its_words(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Text, offsets, header and lexemes with their positions; the header comes first."""
    place = await make_place(services, alice.tenant_id)
    text = "The bicycle, the other bicycle."
    (only,) = chunk(parsed(text))
    await add(services, place, text, [only], [None])
    row = await superuser.fetchrow(
        "SELECT version_id, document_id, collection_id, ord, start_offset, end_offset, heading_path, language, header, "
        "text FROM chunks"
    )
    ids = (place.version_id, place.document_id, place.collection_id)
    assert tuple(row) == (*ids, 0, 0, len(text), ["Chapter"], "en", only.header, text)
    words = lexemes(f"{only.header}\n{text}")
    stored = await superuser.fetch("SELECT u.lexeme, cardinality(u.positions) FROM chunk_lexemes, unnest(lexemes) u")
    prefix = lexeme_prefix(place.tenant_number)
    assert dict(map(tuple, stored)) == {prefix + word: count for word, count in Counter(words).items()}
    assert await figures(superuser) == (dict.fromkeys(words, 1), 1, len(words))


async def test_odd_characters_survive(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """Quotes, backslashes, emoji and operators of the search language are words or nothing, and never an error."""
    place = await make_place(services, alice.tenant_id)
    chunks = chunk(parsed(ODD))
    await add(services, place, ODD, chunks, [None] * len(chunks))
    assert await superuser.fetchval("SELECT string_agg(text, '' ORDER BY ord) FROM chunks") == ODD
    known, _, length = await figures(superuser)
    assert length == len(lexemes(f"{chunks[0].header}\n{ODD}"))
    assert {"100", "ab-12/3", "a_b@c.de", "backslash"} <= known.keys()


async def test_a_word_is_counted_once_for_each_passage(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The count behind the IDF is of passages; removing the version takes back exactly what it gave."""
    texts = ["Bicycle bicycle bicycle repair.", "Bicycle rental and umbrella rental."]
    places = [await make_place(services, alice.tenant_id) for _ in texts]
    for place, text in zip(places, texts, strict=True):
        await add(services, place, text, chunk(parsed(text)), [None])
    headers = [chunk(parsed(text))[0].header for text in texts]
    words = [lexemes(f"{header}\n{text}") for header, text in zip(headers, texts, strict=True)]
    both = Counter(word for each in words for word in set(each))
    assert await figures(superuser) == (both, 2, sum(map(len, words)))
    await remove(services, places[0])
    assert await figures(superuser) == (Counter(set(words[1])), 1, len(words[1]))
    await remove(services, places[0])
    assert await figures(superuser) == (Counter(set(words[1])), 1, len(words[1]))
    await remove(services, places[1])
    assert await figures(superuser) == ({}, 0, 0)
    for table in ("chunks", "chunk_lexemes", "chunk_embeddings", "lexeme_counts"):
        assert await superuser.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_what_is_rolled_back_was_never_there(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Putting in and taking out are parts of the caller's transaction; it may do both, many times."""
    kept, lost = [await make_place(services, alice.tenant_id) for _ in range(2)]
    text = "One sentence about bicycles."
    await add(services, kept, text, chunk(parsed(text)), [None])
    before = await figures(superuser)
    async with services.database.tenant(alice.tenant_id) as session:
        await add_passages(session, lost, text, chunk(parsed(text)), [None])
        await remove_passages(session, alice.tenant_id, kept.tenant_number, kept.version_id)
        await add_passages(session, kept, text, chunk(parsed(text)), [None])
        await session.rollback()
    assert await figures(superuser) == before
    assert await superuser.fetchval("SELECT count(*) FROM chunks") == 1


async def test_vectors_belong_to_their_passages(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """A passage without one has no row there; the others keep theirs to half precision."""
    place = await make_place(services, alice.tenant_id)
    text = "First.\n\nSecond.\n\nThird."
    whole = chunk(parsed(text))[0]
    spans = [(0, 6), (8, 15), (17, 23)]
    chunks = [structs.replace(whole, ord=at, start=a, end=b) for at, (a, b) in enumerate(spans)]
    vectors = [axis(0, 384), None, axis(2, 384)]
    await add(services, place, text, chunks, vectors)
    rows = await superuser.fetch(
        "SELECT c.text, e.embedding::text FROM chunks c LEFT JOIN chunk_embeddings e ON e.chunk_id = c.id ORDER BY ord"
    )
    shown = ["[" + ",".join("1" if at == one else "0" for at in range(384)) + "]" for one in (0, 2)]
    assert [tuple(row) for row in rows] == [("First.", shown[0]), ("Second.", None), ("Third.", shown[1])]


async def test_a_passage_needs_its_vector_or_none(services: Services, alice: Person) -> None:
    """Lists of different lengths are refused before anything is written."""
    place = await make_place(services, alice.tenant_id)
    with pytest.raises(ValueError, match="shorter"):
        await add(services, place, "Text.", chunk(parsed("Text.")), [])


def test_prefixes_of_two_tenants_never_begin_alike() -> None:
    """Else one tenant's lexeme could be another one's."""
    prefixes = [lexeme_prefix(number) for number in range(1, 600)]
    assert len(set(prefixes)) == len(prefixes)
    assert not [one for one in prefixes for other in prefixes if one != other and one.startswith(other)]


async def test_a_known_embedding_space_uses_up_no_number(services: Services, superuser: asyncpg.Connection) -> None:
    """Every question asks for it, and there are 32,767 numbers."""
    numbers = {await embedding_space(services.database, services.embedder) for _ in range(3)}
    used = await superuser.fetchval(
        "SELECT last_value FROM pg_sequences WHERE sequencename = 'embedding_spaces_id_seq'"
    )
    assert numbers == {used}


async def test_no_vector_of_another_space_is_published(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Neither of another length nor of another model: the first passages decide what the later ones must fit."""
    chunks = chunk(parsed("A bicycle."))
    first, second = [await make_place(services, alice.tenant_id) for _ in range(2)]
    await add(services, first, "A bicycle.", chunks, [axis(0, 384)])
    with pytest.raises(WrongDimensions) as wrong:
        await add(services, second, "A bicycle.", chunks, [axis(0, 64)])
    assert (wrong.value.params["given"], wrong.value.params["wanted"]) == (64, 384)
    other = await superuser.fetchval("INSERT INTO embedding_spaces (model, dimensions) VALUES ('m', 384) RETURNING id")
    with pytest.raises(SpaceChanged):
        await add(services, structs.replace(second, space_id=other), "A bicycle.", chunks, [axis(0, 384)])
    assert await superuser.fetchval("SELECT count(*) FROM chunks") == 1
