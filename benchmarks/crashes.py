"""What becomes of messages while the server and its workers are killed with -9: lost, doubled, out of order, unknown.

The room and the other sides are those of the tests: `tests/crash_room.py`.
"""

import asyncio
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from copies import server_folder
from crash_room import SIDES, Line, crash_room, hold


@click.command(help=__doc__)
@click.option("--channel", "channels", multiple=True, type=click.Choice(sorted(SIDES)), help="Several; all if none.")
@click.option("--customers", default=20, show_default=True, help="Who write at the same time.")
@click.option("--messages", default=4, show_default=True, help="Of each customer.")
@click.option("--kill-every", default=5.0, show_default=True, help="Seconds from one kill to the next, on average.")
def main(channels: tuple[str, ...], customers: int, messages: int, kill_every: float) -> None:
    show([asyncio.run(_measure(each, customers, messages, kill_every)) for each in channels or sorted(SIDES)])


async def _measure(channel: str, customers: int, messages: int, kill_every: float) -> Line:
    with server_folder() as folder:
        async with crash_room(folder) as room:
            return await hold(room, channel, customers=customers, messages=messages, kill_every=kill_every)


def show(lines: list[Line]) -> None:
    names = (
        "channel",
        "messages",
        "parts",
        "kills",
        "lost",
        "doubled",
        "unknown",
        "out of order",
        "answered twice",
        "s",
    )
    table = Table(*names, title="Two workers and a server, killed with -9; providers fail besides")
    for line in lines:
        counts = (line.messages, line.parts, line.kills, line.lost, line.doubled, line.states.get("unknown", 0))
        rest = (line.out_of_order, line.answered_twice, round(line.seconds))
        table.add_row(line.channel, *map(str, (*counts, *rest)))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
