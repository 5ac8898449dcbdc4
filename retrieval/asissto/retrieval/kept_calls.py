"""Keeps what was asked of models, also where no answer came of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from asissto.platform.model_calls import ModelCall, store_calls
from asissto.platform.services import Services


@asynccontextmanager
async def calls_kept(services: Services, tenant_id: UUID) -> AsyncIterator[list[ModelCall]]:
    """A list for the calls of the block; what is still in it at the end is stored without a message."""
    calls: list[ModelCall] = []
    try:
        yield calls
    finally:
        if calls:
            async with services.database.tenant(tenant_id) as session:
                await store_calls(session, tenant_id, calls, None)
