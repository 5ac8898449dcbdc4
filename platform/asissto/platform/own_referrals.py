"""Whether somebody brings themselves: by the account, or by an address whose mail lands in the same box."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.tables import Membership, User

_GMAIL = ("gmail.com", "googlemail.com")
_YANDEX = ("ya.ru", "yandex.ru", "yandex.com", "yandex.by", "yandex.kz")


async def is_own(session: AsyncSession, partner: User, tenant_id: UUID) -> bool:
    """Whether the partner is a member of the tenant, or has the mailbox of one."""
    joined = select(User.id, User.email).join(Membership, Membership.user_id == User.id)
    members = (await session.execute(joined.where(Membership.tenant_id == tenant_id))).all()
    return any(user_id == partner.id or same_mailbox(email, partner.email) for user_id, email in members)


def same_mailbox(one: str, other: str) -> bool:
    return _mailbox(one) == _mailbox(other)


def _mailbox(email: str) -> tuple[str, str]:
    """Without what many servers leave out: what follows a plus; at Gmail dots, at Yandex what stands for them."""
    name, _, domain = email.lower().rpartition("@")
    name = name.partition("+")[0]
    if domain in _GMAIL:
        return name.replace(".", ""), _GMAIL[0]
    if domain in _YANDEX:
        return name.replace(".", "-"), _YANDEX[0]
    return name, domain
