"""How fast and well one tenant is searched, alone and among others, beside LlamaIndex on the same server and data."""

import asyncio
from collections.abc import Sequence
from statistics import median
from typing import Any

import click
import msgspec
import numpy as np
import workload
from arena import OURS, Arena, console, open_arena, parts
from rich.console import Console
from rich.table import Table

WANTED = 10
DOCUMENT = 500
SECURED = ("knowledge_bases", "lexeme_counts", "chunk_lexemes", "chunk_embeddings", "chunks", "documents")


class Variant(msgspec.Struct, frozen=True):
    """A way to search; ours has no `table`. `rival` is whom ours is compared with."""

    label: str
    words: bool
    dense: bool
    table: str | None = None
    secured: bool = True
    rival: str | None = None


VARIANTS = (
    Variant("Asissto, vectors", words=False, dense=True, rival="PGVectorStore, vectors"),
    Variant("PGVectorStore, vectors", words=False, dense=True, table="hybrid"),
    Variant("PGVectorStore, vectors, HNSW", words=False, dense=True, table="hnsw"),
    Variant("Asissto, words", words=True, dense=False, rival="PGVectorStore, words"),
    Variant("PGVectorStore, words", words=True, dense=False, table="hybrid"),
    Variant("Asissto, hybrid", words=True, dense=True, rival="PGVectorStore, hybrid"),
    Variant("Asissto, hybrid, without row security", words=True, dense=True, secured=False),
    Variant("PGVectorStore, hybrid", words=True, dense=True, table="hybrid"),
    Variant("PGVectorStore, hybrid, HNSW", words=True, dense=True, table="hnsw"),
)


class Row(msgspec.Struct, frozen=True):
    """Milliseconds, medians over the rounds; `recall` is that of vector search at 10 rows against the exact answer."""

    label: str
    p50: float
    p95: float
    recall: float | None
    ours_is_faster: float | None


class Stage(msgspec.Struct, frozen=True):
    """`rows` are all rows of the database, `measured` those of the tenant that is searched."""

    rows: int
    measured: int
    results: list[Row]


class Figures(msgspec.Struct, frozen=True):
    questions: int
    rounds: int
    stages: list[Stage]
    growth: float
    ours_peak_mb: float
    peer_peak_mb: float


class Sizes(msgspec.Struct, frozen=True):
    """How much is searched and asked; each round asks all questions in every way."""

    passages: int
    others: int
    tenants: int
    questions: int
    rounds: int


@click.command(help=__doc__)
@click.option("--passages", default=10_000, show_default=True, help="Rows of the tenant that is searched.")
@click.option("--others", default=20_000, show_default=True, help="Rows of the other tenants, added half-way.")
@click.option("--tenants", default=4, show_default=True, help="Tenants that share the other rows.")
@click.option("--questions", default=30, show_default=True, help="Questions of a round.")
@click.option("--rounds", default=4, show_default=True, help="Rounds in turn; the first one warms up.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
def main(as_json: bool, **sizes: int) -> None:
    figures = asyncio.run(measure(Sizes(**sizes)))
    if as_json:
        print(msgspec.json.encode(figures).decode())
    else:
        show(figures)


async def measure(sizes: Sizes) -> Figures:
    mine, all_rows = sizes.passages, sizes.passages + sizes.others
    work = workload.make_workload(mine, sizes.others, sizes.questions)
    exact = workload.nearest(work.vectors[:mine], work.question_vectors, WANTED)
    async with open_arena(work) as arena:
        _store(arena, workload.TENANT, 0, mine)
        alone = await _stage(arena, exact, sizes.rounds, mine)
        for number, (first, last) in enumerate(parts(mine, all_rows, -(-sizes.others // sizes.tenants))):
            _store(arena, f"other-{number}", first, last)
        among = await _stage(arena, exact, sizes.rounds, all_rows)
        peaks = arena.ours.call("peak_mb"), arena.peer.call("peak_mb")
    growth = among[0].p95 / alone[0].p95
    stages = [Stage(mine, mine, alone), Stage(all_rows, mine, among)]
    return Figures(sizes.questions, sizes.rounds, stages, growth, *peaks)


def _store(arena: Arena, tenant: str, first: int, last: int) -> None:
    console.print(f"Storing {last - first} passages of {tenant}", style="dim")
    for start, end in parts(first, last, DOCUMENT):
        arena.ours.call("store", tenant=tenant, first=start, last=end)
        arena.peer.call("store", table="hybrid", tenant=tenant, first=start, last=end)


async def _stage(arena: Arena, exact: list[list[int]], rounds: int, rows: int) -> list[Row]:
    console.print("Building the HNSW index of PGVectorStore", style="dim")
    arena.peer.call("copy_with_hnsw")
    await arena.settle()
    answers: dict[str, list[Any]] = {variant.label: [] for variant in VARIANTS}
    for number in range(rounds):
        console.print(f"Searching one tenant among {rows} rows, round {number + 1} of {rounds}", style="dim")
        for variant in VARIANTS:
            answers[variant.label].append(await _search(arena, variant))
    return compare({label: taken[1:] or taken for label, taken in answers.items()}, exact, VARIANTS)


async def _search(arena: Arena, variant: Variant) -> list[tuple[float, list[int]]]:
    asked = {"words": variant.words, "dense": variant.dense, "wanted": WANTED}
    if variant.table is not None:
        return list(arena.peer.call("search", table=variant.table, **asked))
    if not variant.secured:
        await _switch_security(arena, "DISABLE")
    found = list(arena.ours.call("search", **asked))
    if not variant.secured:
        await _switch_security(arena, "ENABLE")
    return found


async def _switch_security(arena: Arena, switch: str) -> None:
    await arena.run_as_superuser(OURS, *(f"ALTER TABLE {table} {switch} ROW LEVEL SECURITY" for table in SECURED))
    arena.ours.call("search", words=True, dense=True, wanted=WANTED)  # plans are made anew


def compare(
    rounds: dict[str, list[list[tuple[float, list[int]]]]],
    exact: Sequence[Sequence[int]],
    variants: Sequence[Variant],
) -> list[Row]:
    """A row for each variant; `rounds` are its rounds of (seconds, found rows) for each question."""
    p95 = {label: median(percentile(answers, 95) for answers in taken) for label, taken in rounds.items()}
    return [
        Row(
            label=each.label,
            p50=median(percentile(answers, 50) for answers in rounds[each.label]),
            p95=p95[each.label],
            recall=None if each.words else workload.recall([rows for _, rows in rounds[each.label][-1]], exact),
            ours_is_faster=None if each.rival is None else p95[each.rival] / p95[each.label],
        )
        for each in variants
    ]


def percentile(answers: Sequence[tuple[float, list[int]]], share: float) -> float:
    """In milliseconds."""
    return float(np.percentile([seconds for seconds, _ in answers], share)) * 1000


def show(figures: Figures) -> None:
    for stage in figures.stages:
        title = f"Searching {stage.measured:,} passages of one tenant among {stage.rows:,}"
        table = Table("", "p50, ms", "p95, ms", "recall@10", "ours is faster", title=title)
        for row in stage.results:
            recall = "" if row.recall is None else f"{row.recall:.3f}"
            faster = "" if row.ours_is_faster is None else f"{row.ours_is_faster:.1f} x"
            table.add_row(row.label, f"{row.p50:.1f}", f"{row.p95:.1f}", recall, faster)
        Console().print(table)
    print(f"Growth of the p95 of our vector search: {figures.growth:.2f} x")
    print(f"Client peak: Asissto {figures.ours_peak_mb:.0f} MB, LlamaIndex {figures.peer_peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
