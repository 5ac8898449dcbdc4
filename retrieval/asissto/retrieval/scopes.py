"""Who answers in which workspace, and how: what every answer is asked of."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter
from asissto.ingestion.spaces import Space, no_space_yet
from asissto.ingestion.tables import EmbeddingSpace, KnowledgeBase
from asissto.platform.errors import AssistantPaused, NotFound
from asissto.platform.services import Services
from asissto.platform.tables import Tenant
from asissto.platform.texts import Language, known_language
from asissto.retrieval.approved import Sought
from asissto.retrieval.assistants import AssistantSettings, Snapshot, published
from asissto.retrieval.generation import Persona
from asissto.retrieval.speaking import speak
from asissto.retrieval.tables import Assistant


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """In which tenant, for which assistant an answer is given."""

    tenant_id: UUID
    tenant_number: int
    language: Language
    space: Space
    settings: AssistantSettings = msgspec.field(default_factory=AssistantSettings)
    persona: Persona = Persona("", "", "")
    model: str | None = None
    filter: DocumentFilter = DocumentFilter()
    """Narrows that of the settings."""
    audience: Sequence[str] = ()
    """Who asks; whoever the settings speak for is added."""
    made_by: dict[str, Any] = {}
    """The version of the assistant, for the receipt."""

    @property
    def sought(self) -> Sought:
        return Sought(
            collections=self.settings.collections,
            filters=(self.settings.filter, self.filter),
            audience=(*self.settings.audience, *self.audience),
        )


async def whole_workspace(services: Services, tenant_id: UUID) -> Scope:
    """A scope without an assistant of its own: everything of the tenant, default settings."""
    async with services.database.tenant(tenant_id) as session:
        return await workspace_scope(session, services, tenant_id)


async def workspace_scope(session: AsyncSession, services: Services, tenant_id: UUID) -> Scope:
    """The same in a transaction that is open already."""
    tenant, active = (await session.execute(_of_tenant(tenant_id, Tenant, EmbeddingSpace))).one()
    return _workspace(services, tenant, active)


def _of_tenant(tenant_id: UUID, *what: Any) -> Select[Any]:
    return (
        select(*what)
        .select_from(Tenant)
        .outerjoin(KnowledgeBase, KnowledgeBase.tenant_id == Tenant.id)
        .outerjoin(EmbeddingSpace, EmbeddingSpace.id == KnowledgeBase.space_id)
        .where(Tenant.id == tenant_id)
    )


def _workspace(services: Services, tenant: Tenant, active: EmbeddingSpace | None) -> Scope:
    space = no_space_yet(services) if active is None else Space.of(active)
    language = known_language(tenant.language)
    return Scope(tenant_id=tenant.id, tenant_number=tenant.number, language=language, space=space)


class Speaker(msgspec.Struct, frozen=True):
    """A published assistant, before a question brings its variables."""

    workspace: Scope
    snapshot: Snapshot
    made_by: dict[str, Any]

    def scope(self, channel: str, variables: Mapping[str, str]) -> Scope:
        """How it speaks on a channel of that type. Raises UnknownVariable."""
        return speaking(self.workspace, self.snapshot, channel=channel, variables=variables, made_by=self.made_by)


def speaking(
    scope: Scope,
    snapshot: Snapshot,
    *,
    channel: str = "api",
    variables: Mapping[str, str] | None = None,
    made_by: dict[str, Any] | None = None,
) -> Scope:
    """The scope of one state of an assistant, as it speaks on a channel. Raises UnknownVariable."""
    spoken = msgspec.structs.asdict(speak(snapshot, channel, variables))
    return msgspec.structs.replace(scope, **spoken, made_by=made_by or {})


async def scope_of(  # noqa: PLR0913 - whose words, and where they are said
    services: Services,
    tenant_id: UUID,
    snapshot: Snapshot,
    *,
    channel: str = "api",
    variables: Mapping[str, str] | None = None,
    made_by: dict[str, Any] | None = None,
) -> Scope:
    """`speaking` from a workspace that is read for it. Raises UnknownVariable."""
    workspace = await whole_workspace(services, tenant_id)
    return speaking(workspace, snapshot, channel=channel, variables=variables, made_by=made_by)


async def find_speaker(session: AsyncSession, services: Services, tenant_id: UUID, assistant_id: UUID) -> Speaker:
    """Raises NotFound and AssistantPaused."""
    its = (Assistant.tenant_id == tenant_id) & (Assistant.id == assistant_id)
    query = _of_tenant(tenant_id, Tenant, EmbeddingSpace, Assistant).outerjoin(Assistant, its)
    tenant, active, assistant = (await session.execute(query)).one()
    if assistant is None:
        raise NotFound(kind="assistant")
    if assistant.status == "paused":
        raise AssistantPaused
    snapshot = msgspec.convert(published(assistant), Snapshot)
    return Speaker(_workspace(services, tenant, active), snapshot, {"version": assistant.version})
