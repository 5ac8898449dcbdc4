"""Fetches a community's events from VK's Long Poll server, one call at a time, and what it missed from the history."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from asissto.channels.contract import SEND_SECONDS, Event
from asissto.channels.send_errors import Blocked, Permanent, Retryable
from asissto.channels.vk_calls import VkCalls, field
from asissto.channels.vk_events import FIRST_CHAT, Message, read_message, read_reply, read_update, storable

WAIT_SECONDS = int(SEND_SECONDS) - 5
"""How long VK holds a request open while nothing happens."""

PAGE = 200
"""The most that VK gives of conversations and of a history at once."""

OVERLAP_SECONDS = 60


class Behind(msgspec.Struct, frozen=True):
    """What is still to be caught up with: conversations from `offset` on (None: no more) and the histories of `peers`.

    `since` is in Unix seconds.
    """

    since: int
    offset: int | None = 0
    peers: list[int] = []


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """`seen` is when the newest message that we know of was written; without `key` a server has to be asked for."""

    seen: int
    ts: str = ""
    key: str = ""
    server: str = ""
    behind: Behind | None = None


Step = tuple[Sequence[Event], Cursor]


def begin() -> dict[str, Any]:
    """VK tells what comes after its first answer; what was written until then is in the history."""
    now = int(time.time())
    return dict(msgspec.to_builtins(Cursor(seen=now, behind=Behind(since=now))))


async def poll(calls: VkCalls, group_id: int, stored: dict[str, Any]) -> tuple[Sequence[Event], dict[str, Any]]:
    """One call: for a server, for a piece of what was missed, or for what is new."""
    cursor = msgspec.convert(stored, Cursor) if stored else Cursor(seen=int(time.time()))
    if not cursor.key:
        events, following = await _find_server(calls, group_id, cursor)
    elif cursor.behind is not None:
        events, following = await _catch_up(calls, group_id, cursor, cursor.behind)
    else:
        events, following = await _look(calls, group_id, cursor)
    return events, msgspec.to_builtins(following)


async def _find_server(calls: VkCalls, group_id: int, cursor: Cursor) -> Step:
    told = await calls.method("groups.getLongPollServer", group_id=group_id)
    key, server, ts = (str(field(told, name)) for name in ("key", "server", "ts"))
    return [], msgspec.structs.replace(cursor, key=key, server=server, ts=cursor.ts or ts)


async def _look(calls: VkCalls, group_id: int, cursor: Cursor) -> Step:
    told = await calls.look(cursor.server, act="a_check", key=cursor.key, ts=cursor.ts, wait=WAIT_SECONDS)
    failed, ts = told.get("failed"), str(told.get("ts", ""))
    behind = Behind(cursor.seen - OVERLAP_SECONDS)
    if failed == 1:  # a part of the events is lost
        return [], msgspec.structs.replace(cursor, ts=ts, behind=behind)
    if failed == 2:  # only the key has run out
        return [], msgspec.structs.replace(cursor, key="")
    if failed == 3:
        return [], msgspec.structs.replace(cursor, key="", ts="", behind=behind)
    updates = told.get("updates")
    if failed or not ts or not isinstance(updates, list):
        raise Retryable("not an answer of VK")
    events = [read_update(update, group_id) for update in updates if isinstance(update, dict)]
    return events, msgspec.structs.replace(cursor, ts=ts, seen=_seen(cursor, events))


async def _catch_up(calls: VkCalls, group_id: int, cursor: Cursor, behind: Behind) -> Step:
    events: Sequence[Event] = []
    rest: Behind | None
    if behind.peers:
        events = await _history(calls, group_id, behind.peers[0], behind.since)
        rest = msgspec.structs.replace(behind, peers=behind.peers[1:])
    elif behind.offset is not None:
        rest = await _conversations(calls, group_id, behind, behind.offset)
    else:
        rest = None
    return events, msgspec.structs.replace(cursor, behind=rest, seen=_seen(cursor, events))


async def _conversations(calls: VkCalls, group_id: int, behind: Behind, offset: int) -> Behind:
    """The next page of those that something was said in; VK gives the newest first, and no history of chats."""
    told = await calls.method("messages.getConversations", group_id=group_id, count=PAGE, offset=offset)
    items = field(told, "items")
    recent = (item for item in items if field(item, "last_message", "date") >= behind.since)
    peers = [int(field(item, "conversation", "peer", "id")) for item in recent]
    has_more = len(items) == PAGE and bool(peers)
    return Behind(behind.since, offset + PAGE if has_more else None, [peer for peer in peers if peer < FIRST_CHAT])


async def _history(calls: VkCalls, group_id: int, peer_id: int, since: int) -> list[Event]:
    """In the order in which it was said; of one conversation at most the newest PAGE messages."""
    try:
        told = await calls.method("messages.getHistory", group_id=group_id, peer_id=peer_id, count=PAGE)
    except (Blocked, Permanent):  # one conversation that is closed to us must not hold up all events
        return []
    messages = [message for message in messages_of(told) if message.date >= since]
    messages.sort(key=lambda message: message.conversation_message_id)
    read = (read_reply(each) if each.out else read_message(each, group_id) for each in messages)
    return [event for event in read if event is not None]


def messages_of(told: Any) -> list[Message]:
    """Of a history; what is no message is left out."""
    return [message for each in field(storable(told), "items") if (message := _message(each)) is not None]


def _message(told: Any) -> Message | None:
    try:
        return msgspec.convert(told, Message)
    except msgspec.ValidationError:
        return None


def _seen(cursor: Cursor, events: Sequence[Event]) -> int:
    return max([cursor.seen, *(int(event.at.timestamp()) for event in events if event.at is not None)])
