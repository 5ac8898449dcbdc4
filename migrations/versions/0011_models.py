"""Model providers of a tenant, prices of its own, and the calls that were made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = ("model_providers", "model_prices", "model_calls")
OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    op.create_table(
        "model_providers",
        *keys("model_providers"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("api_key", sa.LargeBinary(), nullable=True),
        sa.Column(
            "headers",
            postgresql.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="sealed value (base64) by header name",
        ),
        sa.Column("first_token_seconds", sa.Integer(), server_default="15", nullable=False),
        sa.Column("answer_seconds", sa.Integer(), server_default="45", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        at("created_at"),
        at("updated_at"),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_model_providers_tenant_id_name")),
    )
    op.create_table(
        "model_prices",
        *keys("model_prices"),
        sa.Column("provider_id", sa.Uuid(), nullable=True, comment="empty: the endpoint of the server's settings"),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("input_micros", sa.BigInteger(), nullable=False),
        sa.Column("cached_micros", sa.BigInteger(), nullable=False),
        sa.Column("output_micros", sa.BigInteger(), nullable=False),
        at("created_at"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "provider_id"],
            ["model_providers.tenant_id", "model_providers.id"],
            name=op.f("fk_model_prices_tenant_id_provider_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_model_prices_model", "model_prices", ["tenant_id", "model"])
    op.create_table(
        "model_calls",
        *keys("model_calls"),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("provider_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column(
            "cost_micros",
            sa.BigInteger(),
            nullable=True,
            comment="millionths of `currency`; empty: the price is not known",
        ),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("price", postgresql.JSONB(), nullable=True),
        sa.Column("price_confidence", sa.Text(), nullable=False, comment="exact, estimated or unknown"),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("first_token_ms", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        at("created_at"),
    )
    op.create_index("ix_model_calls_created", "model_calls", ["tenant_id", "created_at"])
    op.create_index("ix_model_calls_message", "model_calls", ["tenant_id", "message_id"])
    for table in TABLES:
        isolate(table)


def keys(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{table}")),
    ]


def at(name: str) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def isolate(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_app, asissto_sys")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
