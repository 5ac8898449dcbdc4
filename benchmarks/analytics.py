"""How long figures take to read, out of a year of one tenant's messages, as the application reads them."""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from asissto.platform.database import Database
from asissto.platform.migrate import embedded_addresses, migrate
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.tables import new_id
from asissto.retrieval.figure_rows import TurnRow
from asissto.retrieval.listing_rows import page_of, rows_of
from asissto.retrieval.periods import Period
from asissto.retrieval.reckoning import Reading, breakdown, read_plainly, series, totals
from copies import server_folder

NOW = datetime.now(UTC)
# One inquiry of two questions out of four messages; a tenth of all is another tenant's, so that its policy works.
# Ids sort by time, as the product's do.
_LOG = r"""
SET session_replication_role = replica;
CREATE FUNCTION at_of(n bigint, of bigint) RETURNS timestamptz IMMUTABLE LANGUAGE sql
    AS $$ SELECT timestamptz '{now}' - interval '365 days' * (1 - n::double precision / of) $$;
CREATE FUNCTION id_of(kind int, n bigint, of bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$ SELECT
    (lpad(to_hex((extract(epoch FROM at_of(n, of)) * 1000)::bigint), 12, '0') || '7000' || lpad(to_hex(kind), 4, '8')
    || lpad(to_hex(n), 12, '0'))::uuid $$;
INSERT INTO assistants (tenant_id, id, name) SELECT '{tenant}', id_of(1, n, 5), 'a' || n FROM generate_series(1, 5) n;
INSERT INTO channels (tenant_id, id, name, type) SELECT '{tenant}', id_of(2, n, 4), 'c' || n,
    CASE n WHEN 4 THEN 'sms' ELSE 'web' END FROM generate_series(1, 4) n;
INSERT INTO conversations (tenant_id, id, channel_id, assistant_id) SELECT '{tenant}', id_of(3, n, {quarter}),
    id_of(2, n % 4 + 1, 4), id_of(1, n % 5 + 1, 5) FROM generate_series(1, {quarter}) n;
INSERT INTO messages (tenant_id, id, conversation_id, sender_kind, content, answer_id, created_at)
    SELECT '{tenant}', id_of(4, n, {messages}), id_of(3, (n + 3) / 4, {quarter}),
    CASE n % 2 WHEN 0 THEN 'assistant' ELSE 'contact' END, repeat('word ', 30),
    CASE n % 2 WHEN 1 THEN id_of(4, n + 1, {messages}) END, at_of(n, {messages}) FROM generate_series(1, {messages}) n;
INSERT INTO inquiries (tenant_id, id, conversation_id, assistant_id, channel_id, version, model, language, started_at,
    replied_at, last_at, questions, answered, last_result, handed_over_at, reason, closed_at, followed_at)
    SELECT '{tenant}', id_of(5, n, {quarter}), id_of(3, n, {quarter}), id_of(1, n % 5 + 1, 5), id_of(2, n % 4 + 1, 4),
    n % 7, CASE n % 3 WHEN 0 THEN NULL ELSE 'model-' || n % 3 END, 'ru', at_of(n, {quarter}),
    at_of(n, {quarter}) + interval '1 second' * (n % 30), at_of(n, {quarter}), 2, 1,
    CASE n % 4 WHEN 0 THEN 'abstained' ELSE 'answered' END, CASE n % 9 WHEN 0 THEN at_of(n, {quarter}) END,
    CASE n % 9 WHEN 0 THEN 'no_knowledge' END, NULL,
    CASE n % 6 WHEN 0 THEN at_of(n, {quarter}) + interval '3 days' END FROM generate_series(1, {quarter}) n;
INSERT INTO turns (tenant_id, message_id, at, asked_at, conversation_id, inquiry_id, assistant_id, channel_id, version,
    model, mode, language, result, reason, milliseconds)
    SELECT '{tenant}', id_of(4, n, {messages}), at_of(n, {messages}), at_of(n, {messages}),
    id_of(3, (n + 3) / 4, {quarter}), id_of(5, (n + 3) / 4, {quarter}), id_of(1, n % 5 + 1, 5), id_of(2, n % 4 + 1, 4),
    n % 7, CASE n % 3 WHEN 0 THEN NULL ELSE 'model-' || n % 3 END, 'generated', 'ru',
    (ARRAY['answered', 'answered', 'abstained', 'handed_over', 'courtesy'])[n / 2 % 5 + 1], NULL, n % 900
    FROM generate_series(2, {messages}, 2) n;
INSERT INTO feedback (tenant_id, id, message_id, conversation_id, assistant_id, channel_id, version, thumb, created_at)
    SELECT '{tenant}', id_of(6, n, {messages}), id_of(4, n, {messages}), id_of(3, (n + 3) / 4, {quarter}),
    id_of(1, n % 5 + 1, 5), id_of(2, n % 4 + 1, 4), n % 7, CASE n % 3 WHEN 0 THEN -1 ELSE 1 END, at_of(n, {messages})
    FROM generate_series(10, {messages}, 10) n;
INSERT INTO model_calls (tenant_id, id, message_id, purpose, provider, model, prompt_tokens, cached_tokens,
    completion_tokens, reasoning_tokens, estimated, cost_micros, currency, price, price_confidence, latency_ms,
    created_at)
    SELECT '{tenant}', id_of(7, n, {messages}), id_of(4, n, {messages}), 'answer', 'openai', 'model-' || n % 3, 3000, 0,
    200, 0, false, 400 + n % 100, 'USD', '{{"currency": "USD", "input_micros": 150000, "cached_micros": 75000,
    "output_micros": 600000, "source": "list"}}', 'exact', 900, at_of(n, {messages})
    FROM generate_series(2, {messages}, 2) n;
INSERT INTO outbox (tenant_id, id, channel_id, conversation_id, message_id, seq, part, content, key, state, segments,
    finished_at)
    SELECT '{tenant}', id_of(8, n, {messages}), id_of(2, n % 4 + 1, 4), id_of(3, (n + 3) / 4, {quarter}),
    id_of(4, n, {messages}), n % 4, 0, '{{"text": "yes"}}', 1, 'sent', 2, at_of(n, {messages})
    FROM generate_series(2, {messages}, 2) n;
DROP FUNCTION id_of; DROP FUNCTION at_of;
"""


@click.command(help=__doc__)
@click.option("--messages", default=[100_000, 1_000_000], show_default=True, multiple=True)
@click.option("--repeats", default=5, show_default=True)
def main(messages: tuple[int, ...], repeats: int) -> None:
    for count in messages:
        show(count, asyncio.run(_measure(count, repeats)))


async def _measure(messages: int, repeats: int) -> dict[str, float]:
    with server_folder() as folder, EmbeddedPostgres(folder / "data") as server:
        addresses = await embedded_addresses(server, "analytics")
        await migrate(addresses)
        database = Database(addresses, pool_size=1)
        tenants = [new_id(), new_id()]
        async with database.system() as session:
            for tenant_id in tenants:
                await session.execute(text("INSERT INTO tenants (id, name) VALUES (:id, 'year')"), {"id": tenant_id})
        connection = await asyncpg.connect(host=str(server.socket_dir), user="postgres", database="analytics")
        for tenant_id, count in zip(tenants, (messages, messages // 10), strict=True):
            await write(connection, tenant_id, count)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()
        found = {name: await median(database, tenants[0], do, repeats) for name, do in asked(tenants[0]).items()}
        await database.close()
    return found


async def write(connection: asyncpg.Connection, tenant_id: UUID, messages: int) -> None:
    """A year's log, without the checks of foreign keys."""
    numbers = {"tenant": tenant_id, "messages": messages, "quarter": messages // 4, "now": NOW.isoformat()}
    await connection.execute(_LOG.format(**numbers))


Do = Callable[[AsyncSession], Awaitable[object]]


def asked(tenant_id: UUID) -> dict[str, Do]:
    year = Reading(tenant_id=tenant_id, period=Period(NOW - timedelta(days=366), NOW + timedelta(hours=1)))
    month = Reading(tenant_id=tenant_id, period=Period(NOW - timedelta(days=30), NOW + timedelta(hours=1)))
    return {
        "all cards of 30 days": lambda session: totals(session, month),
        "all cards of the year": lambda session: totals(session, year),
        "questions by day, the year": lambda session: series(session, year, "questions", "day", None),
        "resolved share by assistant, the year": lambda session: breakdown(
            session, year, "resolved_share", "assistant", None
        ),
        "cost by model, the year": lambda session: breakdown(session, year, "cost", "model", "USD"),
        "cost by assistant, the year": lambda session: breakdown(session, year, "cost", "assistant", "USD"),
        "a page of answers": lambda session: page_of(session, TurnRow, rows_of(year, "turns", "answered"), 50, None),
    }


async def median(database: Database, tenant_id: UUID, do: Do, repeats: int) -> float:
    """Milliseconds."""
    times = []
    for _ in range(repeats):
        async with database.tenant(tenant_id) as session:
            begun = time.perf_counter()
            await read_plainly(session)
            await do(session)
            times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def show(messages: int, found: dict[str, float]) -> None:
    table = Table("read", "ms", title=f"{messages:,} messages of one tenant, a year")
    for name, milliseconds in found.items():
        table.add_row(name, f"{milliseconds:.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
