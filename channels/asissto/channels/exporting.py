"""The job that writes everything about a person into a file: a zip of JSON with what they sent besides words."""

import asyncio
import tempfile
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any
from uuid import UUID

import msgspec
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.personal_data import Row, contacts_of, conversations_of, everything_in, rows
from asissto.channels.privacy_tables import PrivacyRequest
from asissto.channels.tables import Contact
from asissto.ingestion.documents import sweep_later
from asissto.platform import jobs
from asissto.platform.errors import OriginalMissing
from asissto.platform.jobs import ClaimedJob
from asissto.platform.payment_tables import Payment
from asissto.platform.people_tables import ApiKey, Invitation, SecondFactor
from asissto.platform.referral_tables import ReferralCode, ReferralPartner, ReferralPayout
from asissto.platform.services import Services
from asissto.platform.tables import AuditEntry, Membership, OneTimeLink, RefreshToken, User

EXPORT, DROP_EXPORT = "privacy.export", "privacy.drop_export"
LINK_LIFE = timedelta(hours=48)
LARGEST_MB = 20_000
_SPOOLED, _PIECE = 8 << 20, 1 << 20
_OF_USER = ("id", "name", "email", "phone", "role", "status", "language", "created_at")
_OF_SESSION = (
    "id",
    "tenant_id",
    "ip",
    "device",
    "impersonator_id",
    "created_at",
    "expires_at",
    "used_at",
    "revoked_at",
)
_OF_INVITATION = ("tenant_id", "id", "email", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
_OF_LINK = ("id", "purpose", "email", "created_at", "expires_at", "used_at")
_OF_KEY = ("tenant_id", "id", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
_OF_FACTOR = ("created_at", "confirmed_at")


async def export(services: Services, job: ClaimedJob) -> None:
    """No transaction waits for the files."""
    request = await _find(services, job)
    if request is None:
        return
    with tempfile.SpooledTemporaryFile(_SPOOLED) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            await _write(services, archive, request)
        file.seek(0)
        stored = await services.files.save(job.tenant_id, "export", _pieces(file), limit_mb=LARGEST_MB)
    until = datetime.now(UTC) + LINK_LIFE
    async with services.database.tenant(job.tenant_id) as session:
        row = await session.get_one(PrivacyRequest, (job.tenant_id, request.id))
        row.state, row.file_key, row.size, row.expires_at = "done", stored.key, stored.bytes, until
        row.finished_at = func.now()
        await jobs.enqueue(session, job.tenant_id, DROP_EXPORT, job.key, job.payload, run_at=until)
        await jobs.remove(session, job)


async def drop_export(services: Services, job: ClaimedJob) -> None:
    """The job: deletes the file, once it was fetched or its time is over."""
    async with services.database.tenant(job.tenant_id) as session:
        row = await session.get(PrivacyRequest, (job.tenant_id, UUID(job.payload["request_id"])))
        key = None if row is None else row.file_key
    if key is not None:
        await services.files.delete(key)
    async with services.database.tenant(job.tenant_id) as session:
        row = await session.get(PrivacyRequest, (job.tenant_id, UUID(job.payload["request_id"])))
        if row is not None:
            row.file_key = None
        await jobs.remove(session, job)


async def _find(services: Services, job: ClaimedJob) -> PrivacyRequest | None:
    """None, and no job any more, where it is done already."""
    async with services.database.tenant(job.tenant_id) as session:
        row = await session.get(PrivacyRequest, (job.tenant_id, UUID(job.payload["request_id"])))
        if row is None or row.state != "waiting":
            await jobs.remove(session, job)
            return None
        await sweep_later(session, job.tenant_id)
        return row


async def _write(services: Services, archive: zipfile.ZipFile, request: PrivacyRequest) -> None:
    """Of members also what they asked in other workspaces: it is theirs everywhere."""
    if request.subject == "user":
        await _write_user(services, archive, request.subject_id)
        return
    async with services.database.tenant(request.tenant_id) as session:
        ids = await contacts_of(session, request.tenant_id, request.subject_id)
        mine = (Contact.tenant_id == request.tenant_id, Contact.id.in_(ids))
        _put(archive, "contacts.json", await rows(session, Contact, *mine))
        theirs = list(await session.scalars(conversations_of(request.tenant_id, "contact", ids)))
    for conversation_id in theirs:
        await _write_conversation(services, archive, request.tenant_id, conversation_id)


async def _write_user(services: Services, archive: zipfile.ZipFile, user_id: UUID) -> None:
    async with services.database.system() as session:
        told = await _account(session, user_id)
        tenants = list(await session.scalars(select(Membership.tenant_id).where(Membership.user_id == user_id)))
    for name, found in told.items():
        _put(archive, f"{name}.json", found)
    for tenant_id in tenants:
        async with services.database.tenant(tenant_id) as session:
            theirs = list(await session.scalars(conversations_of(tenant_id, "user", [user_id])))
        for conversation_id in theirs:
            await _write_conversation(services, archive, tenant_id, conversation_id)


async def _account(session: AsyncSession, user_id: UUID) -> dict[str, list[Row]]:
    """Without hashes of passwords and tokens, which are no words about anybody."""
    email = (await session.get_one(User, user_id)).email
    deeds = or_(AuditEntry.actor_id == user_id, AuditEntry.impersonator_id == user_id)
    return {
        "account": _only(await rows(session, User, User.id == user_id), _OF_USER),
        "sessions": _only(await rows(session, RefreshToken, RefreshToken.user_id == user_id), _OF_SESSION),
        "memberships": await rows(session, Membership, Membership.user_id == user_id),
        "invitations": _only(await rows(session, Invitation, Invitation.email == email), _OF_INVITATION),
        "links": _only(await rows(session, OneTimeLink, OneTimeLink.user_id == user_id), _OF_LINK),
        "keys": _only(await rows(session, ApiKey, ApiKey.created_by == user_id), _OF_KEY),
        "second_factor": _only(await rows(session, SecondFactor, SecondFactor.user_id == user_id), _OF_FACTOR),
        "payments": await rows(session, Payment, Payment.user_id == user_id),
        "partner": await rows(session, ReferralPartner, ReferralPartner.user_id == user_id),
        "referral_codes": await rows(session, ReferralCode, ReferralCode.user_id == user_id),
        "payouts": await rows(session, ReferralPayout, ReferralPayout.partner_id == user_id),
        "audit": await rows(session, AuditEntry, deeds),
    }


async def _write_conversation(
    services: Services, archive: zipfile.ZipFile, tenant_id: UUID, conversation_id: UUID
) -> None:
    async with services.database.tenant(tenant_id) as session:
        found = await everything_in(session, tenant_id, conversation_id)
    _put(archive, f"conversations/{conversation_id}.json", found)
    for row in found["attachments"]:
        if row["file_key"] is not None:
            await _copy(services, archive, row["file_key"], f"attachments/{row['id']}")


async def _copy(services: Services, archive: zipfile.ZipFile, key: str, name: str) -> None:
    """A file that is missing leaves an empty one: the rest is still to be had."""
    with archive.open(name, "w", force_zip64=True) as entry:
        try:
            async for piece in services.files.read(key):
                await asyncio.to_thread(entry.write, piece)
        except OriginalMissing:
            return


def _put(archive: zipfile.ZipFile, name: str, what: Any) -> None:
    archive.writestr(name, msgspec.json.format(msgspec.json.encode(what), indent=2))


def _only(found: list[Row], fields: tuple[str, ...]) -> list[Row]:
    return [{name: row[name] for name in fields} for row in found]


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece
