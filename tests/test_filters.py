"""Tags, metadata and audience: what a filter leaves stands as it stood without, and nothing else is found."""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from asissto.ingestion.labels import DocumentFilter, Value
from asissto.ingestion.tables import Document
from asissto.platform.services import Services
from asissto.retrieval.evaluation import Loaded, SetPassage, load_passages
from asissto.retrieval.passages import Passage
from asissto.retrieval.rewriting import follow_up_terms
from asissto.retrieval.scopes import Scope
from asissto.retrieval.search import Query, search
from people import Person
from test_answers import ask, assistant_of, post, receipt_of, set_up
from test_ingestion import collection_of, publish, send, shown, work

WORDS = (
    *("bicycle", "pump", "deposit", "refund", "courier", "winter", "storage", "key", "rental", "helmet"),
    *("велосипед", "склад", "курьер", "возврат", "залог"),
)
TAGS = ("price", "rules", "склад")


def ignore(_label: str, _done: int, _total: int) -> None: ...


def invented(chance: random.Random, count: int) -> Iterator[SetPassage]:
    for number in range(count):
        text = " ".join(chance.choices(WORDS, k=chance.randint(4, 20))).capitalize() + "."
        yield SetPassage(id=str(number), doc=str(number), text=text)


async def label(services: Services, loaded: Loaded, chance: random.Random) -> dict[UUID, Document]:
    """Writes random labels on all documents and gives them back."""
    async with services.database.tenant(loaded.scope.tenant_id) as session:
        documents = {document_id: await session.get_one(Document, (loaded.scope.tenant_id, document_id))
                     for document_id in await ids(services, loaded.scope)}  # fmt: skip
        for document in documents.values():
            document.tags = chance.sample(TAGS, chance.randint(0, 2))
            document.metadata_ = {"year": chance.choice((2025, 2026)), "public": chance.random() < 0.5}
            document.audience = chance.choice(([], [], ["staff"], ["partners", "staff"]))
    return documents


async def ids(services: Services, scope: Scope) -> list[UUID]:
    return sorted({passage.document_id for passage in await find(services, scope, " ".join(WORDS))})


async def find(
    services: Services,
    scope: Scope,
    question: str,
    *filters: DocumentFilter,
    audience: Sequence[str] = ("staff", "partners"),
) -> tuple[Passage, ...]:
    """By words and by meaning, as many as there are."""
    (vector,) = await services.embedder.embed([question])
    terms = follow_up_terms(question, [])
    query = Query(
        terms=terms,
        vector=vector,
        space_id=scope.space.id,
        collections=None,
        wanted=200,
        filters=filters,
        audience=audience,
    )
    async with services.database.tenant(scope.tenant_id) as session:
        return (await search(session, scope.tenant_id, scope.tenant_number, query)).passages


def random_filter(chance: random.Random) -> DocumentFilter:
    values: dict[str, Value] = {"year": chance.choice((2025, 2026)), "public": chance.random() < 0.5}
    some = [chance.sample(TAGS, chance.choice((0, 0, 1, 2))) for _ in range(3)]
    metadata = {name: value for name, value in values.items() if chance.random() < 0.3}
    return DocumentFilter(tags_any=some[0], tags_all=some[1][:1], tags_none=some[2][:1], metadata=metadata)


def allows(wanted: DocumentFilter, document: Document) -> bool:
    """The same rules once more, in Python."""
    tags, values = set(document.tags), document.metadata_
    return (
        (not wanted.tags_any or bool(tags & set(wanted.tags_any)))
        and tags >= set(wanted.tags_all)
        and not tags & set(wanted.tags_none)
        and all(values.get(name) == value for name, value in wanted.metadata.items())
    )


@pytest.mark.parametrize("seed", range(3))
async def test_a_filter_gives_the_same_ranking_without_the_others(seed: int, services: Services, alice: Person) -> None:
    """Same order, same scores, for random documents, labels, filters, audiences and questions."""
    chance = random.Random(seed)
    loaded = await load_passages(services, alice.tenant_id, list(invented(chance, 40)), ignore)
    documents = await label(services, loaded, chance)
    narrowed = 0
    for _ in range(12):
        question = " ".join(chance.choices(WORDS, k=3))
        filters = [random_filter(chance) for _ in range(chance.randint(1, 2))]
        audience = chance.choice(((), ("partners",), ("staff",), ("guests",)))
        ranked = await find(services, loaded.scope, question)
        kept = tuple(
            passage
            for passage in ranked
            for document in [documents[passage.document_id]]
            if all(allows(each, document) for each in filters)
            and (not document.audience or set(document.audience) & set(audience))
        )
        assert await find(services, loaded.scope, question, *filters, audience=audience) == kept
        narrowed += 0 < len(kept) < len(ranked)
    assert narrowed >= 4, "the filters of this seed prove nothing"


LIBRARY = {
    "Retail": "Renting a bicycle for a day costs twelve euros.",
    "Wholesale": "Renting a bicycle for a day costs seven euros for partners.",
}
QUESTION = "What does renting a bicycle for a day cost?"


@pytest.fixture
async def library(services: Services, alice: Person) -> dict[str, str]:
    """The ids of two documents that answer the same question."""
    return {name: (await publish(services, alice, f"{name}.txt", text))["id"] for name, text in LIBRARY.items()}


async def change(person: Person, document_id: str, **labels: Any) -> dict[str, Any]:
    response = await person.client.patch(f"/api/v1/documents/{document_id}", json=labels)
    document: dict[str, Any] = response.raise_for_status().json()
    return document


async def titles(person: Person, **more: Any) -> set[str]:
    """Of the documents that an answer was looked for in."""
    answer = await ask(person, QUESTION, **more)
    passages = (await receipt_of(person, answer))["passages"]
    return {passage["title"] for passage in passages}


async def test_labels_are_written_and_read(
    library: dict[str, str], alice: Person, superuser: asyncpg.Connection
) -> None:
    """Tags in small letters, each once; what is left out stays. The audit trail has each change as it was sent."""
    await change(alice, library["Retail"], tags=[" Цены  проката", "PRICE", "price"], metadata={"year": 2026})
    await change(alice, library["Retail"], audience=["Staff"])
    document = await shown(alice, library["Retail"])
    assert {name: document[name] for name in ("tags", "metadata", "audience")} == {
        "tags": ["цены проката", "price"],
        "metadata": {"year": 2026},
        "audience": ["staff"],
    }
    changes = "SELECT object_id, changes::jsonb FROM audit_log WHERE action = 'documents.update' ORDER BY id"
    assert [(str(row[0]), json.loads(row[1])) for row in await superuser.fetch(changes)] == [
        (library["Retail"], {"tags": [" Цены  проката", "PRICE", "price"], "metadata": {"year": 2026}}),
        (library["Retail"], {"audience": ["Staff"]}),
    ]


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"tags": [" "]}, "tags"),
        ({"tags": ["a, b"]}, "tags"),
        ({"tags": ["x" * 65]}, "tags[0]"),
        ({"tags": [str(number) for number in range(51)]}, "tags"),
        ({"audience": ["\t"]}, "audience"),
        ({"metadata": {"deep": {"er": 1}}}, "metadata[...]"),
        ({"metadata": {"": 1}}, "metadata"),
        ({"metadata": {str(number): number for number in range(51)}}, "metadata"),
        ({"title": "New"}, "title"),
    ],
)
async def test_labels_that_are_none_are_refused(
    labels: dict[str, Any], field: str, library: dict[str, str], alice: Person, superuser: asyncpg.Connection
) -> None:
    """Naming the field; nothing is written."""
    response = await alice.client.patch(f"/api/v1/documents/{library['Retail']}", json=labels)
    assert (response.status_code, response.json()["code"], response.json()["field"]) == (400, "invalid_input", field)
    assert await superuser.fetchval("SELECT count(*) FROM documents WHERE tags <> '{}' OR audience <> '{}'") == 0


async def test_labels_come_with_the_file(services: Services, alice: Person) -> None:
    """Also with content that is known already; an upload without labels leaves them alone."""
    address = f"/api/v1/collections/{await collection_of(alice)}/documents"
    query = {"name": "a.txt", "tags": ["Price", "rules"], "metadata": '{"year": 2026}', "audience": "staff"}
    first = (await alice.client.post(address, params=query, content=b"Text.")).raise_for_status().json()
    assert (first["tags"], first["metadata"], first["audience"]) == (["price", "rules"], {"year": 2026}, ["staff"])
    again = await alice.client.post(address, params={"name": "a.txt", "tags": "new"}, content=b"Text.")
    assert (again.json()["tags"], again.json()["metadata"], again.json()["id"]) == (
        ["new"],
        {"year": 2026},
        first["id"],
    )
    assert (await send(alice, "a.txt", "Other text.")).json()["tags"] == ["new"]
    refused = await alice.client.post(address, params={"name": "b.txt", "metadata": "[1]"}, content=b"Text.")
    assert (refused.status_code, refused.json()["field"]) == (400, "metadata")


async def test_lists_can_be_narrowed(services: Services, library: dict[str, str], alice: Person) -> None:
    """By tag, metadata, state, words of the title and kind, one or together."""
    await change(alice, library["Retail"], tags=["price", "rules"], metadata={"year": 2026, "public": True})
    await change(alice, library["Wholesale"], tags=["price"], metadata={"year": 2025})
    await publish(services, alice, "Ошибка.txt", " \n")

    async def names(**query: str) -> set[str]:
        response = await alice.client.get("/api/v1/documents", params=query)
        return {document["title"] for document in response.raise_for_status().json()["items"]}

    assert await names() == {"Retail", "Wholesale", "Ошибка"}
    assert await names(tag="Price") == {"Retail", "Wholesale"}
    assert await names(tag="rules") == {"Retail"}
    assert await names(metadata='{"year": 2025}') == {"Wholesale"}
    assert await names(metadata='{"year": 2026, "public": true}') == {"Retail"}
    assert await names(state="failed") == {"Ошибка"}
    assert await names(q="ОШИБ") == {"Ошибка"}
    assert await names(q="%") == set()
    assert await names(tag="price", q="whole") == {"Wholesale"}
    assert await names(kind="pair") == set()
    assert await names(kind="all") == {"Retail", "Wholesale", "Ошибка"}


async def test_an_assistant_uses_the_documents_of_its_filter(library: dict[str, str], alice: Person) -> None:
    """A change of a tag counts from the next question on."""
    await change(alice, library["Retail"], tags=["retail"])
    await set_up(alice, filter={"tags_any": ["Retail"]})
    assert await titles(alice) == {"Retail"}
    await change(alice, library["Wholesale"], tags=["retail", "wholesale"])
    assert await titles(alice) == {"Retail", "Wholesale"}
    await set_up(alice, filter={"tags_any": ["retail"], "tags_none": ["wholesale"]})
    assert await titles(alice) == {"Retail"}
    await set_up(alice)
    assert await titles(alice) == {"Retail", "Wholesale"}


async def test_a_question_narrows_and_never_widens(library: dict[str, str], alice: Person) -> None:
    """What the assistant may not use stays out of reach, whatever is asked for."""
    await change(alice, library["Retail"], tags=["retail"], metadata={"year": 2026})
    await change(alice, library["Wholesale"], tags=["wholesale"], metadata={"year": 2026})
    assert await titles(alice, filter={"tags_all": ["wholesale"]}) == {"Wholesale"}
    await set_up(alice, filter={"tags_any": ["retail"]})
    assert await titles(alice, filter={"metadata": {"year": 2026}}) == {"Retail"}
    assert await titles(alice, filter={"tags_any": ["wholesale"]}) == set()
    assert await titles(alice, filter={"metadata": {"year": 2025}}) == set()


async def test_a_document_with_an_audience_is_found_for_it_alone(library: dict[str, str], alice: Person) -> None:
    """Either the assistant speaks for it or the caller says who asks."""
    await change(alice, library["Wholesale"], audience=["Partners", "staff"])
    assert await titles(alice) == {"Retail"}
    assert await titles(alice, audience=["guests"]) == {"Retail"}
    assert await titles(alice, audience=["PARTNERS"]) == {"Retail", "Wholesale"}
    assert await titles(alice, filter={"tags_none": ["x"]}) == {"Retail"}
    await set_up(alice, audience=["staff"])
    assert await titles(alice) == {"Retail", "Wholesale"}
    await set_up(alice)
    await change(alice, library["Wholesale"], audience=[])
    assert await titles(alice) == {"Retail", "Wholesale"}


async def test_a_filter_that_is_none_is_refused(library: dict[str, str], alice: Person) -> None:
    """A misspelt name must not open everything."""
    response = await post(alice, QUESTION, filter={"tag_any": ["retail"]})
    assert (response.status_code, response.json()["field"]) == (400, "filter.tag_any")
    address = f"/api/v1/assistants/{await assistant_of(alice)}"
    settings = {"filter": {"tags": ["retail"]}}
    assert (await alice.client.patch(address, json={"settings": settings})).status_code == 400


async def test_a_new_version_keeps_what_is_written_on_the_document(
    services: Services, library: dict[str, str], alice: Person
) -> None:
    """Its passages are found by the same filter."""
    await change(alice, library["Retail"], tags=["retail"])
    await send(alice, "Retail.txt", "Renting a bicycle for a day costs thirteen euros.")
    await work(services)
    answer = await ask(alice, QUESTION, filter={"tags_any": ["retail"]})
    assert "thirteen" in answer["text"]
