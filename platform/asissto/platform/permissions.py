"""Who may do what: the one table, and the guards that every route carries one of."""

from typing import Any, Literal

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from asissto.platform.errors import Forbidden

Role = Literal["owner", "editor", "operator", "analyst"]
Permission = Literal[
    "me.read",
    "me.write",
    "tenant.read",
    "tenant.write",
    "users.read",
    "members.read",
    "members.write",
    "assistants.read",
    "assistants.write",
    "documents.read",
    "documents.write",
    "channels.read",
    "channels.write",
    "contacts.read",
    "contacts.write",
    "models.read",
    "models.write",
    "conversations.read",
    "quality.read",
    "quality.write",
    "conversations.write",
    "ask",
    "audit.read",
    "privacy.write",
]

_ANALYST: frozenset[Permission] = frozenset(
    (
        "me.read",
        "me.write",
        "tenant.read",
        "users.read",
        "members.read",
        "assistants.read",
        "documents.read",
        "conversations.read",
        "contacts.read",
        "quality.read",
    )
)
_OPERATOR: frozenset[Permission] = _ANALYST | {"ask", "conversations.write", "contacts.write"}
_EDITOR: frozenset[Permission] = _OPERATOR | {
    "assistants.write",
    "documents.write",
    "channels.read",
    "channels.write",
    "models.read",
    "quality.write",
}
_OWNER: frozenset[Permission] = _EDITOR | {
    "tenant.write",
    "members.write",
    "models.write",
    "audit.read",
    "privacy.write",
}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "owner": _OWNER,
    "editor": _EDITOR,
    "operator": _OPERATOR,
    "analyst": _ANALYST,
}


class Need:
    """A guard that lets those pass whose role has the permission; raises Forbidden."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        role: Role = connection.user.role
        if self.permission not in PERMISSIONS[role]:
            raise Forbidden


def need(permission: Permission) -> Need:
    """For `guards=[need("documents.write")]`."""
    return Need(permission)


async def open_to_all(_connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """For `guards=[open_to_all]`: nobody is asked to sign in, and there is no `principal`."""


def is_open(handler: BaseRouteHandler) -> bool:
    return open_to_all in handler.resolve_guards()
