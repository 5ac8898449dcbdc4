"""Embedding spaces: in which one a tenant is searched, and what makes vectors for it."""

from uuid import UUID

import msgspec
from sqlalchemy import select

from asissto.ingestion.documents import embedding_space
from asissto.ingestion.tables import EmbeddingSpace, KnowledgeBase
from asissto.platform.embedding import LOCAL, Embedder, impatient
from asissto.platform.errors import InvalidInput, ProviderError, WrongDimensions
from asissto.platform.minilm import MODEL, WIDTH
from asissto.platform.services import Services
from asissto.platform.texts import Phrase

PROBE_SECONDS = 10.0


class Space(msgspec.Struct, frozen=True):
    """A model and the length of its vectors; `id` 0 is the space of a tenant that has no vectors yet."""

    id: int
    model: str
    dimensions: int

    @classmethod
    def of(cls, row: EmbeddingSpace) -> "Space":
        return cls(row.id, row.model, row.dimensions)

    @property
    def name(self) -> str:
        """The model as people name it."""
        return LOCAL if self.model == MODEL else self.model


def no_space_yet(services: Services) -> Space:
    """Passages will come into the space of the settings, where nothing is found until then."""
    return Space(0, services.embedder.model, services.embedder.dimensions)


def embedder_of(services: Services, space: Space) -> Embedder | None:
    """None where the settings name no endpoint any more that could have the model."""
    return services.embedder_for(space.model, space.dimensions)


async def check_model(services: Services, model: str, dimensions: int | None) -> Embedder:
    """Tries the model with a text. Raises InvalidInput for what is wrong, ProviderError where trying again may help."""
    dimensions = WIDTH if model == LOCAL else dimensions
    if dimensions is None:
        raise InvalidInput(field="dimensions", detail=Phrase("invalid.missing"))
    embedder = services.embedder_for(MODEL if model == LOCAL else model, dimensions)
    if embedder is None:
        raise InvalidInput(field="model", detail=Phrase("provider.no_endpoint"))
    try:
        await impatient(embedder, PROBE_SECONDS).embed(["How long do refunds take?"])
    except WrongDimensions as error:
        raise InvalidInput(field="dimensions", detail=Phrase("invalid.dimensions", error.given)) from None
    except ProviderError as error:
        if not error.permanent:
            raise
        raise InvalidInput(field="model", detail=Phrase(f"provider.{error.reason}")) from None
    return embedder


async def space_to_fill(services: Services, tenant_id: UUID) -> int:
    """The number of the space that a new passage's vector belongs to; whoever publishes first makes it the tenant's."""
    mine = select(KnowledgeBase.space_id).where(KnowledgeBase.tenant_id == tenant_id)
    async with services.database.tenant(tenant_id) as session:
        active = await session.scalar(mine)
    return active or await embedding_space(services.database, services.embedder)


async def find_space(services: Services, tenant_id: UUID, space_id: int) -> Space:
    async with services.database.tenant(tenant_id) as session:
        return Space.of(await session.get_one(EmbeddingSpace, space_id))
