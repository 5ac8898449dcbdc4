"""Answers that somebody tries, in the playground or by a set of questions: paid for like those that customers get.

They are among the `answers` of a period and counted by their kind besides. What no model was asked for is free.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import ledger
from asissto.platform.metering import charge, set_aside, tokens_of
from asissto.platform.model_calls import ModelCall

Tried = Literal["playground_answers", "test_answers"]


async def may_try(session: AsyncSession, tenant_id: UUID, kind: Tried, key: str) -> bool:
    """Sets one answer aside, once for each key; of what a workspace wants at zero only an overdraft is about this."""
    return (await set_aside(session, tenant_id, f"{kind}:{key}")).granted


async def count_try(session: AsyncSession, tenant_id: UUID, kind: Tried, key: str, calls: Sequence[ModelCall]) -> None:
    """Charges it once, or gives back what was set aside: where every model failed, too."""
    if any(call.error is None for call in calls):
        await charge(session, tenant_id, f"{kind}:{key}", {"answers": 1, kind: 1, **tokens_of(calls)})
    else:
        await ledger.release(session, tenant_id, f"{kind}:{key}")
