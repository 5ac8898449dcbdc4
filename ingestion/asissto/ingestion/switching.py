"""Switches of a tenant's embedding model: begun by a choice or by new settings, and told to people."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import embedding_space
from asissto.ingestion.tables import EmbeddingSpace, KnowledgeBase, SpaceSwitch
from asissto.platform.audit import Actor, record
from asissto.platform.jobs import enqueue
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import Language, reason_text

REEMBED, DROP_SPACE = "knowledge.reembed", "knowledge.drop_space"
KEPT = timedelta(days=1)
"""How long the vectors of the model before are kept: going back within that time embeds only what is new."""


async def choose_space(session: AsyncSession, tenant_id: UUID, space_id: int | None, *, following: int) -> None:
    """Makes the space the tenant's choice, None that of the settings (`following`), and begins the switch to it."""
    base = await hold_knowledge(session, tenant_id)
    base.chosen_space_id = space_id
    await begin_switch(session, base, space_id or following)


async def begin_switch(session: AsyncSession, base: KnowledgeBase, space_id: int) -> None:
    """Begins anew where one is on its way already; the vectors that were made stay, so nothing is paid twice.

    To the active space it makes what vectors are missing there.
    """
    await end_switch(session, base, "cancelled")
    if base.space_id is None:
        base.space_id = space_id
        return
    switch = SpaceSwitch(tenant_id=base.tenant_id, id=new_id(), from_space_id=base.space_id, to_space_id=space_id)
    session.add(switch)
    await session.flush()
    await enqueue(session, base.tenant_id, REEMBED, str(switch.id), {"after": None})


async def cancel_switch(session: AsyncSession, tenant_id: UUID) -> None:
    """Stays with the active space for good, and gives up what was made for the other."""
    base = await hold_knowledge(session, tenant_id)
    base.chosen_space_id = base.space_id
    await end_switch(session, base, "cancelled")
    switch = await newest_switch(session, tenant_id)
    if switch is not None and switch.state == "failed":
        switch.state = "cancelled"
    await drop_others(session, base, timedelta(0))


async def begin_wanted_switches(services: Services) -> None:
    """For every tenant that is searched in another space than its choice, or the settings, want."""
    following = await embedding_space(services.database, services.embedder)
    wanted = func.coalesce(KnowledgeBase.chosen_space_id, following)
    under_way = select(SpaceSwitch.id).where(
        SpaceSwitch.tenant_id == KnowledgeBase.tenant_id,
        SpaceSwitch.state == "building",
        SpaceSwitch.to_space_id == wanted,
    )
    behind = select(KnowledgeBase.tenant_id).where(KnowledgeBase.space_id != wanted, ~under_way.exists())
    async with services.database.system() as session:
        tenants = list(await session.scalars(behind))
    for tenant_id in tenants:
        await _follow(services, tenant_id, following)


async def _follow(services: Services, tenant_id: UUID, following: int) -> None:
    async with services.database.tenant(tenant_id) as session:
        base = await hold_knowledge(session, tenant_id)
        space_id = base.chosen_space_id or following
        switch = await newest_switch(session, tenant_id)
        if switch is not None and (switch.state, switch.to_space_id) == ("building", space_id):
            return  # another worker that started at the same moment was first
        await begin_switch(session, base, space_id)
        space = await session.get_one(EmbeddingSpace, space_id)
        actor = Actor(tenant_id=tenant_id, kind="system")
        await record(session, actor, "knowledge.embedding.switch", "knowledge base", tenant_id, model=space.model)


async def hold_knowledge(session: AsyncSession, tenant_id: UUID) -> KnowledgeBase:
    """The row that publishing and deleting lock too, so that neither happens meanwhile."""
    mine = select(KnowledgeBase).where(KnowledgeBase.tenant_id == tenant_id)
    held = mine.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(held)).one()


async def newest_switch(session: AsyncSession, tenant_id: UUID) -> SpaceSwitch | None:
    mine = select(SpaceSwitch).where(SpaceSwitch.tenant_id == tenant_id)
    newest = mine.order_by(SpaceSwitch.id.desc()).limit(1)
    return (await session.scalars(newest.execution_options(populate_existing=True))).one_or_none()


async def end_switch(session: AsyncSession, base: KnowledgeBase, state: str, **values: Any) -> None:
    """The one that is under way, if any."""
    building = (SpaceSwitch.tenant_id == base.tenant_id, SpaceSwitch.state == "building")
    ended = {"state": state, "retry_at": None, "finished_at": func.now(), **values}
    await session.execute(update(SpaceSwitch).where(*building).values(**ended))


async def drop_others(session: AsyncSession, base: KnowledgeBase, wait: timedelta) -> None:
    """Has the vectors deleted that any switch left in spaces other than the active one."""
    mine = SpaceSwitch.tenant_id == base.tenant_id
    spaces = select(SpaceSwitch.from_space_id).where(mine).union(select(SpaceSwitch.to_space_id).where(mine))
    run_at = datetime.now(UTC) + wait
    for space_id in set(await session.scalars(spaces)) - {base.space_id}:
        await enqueue(session, base.tenant_id, DROP_SPACE, str(space_id), {"space_id": space_id}, run_at=run_at)


def explain_switch(switch: SpaceSwitch, language: Language) -> str | None:
    """Why it failed or waits, in the reader's language."""
    return switch.reason and reason_text(switch.reason, switch.reason_params, language)
