"""Reads what VK tells of people."""

from typing import Any

import msgspec

from asissto.channels.send_errors import Uncertain
from asissto.channels.vk_events import storable

_LONGEST_NAME = 300


class User(msgspec.Struct, frozen=True):
    """`deactivated` is `deleted` or `banned`."""

    id: int
    first_name: str = ""
    last_name: str = ""
    deactivated: str = ""


def names_of(told: Any) -> dict[str, str]:
    """By number; of a page that was deleted VK keeps no name. Raises Uncertain for what is no answer of VK."""
    try:
        users = msgspec.convert(storable(told), list[User])
    except msgspec.ValidationError:
        raise Uncertain("not an answer of VK") from None
    names = {str(user.id): _name(user) for user in users if user.deactivated != "deleted"}
    return {number: name for number, name in names.items() if name}


def _name(user: User) -> str:
    return f"{user.first_name} {user.last_name}".strip()[:_LONGEST_NAME]
