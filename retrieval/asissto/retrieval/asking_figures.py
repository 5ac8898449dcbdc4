"""What the query of a request for figures says: a period, the one to compare with, and what they are narrowed to."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.retrieval.periods import period_of, timezone_of
from asissto.retrieval.reckoning import Reading, Slice, read_plainly

_KEY = r"^[^\x00]{1,200}$"
Key = Annotated[str | None, QueryParameter(pattern=_KEY, description="A key of this dimension, or none.")]
Spoken = Annotated[
    str | None,
    QueryParameter(name="language", pattern=_KEY, description="Of the answers; `language` is the reader's."),
]
Since = Annotated[datetime | None, QueryParameter(description="From this moment on; without it 30 days.")]
Until = Annotated[datetime | None, QueryParameter(description="Before this moment; without it today's end.")]
BeforeSince = Annotated[datetime | None, QueryParameter(description="The period to compare with begins here.")]
BeforeUntil = Annotated[datetime | None, QueryParameter(description="And ends before this moment.")]
Currency = Annotated[str | None, QueryParameter(pattern="^[A-Z]{3}$", description="Of money; else that of most calls.")]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the query says, before the time zone of the workspace is known."""

    sliced: Slice
    since: datetime | None
    until: datetime | None
    before_since: datetime | None
    before_until: datetime | None

    async def reading(self, session: AsyncSession, tenant_id: UUID) -> Reading:
        """Raises InvalidInput."""
        await read_plainly(session)
        timezone = await timezone_of(session, tenant_id)
        period = period_of(self.since, self.until, timezone, ("since", "until"))
        return Reading(tenant_id=tenant_id, period=period, sliced=self.sliced, timezone=timezone)

    def earlier(self, reading: Reading) -> Reading:
        """As long and just before, where it is not said otherwise. Raises InvalidInput."""
        if self.before_since is self.before_until is None:
            return msgspec.structs.replace(reading, period=reading.period.before)
        until = self.before_until or reading.period.since
        period = period_of(self.before_since, until, reading.timezone, ("before_since", "before_until"))
        return msgspec.structs.replace(reading, period=period)


def provide_asked(  # noqa: PLR0913, PLR0917 - one for each dimension, and the moments
    assistant: Key = None,
    version: Key = None,
    channel: Key = None,
    channel_type: Key = None,
    model: Key = None,
    spoken: Spoken = None,
    day: Key = None,
    hour: Key = None,
    result: Key = None,
    mode: Key = None,
    reason: Key = None,
    purpose: Key = None,
    provider: Key = None,
    confidence: Key = None,
    currency: Currency = None,
    since: Since = None,
    until: Until = None,
    before_since: BeforeSince = None,
    before_until: BeforeUntil = None,
) -> Asked:
    told = locals()
    moments = {name: told.pop(name) for name in Asked.__struct_fields__ if name != "sliced"}
    told["language"] = told.pop("spoken")
    return Asked(sliced={name: key for name, key in told.items() if key is not None}, **moments)


Query = NamedDependency[Asked]
# One dependency beside the session's, and none that needs another: Litestar leaves the session of a request open where
# a later one fails.
GIVEN = {"asked": Provide(provide_asked, sync_to_thread=False)}
