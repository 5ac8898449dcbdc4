"""What turns, inquiries and feedback came to, the views that figures are read from, and reports."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0022"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
GRANTS = {
    "turns": "SELECT, INSERT",
    "inquiries": "SELECT, INSERT, UPDATE",
    "feedback": "SELECT, INSERT, UPDATE",
    "reports": "SELECT, INSERT, UPDATE, DELETE",
}

# Joined by outer joins on whole keys, so that Postgres leaves a table out where a query asks for none of its columns.
_NAMES = """
    LEFT JOIN assistants a ON a.tenant_id = {0}.tenant_id AND a.id = {1}.assistant_id
    LEFT JOIN channels ch ON ch.tenant_id = {0}.tenant_id AND ch.id = {0}.channel_id
    LEFT JOIN tenants z ON z.id = {0}.tenant_id
"""
_MOMENT = """{0} AS at, (timezone(z.timezone, {0}))::date AS day,
    extract(hour FROM timezone(z.timezone, {0}))::integer AS hour"""
_WHO = """{0}.assistant_id, a.name AS assistant, {0}.assistant_id || '/' || {0}.version AS assistant_version"""
_WHERE = "ch.name AS channel, ch.type AS channel_type"

VIEWS = {
    "analytics_turns": f"""
SELECT t.tenant_id, t.message_id AS id, {_MOMENT.format("t.at")}, t.asked_at, t.conversation_id, t.inquiry_id,
    {_WHO.format("t")}, t.channel_id, {_WHERE}, t.model, t.language, t.mode, t.result, t.reason,
    t.result IN ('answered', 'clarified', 'abstained', 'handed_over') AS is_question, t.milliseconds
FROM turns t {_NAMES.format("t", "t")}""",
    "analytics_inquiries": f"""
SELECT i.tenant_id, i.id, {_MOMENT.format("i.started_at")}, i.conversation_id,
    {_WHO.format("i")}, i.channel_id, {_WHERE}, i.model, i.language, i.questions, i.answered, i.last_result, i.reason,
    extract(epoch FROM i.replied_at - i.started_at)::double precision AS first_reply_seconds,
    i.handed_over_at, s.ended_at, i.followed_at,
    i.handed_over_at IS NOT NULL AS is_handed_over, s.is_finished, s.is_resolved,
    s.is_resolved AND s.is_old AS is_settled,
    s.is_resolved AND s.is_old AND s.was_followed AS is_reopened,
    s.is_resolved AND s.is_old AND NOT s.was_followed AS is_durable
FROM inquiries i
CROSS JOIN LATERAL (
    SELECT coalesce(i.closed_at, i.last_at) AS ended_at,
        i.closed_at IS NOT NULL OR i.followed_at IS NOT NULL OR i.last_at <= now() - interval '1 day' AS is_finished,
        (i.closed_at IS NOT NULL OR i.followed_at IS NOT NULL OR i.last_at <= now() - interval '1 day')
            AND i.last_result = 'answered' AND i.handed_over_at IS NULL AS is_resolved,
        coalesce(i.closed_at, i.last_at) <= now() - interval '7 days' AS is_old,
        coalesce(i.followed_at <= coalesce(i.closed_at, i.last_at) + interval '7 days', false) AS was_followed
) s {_NAMES.format("i", "i")}""",
    "analytics_feedback": f"""
SELECT f.tenant_id, f.id, {_MOMENT.format("f.created_at")}, f.message_id, f.conversation_id,
    {_WHO.format("f")}, f.channel_id, {_WHERE}, f.model, f.language, f.thumb, f.rating, f.comment
FROM feedback f {_NAMES.format("f", "f")}""",
    "analytics_calls": f"""
SELECT c.tenant_id, c.id, {_MOMENT.format("c.created_at")}, c.message_id, t.conversation_id,
    {_WHO.format("t")}, t.channel_id, {_WHERE}, c.purpose, c.provider, c.model, c.prompt_tokens, c.cached_tokens,
    c.completion_tokens, c.reasoning_tokens, c.cost_micros, c.currency, c.price_confidence AS confidence,
    c.error IS NOT NULL AS is_failed, c.latency_ms AS milliseconds
FROM model_calls c LEFT JOIN turns t ON t.tenant_id = c.tenant_id AND t.message_id = c.message_id
    LEFT JOIN assistants a ON a.tenant_id = t.tenant_id AND a.id = t.assistant_id
    LEFT JOIN channels ch ON ch.tenant_id = t.tenant_id AND ch.id = t.channel_id
    LEFT JOIN tenants z ON z.id = c.tenant_id""",
    "analytics_segments": f"""
SELECT o.tenant_id, o.id, {_MOMENT.format("o.finished_at")}, o.message_id, o.conversation_id,
    v.assistant_id, a.name AS assistant, t.assistant_id || '/' || t.version AS assistant_version,
    o.channel_id, p.name AS channel, p.type AS channel_type, t.model, t.language, o.segments
FROM outbox o JOIN channels p ON p.tenant_id = o.tenant_id AND p.id = o.channel_id AND p.type = 'sms'
    JOIN conversations v ON v.tenant_id = o.tenant_id AND v.id = o.conversation_id
    LEFT JOIN turns t ON t.tenant_id = o.tenant_id AND t.message_id = o.message_id
    LEFT JOIN assistants a ON a.tenant_id = v.tenant_id AND a.id = v.assistant_id
    LEFT JOIN tenants z ON z.id = o.tenant_id
WHERE o.state = 'sent'""",
}

_OLD_TURNS = """
INSERT INTO turns (tenant_id, message_id, at, asked_at, conversation_id, assistant_id, channel_id, version, model, mode,
    language, result, reason, milliseconds)
SELECT r.tenant_id, r.message_id, m.created_at,
    coalesce((SELECT min(q.created_at) FROM messages q WHERE q.tenant_id = m.tenant_id
        AND q.conversation_id = m.conversation_id AND q.answer_id = m.id), m.created_at),
    m.conversation_id, v.assistant_id, v.channel_id, (r.details -> 'assistant' ->> 'version')::integer,
    CASE WHEN m.metadata ->> 'mode' = 'generated' THEN (SELECT c.model FROM model_calls c
        WHERE c.tenant_id = r.tenant_id AND c.message_id = r.message_id AND c.purpose IN ('answer', 'regenerate')
        AND c.error IS NULL ORDER BY c.id DESC LIMIT 1) END,
    coalesce(m.metadata ->> 'mode', 'none'), coalesce(r.details -> 'turn' ->> 'language', 'und'),
    CASE WHEN m.metadata ->> 'mode' = 'canned' AND NOT coalesce(m.metadata -> 'notes' @> '["quota"]', false)
            THEN CASE r.outcome WHEN 'answered' THEN 'courtesy' ELSE 'asked_for_person' END
        WHEN r.outcome IN ('answered', 'handed_over') THEN r.outcome
        WHEN r.details -> 'generation' ->> 'decision' = 'clarify' THEN 'clarified' ELSE 'abstained' END,
    r.details -> 'hand_over' ->> 'reason', coalesce((r.timings ->> 'total')::double precision, 0)
FROM receipts r JOIN messages m ON m.tenant_id = r.tenant_id AND m.id = r.message_id
    JOIN conversations v ON v.tenant_id = m.tenant_id AND v.id = m.conversation_id
"""
# An inquiry has the id of its first turn: it sorts by time as all ids do.
_OLD_INQUIRIES = """
WITH said AS (
    SELECT t.*, lag(at) OVER w AS before, (SELECT max(s.created_at) FROM messages s WHERE s.tenant_id = t.tenant_id
        AND s.conversation_id = t.conversation_id AND s.sender_kind = 'system' AND s.metadata ->> 'event' = 'closed'
        AND s.created_at <= t.asked_at) AS closed
    FROM turns t WHERE result <> 'courtesy' WINDOW w AS (PARTITION BY tenant_id, conversation_id ORDER BY message_id)
), numbered AS (
    SELECT said.*, count(*) FILTER (WHERE before IS NULL OR asked_at - before > interval '1 day' OR closed >= before)
        OVER (PARTITION BY tenant_id, conversation_id ORDER BY message_id) AS number FROM said
), together AS (
    SELECT tenant_id, conversation_id, number, (array_agg(message_id ORDER BY message_id))[1] AS id,
        min(asked_at) AS started_at, min(at) AS replied_at, max(at) AS last_at,
        count(*) FILTER (WHERE result <> 'asked_for_person') AS questions,
        count(*) FILTER (WHERE result = 'answered') AS answered,
        (array_agg(result ORDER BY message_id DESC))[1] AS last_result,
        (array_agg(version ORDER BY message_id DESC))[1] AS version,
        (array_agg(model ORDER BY message_id DESC))[1] AS model,
        (array_agg(language ORDER BY message_id DESC))[1] AS language,
        (array_agg(assistant_id))[1] AS assistant_id, (array_agg(channel_id))[1] AS channel_id
    FROM numbered GROUP BY tenant_id, conversation_id, number
), followed AS (
    SELECT together.*, lead(started_at) OVER (PARTITION BY tenant_id, conversation_id ORDER BY number) AS followed_at
    FROM together
)
INSERT INTO inquiries (tenant_id, id, conversation_id, assistant_id, channel_id, version, model, language, started_at,
    replied_at, last_at, questions, answered, last_result, handed_over_at, reason, closed_at, followed_at)
SELECT f.tenant_id, f.id, f.conversation_id, f.assistant_id, f.channel_id, f.version, f.model, f.language, f.started_at,
    f.replied_at, f.last_at, f.questions, f.answered, f.last_result, h.at, h.reason, c.at, f.followed_at
FROM followed f
LEFT JOIN LATERAL (
    SELECT s.created_at AS at, coalesce(s.metadata ->> 'reason', 'operator') AS reason FROM messages s
    WHERE s.tenant_id = f.tenant_id AND s.conversation_id = f.conversation_id AND s.sender_kind = 'system'
        AND s.metadata ->> 'event' IN ('handed_over', 'taken_over') AND s.created_at >= f.replied_at
        AND s.created_at <= f.last_at + interval '1 day' AND s.created_at < coalesce(f.followed_at, 'infinity')
    ORDER BY s.id LIMIT 1
) h ON true
LEFT JOIN LATERAL (
    SELECT s.created_at AS at FROM messages s WHERE s.tenant_id = f.tenant_id AND s.conversation_id = f.conversation_id
        AND s.sender_kind = 'system' AND s.metadata ->> 'event' = 'closed' AND s.created_at >= f.last_at
        AND s.created_at < coalesce(f.followed_at, 'infinity') ORDER BY s.id LIMIT 1
) c ON true
"""
_OLD_LINKS = """
UPDATE turns t SET inquiry_id = (SELECT i.id FROM inquiries i WHERE i.tenant_id = t.tenant_id
    AND i.conversation_id = t.conversation_id AND i.id <= t.message_id ORDER BY i.id DESC LIMIT 1)
WHERE result <> 'courtesy'
"""


def upgrade() -> None:
    op.add_column("tenants", _column("timezone", server_default="UTC", comment="in which its days and hours are told"))
    op.execute("GRANT UPDATE (timezone) ON tenants TO asissto_app")
    op.create_index(
        "ix_outbox_sent",
        "outbox",
        ["tenant_id", "channel_id", "finished_at"],
        postgresql_where=sa.text("state = 'sent'"),
    )
    _create_turns()
    _create_inquiries()
    _create_feedback()
    _create_reports()
    for table, granted in GRANTS.items():
        _isolate(table, granted)
    _take_up_what_was_said()
    for view, query in VIEWS.items():
        op.execute(f"CREATE VIEW {view} WITH (security_invoker = true) AS {query}")
        op.execute(f"GRANT SELECT ON {view} TO asissto_app, asissto_sys")


def downgrade() -> None:
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")
    for table in reversed(GRANTS):
        op.drop_table(table)
    op.drop_index("ix_outbox_sent", "outbox")
    op.drop_column("tenants", "timezone")


def _take_up_what_was_said() -> None:
    """As the role of the system: the owner sees no row of a tenant."""
    op.execute("GRANT UPDATE ON turns TO asissto_sys")
    op.execute("SET LOCAL ROLE asissto_sys")
    for statement in (_OLD_TURNS, _OLD_INQUIRIES, _OLD_LINKS):
        op.execute(statement)
    op.execute("RESET ROLE")
    op.execute("REVOKE UPDATE ON turns FROM asissto_sys")


def _create_turns() -> None:
    op.create_table(
        "turns",
        *_key("message_id"),
        _moment("at", comment="when it was answered"),
        _moment("asked_at", comment="when the first of the messages came that it answers"),
        _column("conversation_id", sa.Uuid()),
        _column("inquiry_id", sa.Uuid(), nullable=True),
        _column("assistant_id", sa.Uuid()),
        _column("channel_id", sa.Uuid()),
        _column("version", sa.Integer(), nullable=True, comment="of the assistant"),
        _column("model", nullable=True, comment="that wrote the answer; empty: none did"),
        _column("mode"),
        _column("language"),
        _column("result", comment="answered, clarified, abstained, handed_over, asked_for_person or courtesy"),
        _column("reason", nullable=True, comment="a HandOverReason, where a person was called or offered"),
        _column("milliseconds", sa.Float(), comment="that the answer took to make"),
        _within("turns", "message_id", "messages"),
        sa.PrimaryKeyConstraint("tenant_id", "message_id", name=op.f("pk_turns")),
    )
    op.create_index("ix_turns_at", "turns", ["tenant_id", "at"])


def _create_inquiries() -> None:
    op.create_table(
        "inquiries",
        *_key("id"),
        _column("conversation_id", sa.Uuid()),
        _column("assistant_id", sa.Uuid()),
        _column("channel_id", sa.Uuid()),
        _column("version", sa.Integer(), nullable=True, comment="of the assistant, at the last question"),
        _column("model", nullable=True, comment="that wrote the last answer"),
        _column("language", nullable=True),
        _moment("started_at"),
        _moment("replied_at", nullable=True, comment="when the first reply was stored"),
        _moment("last_at", comment="when the last question was answered"),
        _column("questions", sa.Integer()),
        _column("answered", sa.Integer()),
        _column("last_result"),
        _moment("handed_over_at", nullable=True),
        _column("reason", nullable=True, comment="of the hand-over; operator: a person took it unasked"),
        _moment("closed_at", nullable=True),
        _moment("followed_at", nullable=True, comment="when the next inquiry of the conversation began"),
        _tenant("inquiries"),
        _within("inquiries", "conversation_id", "conversations"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_inquiries")),
    )
    op.create_index("ix_inquiries_conversation", "inquiries", ["tenant_id", "conversation_id", "id"])
    op.create_index("ix_inquiries_at", "inquiries", ["tenant_id", "started_at"])


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        *_key("id"),
        _column("message_id", sa.Uuid()),
        _column("conversation_id", sa.Uuid()),
        _column("assistant_id", sa.Uuid()),
        _column("channel_id", sa.Uuid()),
        _column("version", sa.Integer(), nullable=True),
        _column("model", nullable=True),
        _column("language", nullable=True),
        _column("thumb", sa.Integer(), nullable=True),
        _column("rating", sa.Integer(), nullable=True),
        _column("comment", server_default=""),
        _moment("created_at", server_default=sa.text("now()")),
        _moment("updated_at", server_default=sa.text("now()")),
        _tenant("feedback"),
        _within("feedback", "message_id", "messages"),
        _within("feedback", "conversation_id", "conversations"),
        sa.CheckConstraint(
            "thumb IN (-1, 1) AND rating IS NULL OR thumb IS NULL AND rating BETWEEN 1 AND 5",
            name=op.f("ck_feedback_opinion"),
        ),
        sa.UniqueConstraint("tenant_id", "message_id", name=op.f("uq_feedback_tenant_id_message_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_feedback")),
    )
    op.create_index("ix_feedback_at", "feedback", ["tenant_id", "created_at"])


def _create_reports() -> None:
    op.create_table(
        "reports",
        *_key("id"),
        _column("user_id", sa.Uuid()),
        _column("kind", comment="digest or csv"),
        _column("view", nullable=True, comment="of a csv"),
        _column("every", comment="day, week or month"),
        _column("hour", sa.Integer(), comment="in the time zone of the workspace"),
        _column("language"),
        _column("sliced", postgresql.JSONB(), comment="what it is about: an assistant, a channel and so on"),
        _moment("next_at"),
        _moment("created_at", server_default=sa.text("now()")),
        _tenant("reports"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_reports_user_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["memberships.tenant_id", "memberships.user_id"],
            name=op.f("fk_reports_tenant_id_user_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "user_id",
            "kind",
            "view",
            name=op.f("uq_reports_tenant_id_user_id_kind_view"),
            postgresql_nulls_not_distinct=True,
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_reports")),
    )
    op.create_index("ix_reports_due", "reports", ["next_at"])


def _key(name: str) -> list[sa.Column[Any]]:
    return [_column("tenant_id", sa.Uuid()), _column(name, sa.Uuid())]


def _tenant(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_tenant_id")
    return sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=name, ondelete="CASCADE")


def _within(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{target}.tenant_id", f"{target}.id"],
        name=op.f(f"fk_{table}_tenant_id_{column}"),
        ondelete="CASCADE",
    )


def _column(name: str, kind: Any = None, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text() if kind is None else kind, nullable=nullable, **more)


def _moment(name: str, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), nullable=nullable, **more)


def _isolate(table: str, granted: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {granted} ON {table} TO asissto_app, asissto_sys")
