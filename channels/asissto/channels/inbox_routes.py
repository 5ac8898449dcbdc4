"""The inbox of those who answer: the conversations of all channels in one place."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.inbox_list import Status, Wanted, inbox
from asissto.channels.shown_inbox import InboxOut, show
from asissto.platform.authentication import Principal
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, latest_first
from asissto.platform.permissions import need
from asissto.retrieval.conversations import find_conversation
from asissto.retrieval.handing_over import HandOverReason
from asissto.retrieval.tables import Conversation

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]
Words = Annotated[str | None, QueryParameter(max_length=200)]
Short = Annotated[str | None, QueryParameter(max_length=50)]


class InboxController(Controller):
    path = "/api/v1/inbox"
    tags = ("inbox",)

    @get(operation_id="inbox.list", guards=[need("conversations.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        status: FromQuery[list[Status] | None] = None,
        channel_id: FromQuery[UUID | None] = None,
        assistant_id: FromQuery[UUID | None] = None,
        contact_id: FromQuery[UUID | None] = None,
        person_id: FromQuery[UUID | None] = None,
        assignee_id: Short = None,
        tag: Short = None,
        reason: FromQuery[HandOverReason | None] = None,
        q: Words = None,
    ) -> Page[InboxOut]:
        """What happened last comes first. `assignee_id` may be `me` or `none`; `status` may be given several times.

        `q` is looked for in messages, and in the contact's name, phone and e-mail.
        """
        wanted = Wanted(
            status=status or (),
            channel_id=channel_id,
            assistant_id=assistant_id,
            contact_id=contact_id,
            person_id=person_id,
            assignee=assignee_id,
            tag=tag,
            reason=reason,
            q=q,
        )
        query = inbox(principal.tenant_id, principal.user_id, wanted)
        found = await latest_first(session, query, (Conversation.updated_at, Conversation.id), limit, after)
        return Page(await show(session, principal.tenant_id, found.items), found.next)

    @get("/{conversation_id:uuid}", operation_id="inbox.read", guards=[need("conversations.read")])
    async def read(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> InboxOut:
        row = await find_conversation(session, principal.tenant_id, conversation_id)
        return (await show(session, principal.tenant_id, [row]))[0]


HANDLERS: list[ControllerRouterHandler] = [InboxController]
