"""Vectors of one question in its tenant's embedding space, or the reason why the words must do alone."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from asissto.ingestion.pipeline import speaks
from asissto.ingestion.spaces import Space, embedder_of
from asissto.ingestion.store import Vector
from asissto.platform.embedding import Embedder, impatient, recorded
from asissto.platform.errors import ProviderError
from asissto.platform.languages import language_of
from asissto.platform.model_calls import ModelCall
from asissto.platform.services import Services
from asissto.platform.vector_cache import VectorCache
from asissto.retrieval.extractive import Reading

EMBED_SECONDS = 4.0
"""Somebody waits: an endpoint that takes longer is done without, because words alone find most of what there is."""


class Dense:
    """`notes` tell what the tenant's embedding model failed with; `calls` gets what was asked of an endpoint."""

    def __init__(self, services: Services, tenant_id: UUID, space: Space, calls: list[ModelCall]) -> None:
        self.notes: list[str] = []
        self._services = services
        self._tenant_id = tenant_id
        self._space = space
        self._calls = calls
        self._embedder: Embedder | None = None

    async def vector(self, question: str) -> Vector | None:
        """None where the embedder does not know the language: its vector would drag the words down."""
        self._embedder = await embedder_of(self._services, self._tenant_id, self._space)
        if self._embedder is not None and not speaks(self._embedder, language_of(question)):
            return None
        vectors = await self._embed([question])
        return None if vectors is None else vectors[0]

    async def cosines(self, reading: Reading, vector: Vector | None) -> list[float] | None:
        """Of the question with the reading's candidates."""
        if vector is None or not reading.candidates:
            return None
        vectors = await self._embed([candidate.text for candidate in reading.candidates], self._services.sentences)
        return None if vectors is None else [float(cosine) for cosine in vectors @ vector]

    async def _embed(self, texts: Sequence[str], known: VectorCache | None = None) -> NDArray[np.float32] | None:
        try:
            if self._embedder is None:
                raise ProviderError(permanent=True, reason="no_endpoint")
            embedder = recorded(impatient(self._embedder, EMBED_SECONDS), self._calls)
            return await (embedder.embed(texts) if known is None else known.embed(embedder, texts))
        except ProviderError as error:
            self.notes.append(f"embedding:{error.reason}")
            return None
