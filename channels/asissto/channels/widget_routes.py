"""The routes of the web widget, which any visitor of an allowed page may call: session, messages, history, events."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation
from litestar.response import ServerSentEvent
from litestar.types import ControllerRouterHandler
from sqlalchemy import select

from asissto.channels.channels import find_channel
from asissto.channels.contract import Event, Sender
from asissto.channels.inbox import take_in
from asissto.channels.tables import InboundEvent
from asissto.channels.threads import answering_assistant
from asissto.channels.widget_access import Widget, from_allowed_page, provide_visitor, provide_widget
from asissto.channels.widget_joining import join
from asissto.channels.widget_messages import History, State, event_key, glance, is_visible, read_history
from asissto.channels.widget_sessions import Identity, Visitor, begin_session, sign_session
from asissto.channels.widget_stream import MOST_STREAMS, WRITTEN, Stream
from asissto.platform.authentication import OTHER_SITES
from asissto.platform.errors import IdentityRefused, NotFound, TooManyRequests
from asissto.platform.events import Hub, announce
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit
from asissto.platform.permissions import open_to_all
from asissto.platform.services import Services
from asissto.platform.texts import Language
from asissto.platform.web import UNCOMPRESSED
from asissto.retrieval.answering import check_question
from asissto.retrieval.assistants import find_assistant
from asissto.retrieval.feedback import Opinion, OpinionOut, take_opinion
from asissto.retrieval.opening import open_citation
from asissto.retrieval.tables import Citation

LARGEST_BODY = 64_000
AROUND = 300
"""Characters around a quote that a visitor sees: enough to judge it by, and no way to read the document."""


Open = SkipValidation[NamedDependency[Services]]
Shown = SkipValidation[NamedDependency[Widget]]
Who = SkipValidation[NamedDependency[Visitor]]
Token = Annotated[
    str, QueryParameter(max_length=4_000, description="That of the session: EventSource sends no headers.")
]
LastEvent = Annotated[str, QueryParameter(max_length=100, description="`last_event` of the history.")]


class SessionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`token` is that of the session before, so that the conversation goes on; `language` is the page's."""

    token: str | None = None
    identity: Identity | None = None
    language: Language | None = None


class SessionOut(msgspec.Struct, frozen=True, kw_only=True):
    """Send `token` as bearer, and keep it for the next visit."""

    token: str
    expires_at: datetime
    is_known: bool
    assistant: str
    greeting: str | None
    language: Language
    has_conversation: bool
    state: State


class MessageIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`id` is a UUID that the page makes: the same one again is the same message."""

    id: UUID
    text: str


class TakenOut(msgspec.Struct, frozen=True):
    message_id: UUID


class VisitorCitationOut(msgspec.Struct, frozen=True, kw_only=True):
    """The quote, and what stands around it as long as the document still says so."""

    number: int
    title: str
    locator: str
    url: str | None
    before: str
    quote: str
    after: str


class WidgetController(Controller):
    path = "/api/v1/widget/{tenant_id:uuid}/{channel_id:uuid}"
    tags = ("widget",)
    guards = (open_to_all, from_allowed_page)
    dependencies = {  # noqa: RUF012 - litestar's own way
        "widget": Provide(provide_widget, sync_to_thread=False),
        "visitor": Provide(provide_visitor, sync_to_thread=False),
    }
    opt = {OTHER_SITES: True}  # noqa: RUF012
    request_max_body_size = LARGEST_BODY

    @post("/session", operation_id="widget.session", status_code=200)
    async def session(
        self, data: JSONBody[SessionIn], services: Open, widget: Shown, language: NamedDependency[Language]
    ) -> SessionOut:
        """Begins a session or goes on with one. The signed identity of a visitor leads to their own conversation.

        With both, what was written in the session before goes on as theirs where they have no conversation yet.
        """
        widget.refuse_if_paused()
        before = widget.visitor(data.token) if data.token and data.identity is None else None
        if widget.settings.require_identity and before is None and data.identity is None:
            raise IdentityRefused
        guest = widget.guest(data.token) if data.identity is not None else None
        visitor = begin_session(widget.lock, widget.settings.session_hours, data.identity, before)
        async with services.database.tenant(widget.tenant_id) as session:
            assistant_id = await answering_assistant(session, widget.channel)
            assistant = await find_assistant(session, widget.tenant_id, assistant_id)
            if guest is not None:
                await join(session, widget.channel, guest, visitor)
            now = await glance(session, visitor)
        return SessionOut(
            token=sign_session(widget.lock, visitor),
            expires_at=datetime.fromtimestamp(visitor.expires_at, UTC),
            is_known=visitor.is_known,
            assistant=assistant.name,
            greeting=widget.settings.greeting,
            language=data.language or language,
            has_conversation=now.conversation_id is not None,
            state=now.state,
        )

    @post("/messages", operation_id="widget.say", status_code=202)
    async def say(
        self,
        data: JSONBody[MessageIn],
        services: Open,
        widget: Shown,
        visitor: Who,
        language: NamedDependency[Language],
    ) -> TakenOut:
        """Takes a message; what is answered comes through the events. The same id again changes nothing."""
        widget.refuse_if_paused()
        check_question(data.text)
        key = event_key(visitor, data.id)
        sender = Sender(external_id=visitor.thread, name=visitor.name or None, language=language)
        event = Event(
            key=key, kind="message", thread=visitor.thread, sender=sender, external_id=str(data.id), text=data.text
        )
        async with services.database.tenant(widget.tenant_id) as session:
            channel = await find_channel(session, widget.tenant_id, widget.channel.id)
            await take_in(session, channel, [event])
            mine = (InboundEvent.tenant_id == channel.tenant_id, InboundEvent.channel_id == channel.id)
            found = select(InboundEvent.message_id).where(*mine, InboundEvent.key == key)
            message_id = (await session.execute(found)).scalar_one()
            await announce(session, widget.tenant_id, WRITTEN, visitor.live_id)
        assert message_id is not None
        return TakenOut(message_id)

    @get("/history", operation_id="widget.history")
    async def history(self, services: Open, visitor: Who, limit: Limit = DEFAULT_LIMIT, after: After = None) -> History:
        """The visitor's own conversation, without what members tell each other in it."""
        async with services.database.tenant(visitor.tenant_id) as session:
            return await read_history(session, visitor, limit, after)

    @get("/events", operation_id="widget.events", opt={UNCOMPRESSED: True, MEDIA_TYPES: ("text/event-stream",)})
    async def events(
        self,
        request: Request[Any, Any, Any],
        hub: SkipValidation[NamedDependency[Hub]],
        services: Open,
        widget: Shown,
        token: Token = "",
        last_event: LastEvent = "",
    ) -> ServerSentEvent:
        """`message` events with an id, by which an EventSource goes on after an interruption, and `state` events."""
        stream = Stream(services, widget, token, request.headers.get("last-event-id") or last_event)
        if hub.streams_of(widget.reader) >= MOST_STREAMS:
            raise TooManyRequests(seconds=60)
        return ServerSentEvent(stream.events(hub))

    @get("/messages/{message_id:uuid}/citations/{number:int}", operation_id="widget.citation")
    async def citation(
        self, message_id: FromPath[UUID], number: FromPath[int], services: Open, visitor: Who
    ) -> VisitorCitationOut:
        """Opens a citation of an answer that this visitor has received."""
        async with services.database.tenant(visitor.tenant_id) as session:
            mine = (Citation.tenant_id == visitor.tenant_id, Citation.message_id == message_id)
            row = await session.scalar(select(Citation).where(*mine, Citation.number == number))
            if row is None or not await is_visible(session, visitor, message_id):
                raise NotFound(kind="citation")
            opened = await open_citation(session, row, AROUND)
        before, after = (opened.before, opened.after) if opened.current else ("", "")
        same = {name: getattr(opened, name) for name in ("number", "title", "locator", "url", "quote")}
        return VisitorCitationOut(**same, before=before, after=after)

    @put("/messages/{message_id:uuid}/feedback", operation_id="widget.feedback")
    async def feedback(
        self, message_id: FromPath[UUID], data: JSONBody[Opinion], services: Open, widget: Shown, visitor: Who
    ) -> OpinionOut:
        """What the visitor thinks of a message that was sent to them: a thumb, or a rating where it asks for one."""
        widget.refuse_if_paused()
        async with services.database.tenant(visitor.tenant_id) as session:
            if not await is_visible(session, visitor, message_id):
                raise NotFound(kind="message")
            return await take_opinion(session, visitor.tenant_id, message_id, data)


HANDLERS: list[ControllerRouterHandler] = [WidgetController]
