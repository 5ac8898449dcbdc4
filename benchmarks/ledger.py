"""What becomes of the books while writers move money at random, all at once and often the same thing twice.

The writers are those of the tests: `tests/money_storm.py`.
"""

import asyncio
import sys
from pathlib import Path

import asyncpg
import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from asissto.platform.database import Database
from asissto.platform.migrate import embedded_addresses, migrate
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.tables import new_id
from copies import server_folder
from money_storm import RIGHT, Storm, audit, storm


@click.command(help=__doc__)
@click.option("--operations", default=10_000, show_default=True)
@click.option("--writers", default=20, show_default=True, help="At the same time.")
@click.option("--tenants", default=4, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(operations: int, writers: int, tenants: int, seed: int) -> None:
    done, wrong = asyncio.run(_measure(operations, writers, tenants, seed))
    show(done, operations, writers)
    print("The books are right." if not wrong else "\n".join(wrong))
    sys.exit(bool(wrong))


async def _measure(operations: int, writers: int, count: int, seed: int) -> tuple[Storm, list[str]]:
    with server_folder() as folder, EmbeddedPostgres(folder / "data") as server:
        addresses = await embedded_addresses(server, "ledger")
        await migrate(addresses)
        database = Database(addresses, pool_size=writers)
        tenants = [new_id() for _ in range(count)]
        async with database.system() as session:
            for tenant_id in tenants:
                await session.execute(text("INSERT INTO tenants (id, name) VALUES (:id, 'storm')"), {"id": tenant_id})
        done = await storm(database, tenants, writers=writers, operations=operations, seed=seed)
        await database.close()
        connection = await asyncpg.connect(host=str(server.socket_dir), user="postgres", database="ledger")
        books = {tenant_id: await audit(connection, tenant_id, done.told[tenant_id]) for tenant_id in tenants}
        await connection.close()
    return done, [f"{tenant_id}: {found}" for tenant_id, found in books.items() if found != RIGHT]


def show(done: Storm, operations: int, writers: int) -> None:
    table = Table("booked", "repeated", "too low", "taken back", "s", "a second", title=f"{writers} writers")
    counts = [done.outcomes[name] for name in ("booked", "repeated", "too_low", "taken_back")]
    table.add_row(*map(str, counts), f"{done.seconds:.1f}", f"{operations / done.seconds:.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
