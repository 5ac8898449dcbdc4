"""Vectors of one question in its tenant's embedding space, or the reason why the words must do alone."""

from collections.abc import Sequence
from uuid import UUID

from asissto.ingestion.pipeline import speaks
from asissto.ingestion.spaces import Space, embedder_of
from asissto.ingestion.store import Vector
from asissto.platform.embedding import Embedder, embed_in_pieces, impatient, recorded
from asissto.platform.errors import ProviderError
from asissto.platform.languages import language_of
from asissto.platform.model_calls import ModelCall
from asissto.platform.services import Services
from asissto.platform.vector_cache import VectorCache
from asissto.platform.word_pieces import Embedded, agreement
from asissto.retrieval.extractive import Likeness, Reading

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
        self._question: Embedded | None = None

    async def vector(self, question: str) -> Vector | None:
        """None where the embedder does not know the language: its vector would drag the words down."""
        self._embedder = await embedder_of(self._services, self._tenant_id, self._space)
        if self._embedder is not None and not speaks(self._embedder, language_of(question)):
            return None
        embedded = await self._embed([question])
        if embedded is None:
            return None
        self._question = embedded[0]
        return self._question.vector

    async def likeness(self, reading: Reading) -> Likeness | None:
        """None where the question has no vector, and where nothing was read."""
        asked = self._question
        if asked is None or not reading.candidates:
            return None
        texts = [candidate.text for candidate in reading.candidates]
        embedded = await self._embed(texts, self._services.sentences)
        if embedded is None:
            return None
        return Likeness(
            cosines=[float(each.vector @ asked.vector) for each in embedded],
            agreements=_agreements(asked, embedded) if self._speaks_all(reading) else None,
        )

    def _speaks_all(self, reading: Reading) -> bool:
        """Else pieces would choose by language: those of an unknown one agree with nothing."""
        languages = {passage.language for passage in reading.passages} - {"und"}
        return self._embedder is not None and all(speaks(self._embedder, language) for language in languages)

    async def _embed(self, texts: Sequence[str], known: VectorCache | None = None) -> list[Embedded] | None:
        try:
            if self._embedder is None:
                raise ProviderError(permanent=True, reason="no_endpoint")
            embedder = recorded(impatient(self._embedder, EMBED_SECONDS), self._calls)
            return await (embed_in_pieces(embedder, texts) if known is None else known.embed(embedder, texts))
        except ProviderError as error:
            self.notes.append(f"embedding:{error.reason}")
            return None


def _agreements(asked: Embedded, said: Sequence[Embedded]) -> list[float] | None:
    if asked.pieces is None:
        return None
    return [agreement(asked.pieces, each.pieces) for each in said if each.pieces is not None]
