"""Words in the wrong layout or script, misspelt beginnings, and what lies around the passages that are found."""

from types import ModuleType

from alembic import context, op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SIGNATURE = (
    "search_passages(uuid, text, uuid[], uuid[], text[], text[], int[], text[], text[], float8[], "
    "smallint, halfvec, jsonb)"
)

# As in 0007; what is new stands in `given`, `asked`, `read` and `placed`.
SEARCH = """
CREATE FUNCTION search_passages(
    wanted_tenant uuid,
    prefix text,                -- stands before the tenant's lexemes in the index
    wanted_collections uuid[],  -- NULL: all
    wanted_documents uuid[],    -- NULL: all
    audience text[],            -- who asks: a document with an audience is found by those alone
    terms text[],               -- distinct lexemes of the question, then what they may have been meant for
    stands_for int[],           -- the number of the lexeme that such a one stands for where no passage has that; NULL: it is the question's own
    near_prefixes text[],       -- what kin and misspellings of each begin with; NULL: it has none
    far_endings text[],         -- what those end with that are misspelt at their beginning, from behind; NULL: as above
    term_weights float8[],      -- of each term
    space smallint,             -- NULL: no dense candidates
    question halfvec,
    rank jsonb                  -- the constants of asissto.retrieval.ranking, and how many passages are wanted
) RETURNS TABLE (
    chunk_id uuid, document_id uuid, version_id uuid, title text, heading_path text[], page int, kind text,
    language text, passage text, start_offset int, end_offset int,
    section_start int, section_end int, tokens int, edited bool, following text, section text, section_parts jsonb,
    lexical float8, dense float8, fused float8, term_chunks int[], read_as text[], read_chunks int[], all_chunks int
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
    far_enough float8 := (rank->>'far_enough')::float8;
    coverage float8 := (rank->>'coverage')::float8;
    kept int := (rank->>'kept')::int;
    short_tokens int := (rank->>'short_tokens')::int;
    most_section_characters int := (rank->>'most_section_characters')::int;
    most_text_bytes int := (rank->>'most_text_bytes')::int;
    most_near int := (rank->>'most_near')::int;
    most_matches int := (rank->>'most_matches')::int;
    leg_size int := (rank->>'leg_size')::int;
    wanted int := (rank->>'wanted')::int;
    own_terms float8 := greatest(cardinality(array_positions(stands_for, NULL)), 1);
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
    ), given AS MATERIALIZED (
        SELECT coalesce(t.stands_for, t.number)::int AS at, t.stands_for IS NULL AS own, t.lexeme, t.near, t.far, t.weight,
               (SELECT l.chunks FROM lexeme_counts l WHERE l.tenant_id = wanted_tenant AND l.lexeme = t.lexeme) AS n
        FROM unnest(terms, stands_for, near_prefixes, far_endings, term_weights)
            WITH ORDINALITY t(lexeme, stands_for, near, far, weight, number)
    ), asked AS MATERIALIZED (
        -- What a lexeme may have been meant for counts where no passage has the lexeme itself; where that is nowhere
        -- either, its beginning may be misspelt.
        SELECT g.at, g.lexeme, g.near, g.weight, g.n,
               CASE WHEN g.own AND g.n IS NULL AND NOT EXISTS (
                   SELECT FROM given o WHERE o.at = g.at AND o.n IS NOT NULL) THEN g.far END AS far,
               ARRAY(SELECT DISTINCT substr('  ' || g.lexeme || ' ', i, 3) FROM generate_series(1, length(g.lexeme) + 1) i) AS grams
        FROM given g
        WHERE g.own OR EXISTS (SELECT FROM given o WHERE o.own AND o.at = g.at AND o.n IS NULL)
    ), spelled AS MATERIALIZED (
        -- Each term itself, and the nearest lexemes of the tenant's vocabulary by trigrams.
        SELECT a.at, a.weight, a.lexeme, a.n, true AS exact FROM asked a WHERE a.n IS NOT NULL
        UNION ALL
        SELECT a.at, a.weight * near_weight * kin.likeness, kin.lexeme, kin.n, false FROM asked a
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
        UNION ALL
        SELECT a.at, a.weight * near_weight * kin.likeness, kin.lexeme, kin.n, false FROM asked a
        CROSS JOIN LATERAL (
            SELECT v.lexeme, v.n, v.shared / (cardinality(a.grams) + length(v.lexeme) + 1 - v.shared) AS likeness FROM (
                SELECT l.lexeme, l.chunks AS n, (
                    SELECT count(*) FROM unnest(a.grams) gram WHERE strpos('  ' || l.lexeme || ' ', gram) > 0)::float8 AS shared
                FROM lexeme_counts l
                WHERE l.tenant_id = wanted_tenant
                  AND reverse(l.lexeme) COLLATE "C" >= a.far AND reverse(l.lexeme) COLLATE "C" < a.far || chr(1114111)
                  AND abs(length(l.lexeme) - length(a.lexeme)) <= greatest(1, length(a.lexeme) / 4)
            ) v WHERE v.shared / (cardinality(a.grams) + length(v.lexeme) + 1 - v.shared) >= far_enough
            ORDER BY likeness DESC, v.lexeme LIMIT most_near
        ) kin WHERE a.far IS NOT NULL
    ), read AS (
        -- For each term that no passage has: the lexeme that stands for it best.
        SELECT DISTINCT ON (s.at) s.at, s.lexeme, s.n FROM spelled s
        WHERE EXISTS (SELECT FROM given g WHERE g.own AND g.at = s.at AND g.n IS NULL)
        ORDER BY s.at, s.exact DESC, s.weight DESC, s.lexeme
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
        SELECT h.chunk_id, bool_and(h.is_allowed) AS is_allowed,
               sum(h.part) * (bm25_k1 + 1) * power(count(*) / own_terms, coverage) AS score FROM hits h GROUP BY 1
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
    ), placed AS MATERIALIZED (
        SELECT c.*, r.lexical, r.dense, r.fused, row_number() OVER (ORDER BY r.fused DESC, r.chunk_id) AS place
        FROM ranked r JOIN chunks c ON c.tenant_id = wanted_tenant AND c.id = r.chunk_id
    )
    SELECT p.id, p.document_id, p.version_id, d.title, p.heading_path, p.page, p.kind, p.language, p.text,
           p.start_offset, p.end_offset, p.section_start, p.section_end, p.tokens, p.source_start IS NOT NULL,
           -- What lies between two found passages that follow each other; texts that take long to unpack are left alone.
           CASE WHEN p.place <= kept AND EXISTS (
               SELECT FROM placed n WHERE n.version_id = p.version_id AND n.place <= kept
                 AND n.start_offset > p.end_offset AND n.start_offset <= p.end_offset + 8
           ) THEN (SELECT substr(v.text, p.end_offset + 1, 8) FROM document_versions v
                   WHERE v.tenant_id = wanted_tenant AND v.id = p.version_id AND pg_column_size(v.text) <= most_text_bytes) END,
           around.section, around.parts,
           p.lexical, p.dense, p.fused,
           (SELECT array_agg(coalesce(g.n, 0) ORDER BY g.at) FROM given g WHERE g.own),
           (SELECT array_agg(r.lexeme ORDER BY g.at) FROM given g LEFT JOIN read r USING (at) WHERE g.own),
           (SELECT array_agg(r.n ORDER BY g.at) FROM given g LEFT JOIN read r USING (at) WHERE g.own),
           total
    FROM placed p
    JOIN documents d ON d.tenant_id = wanted_tenant AND d.id = p.document_id
    LEFT JOIN LATERAL (
        -- The section around a short passage, unless somebody has edited or switched off a part of it.
        SELECT (SELECT substr(v.text, p.section_start + 1, p.section_end - p.section_start) FROM document_versions v
                WHERE v.tenant_id = wanted_tenant AND v.id = p.version_id AND pg_column_size(v.text) <= most_text_bytes) AS section,
               jsonb_agg(jsonb_build_array(o.id, o.start_offset, o.end_offset, o.page) ORDER BY o.ord) AS parts
        FROM chunks o
        WHERE p.place <= kept AND p.tokens < short_tokens AND p.source_start IS NULL
          AND p.section_end - p.section_start BETWEEN p.end_offset - p.start_offset + 1 AND most_section_characters
          AND o.tenant_id = wanted_tenant AND o.version_id = p.version_id
          AND coalesce(o.source_start, o.start_offset) < p.section_end AND coalesce(o.source_end, o.end_offset) > p.section_start
        HAVING bool_and(o.enabled AND o.source_start IS NULL)
    ) around ON true
    ORDER BY p.place;
END
$function$
"""


def upgrade() -> None:
    op.execute('CREATE INDEX ix_lexeme_counts_ending ON lexeme_counts (tenant_id, (reverse(lexeme) COLLATE "C"))')
    op.execute(f"DROP FUNCTION {_revision('0007').SIGNATURE}")
    _install(SEARCH, SIGNATURE)


def downgrade() -> None:
    old = _revision("0007")
    op.execute(f"DROP FUNCTION {SIGNATURE}")
    _install(old.SEARCH, old.SIGNATURE)
    op.drop_index("ix_lexeme_counts_ending", "lexeme_counts")


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
