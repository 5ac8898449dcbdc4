"""Assistants: who answers, from what, how sure it must be. What is published is kept as a version."""

from typing import Annotated, Any, Literal, TypeVar, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter, LabelList
from asissto.platform.errors import InvalidInput, NameTaken, NotFound
from asissto.platform.model_chain import ModelChoice, check_choices
from asissto.platform.plan_models import check_models
from asissto.platform.problems import from_validation
from asissto.platform.settings import Settings
from asissto.platform.tables import Json, new_id
from asissto.platform.texts import Phrase
from asissto.retrieval.confidence import Calibration
from asissto.retrieval.guardrails import Rule
from asissto.retrieval.handing_over import HandOverPolicy
from asissto.retrieval.suspicion import Suspicious
from asissto.retrieval.tables import Assistant, AssistantVersion
from asissto.retrieval.variables import check_texts

T = TypeVar("T")
Name = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(max_length=20_000)]
ModelName = Annotated[str, Meta(max_length=200)]
ChannelType = Literal["api", "telegram", "vk", "sms", "whatsapp", "mail", "web", "http"]
VariableName = Annotated[str, Meta(pattern="^[a-z_][a-z0-9_]{0,39}$")]
VariableValue = Annotated[str, Meta(max_length=500)]
Variables = Annotated[dict[VariableName, VariableValue], Meta(max_length=50)]
Tone = Literal["neutral", "friendly", "formal"]
AnswerLength = Literal["short", "normal", "detailed"]
ReplyText = Annotated[str, Meta(max_length=2_000)]


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
    passage_tokens: Annotated[int, Meta(ge=200, le=30_000)] = 3_000
    """How many tokens of them; the best one is taken whatever its length."""
    rerank: bool = True
    """Whether the reranker of the settings, where there is one, orders what was found."""
    least_confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Below it the assistant says that it does not know; None: what the calibration says, or else the default."""
    calibration: Calibration | None = None
    """How its confidence is read, learnt from labelled questions by `asissto calibrate`; None: as on the dev sets."""
    most_tokens: Annotated[int, Meta(ge=16, le=8_000)] = 700
    """Longest generated answer."""
    models: Annotated[list[ModelChoice], Meta(max_length=5)] = []
    """Who writes, in this order: the next one where one does not answer; empty: `model` at the server's endpoint."""
    unknown_text: Annotated[str, Meta(max_length=2_000)] | None = None
    """What it says when it does not know; None: our own words in the customer's language."""
    rules: Annotated[list[Rule], Meta(max_length=50)] = []
    """What is never mentioned, refused, always said, and how it is said: kept on generated and quoted answers."""
    suspicious: Suspicious = "cut"
    """What becomes of passages that give orders to a model: `cut` ends them where the orders begin, `leave_out` uses
    none of them, `keep` only flags them in the receipt."""
    variables: Variables = {}
    """What `{{name}}` in its texts stands for, where the question does not bring another value."""
    language: Literal["auto", "ru", "en"] = "auto"
    """In which language it answers; auto: in that of the question."""
    tone: Tone = "neutral"
    """How a model is to speak; what is quoted stays as it is."""
    answer_length: AnswerLength = "normal"
    """How much it says; short is a single sentence where it quotes."""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """Of the model; None: the provider's own."""
    channels: dict[ChannelType, dict[str, Any]] = {}
    """By type of channel the settings that are different there."""
    greeting_text: ReplyText | None = None
    """What it says to a greeting; None: our own words in the customer's language."""
    thanks_text: ReplyText | None = None
    """What it says to thanks and farewells; None: our own words in the customer's language."""
    burst_seconds: Annotated[float, Meta(ge=0, le=10)] = 1.0
    """Messages that come within so many seconds of each other get one answer."""
    ask_thumbs: bool = False
    """Whether answers have a thumb up and one down below them, where the channel can show buttons."""
    ask_rating: bool = False
    """Whether a customer is asked for a rating from 1 to 5, once in a conversation, when it is over."""
    rating_after_minutes: Annotated[int, Meta(ge=1, le=10_080)] = 60
    """How long it is to be silent after an answer to be over; one that a member closes is over at once."""
    hand_over: HandOverPolicy = msgspec.field(default_factory=HandOverPolicy)
    """When a person takes the conversation over."""

    @property
    def texts(self) -> dict[str, str | None]:
        """What it says in words of its own, by the path of each; variables may stand in them."""
        own = {name: getattr(self, name) for name in self.__struct_fields__ if name.endswith("_text")}
        return {**own, "hand_over.text": self.hand_over.text}


class AssistantIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    description: LongText = ""
    role: LongText = ""
    prompt: LongText = ""
    instructions: LongText = ""
    model: ModelName | None = None
    settings: AssistantSettings = msgspec.field(default_factory=AssistantSettings)


class Snapshot(AssistantIn, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of an assistant that has versions: whether it is paused is a matter of the moment."""


class SnapshotPatch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    name: Name | UnsetType = UNSET
    description: LongText | UnsetType = UNSET
    role: LongText | UnsetType = UNSET
    prompt: LongText | UnsetType = UNSET
    instructions: LongText | UnsetType = UNSET
    model: ModelName | UnsetType | None = UNSET
    settings: AssistantSettings | UnsetType = UNSET

    def changed(self, snapshot: Json) -> Json:
        """The snapshot with what is not left out."""
        values = {name: getattr(self, name) for name in VERSIONED}
        said = {name: value for name, value in values.items() if value is not UNSET}
        return {**snapshot, **dict(msgspec.to_builtins(said))}


VERSIONED = SnapshotPatch.__struct_fields__


async def create_assistant(session: AsyncSession, tenant_id: UUID, what: AssistantIn, by: UUID | None) -> Assistant:
    """Its first version is published at once. Raises NameTaken and what `check_snapshot` does."""
    await check_snapshot(session, tenant_id, dict(msgspec.to_builtins(what)))
    assistant = Assistant(tenant_id=tenant_id, id=new_id(), version=0, revision=0)
    session.add(assistant)
    await put_live(session, assistant, dict(msgspec.to_builtins(what)), AssistantVersion(created_by=by))
    return assistant


async def put_live(session: AsyncSession, assistant: Assistant, snapshot: Json, version: AssistantVersion) -> None:
    """Makes the snapshot what channels answer by, and keeps it as the next version.

    Raises NameTaken, and what `read_snapshot` does.
    """
    checked = read_snapshot(snapshot)
    await _check_name(session, assistant, checked.name)
    for name in VERSIONED:
        setattr(assistant, name, snapshot[name])
    assistant.version += 1
    assistant.revision += 1
    assistant.updated_at = func.now()
    await session.flush()
    version.tenant_id, version.assistant_id = assistant.tenant_id, assistant.id
    version.number, version.snapshot = assistant.version, snapshot
    session.add(version)
    await session.flush()
    await session.refresh(assistant)


async def check_snapshot(session: AsyncSession, tenant_id: UUID, snapshot: Json) -> None:
    """For what somebody has just written: raises what `read_snapshot` does, InvalidInput for an unknown provider."""
    settings = read_snapshot(snapshot).settings
    await check_choices(session, tenant_id, settings.models, "settings.models")
    for channel in settings.channels:
        path = f"settings.channels.{channel}"
        await check_choices(session, tenant_id, on_channel(settings, channel, path).models, f"{path}.models")


async def check_included(session: AsyncSession, settings: Settings, tenant_id: UUID, snapshot: Json) -> None:
    """For what somebody has just written: raises ModelNotIncluded for a model that the plan does not include."""
    read = read_snapshot(snapshot)
    everywhere = {"settings": read.settings}
    for channel in read.settings.channels:
        path = f"settings.channels.{channel}"
        everywhere[path] = on_channel(read.settings, channel, path)
    if read.model is not None:
        await check_models(session, settings, tenant_id, [read.model], "model")
    for path, meant in everywhere.items():
        names = [choice.model for choice in meant.models if choice.provider_id is None]
        await check_models(session, settings, tenant_id, names, f"{path}.models")


def read_snapshot(snapshot: Json) -> Snapshot:
    """Raises InvalidInput with the path of what is wrong, UnknownVariable for a text that names no variable."""
    read = _converted(snapshot, Snapshot)
    _check_texts(read, read.settings, "settings")
    for channel in read.settings.channels:
        path = f"settings.channels.{channel}"
        _check_texts(read, on_channel(read.settings, channel, path), path)
    return read


def on_channel(settings: AssistantSettings, channel: str, path: str = "settings") -> AssistantSettings:
    """The settings as they are on a channel of that type; raises InvalidInput."""
    return with_other(settings, settings.channels.get(cast("ChannelType", channel), {}), path)


def with_other(settings: AssistantSettings, other: Json, path: str) -> AssistantSettings:
    """The settings with some in the place of theirs, by name; raises InvalidInput with the path of what is wrong."""
    if "channels" in other:
        raise InvalidInput(field=f"{path}.channels", detail=Phrase("invalid.unknown"))
    return _converted({**msgspec.to_builtins(settings), **other}, AssistantSettings, f"{path}.") if other else settings


def _converted(values: Json, kind: type[T], path: str = "") -> T:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise from_validation(str(error), path) from None


def _check_texts(snapshot: Snapshot, settings: AssistantSettings, path: str) -> None:
    texts = {name: getattr(snapshot, name) for name in ("role", "prompt", "instructions")}
    replies = {f"{path}.{name}": words for name, words in settings.texts.items()}
    check_texts({**texts, **replies}, settings.variables)


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


async def named_assistant(session: AsyncSession, tenant_id: UUID, name: str) -> Assistant:
    """Raises NotFound."""
    found = await session.scalar(select(Assistant).where(Assistant.tenant_id == tenant_id, Assistant.name == name))
    if found is None:
        raise NotFound(kind="assistant")
    return found


async def hold_assistant(session: AsyncSession, tenant_id: UUID, assistant_id: UUID) -> Assistant:
    """The row, locked until the transaction ends: two editors change it one after the other."""
    key = (tenant_id, assistant_id)
    found = await session.get(Assistant, key, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound(kind="assistant")
    return found


def settings_of(assistant: Assistant) -> AssistantSettings:
    return msgspec.convert(assistant.settings, AssistantSettings)


def published(assistant: Assistant) -> Json:
    """The snapshot of what is published."""
    return {name: getattr(assistant, name) for name in VERSIONED}


async def prepare_tenant(session: AsyncSession, tenant_id: UUID, language: str) -> None:
    """Gives a new tenant its first assistant."""
    name = "Ассистент" if language == "ru" else "Assistant"
    await create_assistant(session, tenant_id, AssistantIn(name=name), None)


async def _check_name(session: AsyncSession, assistant: Assistant, name: str) -> None:
    same = select(Assistant.id).where(Assistant.tenant_id == assistant.tenant_id, Assistant.name == name)
    with session.no_autoflush:
        if await session.scalar(same.where(Assistant.id != assistant.id)):
            raise NameTaken(name=name, field="name")
