"""Question/answer pairs, audiences of documents, and documents as a filter of search."""

from types import ModuleType

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SIGNATURE = "search_passages(uuid, text, uuid[], uuid[], text[], text[], text[], float8[], smallint, halfvec, jsonb)"

# As in 0003, with documents as a filter. The best scores of all passages stay the measure, so that a passage has the
# same score with a filter as without; `allowed` is never read where nothing is filtered. The document stands in both
# indexes: allowed passages by way of `chunks` cost 3 ms more where few are allowed and 5 where nearly all are.
SEARCH = """
CREATE FUNCTION search_passages(
    wanted_tenant uuid,
    prefix text,                -- stands before the tenant's lexemes in the index
    wanted_collections uuid[],  -- NULL: all
    wanted_documents uuid[],    -- NULL: all
    audience text[],            -- who asks: a document with an audience is found by those alone
    terms text[],               -- distinct lexemes of the question
    near_prefixes text[],       -- what kin and misspellings of each begin with; NULL: it has none
    term_weights float8[],      -- of each term
    space smallint,             -- NULL: no dense candidates
    question halfvec,
    rank jsonb                  -- the constants of asissto.retrieval.ranking, and how many passages are wanted
) RETURNS TABLE (
    chunk_id uuid, document_id uuid, version_id uuid, title text, heading_path text[], page int, kind text,
    language text, passage text, start_offset int, end_offset int,
    lexical float8, dense float8, fused float8, term_chunks int[], all_chunks int
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_material = off AS $function$
#variable_conflict use_column
DECLARE
    total int;
    average float8;
    filtered boolean := wanted_documents IS NOT NULL OR EXISTS (
        SELECT FROM documents d WHERE d.tenant_id = wanted_tenant AND d.audience <> '{}');
    -- Read once: looking into the JSON for each row took half of the time.
    bm25_k1 float8 := (rank->>'k1')::float8;
    bm25_b float8 := (rank->>'b')::float8;
    dense_weight float8 := (rank->>'dense_weight')::float8;
    near_weight float8 := (rank->>'near_weight')::float8;
    near_enough float8 := (rank->>'near_enough')::float8;
    most_near int := (rank->>'most_near')::int;
    most_matches int := (rank->>'most_matches')::int;
    leg_size int := (rank->>'leg_size')::int;
    wanted int := (rank->>'wanted')::int;
BEGIN
    IF wanted_tenant IS DISTINCT FROM nullif(current_setting('app.tenant_id', true), '')::uuid THEN
        RAISE EXCEPTION 'search outside of the transaction''s tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT k.chunks, greatest(k.lexemes::float8 / greatest(k.chunks, 1), 1) INTO total, average
    FROM knowledge_bases k WHERE k.tenant_id = wanted_tenant;

    RETURN QUERY
    WITH allowed AS MATERIALIZED (
        SELECT d.id FROM documents d
        WHERE d.tenant_id = wanted_tenant AND (d.audience = '{}' OR d.audience && search_passages.audience)
          AND (wanted_documents IS NULL OR d.id IN (SELECT unnest(wanted_documents)))
    ), asked AS MATERIALIZED (
        SELECT t.*, ARRAY(SELECT DISTINCT substr('  ' || t.lexeme || ' ', i, 3) FROM generate_series(1, length(t.lexeme) + 1) i) AS grams
        FROM unnest(terms, near_prefixes, term_weights) WITH ORDINALITY t(lexeme, near, weight, at)
    ), spelled AS (
        -- Each term itself, and the nearest lexemes of the tenant's vocabulary by trigrams.
        SELECT a.at, a.weight, l.lexeme, l.chunks AS n FROM asked a
        JOIN lexeme_counts l ON l.tenant_id = wanted_tenant AND l.lexeme = a.lexeme
        UNION ALL
        SELECT a.at, a.weight * near_weight * kin.likeness, kin.lexeme, kin.n FROM asked a
        CROSS JOIN LATERAL (
            SELECT v.lexeme, v.n, v.shared / (cardinality(a.grams) + length(v.lexeme) + 1 - v.shared) AS likeness FROM (
                SELECT l.lexeme, l.chunks AS n, (
                    SELECT count(*) FROM unnest(a.grams) gram WHERE strpos('  ' || l.lexeme || ' ', gram) > 0)::float8 AS shared
                FROM lexeme_counts l
                WHERE l.tenant_id = wanted_tenant AND l.lexeme >= a.near AND l.lexeme < a.near || chr(1114111)
                  AND l.lexeme <> a.lexeme AND length(l.lexeme) <= 2 * length(a.lexeme)
            ) v WHERE v.shared / (cardinality(a.grams) + length(v.lexeme) + 1 - v.shared) >= near_enough
            ORDER BY likeness DESC, v.lexeme LIMIT most_near
        ) kin WHERE a.near IS NOT NULL
    ), weighed AS MATERIALIZED (
        -- IDF as in BM25. A term that stands in a large part of a large knowledge base weighs next to nothing but
        -- would make every passage a candidate: the rarest terms come first, until they fetch enough.
        SELECT w.at, w.weight, w.query FROM (
            SELECT s.at, s.weight * ln(1 + (greatest(total, s.n) - s.n + 0.5) / (s.n + 0.5)) AS weight,
                   ('''' || replace(replace(prefix || s.lexeme, '\\', '\\\\'), '''', '''''') || '''')::tsquery AS query,
                   sum(s.n) OVER (ORDER BY s.n, s.at, s.lexeme) - s.n AS fetched
            FROM spelled s
        ) w WHERE w.fetched < most_matches
    ), hits AS (
        -- BM25; the number of occurrences is read back from ts_rank, which sums 1/j² over them: tf = 0.6079/(1-r) - 0.5.
        SELECT x.chunk_id, w.at, bool_and(x.is_allowed) AS is_allowed, max(w.weight * (1 - x.half / (0.6079 / (1 - x.r) - 0.5 + x.half))) AS part
        FROM weighed w CROSS JOIN LATERAL (
            SELECT l.chunk_id, NOT filtered OR l.document_id IN (SELECT a.id FROM allowed a) AS is_allowed,
                   ts_rank('{1,1,1,1}', l.lexemes, w.query) AS r,
                   bm25_k1 * (1 - bm25_b * (1 - l.length / average)) AS half
            FROM chunk_lexemes l
            -- IS TRUE keeps the planner from reading the whole tenant by its key: the lexemes are the tenant's own anyway.
            WHERE l.lexemes @@ w.query AND (l.tenant_id = wanted_tenant) IS TRUE
              AND (wanted_collections IS NULL OR l.collection_id = ANY (wanted_collections))
        ) x GROUP BY 1, 2
    ), words AS MATERIALIZED (
        SELECT h.chunk_id, bool_and(h.is_allowed) AS is_allowed, sum(h.part) * (bm25_k1 + 1) AS score FROM hits h GROUP BY 1
    ), vectors AS MATERIALIZED (
        SELECT e.chunk_id, 1 - (e.embedding <=> question) AS score FROM chunk_embeddings e
        WHERE e.tenant_id = wanted_tenant AND e.space_id = space
          AND (wanted_collections IS NULL OR e.collection_id = ANY (wanted_collections))
          AND (NOT filtered OR e.document_id IN (SELECT a.id FROM allowed a))
        ORDER BY e.embedding <=> question LIMIT leg_size
    ), best AS MATERIALIZED (
        SELECT (SELECT max(w.score) FROM words w) AS lexical, CASE WHEN filtered THEN (
            SELECT 1 - min(e.embedding <=> question) FROM chunk_embeddings e
            WHERE e.tenant_id = wanted_tenant AND e.space_id = space
              AND (wanted_collections IS NULL OR e.collection_id = ANY (wanted_collections))
        ) ELSE (SELECT max(v.score) FROM vectors v) END AS dense
    ), candidates AS (
        (SELECT w.chunk_id FROM words w WHERE w.is_allowed ORDER BY w.score DESC, w.chunk_id LIMIT leg_size)
        UNION SELECT v.chunk_id FROM vectors v
    ), scored AS (
        SELECT c.chunk_id, coalesce(w.score, 0) AS lexical,
               CASE WHEN space IS NOT NULL THEN coalesce(v.score, (
                   SELECT 1 - (e.embedding <=> question) FROM chunk_embeddings e
                   WHERE e.tenant_id = wanted_tenant AND e.space_id = space AND e.chunk_id = c.chunk_id)) END AS dense
        FROM candidates c LEFT JOIN words w USING (chunk_id) LEFT JOIN vectors v USING (chunk_id)
    ), halves AS (
        SELECT s.*, coalesce(s.lexical / nullif(b.lexical, 0), 0) AS lexical_half,
               coalesce(greatest(s.dense, 0) / nullif(greatest(b.dense, 0), 0), 0) AS dense_half
        FROM scored s CROSS JOIN best b
    ), ranked AS (
        -- A passage without a vector, in a language that the embedder does not know, is judged by its words alone.
        SELECT s.*, s.lexical_half + dense_weight * CASE WHEN s.dense IS NULL AND space IS NOT NULL
                                                         THEN s.lexical_half ELSE s.dense_half END AS fused
        FROM halves s ORDER BY fused DESC, s.chunk_id LIMIT wanted
    )
    SELECT c.id, c.document_id, c.version_id, d.title, c.heading_path, c.page, c.kind, c.language, c.text,
           c.start_offset, c.end_offset, r.lexical, r.dense, r.fused,
           (SELECT array_agg(coalesce(l.chunks, 0) ORDER BY a.at) FROM asked a
            LEFT JOIN lexeme_counts l ON l.tenant_id = wanted_tenant AND l.lexeme = a.lexeme),
           total
    FROM ranked r
    JOIN chunks c ON c.tenant_id = wanted_tenant AND c.id = r.chunk_id
    JOIN documents d ON d.tenant_id = wanted_tenant AND d.id = c.document_id
    ORDER BY r.fused DESC, r.chunk_id;
END
$function$
"""


def upgrade() -> None:
    op.add_column(
        "documents", sa.Column("kind", sa.Text(), server_default="file", nullable=False, comment="file or pair")
    )
    empty = sa.text("'{}'")
    op.add_column(
        "documents",
        sa.Column(
            "audience",
            postgresql.ARRAY(sa.Text()),
            server_default=empty,
            nullable=False,
            comment="who may be answered from it; empty: everybody",
        ),
    )
    op.create_index("ix_documents_audience", "documents", ["tenant_id"], postgresql_where=sa.text("audience <> '{}'"))
    for table in ("chunk_lexemes", "chunk_embeddings"):
        op.add_column(table, sa.Column("document_id", sa.Uuid(), nullable=True))
        same = "c.tenant_id = x.tenant_id AND c.id = x.chunk_id"
        op.execute(f"UPDATE {table} x SET document_id = c.document_id FROM chunks c WHERE {same}")
        op.alter_column(table, "document_id", nullable=False)
    _create_pairs()
    old, isolation = _revision("0003"), _revision("0002")
    op.execute(f"DROP FUNCTION {old.SIGNATURE}")
    _install(SEARCH, SIGNATURE)
    for table in ("pairs", "pair_keys"):
        isolation.isolate(table, f"tenant_id = {isolation.OWN}")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_app, asissto_sys")


def downgrade() -> None:
    old = _revision("0003")
    op.execute(f"DROP FUNCTION {SIGNATURE}")
    _install(old.SEARCH, old.SIGNATURE)
    op.drop_table("pair_keys")
    op.drop_table("pairs")
    for table in ("chunk_embeddings", "chunk_lexemes"):
        op.drop_column(table, "document_id")
    op.drop_index("ix_documents_audience", "documents")
    op.drop_column("documents", "audience")
    op.drop_column("documents", "kind")


def _create_pairs() -> None:
    tenant, document = ["tenants.id"], ["documents.tenant_id", "documents.id"]
    op.create_table(
        "pairs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False, comment="carries the pair into the index"),
        sa.Column("source_document_id", sa.Uuid(), nullable=True, comment="what the pair was made from, if anything"),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("variants", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], tenant, name=op.f("fk_pairs_tenant_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection_id"],
            ["collections.tenant_id", "collections.id"],
            name=op.f("fk_pairs_tenant_id_collection_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "document_id"], document, name=op.f("fk_pairs_tenant_id_document_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "source_document_id"],
            document,
            name=op.f("fk_pairs_tenant_id_source_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_pairs")),
        sa.UniqueConstraint("tenant_id", "document_id", name=op.f("uq_pairs_tenant_id_document_id")),
    )
    op.create_index("ix_pairs_source", "pairs", ["tenant_id", "source_document_id"])
    op.create_table(
        "pair_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("key", postgresql.BYTEA(), nullable=False, comment="SHA-256 of a phrasing, folded"),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("pair_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], tenant, name=op.f("fk_pair_keys_tenant_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "pair_id"],
            ["pairs.tenant_id", "pairs.id"],
            name=op.f("fk_pair_keys_tenant_id_pair_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "key", "collection_id", name=op.f("pk_pair_keys")),
    )
    op.create_index("ix_pair_keys_pair", "pair_keys", ["tenant_id", "pair_id"])


def _revision(number: str) -> ModuleType:
    """Another migration, which cannot be imported by its name."""
    found = context.script.get_revision(number)
    assert found is not None
    return found.module


def _install(statement: str, signature: str) -> None:
    op.execute(statement.replace(":", "\\:"))
    op.execute("GRANT CREATE ON SCHEMA public TO asissto_sys")
    op.execute(f"ALTER FUNCTION {signature} OWNER TO asissto_sys")
    op.execute("REVOKE CREATE ON SCHEMA public FROM asissto_sys")
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO asissto_app")
