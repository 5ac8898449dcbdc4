"""Assistants: who answers, from what, how sure it must be. Each change is kept as a version."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter, LabelList
from asissto.platform.errors import NameTaken, NotFound
from asissto.platform.tables import new_id
from asissto.retrieval.guardrails import Rule
from asissto.retrieval.suspicion import Suspicious
from asissto.retrieval.tables import Assistant, AssistantVersion

Name = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(max_length=20_000)]


class AssistantSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an assistant may be told beyond its texts; each one changes the next answer."""

    collections: list[UUID] | None = None
    """Where it may look; None: everywhere in the workspace."""
    filter: DocumentFilter = msgspec.field(default_factory=DocumentFilter)
    """Which documents there it may use."""
    audience: LabelList = []
    """For whom it speaks: documents with an audience are found for those alone."""
    passages: Annotated[int, Meta(ge=1, le=20)] = 6
    """How many passages an answer may stand on."""
    least_confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Below it the assistant says that it does not know; None: the calibrated default."""
    most_tokens: Annotated[int, Meta(ge=16, le=8_000)] = 700
    """Longest generated answer."""
    unknown_text: Annotated[str, Meta(max_length=2_000)] | None = None
    """What it says when it does not know; None: our own words in the customer's language."""
    rules: Annotated[list[Rule], Meta(max_length=50)] = []
    """What is never mentioned, refused, always said, and how it is said: kept on generated and quoted answers."""
    suspicious: Suspicious = "cut"
    """What becomes of passages that give orders to a model: `cut` ends them where the orders begin, `leave_out` uses
    none of them, `keep` only flags them in the receipt."""


class AssistantIn(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: Name
    description: LongText = ""
    role: LongText = ""
    prompt: LongText = ""
    instructions: LongText = ""
    model: Annotated[str, Meta(max_length=200)] | None = None
    settings: AssistantSettings = msgspec.field(default_factory=AssistantSettings)


class AssistantPatch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    name: Name | UnsetType = UNSET
    description: LongText | UnsetType = UNSET
    role: LongText | UnsetType = UNSET
    status: Annotated[str, Meta(pattern="^(active|paused)$")] | UnsetType = UNSET
    prompt: LongText | UnsetType = UNSET
    instructions: LongText | UnsetType = UNSET
    model: Annotated[str, Meta(max_length=200)] | UnsetType | None = UNSET
    settings: AssistantSettings | UnsetType = UNSET


async def create_assistant(session: AsyncSession, tenant_id: UUID, what: AssistantIn, by: UUID | None) -> Assistant:
    """Raises NameTaken."""
    await _check_name(session, tenant_id, what.name)
    values = msgspec.structs.asdict(what) | {"settings": msgspec.to_builtins(what.settings)}
    assistant = Assistant(tenant_id=tenant_id, id=new_id(), version=0, **values)
    session.add(assistant)
    await _keep_version(session, assistant, by)
    return assistant


async def change_assistant(
    session: AsyncSession, tenant_id: UUID, assistant_id: UUID, what: AssistantPatch, by: UUID | None
) -> Assistant:
    """Raises NotFound and NameTaken."""
    assistant = await find_assistant(session, tenant_id, assistant_id)
    changes = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not UNSET}
    if "name" in changes and changes["name"] != assistant.name:
        await _check_name(session, tenant_id, changes["name"])
    if "settings" in changes:
        changes["settings"] = msgspec.to_builtins(changes["settings"])
    for name, value in changes.items():
        setattr(assistant, name, value)
    assistant.updated_at = func.now()
    await _keep_version(session, assistant, by)
    return assistant


async def find_assistant(session: AsyncSession, tenant_id: UUID, assistant_id: UUID) -> Assistant:
    found = await session.get(Assistant, (tenant_id, assistant_id))
    if found is None:
        raise NotFound(kind="assistant")
    return found


async def first_assistant(session: AsyncSession, tenant_id: UUID) -> Assistant:
    """The oldest one, which the command line asks when none is named."""
    oldest = select(Assistant).where(Assistant.tenant_id == tenant_id).order_by(Assistant.id).limit(1)
    found = await session.scalar(oldest)
    if found is None:
        raise NotFound(kind="assistant")
    return found


def settings_of(assistant: Assistant) -> AssistantSettings:
    return msgspec.convert(assistant.settings, AssistantSettings)


async def prepare_tenant(session: AsyncSession, tenant_id: UUID, language: str) -> None:
    """Gives a new tenant its first assistant."""
    name = "Ассистент" if language == "ru" else "Assistant"
    await create_assistant(session, tenant_id, AssistantIn(name=name), None)


async def _check_name(session: AsyncSession, tenant_id: UUID, name: str) -> None:
    same = select(Assistant.id).where(Assistant.tenant_id == tenant_id, Assistant.name == name)
    if await session.scalar(same):
        raise NameTaken(name=name, field="name")


async def _keep_version(session: AsyncSession, assistant: Assistant, by: UUID | None) -> None:
    assistant.version += 1
    kept = ("name", "description", "role", "status", "prompt", "instructions", "model", "settings")
    await session.flush()
    snapshot = {name: getattr(assistant, name) for name in kept}
    session.add(
        AssistantVersion(
            tenant_id=assistant.tenant_id,
            assistant_id=assistant.id,
            number=assistant.version,
            snapshot=snapshot,
            created_by=by,
        )
    )
