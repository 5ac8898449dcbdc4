"""The models of an assistant in their order: the next one answers where the one before it does not."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.chat import ATTEMPTS, ChatDelta, ChatEnd, ChatMessage, ChatModel, hurried
from asissto.platform.circuits import Circuits
from asissto.platform.errors import InvalidInput, ProviderError
from asissto.platform.model_calls import ModelCall, Purpose, price_by_own
from asissto.platform.model_tables import ModelProvider
from asissto.platform.prices import PriceBook
from asissto.platform.providers import price_book, usable_connections
from asissto.platform.services import Services
from asissto.platform.texts import Phrase

TURN_SECONDS = 60.0
"""From the first request of a turn to the last token of it, however many models were asked."""

ATTEMPTS_BEFORE_NEXT = 2
"""Where another model waits, it is asked after one more try of the first."""

ModelName = Annotated[str, Meta(min_length=1, max_length=200)]


class ModelChoice(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`provider_id` null is the endpoint of the server's settings."""

    provider_id: UUID | None = None
    model: ModelName
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None


async def check_choices(session: AsyncSession, tenant_id: UUID, choices: Sequence[ModelChoice], path: str) -> None:
    """Raises InvalidInput for a provider that is not the tenant's; `path` is that of the choices."""
    wanted = {choice.provider_id for choice in choices if choice.provider_id is not None}
    mine = (ModelProvider.tenant_id == tenant_id, ModelProvider.id.in_(wanted))
    known = set(await session.scalars(select(ModelProvider.id).where(*mine))) if wanted else set[UUID]()
    for number, choice in enumerate(choices):
        if choice.provider_id is not None and choice.provider_id not in known:
            raise InvalidInput(field=f"{path}[{number}].provider_id", detail=Phrase("invalid.provider"))


class Link(Struct, frozen=True):
    """One model of the chain, or why there is none."""

    provider_id: UUID | None
    name: str
    model: ChatModel | None
    temperature: float | None = None
    missing: str = "no_provider"


async def chain_for(
    services: Services,
    tenant_id: UUID,
    choices: Sequence[ModelChoice],
    model: str | None = None,
    calls: list[ModelCall] | None = None,
) -> "Chain | None":
    """For one turn: its deadline begins at its first request, and every call of it goes into `calls`, priced.

    Without choices it is the endpoint of the settings with `model`; None where there is no model at all.
    """
    if not choices and services.chat is None:
        return None
    wanted = {choice.provider_id for choice in choices if choice.provider_id is not None}
    async with services.database.tenant(tenant_id) as session:
        book = await price_book(session, tenant_id)
        connections = (
            await usable_connections(session, services.keys, services.settings, tenant_id, wanted) if wanted else {}
        )
    links: list[Link] = []
    for choice in choices:
        if choice.provider_id is None:
            links.append(_own_link(services, choice.model, choice.temperature))
            continue
        connection = connections.get(choice.provider_id)
        found = None if connection is None else await services.models.chat(connection, choice.model)
        links.append(Link(choice.provider_id, choice.model, found, choice.temperature))
    return Chain(links or [_own_link(services, model, None)], services.models.circuits, book, calls)


def _own_link(services: Services, name: str | None, temperature: float | None) -> Link:
    if services.chat is None:
        return Link(None, name or "", None, missing="no_endpoint")
    model = services.chat if name is None else services.chat.named(name)
    return Link(None, model.name, model, temperature)


class Chain:
    """A ChatModel. What it told before an error stays told, so the next model is asked only before the first text."""

    def __init__(
        self, links: Sequence[Link], circuits: Circuits, book: PriceBook, calls: list[ModelCall] | None = None
    ) -> None:
        self.name = links[0].name
        self.calls: list[ModelCall] = [] if calls is None else calls
        self._links = links
        self._circuits = circuits
        self._book = book
        self._deadline: float | None = None

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        purpose: Purpose = "answer",
        temperature: float | None = None,
        calls: list[ModelCall] | None = None,
    ) -> AsyncIterator[ChatDelta | ChatEnd]:
        """Raises the error of the last model that was asked."""
        now = asyncio.get_running_loop().time()
        self._deadline = self._deadline or now + TURN_SECONDS
        failure = ProviderError(permanent=False, reason="timeout")
        for number, link in enumerate(self._links, 1):
            attempts = ATTEMPTS if number == len(self._links) else ATTEMPTS_BEFORE_NEXT
            text_came = False
            if asyncio.get_running_loop().time() >= self._deadline:
                break
            request = _Request(messages, max_tokens, purpose, temperature, attempts)
            try:
                async with aclosing(self._through(link, request, calls)) as events:
                    async for event in events:
                        text_came = True
                        yield event
            except ProviderError as error:
                if text_came:
                    raise
                failure = error
            else:
                return
        raise failure

    def named(self, name: str) -> "Chain":
        """The first model's endpoint with another model; the others stay behind it."""
        first, *rest = self._links
        model = None if first.model is None else first.model.named(name)
        renamed = msgspec.structs.replace(first, name=name, model=model)
        return Chain([renamed, *rest], self._circuits, self._book, self.calls)

    async def _through(
        self, link: Link, request: "_Request", calls: list[ModelCall] | None
    ) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
        circuit = self._circuits.of(link.provider_id, link.name)
        if link.model is None:
            raise ProviderError(permanent=True, reason=link.missing)
        if not circuit.lets_through():
            raise ProviderError(permanent=False, reason="circuit_open")
        assert self._deadline is not None
        model, made = hurried(link.model, self._deadline, request.attempts), list[ModelCall]()
        temperature = link.temperature if request.temperature is None else request.temperature
        stream = model.stream(
            request.messages,
            max_tokens=request.max_tokens,
            purpose=request.purpose,
            temperature=temperature,
            calls=made,
        )
        try:
            async with aclosing(stream) as events:  # type: ignore[type-var]
                async for event in events:
                    yield event
        finally:
            circuit.note(made)
            self._keep(made, calls)

    def _keep(self, made: Sequence[ModelCall], calls: list[ModelCall] | None) -> None:
        priced = [price_by_own(call, self._book) for call in made]
        self.calls += priced
        if calls is not None and calls is not self.calls:
            calls += priced


class _Request(Struct, frozen=True):
    messages: Sequence[ChatMessage]
    max_tokens: int
    purpose: Purpose
    temperature: float | None
    attempts: int
