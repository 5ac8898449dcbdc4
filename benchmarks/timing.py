"""Whether the time of an answer tells what the answer does not: who is registered, and which ids there are.

Both calls of a pair answer alike. They are made in turn over a socket, in random order, and compared by the share of
pairs in which the first one took longer (0.5: no difference), with how often chance alone would show as much.
"""

import asyncio
import random
import statistics
import sys
import time
from pathlib import Path
from uuid import uuid4

import click
import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from msgspec import structs

from asissto.platform import attempts
from asissto.platform.embedding import make_embedder
from asissto.platform.entrypoints.web import build_app
from asissto.platform.log import configure_log
from asissto.platform.migrate import embedded_addresses, migrate
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.settings import Settings
from conftest import invite_people
from contract_room import listening
from copies import open_at, server_folder, signed_in
from people import PASSWORD, bearer
from test_isolation import build_world

Call = tuple[str, str, dict[str, object] | None]
_RESAMPLED = 2_000
_UNLIKELY = 0.01


@click.command(help=__doc__)
@click.option("--rounds", default=400, show_default=True, help="Pairs of calls of each kind.")
@click.option("--seed", default=0, show_default=True)
def main(rounds: int, seed: int) -> None:
    configure_log(Settings(log_level="error"))
    attempts.MOST.update(dict.fromkeys(attempts.MOST, 10**9))
    measured = asyncio.run(_run(rounds, random.Random(seed)))
    table = Table("first", "second", "median ms", "median ms", "difference", "first longer", "chance", "told apart")
    apart = False
    for name, (first, second) in measured.items():
        longer, chance = compare(np.array(first), np.array(second), seed)
        medians = statistics.median(first), statistics.median(second)
        is_apart = chance < _UNLIKELY
        apart |= is_apart
        row = (
            *(f"{each:.2f}" for each in medians),
            f"{medians[0] - medians[1]:+.2f}",
            f"{longer:.2f}",
            f"{chance:.3f}",
        )
        table.add_row(*name.split(" | "), *row, "yes" if is_apart else "no")
    Console(width=140).print(table)
    sys.exit(apart)


async def _run(rounds: int, dice: random.Random) -> dict[str, tuple[list[float], list[float]]]:
    with server_folder() as folder, EmbeddedPostgres(folder / "data") as server:
        addresses = await embedded_addresses(server, "timing")
        await migrate(addresses)
        async with open_at(addresses, folder, make_embedder(Settings(data_dir=folder))) as services:
            people = await invite_people(services)
            async with signed_in(build_app(services), services, people["alice"]) as alice:
                world = await build_world(services, alice)
            patient = structs.replace(
                services, settings=structs.replace(services.settings, open_calls_per_minute=10**9)
            )
            headers = {"authorization": bearer(services, people["charlie"])}
            async with listening(patient) as address, httpx.AsyncClient(base_url=address) as client:
                pairs = _pairs(alice.email, [str(world.document_id), str(world.conversation_id), str(world.contact_id)])
                return {name: await _measure(client, pair, headers, rounds, dice) for name, pair in pairs.items()}


def _pairs(email: str, ids: list[str]) -> dict[str, tuple[Call, Call]]:
    known, unknown = ({"email": each, "password": f"{PASSWORD}?"} for each in (email, "alina@example.com"))
    sign_in = "/api/v1/auth/sign-in"
    pairs = {"sign-in, known | unknown": (("POST", sign_in, known), ("POST", sign_in, unknown))}
    for what, foreign in zip(("documents", "conversations", "contacts"), ids, strict=True):
        calls = tuple(("GET", f"/api/v1/{what}/{each}", None) for each in (foreign, str(uuid4())))
        pairs[f"{what}, foreign | unknown"] = (calls[0], calls[1])
    return pairs


async def _measure(
    client: httpx.AsyncClient, pair: tuple[Call, Call], headers: dict[str, str], rounds: int, dice: random.Random
) -> tuple[list[float], list[float]]:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 10):
        for which in dice.sample((0, 1), 2):
            method, path, body = pair[which]
            started = time.perf_counter()
            answer = await client.request(method, path, json=body, headers=headers)
            times[which].append((time.perf_counter() - started) * 1000)
            assert answer.status_code in (401, 404), answer.text
    return times[0][10:], times[1][10:]  # the first ones warm up


def compare(first: np.ndarray, second: np.ndarray, seed: int) -> tuple[float, float]:
    """The share of pairs in which the first took longer, and how often chance shows as much (signs flipped)."""
    signs = np.sign(first - second)
    flips = np.random.default_rng(seed).choice((-1, 1), size=(_RESAMPLED, len(signs)))
    as_much = np.abs((flips * signs).sum(axis=1)) >= abs(signs.sum())
    return float((signs > 0).mean()), float((as_much.sum() + 1) / (_RESAMPLED + 1))


if __name__ == "__main__":
    main()
