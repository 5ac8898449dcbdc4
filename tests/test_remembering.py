"""What turns and inquiries came to, through the real ways in, and taken up from before by the migration."""

import importlib.util
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import pytest

from asissto.retrieval.evaluation import Loaded
from people import Person
from test_answers import ask, library, set_up

assert library
__all__ = ["library"]

ABOUT_REFUND = "How long does a refund take?"
ABOUT_MARS = "What is the weather like on Mars tomorrow?"
MIGRATION = Path(__file__).resolve().parents[1] / "migrations/versions/0026_analytics.py"
TURNS = (
    "SELECT t.result, t.reason, t.mode, t.version, t.inquiry_id IS NOT NULL, t.model FROM turns t ORDER BY message_id"
)
INQUIRIES = """SELECT questions, answered, last_result, handed_over_at IS NOT NULL, reason, closed_at IS NOT NULL,
    followed_at IS NOT NULL, (SELECT array_agg(message_id ORDER BY message_id) FROM turns t WHERE inquiry_id = i.id)
    FROM inquiries i ORDER BY conversation_id, id"""


async def rows(superuser: asyncpg.Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await superuser.fetch(query)]


@pytest.fixture
def migration() -> ModuleType:
    found = importlib.util.spec_from_file_location("migration", MIGRATION)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


async def a_week(alice: Person, superuser: asyncpg.Connection) -> None:
    """Three conversations: answered and followed up days later, asking for a person, in doubt until a person comes."""
    await set_up(alice, hand_over={"on": {"no_knowledge": "offer", "low_confidence": "offer"}, "after_failures": 2})
    first = await ask(alice, "Hello!")
    mine = {"conversation_id": first["conversation_id"]}
    await ask(alice, ABOUT_REFUND, **mine)
    await ask(alice, ABOUT_REFUND, **mine)
    for table, column in (("messages", "created_at"), ("turns", "at"), ("turns", "asked_at")):
        await superuser.execute(f"UPDATE {table} SET {column} = {column} - interval '3 days'")
    moved = ("started_at", "replied_at", "last_at")
    await superuser.execute(
        "UPDATE inquiries SET " + ", ".join(f"{name} = {name} - interval '3 days'" for name in moved)
    )
    await ask(alice, ABOUT_REFUND, **mine)
    await alice.client.post(f"/api/v1/conversations/{first['conversation_id']}/close")
    second = await ask(alice, ABOUT_REFUND)
    await ask(alice, "I want to talk to a human", conversation_id=second["conversation_id"])
    third = await ask(alice, ABOUT_MARS)
    await alice.client.post(f"/api/v1/conversations/{third['conversation_id']}/hand-over")


async def test_turns_and_inquiries_are_counted_as_defined(
    alice: Person, library: Loaded, superuser: asyncpg.Connection, migration: ModuleType
) -> None:
    """By the write path, and the same again where the migration takes up what was said before there were tables."""
    await a_week(alice, superuser)
    turns, inquiries = await rows(superuser, TURNS), await rows(superuser, INQUIRIES)
    said = [(result, reason, belongs) for result, reason, _, _, belongs, _ in turns]
    assert said == [
        ("courtesy", None, False),
        ("answered", None, True),
        ("answered", None, True),
        ("answered", None, True),
        ("answered", None, True),
        ("asked_for_person", "asked_for_person", True),
        ("abstained", turns[-1][1], True),
    ]
    assert turns[-1][1] in ("no_knowledge", "low_confidence")
    assert {version for _, _, _, version, _, _ in turns} == {2}
    assert [each[:7] for each in inquiries] == [
        (2, 2, "answered", False, None, False, True),
        (1, 1, "answered", False, None, True, False),
        (1, 1, "asked_for_person", True, "asked_for_person", False, False),
        (1, 0, "abstained", True, "operator", False, False),
    ]
    cards = (await alice.client.get("/api/v1/analytics/cards")).raise_for_status().json()["items"]
    told = {card["figure"]: card["value"] for card in cards}
    expected = {"questions": 5, "inquiries": 4, "finished": 2, "resolved": 2, "settled": 0, "hand_overs": 2}
    assert {name: told[name] for name in expected} == expected
    await superuser.execute("TRUNCATE turns, inquiries")
    for statement in (migration._OLD_TURNS, migration._OLD_INQUIRIES, migration._OLD_LINKS):
        await superuser.execute(statement)
    assert await rows(superuser, TURNS) == turns
    assert await rows(superuser, INQUIRIES) == inquiries


async def test_a_resolution_is_durable_a_week_after_it(
    alice: Person, library: Loaded, superuser: asyncpg.Connection
) -> None:
    """Not before; a question within that week makes it a reopened one; an inquiry that goes on is no resolution."""
    await ask(alice, ABOUT_REFUND)
    shown = ("finished", "resolved", "settled", "durable", "reopened")

    async def told(last: str, followed: str | None = None) -> list[int]:
        moved = "UPDATE inquiries SET started_at = now() - $1::interval, last_at = now() - $1::interval"
        await superuser.execute(f"{moved}, followed_at = now() - $2::interval", _interval(last), _interval(followed))
        cards = (await alice.client.get("/api/v1/analytics/cards")).raise_for_status().json()["items"]
        values = {card["figure"]: card["value"] for card in cards}
        return [values[name] for name in shown]

    assert await told("23 hours") == [0, 0, 0, 0, 0]
    assert await told("25 hours") == [1, 1, 0, 0, 0]
    assert await told("169 hours") == [1, 1, 1, 1, 0]
    assert await told("169 hours", "2 hours") == [1, 1, 1, 0, 1]
    assert await told("200 hours", "2 hours") == [1, 1, 1, 1, 0]


def _interval(words: str | None) -> Any:
    return None if words is None else timedelta(hours=int(words.split()[0]))
