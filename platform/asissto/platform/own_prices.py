"""The prices that a workspace has set itself."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.model_tables import ModelPrice
from asissto.platform.prices import WORKSPACE, OwnPrice, Price, PriceBook


async def price_book(session: AsyncSession, tenant_id: UUID) -> PriceBook:
    rows = await session.scalars(select(ModelPrice).where(ModelPrice.tenant_id == tenant_id))
    return PriceBook([OwnPrice(row.provider_id, row.model, row.effective_from, _price(row)) for row in rows])


def _price(row: ModelPrice) -> Price:
    amounts = ("currency", "input_micros", "cached_micros", "output_micros")
    return Price(**{name: getattr(row, name) for name in amounts}, source=WORKSPACE)
