"""Tables of how people and programs come in: invitations, API keys, second factors, and tries at the door."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, TenantRow, new_id


class Invitation(TenantRow, Base):
    """Somebody is asked into a workspace; the token of the link is kept as its hash alone."""

    __tablename__ = "invitations"
    __table_args__ = (Index("ix_invitations_token", "token_sha"),)

    email: Mapped[str] = mapped_column(comment="lower case")
    role: Mapped[str]
    token_sha: Mapped[bytes]
    mailed: Mapped[bool] = mapped_column(
        comment="the link went to the address, so that following it proves the address"
    )
    invited_by: Mapped[UUID]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ApiKey(TenantRow, Base):
    """What a program signs in with; it may never do more than whoever made it."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_prefix", "prefix"),)

    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(comment="shown in lists, so that a key can be told from another")
    key_sha: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(comment="permissions")
    created_by: Mapped[UUID]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None] = mapped_column(comment="to the minute")
    revoked_at: Mapped[datetime | None]


class SecondFactor(Base):
    """The secret of an authenticator app. Only the system role sees it."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[bytes] = mapped_column(comment="sealed by the key ring")
    last_step: Mapped[int] = mapped_column(
        server_default="0", comment="30 s since 1970 of the last code that was taken"
    )
    created_at: Mapped[CreatedAt]
    confirmed_at: Mapped[datetime | None] = mapped_column(comment="until then nobody is asked for a code")


class RecoveryCode(Base):
    """Takes the place of the authenticator app once. Only the system role sees it."""

    __tablename__ = "recovery_codes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    code_sha: Mapped[bytes]
    used_at: Mapped[datetime | None]


class Attempt(Base):
    """How often somebody tried something since `since`; unlogged, so that a crash may empty it."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("ix_attempts_since", "since"),
        {"prefixes": ["UNLOGGED"], "comment": "of the last minutes; a crash may empty it"},
    )

    who: Mapped[bytes] = mapped_column(primary_key=True, comment="keyed hash of what was tried, and of whom")
    count: Mapped[int]
    since: Mapped[datetime]
