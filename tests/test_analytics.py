"""Figures: each card is what its rows add up to, whichever way they are divided, and turns are counted as defined."""

import csv
import io
import math
import statistics
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest

from analytics_log import EVIL, NOW, write_log
from asissto.platform.services import Services
from asissto.retrieval.comparing_periods import p_value_of
from asissto.retrieval.figures import DIMENSIONS, FIGURES, dimensions_of
from asissto.retrieval.reckoning import Value
from people import Person

Json = dict[str, Any]
API = "/api/v1/analytics"
PERIOD = {"since": (NOW - timedelta(days=30)).isoformat(), "until": NOW.isoformat()}
AMOUNTS = {name: figure.amount for name, figure in FIGURES.items() if figure.kind != "count" and figure.amount}


@pytest.fixture
async def log(services: Services, alice: Person) -> None:
    await write_log(services, alice.tenant_id, seed=7, inquiries=80)


async def get(person: Person, path: str, **query: Any) -> Json:
    response = await person.client.get(f"{API}/{path}", params={**PERIOD, **query})
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


async def rows(person: Person, view: str, **query: Any) -> list[Json]:
    """All of them, over all pages."""
    found, after = list[Json](), dict[str, str]()
    while True:
        page = await get(person, f"views/{view}", limit=200, **query, **after)
        found += page["items"]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


def told(name: str, of: list[Json]) -> float | None:
    """A figure, reckoned anew from its rows by the definition of its kind alone."""
    kind = FIGURES[name].kind
    amounts: list[float] = [row[AMOUNTS[name]] for row in of if name in AMOUNTS]
    if kind == "count":
        return len(of)
    if kind == "sum":
        return sum(amounts)
    if kind == "mean":
        return statistics.mean(amounts) if amounts else None
    if not amounts:
        return None
    ordered, place = sorted(amounts), FIGURES[name].at * (len(amounts) - 1)
    low = int(place)
    return float(ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low))


async def test_each_card_is_what_its_rows_add_up_to_by_every_dimension(alice: Person, log: None) -> None:
    """Generated: 42 figures, their cards, their rows, and their breakdown by everything that they can be divided by."""
    cards: dict[str, dict[str | None, Json]] = defaultdict(dict)
    for card in (await get(alice, "cards"))["items"]:
        cards[card["figure"]][card["currency"]] = card
    assert set(cards) == set(FIGURES)
    checked = 0
    for name, figure in FIGURES.items():
        if figure.kind == "share":
            part, whole = (cards[each][None]["value"] for each in (figure.part, figure.whole))
            assert cards[name][None]["value"] == pytest.approx(part / whole)
            continue
        behind = await rows(alice, figure.view, figure=name)
        assert behind, f"{name}: the log has no row of it"
        for currency, card in cards[name].items():
            mine = [row for row in behind if currency is None or row["currency"] == currency]
            assert card["value"] == pytest.approx(told(name, mine)), name
            for by in dimensions_of(figure.view):
                groups: dict[str, list[Json]] = defaultdict(list)
                for row in mine:
                    key = row[DIMENSIONS[by]]
                    groups["none" if key is None else str(key)].append(row)
                query = {"currency": currency} if currency else {}
                shown = await get(alice, "breakdown", figure=name, by=by, **query)
                values = {each["key"]: each["value"] for each in shown["items"] if each["value"]}
                expected = {key: told(name, group) for key, group in groups.items()}
                assert values == {key: pytest.approx(value) for key, value in expected.items() if value}, (name, by)
                checked += 1
    assert checked > 350


async def test_a_slice_narrows_cards_and_rows_alike(alice: Person, log: None) -> None:
    """By the keys that a breakdown gives out, `none` among them."""
    for figure, view in (("questions", "turns"), ("cost", "calls"), ("sms_segments", "segments")):
        for by in ("assistant", "version", "model", "hour"):
            for group in (await get(alice, "breakdown", figure=figure, by=by))["items"][:3]:
                narrowed = {by: group["key"]} | ({"currency": "USD"} if figure == "cost" else {})
                cards = (await get(alice, "cards", **narrowed))["items"]
                value = next(card["value"] for card in cards if card["figure"] == figure)
                assert value == pytest.approx(told(figure, await rows(alice, view, figure=figure, **narrowed)))


async def test_a_series_adds_up_in_the_time_of_the_workspace(alice: Person, log: None) -> None:
    """By hours, days, weeks and months, also those with nothing."""
    whole = len(await rows(alice, "turns", figure="questions"))
    for step, least in (("hour", 720), ("day", 30), ("week", 5), ("month", 2)):
        shown = await get(alice, "series", figure="questions", step=step)
        assert sum(point["value"] for point in shown["items"]) == whole
        assert len(shown["items"]) >= least
    assert shown["timezone"] == "Europe/Moscow"
    first = min(await rows(alice, "turns", figure="questions"), key=lambda row: row["at"])
    days = (await get(alice, "series", figure="questions"))["items"]
    assert next(point["at"] for point in days if point["value"]) == f"{first['day']}T00:00:00"


async def test_contributions_add_up_to_the_change(alice: Person, log: None) -> None:
    """Of counts, sums and shares; each effect is told apart for shares."""
    for figure in ("questions", "cost", "answered_share", "resolved_share", "csat"):
        for by in ("assistant", "channel", "model"):
            shown = await get(alice, "breakdown", figure=figure, by=by)
            parts = [each["contribution"] for each in shown["items"]]
            assert sum(parts) == pytest.approx(shown["whole"]["change"]), (figure, by)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        # The example of scipy.stats.fisher_exact; chi-squared, n (ad - bc)^2 / product of the margins.
        (((8, 10), (1, 6)), 0.03496503),
        (((300, 500), (250, 500)), math.erfc(math.sqrt(1000 * 25_000**2 / (500 * 500 * 550 * 450) / 2))),
        (((5, 5), (5, 5)), 1.0),
        (((0, 0), (5, 5)), None),
    ],
)
def test_the_significance_of_a_change_is_that_of_the_textbook(
    tables: tuple[tuple[int, int], tuple[int, int]], expected: float | None
) -> None:
    """Exact where rows are few, by the normal distribution else."""
    now, before = (Value(part / whole if whole else None, part=part, whole=whole) for part, whole in tables)
    assert p_value_of(now, before) == (None if expected is None else pytest.approx(expected, rel=1e-4))


async def test_a_file_has_the_rows_of_the_page_and_no_formula(alice: Person, log: None) -> None:
    """Comments of strangers and names are words to a program of tables; numbers stay numbers."""
    query = {**PERIOD, "figure": "comments"}
    file = (await alice.client.get(f"{API}/views/feedback/export", params=query)).raise_for_status()
    lines = list(csv.DictReader(io.StringIO(file.text)))
    shown = await rows(alice, "feedback", figure="comments")
    assert [line["id"] for line in lines] == [row["id"] for row in reversed(shown)]
    assert {line["comment"] for line in lines} == {f"'{EVIL}"}
    assert {line["assistant"][:2] for line in lines} == {"'+"}
    assert {line["thumb"] for line in lines} >= {"1", "-1"}
    as_json = await alice.client.get(f"{API}/views/feedback/export", params={**query, "format": "jsonl"})
    assert as_json.text.count("\n") == len(lines)


BAD = [
    ("cards", {"since": "2026-11-26T00:00:00Z"}, "since"),
    ("cards", {"since": "0001-01-01T00:00:00+14:00"}, "since"),
    ("cards", {"until": "9999-12-31T23:59:59-14:00"}, "until"),
    ("cards", {"since": "2001-01-01T00:00:00Z"}, "since"),
    ("cards", {"before_since": "2026-11-26T00:00:00Z"}, "before_since"),
    ("series", {"figure": "nonsense"}, "figure"),
    ("series", {"figure": "questions", "purpose": "answer"}, "purpose"),
    ("series", {"figure": "questions", "step": "hour", "since": "2026-01-01T00:00:00Z"}, "since"),
    ("breakdown", {"figure": "questions", "by": "purpose"}, "by"),
    ("views/turns", {"figure": "cost"}, "figure"),
    ("views/turns", {"after": "nonsense"}, "after"),
    ("views/nonsense/export", {}, "view"),
]


@pytest.mark.parametrize(("path", "query", "field"), BAD, ids=lambda each: str(each)[:40])
async def test_what_cannot_be_asked_is_refused_by_name(path: str, query: Json, field: str, alice: Person) -> None:
    """Never with a fault of ours."""
    response = await alice.client.get(f"{API}/{path}", params={**PERIOD, **query})
    assert (response.status_code, response.json()["field"]) == (400, field)


async def test_another_workspace_has_figures_of_its_own(
    services: Services, alice: Person, charlie: Person, log: None
) -> None:
    """Whatever is asked for by whichever id."""
    await write_log(services, charlie.tenant_id, seed=8, inquiries=5)
    mine = await rows(alice, "turns")
    theirs = await rows(charlie, "turns")
    assert theirs
    assert {row["id"] for row in theirs}.isdisjoint(row["id"] for row in mine)
    assert await rows(charlie, "turns", assistant=mine[0]["assistant_id"]) == []


async def test_a_workspace_has_a_time_zone_that_everybody_knows(alice: Person) -> None:
    """By its name in the list of IANA."""
    for zone, status in (("Asia/Yekaterinburg", 200), ("Mars/Olympus", 400), ("UTC\x00", 400), ("../etc/passwd", 400)):
        assert (await alice.client.patch("/api/v1/tenant", json={"timezone": zone})).status_code == status, zone
    assert (await alice.client.get("/api/v1/tenant")).json()["timezone"] == "Asia/Yekaterinburg"
    assert (await get(alice, "cards"))["timezone"] == "Asia/Yekaterinburg"


async def test_operators_see_no_figures(alice: Person, bob: Person) -> None:
    """Editors and analysts do."""
    for role, status in (("operator", 403), ("analyst", 200), ("editor", 200)):
        await alice.client.patch(f"/api/v1/members/{bob.user_id}", json={"role": role})
        assert (await bob.client.get(f"{API}/figures")).status_code == status, role
