"""How much of the gold is found within an equal number of characters, by the size of passages and their overlap."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby, product
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from asissto.ingestion.chunking import ChunkSizes, chunk
from asissto.ingestion.parsing import Element, ParsedDocument
from asissto.platform.entrypoints.evaluating import throw_away
from asissto.platform.log import configure_log
from asissto.platform.services import Services, open_services
from asissto.platform.settings import Settings
from asissto.retrieval.answering import answer_question
from asissto.retrieval.evaluation import (
    SetDocument,
    SetPassage,
    SetQuestion,
    Span,
    SpanQuestion,
    paragraphs,
    read_lines,
    store,
)
from asissto.retrieval.passages import Passage
from asissto.retrieval.scopes import whole_workspace

SETS = Path(__file__).resolve().parents[2] / "shared" / "sets"
TOKENS, OVERLAPS = (150, 200, 300), (0, 40, 80)
BUDGETS = (1_000, 2_000, 4_000)


class Asked(msgspec.Struct, frozen=True):
    """The gold lies in `spans` of the text of one document."""

    question: str
    document: str
    spans: list[Span]


class Row(msgspec.Struct, frozen=True):
    """Recall is the share of the gold's characters within the first so many characters of the passages found."""

    name: str
    tokens: int
    overlap: int
    passages: int
    recall: list[float]


@click.command()
@click.option("--questions", default=100, show_default=True, help="Of each set at most, evenly taken.")
@click.option("--set", "names", multiple=True, default=("longdoc_en", "xquad_en", "xquad_ru", "b24_support_ru"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def main(questions: int, names: tuple[str, ...], *, as_json: bool) -> None:
    """Recall at an equal number of characters, by the size of passages and their overlap."""
    with tempfile.TemporaryDirectory(prefix="asissto-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs under another account where this is root
        rows = asyncio.run(_measure(Settings(data_dir=Path(folder) / "data"), names, questions))
    if as_json:
        click.echo(msgspec.json.encode({"budgets": BUDGETS, "rows": rows}))
        return
    table = Table("set", "tokens", "overlap", "passages", *(f"at {budget:,}" for budget in BUDGETS), "mean")
    for row in rows:
        shares = (*row.recall, sum(row.recall) / len(row.recall))
        table.add_row(row.name, str(row.tokens), str(row.overlap), str(row.passages), *(f"{x:.3f}" for x in shares))
    Console(width=110).print(table)


async def _measure(settings: Settings, names: Sequence[str], most: int) -> list[Row]:
    configure_log(settings)
    rows = []
    async with open_services(settings) as services:
        for name, tokens, overlap in product(names, TOKENS, OVERLAPS):
            rows.append(await _row(services, name, most, ChunkSizes(tokens=tokens, overlap=overlap)))
    return rows


async def _row(services: Services, name: str, most: int, sizes: ChunkSizes) -> Row:
    documents, asked = _set(SETS / name)
    asked = asked[:: -(-len(asked) // most)]
    passages = 0
    async with throw_away(services, 1) as (tenant_id,):
        versions = {}
        for key, document in documents.items():
            chunks = chunk(document, sizes)
            passages += len(chunks)
            versions[key] = await store(services, tenant_id, key, document, chunks)
        scope = await whole_workspace(services, tenant_id)
        shares = []
        for each in asked:
            found = (await answer_question(services, scope, each.question, [])).found
            shares.append([_covered(each, versions[each.document], found, budget) for budget in BUDGETS])
    recall = [round(sum(column) / len(shares), 4) for column in zip(*shares, strict=True)]
    return Row(name, sizes.tokens, sizes.overlap, passages, recall)


def _covered(asked: Asked, version_id: object, found: Sequence[Passage], budget: int) -> float:
    wanted = {at for span in asked.spans for at in range(span.start, span.end)}
    seen: set[int] = set()
    for passage in found:
        end = min(passage.end, passage.start + budget)
        budget -= end - passage.start
        if passage.version_id == version_id:
            seen.update(range(passage.start, end))
    return len(wanted & seen) / len(wanted)


def _set(folder: Path) -> tuple[dict[str, ParsedDocument], list[Asked]]:
    if (folder / "documents.jsonl").exists():
        documents = {each.id: paragraphs(each) for each in read_lines(folder / "documents.jsonl", SetDocument)}
        questions = read_lines(folder / "questions.jsonl", SpanQuestion)
        return documents, [Asked(each.question, each.gold_doc, each.spans) for each in questions]
    documents, places = {}, {}
    passages = read_lines(folder / "passages.jsonl", SetPassage)
    for name, parts in groupby(sorted(passages, key=lambda each: each.doc), key=lambda each: each.doc):
        documents[name], starts = _joined(list(parts))
        places |= {key: (name, start) for key, start in starts.items()}
    texts = {each.id: each.text.strip() for each in passages}
    return documents, list(_asked(read_lines(folder / "questions.jsonl", SetQuestion), places, texts))


def _joined(parts: Sequence[SetPassage]) -> tuple[ParsedDocument, dict[str, int]]:
    """Passages as paragraphs of one document, each under its heading."""
    text, elements, starts = "", list[Element](), {}
    for part in parts:
        path = (part.heading,) if part.heading else ()
        if path and (not elements or elements[-1].heading_path != path):
            elements.append(Element("title", len(text), len(text) + len(part.heading), None, path))
            text += part.heading + "\n\n"
        starts[part.id] = len(text)
        elements.append(Element("text", len(text), len(text) + len(part.text.strip()), None, path))
        text += part.text.strip() + "\n\n"
    return ParsedDocument(parts[0].title, text.rstrip(), tuple(elements), None, ()), starts


def _asked(
    questions: Sequence[SetQuestion], places: dict[str, tuple[str, int]], texts: dict[str, str]
) -> Iterator[Asked]:
    """The gold is the answer where it stands in the first gold passage."""
    for each in questions:
        if not each.answerable or not each.gold_passages or not each.answers:
            continue
        name, start = places[each.gold_passages[0]]
        at = texts[each.gold_passages[0]].find(each.answers[0].text)
        if at >= 0:
            yield Asked(each.question, name, [Span(start + at, start + at + len(each.answers[0].text))])


if __name__ == "__main__":
    main()
