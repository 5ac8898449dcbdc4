"""Answers through the API: quoted from the documents with citations that can be looked up, or an honest refusal."""

import json
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import update

from asissto.ingestion.tables import Chunk, ChunkEmbedding, ChunkLexemes, Collection
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import text
from asissto.retrieval.evaluation import Loaded, SetPassage, load_passages
from people import Person

LIBRARY = {
    "Rental": "Renting a bicycle for a day costs twelve euros. The deposit is one hundred euros.",
    "Refunds": "A refund reaches the customer's bank card within three working days. Write to refunds@example.com.",
    "Доставка": "Доставка по Казани занимает два дня. Доставка в другие города занимает неделю.",
    "Гарантия": "Гарантия на электросамокаты составляет восемнадцать месяцев.",
}


def ignore(_label: str, _done: int, _total: int) -> None: ...


@pytest.fixture
async def library(services: Services, alice: Person) -> Loaded:
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in LIBRARY.items()]
    return await load_passages(services, alice.tenant_id, passages, ignore)


async def assistant_of(person: Person) -> str:
    response = await person.client.get("/api/v1/assistants")
    return str(response.raise_for_status().json()["items"][0]["id"])


async def post(person: Person, question: str, **more: Any) -> httpx.Response:
    address = f"/api/v1/assistants/{await assistant_of(person)}/ask"
    return await person.client.post(address, json={"question": question, **more})


async def ask(person: Person, question: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await post(person, question, **more)).raise_for_status().json()
    return answer


async def set_up(person: Person, **settings: Any) -> None:
    address = f"/api/v1/assistants/{await assistant_of(person)}"
    (await person.client.patch(address, json={"settings": settings})).raise_for_status()


async def receipt_of(person: Person, answer: dict[str, Any]) -> dict[str, Any]:
    address = f"/api/v1/conversations/{answer['conversation_id']}/messages/{answer['message_id']}/receipt"
    receipt: dict[str, Any] = (await person.client.get(address)).raise_for_status().json()
    return receipt


ANSWERED = {
    "What does it cost to rent a bicycle for a day?": ("Rental", "twelve euros", "en"),
    "When does a refund reach my bank card?": ("Refunds", "three working days", "en"),
    "Сколько занимает доставка по Казани?": ("Доставка", "два дня", "ru"),
    "Какая гарантия на электросамокат?": ("Гарантия", "восемнадцать месяцев", "ru"),
}


async def test_an_answer_quotes_the_documents(
    services: Services, library: Loaded, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Each mark has its citation, and each citation is the stored text between its offsets."""
    for question, (document, words, language) in ANSWERED.items():
        answer = await ask(alice, question)
        assert (answer["answered"], answer["mode"], answer["language"]) == (True, "quoted", language)
        assert words in answer["text"]
        assert answer["citations"][0]["document"] == document
        for number, citation in enumerate(answer["citations"], 1):
            stored = await superuser.fetchval(
                "SELECT text FROM document_versions WHERE id = $1 AND document_id = $2",
                UUID(citation["version_id"]),
                UUID(citation["document_id"]),
            )
            assert citation["number"] == number
            assert citation["quote"] == stored[citation["start"] : citation["end"]]
            assert f"{citation['quote']} [{number}]" in answer["text"]


@pytest.mark.parametrize(
    ("question", "language"),
    [("Who is the president of the chess federation?", "en"), ("Кто написал оперу про рыбака?", "ru")],
)
async def test_what_the_documents_do_not_say_is_not_answered(
    question: str, language: str, library: Loaded, alice: Person
) -> None:
    """It says so in the language of the question and cites nothing."""
    answer = await ask(alice, question)
    assert {key: answer[key] for key in ("answered", "mode", "text", "language", "citations")} == {
        "answered": False,
        "mode": "none",
        "text": text("answer.unknown", "ru" if language == "ru" else "en"),
        "language": language,
        "citations": [],
    }
    assert (await receipt_of(alice, answer))["outcome"] == "abstained"


@pytest.mark.parametrize(
    ("question", "code"), [("", "question_empty"), (" \n\t ", "question_empty"), ("a" * 4001, "question_too_long")]
)
async def test_a_question_that_is_none_is_refused(
    question: str, code: str, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Naming the field; no conversation begins."""
    response = await post(alice, question)
    problem = response.json()
    assert (response.status_code, problem["code"], problem["field"]) == (400, code, "question")
    assert await superuser.fetchval("SELECT count(*) FROM conversations") == 0


async def test_the_longest_question_is_answered(library: Loaded, alice: Person) -> None:
    """4,000 characters are a question still."""
    question = "When does a refund reach my bank card? ".ljust(4000, "x")
    assert (await post(alice, question)).status_code == 200


async def test_characters_that_cannot_be_stored_are_refused(library: Loaded, alice: Person) -> None:
    """With a sentence and not with an error of the server."""
    address = f"/api/v1/assistants/{await assistant_of(alice)}/ask"
    for question in (r"\u0000 refund", r"\ud800 refund"):
        response = await alice.client.post(
            address, content=f'{{"question": "{question}"}}', headers={"content-type": "application/json"}
        )
        assert response.status_code == 400, question


async def test_a_follow_up_leans_on_what_was_said(library: Loaded, alice: Person) -> None:
    """Alone it cannot be answered from the right document; in the conversation it can."""
    first = await ask(alice, "Сколько занимает доставка по Казани?")
    alone = await ask(alice, "А в другие города?")
    further = await ask(alice, "А сколько это стоит?", conversation_id=first["conversation_id"])
    followed = await ask(alice, "А в другие города?", conversation_id=first["conversation_id"])
    assert followed["conversation_id"] == further["conversation_id"] == first["conversation_id"]
    assert alone["conversation_id"] != first["conversation_id"]
    assert followed["answered"]
    assert "неделю" in followed["text"]


async def test_a_conversation_keeps_what_was_said(library: Loaded, alice: Person) -> None:
    """Questions and answers in their order, each answer with its citations."""
    questions = ["When does a refund reach my bank card?", "Сколько занимает доставка по Казани?"]
    first = await ask(alice, questions[0])
    second = await ask(alice, questions[1], conversation_id=first["conversation_id"])
    messages = (await alice.client.get(f"/api/v1/conversations/{first['conversation_id']}/messages")).json()["items"]
    said = [(message["sender_kind"], message["content"]) for message in messages]
    assert said == [
        ("user", questions[0]),
        ("assistant", first["text"]),
        ("user", questions[1]),
        ("assistant", second["text"]),
    ]
    assert messages[0]["sender_id"] == str(alice.user_id)
    quotes = [[each["quote"] for each in message["citations"]] for message in messages]
    cited = [[each["quote"] for each in answer["citations"]] for answer in (first, second)]
    assert quotes == [[], cited[0], [], cited[1]]


async def test_a_conversation_of_somebody_else_cannot_be_continued(
    library: Loaded, alice: Person, charlie: Person
) -> None:
    """Nor one that is not there, nor one with another assistant."""
    foreign = (await ask(charlie, "Hello, is anybody there?"))["conversation_id"]
    for conversation_id in (foreign, str(uuid4())):
        response = await post(alice, "When does a refund come?", conversation_id=conversation_id)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    mine = (await ask(alice, "When does a refund come?"))["conversation_id"]
    other = (await alice.client.post("/api/v1/assistants", json={"name": "Other"})).raise_for_status().json()["id"]
    body = {"question": "When does a refund come?", "conversation_id": mine}
    assert (await alice.client.post(f"/api/v1/assistants/{other}/ask", json=body)).status_code == 404
    assert (await charlie.client.post(f"/api/v1/assistants/{other}/ask", json=body)).status_code == 404


async def test_every_answer_has_a_receipt(library: Loaded, alice: Person) -> None:
    """What was asked and found with which scores, how sure the answer is, and where the time went."""
    question = "When does a refund reach my bank card?"
    answer = await ask(alice, question)
    receipt = await receipt_of(alice, answer)
    assert {key: receipt[key] for key in ("message_id", "question", "outcome", "confidence", "usage")} == {
        "message_id": answer["message_id"],
        "question": question,
        "outcome": "answered",
        "confidence": answer["confidence"],
        "usage": [],
    }
    titles = [passage["title"] for passage in receipt["passages"]]
    assert titles[0] == "Refunds"
    fused = [passage["scores"]["fused"] for passage in receipt["passages"]]
    assert fused == sorted(fused, reverse=True)
    assert receipt["passages"][0]["scores"].keys() == {"lexical", "dense", "fused", "rerank"}
    assert {"embed", "search", "read", "total"} <= receipt["timings"].keys()
    assert receipt["timings"]["total"] == answer["latency_ms"] > 0


async def events(person: Person, question: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of each event of the stream."""
    address = f"/api/v1/assistants/{await assistant_of(person)}/ask"
    headers = {"accept": "text/event-stream", "accept-language": "ru"}
    response = await person.client.post(address, json={"question": question}, headers=headers)
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in response.text.split("\r\n\r\n") if block
    ]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


async def test_a_stream_ends_with_the_whole_answer(library: Loaded, alice: Person) -> None:
    """The same as without a stream, and stored as well."""
    question = "When does a refund reach my bank card?"
    ((name, final),) = await events(alice, question)
    plain = await ask(alice, question)
    own = ("conversation_id", "message_id", "latency_ms")
    assert name == "final"
    assert {key: final[key] for key in final if key not in own} == {key: plain[key] for key in plain if key not in own}
    assert (await receipt_of(alice, final))["question"] == question


async def test_an_error_before_the_stream_is_a_status(alice: Person) -> None:
    """What is wrong with the question is told as ever."""
    address = f"/api/v1/assistants/{await assistant_of(alice)}/ask"
    response = await alice.client.post(address, json={"question": ""}, headers={"accept": "text/event-stream"})
    assert (response.status_code, response.json()["code"]) == (400, "question_empty")


async def test_an_error_inside_the_stream_is_an_event(alice: Person) -> None:
    """In the language of the caller, because the status is sent already."""
    address = f"/api/v1/assistants/{uuid4()}/ask"
    headers = {"accept": "text/event-stream", "accept-language": "ru"}
    response = await alice.client.post(address, json={"question": "Hello?"}, headers=headers)
    assert "event: error" in response.text
    assert "Не найдено: ассистент." in response.text


async def test_characters_that_cannot_be_stored_end_a_stream_with_an_event(library: Loaded, alice: Person) -> None:
    """As they are refused where there is still a status."""
    name, data = (await events(alice, "When does a refund\x00 reach my bank card?"))[-1]
    assert (name, data["code"]) == ("error", "invalid_input")


async def test_certainty_can_be_set(library: Loaded, alice: Person) -> None:
    """At 1 nothing is sure enough; at 0 the best quote is given, however bad."""
    await set_up(alice, least_confidence=1)
    assert not (await ask(alice, "When does a refund reach my bank card?"))["answered"]
    await set_up(alice, least_confidence=0)
    assert (await ask(alice, "Who is the president of the chess federation?"))["answered"]


async def test_the_words_for_not_knowing_can_be_set(library: Loaded, alice: Person) -> None:
    """They take the place of ours in every language."""
    await set_up(alice, unknown_text="Позвоните нам: 123.")
    for question in ("Who is the president of the chess federation?", "Кто написал оперу про рыбака?"):
        answer = await ask(alice, question)
        assert (answer["answered"], answer["text"]) == (False, "Позвоните нам: 123.")


async def test_an_assistant_answers_from_its_collections(services: Services, library: Loaded, alice: Person) -> None:
    """What lies elsewhere it does not know."""
    question = "When does a refund reach my bank card?"
    empty = Collection(tenant_id=alice.tenant_id, id=new_id(), name="Empty")
    async with services.database.tenant(alice.tenant_id) as session:
        session.add(empty)
    assert (await ask(alice, question))["answered"]
    await set_up(alice, collections=[str(empty.id)])
    answer = await ask(alice, question)
    assert (answer["answered"], (await receipt_of(alice, answer))["passages"]) == (False, [])
    async with services.database.tenant(alice.tenant_id) as session:
        for table in (Chunk, ChunkLexemes, ChunkEmbedding):
            await session.execute(update(table).values(collection_id=empty.id))
    assert (await ask(alice, question))["answered"]
    await set_up(alice, collections=None)
    assert (await ask(alice, question))["answered"]


async def test_an_answer_outlives_its_document(library: Loaded, alice: Person) -> None:
    """The conversation still shows the quote; the next answer does not know it any more."""
    question = "When does a refund reach my bank card?"
    before = await ask(alice, question)
    for citation in before["citations"]:
        await alice.client.delete(f"/api/v1/documents/{citation['document_id']}")
    after = await ask(alice, question)
    assert "three working days" not in after["text"]
    messages = (await alice.client.get(f"/api/v1/conversations/{before['conversation_id']}/messages")).json()["items"]
    assert [each["quote"] for each in messages[1]["citations"]] == [each["quote"] for each in before["citations"]]


async def test_a_citation_opens_as_the_passage_in_its_document(library: Loaded, alice: Person) -> None:
    """With what stands around it; the quote alone is left when the document is gone."""
    answer = await ask(alice, "When does a refund reach my bank card?")
    address = f"/api/v1/conversations/{answer['conversation_id']}/messages/{answer['message_id']}/citations"
    cited = answer["citations"][0]
    opened = (await alice.client.get(f"{address}/1")).raise_for_status().json()
    assert opened["before"] + opened["quote"] + opened["after"].rstrip() == LIBRARY["Refunds"]
    assert (opened["title"], opened["start"], opened["current"]) == ("Refunds", cited["start"], True)
    assert (await alice.client.get(f"{address}/9")).status_code == 404
    await alice.client.delete(f"/api/v1/documents/{cited['document_id']}")
    alone = (await alice.client.get(f"{address}/1")).raise_for_status().json()
    assert alone == {**opened, "before": "", "after": "", "current": False}


async def test_a_quoted_answer_stands_on_no_more_passages_than_set(
    services: Services, alice: Person, library: Loaded
) -> None:
    """As a generated one does."""
    shops = {town: f"On Saturday the shop in {town} opens at {hour}." for town, hour in (("Bern", 9), ("Rome", 10))}
    passages = [SetPassage(id=town, doc=town, title=town, text=body) for town, body in shops.items()]
    await load_passages(services, alice.tenant_id, passages, ignore)
    question = "When does the shop open on Saturday?"
    assert {each["document"] for each in (await ask(alice, question))["citations"]} == set(shops)
    await set_up(alice, passages=1)
    assert len({each["document"] for each in (await ask(alice, question))["citations"]}) == 1
