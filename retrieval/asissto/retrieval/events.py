"""What watchers of a workspace are told of runs."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.events import Topic
from asissto.platform.texts import Language
from asissto.retrieval.quality_tables import SetRun
from asissto.retrieval.set_runs import TOPIC
from asissto.retrieval.shown_runs import RunOut


class RunGone(msgspec.Struct, frozen=True):
    id: UUID
    state: Literal["deleted"] = "deleted"


async def render_runs(
    session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID], _language: Language
) -> list[RunOut | RunGone]:
    """As the API shows them."""
    rows = await session.scalars(select(SetRun).where(SetRun.tenant_id == tenant_id, SetRun.id.in_(ids)))
    shown = {row.id: RunOut.of(row) for row in rows}
    return [shown.get(each) or RunGone(each) for each in ids]


TOPICS = {TOPIC: Topic("quality.read", "set_run", render_runs)}
