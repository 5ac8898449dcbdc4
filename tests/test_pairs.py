"""Questions with approved answers: they win over prose, they are published like documents, and go as surely."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from numpy.typing import NDArray

from asissto.ingestion.chunking import chunk
from asissto.ingestion.pair_csv import read_table, write_table
from asissto.ingestion.pair_text import pair_text, parse_pair, question_key
from asissto.platform.chat import make_chat_model
from asissto.platform.errors import ProviderError
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.retrieval.answering import answer_question
from asissto.retrieval.scopes import whole_workspace
from openai_peer import OpenAIPeer
from people import Person
from test_answers import ask, receipt_of, set_up
from test_ingestion import NOTHING, CountingEmbedder, check_consistency, collection_of, counts, publish, work

QUESTION = "Сколько стоит доставка по Казани?"
ANSWER = "Доставка по Казани стоит 300 рублей.\n\nПри заказе от 5 000 рублей она бесплатна: скажите об этом курьеру."
PROSE = "Сколько стоит доставка по Казани? Доставка по Казани стоит 450 рублей, сколько бы ни стоил заказ."


async def post(person: Person, **pair: Any) -> httpx.Response:
    body = {"collection_id": await collection_of(person), "question": QUESTION, "answer": ANSWER, **pair}
    return await person.client.post("/api/v1/pairs", json=body)


async def write(services: Services, person: Person, **pair: Any) -> dict[str, Any]:
    """The pair as the API shows it after the worker is done."""
    made = (await post(person, **pair)).raise_for_status().json()
    await work(services)
    return await read(person, made["id"])


async def read(person: Person, pair_id: str) -> dict[str, Any]:
    pair: dict[str, Any] = (await person.client.get(f"/api/v1/pairs/{pair_id}")).raise_for_status().json()
    return pair


async def change(services: Services, person: Person, pair_id: str, **changes: Any) -> dict[str, Any]:
    (await person.client.patch(f"/api/v1/pairs/{pair_id}", json=changes)).raise_for_status()
    await work(services)
    return await read(person, pair_id)


async def listed(person: Person, **query: str) -> list[str]:
    response = await person.client.get("/api/v1/pairs", params=query)
    return [pair["question"] for pair in response.raise_for_status().json()["items"]]


async def stored_quote(connection: asyncpg.Connection, citation: dict[str, Any]) -> str:
    """What stands at the place of the citation."""
    text = await connection.fetchval("SELECT text FROM document_versions WHERE id = $1", UUID(citation["version_id"]))
    return str(text)[citation["start"] : citation["end"]]


SAME = {
    "as it was written": QUESTION,
    "without its mark": "Сколько стоит доставка по Казани",
    "loudly": "СКОЛЬКО СТОИТ ДОСТАВКА ПО КАЗАНИ?!!",
    "with quotation marks": "«Сколько стоит доставка по Казани?»",
    "with a greeting": "Здравствуйте! Подскажите, пожалуйста, сколько стоит доставка по Казани? Спасибо.",
    "with another greeting": "Добрый день, сколько стоит доставка по Казани…",
    "with spaces": "  сколько  стоит\tдоставка\nпо  Казани ? ",
    "in other words": "Цена доставки в Казани?",
}


@pytest.mark.parametrize("case", SAME)
async def test_the_same_question_gets_the_whole_answer(
    case: str, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """However it is typed, with one citation that can be looked up, and also beside prose that says it better."""
    pair = await write(services, alice, variants=["Цена доставки в Казани"])
    await publish(services, alice, "prices.txt", PROSE)
    answer = await ask(alice, SAME[case])
    expected = {"answered": True, "mode": "pair", "confidence": 1.0, "language": "ru", "text": f"{ANSWER} [1]"}
    assert {name: answer[name] for name in expected} == expected
    (citation,) = answer["citations"]
    assert (citation["document"], citation["document_id"]) == (QUESTION, pair["document_id"])
    assert citation["quote"] == await stored_quote(superuser, citation) == ANSWER
    receipt = await receipt_of(alice, answer)
    assert [(line["kind"], line["title"]) for line in receipt["passages"]] == [("pair", QUESTION)]
    assert receipt["timings"].keys() == {"pair", "total"}


ENGLISH = {
    "What are your opening hours?": "what are your opening hours",
    "Hi! What’s the price of “Pro”?": 'what\'s the price of "pro"',
    "Do you sell C++ books?": "Please, do you sell C++ books",
    "How do I pay?": "Good morning. How do I pay, please?",
}


async def test_english_questions_are_the_same_too(services: Services, alice: Person) -> None:
    """With curly quotes and straight ones."""
    for written, asked in ENGLISH.items():
        await write(services, alice, question=written, answer=f"The answer to: {written}")
        assert (await ask(alice, asked))["text"] == f"The answer to: {written} [1]"


DIFFERENT = [
    ("Do you sell C books?", "Do you sell C++ books?"),
    ("Как хранить при 5 °C?", "Как хранить при -5 °C?"),
    ("Сколько стоит 1,5 кг?", "Сколько стоит 15 кг?"),
    ("Сколько стоит доставка?", "Сколько не стоит доставка?"),
    ("Скидка 5 рублей?", "Скидка 5 %?"),
    ("Where is the shop?", "Where is the shop in Kazan?"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_question_is_another(one: str, other: str) -> None:
    """A sign or a word more is not the same question."""
    assert question_key(one) != question_key(other)


def test_a_question_without_words_is_none() -> None:
    """A greeting alone is one, though."""
    assert [question_key(text) for text in ("", "?!", " … ", "—", "%")] == [None] * 5
    assert question_key("Здравствуйте!") == question_key("здравствуйте") is not None


async def test_a_question_in_other_words_finds_the_answer(services: Services, alice: Person) -> None:
    """As a passage among others, found by the words of the question, which are not part of the quote."""
    await write(services, alice, question="Как вернуть самокат?", answer="Привезите его в пункт проката до 20:00.")
    answer = await ask(alice, "Куда возвращать самокаты, которые взяли?")
    passage = (await receipt_of(alice, answer))["passages"][0]
    assert (passage["title"], passage["kind"]) == ("Как вернуть самокат?", "text")
    assert answer["mode"] != "pair"
    assert all("вернуть" not in citation["quote"] for citation in answer["citations"])


class Unreachable(CountingEmbedder):
    """An embedder whose provider is down."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise ProviderError(permanent=False, reason=f"cannot embed {len(texts)} texts")


async def test_a_model_does_not_rewrite_an_approved_answer(services: Services, alice: Person) -> None:
    """It is not even asked, and the answer needs no embedder either."""
    await write(services, alice)
    scope = await whole_workspace(services, alice.tenant_id)
    async with OpenAIPeer() as peer:
        model = make_chat_model(Settings(openai_api_key="sk-secret", openai_base_url=peer.base_url), "qwen3")
        assert model is not None
        connected = structs.replace(services, chat=model, embedder=Unreachable(services.embedder))
        answer = await answer_question(connected, scope, QUESTION, [])
        await model.close()
        assert (answer.text, answer.mode, peer.requests) == (f"{ANSWER} [1]", "pair", [])


def test_passages_of_a_pair_are_cut_from_its_answer() -> None:
    """The question and its variants, whole, are what each of them is found by."""
    long = "Где " + "очень " * 40 + "далеко?"
    answer = " ".join(f"Предложение номер {number} рассказывает о прокате велосипедов." for number in range(60))
    text = pair_text([long, "Вариант"], answer)
    passages = chunk(parse_pair(text))
    assert len(passages) > 1
    assert {passage.header for passage in passages} == {f"{long}\nВариант"}
    assert text[passages[0].start : passages[-1].end] == answer


async def test_a_pair_is_a_document_of_its_own_kind(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """It is shown among pairs and not among files, and is counted like them."""
    pair = await write(services, alice, tags=["Доставка"], variants=["Цена доставки?", "цена доставки"])
    expected = {
        "question": QUESTION,
        "answer": ANSWER,
        "variants": ["Цена доставки?"],
        "tags": ["доставка"],
        "searchable": True,
        "source_document_id": None,
    }
    assert {name: pair[name] for name in expected} == expected
    files = (await alice.client.get("/api/v1/documents")).json()["items"]
    pairs = (await alice.client.get("/api/v1/documents", params={"kind": "pair"})).json()["items"]
    assert (files, [(each["id"], each["title"], each["state"]) for each in pairs]) == (
        [],
        [(pair["document_id"], QUESTION, "ready")],
    )
    await check_consistency(superuser)


async def test_pairs_can_be_looked_through(services: Services, alice: Person) -> None:
    """By collection, by tag, and by letters of question or answer."""
    other = (await alice.client.post("/api/v1/collections", json={"name": "Other"})).json()["id"]
    await post(alice, question="Первый вопрос?", answer="Синий.", tags=["цвет"])
    await post(alice, question="Второй вопрос?", answer="Круглый.")
    await post(alice, question="Третий вопрос?", answer="Красный.", tags=["цвет"], collection_id=other)
    assert await listed(alice) == ["Первый вопрос?", "Второй вопрос?", "Третий вопрос?"]
    assert await listed(alice, collection_id=other) == ["Третий вопрос?"]
    assert await listed(alice, tag="Цвет") == ["Первый вопрос?", "Третий вопрос?"]
    assert await listed(alice, q="КРУГ") == ["Второй вопрос?"]
    assert await listed(alice, q="второй") == ["Второй вопрос?"]
    assert await listed(alice, q="_") == []


async def test_a_new_wording_takes_the_place_of_the_old_one(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The old question is no longer known, and what has cited the old answer still finds its words."""
    pair = await write(services, alice)
    before = (await ask(alice, QUESTION))["citations"][0]
    changed = await change(services, alice, pair["id"], question="Почём доставка?", answer="200 рублей.")
    assert (changed["question"], changed["answer"], changed["document_id"]) == (
        "Почём доставка?",
        "200 рублей.",
        pair["document_id"],
    )
    assert (await ask(alice, "почем доставка"))["text"] == "200 рублей. [1]"
    assert (await ask(alice, QUESTION))["mode"] != "pair"
    assert await stored_quote(superuser, before) == ANSWER
    assert await superuser.fetchval("SELECT count(*) FROM pair_keys") == 1
    await check_consistency(superuser)


async def test_between_change_and_publication_nothing_is_mixed(services: Services, alice: Person) -> None:
    """The new question does not get the old answer."""
    pair = await write(services, alice)
    body = {"question": "Можно ли с собакой?", "answer": "Да, на поводке."}
    (await alice.client.patch(f"/api/v1/pairs/{pair['id']}", json=body)).raise_for_status()
    assert (await ask(alice, "Можно ли с собакой?"))["mode"] != "pair"
    await work(services)
    assert (await ask(alice, "Можно ли с собакой?"))["text"] == "Да, на поводке. [1]"


async def test_a_change_of_nothing_is_no_work(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """A change of tags alone writes them and makes no version."""
    pair = await write(services, alice)
    before = await superuser.fetchval("SELECT count(*) FROM jobs")
    changed = await change(services, alice, pair["id"], question=f" {QUESTION} ", answer=ANSWER, tags=["New"])
    assert changed == {**pair, "tags": ["new"]}
    assert await superuser.fetchval("SELECT count(*) FROM jobs") == before


async def test_two_pairs_do_not_answer_one_question(services: Services, alice: Person) -> None:
    """The problem names the pair that is there; another collection may answer in its own way."""
    pair = await write(services, alice, variants=["Цена доставки?"])
    for refused in (
        await post(alice, question="сколько стоит доставка по казани"),
        await post(alice, question="Другое?", variants=["ЦЕНА ДОСТАВКИ"]),
    ):
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["field"]) == (409, "pair_exists", "question")
        assert pair["id"] in problem["detail"]
    second = await write(services, alice, question="Другое?")
    address = f"/api/v1/pairs/{second['id']}"
    assert (await alice.client.patch(address, json={"variants": ["цена доставки!"]})).status_code == 409
    other = (await alice.client.post("/api/v1/collections", json={"name": "Other"})).json()["id"]
    assert (await post(alice, collection_id=other)).status_code == 201


async def test_of_two_at_once_one_comes_first(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """The same question twice is one pair, and two changes leave the phrasings of the later one."""
    both = await asyncio.gather(post(alice), post(alice, answer="Ещё ответ."))
    assert sorted(response.status_code for response in both) == [201, 409]
    (pair,) = (await alice.client.get("/api/v1/pairs")).json()["items"]
    changes = [{"question": "Первый вариант?"}, {"question": "Второй вариант?", "variants": ["Третий?"]}]
    address = f"/api/v1/pairs/{pair['id']}"
    await asyncio.gather(*(alice.client.patch(address, json=change) for change in changes))
    await work(services)
    kept = await read(alice, pair["id"])
    keys = [row[0] for row in await superuser.fetch("SELECT key FROM pair_keys ORDER BY 1")]
    assert keys == sorted(filter(None, map(question_key, (kept["question"], *kept["variants"]))))
    await check_consistency(superuser)


@pytest.mark.parametrize(
    ("pair", "field"),
    [
        ({"question": ""}, "question"),
        ({"question": " ?! "}, "question"),
        ({"answer": " \n "}, "answer"),
        ({"variants": ["—"]}, "variants"),
        ({"tags": [","]}, "tags"),
        ({"question": "x" * 501}, "question"),
        ({"variants": [f"{number}?" for number in range(21)]}, "variants"),
    ],
)
async def test_a_pair_that_is_none_is_refused(
    pair: dict[str, Any], field: str, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Naming the field; nothing is left behind."""
    response = await post(alice, **pair)
    assert (response.status_code, response.json()["field"]) == (400, field)
    assert await counts(superuser) == NOTHING


async def test_a_deleted_pair_leaves_nothing(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """It answers no more from that moment on, whether it is deleted as a pair or as a document."""
    for delete in ("pairs/{id}", "documents/{document_id}"):
        pair = await write(services, alice)
        assert (await alice.client.delete(f"/api/v1/{delete.format(**pair)}")).status_code == 204
        assert (await ask(alice, QUESTION))["answered"] is False
        assert (await alice.client.get(f"/api/v1/pairs/{pair['id']}")).status_code == 404
        assert await counts(superuser) == NOTHING
        assert await superuser.fetchval("SELECT count(*) FROM pairs") == 0
        assert await superuser.fetchval("SELECT count(*) FROM pair_keys") == 0
    await work(services)
    states = await superuser.fetch("SELECT DISTINCT state FROM jobs WHERE run_at <= now()")
    assert [row[0] for row in states] == ["done"]


@pytest.mark.parametrize("address", ["documents/{document}", "collections/{collection}"])
async def test_pairs_go_with_what_they_were_made_from(
    address: str, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Their passages and counts as well."""
    document = (await publish(services, alice, "prices.txt", PROSE))["id"]
    await write(services, alice, source_document_id=document)
    path = address.format(document=document, collection=await collection_of(alice))
    assert (await alice.client.delete(f"/api/v1/{path}")).status_code == 204
    assert await counts(superuser) == NOTHING
    assert await superuser.fetchval("SELECT count(*) FROM pairs") == 0


async def test_an_answer_is_given_where_its_pair_may_be_used(services: Services, alice: Person) -> None:
    """Collections, tags and audience hold for pairs as for passages."""
    pair = await write(services, alice, tags=["retail"])
    other = (await alice.client.post("/api/v1/collections", json={"name": "Other"})).json()["id"]
    assert (await ask(alice, QUESTION, filter={"tags_any": ["wholesale"]}))["mode"] == "none"
    assert (await ask(alice, QUESTION, filter={"tags_any": ["retail"]}))["mode"] == "pair"
    await set_up(alice, collections=[other])
    assert (await ask(alice, QUESTION))["mode"] == "none"
    await set_up(alice, filter={"tags_none": ["retail"]})
    assert (await ask(alice, QUESTION))["mode"] == "none"
    await set_up(alice)
    address = f"/api/v1/documents/{pair['document_id']}"
    (await alice.client.patch(address, json={"audience": ["staff"]})).raise_for_status()
    assert (await ask(alice, QUESTION))["mode"] == "none"
    assert (await ask(alice, QUESTION, audience=["staff"]))["mode"] == "pair"


async def test_another_workspace_does_not_know_the_answer(services: Services, alice: Person, charlie: Person) -> None:
    """Though it asks the same question."""
    await write(services, alice)
    assert (await ask(charlie, QUESTION))["mode"] == "none"
    await write(services, charlie, answer="Мы не доставляем.")
    assert (await ask(charlie, QUESTION))["text"] == "Мы не доставляем. [1]"
    assert (await ask(alice, QUESTION))["text"] == f"{ANSWER} [1]"


async def test_each_change_leaves_one_row(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """With what is new, and without the customer's words."""
    await superuser.execute("TRUNCATE audit_log")
    pair = await write(services, alice)
    await change(services, alice, pair["id"], tags=["New"])
    await alice.client.delete(f"/api/v1/pairs/{pair['id']}")
    await take_in(alice, "question,answer\nA?,B\n")
    await take_in(alice, "question,answer\nC?,D\n", dry_run=True)
    rows = await superuser.fetch("SELECT action, object_type, changes::text FROM audit_log ORDER BY id")
    assert list(map(tuple, rows)) == [
        ("pairs.create", "pair", f'{{"question": "{QUESTION}"}}'),
        ("pairs.update", "pair", '{"fields": ["tags"]}'),
        ("pairs.delete", "pair", f'{{"question": "{QUESTION}"}}'),
        ("pairs.import", "collection", '{"bad": 0, "created": 1, "updated": 0}'),
    ]


async def send_table(person: Person, table: str | bytes, **query: Any) -> httpx.Response:
    data = table.encode() if isinstance(table, str) else table
    address = f"/api/v1/collections/{await collection_of(person)}/pairs/import"
    headers = {"accept-language": "en"}
    return await person.client.post(address, params=query, content=data, headers=headers)


async def take_in(person: Person, table: str | bytes, **query: Any) -> dict[str, Any]:
    outcome: dict[str, Any] = (await send_table(person, table, **query)).raise_for_status().json()
    return outcome


TABLES = {
    "commas, English": """question,answer,tags,variants
Когда открыто?,С 9 до 21.,"часы, Магазин","До скольки?
Когда закрыто?"
""",
    "semicolons, Russian": """Вопрос;Ответ;Теги;Варианты
Когда открыто?;С 9 до 21.;часы, Магазин;"До скольки?
Когда закрыто?"
""",
    "tabs, other order": """Варианты\tОТВЕТ\tТеги\tвопрос
"До скольки?
Когда закрыто?"\tС 9 до 21.\tчасы, Магазин\tКогда открыто?
""",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("case", TABLES)
async def test_a_table_of_any_program_is_read(case: str, encoding: str, services: Services, alice: Person) -> None:
    """Whatever parts its columns, whatever they are called, in the encodings that spreadsheets write."""
    outcome = await take_in(alice, TABLES[case].encode(encoding))
    assert outcome == {"created": 1, "updated": 0, "unchanged": 0, "bad": []}
    (pair,) = (await alice.client.get("/api/v1/pairs")).json()["items"]
    assert (pair["question"], pair["answer"]) == ("Когда открыто?", "С 9 до 21.")
    assert (pair["variants"], pair["tags"]) == (["До скольки?", "Когда закрыто?"], ["часы", "магазин"])
    await work(services)
    assert (await ask(alice, "Когда закрыто"))["text"] == "С 9 до 21. [1]"


BAD = """question,answer,tags,variants
Good one?,Yes.,,
,An answer without a question.,,
A question without an answer?, ,,
"Two
lines?",Yes.,,
good one,Again.,,
?!,No words.,,
A tag too long?,Yes.,{long},
Another?,Yes.,,Taken already
""".format(long="x" * 65)


async def test_every_bad_row_is_told_and_the_good_ones_come_in(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """By the line in which it begins, with its field and a sentence."""
    taken = await write(services, alice, question="Taken already?")
    outcome = await take_in(alice, BAD)
    assert (outcome["created"], outcome["updated"], outcome["unchanged"]) == (2, 0, 0)
    assert [(row["line"], row["field"], row["code"]) for row in outcome["bad"]] == [
        (3, "question", "invalid_input"),
        (4, "answer", "invalid_input"),
        (7, "question", "invalid_input"),
        (8, "question", "invalid_input"),
        (9, "tags", "invalid_input"),
        (10, "question", "pair_exists"),
    ]
    assert "it repeats the question of line 2" in outcome["bad"][2]["detail"]
    assert taken["id"] in outcome["bad"][5]["detail"]
    assert await listed(alice) == ["Taken already?", "Good one?", "Two lines?"]
    await work(services)
    await check_consistency(superuser)


async def test_a_dry_run_only_tells(alice: Person, superuser: asyncpg.Connection) -> None:
    """The same outcome, and nothing is written."""
    dry = await take_in(alice, BAD, dry_run=True)
    assert await counts(superuser) == NOTHING
    assert await superuser.fetchval("SELECT count(*) FROM jobs") == 0
    assert await take_in(alice, BAD) == dry


async def test_a_table_again_updates_and_doubles_nothing(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Unchanged rows are no work; a changed answer takes the place of the old one."""
    table = "question,answer,tags\nA?,One.,x\nB?,Two.,\nC?,Three.,\n"
    await take_in(alice, table)
    await work(services)
    jobs = await superuser.fetchval("SELECT count(*) FROM jobs")
    assert await take_in(alice, table) == {"created": 0, "updated": 0, "unchanged": 3, "bad": []}
    assert await superuser.fetchval("SELECT count(*) FROM jobs") == jobs
    again = await take_in(alice, "question,answer,tags\na,One!,x\nB?,Two.,new\nC?,Three.,\nD?,Four.,\n")
    assert again == {"created": 1, "updated": 2, "unchanged": 1, "bad": []}
    await work(services)
    assert (await ask(alice, "A"))["text"] == "One! [1]"
    assert await listed(alice, tag="new") == ["B?"]
    assert await superuser.fetchval("SELECT count(*) FROM pairs") == 4
    await check_consistency(superuser)


@pytest.mark.parametrize(
    ("table", "status", "field"),
    [
        ("", 400, "question"),
        ("frage,antwort\nA?,B\n", 400, "question"),
        ("question,tags\nA?,B\n", 400, "answer"),
        ('question,answer\n"A?,B\n', 400, "line 2"),
        ("question,answer\n" + "A?,B\n" * 10_001, 400, "rows"),
        ("question,answer\n" + "x" * 5_000_000, 413, None),
        (b"%PDF-1.7 ...", 400, None),
    ],
)
async def test_a_table_that_is_none_is_refused(
    table: str | bytes, status: int, field: str | None, alice: Person, superuser: asyncpg.Connection
) -> None:
    """As a whole, with what is wrong."""
    response = await send_table(alice, table)
    assert (response.status_code, response.json().get("field")) == (status, field)
    assert await counts(superuser) == NOTHING


async def test_a_table_comes_out_as_it_went_in(services: Services, alice: Person) -> None:
    """Also what a spreadsheet would take for a formula."""
    odd = {
        "question": "=1+1?",
        "answer": "+7 900 000-00-00\n\n'quoted', \"twice\"; done",
        "variants": ["-5 °C?", "@home"],
    }
    await post(alice, **odd, tags=["a", "b c"])
    await post(alice, question="'=what?", answer="'@ is kept")
    exported = await alice.client.get(f"/api/v1/collections/{await collection_of(alice)}/pairs/export")
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.content.decode("utf-8-sig").splitlines()[1].startswith("'=1+1?,\"'+7 900")
    before = (await alice.client.get("/api/v1/pairs")).json()["items"]
    assert await take_in(alice, exported.content) == {"created": 0, "updated": 0, "unchanged": 2, "bad": []}
    for pair in before:
        await alice.client.delete(f"/api/v1/pairs/{pair['id']}")
    await take_in(alice, exported.content)
    same = ("question", "answer", "variants", "tags")
    after = (await alice.client.get("/api/v1/pairs")).json()["items"]
    assert [[pair[name] for name in same] for pair in after] == [[pair[name] for name in same] for pair in before]


CELL = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5))
def test_any_cells_survive_a_table(pairs: list[tuple[str, str]]) -> None:
    """Quotes, delimiters, apostrophes and formulas."""
    table = write_table([(question, answer, "", "") for question, answer in pairs])
    assert [(row.question, row.answer) for row in read_table(b"\xef\xbb\xbf" + table.encode())] == pairs
