"""Roles that own nothing, and row-level security that is forced on every table with a tenant."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TENANT_TABLES = (
    "assistant_versions",
    "assistants",
    "audit_log",
    "channels",
    "chunk_embeddings",
    "chunk_lexemes",
    "chunks",
    "citations",
    "collections",
    "contacts",
    "conversations",
    "document_versions",
    "documents",
    "jobs",
    "knowledge_bases",
    "lexeme_counts",
    "memberships",
    "messages",
    "receipts",
)
SYSTEM_TABLES = ("one_time_links", "refresh_tokens")
APPEND_ONLY = ("audit_log",)
OWN = "nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    for role in ("asissto_app", "asissto_sys"):
        op.execute(
            f"DO $$ BEGIN CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        op.execute(f"GRANT {role} TO CURRENT_USER")
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    op.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    for table in TENANT_TABLES:
        isolate(table, f"tenant_id = {OWN}")
        writes = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {writes} ON {table} TO asissto_app, asissto_sys")
    for table in SYSTEM_TABLES:
        isolate(table, "false")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_sys")
    isolate("tenants", f"id = {OWN}")
    op.execute("GRANT SELECT, UPDATE (name, language) ON tenants TO asissto_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON tenants TO asissto_sys")
    # A tenant sees the people who are its members, and nobody else.
    isolate("users", f"EXISTS (SELECT FROM memberships m WHERE m.user_id = users.id AND m.tenant_id = {OWN})")
    op.execute("GRANT SELECT, UPDATE (name, phone, language) ON users TO asissto_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON users TO asissto_sys")
    op.execute("GRANT SELECT, INSERT ON embedding_spaces TO asissto_app, asissto_sys")
    op.execute("GRANT SELECT ON alembic_version TO asissto_sys")


def isolate(table: str, condition: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({condition}) WITH CHECK ({condition})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")


def downgrade() -> None:
    for table in (*TENANT_TABLES, *SYSTEM_TABLES, "tenants", "users"):
        op.execute(f"DROP POLICY own_tenant ON {table}")
        op.execute(f"DROP POLICY whole_platform ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"REVOKE ALL ON {table} FROM asissto_app, asissto_sys")
