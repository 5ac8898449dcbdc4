"""Moments that come from outside."""

from datetime import UTC, datetime

from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase


def in_utc(moment: datetime, field: str) -> datetime:
    """Without a zone it is one of UTC. Raises InvalidInput at the ends of the calendar, which have no such moment."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(field=field, detail=Phrase("invalid.form")) from None
