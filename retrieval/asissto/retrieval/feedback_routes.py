"""The route by which a program that asks through the API says what its own user thought of the answer."""

from uuid import UUID

import msgspec
from litestar import Controller, put
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from asissto.platform.audit import record
from asissto.platform.errors import NotFound
from asissto.platform.given import Caller, Session
from asissto.platform.permissions import need
from asissto.retrieval.feedback import Opinion, OpinionOut, take_opinion
from asissto.retrieval.tables import Message


class FeedbackController(Controller):
    path = "/api/v1/conversations/{conversation_id:uuid}/messages/{message_id:uuid}/feedback"
    tags = ("conversations",)

    @put(operation_id="conversations.feedback", guards=[need("ask")])
    async def put(
        self,
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        data: JSONBody[Opinion],
        principal: Caller,
        session: Session,
    ) -> OpinionOut:
        """In the place of the opinion before; a comment that is left out stays as it is."""
        message = await session.get(Message, (principal.tenant_id, message_id))
        if message is None or message.conversation_id != conversation_id:
            raise NotFound(kind="message")
        told = await take_opinion(session, principal.tenant_id, message_id, data)
        changes = {name: value for name, value in msgspec.structs.asdict(told).items() if name in ("thumb", "rating")}
        await record(session, principal, "conversations.feedback", "message", message_id, **changes)
        return told


HANDLERS: list[ControllerRouterHandler] = [FeedbackController]
