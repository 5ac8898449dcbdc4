"""What can become of a call to a provider; each error says what happens next.

SendError
├── Retryable       refused before it was taken: later again, MOST_ATTEMPTS times
├── RateLimited     later again, however often; the chat or the whole channel waits
│   └── Contested   another program fetches the same account's messages, which only the owner can end
├── Uncertain       it may have happened: what follows is a matter of `Capabilities.again`
├── Malformed       the format was refused: the plain words once
├── Blocked         this customer cannot be written to, until they write again
│   └── Moved       under this name of the thread: it has another one now
├── Permanent       this message will never be taken
└── ChannelBroken   nothing can be sent before the owner repairs the channel
"""

from typing import ClassVar, Literal

REASONS = ("blocked", "opted_out", "not_allowed", "window_closed", "unreachable")
"""Why a customer cannot be written to; `reach.<reason>` in `texts` says it."""


class SendError(Exception):
    """`detail` is the provider's word, for the owner; it must hold no secret."""

    code: ClassVar[str] = "retryable"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail[:500]


class Retryable(SendError):
    code = "retryable"


class RateLimited(SendError):
    code = "rate_limited"

    def __init__(self, seconds: float, scope: Literal["chat", "channel"] = "chat", detail: str = "") -> None:
        super().__init__(detail)
        self.seconds = seconds
        self.scope = scope


class Contested(RateLimited):
    """Of polls alone."""


class Uncertain(SendError):
    code = "uncertain"


class Malformed(SendError):
    code = "malformed"


class Blocked(SendError):
    code = "blocked"

    def __init__(self, reason: str = "blocked", detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


class Moved(Blocked):
    """Certainly not sent; `thread` is what the conversation is called from now on."""

    code = "moved"

    def __init__(self, thread: str, detail: str = "") -> None:
        super().__init__("unreachable", detail)
        self.thread = thread


class Permanent(SendError):
    code = "permanent"


class ChannelBroken(SendError):
    code = "channel_broken"
