"""Letters to the owners of a workspace that a plan is nearly, or wholly, used up."""

from datetime import timedelta

from sqlalchemy import select

from asissto.platform import jobs
from asissto.platform.jobs import ClaimedJob
from asissto.platform.mail import Letter, mail_later, until
from asissto.platform.metering import WARNING
from asissto.platform.services import Services
from asissto.platform.tables import Membership, Tenant, User
from asissto.platform.texts import known_language, text
from asissto.platform.worker import Handler

LIFE = timedelta(days=2)
"""A warning that comes later is no warning."""


async def write_to_owners(services: Services, job: ClaimedJob) -> None:
    """One letter to each, in their own language, once; nobody is written to where the server sends no mail."""
    async with services.database.system() as session:
        await jobs.remove(session, job)
        if not services.settings.has_mail:
            return
        workspace = await session.scalar(select(Tenant.name).where(Tenant.id == job.tenant_id))
        owners = select(User.email, User.language).join(Membership, Membership.user_id == User.id)
        owners = owners.where(Membership.tenant_id == job.tenant_id, Membership.role == "owner")
        for email, spoken in await session.execute(owners.where(User.status == "active").order_by(User.email)):
            language = known_language(spoken)
            words = {**job.payload, "what": text(f"quota.{job.payload['name']}", language), "workspace": workspace}
            level = "full" if job.payload["percent"] >= 100 else "near"
            subject = text(f"mail.quota_{level}.subject", language, **words)
            body = text(f"mail.quota_{level}.text", language, **words)
            await mail_later(session, services, job.tenant_id, Letter(email, subject, body, until(LIFE)))


HANDLERS = {WARNING: Handler(write_to_owners)}
