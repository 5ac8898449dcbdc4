"""LlamaIndex's side: PGVectorStore and IngestionPipeline as they come, in the environment of requirements-peer.lock."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import contest
import workload
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.vector_stores.postgres import PGVectorStore
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from asissto.platform.minilm import WIDTH, MiniLM

AT_ONCE = 64  # texts between two progress reports of the other side
HNSW = {"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": 40}  # the values of its own documentation


class Peer:
    def __init__(self, folder: Path, address: str) -> None:
        self._work = workload.load(folder)
        self._address = address
        self._engine = create_engine(self._address, isolation_level="AUTOCOMMIT")
        self._embedder = MiniLM(folder / "models")
        self._stores: dict[str, PGVectorStore] = {}

    def store(self, table: str, tenant: str, first: int, last: int) -> float:
        """Seconds to add these rows; making the nodes is not counted."""
        nodes = self._nodes(tenant, first, last)
        store = self._store(table)
        store._initialize()  # noqa: SLF001 - tables are made before the clock runs
        started = time.perf_counter()
        store.add(nodes)
        return time.perf_counter() - started

    def copy_with_hnsw(self) -> float:
        """Seconds to index the rows of `hybrid` in a table that has HNSW as well."""
        self._stores.pop("hnsw", None)
        self._run("DROP TABLE IF EXISTS data_hnsw")
        without = PGVectorStore(**self._settings("hnsw"), hybrid_search=True)
        without._initialize()  # noqa: SLF001 - the table without its index, which is faster made at the end
        columns = "text, metadata_, node_id, embedding"
        self._run(f"INSERT INTO data_hnsw ({columns}) SELECT {columns} FROM data_hybrid")
        started = time.perf_counter()
        self._store("hnsw")._initialize()  # noqa: SLF001
        return time.perf_counter() - started

    def search(self, table: str, words: bool, dense: bool, wanted: int) -> list[tuple[float, list[int]]]:
        """Seconds and found rows of each question."""
        return [
            self._ask(self._store(table), number, words, dense, wanted) for number in range(len(self._work.questions))
        ]

    def ingest(self, texts: list[str]) -> dict[str, float]:
        """Seconds and passages of whole documents, and the seconds of embedding among them."""
        embedding = Embedding(self._embedder)
        embedding.get_text_embedding("The model loads at the first text.")
        splitter = SentenceSplitter(chunk_size=200, chunk_overlap=40)
        store = self._store("documents")
        store._initialize()  # noqa: SLF001
        pipeline = IngestionPipeline(transformations=[splitter, embedding], vector_store=store)
        before = embedding.seconds
        started = time.perf_counter()
        nodes = pipeline.run(documents=[Document(text=each) for each in texts])
        taken = time.perf_counter() - started
        return {"seconds": taken, "embedding": embedding.seconds - before, "passages": len(nodes)}

    def peak_mb(self) -> float:
        return contest.peak_mb()

    def _run(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(text("SET maintenance_work_mem = '512MB'"))
            connection.execute(text(statement))

    def _settings(self, table: str) -> dict[str, Any]:
        options = {"options": "-c maintenance_work_mem=512MB"}  # else the graph does not fit, and building it crawls
        return {
            "table_name": table,
            "embed_dim": WIDTH,
            "connection_string": self._address,
            "async_connection_string": self._address.replace("+psycopg2", "+asyncpg"),
            "engine": create_engine(self._address, connect_args=options),
            "async_engine": create_async_engine(self._address.replace("+psycopg2", "+asyncpg")),
            "initialization_fail_on_error": True,
        }

    def _store(self, table: str) -> PGVectorStore:
        """`plain` has vectors only, the others text search too; `hnsw` and `indexed` have both indexes."""
        if table not in self._stores:
            hnsw = dict(HNSW) if table in {"hnsw", "indexed"} else None
            kinds = {"hybrid_search": table != "plain", "hnsw_kwargs": hnsw}
            self._stores[table] = PGVectorStore(**self._settings(table), **kinds)
        return self._stores[table]

    def _nodes(self, tenant: str, first: int, last: int) -> list[TextNode]:
        document = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"{tenant}-{first}")}
        return [
            TextNode(
                id_=str(row),
                text=self._work.texts[row],
                embedding=self._work.vectors[row].tolist(),
                metadata={"tenant": tenant, "row": row},
                relationships=document,
            )
            for row in range(first, last)
        ]

    def _ask(self, store: PGVectorStore, number: int, words: bool, dense: bool, wanted: int) -> tuple[float, list[int]]:
        mode = VectorStoreQueryMode.HYBRID if words and dense else VectorStoreQueryMode.SPARSE
        started = time.perf_counter()
        query = VectorStoreQuery(
            query_embedding=self._work.question_vectors[number].tolist(),
            query_str=self._work.questions[number],
            similarity_top_k=wanted,
            filters=MetadataFilters(filters=[MetadataFilter(key="tenant", value=workload.TENANT)]),
            mode=mode if words else VectorStoreQueryMode.DEFAULT,
        )
        found = store.query(query)
        return time.perf_counter() - started, [int(row) for row in found.ids or ()]


class Embedding(BaseEmbedding):
    """The embedder of the other side in LlamaIndex's clothes; `seconds` is what it has spent."""

    seconds: float = 0.0
    _model: MiniLM = PrivateAttr()

    _runner: asyncio.Runner = PrivateAttr(default_factory=asyncio.Runner)

    def __init__(self, model: MiniLM) -> None:
        super().__init__(model_name=model.model, embed_batch_size=AT_ONCE)
        self._model = model

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        started = time.perf_counter()
        rows: list[list[float]] = self._runner.run(self._model.embed(texts)).tolist()
        self.seconds += time.perf_counter() - started
        return rows

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def main(kind: type[Peer], folder: str, address: str) -> None:
    peer = kind(Path(folder), address)

    def call(method: str, **arguments: Any) -> Any:
        return getattr(peer, method)(**arguments)

    contest.serve(call)


if __name__ == "__main__":
    main(Peer, *sys.argv[1:])
