"""Questions with approved answers: each is a document of its own kind, and is published like every other."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import ARRAY, LargeBinary, any_, delete, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import INGEST, chunk_sizes, find_collection, find_document, pipeline_sha
from asissto.ingestion.labels import LabelList, clean_labels
from asissto.ingestion.pair_text import clean_answer, clean_question, pair_text, question_key
from asissto.ingestion.tables import Collection, Document, DocumentVersion, Pair, PairKey
from asissto.platform.errors import InvalidInput, NotFound, PairExists
from asissto.platform.jobs import enqueue_all
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase

KIND = "pair"
MEDIA_TYPE = "text/vnd.asissto.pair"

# All phrasings stand before each passage that is embedded: 10,500 characters fit into the 8,191 tokens of an endpoint.
Question = Annotated[str, Meta(min_length=1, max_length=500)]
Answer = Annotated[str, Meta(min_length=1, max_length=20_000)]
Variants = Annotated[list[Question], Meta(max_length=20)]


class PairIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`variants` are further phrasings of the question."""

    collection_id: UUID
    question: Question
    answer: Answer
    variants: Variants = []
    tags: LabelList = []
    source_document_id: UUID | None = None
    """The document that the pair was made from; the pair goes when it goes."""


class PairPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    question: Question | UnsetType = UNSET
    answer: Answer | UnsetType = UNSET
    variants: Variants | UnsetType = UNSET
    tags: LabelList | UnsetType = UNSET


class Wording(msgspec.Struct, frozen=True):
    """What a pair says, cleaned; `keys` belong to question and variants, each once."""

    question: str
    variants: list[str]
    answer: str
    tags: list[str]
    keys: dict[bytes, str]


async def create_pair(session: AsyncSession, tenant_id: UUID, what: PairIn, by: UUID | None) -> Pair:
    """Raises NotFound, InvalidInput and PairExists."""
    collection = await find_collection(session, tenant_id, what.collection_id)
    if what.source_document_id is not None:
        await find_document(session, tenant_id, what.source_document_id)
    wording = word(what.question, what.variants, what.answer, what.tags)
    await _refuse_taken(session, tenant_id, collection.id, wording, None)
    made = make_pair(collection, wording, by)
    made.pair.source_document_id = what.source_document_id
    await save_pairs(session, [made])
    return made.pair


async def change_pair(session: AsyncSession, tenant_id: UUID, pair_id: UUID, what: PairPatch) -> Pair:
    """The old wording answers until the new one is published. Raises NotFound, InvalidInput and PairExists."""
    pair = await find_pair(session, tenant_id, pair_id, lock=True)
    document = await find_document(session, tenant_id, pair.document_id)
    wording = word(
        pair.question if what.question is UNSET else what.question,
        pair.variants if what.variants is UNSET else what.variants,
        pair.answer if what.answer is UNSET else what.answer,
        document.tags if what.tags is UNSET else what.tags,
    )
    await _refuse_taken(session, tenant_id, pair.collection_id, wording, pair.id)
    collection = await find_collection(session, tenant_id, pair.collection_id)
    changed = reword(collection, pair, document, wording)
    if changed is not None:
        await save_pairs(session, [changed])
    return pair


async def find_pair(session: AsyncSession, tenant_id: UUID, pair_id: UUID, *, lock: bool = False) -> Pair:
    """With `lock` two changes at once come one after the other."""
    found = await session.get(Pair, (tenant_id, pair_id), with_for_update=lock)
    if found is None:
        raise NotFound(kind="pair")
    return found


async def owners(
    session: AsyncSession, tenant_id: UUID, collection_id: UUID, keys: Iterable[bytes]
) -> dict[bytes, UUID]:
    """Which pair has each of these phrasings; those that nobody has are left out."""
    wanted = any_(literal(list(keys), ARRAY(LargeBinary)))
    mine = (PairKey.tenant_id == tenant_id, PairKey.collection_id == collection_id, PairKey.key == wanted)
    rows = await session.execute(select(PairKey.key, PairKey.pair_id).where(*mine))
    return {row.key: row.pair_id for row in rows}


def word(question: str, variants: Sequence[str], answer: str, tags: Sequence[str]) -> Wording:
    """Raises InvalidInput where nothing is left of a question or of the answer."""
    asked, said = clean_question(question), clean_answer(answer)
    if not said:
        raise InvalidInput(field="answer", detail=Phrase("invalid.missing"))
    keys: dict[bytes, str] = {}
    for field, phrasing in [("question", asked), *(("variants", clean_question(each)) for each in variants)]:
        key = question_key(phrasing)
        if key is None:
            raise InvalidInput(field=field, detail=Phrase("invalid.missing"))
        keys.setdefault(key, phrasing)
    return Wording(asked, list(keys.values())[1:], said, clean_labels(tags, "tags"), keys)


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a pair whose wording is new; `gone` are phrasings that it has no longer."""

    document: Document
    pair: Pair
    version: DocumentVersion
    keys: Iterable[bytes]
    gone: Iterable[bytes] = ()


def make_pair(collection: Collection, wording: Wording, by: UUID | None) -> Changed:
    mine = {"tenant_id": collection.tenant_id, "collection_id": collection.id, "created_by": by}
    pair_id, document_id = new_id(), new_id()
    named = {"title": wording.question, "source_key": f"pair:{pair_id}", "kind": KIND, "tags": wording.tags}
    said = {"question": wording.question, "variants": wording.variants, "answer": wording.answer}
    return Changed(
        document=Document(id=document_id, **mine, **named),
        pair=Pair(id=pair_id, document_id=document_id, **mine, **said),
        version=_version(collection, document_id, wording),
        keys=wording.keys,
    )


def reword(collection: Collection, pair: Pair, document: Document, wording: Wording) -> Changed | None:
    """None where search finds the same as before."""
    document.tags = wording.tags
    if (pair.question, pair.variants, pair.answer) == (wording.question, wording.variants, wording.answer):
        return None
    had = {key for phrasing in (pair.question, *pair.variants) if (key := question_key(phrasing))}
    pair.question, pair.variants, pair.answer = wording.question, wording.variants, wording.answer
    pair.updated_at = datetime.now(UTC)
    version = _version(collection, document.id, wording)
    keys = wording.keys.keys()
    return Changed(document=document, pair=pair, version=version, keys=keys - had, gone=had - keys)


async def save_pairs(session: AsyncSession, changed: Sequence[Changed]) -> None:
    """Writes them, in the order in which they point at each other, and queues their versions."""
    for rows in (
        [each.document for each in changed],
        [row for each in changed for row in (each.version, each.pair)],
        [_key(each.pair, key) for each in changed for key in each.keys],
    ):
        session.add_all(rows)
        await session.flush()
    for each in changed:
        if each.gone:
            mine = (PairKey.tenant_id == each.pair.tenant_id, PairKey.pair_id == each.pair.id)
            await session.execute(delete(PairKey).where(*mine, PairKey.key.in_(each.gone)))
    if changed:
        queued = {str(each.version.id): {"version_id": str(each.version.id)} for each in changed}
        await enqueue_all(session, changed[0].pair.tenant_id, INGEST, queued)


def _key(pair: Pair, key: bytes) -> PairKey:
    return PairKey(tenant_id=pair.tenant_id, key=key, collection_id=pair.collection_id, pair_id=pair.id)


def _version(collection: Collection, document_id: UUID, wording: Wording) -> DocumentVersion:
    """Its text is there from the beginning, and there is no file."""
    text = pair_text([wording.question, *wording.variants], wording.answer)
    content = text.encode()
    return DocumentVersion(
        tenant_id=collection.tenant_id,
        id=new_id(),
        document_id=document_id,
        file_name="",
        media_type=MEDIA_TYPE,
        size=len(content),
        content_sha=hashlib.sha256(content).digest(),
        pipeline_sha=pipeline_sha(chunk_sizes(collection)),
        storage_key="",
        text=text,
    )


async def _refuse_taken(
    session: AsyncSession, tenant_id: UUID, collection_id: UUID, wording: Wording, mine: UUID | None
) -> None:
    for key, pair_id in (await owners(session, tenant_id, collection_id, wording.keys)).items():
        if pair_id != mine:
            raise PairExists(question=wording.keys[key], pair_id=pair_id, field="question")
