"""Search finds what people mean: by stem, by spelling, by code and by sense, in one tenant and in no other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select

from asissto.ingestion.documents import Upload, upload
from asissto.ingestion.tables import Collection
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.retrieval.answering import answer_question
from asissto.retrieval.evaluation import Loaded, SetPassage, load_passages
from asissto.retrieval.passages import Passage
from asissto.retrieval.rewriting import follow_up_terms
from asissto.retrieval.scopes import whole_workspace
from asissto.retrieval.search import Found, Query, search
from people import Person

LIBRARY = {
    "rental": "Renting a bicycle for a day costs twelve euros.",
    "refund": "A refund reaches the customer's bank card within three working days.",
    "pump": "The floor pump, article number SKU-4471/B, fits every valve.",
    "cable": "Кабель питания, артикул АВ-1050, подходит ко всем зарядным устройствам.",
    "phone": "Служба поддержки отвечает по телефону +7 (495) 123-45-67 круглосуточно.",
    "winter": "Зимой велосипеды хранятся на тёплом складе до апреля.",
    "courier": "Курьеры доставляют заказы по городу за два часа.",
    "director": "Директором назначена Анна Королёва, она принимает посетителей по средам.",
}


def ignore(_label: str, _done: int, _total: int) -> None: ...


@pytest.fixture
async def library(services: Services, alice: Person) -> Loaded:
    passages = [SetPassage(id=name, doc=name, text=text) for name, text in LIBRARY.items()]
    return await load_passages(services, alice.tenant_id, passages, ignore)


async def found(services: Services, library: Loaded, question: str) -> tuple[Passage, ...]:
    return (await answer_question(services, library.scope, question, [])).found


async def names(services: Services, library: Loaded, question: str) -> list[str]:
    return [library.passage_of(passage) for passage in await found(services, library, question)]


FINDS = {
    "another case of a Russian noun": ("Что делает курьер с заказом?", "courier"),
    "another number and case": ("на каком складе велосипед", "winter"),
    "without the dots of ё": ("где теплый склад", "winter"),
    "with dots that the text lacks": ("Кто доставляёт заказы", "courier"),
    "a misspelt Russian word": ("велосипиды зимой", "winter"),
    "a misspelt English word": ("refnd to the bank card", "refund"),
    "another form of an English word": ("when are customers refunded", "refund"),
    "an article number": ("SKU-4471/B", "pump"),
    "an article number in small letters": ("what is sku-4471/b", "pump"),
    "an article number typed in Latin letters": ("кабель AB-1050", "cable"),
    "an article number typed in Cyrillic letters": ("ав-1050", "cable"),
    "a telephone number in another form": ("чей номер 8 495 123 45 67", "phone"),
    "a telephone number without spaces": ("+74951234567", "phone"),
    "a surname in another case": ("приём у Королевой", "director"),
    "the sense alone": ("What do I pay to hire a bike?", "rental"),
}


async def test_a_question_finds_its_passage_first(services: Services, library: Loaded) -> None:
    """Whatever the customer's grammar, spelling or keyboard is like."""
    first = {case: (await names(services, library, question))[:1] for case, (question, _) in FINDS.items()}
    assert first == {case: [name] for case, (_, name) in FINDS.items()}


async def test_a_bare_code_finds_a_russian_passage(services: Services, library: Loaded) -> None:
    """A code is of no language: the one passage that holds it comes first, also among English ones."""
    assert (await names(services, library, "AB-1050"))[0] == "cable"


async def test_the_dense_side_is_off_where_the_embedder_knows_no_word(services: Services, library: Loaded) -> None:
    """A Russian question is ranked by words alone, an English one by both."""
    russian = await found(services, library, "Где хранятся велосипеды?")
    english = await found(services, library, "Where are refunds paid?")
    assert {passage.scores.dense for passage in russian} == {None}
    assert None not in {passage.scores.dense for passage in english if passage.language == "en"}
    assert {passage.scores.dense for passage in english if passage.language == "ru"} <= {None}
    assert [passage.scores.fused for passage in russian] == sorted(
        (passage.scores.fused for passage in russian), reverse=True
    )


async def test_a_passage_carries_its_place(services: Services, library: Loaded, superuser: asyncpg.Connection) -> None:
    """What search gives is the stored text between the offsets of its version."""
    best = (await found(services, library, "SKU-4471/B"))[0]
    stored = await superuser.fetchval("SELECT text FROM document_versions WHERE id = $1", best.version_id)
    assert best.text == stored[best.start : best.end] == LIBRARY["pump"]
    assert (best.language, best.page, best.heading_path) == ("en", None, ())


async def test_the_language_of_the_index_is_no_way_in(services: Services, library: Loaded) -> None:
    """Operators, quotes and backslashes in a question are text; a question of nothing else finds nothing."""
    odd = "' OR 1=1 -- \\ & | ! ( ) :* <-> 'курьер':A %_ {} $1 \\' \""
    assert (await names(services, library, odd))[0] == "courier"
    assert await names(services, library, "??? !!! ...") == []


async def test_an_empty_base_gives_nothing(services: Services, alice: Person) -> None:
    """And the answer is that nobody knows."""
    scope = await whole_workspace(services, alice.tenant_id)
    for question in ("What does a bicycle cost?", "Сколько стоит велосипед?"):
        answer = await answer_question(services, scope, question, [])
        assert (answer.found, answer.outcome, answer.citations, answer.best_sentences) == ((), "abstained", (), ())


def query(question: str, space_id: int, collections: Sequence[UUID] | None = None) -> Query:
    terms = follow_up_terms(question, [])
    chosen = None if collections is None else list(collections)
    return Query(terms=terms, vector=None, space_id=space_id, collections=chosen, wanted=100)


async def test_another_tenants_passages_are_never_found(services: Services, library: Loaded, charlie: Person) -> None:
    """Not with his own words, and not with alice's number in front of them."""
    mine = await load_passages(services, charlie.tenant_id, [SetPassage(id="a", doc="a", text="Чужой склад.")], ignore)
    assert await names(services, mine, "Где хранятся велосипеды на складе?") == ["a"]
    assert await found(services, mine, "SKU-4471/B") == ()
    words = query("велосипеды курьер складе", library.scope.space.id)
    async with services.database.tenant(charlie.tenant_id) as session:
        stolen = await search(session, charlie.tenant_id, library.scope.tenant_number, words)
    assert stolen.passages == ()


async def search_as(services: Services, tenant_id: UUID, library: Loaded) -> Found:
    """With alice's id in a transaction of somebody else."""
    async with services.database.tenant(tenant_id) as session:
        words = query("велосипеды", library.scope.space.id)
        return await search(session, library.scope.tenant_id, library.scope.tenant_number, words)


async def test_searching_as_another_tenant_is_refused(services: Services, library: Loaded, charlie: Person) -> None:
    """The function trusts the transaction and not its argument."""
    assert len((await search_as(services, library.scope.tenant_id, library)).passages) == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await search_as(services, charlie.tenant_id, library)


async def put(services: Services, tenant_id: UUID, collection_id: UUID, name: str, text: str) -> UUID:
    async def pieces() -> AsyncIterator[bytes]:
        yield text.encode()

    document_id = await upload(services, tenant_id, Upload(collection_id, name, name, None), pieces())
    while await make_worker(services).run_one():
        pass
    return document_id


async def test_collections_are_a_filter_and_nothing_else(services: Services, alice: Person) -> None:
    """What is left stands in the same order with the same scores; an empty choice finds nothing."""
    other = Collection(tenant_id=alice.tenant_id, id=new_id(), name="Other")
    async with services.database.tenant(alice.tenant_id) as session:
        first = (await session.scalars(select(Collection.id))).one()
        session.add(other)
    for number, (name, text) in enumerate(LIBRARY.items()):
        await put(services, alice.tenant_id, (first, other.id)[number % 2], f"{name}.txt", text)
    scope = await whole_workspace(services, alice.tenant_id)
    words = "курьер велосипед склад поддержка кабель заказы круглосуточно телефону"
    async with services.database.tenant(alice.tenant_id) as session:
        everything, one, two, both, none = [
            await search(session, alice.tenant_id, scope.tenant_number, query(words, scope.space.id, chosen))
            for chosen in (None, [first], [other.id], [first, other.id], [])
        ]
    assert both == everything
    assert none.passages == ()
    assert (len(one.passages), len(two.passages)) == (2, 2)
    ranked = [(passage.title, passage.scores.lexical) for passage in everything.passages]
    for part in (one, two):
        kept = [(passage.title, passage.scores.lexical) for passage in part.passages]
        assert kept == [line for line in ranked if line in kept]


async def test_a_document_is_seen_whole_or_not_at_all(services: Services, alice: Person) -> None:
    """While it is replaced and deleted, each search sees all of one version, or nothing."""
    async with services.database.tenant(alice.tenant_id) as session:
        collection_id = (await session.scalars(select(Collection.id))).one()

    def sections(word: str, count: int) -> str:
        return "\n\n".join(f"# Section {number}\n\nThe bicycle {word} number {number}." for number in range(count))

    seen: set[tuple[frozenset[UUID], int, int, int]] = set()
    stop = asyncio.Event()
    scope = await whole_workspace(services, alice.tenant_id)

    async def look() -> None:
        while not stop.is_set():
            async with services.database.tenant(alice.tenant_id) as session:
                result = await search(session, alice.tenant_id, scope.tenant_number, query("bicycle", scope.space.id))
            versions = frozenset(passage.version_id for passage in result.passages)
            seen.add((versions, len(result.passages), result.chunks, result.term_chunks["bicycl"]))

    looking = [asyncio.create_task(look()) for _ in range(2)]
    for word, count in (("pump", 12), ("tyre", 9), ("lamp", 14)):
        document_id = await put(services, alice.tenant_id, collection_id, "bicycles.md", sections(word, count))
    (await alice.client.delete(f"/api/v1/documents/{document_id}")).raise_for_status()
    stop.set()
    await asyncio.gather(*looking)
    assert all(len(versions) <= 1 for versions, *_ in seen)
    figures = {tuple(rest) for _, *rest in seen}
    assert figures <= {(0, 0, 0), (12, 12, 12), (9, 9, 9), (14, 14, 14)}
    assert len(figures) >= 3
