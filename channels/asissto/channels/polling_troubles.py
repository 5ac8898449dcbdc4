"""When the owner hears that a channel cannot be polled: of what lasts, and of another program that polls it too."""

import math
from time import monotonic

from asissto.channels.send_errors import Contested, SendError
from asissto.platform.errors import AsisstoError

LASTING_SECONDS = 60.0
"""What is over sooner is nobody's matter: a server that was started anew, a connection that was lost."""


class Troubles:
    """Of one channel while it is polled."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._newest = -math.inf

    def must_be_told(self, error: Exception) -> bool:
        """Whether the owner has to hear of them by now."""
        self._newest = monotonic()
        self._first = self._newest if self._first is None else self._first
        return isinstance(error, Contested) or self._newest - self._first >= LASTING_SECONDS

    def are_over(self) -> bool:
        """After a poll that worked; two programs that poll in turns both succeed now and then."""
        self._first = None
        return monotonic() - self._newest >= LASTING_SECONDS


def words_for_owner(error: Exception) -> str:
    """The provider's word; of a fault of ours no more than its name, for the rest may hold a secret."""
    if isinstance(error, SendError):
        return error.detail or error.code
    return str(error) if isinstance(error, AsisstoError) else f"internal: {type(error).__name__}"
