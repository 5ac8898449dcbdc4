"""Writers who move money at random, all at once and often the same thing twice, and what must come of it."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from zlib import crc32

import asyncpg

from asissto.platform.database import Database
from asissto.platform.errors import BalanceTooLow
from asissto.platform.ledger import hold, release, settle, transfer

OPERATIONS = {"top_up": 12, "spend": 20, "hold": 24, "settle": 22, "release": 10, "refund": 6, "pay_back": 6}
SIDES = {
    "top_up": ("cash:manual", "wallet"),
    "spend": ("wallet", "revenue"),
    "refund": ("revenue", "wallet"),
    "pay_back": ("wallet", "cash:manual"),
}
REPEATED = 2
"""Each key is drawn about so many times, often by two writers at the same moment."""

TAKEN_BACK = 0.05
"""Transactions that fail after they have booked."""


@dataclass
class Told:
    """What the writers were told of one tenant: what has happened is the sum of it, whatever the journal says."""

    charged: Counter[str] = field(default_factory=Counter)
    by_key: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    """How often each key was set aside less how often it was given back."""
    settled: set[str] = field(default_factory=set)

    def expected(self) -> dict[str, int]:
        """Balances by account."""
        told = self.charged
        cash = told["pay_back"] - told["top_up"]
        revenue = told["spend"] + told["settle"] - told["refund"]
        held = sum(held_by(key) * times for key, times in self.held.items() if key not in self.settled)
        return {"cash:manual": cash, "revenue": revenue, "held": held, "wallet": -cash - revenue - held}


@dataclass
class Storm:
    """Counts by outcome (booked, repeated, too_low, taken_back), seconds, and what the writers were told by tenant."""

    outcomes: Counter[str]
    seconds: float
    told: dict[UUID, Told]


@dataclass(frozen=True)
class Move:
    tenant_id: UUID
    name: str
    key: str
    amount: int
    fails: bool


class TakenBack(Exception):
    pass


async def storm(database: Database, tenants: Sequence[UUID], *, writers: int, operations: int, seed: int = 1) -> Storm:
    """`operations` in all."""
    chance = random.Random(seed)
    moves = [_move(chance, tenants, operations) for _ in range(operations)]
    outcomes: Counter[str] = Counter()
    told: defaultdict[UUID, Told] = defaultdict(Told)
    waiting = iter(moves)

    async def write() -> None:
        for move in waiting:
            outcomes[await _carry_out(database, move, told[move.tenant_id])] += 1

    started = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    return Storm(outcomes, time.perf_counter() - started, dict(told))


def _move(chance: random.Random, tenants: Sequence[UUID], operations: int) -> Move:
    (name,) = chance.choices(list(OPERATIONS), list(OPERATIONS.values()))
    subject = "answer" if name in ("hold", "settle", "release") else name
    often = OPERATIONS["hold"] if subject == "answer" else OPERATIONS[name]
    keys = operations * often // sum(OPERATIONS.values()) // REPEATED // len(tenants)
    key = f"{subject}:{chance.randrange(max(keys, 1))}"
    most = 300 if name == "top_up" else 100
    return Move(chance.choice(tenants), name, key, chance.randint(1, most), chance.random() < TAKEN_BACK)


async def _carry_out(database: Database, move: Move, told: Told) -> str:
    try:
        async with database.tenant(move.tenant_id) as session:
            if move.name in SIDES:
                debit, credit = SIDES[move.name]
                sides: dict[str, Any] = {"kind": move.name, "debit": debit, "credit": credit}
                done = await transfer(session, move.tenant_id, **sides, amount=move.amount, key=move.key)
            elif move.name == "release":
                done = await release(session, move.tenant_id, move.key)
            else:
                do, amount = (hold, held_by(move.key)) if move.name == "hold" else (settle, move.amount)
                done = await do(session, move.tenant_id, move.key, amount)
            if move.fails:
                raise TakenBack
    except BalanceTooLow:
        return "too_low"
    except TakenBack:
        return "taken_back"
    if done:
        _note(told, move)
    return "booked" if done else "repeated"


def held_by(key: str) -> int:
    """The same each time, so that the order in which writers hear of it does not matter."""
    return 1 + crc32(key.encode()) % 100


def _note(told: Told, move: Move) -> None:
    if move.name in ("hold", "release"):
        told.held[move.key] += 1 if move.name == "hold" else -1
    else:
        told.charged[move.name] += move.amount
        if move.name == "settle":
            told.settled.add(move.key)
        told.by_key[_subject(move.key)] += move.amount if move.name in ("spend", "settle") else 0


def _subject(key: str) -> str:
    """An answer may be charged in two parts, of what was held and of the wallet."""
    return key.removeprefix("settle:").removeprefix("spend:")


@dataclass(frozen=True)
class Books:
    """What is wrong in a tenant's books: all zero and nothing where they are right."""

    sum_of_accounts: int
    off_the_journal: dict[str, int]
    off_what_was_told: dict[str, int]
    below_floor: int
    wrongly_charged: dict[str, int]
    shown_balance_off_by: int


RIGHT = Books(0, {}, {}, 0, {}, 0)


async def audit(connection: asyncpg.Connection, tenant_id: UUID, told: Told) -> Books:
    rows = await connection.fetch("SELECT name, balance FROM ledger_accounts WHERE tenant_id = $1", tenant_id)
    accounts = {row["name"]: row["balance"] for row in rows}
    entries = await connection.fetch(
        "SELECT kind, debit, credit, amount, key FROM ledger_entries WHERE tenant_id = $1 ORDER BY id", tenant_id
    )
    journal: Counter[str] = Counter()
    below = 0
    for entry in entries:
        journal[entry["debit"]] -= entry["amount"]
        journal[entry["credit"]] += entry["amount"]
        below += min(journal["wallet"], journal["held"]) < 0
    charged: Counter[str] = Counter()
    for entry in entries:
        if entry["credit"] == "revenue":
            charged[_subject(entry["key"])] += entry["amount"]
    shown = await connection.fetchval("SELECT balance FROM tenants WHERE id = $1", tenant_id)
    return Books(
        sum_of_accounts=sum(accounts.values()),
        off_the_journal=_differences(accounts, journal),
        off_what_was_told=_differences(accounts, told.expected()),
        below_floor=below,
        wrongly_charged=_differences(charged, told.by_key),
        shown_balance_off_by=shown - accounts.get("wallet", 0),
    )


def _differences(found: Mapping[str, int], expected: Mapping[str, int]) -> dict[str, int]:
    names = found.keys() | expected.keys()
    differences = {name: found.get(name, 0) - expected.get(name, 0) for name in names}
    return {name: by for name, by in differences.items() if by}
