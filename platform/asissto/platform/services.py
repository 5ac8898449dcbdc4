"""What a process holds open while it runs; built once in an entry point and passed on."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Self

import msgspec

from asissto.platform.chat import ChatModel, make_chat_model
from asissto.platform.database import Addresses, Database
from asissto.platform.embedding import Embedder, OpenAIEmbedder, make_embedder
from asissto.platform.files import FileStore, make_file_store
from asissto.platform.keys import KeyRing, open_key_ring
from asissto.platform.migrate import embedded_addresses, migrate, outside_addresses
from asissto.platform.minilm import MiniLM
from asissto.platform.model_clients import ModelClients
from asissto.platform.payment_providers import PaymentProviders
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.reranking import Reranker, make_reranker
from asissto.platform.settings import Settings
from asissto.platform.vector_cache import VectorCache


class Services(msgspec.Struct, frozen=True):
    """`embedder` is the one of the settings, `other_embedders` those of tenants whose vectors are of another model.

    `models` holds the clients of the tenants' own providers, `payments` those of the operator's payment providers.
    """

    settings: Settings
    keys: KeyRing
    database: Database
    files: FileStore
    embedder: Embedder
    chat: ChatModel | None
    reranker: Reranker | None = None
    other_embedders: dict[Settings, MiniLM | OpenAIEmbedder] = msgspec.field(default_factory=dict)
    sentences: VectorCache = msgspec.field(default_factory=VectorCache)
    models: ModelClients = msgspec.field(default_factory=ModelClients)
    payments: PaymentProviders = msgspec.field(default_factory=PaymentProviders)

    def embedder_for(self, model: str, dimensions: int) -> Embedder | None:
        """None where the settings name no endpoint that could have the model."""
        if (model, dimensions) == (self.embedder.model, self.embedder.dimensions):
            return self.embedder
        settings = msgspec.structs.replace(self.settings, embedding_model=model, embedding_dimensions=dimensions)
        if settings not in self.other_embedders:
            embedder = make_embedder(settings)
            if isinstance(embedder, OpenAIEmbedder) and not settings.has_chat_model:
                return None
            self.other_embedders[settings] = embedder
        return self.other_embedders[settings]

    def impatient(self, seconds: float) -> Self:
        """The same, for somebody who waits: no statement may take longer."""
        return msgspec.structs.replace(self, database=self.database.impatient(seconds))

    async def close_embedders(self) -> None:
        for embedder in self.other_embedders.values():
            await embedder.close()
        self.other_embedders.clear()


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Starts the embedded database where no other is named, migrates it, and closes everything in reverse."""
    async with AsyncExitStack() as stack:
        keys = open_key_ring(settings)
        addresses = await _addresses(settings, keys, stack)
        await migrate(addresses)
        database = Database(addresses)
        stack.push_async_callback(database.close)
        embedder = make_embedder(settings)
        chat = make_chat_model(settings)
        files = make_file_store(settings)
        reranker = make_reranker(settings)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        services = Services(
            settings=settings,
            keys=keys,
            database=database,
            files=files,
            embedder=embedder,
            chat=chat,
            reranker=reranker,
        )
        stack.push_async_callback(services.close_embedders)
        stack.push_async_callback(services.models.close)
        stack.push_async_callback(services.payments.close)
        yield services


async def _addresses(settings: Settings, keys: KeyRing, stack: AsyncExitStack) -> Addresses:
    if settings.database_url:
        return outside_addresses(settings.database_url, keys)
    server = stack.enter_context(closing(EmbeddedPostgres(settings.data_dir)))
    server.start()
    return await embedded_addresses(server)
