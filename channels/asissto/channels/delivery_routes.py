"""The routes that tell what became of the parts of a conversation's messages."""

from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.deliveries import DeliveryOut, cancel_part, find_part, send_again
from asissto.channels.tables import Outgoing
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.platform.texts import Language
from asissto.retrieval.conversations import find_conversation

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]
Reader = NamedDependency[Language]


class DeliveryController(Controller):
    path = "/api/v1/conversations/{conversation_id:uuid}/deliveries"
    tags = ("inbox",)

    @get(operation_id="deliveries.list", guards=[need("conversations.read")])
    async def list(
        self,
        conversation_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        language: Reader,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[DeliveryOut]:
        """The newest first. On the API channel there are none."""
        await find_conversation(session, principal.tenant_id, conversation_id)
        mine = (Outgoing.tenant_id == principal.tenant_id, Outgoing.conversation_id == conversation_id)
        found = await newest_first(session, select(Outgoing).where(*mine), Outgoing.id, limit, after)
        return found.map(lambda row: DeliveryOut.of(row, language))

    @post(
        "/{part_id:uuid}/retry",
        operation_id="deliveries.retry",
        status_code=200,
        guards=[need("conversations.write")],
    )
    async def retry(
        self, conversation_id: FromPath[UUID], part_id: FromPath[UUID], principal: Caller, session: Session,
        language: Reader,
    ) -> DeliveryOut:  # fmt: skip
        """A part that was not sent, or of which nobody knows, goes back to its place in the queue."""
        row = await find_part(session, principal.tenant_id, conversation_id, part_id)
        await send_again(session, row)
        await record(session, principal, "deliveries.retry", "part", part_id, conversation_id=conversation_id)
        return DeliveryOut.of(row, language)

    @post(
        "/{part_id:uuid}/cancel",
        operation_id="deliveries.cancel",
        status_code=200,
        guards=[need("conversations.write")],
    )
    async def cancel(
        self, conversation_id: FromPath[UUID], part_id: FromPath[UUID], principal: Caller, session: Session,
        language: Reader,
    ) -> DeliveryOut:  # fmt: skip
        """A part that waits is not sent."""
        row = await find_part(session, principal.tenant_id, conversation_id, part_id)
        await cancel_part(session, row)
        await record(session, principal, "deliveries.cancel", "part", part_id, conversation_id=conversation_id)
        return DeliveryOut.of(row, language)


HANDLERS: list[ControllerRouterHandler] = [DeliveryController]
