"""Sends lexemes to Postgres as a binary tsvector, so that the server neither parses nor stems anything."""

import struct
from collections.abc import Mapping, Sequence

_LAST_POSITION = (1 << 14) - 1
_MOST_POSITIONS = 255


def encode_tsvector(positions: Mapping[str, Sequence[int]]) -> bytes:
    """The wire format of `tsvectorrecv` in PostgreSQL's tsvector.c; `positions` are ascending, counted from 1."""
    parts = [struct.pack("!i", len(positions))]
    for lexeme, places in positions.items():
        kept = [min(place, _LAST_POSITION) for place in places[:_MOST_POSITIONS]]
        parts.append(lexeme.encode() + b"\0" + struct.pack(f"!h{len(kept)}H", len(kept), *kept))
    return b"".join(parts)
