"""`asissto eval`: loads a set into throw-away workspaces, measures, and takes them away again."""

import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec
from click import UsageError
from sqlalchemy import delete, select

from asissto.ingestion.tables import DocumentVersion
from asissto.platform.entrypoints.ingest import Ingested, ingest_files
from asissto.platform.entrypoints.screen import print_json, progress, screen
from asissto.platform.entrypoints.workspace import make_workspace
from asissto.platform.services import Services
from asissto.platform.tables import Tenant
from asissto.platform.texts import text
from asissto.retrieval.answering import answer_question
from asissto.retrieval.evaluation import (
    Figures,
    FileFigures,
    Progress,
    evaluate_questions,
    evaluate_spans,
    read_lines,
)
from asissto.retrieval.scopes import Scope, whole_workspace

_REASONS = {
    "ok": (None,),
    "encrypted": ("document_encrypted",),
    "empty": ("document_empty",),
    "garbled_text": ("document_garbled", None),
    "needs_ocr": ("document_needs_ocr", None),
    "ok_or_unsupported": (None, "document_type_unknown", "document_converter_missing"),
}
"""What a file of the `docs` set may end with; None: ready, as scans and garbled fonts are where tesseract is."""


class Fact(msgspec.Struct, frozen=True):
    question: str
    span: str


class ManifestLine(msgspec.Struct, frozen=True):
    file: str
    expect: str
    facts: list[Fact]


async def evaluate_here(services: Services, folder: Path, *, as_json: bool) -> None:
    """Raises click's UsageError for a folder of another form."""
    with progress(text("cli.loading", services.settings.language)) as bar:
        figures = await measure(services, folder, lambda _label, done, total: bar(done, total))
    if as_json:
        print_json(figures)
    else:
        for each in figures.per_file or []:
            _show_file(each)
        for name, value in msgspec.to_builtins(figures).items():
            if name != "per_file":
                screen.print(f"{name:20} {value}")


def _show_file(figures: FileFigures) -> None:
    facts = f"{figures.found} found, {figures.in_top_5} in first five, {figures.quoted} quoted of {figures.facts}"
    mark = " " if figures.as_expected else "!"
    screen.print(
        f"{mark} {figures.file:34} {figures.expected:18} {figures.outcome:20} {facts if figures.facts else ''}"
    )
    for question in figures.not_quoted:
        screen.print(f"      not quoted: {question}")


async def measure(services: Services, folder: Path, report: Progress) -> Figures:
    async with throw_away(services, 2) as tenants:
        if (folder / "manifest.jsonl").exists():
            return await evaluate_files(services, tenants[0], folder, report)
        if (folder / "documents.jsonl").exists():
            return await evaluate_spans(services, tenants[0], folder, report)
        if (folder / "passages.jsonl").exists():
            return await evaluate_questions(services, (tenants[0], tenants[1]), folder, report)
    raise UsageError(f"{folder} holds no set: passages.jsonl, documents.jsonl or manifest.jsonl is needed.")


@asynccontextmanager
async def throw_away(services: Services, count: int) -> AsyncIterator[list[UUID]]:
    """Workspaces of which nothing remains."""
    async with services.database.system() as session:
        tenants = [await make_workspace(session, "en", "evaluation") for _ in range(count)]
    try:
        yield tenants
    finally:
        for tenant_id in tenants:
            await _forget(services, tenant_id)


async def evaluate_files(services: Services, tenant_id: UUID, folder: Path, report: Progress) -> Figures:
    """A fact is found when it stands in the stored text of its file; then its question is asked over all files."""
    started = time.perf_counter()
    lines = read_lines(folder / "manifest.jsonl", ManifestLine)
    paths = {folder / line.file: line.file for line in lines}
    files = await ingest_files(services, tenant_id, paths, lambda done, total: report("loading", done, total))
    texts = await _texts(services, tenant_id, files)
    scope = await whole_workspace(services, tenant_id)
    measured = []
    for number, (line, file) in enumerate(zip(lines, files, strict=True)):
        report("asking", number, len(lines))
        measured.append(await _measure_file(services, scope, line, file, texts.get(line.file, "")))
    figures = Figures(files=len(lines), per_file=measured)
    figures.files_as_expected = sum(each.as_expected for each in measured)
    figures.facts = sum(each.facts for each in measured)
    figures.facts_found = sum(each.found for each in measured)
    figures.facts_in_top_5 = sum(each.in_top_5 for each in measured)
    figures.facts_quoted = sum(each.quoted for each in measured)
    figures.seconds = round(time.perf_counter() - started, 1)
    return figures


async def _measure_file(services: Services, scope: Scope, line: ManifestLine, file: Ingested, text: str) -> FileFigures:
    outcome = file.reason or file.state
    figures = FileFigures(line.file, line.expect, outcome, file.reason in _REASONS[line.expect], len(line.facts))
    for fact in line.facts:
        answer = await answer_question(services, scope, fact.question, [])
        span = comparable(fact.span)
        in_top_5 = any(span in comparable(found.text) for found in answer.found[:5])
        figures.found += span in text
        figures.in_top_5 += in_top_5
        quoted = span in comparable(" ".join(citation.quote for citation in answer.citations))
        figures.quoted += quoted
        if not quoted:
            figures.not_quoted.append(fact.question if in_top_5 else f"{fact.question} (not in the first five)")
    return figures


def comparable(text: str) -> str:
    """Without white space and the bars between cells, case and ё/е folded."""
    return re.sub(r"[\s|]", "", text).casefold().replace("ё", "е")


async def _texts(services: Services, tenant_id: UUID, files: Sequence[Ingested]) -> dict[str, str]:
    names = {file.document_id: Path(file.file).name for file in files if file.document_id}
    mine = select(DocumentVersion.document_id, DocumentVersion.text).where(DocumentVersion.tenant_id == tenant_id)
    async with services.database.tenant(tenant_id) as session:
        rows = await session.execute(mine.where(DocumentVersion.text.is_not(None)))
        return {names[document_id]: comparable(stored or "") for document_id, stored in rows}


async def _forget(services: Services, tenant_id: UUID) -> None:
    async with services.database.system() as session:
        await session.execute(delete(Tenant).where(Tenant.id == tenant_id))
    await services.files.delete_tenant(tenant_id)
