"""The rows that figures are made of: one struct for each view of the database, in its columns and their order."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Float, TableClause, Text, Uuid, column, table

View = Literal["turns", "inquiries", "feedback", "calls", "segments"]


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """`day` and `hour` are those of `at` in the time zone of the workspace; `assistant_version` is `id/number`."""

    id: UUID
    at: datetime
    day: date
    hour: int
    conversation_id: UUID | None
    assistant_id: UUID | None
    assistant: str | None
    assistant_version: str | None
    channel_id: UUID | None
    channel: str | None
    channel_type: str | None
    model: str | None


class TurnRow(_Row, frozen=True, kw_only=True):
    """An answer, by the id of its message, at the moment when it was stored; `reason` is why a person was called."""

    asked_at: datetime
    inquiry_id: UUID | None
    language: str
    mode: str
    result: str
    reason: str | None
    is_question: bool
    milliseconds: float


class InquiryRow(_Row, frozen=True, kw_only=True):
    """The questions of a conversation without a day of silence between them, at the moment of the first."""

    language: str | None
    questions: int
    answered: int
    last_result: str
    reason: str | None
    first_reply_seconds: float | None
    handed_over_at: datetime | None
    ended_at: datetime
    followed_at: datetime | None
    is_handed_over: bool
    is_finished: bool
    is_resolved: bool
    is_settled: bool
    is_reopened: bool
    is_durable: bool


class FeedbackRow(_Row, frozen=True, kw_only=True):
    """What a customer thought of a message; `thumb` is 1 or -1, `rating` 1 to 5."""

    message_id: UUID
    language: str | None
    thumb: int | None
    rating: int | None
    comment: str


class CallRow(_Row, frozen=True, kw_only=True):
    """One attempt at a model; `cost_micros` are millionths of `currency`, null where no price is known.

    Calls that were made for no customer (tests, embedding) have neither assistant nor channel.
    """

    message_id: UUID | None
    purpose: str
    provider: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost_micros: int | None
    currency: str | None
    confidence: str
    is_failed: bool
    milliseconds: float


class SegmentRow(_Row, frozen=True, kw_only=True):
    """An SMS that was sent, and the segments that it is paid by."""

    message_id: UUID
    language: str | None
    segments: int


AnyRow = TurnRow | InquiryRow | FeedbackRow | CallRow | SegmentRow
ROWS: dict[View, type[AnyRow]] = {
    "turns": TurnRow,
    "inquiries": InquiryRow,
    "feedback": FeedbackRow,
    "calls": CallRow,
    "segments": SegmentRow,
}
_TYPES: dict[Any, Any] = {
    UUID: Uuid(),
    datetime: DateTime(timezone=True),
    date: Date(),
    int: BigInteger(),
    bool: Boolean(),
    float: Float(),
    str: Text(),
}


def _table(view: View) -> TableClause:
    columns = []
    for field in msgspec.structs.fields(ROWS[view]):
        kinds = [kind for kind in (field.type, *getattr(field.type, "__args__", ())) if kind in _TYPES]
        columns.append(column(field.name, _TYPES[kinds[0]]))
    return table(f"analytics_{view}", column("tenant_id", Uuid()), *columns)


TABLES: dict[View, TableClause] = {view: _table(view) for view in ROWS}
