"""Runs of question sets: jobs that go on where they were killed, and the gate that publishing passes by them."""

import asyncio
from typing import Any

import asyncpg
import pytest

from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.errors import ProviderError
from asissto.platform.services import Services
from asissto.retrieval import batch_runs
from asissto.retrieval.answering import answer_question
from asissto.retrieval.answers import Answer
from asissto.retrieval.comparing import exact_p
from asissto.retrieval.evaluation import Loaded
from people import Person
from test_answers import assistant_of, library
from test_drafts import call, done, edit
from test_events import Api, api
from test_ingestion import work
from test_question_sets import SETS, new_set

assert library
assert api
RUNS = "/api/v1/set-runs"
REFUND = {"question": "When does a refund reach my bank card?", "must_contain": ["three working days"]}
RENTAL = {"question": "What does it cost to rent a bicycle for a day?", "must_cite": [{"title": "Rental"}]}
CITY = {"question": "А в другие города?", "must_contain": ["неделя"], "must_cite": [{"source_key": "Доставка"}]}
CITY_HISTORY = {"history": [{"role": "user", "text": "Сколько занимает доставка по Казани?"}]}
CHESS = {"question": "Who is the president of the chess federation?", "expected": "abstain"}
WRONG = {"question": "Какая гарантия на электросамокат?", "must_contain": ["три года"]}
CASES = (REFUND, RENTAL, CITY | CITY_HISTORY, CHESS, WRONG)


async def start(person: Person, set_id: str, **more: Any) -> str:
    body = {"assistant_id": await assistant_of(person), **more}
    response = await person.client.post(f"{SETS}/{set_id}/runs", json=body)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


async def run_of(person: Person, run_id: str) -> Any:
    return (await person.client.get(f"{RUNS}/{run_id}")).raise_for_status().json()


async def results_of(person: Person, run_id: str, **query: str) -> list[dict[str, Any]]:
    response = await person.client.get(f"{RUNS}/{run_id}/results", params=query, headers={"accept-language": "ru"})
    items: list[dict[str, Any]] = response.raise_for_status().json()["items"]
    return items


async def test_a_run_asks_every_question_and_sums_up(library: Loaded, services: Services, alice: Person) -> None:
    """Each case with its answer, its citations and what is wrong with it; nothing of it is a conversation."""
    set_id = await new_set(alice, *CASES, assistant_id=await assistant_of(alice))
    started = (await alice.client.post(f"{SETS}/{set_id}/runs", json={})).json()
    assert (started["state"], started["total"], started["done"], started["version"]) == ("queued", 5, 0, 1)
    await work(services)
    run = await run_of(alice, started["id"])
    assert {name: run[name] for name in ("state", "total", "done", "passed", "set_revision")} == {
        "state": "done",
        "total": 5,
        "done": 5,
        "passed": 4,
        "set_revision": 6,
    }
    figures = run["figures"]
    measured = {name: figures.pop(name) for name in ("auroc", "latency_ms_p50", "latency_ms_p95")}
    assert figures == {
        "cases": 5,
        "passed": 4,
        "pass_rate": 0.8,
        "answered": 4,
        "abstained": 1,
        "handed_over": 0,
        "false_answers": 0,
        "missed_answers": 0,
        "citations_expected": 2,
        "citation_hits": 2,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cost_micros": None,
    }
    assert measured["auroc"] == 1.0
    assert 0 < measured["latency_ms_p50"] <= measured["latency_ms_p95"]
    results = await results_of(alice, run["id"])
    assert [result["question"] for result in results] == [case["question"] for case in CASES]
    (failed,) = await results_of(alice, run["id"], only="failed")
    assert (failed["question"], failed["outcome"]) == (WRONG["question"], "answer")
    assert failed["failures"] == [{"code": "phrase_missing", "detail": "В ответе нет слов «три года»."}]
    assert failed["citations"][0]["quote"] in failed["answer"]
    assert (await alice.client.get("/api/v1/conversations")).json()["items"] == []


async def test_a_killed_run_goes_on_where_it_was(
    library: Loaded, services: Services, alice: Person, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has a result is not asked again, and a job that runs twice leaves the same."""
    monkeypatch.setattr(batch_runs, "AT_ONCE", 1)
    asked: list[str] = []
    answer = answer_question
    reached = asyncio.Event()

    async def hang_at_the_third(services: Services, scope: Any, question: str, *more: Any) -> Answer:
        if len(asked) == 2:
            reached.set()
            await asyncio.Event().wait()
        asked.append(question)
        return await answer(services, scope, question, *more)

    monkeypatch.setattr(batch_runs, "answer_question", hang_at_the_third)
    run_id = await start(alice, await new_set(alice, *CASES))
    victim = asyncio.create_task(make_worker(services).run_one())
    await asyncio.wait_for(reached.wait(), 30)
    half = await run_of(alice, run_id)
    assert (half["state"], half["done"], half["figures"]) == ("running", 2, None)
    victim.cancel()
    await asyncio.gather(victim, return_exceptions=True)
    asked.clear()
    monkeypatch.setattr(batch_runs, "answer_question", answer)
    before = await results_of(alice, run_id)
    await work(services)
    run, results = await run_of(alice, run_id), await results_of(alice, run_id)
    assert (run["state"], run["done"], run["passed"]) == ("done", 5, 4)
    assert results[:2] == before
    await superuser.execute("UPDATE jobs SET state = 'todo', finished_at = NULL WHERE kind = 'run_set'")
    await work(services)
    assert (await run_of(alice, run_id), await results_of(alice, run_id)) == (run, results)


async def test_a_long_run_lets_others_have_their_turn(
    library: Loaded, services: Services, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does a part, and queues itself behind what waits."""
    monkeypatch.setattr(batch_runs, "AT_ONCE", 2)
    monkeypatch.setattr(batch_runs, "PART_SECONDS", 0.0)
    set_id = await new_set(alice, *CASES)
    runs = [await start(alice, set_id), await start(alice, set_id)]
    worker = make_worker(services)
    progress = []
    while await worker.run_one():
        progress.append(tuple([(await run_of(alice, run_id))["done"] for run_id in runs]))
    assert progress[:4] == [(2, 0), (2, 2), (4, 2), (4, 4)]
    assert [(await run_of(alice, run_id))["state"] for run_id in runs] == ["done", "done"]


async def test_a_run_can_be_cancelled(
    library: Loaded, services: Services, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it begins or in the middle; what it has found stays, and cancelling twice is no harm."""
    monkeypatch.setattr(batch_runs, "AT_ONCE", 1)
    set_id = await new_set(alice, *CASES)
    waiting, running = await start(alice, set_id), await start(alice, set_id)
    assert (await alice.client.post(f"{RUNS}/{waiting}/cancel")).json()["state"] == "cancelled"
    answer = answer_question
    asked: list[str] = []

    async def cancel_at_the_third(services: Services, scope: Any, question: str, *more: Any) -> Answer:
        asked.append(question)
        if len(asked) == 3:
            (await alice.client.post(f"{RUNS}/{running}/cancel")).raise_for_status()
        return await answer(services, scope, question, *more)

    monkeypatch.setattr(batch_runs, "answer_question", cancel_at_the_third)
    await work(services)
    run = await run_of(alice, running)
    assert (run["state"], run["done"], run["figures"], len(asked)) == ("cancelled", 2, None, 3)
    again = (await alice.client.post(f"{RUNS}/{running}/cancel")).json()
    assert again == run
    assert (await run_of(alice, waiting))["done"] == 0


async def test_a_run_goes_with_its_set(
    library: Loaded, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Its job has nothing left to do, and ends at once."""
    set_id = await new_set(alice, REFUND)
    await start(alice, set_id)
    (await alice.client.delete(f"{SETS}/{set_id}")).raise_for_status()
    await work(services)
    assert await superuser.fetchval("SELECT count(*) FROM set_runs") == 0
    assert await superuser.fetchval("SELECT state FROM jobs WHERE kind = 'run_set'") == "done"


async def test_a_run_that_fails_says_why(
    library: Loaded, services: Services, alice: Person, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last attempt, by a code."""

    async def fail(*_arguments: Any) -> Answer:
        raise ProviderError(permanent=True, reason="bad_api_key")

    monkeypatch.setattr(batch_runs, "answer_question", fail)
    run_id = await start(alice, await new_set(alice, REFUND))
    await superuser.execute("UPDATE jobs SET attempts = 4 WHERE kind = 'run_set'")
    await work(services)
    run = await run_of(alice, run_id)
    assert (run["state"], run["reason"], run["done"]) == ("failed", "provider_failed", 0)


async def test_progress_is_told_to_watchers(library: Loaded, services: Services, alice: Person, api: Api) -> None:
    """As the run is shown, up to its end."""
    set_id = await new_set(alice, REFUND, CHESS)
    async with api.watched(alice, topics="set_runs") as events:
        run_id = await start(alice, set_id)
        await work(services)
        async for name, told in events:
            assert name == "set_run"
            if told["state"] == "done":
                break
    assert told == await run_of(alice, run_id)


async def test_two_runs_are_compared_case_by_case(library: Loaded, services: Services, alice: Person) -> None:
    """What got worse comes first, with both answers; a few cases prove nothing."""
    set_id = await new_set(alice, *CASES)
    before = await start(alice, set_id)
    await edit(alice, settings={"least_confidence": 1, "unknown_text": "три года"})
    after = await start(alice, set_id, version="draft")
    unfinished = await alice.client.get(f"{RUNS}/{after}/comparison", params={"before": before})
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "runs_differ")
    await work(services)
    compared = (await alice.client.get(f"{RUNS}/{after}/comparison", params={"before": before})).json()
    items = compared.pop("items")
    assert compared == {
        "cases": 5,
        "passed_before": 4,
        "passed_after": 1,
        "better": 0,
        "worse": 3,
        "p_value": 0.25,
        "is_significant": False,
    }
    assert [item["change"] for item in items] == ["worse"] * 3 + ["same"] * 2
    worst = next(item for item in items if item["question"] == REFUND["question"])
    assert (worst["before"]["outcome"], worst["after"]["outcome"], worst["after"]["answer"]) == (
        "answer",
        "abstain",
        "три года",
    )
    query = {"before": before, "only": "worse"}
    worse = (await alice.client.get(f"{RUNS}/{after}/comparison", params=query)).json()
    assert worse["items"] == items[:3]
    back = (await alice.client.get(f"{RUNS}/{before}/comparison", params={"before": after})).json()
    assert (back["better"], back["worse"]) == (3, 0)


def test_chance_is_told_from_change() -> None:
    """The figures of McNemar's exact test."""
    assert [round(exact_p(*counts), 5) for counts in ((0, 0), (1, 1), (0, 5), (6, 0), (2, 10), (50, 50))] == [
        1.0,
        1.0,
        0.0625,
        0.03125,
        0.03857,
        1.0,
    ]


async def guard(person: Person, set_id: str, **more: int) -> Any:
    return await done(person, "PUT", "/gate", set_id=set_id, **more)


async def test_a_draft_that_breaks_a_question_is_not_published(
    library: Loaded, services: Services, alice: Person
) -> None:
    """It is refused by the name of the question; a repaired draft has to be run itself, and then goes out."""
    await guard(alice, await new_set(alice, REFUND, CHESS, WRONG))
    await edit(alice, settings={"filter": {"tags_any": ["nothing has this tag"]}})
    status, answer = await call(alice, "POST", "/publish", note="Tidy")
    assert (status, answer["published"]) == (202, False)
    assert [(run["version"], run["state"]) for run in answer["runs"]] == [(1, "queued"), (None, "queued")]
    status, again = await call(alice, "POST", "/publish", note="Tidy")
    assert (status, [run["id"] for run in again["runs"]]) == (202, [run["id"] for run in answer["runs"]])
    assert (await done(alice, "GET", "/gate"))["verdict"] == "running"
    await work(services)
    status, problem = await call(alice, "POST", "/publish", note="Tidy")
    assert (status, problem["code"]) == (409, "publish_refused")
    assert f"(1): «{REFUND['question']}»" in problem["detail"]
    gate = await done(alice, "GET", "/gate")
    assert (gate["verdict"], [each["question"] for each in gate["broken"]]) == ("refused", [REFUND["question"]])
    assert (await done(alice, "GET"))["version"] == 1
    await edit(alice, settings={"passages": 5})
    status, answer = await call(alice, "POST", "/publish", note="Better")
    assert (status, [run["state"] for run in answer["runs"]]) == (202, ["done", "queued"])
    await work(services)
    assert (await done(alice, "POST", "/publish", note="Better"))["assistant"]["version"] == 2
    assert (await call(alice, "PATCH", prompt="At once."))[1]["code"] == "publishing_guarded"
    assert (await done(alice, "PATCH", status="paused"))["status"] == "paused"
    assert (await done(alice, "POST", "/rollback", version=1))["version"] == 3


async def test_an_override_publishes_and_says_so(library: Loaded, services: Services, alice: Person) -> None:
    """With a reason, which the trail keeps beside what was broken."""
    set_id = await new_set(alice, REFUND)
    await guard(alice, set_id)
    await edit(alice, settings={"least_confidence": 1})
    await call(alice, "POST", "/publish", note="x")
    await work(services)
    status, problem = await call(alice, "POST", "/publish", override=True)
    assert (status, problem["field"]) == (400, "reason")
    published = await done(alice, "POST", "/publish", override=True, reason="The answer was wrong anyway", note="Now")
    assert published["assistant"]["version"] == 2
    (entry,) = (await alice.client.get("/api/v1/audit", params={"limit": 1})).json()["items"]
    (case,) = (await alice.client.get(f"{SETS}/{set_id}/cases")).json()["items"]
    assert (entry["action"], entry["changes"]) == (
        "assistants.publish",
        {
            "version": 2,
            "note": "Now",
            "override": True,
            "reason": "The answer was wrong anyway",
            "verdict": "refused",
            "broken": [case["id"]],
        },
    )


async def test_a_verdict_is_of_this_draft_this_set_and_the_same_knowledge(
    library: Loaded, services: Services, alice: Person
) -> None:
    """A new question or new documents ask for new runs; a drop may be allowed; a set that guards stays."""
    set_id = await new_set(alice, REFUND, RENTAL)
    await guard(alice, set_id)
    await edit(alice, settings={"filter": {"tags_any": ["nothing has this tag"]}})
    await call(alice, "POST", "/publish", note="x")
    await work(services)
    assert (await done(alice, "GET", "/gate"))["verdict"] == "refused"
    assert (await guard(alice, set_id, allow_drop=1))["verdict"] == "refused"
    assert (await guard(alice, set_id, allow_drop=2))["verdict"] == "passes"
    (await alice.client.post(f"{SETS}/{set_id}/cases", json=CHESS)).raise_for_status()
    assert (await done(alice, "GET", "/gate"))["verdict"] == "needs_run"
    assert (await alice.client.delete(f"{SETS}/{set_id}")).json()["code"] == "set_guards"
    await done(alice, "DELETE", "/gate")
    assert (await call(alice, "GET", "/gate"))[0] == 404
    assert (await done(alice, "POST", "/publish", note="x"))["published"]
