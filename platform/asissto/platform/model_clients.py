"""The open clients of tenants' providers, and which of their models are left alone for a while."""

import time
from uuid import UUID

from asissto.platform.chat import OpenAIChat
from asissto.platform.circuits import Circuits
from asissto.platform.embedding import OpenAIEmbedder
from asissto.platform.endpoint import Connection, Endpoint

SECONDS = 30.0
"""Without a byte from a provider, where its own limits do not allow longer."""

KEPT_SECONDS = 300.0
"""How long the client of a connection that was changed may finish what it has begun."""


class ModelClients:
    def __init__(self) -> None:
        self.circuits = Circuits()
        self._endpoints: dict[UUID, Endpoint] = {}
        self._retired: list[tuple[float, Endpoint]] = []

    async def chat(self, connection: Connection, model: str) -> OpenAIChat:
        return OpenAIChat(await self.endpoint(connection), model)

    async def embedder(self, connection: Connection, model: str, dimensions: int, *, space: str) -> OpenAIEmbedder:
        return OpenAIEmbedder(await self.endpoint(connection), space, dimensions, sent_model=model)

    async def endpoint(self, connection: Connection) -> Endpoint:
        """The same client until the provider is changed."""
        assert connection.provider_id is not None
        known = self._endpoints.get(connection.provider_id)
        if known is not None and known.connection == connection:
            return known
        seconds = max(SECONDS, connection.first_token_seconds or 0.0)
        opened = self._endpoints[connection.provider_id] = Endpoint(connection, seconds=seconds)
        if known is not None:
            self._retired.append((time.monotonic(), known))
        await self._close_retired(older_than=KEPT_SECONDS)
        return opened

    async def close(self) -> None:
        for endpoint in self._endpoints.values():
            await endpoint.close()
        self._endpoints.clear()
        await self._close_retired(older_than=0.0)

    async def _close_retired(self, *, older_than: float) -> None:
        now = time.monotonic()
        for retired in [each for each in self._retired if now - each[0] >= older_than]:
            self._retired.remove(retired)
            await retired[1].close()
