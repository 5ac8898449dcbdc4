"""Tables of the ground: tenants, people, jobs and the audit trail."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column


def new_id() -> UUID:
    """A UUIDv7: it sorts by the time it was made, so new rows land at the end of their index."""
    return uuid_utils.compat.uuid7()


Json = dict[str, Any]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        int: BigInteger,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[dict[str, Any]]: JSONB,
    }


class TenantRow:
    """A row of one tenant: the key starts with the tenant, so that a row cannot even point into another one."""

    @declared_attr
    @classmethod
    def tenant_id(cls) -> Mapped[UUID]:
        return mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, sort_order=-2)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id, sort_order=-1)


def within_tenant(column: str, target: str, *, ondelete: str = "CASCADE") -> ForeignKeyConstraint:
    """A foreign key that carries the tenant; with SET NULL only `column` is cleared."""
    action = f"SET NULL ({column})" if ondelete == "SET NULL" else ondelete
    return ForeignKeyConstraint(["tenant_id", column], [f"{target}.tenant_id", f"{target}.id"], ondelete=action)


class Tenant(Base):
    """A workspace: whose documents, assistants and conversations they are, and who pays."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    # Short enough to stand before every lexeme in the index.
    number: Mapped[int] = mapped_column(Identity(always=True), unique=True)
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")
    suspended_reason: Mapped[str | None]
    language: Mapped[str] = mapped_column(server_default="en")
    timezone: Mapped[str] = mapped_column(server_default="UTC", comment="in which its days and hours are told")
    plan: Mapped[str] = mapped_column(server_default="free")
    balance: Mapped[int] = mapped_column(server_default="0", comment="minor units of `currency`")
    currency: Mapped[str] = mapped_column(server_default="USD")
    created_at: Mapped[CreatedAt]


class User(Base):
    """A person who signs in; plan and balance are those of the tenant and are shown through it."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True, comment="lower case")
    phone: Mapped[str | None]
    role: Mapped[str] = mapped_column(server_default="user", comment="user, admin, referral or manager")
    status: Mapped[str] = mapped_column(server_default="active")
    language: Mapped[str] = mapped_column(server_default="en")
    # Row-level security leaves colleagues to be seen; this column is granted to the system role alone.
    password_hash: Mapped[str] = mapped_column(deferred=True, deferred_raiseload=True)
    referrer_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    manager_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    confirmed_at: Mapped[datetime | None] = mapped_column(
        comment="when somebody proved to read the mail of the address"
    )


class Membership(Base):
    """What a user may do in a tenant: owner, editor, operator or analyst."""

    __tablename__ = "memberships"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[str]
    created_at: Mapped[CreatedAt]


class TenantManager(Base):
    """A manager of the platform who looks after a tenant."""

    __tablename__ = "tenant_managers"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    created_at: Mapped[CreatedAt]


class RefreshToken(Base):
    """One use of a session: rotation marks it used and adds the next of its family. Only the system role sees it."""

    __tablename__ = "refresh_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    family_id: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    token_sha: Mapped[bytes] = mapped_column(unique=True)
    ip: Mapped[str | None]
    device: Mapped[str | None] = mapped_column(comment="as the program names itself")
    impersonator_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True, comment="who acts as the user in this session"
    )
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class OneTimeLink(Base):
    """A link that may be followed once, of a tenant or of a person. Only the system role sees it."""

    __tablename__ = "one_time_links"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    purpose: Mapped[str]
    token_sha: Mapped[bytes] = mapped_column(unique=True)
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    email: Mapped[str | None] = mapped_column(comment="the address that the link was sent to")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Job(TenantRow, Base):
    """Work to be done once the transaction that wrote it commits; it may run twice, so its effects are idempotent."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_open_key", "tenant_id", "kind", "key", unique=True, postgresql_where=text("state = 'todo'")),
        Index("ix_jobs_due", "tenant_id", "run_at", postgresql_where=text("state = 'todo'")),
        Index(
            "ix_jobs_by_law",
            "run_at",
            postgresql_where=text("state = 'todo' AND starts_with(kind, 'privacy.')"),
        ),
        Index("ix_jobs_lease", "lease_until", postgresql_where=text("state = 'doing'")),
    )

    kind: Mapped[str]
    key: Mapped[str] = mapped_column(comment="what it is about; one job for it waits at a time")
    payload: Mapped[Json]
    state: Mapped[str] = mapped_column(server_default="todo", comment="todo, doing, done or dead")
    run_at: Mapped[CreatedAt]
    attempts: Mapped[int] = mapped_column(server_default="0")
    worker: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(comment="class and message of the last failure")
    waiting_since: Mapped[datetime | None] = mapped_column(comment="when what the job needs was first found to be away")
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class JobTurn(Base):
    """When a tenant was last served by the queue, so that tenants take turns. Only the system role writes it."""

    __tablename__ = "job_turns"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    served_at: Mapped[datetime]


class UsageCounter(Base):
    """How often something happened in a minute or a day; unlogged, so that a crash may empty it."""

    __tablename__ = "usage_counters"
    __table_args__ = (
        Index("ix_usage_counters_window", "window_start"),
        {"prefixes": ["UNLOGGED"], "comment": "of the current minutes and days; a crash may empty it"},
    )

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True, comment="what is counted, and of whom")
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]


class AuditEntry(TenantRow, Base):
    """Who did what to what; the application may add and read rows, nobody changes them."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_at", "tenant_id", "at"), Index("ix_audit_log_id", "id"))

    # No foreign key: what was done in a tenant stays known when the tenant is gone.
    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-2)
    at: Mapped[CreatedAt]
    actor_id: Mapped[UUID | None]
    actor_kind: Mapped[str] = mapped_column(comment="user, api key, system or command line")
    impersonator_id: Mapped[UUID | None] = mapped_column(comment="who acted as the actor, signed in as a tenant")
    ip: Mapped[str | None]
    action: Mapped[str]
    object_type: Mapped[str]
    object_id: Mapped[UUID | None]
    changes: Mapped[Json]
    request_id: Mapped[str | None]
