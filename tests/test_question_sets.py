"""Question sets: written by hand, taken from files and conversations, and judged without a model."""

import json
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from asissto.retrieval.evaluation import Loaded
from asissto.retrieval.judging import Failure, Judged, judge
from asissto.retrieval.question_sets import CaseIn, CitedDocument
from people import Person
from test_answers import ask, library

assert library
SETS = "/api/v1/question-sets"
EMPTY: dict[str, Any] = {
    "history": [],
    "expected": "answer",
    "must_contain": [],
    "must_not_contain": [],
    "must_cite": [],
    "note": "",
    "tags": [],
}
REFUNDS, OTHER = uuid4(), uuid4()


async def new_set(person: Person, *cases: dict[str, Any], name: str = "Gold", **more: Any) -> str:
    response = await person.client.post(SETS, json={"name": name, **more})
    set_id = str(response.raise_for_status().json()["id"])
    for case in cases:
        (await person.client.post(f"{SETS}/{set_id}/cases", json=case)).raise_for_status()
    return set_id


async def cases_in(person: Person, set_id: str) -> list[dict[str, Any]]:
    """Without what the server adds."""
    items = (await person.client.get(f"{SETS}/{set_id}/cases")).raise_for_status().json()["items"]
    added = ("id", "set_id", "created_at", "updated_at")
    return [{name: value for name, value in item.items() if name not in added} for item in items]


def answer(text: str, outcome: Any = "answer", cited: tuple[UUID, ...] = (REFUNDS,)) -> Judged:
    return Judged(text=text, outcome=outcome, documents=dict.fromkeys(cited, "Refunds"))


JUDGED = [
    (CaseIn(question="?"), answer("Anything."), []),
    (CaseIn(question="?", must_contain=["рабочая неделя"]), answer("Деньги придут через рабочую [1] НЕДЕЛЮ."), []),
    (
        CaseIn(question="?", must_contain=["three working days", "12"]),
        answer("Within three working weeks, for 112 euros."),
        [
            Failure("phrase_missing", {"phrase": "three working days"}),
            Failure("phrase_missing", {"phrase": "12"}),
        ],
    ),
    (
        CaseIn(question="?", must_not_contain=["free of charge", "no"]),
        answer("It is free of  charge now."),
        [Failure("phrase_forbidden", {"phrase": "free of charge"})],
    ),
    (CaseIn(question="?", must_cite=[CitedDocument(title="other"), CitedDocument(title="refunds")]), answer("X"), []),
    (CaseIn(question="?", must_cite=[CitedDocument(document_id=REFUNDS)]), answer("X"), []),
    (CaseIn(question="?", must_cite=[CitedDocument(source_key="faq.md")]), answer("X"), []),
    (
        CaseIn(question="?", must_cite=[CitedDocument(title="Rental"), CitedDocument(source_key="no.md")]),
        answer("X"),
        [Failure("citation_missing", {"documents": "Rental, no.md"})],
    ),
    (CaseIn(question="?", must_contain=["x"]), answer("I do not know.", "abstain"), [Failure("abstained")]),
    (CaseIn(question="?", expected="abstain"), answer("X"), [Failure("answered")]),
    (CaseIn(question="?", expected="abstain", must_contain=["call"]), answer("Call us.", "abstain", ()), []),
    (CaseIn(question="?", expected="hand_over"), answer("I do not know.", "abstain"), [Failure("not_handed_over")]),
    (CaseIn(question="?", expected="hand_over"), answer("A person comes.", "hand_over"), []),
    (CaseIn(question="?"), answer("A person comes.", "hand_over"), [Failure("handed_over")]),
]


@pytest.mark.parametrize(("case", "given", "failures"), JUDGED)
def test_an_answer_is_judged_by_words_documents_and_outcome(
    case: CaseIn, given: Judged, failures: list[Failure]
) -> None:
    """Words in any inflection and case but never as a part of others; one of the documents is enough."""
    assert judge(case, given, {"faq.md": {REFUNDS}}) == failures
    assert all(failure.sentence("ru") != failure.sentence("en") for failure in failures)


async def test_sets_and_cases_are_written_and_changed(alice: Person) -> None:
    """The revision of a set grows with its cases and not with its name."""
    case = {"question": "When?", "must_contain": ["three days"], "must_cite": [{"title": "Refunds"}], "tags": ["money"]}
    set_id = await new_set(alice, case, description="Asked often")
    assert await cases_in(alice, set_id) == [EMPTY | case]
    (item,) = (await alice.client.get(f"{SETS}/{set_id}/cases", params={"tag": "money"})).json()["items"]
    assert (await alice.client.get(f"{SETS}/{set_id}/cases", params={"tag": "other"})).json()["items"] == []
    address = f"{SETS}/{set_id}/cases/{item['id']}"
    changed = (await alice.client.put(address, json={"question": "When now?"})).raise_for_status().json()
    assert {name: changed[name] for name in EMPTY} == EMPTY
    assert (await alice.client.get(address)).json() == changed
    renamed = (await alice.client.patch(f"{SETS}/{set_id}", json={"name": "Silver"})).json()
    assert (renamed["name"], renamed["description"], renamed["revision"]) == ("Silver", "Asked often", 3)
    (await alice.client.delete(address)).raise_for_status()
    assert await cases_in(alice, set_id) == []
    assert (await alice.client.post(SETS, json={"name": "Silver"})).json()["code"] == "name_taken"
    (await alice.client.delete(f"{SETS}/{set_id}")).raise_for_status()
    assert (await alice.client.get(f"{SETS}/{set_id}")).status_code == 404


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ({"question": "  "}, "question"),
        ({"question": "?", "expected": "maybe"}, "expected"),
        ({"question": "?", "must_cite": [{}]}, "must_cite"),
        ({"question": "?", "expected": "abstain", "must_cite": [{"title": "Refunds"}]}, "must_cite"),
        ({"question": "?", "must_contain": [""]}, "must_contain"),
    ],
)
async def test_a_case_that_nothing_can_meet_is_refused(case: dict[str, Any], field: str, alice: Person) -> None:
    """By the field that is wrong."""
    set_id = await new_set(alice)
    problem = (await alice.client.post(f"{SETS}/{set_id}/cases", json=case)).json()
    assert (problem["status"], problem["field"].split("[")[0]) == (400, field)


LINES: list[dict[str, Any]] = [
    {"question": "When does a refund come?", "must_contain": ["three days", "card"], "tags": ["money", "refund"]},
    {"question": "=Who is the president?", "expected": "abstain", "note": "asked\nby many"},
    {"question": "And then?", "history": [{"role": "user", "text": "When?"}, {"role": "assistant", "text": "Soon."}]},
    {"question": "Which?", "must_cite": [{"title": "A: b"}, {"source_key": "faq/a.md"}, {"document_id": str(OTHER)}]},
]


async def test_cases_come_and_go_as_lines_and_as_tables(alice: Person) -> None:
    """The same again after each round; only histories need lines."""
    source = await new_set(alice, *LINES)
    lines = (await alice.client.get(f"{SETS}/{source}/export")).raise_for_status().text
    table = (await alice.client.get(f"{SETS}/{source}/export", params={"format": "csv"})).raise_for_status().text
    whole = [EMPTY | line for line in LINES]
    for number, (form, content) in enumerate((("jsonl", lines), ("csv", table))):
        copy = await new_set(alice, name=f"Copy {number}")
        address = f"{SETS}/{copy}/import"
        expected = whole if form == "jsonl" else [case | {"history": []} for case in whole]
        for created, unchanged in ((4, 0), (0, 4)):
            taken = await alice.client.post(address, params={"format": form}, content=content.encode())
            assert taken.json() == {"created": created, "updated": 0, "unchanged": unchanged, "bad": []}
            assert await cases_in(alice, copy) == expected


BAD_LINES = """{"question": "WHEN  does a refund come?", "must_contain": ["soon"]}

{nonsense
{"question": "Why?", "expected": "maybe"}
{"question": "Why?", "nonsense": 1}
{"question": "Who?"}
"""


async def test_bad_lines_are_told_and_left_out(alice: Person) -> None:
    """A trial run tells the same and writes nothing; a known question gets the new expectation."""
    set_id = await new_set(alice, {"question": "When does a refund come?"})
    address = f"{SETS}/{set_id}/import"
    trial = await alice.client.post(address, params={"dry_run": "true"}, content=BAD_LINES.encode())
    assert await cases_in(alice, set_id) == [EMPTY | {"question": "When does a refund come?"}]
    taken = (await alice.client.post(address, content=BAD_LINES.encode())).raise_for_status().json()
    assert trial.json() == taken
    bad = [(each["line"], each["field"], each["code"]) for each in taken.pop("bad")]
    assert bad == [
        (3, "line 3", "invalid_input"),
        (4, "expected", "invalid_input"),
        (5, "nonsense", "invalid_input"),
    ]
    assert taken == {"created": 1, "updated": 1, "unchanged": 0}
    assert [case["must_contain"] for case in await cases_in(alice, set_id)] == [["soon"], []]
    table = "вопрос;ожидается\nКогда?;answer\nКто?;никогда\n"
    taken = (await alice.client.post(address, params={"format": "csv"}, content=table.encode())).json()
    assert (taken["created"], [(each["line"], each["field"]) for each in taken["bad"]]) == (1, [(3, "expected")])
    problem = (await alice.client.post(address, params={"format": "csv"}, content=b"answer\nYes\n")).json()
    assert (problem["status"], problem["field"]) == (400, "question")


async def test_past_answers_become_cases(library: Loaded, alice: Person, superuser: asyncpg.Connection) -> None:
    """With the history before the question, and the documents that were cited or that it did not know."""
    first = await ask(alice, "Сколько занимает доставка по Казани?")
    follow_up = await ask(alice, "А в другие города?", conversation_id=first["conversation_id"])
    unknown = await ask(alice, "Who is the president of the chess federation?")
    set_id = await new_set(alice)
    address = f"{SETS}/{set_id}/from-messages"
    body = {"message_ids": [follow_up["message_id"], unknown["message_id"]]}
    made = {"created": 2, "updated": 0, "unchanged": 0, "bad": []}
    assert (await alice.client.post(address, json=body)).json() == made
    cited = list(dict.fromkeys(each["document_id"] for each in follow_up["citations"]))
    history = [
        {"role": "user", "text": "Сколько занимает доставка по Казани?"},
        {"role": "assistant", "text": first["text"]},
    ]
    cases = await cases_in(alice, set_id)
    notes = [case.pop("note") for case in cases]
    assert "Доставка" in notes[0]
    same = {name: value for name, value in EMPTY.items() if name != "note"}
    assert cases == [
        same
        | {
            "question": "А в другие города?",
            "history": history,
            "must_cite": [{"document_id": document_id} for document_id in cited],
        },
        same | {"question": "Who is the president of the chess federation?", "expected": "abstain"},
    ]
    assert (await alice.client.post(address, json=body)).json() == made | {"created": 0, "unchanged": 2}
    said = (await alice.client.get(f"/api/v1/conversations/{first['conversation_id']}/messages")).json()["items"]
    assert (await alice.client.post(address, json={"message_ids": [said[0]["id"]]})).status_code == 404


async def test_an_analyst_only_reads_sets(alice: Person, bob: Person, superuser: asyncpg.Connection) -> None:
    """Runs cost money, and a case decides what is published."""
    set_id = await new_set(alice, {"question": "When?"})
    await superuser.execute("UPDATE memberships SET role = 'analyst' WHERE user_id = $1", bob.user_id)
    assert json.loads((await bob.client.get(f"{SETS}/{set_id}/export")).text)["question"] == "When?"
    for method, path in (("DELETE", ""), ("POST", "/runs"), ("POST", "/cases")):
        assert (await bob.client.request(method, f"{SETS}/{set_id}{path}", json={"question": "x"})).status_code == 403
