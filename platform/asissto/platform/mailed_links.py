"""Links that go to a person by mail, in the language of the person."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.links import LIVES, Purpose, link_address, make_link
from asissto.platform.mail import Letter, mail_later, until
from asissto.platform.services import Services
from asissto.platform.tables import Membership, User
from asissto.platform.texts import known_language, text


async def mail_link(session: AsyncSession, services: Services, user: User, tenant_id: UUID, purpose: Purpose) -> None:
    """Once the transaction commits; raises MailMissing."""
    token = await make_link(session, purpose, user_id=user.id, email=user.email)
    language = known_language(user.language)
    address = link_address(services.settings, purpose, token)
    subject = text(f"mail.{purpose}.subject", language)
    words = text(f"mail.{purpose}.text", language, name=user.name, link=address)
    await mail_later(session, services, tenant_id, Letter(user.email, subject, words, until(LIVES[purpose])))


async def home_of(session: AsyncSession, user_id: UUID) -> UUID | None:
    """The workspace that a person joined first, whose trail tells what they do with their account."""
    joined = select(Membership.tenant_id).where(Membership.user_id == user_id)
    return await session.scalar(joined.order_by(Membership.created_at, Membership.tenant_id).limit(1))
