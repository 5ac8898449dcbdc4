"""The models of an assistant in their order: the next one answers where the one before it does not."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.chat import ATTEMPTS, ChatDelta, ChatEnd, ChatMessage, ChatModel, hurried
from asissto.platform.endpoint import Connection
from asissto.platform.errors import InvalidInput, ProviderError
from asissto.platform.model_calls import ModelCall, Purpose, price_by_own
from asissto.platform.model_tables import ModelProvider
from asissto.platform.own_prices import price_book
from asissto.platform.plan_models import included_models
from asissto.platform.prices import PriceBook
from asissto.platform.providers import usable_connections
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


def chain_for(
    services: Services,
    tenant_id: UUID,
    choices: Sequence[ModelChoice],
    model: str | None = None,
    calls: list[ModelCall] | None = None,
) -> "Chain | None":
    """For one turn; nothing is read for it before its first request. `calls` gets every attempt, priced.

    Without choices it is the endpoint of the settings with `model`; None where there is no model at all.
    """
    if choices:
        return Chain(services, tenant_id, choices, calls)
    if services.chat is None:
        return None
    choice = ModelChoice(model=model or services.chat.name)
    return Chain(services, tenant_id, [choice], calls, is_default=model is None)


class Chain:
    """A ChatModel. What it told before an error stays told, so the next model is asked only before the first text."""

    def __init__(
        self,
        services: Services,
        tenant_id: UUID,
        choices: Sequence[ModelChoice],
        calls: list[ModelCall] | None = None,
        *,
        is_default: bool = False,
    ) -> None:
        self.name = choices[0].model
        self.left_out: tuple[str, ...] = ()
        """Models that were chosen and that the plan does not include, once the chain was asked."""
        self._is_default = is_default
        self.calls: list[ModelCall] = [] if calls is None else calls
        self._services = services
        self._tenant_id = tenant_id
        self._choices = choices
        self._links: list[Link] = []
        self._book = PriceBook()
        self._deadline: float | None = None
        self._streams: list[AsyncGenerator[ChatDelta | ChatEnd, None]] = []

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        purpose: Purpose = "answer",
        temperature: float | None = None,
        calls: list[ModelCall] | None = None,
    ) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
        """Raises the error of the last model that was asked."""
        stream = self._stream(_Request(messages, max_tokens, purpose, temperature), calls)
        self._streams.append(stream)
        return stream

    def named(self, name: str) -> "Chain":
        """The first model's endpoint with another model; the others stay behind it."""
        first, *rest = self._choices
        renamed = [msgspec.structs.replace(first, model=name), *rest]
        return Chain(self._services, self._tenant_id, renamed, self.calls)

    async def close(self) -> None:
        """Ends what nobody reads to its end, so that it is among the calls afterwards."""
        for stream in self._streams:
            await stream.aclose()

    async def _stream(
        self, request: "_Request", calls: list[ModelCall] | None
    ) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
        await self._open()
        failure = ProviderError(permanent=False, reason="timeout")
        for number, link in enumerate(self._links, 1):
            attempts = ATTEMPTS if number == len(self._links) else ATTEMPTS_BEFORE_NEXT
            text_came = False
            if self._is_late():
                break
            try:
                async with aclosing(self._through(link, request, attempts, calls)) as events:
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

    async def _open(self) -> None:
        """Reads what the chain is made of, once; the deadline of the turn begins here."""
        if self._deadline is not None:
            return
        services = self._services
        wanted = {choice.provider_id for choice in self._choices if choice.provider_id is not None}
        async with services.database.tenant(self._tenant_id) as session:
            choices = self._within(await included_models(session, services.settings, self._tenant_id))
            self._book = await price_book(session, self._tenant_id)
            connections: dict[UUID, Connection] = {}
            if wanted:
                connections = await usable_connections(
                    session, services.keys, services.settings, self._tenant_id, wanted
                )
        self._links = [await self._link(choice, connections) for choice in choices]
        self._deadline = asyncio.get_running_loop().time() + TURN_SECONDS

    def _within(self, included: Sequence[str]) -> Sequence[ModelChoice]:
        """Without the server's models that the plan does not include; its first one stands in for them."""
        kept = [choice for choice in self._choices if _is_within(choice, included)]
        left_out = [choice.model for choice in self._choices if not _is_within(choice, included)]
        if left_out and all(choice.provider_id is not None for choice in kept):
            kept.append(ModelChoice(model=included[0]))
        self.left_out = () if self._is_default else tuple(left_out)
        return kept

    async def _link(self, choice: ModelChoice, connections: Mapping[UUID, Connection]) -> Link:
        if choice.provider_id is None:
            chat = self._services.chat
            model = None if chat is None else chat.named(choice.model)
            return Link(None, choice.model, model, choice.temperature, missing="no_endpoint")
        connection = connections.get(choice.provider_id)
        found = None if connection is None else await self._services.models.chat(connection, choice.model)
        return Link(choice.provider_id, choice.model, found, choice.temperature)

    def _is_late(self) -> bool:
        return self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline

    async def _through(
        self, link: Link, request: "_Request", attempts: int, calls: list[ModelCall] | None
    ) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
        circuit = self._services.models.circuits.of(link.provider_id, link.name)
        if link.model is None:
            raise ProviderError(permanent=True, reason=link.missing)
        if not circuit.lets_through():
            raise ProviderError(permanent=False, reason="circuit_open")
        assert self._deadline is not None
        model, made = hurried(link.model, self._deadline, attempts), list[ModelCall]()
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


def _is_within(choice: ModelChoice, included: Sequence[str]) -> bool:
    return not included or choice.provider_id is not None or choice.model in included


class _Request(Struct, frozen=True):
    messages: Sequence[ChatMessage]
    max_tokens: int
    purpose: Purpose
    temperature: float | None
