"""Who may do what: the one table of permissions and roles, and the guards that every route carries one of."""

from typing import Any, Literal, get_args

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from asissto.platform.errors import Forbidden

Role = Literal["owner", "editor", "operator", "analyst"]
"""What somebody is in a workspace."""

PlatformRole = Literal["user", "admin", "referral", "manager"]
"""What somebody is beside that, on the whole platform."""

AnyRole = Role | PlatformRole
Permission = Literal[
    "me.read",
    "me.write",
    "me.sign_out",
    "tenant.read",
    "tenant.write",
    "users.read",
    "members.read",
    "members.write",
    "invitations.write",
    "keys.read",
    "keys.write",
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
    "conversations.write",
    "quality.read",
    "quality.write",
    "analytics.read",
    "topics.write",
    "ask",
    "audit.read",
    "billing.read",
    "billing.write",
    "privacy.write",
    "platform.tenants.read",
    "platform.tenants.write",
    "platform.users.read",
    "platform.users.write",
    "platform.billing.write",
    "platform.payments.read",
    "platform.payments.write",
    "platform.impersonate",
    "platform.operations.read",
    "platform.operations.write",
    "platform.audit.read",
    "platform.referrals.own",
    "platform.referrals.read",
    "platform.referrals.write",
]

_OWNER: frozenset[AnyRole] = frozenset(("owner",))
_EDITOR: frozenset[AnyRole] = _OWNER | {"editor"}
_OPERATOR: frozenset[AnyRole] = _EDITOR | {"operator"}
_MEMBER: frozenset[AnyRole] = _OPERATOR | {"analyst"}
_ANALYST: frozenset[AnyRole] = _EDITOR | {"analyst"}
_ADMIN: frozenset[AnyRole] = frozenset(("admin",))
_SUPPORT: frozenset[AnyRole] = _ADMIN | {"manager"}
_PARTNER: frozenset[AnyRole] = frozenset(("referral",))

TABLE: dict[Permission, frozenset[AnyRole]] = {
    "me.read": _MEMBER,
    "me.write": _MEMBER,
    "me.sign_out": _MEMBER,
    "tenant.read": _MEMBER,
    "tenant.write": _OWNER,
    "users.read": _MEMBER,
    "members.read": _MEMBER,
    "members.write": _OWNER,
    "invitations.write": _OWNER,
    "keys.read": _OWNER,
    "keys.write": _OWNER,
    "assistants.read": _MEMBER,
    "assistants.write": _EDITOR,
    "documents.read": _MEMBER,
    "documents.write": _EDITOR,
    "channels.read": _EDITOR,
    "channels.write": _EDITOR,
    "contacts.read": _MEMBER,
    "contacts.write": _OPERATOR,
    "models.read": _EDITOR,
    "models.write": _OWNER,
    "conversations.read": _MEMBER,
    "conversations.write": _OPERATOR,
    "quality.read": _MEMBER,
    "quality.write": _EDITOR,
    "analytics.read": _ANALYST,
    "topics.write": _ANALYST,
    "ask": _OPERATOR,
    "audit.read": _OWNER,
    "billing.read": _OWNER,
    "billing.write": _OWNER,
    "privacy.write": _OWNER,
    "platform.tenants.read": _SUPPORT,
    "platform.tenants.write": _ADMIN,
    "platform.users.read": _ADMIN,
    "platform.users.write": _ADMIN,
    "platform.billing.write": _ADMIN,
    "platform.payments.read": _ADMIN,
    "platform.payments.write": _ADMIN,
    "platform.impersonate": _SUPPORT,
    "platform.operations.read": _ADMIN,
    "platform.operations.write": _ADMIN,
    "platform.audit.read": _ADMIN,
    "platform.referrals.own": _PARTNER,
    "platform.referrals.read": _ADMIN,
    "platform.referrals.write": _ADMIN,
}
"""Who holds what; a manager holds it for the tenants assigned to them alone."""

WITHHELD: frozenset[Permission] = frozenset(
    ("me.write", "members.write", "invitations.write", "keys.read", "keys.write", "billing.write", "privacy.write")
)
"""What somebody who has signed in as a tenant may not do, whatever the role that they act in."""

ROLES: tuple[Role, ...] = get_args(Role)
PLATFORM_ROLES: tuple[PlatformRole, ...] = get_args(PlatformRole)
PERMISSIONS: dict[AnyRole, frozenset[Permission]] = {
    role: frozenset(permission for permission, holders in TABLE.items() if role in holders)
    for role in (*ROLES, *PLATFORM_ROLES)
}
"""The same table by role."""


def granted(role: Role, platform_role: PlatformRole, *, is_impersonated: bool) -> frozenset[Permission]:
    """What somebody may do in a session; nobody brings their platform role along when they act as a tenant."""
    if is_impersonated:
        return PERMISSIONS[role] - WITHHELD
    return PERMISSIONS[role] | PERMISSIONS[platform_role]


class Need:
    """A guard that lets those pass whose roles have the permission; raises Forbidden."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        if self.permission not in connection.user.permissions:
            raise Forbidden


def need(permission: Permission) -> Need:
    """For `guards=[need("documents.write")]`."""
    return Need(permission)


async def open_to_all(_connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """For `guards=[open_to_all]`: nobody is asked to sign in, and there is no `principal`."""


def is_open(handler: BaseRouteHandler) -> bool:
    return open_to_all in handler.resolve_guards()


def holders(permission: Permission) -> list[AnyRole]:
    """In the order of the roles."""
    return [role for role in (*ROLES, *PLATFORM_ROLES) if role in TABLE[permission]]
