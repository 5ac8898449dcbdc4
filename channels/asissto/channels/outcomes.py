"""What becomes of a part by what its provider said: sent, later again, unknown, or refused with all behind it."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contract import Capabilities, Connector, Destination, Part, Sent
from asissto.channels.events import TOPIC as CHANNELS
from asissto.channels.outbox import SENT, Claimed, cancel_queue, wake
from asissto.channels.send_errors import (
    Blocked,
    ChannelBroken,
    Malformed,
    Moved,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)
from asissto.channels.tables import Channel, Outgoing, Thread
from asissto.channels.threads import lock_channel, move_thread
from asissto.platform.events import announce
from asissto.retrieval.conversations import TOPIC as CONVERSATIONS

MOST_ATTEMPTS = 12
MOST_REPEATS = 1
"""Of a part that may have arrived, where the provider cannot tell: one copy too many is better than none at all."""

LONGEST_PAUSE = 300.0

Outcome = Sent | SendError


class Errand(msgspec.Struct, frozen=True):
    """A claimed part with everything that is needed to send it; `revision` is that of the connector's settings.

    `must_look`: an earlier attempt may have arrived, and only the provider's list tells.
    """

    claimed: Claimed
    to: Destination
    content: Part
    is_stale: bool
    must_look: bool
    revision: int


def errand(claimed: Claimed, revision: int, connector: Connector) -> Errand:
    oldest = datetime.now(UTC) - timedelta(hours=connector.account.settings.max_age_hours)
    return Errand(
        claimed=claimed,
        to=Destination(claimed.thread, claimed.address),
        content=msgspec.convert(claimed.content, Part),
        is_stale=claimed.created_at < oldest,
        must_look=claimed.may_have_arrived and _must_look(connector.capabilities, claimed.first_sent_at),
        revision=revision,
    )


async def may_repeat(session: AsyncSession, claimed: Claimed) -> bool:
    """Whether a part that may have arrived is sent once more, where the provider cannot tell; ends it if not."""
    row = await session.get_one(Outgoing, (claimed.tenant_id, claimed.id))
    if row.repeats < MOST_REPEATS:
        row.repeats += 1  # before it is sent: a process that dies here has used it up
        return True
    _finish(row, "unknown")
    await announce(session, claimed.tenant_id, CONVERSATIONS, claimed.conversation_id)
    await wake(session)
    return False


def _must_look(capabilities: Capabilities, since: datetime) -> bool:
    """Also where the provider has forgotten the key by now."""
    if capabilities.again == "idempotent" and capabilities.idempotent_seconds is not None:
        return datetime.now(UTC) - since > timedelta(seconds=capabilities.idempotent_seconds)
    return capabilities.again == "lookup"


async def settle(
    session: AsyncSession, claimed: Claimed, outcome: Outcome, *, revision: int, lookup_after: float = 0.0
) -> None:
    """Changes nothing where the part was claimed by another courier meanwhile."""
    mine = (Outgoing.tenant_id == claimed.tenant_id, Outgoing.id == claimed.id)
    held = (Outgoing.worker == claimed.worker, Outgoing.state == "sending", Outgoing.attempts == claimed.attempts)
    if isinstance(outcome, Sent):
        await _take_yes(session, claimed, update(Outgoing).where(*mine, *held), outcome)
        return
    row = await session.scalar(select(Outgoing).where(*mine, *held).with_for_update())
    if row is None:
        return
    row.lease_until = None
    row.error_code, row.error = outcome.code, outcome.detail
    await _take_no(session, row, outcome, revision, lookup_after)
    await wake(session)


async def _take_yes(session: AsyncSession, claimed: Claimed, row: Update, sent: Sent) -> None:
    values: dict[str, Any] = {
        "state": "sent",
        "lease_until": None,
        "finished_at": func.now(),
        "provider_message_id": sent.message_id,
        "segments": sent.segments,
        "error_code": None,
        "error": None,
    }
    done = row.values(values).returning(Outgoing.id)
    if (await session.execute(done, execution_options={"synchronize_session": False})).first() is not None:
        await announce(session, claimed.tenant_id, SENT, claimed.conversation_id)


async def _take_no(session: AsyncSession, row: Outgoing, error: SendError, revision: int, lookup_after: float) -> None:
    if isinstance(error, Uncertain):
        row.is_uncertain = True
        await _again_or_never(session, row, max(_backoff(row.attempts), lookup_after))
        return
    row.repeats = max(0, row.repeats - 1)  # this time it certainly did not arrive
    if isinstance(error, Moved):
        await _move(session, row, error)
    elif isinstance(error, RateLimited):
        await _rest(session, row, error)
    elif isinstance(error, Retryable):
        await _again_or_never(session, row, _backoff(row.attempts))
    elif isinstance(error, Malformed) and row.content.get("plain"):
        row.content = msgspec.to_builtins(Part(text=row.content["plain"], extra=row.content.get("extra", {})))
        _again(row, 0)
    elif isinstance(error, ChannelBroken):
        await _break(session, row, error, revision)
    else:
        await _refuse(session, row, error)


async def _again_or_never(session: AsyncSession, row: Outgoing, seconds: float) -> None:
    if row.attempts < MOST_ATTEMPTS:
        _again(row, seconds)
    else:
        _finish(row, "unknown" if row.is_uncertain else "failed")
        await _tell_about(session, row)


async def _rest(session: AsyncSession, row: Outgoing, error: RateLimited) -> None:
    """Does not use up an attempt, however often it happens."""
    until = datetime.now(UTC) + timedelta(seconds=error.seconds)
    row.attempts -= 1
    _again(row, error.seconds)
    if error.scope == "channel":
        (await session.get_one(Channel, (row.tenant_id, row.channel_id))).paused_until = until
    else:
        (await session.get_one(Thread, (row.tenant_id, row.conversation_id))).paused_until = until


async def _move(session: AsyncSession, row: Outgoing, error: Moved) -> None:
    thread = await session.get_one(Thread, (row.tenant_id, row.conversation_id))
    channel = await session.get_one(Channel, (row.tenant_id, row.channel_id))
    await move_thread(session, channel, thread.external_key, error.thread)
    if thread.external_key == error.thread:
        _again(row, 0)
    else:
        await _refuse(session, row, error)


async def _break(session: AsyncSession, row: Outgoing, error: ChannelBroken, revision: int) -> None:
    """The whole channel stops and keeps what it has; one that was repaired meanwhile goes on."""
    row.attempts -= 1
    _again(row, 0)
    await break_channel(session, row.tenant_id, row.channel_id, error, revision)


async def break_channel(
    session: AsyncSession, tenant_id: UUID, channel_id: UUID, error: ChannelBroken, revision: int
) -> None:
    channel = await lock_channel(session, tenant_id, channel_id)
    if channel is not None and channel.revision == revision and channel.status == "active":
        channel.status, channel.problem = "broken", error.detail
        await announce(session, tenant_id, CHANNELS, channel_id)


async def _refuse(session: AsyncSession, row: Outgoing, error: SendError) -> None:
    """With everything behind it in the conversation, which would make no sense without it."""
    is_blocked = isinstance(error, Blocked)
    _finish(row, "blocked" if is_blocked else "cancelled" if error.detail == "stale" else "failed")
    if isinstance(error, Blocked):
        row.error_code = error.reason
        (await session.get_one(Thread, (row.tenant_id, row.conversation_id))).reach = error.reason
    await session.flush()
    await cancel_queue(session, row.tenant_id, row.conversation_id, row.error_code or error.code)
    await _tell_about(session, row)


async def _tell_about(session: AsyncSession, row: Outgoing) -> None:
    await announce(session, row.tenant_id, CONVERSATIONS, row.conversation_id)


def _again(row: Outgoing, seconds: float) -> None:
    row.state, row.worker = "pending", None
    row.next_attempt_at = datetime.now(UTC) + timedelta(seconds=seconds)


def _finish(row: Outgoing, state: str) -> None:
    row.state, row.lease_until = state, None
    row.finished_at = func.now()


def _backoff(attempts: int) -> float:
    return min(LONGEST_PAUSE, 2.0 ** min(attempts, 12)) * random.uniform(0.5, 1.0)  # noqa: S311
