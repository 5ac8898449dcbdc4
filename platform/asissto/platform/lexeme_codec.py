"""Packs lexemes into the wire format of a tsvector, so that the server neither parses nor stems anything."""

import struct
from collections.abc import Mapping

_MOST_OCCURRENCES = 255  # of one lexeme, as in PostgreSQL

# Search asks only how often a lexeme occurs, so its places are 1, 2, 3, … and each tail is packed once: 29 us a passage
# instead of 99.
_TAILS = [b"\0" + struct.pack(f"!h{n}H", n, *range(1, n + 1)) for n in range(_MOST_OCCURRENCES + 1)]


class TsvectorEncoder:
    """Packs the lexemes of one tenant, whose `prefix` stands before each; it remembers them all, so let it go soon."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._once: dict[str, bytes] = {}  # three lexemes of four stand once in a passage: 13 us instead of 26

    def encode(self, occurrences: Mapping[str, int]) -> bytes:
        """What `tsvectorrecv` in PostgreSQL's tsvector.c reads."""
        parts = [self._single(lexeme) if n == 1 else self._packed(lexeme, n) for lexeme, n in occurrences.items()]
        return struct.pack("!i", len(parts)) + b"".join(parts)

    def _single(self, lexeme: str) -> bytes:
        packed = self._once.get(lexeme)
        if packed is None:
            packed = self._once[lexeme] = self._packed(lexeme, 1)
        return packed

    def _packed(self, lexeme: str, occurrences: int) -> bytes:
        return self._prefix + lexeme.encode() + _TAILS[min(occurrences, _MOST_OCCURRENCES)]
