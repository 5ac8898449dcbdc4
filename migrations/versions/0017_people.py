"""Confirmed addresses, second factors, where sessions are, invitations, API keys, and tries at the door."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
ACTORS = "user, api key, system or command line"


def upgrade() -> None:
    op.add_column("users", _moment("confirmed_at", comment="when somebody proved to read the mail of the address"))
    op.add_column("refresh_tokens", _column("ip", nullable=True))
    op.add_column("refresh_tokens", _column("device", nullable=True, comment="as the program names itself"))
    op.alter_column("one_time_links", "tenant_id", nullable=True)
    op.add_column("one_time_links", _column("user_id", sa.Uuid(), nullable=True))
    op.add_column("one_time_links", _column("email", nullable=True, comment="the address that the link was sent to"))
    op.create_foreign_key(
        op.f("fk_one_time_links_user_id"), "one_time_links", "users", ["user_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index(op.f("ix_one_time_links_user_id"), "one_time_links", ["user_id"])
    op.alter_column("audit_log", "actor_kind", comment=ACTORS)
    _create_invitations()
    _create_api_keys()
    _create_second_factors()
    _create_attempts()


def downgrade() -> None:
    for table in ("attempts", "recovery_codes", "second_factors", "api_keys", "invitations"):
        op.drop_table(table)
    op.alter_column("audit_log", "actor_kind", comment="user, system or command line")
    op.drop_constraint(op.f("fk_one_time_links_user_id"), "one_time_links")
    op.drop_index(op.f("ix_one_time_links_user_id"), "one_time_links")
    op.execute("DELETE FROM one_time_links WHERE tenant_id IS NULL")
    for column in ("email", "user_id"):
        op.drop_column("one_time_links", column)
    op.alter_column("one_time_links", "tenant_id", nullable=False)
    for column in ("device", "ip"):
        op.drop_column("refresh_tokens", column)
    op.drop_column("users", "confirmed_at")


def _create_invitations() -> None:
    op.create_table(
        "invitations",
        *_keys("invitations"),
        _column("email", comment="lower case"),
        _column("role"),
        _column("token_sha", sa.LargeBinary()),
        _column(
            "mailed",
            sa.Boolean(),
            comment="the link went to the address, so that following it proves the address",
        ),
        _column("invited_by", sa.Uuid()),
        _created(),
        _column("expires_at", sa.DateTime(timezone=True)),
        _moment("accepted_at"),
        _moment("revoked_at"),
    )
    op.create_index("ix_invitations_token", "invitations", ["token_sha"])
    _isolate("invitations", "accepted_at")


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        *_keys("api_keys"),
        _column("name"),
        _column("prefix", comment="shown in lists, so that a key can be told from another"),
        _column("key_sha", sa.LargeBinary()),
        _column("scopes", postgresql.ARRAY(sa.Text()), comment="permissions"),
        _column("created_by", sa.Uuid()),
        _created(),
        _moment("expires_at"),
        _moment("last_used_at", comment="to the minute"),
        _moment("revoked_at"),
    )
    op.create_index("ix_api_keys_prefix", "api_keys", ["prefix"])
    _isolate("api_keys", "last_used_at")


def _create_second_factors() -> None:
    op.create_table(
        "second_factors",
        _column("user_id", sa.Uuid()),
        _column("secret", sa.LargeBinary(), comment="sealed by the key ring"),
        _column(
            "last_step",
            sa.BigInteger(),
            server_default="0",
            comment="30 s since 1970 of the last code that was taken",
        ),
        _created(),
        _moment("confirmed_at", comment="until then nobody is asked for a code"),
        _user("second_factors"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        _column("id", sa.Uuid()),
        _column("user_id", sa.Uuid()),
        _column("code_sha", sa.LargeBinary()),
        _moment("used_at"),
        _user("recovery_codes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    op.create_index(op.f("ix_recovery_codes_user_id"), "recovery_codes", ["user_id"])
    for table in ("second_factors", "recovery_codes"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_sys")


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        _column("who", sa.LargeBinary(), comment="keyed hash of what was tried, and of whom"),
        _column("count", sa.BigInteger()),
        _column("since", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_attempts")),
        comment="of the last minutes; a crash may empty it",
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_attempts_since", "attempts", ["since"])
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON attempts TO asissto_sys")


def _keys(table: str) -> list[Any]:
    columns = [_column(name, sa.Uuid()) for name in ("tenant_id", "id")]
    name = op.f(f"fk_{table}_tenant_id")
    tenant = sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=name, ondelete="CASCADE")
    return [*columns, tenant, sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{table}"))]


def _user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f(f"fk_{table}_user_id"), ondelete="CASCADE")


def _column(name: str, kind: Any = None, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text() if kind is None else kind, nullable=nullable, **more)


def _moment(name: str, **more: Any) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), nullable=True, **more)


def _created() -> sa.Column[Any]:
    return _column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"))


def _isolate(table: str, marked: str) -> None:
    """Rows are marked and never deleted, so that it can be told who was asked in and what had a key.

    The application revokes, the system marks what was used; nobody changes whom or what a row gives rights.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (revoked_at) ON {table} TO asissto_app")
    op.execute(f"GRANT SELECT, UPDATE ({marked}) ON {table} TO asissto_sys")
