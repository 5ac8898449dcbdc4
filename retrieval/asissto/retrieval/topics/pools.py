"""Which questions are compared with each other: those that one embedder understands, else those of one language."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.pipeline import speaks
from asissto.ingestion.spaces import Space, embedder_of
from asissto.platform.embedding import Embedder
from asissto.platform.services import Services
from asissto.retrieval.scopes import workspace_scope
from asissto.retrieval.topics.word_vectors import WORDS, WordVectors

ALL = "all"
LANGUAGES = ("en", "ru")


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """`languages` of its questions; `space` names the model of their vectors, `by_words` says that it is none."""

    name: str
    languages: tuple[str, ...]
    space: str
    embedder: Embedder
    by_words: bool


async def pools_of(services: Services, tenant_id: UUID) -> list[Pool]:
    """As the tenant's embedding model is now. Raises ProviderError."""
    async with services.database.tenant(tenant_id) as session:
        space = await _space(session, services, tenant_id)
    return divide(space.model, await embedder_of(services, tenant_id, space))


def divide(space: str, embedder: Embedder | None) -> list[Pool]:
    """Languages are mixed only where the embedder knows all of them; where it knows none, words must do."""
    if embedder is not None and embedder.languages is None:
        return [Pool(name=ALL, languages=LANGUAGES, space=space, embedder=embedder, by_words=False)]
    return [_pool(language, space, embedder) for language in LANGUAGES]


def _pool(language: str, space: str, embedder: Embedder | None) -> Pool:
    if embedder is not None and speaks(embedder, language):
        return Pool(name=language, languages=(language,), space=space, embedder=embedder, by_words=False)
    return Pool(name=language, languages=(language,), space=WORDS, embedder=WordVectors(), by_words=True)


async def _space(session: AsyncSession, services: Services, tenant_id: UUID) -> Space:
    return (await workspace_scope(session, services, tenant_id)).space


def names(pools: Sequence[Pool]) -> list[str]:
    return [pool.name for pool in pools]
