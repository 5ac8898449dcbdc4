"""The routes by which an assistant changes: its draft, publishing, versions, rolling back, copies and files."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import InvalidInput
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.tables import Json
from asissto.platform.texts import Phrase
from asissto.retrieval.assistants import AssistantIn, Name, check_included, create_assistant, find_assistant, published
from asissto.retrieval.diffing import Difference, differences
from asissto.retrieval.drafts import DraftPatch, discard_draft, draft_of, edit_draft
from asissto.retrieval.publishing import Note, Which, choose, find_version, roll_back
from asissto.retrieval.shown_assistants import AssistantOut, DraftOut, VersionOut
from asissto.retrieval.tables import AssistantVersion

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]
Open = SkipValidation[NamedDependency[Services]]
Revision = Annotated[int | None, QueryParameter(description="That of the assistant when it was loaded.")]
Side = Annotated[str, QueryParameter(pattern="^([1-9][0-9]{0,8}|published|draft)$")]


class RollBackIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: int
    note: Note = ""


class CopyIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name


class AssistantFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An assistant outside of its workspace: no ids, no secrets."""

    format: Literal["asissto-assistant-1"] = "asissto-assistant-1"
    assistant: AssistantIn


class AssistantFileIn(AssistantFile, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`name` takes the place of the one in the file."""

    name: Name | UnsetType = UNSET


class DraftController(Controller):
    path = "/api/v1/assistants/{assistant_id:uuid}/draft"
    tags = ("assistants",)

    @get(operation_id="assistants.draft.read", guards=[need("assistants.read")])
    async def read(self, assistant_id: FromPath[UUID], principal: Caller, session: Session) -> DraftOut:
        """409 where there is none."""
        return DraftOut.of(await find_assistant(session, principal.tenant_id, assistant_id))

    @patch(operation_id="assistants.draft.update", guards=[need("assistants.write")])
    async def update(
        self,
        assistant_id: FromPath[UUID],
        data: JSONBody[DraftPatch],
        services: Open,
        principal: Caller,
        session: Session,
    ) -> DraftOut:
        """Begins a draft where there is none; nothing of it is seen before it is published."""
        row = await edit_draft(session, principal.tenant_id, assistant_id, data, principal.user_id)
        await check_included(session, services.settings, principal.tenant_id, draft_of(row))
        fields = sorted(msgspec.to_builtins(data).keys() - {"revision"})
        await record(session, principal, "assistants.draft.update", "assistant", row.id, fields=fields)
        return DraftOut.of(row)

    @delete(operation_id="assistants.draft.discard", guards=[need("assistants.write")])
    async def discard(
        self, assistant_id: FromPath[UUID], principal: Caller, session: Session, revision: Revision = None
    ) -> None:
        row = await discard_draft(session, principal.tenant_id, assistant_id, revision)
        await record(session, principal, "assistants.draft.discard", "assistant", row.id)


Differences = list[Difference]


class VersionController(Controller):
    path = "/api/v1/assistants/{assistant_id:uuid}"
    tags = ("assistants",)

    @get("/versions", operation_id="assistants.versions", guards=[need("assistants.read")])
    async def list(
        self,
        assistant_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[VersionOut]:
        """Newest first."""
        await find_assistant(session, principal.tenant_id, assistant_id)
        mine = select(AssistantVersion).where(AssistantVersion.tenant_id == principal.tenant_id)
        mine = mine.where(AssistantVersion.assistant_id == assistant_id)
        return (await newest_first(session, mine, AssistantVersion.id, limit, after)).map(VersionOut.of)

    @get("/versions/{number:int}", operation_id="assistants.version", guards=[need("assistants.read")])
    async def read(
        self, assistant_id: FromPath[UUID], number: FromPath[int], principal: Caller, session: Session
    ) -> VersionOut:
        return VersionOut.of(await find_version(session, principal.tenant_id, assistant_id, number))

    @get("/diff", operation_id="assistants.diff", guards=[need("assistants.read")])
    async def diff(
        self,
        assistant_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        before: Side = "published",
        after: Side = "draft",
    ) -> Differences:
        """Between two versions by their numbers, `published` or `draft`; texts by their lines, settings by paths."""
        old = await choose(session, principal.tenant_id, assistant_id, _which(before))
        new = await choose(session, principal.tenant_id, assistant_id, _which(after))
        return differences(old.snapshot, new.snapshot)

    @post("/rollback", operation_id="assistants.rollback", status_code=200, guards=[need("assistants.write")])
    async def back(
        self, assistant_id: FromPath[UUID], data: JSONBody[RollBackIn], principal: Caller, session: Session
    ) -> AssistantOut:
        """The version comes back word for word, as a new one. No gate holds it up, and a draft stays a draft."""
        again = AssistantVersion(note=data.note, created_by=principal.user_id)
        row = await roll_back(session, principal.tenant_id, assistant_id, data.version, again)
        said = {"restored": data.version, "version": row.version, "note": data.note}
        await record(session, principal, "assistants.rollback", "assistant", row.id, **said)
        return AssistantOut.of(row)

    @post("/copy", operation_id="assistants.copy", guards=[need("assistants.write")])
    async def copy(
        self, assistant_id: FromPath[UUID], data: JSONBody[CopyIn], services: Open, principal: Caller, session: Session
    ) -> AssistantOut:
        """Of what is published, under another name."""
        source = await find_assistant(session, principal.tenant_id, assistant_id)
        what = msgspec.convert({**published(source), "name": data.name}, AssistantIn)
        row = await create_assistant(session, principal.tenant_id, what, principal.user_id)
        await check_included(session, services.settings, principal.tenant_id, published(row))
        await record(session, principal, "assistants.copy", "assistant", row.id, name=row.name, source=source.id)
        return AssistantOut.of(row)

    @get("/export", operation_id="assistants.export", guards=[need("assistants.read")])
    async def give(self, assistant_id: FromPath[UUID], principal: Caller, session: Session) -> Response[AssistantFile]:
        """What is published, as a file that an import takes. Collections are of this workspace and stay behind."""
        row = await find_assistant(session, principal.tenant_id, assistant_id)
        what = msgspec.convert(published(row), AssistantIn)
        channels = {name: _elsewhere(other) for name, other in what.settings.channels.items()}
        without = msgspec.structs.replace(what.settings, collections=None, channels=channels)
        file = AssistantFile(assistant=msgspec.structs.replace(what, settings=without))
        return Response(file, headers={"content-disposition": 'attachment; filename="assistant.json"'})


class AssistantFileController(Controller):
    path = "/api/v1/assistants/import"
    tags = ("assistants",)

    @post(operation_id="assistants.import", guards=[need("assistants.write")])
    async def take(
        self, data: JSONBody[AssistantFileIn], services: Open, principal: Caller, session: Session
    ) -> AssistantOut:
        """A new assistant, published at once."""
        if data.assistant.settings.collections is not None:
            raise InvalidInput(field="assistant.settings.collections", detail=Phrase("invalid.unknown"))
        name = data.assistant.name if data.name is UNSET else data.name
        what = msgspec.structs.replace(data.assistant, name=name)
        row = await create_assistant(session, principal.tenant_id, what, principal.user_id)
        await check_included(session, services.settings, principal.tenant_id, published(row))
        await record(session, principal, "assistants.import", "assistant", row.id, name=row.name)
        return AssistantOut.of(row)


HANDLERS: list[ControllerRouterHandler] = [DraftController, VersionController, AssistantFileController]


def _elsewhere(other: Json) -> Json:
    """What a channel has of its own, without the ids of this workspace."""
    return {name: value for name, value in other.items() if name != "collections"}


def _which(side: str) -> Which:
    return int(side) if side.isdigit() else msgspec.convert(side, Which)
