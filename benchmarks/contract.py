"""Whether the description of the API holds: schemathesis calls every operation of a real server as an owner.

The suite makes a few calls of each (`tests/test_contract.py`); this makes many, and shows what each operation answered.
"""

import asyncio
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from asissto.platform.embedding import make_embedder
from asissto.platform.entrypoints.web import build_app
from asissto.platform.log import configure_log
from asissto.platform.migrate import embedded_addresses, migrate
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.settings import Settings
from conftest import invite_people
from contract_room import Line, hold, listening
from contract_world import fitted_out, known_of
from copies import open_at, server_folder, signed_in


@click.command(help=__doc__)
@click.option("--examples", default=100, show_default=True, help="Calls of each operation.")
@click.option("--seed", default=0, show_default=True, help="The same one makes the same calls.")
@click.option("--only", default="", help="Only operations whose names begin like this.")
def main(examples: int, seed: int, only: str) -> None:
    configure_log(Settings(log_level="error"))
    started = time.perf_counter()
    lines = asyncio.run(_run(examples, seed, only))
    show(lines, time.perf_counter() - started)
    sys.exit(any(line.findings for line in lines))


async def _run(examples: int, seed: int, only: str) -> list[Line]:
    with server_folder() as folder, EmbeddedPostgres(folder / "data") as server:
        addresses = await embedded_addresses(server, "contract")
        await migrate(addresses)
        async with open_at(addresses, folder, make_embedder(Settings(data_dir=folder))) as services:
            people = await invite_people(services)
            async with signed_in(build_app(services), services, people["alice"]) as alice:
                known = await known_of(services, alice)
            async with listening(fitted_out(services)) as address:
                return await hold(services, address, people["alice"], known, examples=examples, first=seed, only=only)


def show(lines: list[Line], seconds: float) -> None:
    console = Console(width=140)
    table = Table("operation", "calls", "2xx", "4xx", "5xx", "findings", title="Calls by the description of the API")
    for line in sorted(lines, key=lambda line: line.operation_id):
        counts = (sum(n for status, n in line.statuses.items() if status // 100 == kind) for kind in (2, 4, 5))
        table.add_row(line.operation_id, str(line.statuses.total()), *map(str, counts), ", ".join(line.findings))
    console.print(table)
    for line in lines:
        for told in line.findings.values():
            console.print(f"\n{line.operation_id}: {told}", markup=False)
    calls, found = sum(line.statuses.total() for line in lines), sum(len(line.findings) for line in lines)
    accepted = sum(1 for line in lines if line.accepted)
    console.print(
        f"\n{len(lines)} operations, {calls} calls in {seconds:.0f} s; "
        f"{accepted} operations were carried out at least once; {found} findings"
    )


if __name__ == "__main__":
    main()
