"""The models that a plan includes: checked where one is chosen, and where one is asked.

A plan limits the models of the server's own endpoint, which the operator pays for; what a workspace asks at providers
of its own is its own affair.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import ModelNotIncluded
from asissto.platform.settings import Settings
from asissto.platform.subscriptions import find_subscription, terms_of


async def check_models(
    session: AsyncSession, settings: Settings, tenant_id: UUID, names: Iterable[str], field: str
) -> None:
    """Raises ModelNotIncluded for the first of these models of the server that the plan does not include."""
    if not settings.billing:
        return
    terms = terms_of(await find_subscription(session, tenant_id))
    for name in names:
        if terms.models and name not in terms.models:
            raise ModelNotIncluded(model=name, plan=terms.name, models=", ".join(terms.models), field=field)


async def included_models(session: AsyncSession, settings: Settings, tenant_id: UUID) -> Sequence[str]:
    """The first is asked in the place of those that are not; none: any may be asked."""
    if not settings.billing:
        return ()
    return terms_of(await find_subscription(session, tenant_id)).models
