"""Asissto's side: stores by the publishing transaction and searches as the application's role."""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import contest
import msgspec
import workload
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from asissto.ingestion import pipeline
from asissto.ingestion.chunking import Chunk, ChunkSizes, chunk
from asissto.ingestion.documents import Upload, embedding_space, upload
from asissto.ingestion.jobs import HANDLERS
from asissto.ingestion.parsing import Element, ParsedDocument
from asissto.ingestion.pipeline import speaks
from asissto.ingestion.store import Place, Vector, add_passages, embedding_input, lock_knowledge
from asissto.ingestion.tables import Chunk as ChunkRow
from asissto.ingestion.tables import Collection, Document, DocumentVersion
from asissto.platform.database import Addresses, Database
from asissto.platform.entrypoints.workspace import TENANT_HOOKS, read
from asissto.platform.keys import parse_key_ring
from asissto.platform.local_files import LocalFiles
from asissto.platform.minilm import MiniLM
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.platform.tables import Tenant, new_id
from asissto.platform.worker import Worker
from asissto.retrieval.passages import Passage
from asissto.retrieval.rewriting import follow_up_terms
from asissto.retrieval.search import Query, search


class Ours:
    def __init__(self, folder: Path, addresses: Addresses) -> None:
        self._folder = folder
        self._work = workload.load(folder)
        self._database = Database(addresses, pool_size=1)
        self._embedder = MiniLM(folder / "models")
        self._places: dict[str, Place] = {}
        self._row_at: dict[tuple[UUID, int], int] = {}

    async def adopt(self, tenant: str, tenant_id: UUID) -> None:
        """Rows of `tenant` go into a workspace that is there."""
        async with self._database.tenant(tenant_id) as session:
            number = (await session.scalars(select(Tenant.number).where(Tenant.id == tenant_id))).one()
        self._places[tenant] = await self._place_in(tenant_id, number)

    async def store(self, tenant: str, first: int, last: int) -> float:
        """Seconds to publish these rows as one document of one tenant."""
        place = await self._place(tenant)
        texts = self._work.texts[first:last]
        chunks = _chunks(texts, [self._work.language(row) for row in range(first, last)])
        self._row_at.update({(place.document_id, each.start): first + each.ord for each in chunks})
        vectors = [
            self._work.vectors[row] if speaks(self._embedder, self._work.language(row)) else None
            for row in range(first, last)
        ]
        started = time.perf_counter()
        await self._publish(place, "\n".join(texts), chunks, vectors)
        return time.perf_counter() - started

    async def search(self, words: bool, dense: bool, wanted: int) -> list[tuple[float, list[int]]]:
        """Seconds and found rows of each question, transaction included."""
        return [await self._ask(number, words, dense, wanted) for number in range(len(self._work.questions))]

    async def ingest(self, texts: list[str]) -> dict[str, float]:
        """Seconds and passages of whole documents, and the seconds of embedding among them."""
        await self._embedder.embed(["The model loads at the first text."])
        started = time.perf_counter()
        each = [await self._ingest(text) for text in texts]
        taken = time.perf_counter() - started
        return {"seconds": taken, "embedding": sum(s for s, _ in each), "passages": sum(n for _, n in each)}

    async def files(self, paths: list[str]) -> dict[str, float]:
        """Seconds of whole files from upload to publication by one worker, and of the steps among them."""
        steps = Stopwatches()
        place = await self._place("files")
        services = self._open_services()
        await self._embedder.embed(["The model loads at the first text."])
        worker = Worker(services, HANDLERS)
        with steps.around(pipeline, "parse_apart", "embed_chunks", "_publish"):
            started = time.perf_counter()
            for number, path in enumerate(map(Path, paths)):
                what = Upload(place.collection_id, path.name, f"{number} {path}", None)
                await upload(services, place.tenant_id, what, read(path))
            while await worker.run_one():
                pass
            taken = time.perf_counter() - started
        async with self._database.tenant(place.tenant_id) as session:
            mine = DocumentVersion.tenant_id == place.tenant_id
            states = list(await session.scalars(select(DocumentVersion.state).where(mine)))
            chunks = select(func.count()).where(ChunkRow.tenant_id == place.tenant_id)
            passages = (await session.scalars(chunks)).one()
        return {
            "seconds": taken,
            "documents": states.count("ready"),
            "failed": states.count("failed"),
            "passages": passages,
            **steps.seconds,
        }

    async def peak_mb(self) -> float:
        return contest.peak_mb()

    def _open_services(self) -> Services:
        """That remember nothing yet."""
        return Services(
            settings=Settings(data_dir=self._folder),
            keys=parse_key_ring("bench:" + "A" * 43 + "="),
            database=self._database,
            files=LocalFiles(self._folder / "files"),
            embedder=self._embedder,
            chat=None,
        )

    def _rows(self, found: Sequence[Passage]) -> list[int]:
        return [self._row_at[passage.document_id, passage.start] for passage in found]

    async def _place(self, tenant: str) -> Place:
        if tenant not in self._places:
            self._places[tenant] = await self._open_tenant(tenant)
        return msgspec.structs.replace(self._places[tenant], document_id=new_id(), version_id=new_id())

    async def _open_tenant(self, name: str) -> Place:
        tenant = Tenant(id=new_id(), name=name, language="en")
        async with self._database.system() as session:
            session.add(tenant)
            await session.flush()
            number = tenant.number
            for prepare in TENANT_HOOKS:
                await prepare(session, tenant.id, "en")
        return await self._place_in(tenant.id, number)

    async def _place_in(self, tenant_id: UUID, number: int) -> Place:
        async with self._database.tenant(tenant_id) as session:
            collection_id = (await session.scalars(select(Collection.id))).one()
        space_id = await embedding_space(self._database, self._embedder)
        return Place(tenant_id, number, collection_id, new_id(), new_id(), space_id)

    async def _publish(
        self, place: Place, text: str, chunks: Sequence[Chunk], vectors: Sequence[Vector | None]
    ) -> None:
        nothing = {"size": 0, "content_sha": b"", "pipeline_sha": b"", "storage_key": "", "media_type": "text/plain"}
        name = str(place.document_id)
        mine = {"tenant_id": place.tenant_id, "collection_id": place.collection_id}
        document = Document(id=place.document_id, title=name, source_key=name, **mine)
        version = DocumentVersion(tenant_id=place.tenant_id, id=place.version_id, document_id=place.document_id)
        for field, value in (nothing | {"file_name": name, "state": "ready", "stage": "ready", "text": text}).items():
            setattr(version, field, value)
        async with self._database.tenant(place.tenant_id) as session:
            await lock_knowledge(session, place.tenant_id)
            session.add(document)
            await session.flush()
            session.add(version)
            await session.flush()
            await add_passages(session, place, text, chunks, vectors)
            document.active_version_id = place.version_id

    async def _ask(self, number: int, words: bool, dense: bool, wanted: int) -> tuple[float, list[int]]:
        place = self._places[workload.TENANT]
        started = time.perf_counter()
        query = Query(
            terms=follow_up_terms(self._work.questions[number], ()) if words else {},
            vector=self._work.question_vectors[number] if dense else None,
            space_id=place.space_id,
            collections=None,
            wanted=wanted,
        )
        async with self._database.tenant(place.tenant_id) as session:
            found = await search(session, place.tenant_id, place.tenant_number, query)
        return time.perf_counter() - started, self._rows(found.passages)

    async def _ingest(self, text: str) -> tuple[float, int]:
        """Seconds of embedding and passages. As in the pipeline, without parsing and progress reports."""
        place = await self._place("documents")
        parsed = ParsedDocument(title="", text=text, elements=_paragraphs(text), pages=None, warnings=())
        chunks = chunk(parsed, ChunkSizes())
        inputs = [embedding_input(each, text) for each in chunks]
        started = time.perf_counter()
        vectors = list(await self._embedder.embed(inputs))
        embedding = time.perf_counter() - started
        await self._publish(place, text, chunks, vectors)
        return embedding, len(chunks)


class Stopwatches:
    """Times functions of a module while they are called by their own names."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def around(self, module: ModuleType, *names: str) -> Iterator[None]:
        originals = {name: getattr(module, name) for name in names}
        for name, function in originals.items():
            self.seconds[name] = 0.0
            setattr(module, name, partial(self._timed, name, function))
        yield
        for name, function in originals.items():
            setattr(module, name, function)

    async def _timed(self, name: str, function: Any, *arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return await function(*arguments, **named)
        finally:
            self.seconds[name] += time.perf_counter() - started


def _chunks(texts: Sequence[str], languages: Sequence[str]) -> list[Chunk]:
    chunks, start = [], 0
    for number, (text, language) in enumerate(zip(texts, languages, strict=True)):
        end = start + len(text)
        chunks.append(Chunk(number, start, end, start, end, None, (), "text", "", language, len(text) // 4))
        start = end + 1
    return chunks


def _paragraphs(text: str) -> tuple[Element, ...]:
    elements, start = [], 0
    for paragraph in text.split("\n\n"):
        end = start + len(paragraph)
        elements.append(Element("text", start, end, None, ()))
        start = end + 2
    return tuple(elements)


def main(kind: type[Ours], folder: str, *addresses: str) -> None:
    with asyncio.Runner() as runner:
        ours = kind(Path(folder), Addresses(*map(make_url, addresses)))

        def call(method: str, **arguments: Any) -> Any:
            return runner.run(getattr(ours, method)(**arguments))

        contest.serve(call)


if __name__ == "__main__":
    main(Ours, *sys.argv[1:])
