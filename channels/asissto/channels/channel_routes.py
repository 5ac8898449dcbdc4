"""The routes of channels: made, changed, tried out and installed."""

from typing import Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import UNSET
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.accounts import connector_of
from asissto.channels.calling import check_proxy
from asissto.channels.changing import ChannelIn, ChannelPatch, change_channel, create_channel, revive
from asissto.channels.channels import API, find_channel
from asissto.channels.contract import Health
from asissto.channels.events import TOPIC
from asissto.channels.outbox import wake
from asissto.channels.send_errors import Retryable, SendError
from asissto.channels.shown_channels import ChannelOut
from asissto.channels.tables import Channel
from asissto.ingestion.documents import sweep_later
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import Conflict
from asissto.platform.events import announce
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.texts import Language, Phrase, text

_MOST_STEPS = 5
Caller = NamedDependency[Principal]
Session = NamedDependency[AsyncSession]
Open = SkipValidation[NamedDependency[Services]]
Reader = NamedDependency[Language]


class TrialOut(msgspec.Struct, frozen=True, kw_only=True):
    """`account` is the provider's name of it, `notes` are sentences for the owner, `problem` is the provider's word."""

    ok: bool
    account: str | None = None
    notes: list[str] = []
    code: str | None = None
    problem: str | None = None

    @classmethod
    def of(cls, outcome: Health | SendError, language: Language) -> Self:
        if isinstance(outcome, SendError):
            return cls(ok=False, code=outcome.code, problem=outcome.detail)
        notes = [text(note, language) for note in outcome.notes]
        return cls(ok=True, account=outcome.name, notes=notes)


class ChannelController(Controller):
    path = "/api/v1/channels"
    tags = ("channels",)

    @get(operation_id="channels.list", guards=[need("channels.read")])
    async def list(
        self, principal: Caller, session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[ChannelOut]:
        mine = select(Channel).where(Channel.tenant_id == principal.tenant_id)
        return (await page(session, mine, Channel.id, limit, after)).map(ChannelOut.of)

    @post(operation_id="channels.create", guards=[need("channels.write")])
    async def create(
        self, data: JSONBody[ChannelIn], services: Open, principal: Caller, session: Session
    ) -> ChannelOut:
        row = await create_channel(session, services, principal.tenant_id, data)
        told = {"name": row.name, "type": row.type, "secrets": sorted(data.secrets)}
        await record(session, principal, "channels.create", "channel", row.id, **told)
        return ChannelOut.of(row)

    @get("/{channel_id:uuid}", operation_id="channels.read", guards=[need("channels.read")])
    async def read(self, channel_id: FromPath[UUID], principal: Caller, session: Session) -> ChannelOut:
        return ChannelOut.of(await find_channel(session, principal.tenant_id, channel_id))

    @patch("/{channel_id:uuid}", operation_id="channels.update", guards=[need("channels.write")])
    async def update(
        self,
        channel_id: FromPath[UUID],
        data: JSONBody[ChannelPatch],
        services: Open,
        principal: Caller,
        session: Session,
    ) -> ChannelOut:
        row = await find_channel(session, principal.tenant_id, channel_id)
        row = await change_channel(session, services, row, data)
        await record(session, principal, "channels.update", "channel", row.id, **_told(data))
        await announce(session, principal.tenant_id, TOPIC, row.id)
        return ChannelOut.of(row)

    @delete("/{channel_id:uuid}", operation_id="channels.delete", guards=[need("channels.write")])
    async def remove(self, channel_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        """Its conversations and contacts go with it. The API channel stays."""
        row = await find_channel(session, principal.tenant_id, channel_id)
        _refuse_api(row)
        await session.delete(row)
        await sweep_later(session, principal.tenant_id)
        await record(session, principal, "channels.delete", "channel", row.id, name=row.name)
        await announce(session, principal.tenant_id, TOPIC, row.id)

    @post("/{channel_id:uuid}/check", operation_id="channels.check", status_code=200, guards=[need("channels.write")])
    async def check(self, channel_id: FromPath[UUID], services: Open, principal: Caller, language: Reader) -> TrialOut:
        """Asks the provider who we are; a broken channel that answers goes on. What fails is told, not raised."""
        return await _try(services, principal, channel_id, language, installs=False)

    @post(
        "/{channel_id:uuid}/install",
        operation_id="channels.install",
        status_code=200,
        guards=[need("channels.write")],
    )
    async def install(
        self, channel_id: FromPath[UUID], services: Open, principal: Caller, language: Reader
    ) -> TrialOut:
        """Tells the provider where to bring its events. Failures are told, not raised."""
        return await _try(services, principal, channel_id, language, installs=True)


HANDLERS: list[ControllerRouterHandler] = [ChannelController]


async def _try(
    services: Services, principal: Principal, channel_id: UUID, language: Language, *, installs: bool
) -> TrialOut:
    """No transaction waits for the provider, who may teach us settings until it is finished."""
    outcome: Health | SendError = Retryable("the provider asks for one step after the other")
    learned: dict[str, Any] = {}
    for _ in range(_MOST_STEPS):
        async with services.database.tenant(principal.tenant_id) as session:
            row = await find_channel(session, principal.tenant_id, channel_id)
            _refuse_api(row)
            if learned:
                await change_channel(session, services, row, ChannelPatch(settings=learned))
        told = await _ask(services, row, language, installs=installs)
        if not isinstance(told, dict):
            outcome = told
            break
        learned = told
    async with services.database.tenant(principal.tenant_id) as session:
        row = await find_channel(session, principal.tenant_id, channel_id)
        if isinstance(outcome, Health):
            revive(row)
            await wake(session)
        action = "channels.install" if installs else "channels.check"
        result = {"ok": isinstance(outcome, Health), "code": getattr(outcome, "code", None)}
        await record(session, principal, action, "channel", channel_id, **result)
        await announce(session, principal.tenant_id, TOPIC, channel_id)
    return TrialOut.of(outcome, language)


async def _ask(
    services: Services, row: Channel, language: Language, *, installs: bool
) -> Health | SendError | dict[str, Any]:
    """Settings have to be stored before it is asked again."""
    try:
        connector = connector_of(services, row, language)
    except SendError as error:
        return error
    try:
        await check_proxy(connector.account)
        learned = await connector.install() if installs else None
        return learned or await connector.check()
    except SendError as error:
        return error
    finally:
        await connector.close()


def _refuse_api(row: Channel) -> None:
    if row.type == API:
        raise Conflict(detail=Phrase("conflict.api_channel"))


def _told(data: ChannelPatch) -> dict[str, Any]:
    """For the audit trail: what was set, but of secrets only which."""
    told = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
    if "secrets" in told:
        told["secrets"] = sorted(told["secrets"])
    return told
