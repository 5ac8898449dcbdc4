"""Sends lexemes to Postgres as a binary tsvector, so that the server neither parses nor stems anything."""

import struct
from collections.abc import Mapping, Sequence

HEADER, BODY = 3 << 14, 0
"""Weight labels A (chunk header) and D (chunk text) as they stand in a position's two highest bits."""

_LAST_POSITION = (1 << 14) - 1
_MOST_POSITIONS = 255
_SHORT = [struct.pack("!h", number) for number in range(_MOST_POSITIONS + 1)]


def encode_tsvector(positions: Mapping[str, Sequence[int]]) -> bytes:
    """The wire format of `tsvectorrecv` in PostgreSQL's tsvector.c.

    `positions` maps a lexeme to its ascending positions from 1, each with a weight label added to it.
    """
    parts = [struct.pack("!i", len(positions))]
    for lexeme, places in positions.items():
        kept = places[:_MOST_POSITIONS]
        parts.append(lexeme.encode() + b"\0" + _SHORT[len(kept)] + struct.pack(f"!{len(kept)}H", *kept))
    return b"".join(parts)


def position(number: int, label: int) -> int:
    """The `number`-th place of a text with its weight label; what lies past the last place shares it."""
    return min(number, _LAST_POSITION) | label
