"""What can be at odds in a sentence, and whether two such values can both be true."""

from msgspec import Struct


class Value(Struct, frozen=True, order=True):
    """What stands at `start:end`; amounts run from `low` to `high` in `unit`, everything else is told by its `key`.

    A `bound` of `min` or `max` leaves the other end open. Durations are in minutes, times of day in minutes
    after midnight.
    """

    start: int
    end: int
    kind: str
    unit: str = ""
    low: float = 0
    high: float = 0
    bound: str = ""
    key: str = ""


def differ(one: Value, other: Value) -> bool:
    """Whether both cannot be true of the same thing; False where they cannot be compared."""
    return one.kind == other.kind and not agree(one, other) and not _worlds_apart(one, other)


def agree(one: Value, other: Value) -> bool:
    """Whether both can be true of the same thing."""
    if one.kind != other.kind:
        return True
    if one.kind == "date":
        years = {one.key[:4], other.key[:4]}
        return one.key[-5:] == other.key[-5:] and (len(years) == 1 or "----" in years)
    if one.key or other.key:
        return one.key == other.key
    return _together(one, other)


def _worlds_apart(one: Value, other: Value) -> bool:
    """Half an hour and three years are not two opinions of one thing."""
    low, high = sorted((one.high, other.high))
    return one.kind in {"duration", "money"} and low > 0 and high / low > MOST_TIMES


MOST_TIMES = 30


def fold(text: str) -> str:
    """Lower case without ё, of the same length, so that offsets stay what they are."""
    lower = text.lower()
    folded = lower if len(lower) == len(text) else text
    for old, new in _FOLDED:  # in a third of the time that `translate` takes
        folded = folded.replace(old, new)
    return folded


_FOLDED = (("ё", "е"), ("\u00a0", " "), ("\u202f", " "), ("\u2009", " "), ("‑", "-"), ("−", "-"))


def _together(one: Value, other: Value) -> bool:
    """Equal ends where both say the same kind of thing, else one within what the other leaves open."""
    if one.kind == "duration" and "working" in one.unit + other.unit and one.unit != other.unit:
        return _close(one, other, 1) or _close(one, other, 1.4) or _close(one, other, 1 / 1.4)
    if one.bound == other.bound and (one.low == one.high) == (other.low == other.high):
        return _close(one, other, 1)
    if one.kind == "time" and "" in {one.bound, other.bound}:
        return _same_end(one, other)
    a, b = _open_ends(one), _open_ends(other)
    return (a[0] <= b[0] and b[1] <= a[1]) or (b[0] <= a[0] and a[1] <= b[1])


def _close(one: Value, other: Value, ratio: float) -> bool:
    """A month of 30 days and a year of 365 are 12 to 1 all but for 1.4 %."""
    slack = 0.04 if one.kind == "duration" and max(one.high, other.high) >= 28 * 1440 else 1e-6
    pairs = ((one.low, other.low * ratio), (one.high, other.high * ratio))
    return all(abs(a - b) <= slack * max(abs(a), abs(b), 1e-9) for a, b in pairs)


def _same_end(one: Value, other: Value) -> bool:
    bounded, whole = (one, other) if one.bound else (other, one)
    return bounded.low == whole.low if bounded.bound == "min" else bounded.high == whole.high


def _open_ends(value: Value) -> tuple[float, float]:
    low = float("-inf") if value.bound == "max" else value.low
    return low, float("inf") if value.bound == "min" else value.high
