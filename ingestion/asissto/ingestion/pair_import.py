"""Takes a table of pairs in: new questions are added, known ones get the new answer, bad rows are told by line."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import find_collection
from asissto.ingestion.import_reports import BadRow
from asissto.ingestion.pair_csv import Row, write_table
from asissto.ingestion.pair_text import question_key
from asissto.ingestion.pairs import PairIn, Wording, make_pair, owners, reword, save_pairs, word
from asissto.ingestion.tables import Collection, Document, Pair
from asissto.platform.errors import AsisstoError, InvalidInput, PairExists
from asissto.platform.texts import Phrase

AT_ONCE = 200
"""Rows between two breaths of the event loop, which other requests wait for."""


class Known(msgspec.Struct, frozen=True):
    """A pair that is there, and the document that carries it."""

    pair: Pair
    document: Document

    def asks(self, wording: Wording) -> bool:
        return question_key(self.pair.question) == question_key(wording.question)

    def says(self, wording: Wording) -> bool:
        said = (self.pair.question, self.pair.variants, self.pair.answer, self.document.tags)
        return said == (wording.question, wording.variants, wording.answer, wording.tags)


class Plan(msgspec.Struct, frozen=True):
    """What becomes of the rows of a table; nothing of it is written yet."""

    collection: Collection
    new: list[Wording] = []
    changed: list[tuple[Known, Wording]] = []
    unchanged: list[Wording] = []
    bad: list[BadRow] = []


async def plan_import(session: AsyncSession, tenant_id: UUID, collection_id: UUID, rows: Sequence[Row]) -> Plan:
    """Raises NotFound; what is wrong with a row is part of the plan."""
    plan = Plan(await find_collection(session, tenant_id, collection_id))
    good = await asyncio.to_thread(_checked, rows, plan)
    owning = await owners(session, tenant_id, collection_id, {key for _, wording in good for key in wording.keys})
    known = await _known(session, tenant_id, collection_id) if owning else {}
    await asyncio.to_thread(_place_all, plan, good, owning, known)
    return plan


async def carry_out(session: AsyncSession, plan: Plan, by: UUID | None) -> None:
    """All of it in the caller's transaction."""
    # Plans of foreign keys are kept, and one made for an empty table reads all of it for each new row: with 6,000 rows
    # the inserts took 13 s instead of 6.
    await session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    for start in range(0, len(plan.new), AT_ONCE):
        part = plan.new[start : start + AT_ONCE]
        await save_pairs(session, [make_pair(plan.collection, wording, by) for wording in part])
    for start in range(0, len(plan.changed), AT_ONCE):
        pairs = plan.changed[start : start + AT_ONCE]
        made = [reword(plan.collection, each.pair, each.document, wording) for each, wording in pairs]
        await save_pairs(session, [each for each in made if each is not None])


async def export_pairs(session: AsyncSession, tenant_id: UUID, collection_id: UUID) -> str:
    """A table of all pairs of the collection, in the order in which they were made."""
    await find_collection(session, tenant_id, collection_id)
    found = (await _known(session, tenant_id, collection_id)).values()
    return write_table(
        (each.pair.question, each.pair.answer, ", ".join(each.document.tags), "\n".join(each.pair.variants))
        for each in found
    )


def _checked(rows: Sequence[Row], plan: Plan) -> list[tuple[int, Wording]]:
    """Lines and wordings of the rows that can be used, each question once."""
    good: list[tuple[int, Wording]] = []
    lines: dict[bytes, int] = {}
    for row in rows:
        try:
            wording = _worded(row)
            if repeated := [lines[key] for key in wording.keys if key in lines]:
                raise InvalidInput(field="question", detail=Phrase("invalid.repeated", repeated[0]))
        except AsisstoError as error:
            plan.bad.append(BadRow(row.line, error))
        else:
            lines |= dict.fromkeys(wording.keys, row.line)
            good.append((row.line, wording))
    return good


def _place_all(
    plan: Plan, good: Sequence[tuple[int, Wording]], owning: Mapping[bytes, UUID], known: Mapping[UUID, Known]
) -> None:
    for line, wording in good:
        pair_ids = dict.fromkeys(owning[key] for key in wording.keys if key in owning)
        _place(plan, line, wording, [known[pair_id] for pair_id in pair_ids])
    plan.bad.sort(key=lambda each: each.line)


def _place(plan: Plan, line: int, wording: Wording, owning: Sequence[Known]) -> None:
    """A row changes the pair of its question; a phrasing that another pair has makes it a bad one."""
    mine = next((each for each in owning if each.asks(wording)), None)
    others = [each for each in owning if each is not mine]
    if others:
        error = PairExists(question=wording.question, pair_id=others[0].pair.id, field="question")
        plan.bad.append(BadRow(line, error))
    elif mine is None:
        plan.new.append(wording)
    elif mine.says(wording):
        plan.unchanged.append(wording)
    else:
        plan.changed.append((mine, wording))


async def _known(session: AsyncSession, tenant_id: UUID, collection_id: UUID) -> dict[UUID, Known]:
    same = (Document.tenant_id == Pair.tenant_id) & (Document.id == Pair.document_id)
    mine = (Pair.tenant_id == tenant_id, Pair.collection_id == collection_id)
    rows = await session.execute(select(Pair, Document).join(Document, same).where(*mine).order_by(Pair.id))
    return {pair.id: Known(pair, document) for pair, document in rows}


def _worded(row: Row) -> Wording:
    """Raises InvalidInput, by the same limits as for a single pair."""
    for field, value in (("question", row.question), ("answer", row.answer)):
        if not value.strip():
            raise InvalidInput(field=field, detail=Phrase("invalid.missing"))
    said = {name: getattr(row, name) for name in ("question", "answer", "variants", "tags")}
    try:
        what = msgspec.convert({"collection_id": UUID(int=0), **said}, PairIn)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("$.")[2].rstrip("`").partition("[")[0]
        raise InvalidInput(field=field, detail=Phrase("invalid.form")) from None
    return word(what.question, what.variants, what.answer, what.tags)
