"""What Twilio's numbers mean to a message: what happens next, and why a customer cannot be reached."""

import httpx2

from asissto.channels.send_errors import (
    Blocked,
    ChannelBroken,
    Permanent,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)

BLOCKS = {
    21610: "opted_out",
    30003: "unreachable",
    30004: "blocked",
    30005: "unreachable",
    30006: "unreachable",
    30007: "unreachable",  # a filter of the network
    63003: "unreachable",
    63016: "window_closed",
    63024: "unreachable",
    63032: "not_allowed",
    63049: "not_allowed",
}
"""Reasons, by the code of an error (twilio.com/docs/api/errors)."""

_WAITS = {20429: 5.0, 14107: 5.0, 21611: 60.0, 30001: 60.0, 63018: 5.0, 63038: 3_600.0}
"""Seconds, where no Retry-After says how many; 21611 and 30001 are full queues, 63038 is the day's limit."""

_OF_CHANNEL = frozenset(
    (20003, 20005, 20006, 20008, 20404, 21603, 21606, 21609, 21659, 21660, 21701, 21703, 21704, 21705, 30002, 63007)
)
"""Keys, account, sender or our own address are wrong: no message will be taken before somebody repairs that."""

_LONGEST_WAIT = 3_600.0


def refusal(response: httpx2.Response) -> SendError:
    """The error behind an answer other than 2xx."""
    code, message = _told(response)
    detail = f"{code or response.status_code} {message}".strip()
    if response.status_code == 429 or code in _WAITS:
        return RateLimited(_wait(response, code), "channel", detail)
    if response.status_code in (401, 403) or code in _OF_CHANNEL:
        return ChannelBroken(detail)
    if code in BLOCKS:
        return Blocked(BLOCKS[code], detail)
    if response.status_code == 503 or response.status_code < 400:
        return Retryable(detail)
    return Permanent(detail) if response.status_code < 500 else Uncertain(detail)


def _told(response: httpx2.Response) -> tuple[int, str]:
    try:
        answer = response.json()
    except ValueError:
        return 0, ""
    if not isinstance(answer, dict):
        return 0, ""
    code = answer.get("code")
    return code if isinstance(code, int) else 0, str(answer.get("message") or answer.get("title") or "")


def _wait(response: httpx2.Response, code: int) -> float:
    named = response.headers.get("retry-after", "")
    seconds = float(named) if named.isdecimal() else _WAITS.get(code, 5.0)
    return min(max(seconds, 1.0), _LONGEST_WAIT)
