"""LlamaIndex's side of answer.py: its query engines over PGVectorStore, as far as they go without a model."""

import sys
import time
from pathlib import Path

from llama_index.core import PromptHelper, Settings, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQueryMode
from peer import Embedding, Peer, main


class PeerAnswers(Peer):
    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder, address)
        Settings.llm = MockLLM()  # gives its prompt back
        Settings.prompt_helper = PromptHelper(context_window=128_000)  # as models have it: one prompt for all sources
        self._embedding = Embedding(self._embedder)
        self._embedding.get_text_embedding("The model loads at the first text.")
        self._engines: dict[tuple[str, str, bool, bool], BaseQueryEngine] = {}

    def answer(self, table: str, tenant: str, words: bool, cite: bool, wanted: int) -> list[tuple[float, list[int]]]:
        """Seconds and found rows of each question; `cite` also numbers sources and fills the prompt."""
        engine = self._query_engine(table, tenant, words, cite, wanted)
        answers = []
        for question in self._work.questions:
            started = time.perf_counter()
            response = engine.query(question)
            taken = time.perf_counter() - started
            rows = [node.node.metadata["row"] for node in response.source_nodes]
            answers.append((taken, list(dict.fromkeys(rows))))
        return answers

    def _query_engine(self, table: str, tenant: str, words: bool, cite: bool, wanted: int) -> BaseQueryEngine:
        key = (table, tenant, words, cite)
        if key not in self._engines:
            index = VectorStoreIndex.from_vector_store(self._store(table), embed_model=self._embedding)
            retriever = index.as_retriever(
                similarity_top_k=wanted,
                sparse_top_k=wanted,
                vector_store_query_mode=VectorStoreQueryMode.HYBRID if words else VectorStoreQueryMode.DEFAULT,
                filters=MetadataFilters(filters=[MetadataFilter(key="tenant", value=tenant)]),
            )
            self._engines[key] = _engine(index, retriever, cite)
        return self._engines[key]


def _engine(index: VectorStoreIndex, retriever: BaseRetriever, cite: bool) -> BaseQueryEngine:
    if cite:
        return CitationQueryEngine.from_args(index, retriever=retriever)
    return RetrieverQueryEngine.from_args(retriever, response_mode=ResponseMode.NO_TEXT)


if __name__ == "__main__":
    main(PeerAnswers, *sys.argv[1:])
