"""Makes an event such as Postgres can keep it: what it refuses would come again for ever."""

import hashlib
from typing import Any

import msgspec

from asissto.channels.contract import Event

LONGEST_KEY = 500
"""Of what stands in a unique index, whose rows have an end at 2,700 bytes."""


def storable(event: Event) -> Event:
    """Without NUL and halves of surrogate pairs; keys that are too long are their digests."""
    cleaned = msgspec.convert(_clean(msgspec.to_builtins(event)), Event)
    short = {name: _short(getattr(cleaned, name)) for name in ("key", "thread", "external_id")}
    return msgspec.structs.replace(cleaned, **short)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {_clean(name): _clean(each) for name, each in value.items()}
    return value


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_KEY else f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
