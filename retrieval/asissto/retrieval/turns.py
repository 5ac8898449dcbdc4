"""A turn of a conversation: what waits in it is taken, answered once, and stored with whatever follows from it.

`ask` and `ask_in_pieces` are for whoever waits for the answer to a question; `open_turn` and `collect_turn` are for a
job that was woken by messages which are stored already (`bursts.arrive`, in the transaction that takes them in).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.events import announce
from asissto.platform.languages import language_of
from asissto.platform.model_calls import store_calls
from asissto.platform.services import Services
from asissto.platform.texts import Language, text
from asissto.retrieval import bursts
from asissto.retrieval.answering import check_question
from asissto.retrieval.answers import Answer, Piece, turned
from asissto.retrieval.at_once import MODE as CANNED
from asissto.retrieval.bursts import Burst, Later, Place, Settled
from asissto.retrieval.changing_hands import hand_over
from asissto.retrieval.charging import charge, paid_answer, spare
from asissto.retrieval.conversations import TOPIC, Asked, store_answer
from asissto.retrieval.handing_over import HandOverPolicy, after_failure, hand_over_as_wanted, why_not
from asissto.retrieval.kept_calls import calls_kept
from asissto.retrieval.remembering import remember_turn
from asissto.retrieval.retelling import stored_answer
from asissto.retrieval.scopes import Speaker, find_speaker
from asissto.retrieval.summaries import ask_for_summary
from asissto.retrieval.tables import Conversation, Message
from asissto.retrieval.topics import asked as asking

SILENT = "silent"


class Told(msgspec.Struct, frozen=True):
    """An answer that is stored, and where; a silent one says that a person has the customer's message `message_id`."""

    answer: Answer
    conversation_id: UUID
    message_id: UUID


Together = Callable[[AsyncSession, Told], Awaitable[None]]
"""What is to be written in the transaction that stores the answer, such as the row of an outbox."""


async def ask(services: Services, asked: Asked) -> Told:
    """The whole turn at once. Raises QuestionEmpty, QuestionTooLong, NotFound, ConversationClosed, AssistantPaused."""
    async with aclosing(_asked(services, asked, streams=False)) as events:
        async for event in events:
            if isinstance(event, Told):
                return event
    raise AssertionError("the last event is the answer")


async def ask_in_pieces(services: Services, asked: Asked) -> AsyncGenerator[Piece | Told, None]:
    """Pieces of the answer, then the stored turn. No connection is held while a model works."""
    async with aclosing(_asked(services, asked, streams=True)) as events:
        async for event in events:
            yield event


class OpenTurn(msgspec.Struct, frozen=True):
    """What waits in a conversation and who answers it, before the answer is made."""

    speaker: Speaker
    channel: str
    place: Place
    found: Burst | Later | Settled | None


async def open_turn(
    session: AsyncSession, services: Services, conversation: Conversation, channel: str = "api"
) -> OpenTurn:
    """Takes what waits in the conversation where nobody else does. Raises AssistantPaused."""
    tenant_id = conversation.tenant_id
    speaker = await find_speaker(session, services, tenant_id, conversation.assistant_id)
    window = speaker.scope(channel, {}).settings.burst_seconds
    place = Place(tenant_id=tenant_id, conversation_id=conversation.id, window=window, is_pushed=True)
    return OpenTurn(speaker, channel, place, await bursts.look(session, place))


async def collect_turn(services: Services, opened: OpenTurn, together: Together | None = None) -> Told | None:
    """Answers everything that waits in the conversation, once the customer has stopped writing; None: nothing waited.

    For a job of a channel with a durable inbox. It may run twice and at once with others: messages are answered by one
    turn alone, and `together` is called in the transaction that stores its answer. Nothing is to be sent where
    `answer.mode` is silent.
    """
    turn = _Turn(services, opened.speaker, opened.channel, opened.place, streams=False, together=together)
    async with aclosing(turn.events(opened.found)) as events:
        async for event in events:
            if isinstance(event, Told):
                return event
    return None


async def _asked(services: Services, asked: Asked, *, streams: bool) -> AsyncGenerator[Piece | Told, None]:
    check_question(asked.question)
    async with services.database.tenant(asked.tenant_id) as session:
        speaker = await find_speaker(session, services, asked.tenant_id, asked.assistant_id)
        settings = speaker.scope(asked.channel_type, asked.variables).settings
        place = await bursts.arrive(session, asked, settings.burst_seconds)
        found = await bursts.look(session, place)
    turn = _Turn(services, speaker, asked.channel_type, place, streams=streams)
    async with aclosing(turn.events(found)) as events:
        async for event in events:
            yield event


class _Turn:
    """What one caller waits for; the turn itself may be another caller's."""

    def __init__(  # noqa: PLR0913 - who asks whom, where and how
        self,
        services: Services,
        speaker: Speaker,
        channel: str,
        place: Place,
        *,
        streams: bool,
        together: Together | None = None,
    ) -> None:
        self._services = services
        self._speaker = speaker
        self._channel = channel
        self._place = place
        self._streams = streams
        self._together = together
        self._may_restart = True

    async def events(self, found: Burst | Later | Settled | None) -> AsyncGenerator[Piece | Told, None]:
        while found is not None:
            if isinstance(found, Settled):
                yield await self._tell_again(found)
                return
            if isinstance(found, Later):
                await asyncio.sleep(found.seconds)
            else:
                async with aclosing(self._answer(found)) as events:
                    async for event in events:
                        if isinstance(event, Piece) or self._is_mine(found):
                            yield event
                        if isinstance(event, Told) and self._is_mine(found):
                            return
            async with self._services.database.tenant(self._place.tenant_id) as session:
                found = await bursts.look(session, self._place)

    def _is_mine(self, burst: Burst) -> bool:
        return self._place.message_id is None or self._place.message_id in burst.message_ids

    async def _answer(self, burst: Burst) -> AsyncGenerator[Piece | Told, None]:
        """Without a Told where the turn begins anew, or somebody else has taken it."""
        scope = self._speaker.scope(self._channel, burst.variables)
        scope = msgspec.structs.replace(scope, filter=burst.filter, audience=burst.audience)
        shows = self._streams and self._is_mine(burst)
        answer: Answer | None = None
        async with bursts.kept(self._services, burst), calls_kept(self._services, burst.place.tenant_id) as calls:
            async with aclosing(paid_answer(self._services, scope, burst, calls)) as events:
                async for event in events:
                    if isinstance(event, Answer):
                        answer = event
                    elif shows:
                        self._may_restart = False  # what was shown cannot be taken back
                        yield event
            assert answer is not None
            async with self._services.database.tenant(burst.place.tenant_id) as session:
                told = await self._store(session, burst, scope.settings.hand_over, answer)
                if told is not None:
                    await store_calls(session, burst.place.tenant_id, calls, told.message_id)
            if told is not None:
                calls.clear()
        if told is not None:
            yield told  # only now: whoever gets it may never come back to let the transaction end

    async def _store(self, session: AsyncSession, burst: Burst, policy: HandOverPolicy, answer: Answer) -> Told | None:
        conversation = await bursts.hold(session, burst)
        if conversation is None:
            return None
        if conversation.status != "bot":  # a person has taken it over meanwhile, and answers
            await bursts.withdraw(session, conversation)
            await spare(session, self._services, burst)
            return None
        if self._may_restart and await bursts.more_came(session, burst):
            self._may_restart = False
            return None
        answer = _with_hand_over(answer, conversation.failures, policy)
        about = {"messages": len(burst.message_ids), "language": answer.language}
        details = {"turn": about, **answer.details, "assistant": self._speaker.made_by}
        answer = msgspec.structs.replace(answer, details=details)
        stored = turned(answer, self._speaker.made_by)
        told = Told(answer, conversation.id, await store_answer(session, conversation, burst.question, stored))
        await bursts.settle(session, burst.place, burst.message_ids, told.message_id)
        await remember_turn(session, conversation, burst.message_ids, answer, told.message_id)
        space = self._speaker.workspace.space.model
        noted = asking.Asked(question=burst.question, answer=answer, message_id=told.message_id, space=space)
        await asking.note_question(session, conversation, noted)
        await charge(session, self._services, burst, answer, told.message_id)
        await _follow_up(session, conversation, answer)
        if burst.history.is_long:
            await ask_for_summary(session, conversation)
        if self._together is not None:
            await self._together(session, told)
        return told

    async def _tell_again(self, settled: Settled) -> Told:
        message = settled.message
        if message.answer_id is None:
            return Told(_silent(message, self._speaker.workspace.language), message.conversation_id, message.id)
        async with self._services.database.tenant(self._place.tenant_id) as session:
            answer = await stored_answer(session, self._place.tenant_id, message.answer_id)
        return Told(answer, message.conversation_id, message.answer_id)


def _with_hand_over(answer: Answer, failures: int, policy: HandOverPolicy) -> Answer:
    proposed = answer.hand_over
    if proposed is None and answer.hand_over_wanted is not None:
        proposed = hand_over_as_wanted(answer.hand_over_wanted, policy, answer.language)
    if proposed is None and _failed(answer):
        judged = answer.details.get("confidence", {})
        is_empty = judged.get("zone") == "none" or bool(answer.usage)  # a model that was asked has found nothing
        reason = why_not(answer.notes, is_empty=is_empty)
        proposed = after_failure(reason, failures + 1, policy, answer.language)
    if proposed is None:
        return answer
    details = {**answer.details, "hand_over": msgspec.to_builtins(proposed)}
    said = {"text": proposed.text, "outcome": "handed_over", "citations": ()} if proposed.is_done else {}
    return msgspec.structs.replace(answer, hand_over=proposed, details=details, **said)


async def _follow_up(session: AsyncSession, conversation: Conversation, answer: Answer) -> None:
    """Counts failures, and gives the conversation to a person where the answer says so."""
    if answer.hand_over is not None and answer.hand_over.is_done:
        await hand_over(session, conversation, answer.hand_over.reason)
        await announce(session, conversation.tenant_id, TOPIC, conversation.id)
    elif _failed(answer):
        conversation.failures += 1
    elif answer.answered and answer.mode != CANNED:
        conversation.failures = 0


def _failed(answer: Answer) -> bool:
    """Courtesies and questions back to the customer are neither answers nor failures."""
    clarifies = answer.details.get("generation", {}).get("decision") == "clarify"
    return answer.outcome == "abstained" and answer.mode != CANNED and not clarifies


def _silent(message: Message, default: Language) -> Answer:
    found = language_of(message.content)
    language = default if found == "und" else found
    return Answer(
        text=text("hand_over.waiting", language),
        language=language,
        confidence=0.0,
        found=(),
        best_sentences=(),
        timings={"total": 0.0},
        outcome=SILENT,
        mode=SILENT,
    )
