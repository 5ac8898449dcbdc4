"""What VK's refusals mean for a message."""

from asissto.channels.send_errors import (
    Blocked,
    ChannelBroken,
    Malformed,
    Permanent,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)

_LIMITS = {6: (1.0, "channel"), 9: (60.0, "chat"), 29: (3_600.0, "channel")}
_BROKEN = {5, 14, 15, 17, 27, 28}
"""Token revoked, rights missing, captcha or a confirmation wanted: only the owner can go on."""

_BLOCKED = {
    18: "unreachable",
    900: "blocked",
    901: "not_allowed",
    902: "not_allowed",
    987: "not_allowed",
    988: "not_allowed",
}
_MALFORMED = {911, 914}
_CHATS = {917, 921, 922, 925, 927, 945, 946, 985, 1012, 1017}
_PERMANENT = {3, 7, 8, 100, 104, 113, 912, 913, 936, 940, 943, 950, 962, 969} | _CHATS


def refusal(code: int, message: str) -> SendError:
    """What VK's code means for the message; one that is not known is tried again a number of times."""
    detail = f"[{code}] {message}"
    if code in _LIMITS:
        seconds, scope = _LIMITS[code]
        return RateLimited(seconds, "chat" if scope == "chat" else "channel", detail)
    if code in _BROKEN:
        return ChannelBroken(detail)
    if code in _BLOCKED:
        return Blocked(_BLOCKED[code], detail)
    if code in _MALFORMED:
        return Malformed(detail)
    return Permanent(detail) if code in _PERMANENT else Retryable(detail)


def refusal_of_http(status: int, retry_after: str) -> SendError:
    detail = f"HTTP {status}"
    if status == 429:
        return RateLimited(float(retry_after) if retry_after.isdigit() else 1.0, "channel", detail)
    return Uncertain(detail) if status >= 500 else Retryable(detail)
