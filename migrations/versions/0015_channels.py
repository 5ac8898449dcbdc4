"""Channels hold accounts of messengers; threads, an inbox and an outbox that nothing falls out of; the operators' marks."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
TABLES = ("threads", "inbound_events", "outbox", "attachments", "usage_counters")
NOTHING, NO, ZERO = sa.text("'{}'"), sa.text("false"), "0"
OPEN = "state IN ('pending', 'sending')"


def upgrade() -> None:
    for column in _channel():
        op.add_column("channels", column)
    op.alter_column("channels", "type", comment="api, or a name in channels.registry")
    op.alter_column("channels", "secrets", comment="sealed JSON of all secrets")
    op.alter_column("channels", "status", comment="active, paused or broken")
    op.create_foreign_key(
        op.f("fk_channels_tenant_id_assistant_id"),
        "channels",
        "assistants",
        ["tenant_id", "assistant_id"],
        ["tenant_id", "id"],
        ondelete="SET NULL (assistant_id)",
    )
    op.create_index("ix_channels_polled", "channels", ["polled_until"], postgresql_where=sa.text("polls"))
    op.add_column("contacts", _column("person_id", sa.Uuid(), nullable=True))
    op.create_index("ix_contacts_person", "contacts", ["tenant_id", "person_id"])
    for column in _conversation():
        op.add_column("conversations", column)
    op.create_index("ix_conversations_contact", "conversations", ["tenant_id", "contact_id"])
    _create_threads()
    _create_inbound_events()
    _create_outbox()
    _create_attachments()
    _create_counters()
    for table in TABLES:
        _isolate(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_conversations_contact", "conversations")
    for table, columns in (("conversations", _conversation()), ("channels", _channel())):
        for column in reversed(columns):
            op.drop_column(table, column.name)
    op.drop_column("contacts", "person_id")
    op.alter_column("channels", "type", comment="api; telegram, vk, sms, mail and web are to come")
    op.alter_column("channels", "secrets", comment=None)
    op.alter_column("channels", "status", comment=None)


def _channel() -> list[sa.Column[Any]]:
    return [
        _column("problem", nullable=True, comment="what the provider said when the channel broke"),
        _column("assistant_id", sa.Uuid(), nullable=True, comment="who answers; empty: the oldest assistant"),
        _column("revision", sa.Integer(), server_default="1", comment="grows with each change of the settings"),
        _column("polls", sa.Boolean(), server_default=NO, comment="we fetch its events"),
        _column("cursor", postgresql.JSONB(), server_default=NOTHING, comment="up to where events were fetched"),
        _column("polled_by", sa.Uuid(), nullable=True),
        _moment("polled_until"),
        _moment("paused_until", comment="the provider wants to be left alone till then"),
        _moment("heard_at", comment="when the last event came"),
    ]


def _conversation() -> list[sa.Column[Any]]:
    return [
        _column("assignee_id", sa.Uuid(), nullable=True, comment="the member who takes care of it"),
        _column("tags", postgresql.ARRAY(sa.Text()), server_default=NOTHING),
    ]


def _create_threads() -> None:
    op.create_table(
        "threads",
        *_keys("threads"),
        _column("channel_id", sa.Uuid()),
        _column("external_key"),
        _column("address", postgresql.JSONB(), server_default=NOTHING, comment="of the newest event"),
        _column("reach", server_default="open", comment="open, or why the customer cannot be written to"),
        _column("seq", sa.Integer(), server_default=ZERO, comment="of the newest row in the outbox"),
        _moment("paused_until"),
        _moment("heard_at", comment="when the customer last wrote"),
        _within("threads", "id", "conversations"),
        _within("threads", "channel_id", "channels"),
        _unique("threads", "channel_id", "external_key"),
    )


def _create_inbound_events() -> None:
    op.create_table(
        "inbound_events",
        *_keys("inbound_events"),
        _column("channel_id", sa.Uuid()),
        _column("key"),
        _column("kind"),
        _column("external_id", nullable=True),
        _column("conversation_id", sa.Uuid(), nullable=True),
        _column("message_id", sa.Uuid(), nullable=True),
        _created(),
        _within("inbound_events", "channel_id", "channels"),
        _unique("inbound_events", "channel_id", "key"),
    )
    op.create_index("ix_inbound_events_external", "inbound_events", ["tenant_id", "channel_id", "external_id"])
    op.create_index("ix_inbound_events_message", "inbound_events", ["tenant_id", "message_id"])


def _create_outbox() -> None:
    states = "pending, sending, sent, unknown, failed, blocked or cancelled"
    op.create_table(
        "outbox",
        *_keys("outbox"),
        _column("channel_id", sa.Uuid()),
        _column("conversation_id", sa.Uuid()),
        _column("message_id", sa.Uuid()),
        _column("seq", sa.Integer()),
        _column("part", sa.Integer()),
        _column("content", postgresql.JSONB(), comment="a Part"),
        _column("key", sa.BigInteger(), comment="1 to 2^31-1, by which a provider knows a repetition"),
        _column("state", server_default="pending", comment=states),
        _column("attempts", sa.Integer(), server_default=ZERO),
        _column("repeats", sa.Integer(), server_default=ZERO, comment="sent again though it may have arrived"),
        _column("is_uncertain", sa.Boolean(), server_default=NO, comment="an earlier attempt may have arrived"),
        _column("next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()")),
        _moment("first_sent_at", comment="begin of the first attempt"),
        _column("worker", sa.Uuid(), nullable=True),
        _moment("lease_until"),
        _column("provider_message_id", nullable=True),
        _column("segments", sa.Integer(), server_default=ZERO),
        _column("error_code", nullable=True),
        _column("error", nullable=True, comment="the provider's word"),
        _column("delivery", nullable=True, comment="delivered, read or failed, as receipts tell"),
        _created(),
        _moment("finished_at"),
        _within("outbox", "channel_id", "channels"),
        _within("outbox", "conversation_id", "conversations"),
        _within("outbox", "message_id", "messages"),
        _unique("outbox", "conversation_id", "seq"),
        _unique("outbox", "message_id", "part"),
    )
    is_open = {"postgresql_where": sa.text(OPEN)}
    op.create_index("ix_outbox_open", "outbox", ["tenant_id", "channel_id", "next_attempt_at"], **is_open)
    op.create_index("ix_outbox_queue", "outbox", ["tenant_id", "conversation_id", "seq"], **is_open)
    op.create_index("ix_outbox_provider", "outbox", ["tenant_id", "channel_id", "provider_message_id"])


def _create_attachments() -> None:
    op.create_table(
        "attachments",
        *_keys("attachments"),
        _column("message_id", sa.Uuid()),
        _column("content", postgresql.JSONB(), comment="an Attachment"),
        _column("state", server_default="waiting", comment="waiting, stored, too_large or failed"),
        _column("file_key", nullable=True),
        _column("size", sa.BigInteger(), nullable=True),
        _column("error", nullable=True),
        _created(),
        _within("attachments", "message_id", "messages"),
    )
    op.create_index("ix_attachments_message", "attachments", ["tenant_id", "message_id"])


def _create_counters() -> None:
    op.create_table(
        "usage_counters",
        _column("tenant_id", sa.Uuid()),
        _column("name", comment="what is counted, and of whom"),
        _column("window_start", sa.DateTime(timezone=True)),
        _column("count", sa.BigInteger()),
        _tenant("usage_counters"),
        sa.PrimaryKeyConstraint("tenant_id", "name", "window_start", name=op.f("pk_usage_counters")),
        comment="of the current minutes and days; a crash may empty it",
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_usage_counters_window", "usage_counters", ["window_start"])


def _keys(table: str) -> list[Any]:
    columns = [_column(name, sa.Uuid()) for name in ("tenant_id", "id")]
    return [*columns, _tenant(table), sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{table}"))]


def _tenant(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_tenant_id")
    return sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=name, ondelete="CASCADE")


def _column(name: str, kind: Any = None, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text() if kind is None else kind, nullable=nullable, **more)


def _moment(name: str, **more: Any) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), nullable=True, **more)


def _created() -> sa.Column[Any]:
    return _column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"))


def _within(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_tenant_id_{column}")
    own, theirs = ["tenant_id", column], [f"{target}.tenant_id", f"{target}.id"]
    return sa.ForeignKeyConstraint(own, theirs, name=name, ondelete="CASCADE")


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint("tenant_id", *columns, name=op.f(f"uq_{table}_{'_'.join(('tenant_id', *columns))}"))


def _isolate(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_app, asissto_sys")
