"""Embedding spaces: in which one a tenant is searched, and what makes vectors for it."""

import re
from collections.abc import Collection
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from asissto.ingestion.documents import embedding_space
from asissto.ingestion.tables import EmbeddingSpace, KnowledgeBase
from asissto.platform.embedding import LOCAL, Embedder, impatient, recorded
from asissto.platform.errors import InvalidInput, ProviderError, WrongDimensions
from asissto.platform.minilm import MODEL, WIDTH
from asissto.platform.model_calls import ModelCall, Purpose, store_calls
from asissto.platform.providers import usable_connections
from asissto.platform.services import Services
from asissto.platform.texts import Phrase

PROBE_SECONDS = 10.0

_OF_PROVIDER = re.compile(r"provider:([0-9a-f-]{36})/")


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
        """The model as people and its endpoint name it."""
        if self.provider_id is not None:
            return self.model.split("/", 1)[1]
        return LOCAL if self.model == MODEL else self.model

    @property
    def provider_id(self) -> UUID | None:
        """The provider of the tenant that makes its vectors; None: this machine or the endpoint of the settings."""
        found = _OF_PROVIDER.match(self.model)
        return None if found is None else UUID(found[1])


class WantedModel(msgspec.Struct, frozen=True):
    """`provider_id` None is the endpoint of the settings."""

    model: str
    dimensions: int | None
    provider_id: UUID | None = None


def space_model(provider_id: UUID | None, model: str) -> str:
    """The name of the space: two providers may mean different models by one name."""
    return model if provider_id is None else f"provider:{provider_id}/{model}"


def no_space_yet(services: Services) -> Space:
    """Passages will come into the space of the settings, where nothing is found until then."""
    return Space(0, services.embedder.model, services.embedder.dimensions)


async def embedder_of(services: Services, tenant_id: UUID, space: Space) -> Embedder | None:
    """None where the settings name no endpoint any more, or the tenant has no provider, that could have the model."""
    if space.provider_id is None:
        return services.embedder_for(space.model, space.dimensions)
    wanted = {space.provider_id}
    async with services.database.tenant(tenant_id) as session:
        found = await usable_connections(session, services.keys, services.settings, tenant_id, wanted)
    connection = found.get(space.provider_id)
    if connection is None:
        return None
    return await services.models.embedder(connection, space.name, space.dimensions, space=space.model)


async def check_model(services: Services, tenant_id: UUID, wanted: WantedModel) -> Embedder:
    """Tries the model with a text. Raises InvalidInput for what is wrong, ProviderError where trying again may help."""
    local = wanted.model == LOCAL and wanted.provider_id is None
    dimensions = WIDTH if local else wanted.dimensions
    if dimensions is None:
        raise InvalidInput(field="dimensions", detail=Phrase("invalid.missing"))
    model = MODEL if local else space_model(wanted.provider_id, wanted.model)
    embedder = await embedder_of(services, tenant_id, Space(0, model, dimensions))
    if embedder is None and wanted.provider_id is not None:
        raise InvalidInput(field="provider_id", detail=Phrase("invalid.provider"))
    if embedder is None:
        raise InvalidInput(field="model", detail=Phrase("provider.no_endpoint"))
    try:
        probe = impatient(embedder, PROBE_SECONDS)
        await embed_paid(services, tenant_id, probe, ["How long do refunds take?"], purpose="test")
    except WrongDimensions as error:
        raise InvalidInput(field="dimensions", detail=Phrase("invalid.dimensions", error.given)) from None
    except ProviderError as error:
        if not error.permanent:
            raise
        raise InvalidInput(field="model", detail=Phrase(f"provider.{error.reason}")) from None
    return embedder


async def embed_paid(
    services: Services, tenant_id: UUID, embedder: Embedder, texts: Collection[str], *, purpose: Purpose = "embed"
) -> NDArray[np.float32]:
    """Vectors of passages; what an endpoint was asked for is kept among the tenant's calls, also where it failed."""
    calls: list[ModelCall] = []
    try:
        return await recorded(embedder, calls, purpose).embed(list(texts))
    finally:
        if calls:
            async with services.database.tenant(tenant_id) as session:
                await store_calls(session, tenant_id, calls, None)


async def space_to_fill(services: Services, tenant_id: UUID) -> int:
    """The number of the space that a new passage's vector belongs to; whoever publishes first makes it the tenant's."""
    mine = select(KnowledgeBase.space_id).where(KnowledgeBase.tenant_id == tenant_id)
    async with services.database.tenant(tenant_id) as session:
        active = await session.scalar(mine)
    return active or await embedding_space(services.database, services.embedder)


async def find_space(services: Services, tenant_id: UUID, space_id: int) -> Space:
    async with services.database.tenant(tenant_id) as session:
        return Space.of(await session.get_one(EmbeddingSpace, space_id))
