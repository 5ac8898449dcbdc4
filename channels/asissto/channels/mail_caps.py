"""Counts the mails of each address, so that two machines that write to each other soon stop."""

import hashlib

import msgspec

from asissto.channels.contract import Event

_HOUR, _DAY = 60, 24 * 60
_MOST_ADDRESSES = 5_000


class Heard(msgspec.Struct):
    """Minutes since 1970 at which mails came that were let through, by a digest of the address; the last day's alone.

    It is kept in the cursor, so that it is stored with the events it has counted.
    """

    minutes: dict[str, list[int]] = {}

    def lets_through(self, address: str, minute: int, *, per_hour: int, per_day: int) -> bool:
        """Counts the mail if so: a person who wrote too much is heard again as the hours pass."""
        name = hashlib.sha256(address.encode()).hexdigest()[:12]
        times = [time for time in self.minutes.pop(name, []) if time > minute - _DAY]
        fits = len(times) < per_day and sum(time > minute - _HOUR for time in times) < per_hour
        if fits:
            times.append(minute)
        self.minutes[name] = times
        return fits

    def recent(self, minute: int) -> dict[str, list[int]]:
        """Of the addresses that wrote last."""
        kept = {name: times for name, times in self.minutes.items() if times and times[-1] > minute - _DAY}
        return dict([*kept.items()][-_MOST_ADDRESSES:])


def unanswered(event: Event) -> Event:
    """The message that is above a cap, for people alone; its attachments stay in the mailbox.

    The customer is told nothing: two machines would never stop.
    """
    kept = tuple(msgspec.structs.replace(each, ref="", problem="too_many") for each in event.attachments)
    return msgspec.structs.replace(event, wants_answer=False, reason="too_many", notice="", attachments=kept)
