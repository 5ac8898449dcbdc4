"""Measures search and answers on a labelled set: the real index, the real answer core, a throw-away workspace."""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec
import numpy as np
from sqlalchemy import select

from asissto.ingestion.chunking import Chunk, chunk
from asissto.ingestion.documents import tenant_number
from asissto.ingestion.parsing import Element, ParsedDocument
from asissto.ingestion.pipeline import embed_chunks
from asissto.ingestion.spaces import space_to_fill
from asissto.ingestion.store import Place, add_passages, lock_knowledge
from asissto.ingestion.tables import Collection, Document, DocumentVersion
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.retrieval.answering import answer_question
from asissto.retrieval.answers import Answer
from asissto.retrieval.generation import Turn
from asissto.retrieval.passages import Passage
from asissto.retrieval.reliability import auroc
from asissto.retrieval.scopes import Scope, whole_workspace

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
DEPTH = 10


class SetPassage(msgspec.Struct, frozen=True):
    id: str
    doc: str
    text: str
    title: str = ""
    heading: str = ""
    removed_in_abstain: bool = False


class GoldAnswer(msgspec.Struct, frozen=True):
    text: str


class SetTurn(msgspec.Struct, frozen=True):
    role: str
    text: str


class SetQuestion(msgspec.Struct, frozen=True):
    id: str
    question: str
    gold_passages: list[str]
    answers: list[GoldAnswer] = []
    answerable: bool = True
    answerable_in_abstain: bool | None = None
    history: list[SetTurn] = []


class SetDocument(msgspec.Struct, frozen=True):
    id: str
    text: str


class Span(msgspec.Struct, frozen=True):
    start: int
    end: int


class SpanQuestion(msgspec.Struct, frozen=True):
    question: str
    gold_doc: str
    spans: list[Span]


class FileFigures(msgspec.Struct):
    """Of one file of a manifest; `outcome` is a state or the reason of a refusal, `not_quoted` holds questions."""

    file: str
    expected: str
    outcome: str
    as_expected: bool
    facts: int
    found: int = 0
    in_top_5: int = 0
    quoted: int = 0
    not_quoted: list[str] = []


class Figures(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a set allows to measure; shares and means lie in [0, 1]."""

    questions: int = 0
    recall_at_1: float | None = None
    recall_at_5: float | None = None
    recall_at_10: float | None = None
    mrr_at_10: float | None = None
    ndcg_at_10: float | None = None
    sentence_hit_at_1: float | None = None
    sentence_hit_at_3: float | None = None
    answered_share: float | None = None
    false_answer_rate: float | None = None
    abstention_auroc: float | None = None
    dialog_recall_at_5: float | None = None
    latency_ms_p50: float | None = None
    latency_ms_p95: float | None = None
    files: int | None = None
    files_as_expected: int | None = None
    facts: int | None = None
    facts_found: int | None = None
    facts_in_top_5: int | None = None
    facts_quoted: int | None = None
    per_file: list[FileFigures] | None = None
    seconds: float = 0.0


class Loaded(msgspec.Struct, frozen=True):
    """Where each passage of the set lies: its start and end in the text of a document's version."""

    scope: Scope
    spans: Mapping[UUID, Sequence[tuple[int, int, str]]]

    def passage_of(self, found: Passage) -> str:
        """The set's passage that the found one lies in, or shares most with."""
        return max(self.spans[found.version_id], key=lambda span: min(found.end, span[1]) - max(found.start, span[0]))[
            2
        ]


async def evaluate_questions(
    services: Services, tenants: tuple[UUID, UUID], folder: Path, progress: Progress
) -> Figures:
    """The second tenant takes the variant with passages left out, where the set has one."""
    started = time.perf_counter()
    passages = read_lines(folder / "passages.jsonl", SetPassage)
    questions = read_lines(folder / "questions.jsonl", SetQuestion)
    whole = await load_passages(services, tenants[0], passages, progress)
    answers = await _ask_all(services, whole.scope, questions, progress)
    figures = Figures(questions=len(questions))
    _measure_ranking(figures, whole, questions, answers)
    _measure_sentences(figures, questions, answers)
    if any(question.answerable_in_abstain is not None for question in questions):
        kept = [passage for passage in passages if not passage.removed_in_abstain]
        part = await load_passages(services, tenants[1], kept, progress)
        answers = await _ask_all(services, part.scope, questions, progress)
        known = [question.answerable_in_abstain is not False for question in questions]
    else:
        known = [question.answerable for question in questions]
    _measure_abstention(figures, known, answers)
    await _measure_dialogs(services, figures, whole, _dialogs(folder), progress)
    latencies = np.array([answer.latency_ms for answer in answers])
    figures.latency_ms_p50, figures.latency_ms_p95 = (_round(np.percentile(latencies, q)) for q in (50, 95))
    figures.seconds = _round(time.perf_counter() - started)
    return figures


async def evaluate_spans(services: Services, tenant_id: UUID, folder: Path, progress: Progress) -> Figures:
    """Long documents: recall@k is the share of the gold spans' characters that the first k passages cover."""
    started = time.perf_counter()
    documents = read_lines(folder / "documents.jsonl", SetDocument)
    questions = read_lines(folder / "questions.jsonl", SpanQuestion)
    versions = {}
    for number, document in enumerate(documents):
        progress("loading", number, len(documents))
        parsed = paragraphs(document)
        versions[document.id] = await store(services, tenant_id, document.id, parsed, chunk(parsed))
    scope = await whole_workspace(services, tenant_id)
    covered: dict[int, list[float]] = {1: [], 5: [], 10: []}
    for number, question in enumerate(questions):
        progress("asking", number, len(questions))
        found = (await answer_question(services, scope, question.question, [])).found
        mine = [(each.start, each.end) if each.version_id == versions[question.gold_doc] else (0, 0) for each in found]
        for depth, shares in covered.items():
            shares.append(_covered(question.spans, mine[:depth]))
    figures = Figures(questions=len(questions), seconds=_round(time.perf_counter() - started))
    figures.recall_at_1, figures.recall_at_5, figures.recall_at_10 = (_mean(shares) for shares in covered.values())
    return figures


def paragraphs(document: SetDocument) -> ParsedDocument:
    spans = [match.span() for match in re.finditer(r"\S[^\n]*(?:\n(?!\s*\n)[^\n]+)*", document.text)]
    elements = tuple(Element(kind="text", start=a, end=b, page=None, heading_path=()) for a, b in spans)
    title = document.id.replace("_", " ")
    return ParsedDocument(title=title, text=document.text, elements=elements, pages=None, warnings=())


def _covered(gold: Sequence[Span], found: Sequence[tuple[int, int]]) -> float:
    wanted = {at for span in gold for at in range(span.start, span.end)}
    return len(wanted & {at for start, end in found for at in range(start, end)}) / len(wanted)


async def load_passages(
    services: Services, tenant_id: UUID, passages: Sequence[SetPassage], progress: Progress
) -> Loaded:
    """Passages of one `doc` become one document, each a section of its own under its heading."""
    documents: dict[str, list[SetPassage]] = {}
    for passage in passages:
        documents.setdefault(passage.doc, []).append(passage)
    spans: dict[UUID, list[tuple[int, int, str]]] = {}
    for number, (name, parts) in enumerate(documents.items()):
        progress("loading", number, len(documents))
        parsed, chunks, where = _assemble(parts)
        version_id = await store(services, tenant_id, name, parsed, chunks)
        spans[version_id] = where
    return Loaded(await whole_workspace(services, tenant_id), spans)


def _assemble(parts: Sequence[SetPassage]) -> tuple[ParsedDocument, list[Chunk], list[tuple[int, int, str]]]:
    text, chunks, where = "", list[Chunk](), list[tuple[int, int, str]]()
    title = parts[0].title.replace("_", " ")
    for part in parts:
        shift, body = len(text), part.text.strip()
        path = (part.heading,) if part.heading else ()
        element = Element(kind="text", start=0, end=len(body), page=None, heading_path=path)
        alone = ParsedDocument(title=title, text=body, elements=(element,), pages=None, warnings=())
        chunks += [_moved(each, shift, len(chunks)) for each in chunk(alone)]
        where.append((shift, shift + len(body), part.id))
        text += body + "\n\n"
    return ParsedDocument(title=title, text=text, elements=(), pages=None, warnings=()), chunks, where


def _moved(each: Chunk, shift: int, before: int) -> Chunk:
    moved = {name: getattr(each, name) + shift for name in ("start", "end", "section_start", "section_end")}
    return msgspec.structs.replace(each, ord=before + each.ord, **moved)


async def store(
    services: Services, tenant_id: UUID, name: str, parsed: ParsedDocument, chunks: Sequence[Chunk]
) -> UUID:
    space_id = await space_to_fill(services, tenant_id)
    async with services.database.tenant(tenant_id) as session:
        collection_id = (await session.scalars(select(Collection.id).order_by(Collection.id).limit(1))).one()
        number = await tenant_number(session, tenant_id)
    place = Place(tenant_id, number, collection_id, new_id(), new_id(), space_id)

    async def silent(_done: int, _total: int) -> None: ...

    vectors = await embed_chunks(services, place, parsed, chunks, silent)
    async with services.database.tenant(tenant_id) as session:
        await lock_knowledge(session, tenant_id)
        keys = {"tenant_id": tenant_id, "id": place.document_id, "collection_id": collection_id}
        document = Document(**keys, title=parsed.title or name, source_key=name)
        session.add(document)
        await session.flush()
        nothing = {"size": 0, "content_sha": b"", "pipeline_sha": b"", "storage_key": "", "media_type": "text/plain"}
        keys = {"tenant_id": tenant_id, "id": place.version_id, "document_id": place.document_id}
        version = DocumentVersion(**keys, file_name=name, **nothing)
        version.state = version.stage = "ready"
        version.text = parsed.text
        session.add(version)
        await session.flush()
        await add_passages(session, place, parsed.text, chunks, vectors)
        document.active_version_id = place.version_id
    return place.version_id


async def _ask_all(
    services: Services, scope: Scope, questions: Sequence[SetQuestion], progress: Progress
) -> list[Answer]:
    answers = []
    for number, question in enumerate(questions):
        progress("asking", number, len(questions))
        history = [Turn(turn.role, turn.text) for turn in question.history]
        answers.append(await answer_question(services, scope, question.question, history))
    return answers


async def _measure_dialogs(
    services: Services, figures: Figures, loaded: Loaded, dialogs: Sequence[SetQuestion], progress: Progress
) -> None:
    answers = await _ask_all(services, loaded.scope, dialogs, progress)
    measured = Figures()
    _measure_ranking(measured, loaded, dialogs, answers)
    figures.dialog_recall_at_5 = measured.recall_at_5


def _dialogs(folder: Path) -> list[SetQuestion]:
    """Follow-up questions that are measured apart, where the set has any."""
    path = folder / "dialogs.jsonl"
    return read_lines(path, SetQuestion) if path.exists() else []


def _measure_ranking(
    figures: Figures, loaded: Loaded, questions: Sequence[SetQuestion], answers: Sequence[Answer]
) -> None:
    """Recall@k is the share of the gold passages among the first k; nDCG has binary gains."""
    recall: dict[int, list[float]] = {1: [], 5: [], 10: []}
    mrr, ndcg = [], []
    for question, answer in zip(questions, answers, strict=True):
        gold = set(question.gold_passages)
        if not gold:
            continue
        ranked = list(dict.fromkeys(loaded.passage_of(found) for found in answer.found))[:DEPTH]
        hits = [at for at, passage in enumerate(ranked, 1) if passage in gold]
        for depth, values in recall.items():
            values.append(sum(at <= depth for at in hits) / len(gold))
        mrr.append(1 / hits[0] if hits else 0.0)
        ideal = sum(1 / math.log2(at + 1) for at in range(1, min(len(gold), DEPTH) + 1))
        ndcg.append(sum(1 / math.log2(at + 1) for at in hits) / ideal)
    figures.recall_at_1, figures.recall_at_5, figures.recall_at_10 = (_mean(values) for values in recall.values())
    figures.mrr_at_10, figures.ndcg_at_10 = _mean(mrr), _mean(ndcg)


def _measure_sentences(figures: Figures, questions: Sequence[SetQuestion], answers: Sequence[Answer]) -> None:
    """Whether a gold answer stands in the best quoted sentence, and in any of the first three."""
    first, three = [], []
    for question, answer in zip(questions, answers, strict=True):
        if not question.answers:
            continue
        gold = [folded(each.text) for each in question.answers]
        hits = [any(each in folded(sentence) for each in gold) for sentence in answer.best_sentences[:3]]
        first.append(float(hits[:1] == [True]))
        three.append(float(any(hits)))
    figures.sentence_hit_at_1, figures.sentence_hit_at_3 = _mean(first), _mean(three)


def _measure_abstention(figures: Figures, known: Sequence[bool], answers: Sequence[Answer]) -> None:
    good = [answer for answer, yes in zip(answers, known, strict=True) if yes]
    bad = [answer for answer, yes in zip(answers, known, strict=True) if not yes]
    figures.answered_share = _mean([float(answer.answered) for answer in good])
    figures.false_answer_rate = _mean([float(answer.answered) for answer in bad])
    if good and bad:
        figures.abstention_auroc = _round(auroc([a.confidence for a in good], [a.confidence for a in bad]))


def folded(text: str) -> str:
    """Letters and digits only, case and ё/е folded."""
    return "".join(letter for letter in text.casefold().replace("ё", "е") if letter.isalnum())


def read_lines(path: Path, kind: type[T]) -> list[T]:
    with path.open(encoding="utf-8") as lines:
        return [msgspec.json.decode(line, type=kind) for line in lines if line.strip()]


def _mean(values: Sequence[float]) -> float | None:
    return _round(sum(values) / len(values)) if values else None


def _round(value: float) -> float:
    return round(float(value), 4)
