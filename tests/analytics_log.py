"""A seeded random log of a workspace: turns, inquiries, feedback, model calls and SMS, as the product writes them."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update

from asissto.channels.tables import Channel, Outgoing
from asissto.platform.model_tables import ModelCallRow
from asissto.platform.services import Services
from asissto.platform.tables import Tenant, new_id
from asissto.retrieval.analytics_tables import Feedback, Inquiry, Turn
from asissto.retrieval.assistants import AssistantIn, create_assistant
from asissto.retrieval.tables import Conversation, Message

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RESULTS = ("answered", "answered", "answered", "clarified", "abstained", "handed_over", "asked_for_person", "courtesy")
REASONS = ("no_knowledge", "low_confidence", "operator", "quota")
MODELS = ("gpt-4o-mini", "qwen3", None)
EVIL = '=HYPERLINK("http://evil.example","click")'


async def write_log(services: Services, tenant_id: UUID, *, seed: int, inquiries: int) -> None:
    """Over the 60 days before NOW, in a workspace of Moscow."""
    dice = random.Random(seed)
    async with services.database.system() as session:
        await session.execute(update(Tenant).where(Tenant.id == tenant_id).values(timezone="Europe/Moscow"))
    async with services.database.tenant(tenant_id) as session:
        assistants = [
            await create_assistant(session, tenant_id, AssistantIn(name=f"+Helper {n}"), None) for n in (1, 2)
        ]
        channels = [
            Channel(tenant_id=tenant_id, id=new_id(), name=f"Channel {kind}", type=kind) for kind in ("web", "sms")
        ]
        session.add_all(channels)
        await session.flush()
        for number in range(inquiries):
            who = {"assistant_id": dice.choice(assistants).id, "channel_id": dice.choice(channels).id}
            rows = _inquiry(dice, tenant_id, who, number)
            for kind in (Conversation, Message, Inquiry, Turn, Feedback, Outgoing, ModelCallRow):
                session.add_all(row for row in rows if type(row) is kind)
                await session.flush()


def _inquiry(dice: random.Random, tenant_id: UUID, who: dict[str, UUID], number: int) -> list[Any]:
    at = NOW - timedelta(seconds=dice.randrange(60 * 86_400))
    mine = {
        "tenant_id": tenant_id,
        **who,
        "version": dice.randint(1, 3),
        "model": dice.choice(MODELS),
        "language": "ru",
    }
    conversation = {"tenant_id": tenant_id, "conversation_id": new_id()}
    inquiry = Inquiry(
        **mine,
        id=new_id(),
        conversation_id=conversation["conversation_id"],
        started_at=at,
        replied_at=at + timedelta(milliseconds=dice.randrange(90_000)),
        last_at=at,
        questions=0,
        answered=0,
        last_result="answered",
        handed_over_at=at if dice.random() < 0.2 else None,
        closed_at=at + timedelta(hours=1) if dice.random() < 0.5 else None,
        followed_at=at + timedelta(days=dice.randint(2, 12)) if dice.random() < 0.4 else None,
    )
    inquiry.reason = dice.choice(REASONS) if inquiry.handed_over_at else None
    rows: list[Any] = [
        Conversation(tenant_id=tenant_id, id=conversation["conversation_id"], **who, status="bot"),
        inquiry,
        _call(dice, tenant_id, None, at),
    ]
    for _ in range(dice.randint(1, 3)):
        rows += _turn(dice, mine, conversation, inquiry, number)
    return rows


def _turn(
    dice: random.Random, mine: dict[str, Any], conversation: dict[str, UUID], inquiry: Inquiry, number: int
) -> list[Any]:
    asked = inquiry.last_at
    message = Message(**conversation, id=new_id(), sender_kind="assistant", content="Yes.", created_at=asked)
    turn = Turn(
        **mine,
        conversation_id=inquiry.conversation_id,
        message_id=message.id,
        inquiry_id=inquiry.id,
        asked_at=asked,
        at=asked + timedelta(seconds=dice.randrange(1, 600)),
        mode="generated" if mine["model"] else "quoted",
        result=dice.choice(RESULTS),
        milliseconds=dice.random() * 900,
    )
    inquiry.last_at, inquiry.last_result = turn.at, turn.result
    inquiry.questions += turn.result not in ("courtesy", "asked_for_person")
    inquiry.answered += turn.result == "answered"
    rows: list[Any] = [message, turn, *(_call(dice, turn.tenant_id, turn, turn.at) for _ in range(dice.randrange(3)))]
    if dice.random() < 0.3:
        opinion: dict[str, Any] = (
            {"thumb": dice.choice((1, -1))} if dice.random() < 0.6 else {"rating": dice.randint(1, 5)}
        )
        said = EVIL if dice.random() < 0.5 else ""
        about = {"message_id": message.id, "conversation_id": turn.conversation_id, "created_at": turn.at}
        rows.append(Feedback(**mine, **about, id=new_id(), comment=said, **opinion))
    part = {"seq": len(rows) + 10 * number + dice.randrange(10**6), "part": 0, "content": {"text": "Yes."}, "key": 1}
    rows.append(
        Outgoing(
            tenant_id=turn.tenant_id,
            id=new_id(),
            channel_id=turn.channel_id,
            conversation_id=turn.conversation_id,
            message_id=message.id,
            **part,
            state=dice.choice(("sent", "sent", "failed")),
            segments=dice.randint(1, 4),
            finished_at=turn.at,
        )
    )
    return rows


def _call(dice: random.Random, tenant_id: UUID, turn: Turn | None, at: datetime) -> ModelCallRow:
    confidence = dice.choice(("exact", "estimated", "unknown"))
    priced = (
        {}
        if confidence == "unknown"
        else {"cost_micros": dice.randrange(10**6), "currency": dice.choice(("USD", "RUB"))}
    )
    return ModelCallRow(
        tenant_id=tenant_id,
        id=new_id(),
        message_id=turn and turn.message_id,
        purpose="answer" if turn else "test",
        provider="openai",
        model=dice.choice(MODELS[:2]),
        prompt_tokens=dice.randrange(5_000),
        cached_tokens=dice.randrange(100),
        completion_tokens=dice.randrange(900),
        reasoning_tokens=0,
        estimated=confidence == "estimated",
        price_confidence=confidence,
        latency_ms=dice.random() * 900,
        error=dice.choice((None, None, "timeout")),
        created_at=at,
        **priced,
    )
