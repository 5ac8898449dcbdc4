"""How long an answer takes without a model, step by step, beside LlamaIndex's query engines and plain pgvector."""

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import click
import labelled
import msgspec
import numpy as np
import workload
from arena import HERE, PEER, Arena, console, open_arena, parts
from contest import Side
from rich.console import Console
from rich.table import Table

WANTED = 10
DOCUMENT = 500
SMALL = "small"
Taken = Sequence[Any]  # of one question: seconds, found rows, and what else the side tells


class Variant(msgspec.Struct, frozen=True):
    """A way to ask all questions, and whom it is compared with; `arguments` are those of the side's method."""

    label: str
    side: str
    method: str
    arguments: dict[str, Any]
    rival: str | None = None


ANSWER, ENGINE, CITES = "Asissto, answer", "LlamaIndex, query engine", "LlamaIndex, citation engine"
VARIANTS = (
    Variant("pgvector, exact", "plain", "search", {"table": "plain_exact", "embed": False}),
    Variant("pgvector, HNSW", "plain", "search", {"table": "plain_hnsw", "embed": False}),
    Variant("Asissto, retrieval", "ours", "retrieve", {"embed": False}, "pgvector, exact"),
    Variant("pgvector, exact, embedding", "plain", "search", {"table": "plain_exact", "embed": True}),
    Variant("pgvector, HNSW, embedding", "plain", "search", {"table": "plain_hnsw", "embed": True}),
    Variant("Asissto, retrieval, embedding", "ours", "retrieve", {"embed": True}, f"{ENGINE}, hybrid"),
    Variant(f"{ENGINE}, vectors", "peer", "answer", {"table": "hybrid", "words": False, "cite": False}),
    Variant(f"{ENGINE}, vectors, HNSW", "peer", "answer", {"table": "hnsw", "words": False, "cite": False}),
    Variant(f"{ENGINE}, hybrid", "peer", "answer", {"table": "hybrid", "words": True, "cite": False}),
    Variant(f"{ENGINE}, hybrid, HNSW", "peer", "answer", {"table": "hnsw", "words": True, "cite": False}),
    Variant(f"{CITES}, hybrid", "peer", "answer", {"table": "hybrid", "words": True, "cite": True}),
    Variant(f"{CITES}, hybrid, HNSW", "peer", "answer", {"table": "hnsw", "words": True, "cite": True}),
    Variant(ANSWER, "ours", "answer", {"again": False}, f"{CITES}, hybrid"),
    Variant("Asissto, answer, asked again", "ours", "answer", {"again": True}, f"{CITES}, hybrid"),
    Variant("Asissto, whole turn", "ours", "turn", {}),
)


class Row(msgspec.Struct, frozen=True):
    """Milliseconds, medians over the rounds; the shares of questions by their language."""

    label: str
    p50: float
    p95: float
    hit_at_1: dict[str, float]
    recall_at_5: dict[str, float]
    rival: str | None = None
    faster: float | None = None


class Step(msgspec.Struct, frozen=True):
    """Milliseconds; `share` is that of the time of all answers together."""

    name: str
    p50: float
    p95: float
    share: float


class Stage(msgspec.Struct, frozen=True):
    """`measured` rows of the tenant that is asked among `rows`; `answered` is the share that is not declined."""

    rows: int
    measured: int
    results: list[Row]
    steps: list[Step]
    answered: float


class Figures(msgspec.Struct, frozen=True):
    questions: dict[str, int]
    rounds: int
    stages: list[Stage]
    ours_peak_mb: float
    peer_peak_mb: float


class Sizes(msgspec.Struct, frozen=True):
    passages: int
    small: int
    others: int
    tenants: int
    questions: int
    rounds: int


@click.command(help=__doc__)
@click.option("--passages", default=10_000, show_default=True, help="Rows of the tenant that is asked.")
@click.option("--small", default=1_000, show_default=True, help="Rows of a small tenant that is asked too.")
@click.option("--others", default=20_000, show_default=True, help="Rows of the other tenants.")
@click.option("--tenants", default=4, show_default=True, help="Tenants that share the other rows.")
@click.option("--questions", default=60, show_default=True, help="Questions of a round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds in turn; the first one warms up.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
def main(as_json: bool, **sizes: int) -> None:
    figures = asyncio.run(measure(Sizes(**sizes)))
    if as_json:
        print(msgspec.json.encode(figures).decode())
    else:
        show(figures)


async def measure(sizes: Sizes) -> Figures:
    end, small = sizes.passages + sizes.others, min(sizes.small, sizes.passages)
    console.print("Embedding passages, sentences and questions", style="dim")
    with tempfile.TemporaryDirectory() as folder:
        asked = await labelled.make_labelled(end, small, sizes.questions, Path(folder))
    work = labelled.repeated(asked.work, 0, small)
    async with open_arena(work, "ours_answers.py", "peer_answers.py") as arena:
        script = (HERE / "plain.py", str(arena.folder), str(arena.socket_dir), PEER)
        with closing(Side(Path(sys.executable), *script)) as plain:
            sides = {"ours": arena.ours, "peer": arena.peer, "plain": plain}
            _store(sides, workload.TENANT, 0, sizes.passages)
            for number, (first, last) in enumerate(parts(sizes.passages, end, -(-sizes.others // sizes.tenants))):
                _store(sides, f"other-{number}", first, last)
            _store(sides, SMALL, end, end + small)
            await _settle(arena, plain)
            stages = [
                _stage(sides, SMALL, sizes, msgspec.structs.replace(asked, gold=[row + end for row in asked.gold])),
                _stage(sides, workload.TENANT, sizes, asked),
            ]
            peaks = arena.ours.call("peak_mb"), arena.peer.call("peak_mb")
    counts = {language: asked.languages.count(language) for language in sorted(set(asked.languages))}
    return Figures(counts, sizes.rounds, stages, *peaks)


def _store(sides: Mapping[str, Side], tenant: str, first: int, last: int) -> None:
    console.print(f"Storing {last - first} passages of {tenant}", style="dim")
    for start, end in parts(first, last, DOCUMENT):
        for side, table in (("ours", {}), ("peer", {"table": "hybrid"}), ("plain", {})):
            sides[side].call("store", tenant=tenant, first=start, last=end, **table)


async def _settle(arena: Arena, plain: Side) -> None:
    console.print("Building the HNSW indexes", style="dim")
    arena.peer.call("copy_with_hnsw")
    plain.call("index")
    await arena.settle()


def _stage(sides: Mapping[str, Side], tenant: str, sizes: Sizes, asked: labelled.Labelled) -> Stage:
    answers: dict[str, list[list[Taken]]] = {variant.label: [] for variant in VARIANTS}
    for number in range(sizes.rounds):
        console.print(f"Asking the tenant {tenant}, round {number + 1} of {sizes.rounds}", style="dim")
        for each in VARIANTS:
            taken = sides[each.side].call(each.method, tenant=tenant, wanted=WANTED, **each.arguments)
            answers[each.label].append(taken)
    counted = {label: rounds[1:] or rounds for label, rounds in answers.items()}
    told = [told for taken in counted[ANSWER] for _, _, told in taken]
    return Stage(
        rows=sizes.passages + sizes.others + min(sizes.small, sizes.passages),
        measured=min(sizes.small, sizes.passages) if tenant == SMALL else sizes.passages,
        results=compare(counted, asked),
        steps=share(told),
        answered=sum(each["answered"] for each in told) / len(told),
    )


def compare(rounds: Mapping[str, Sequence[Sequence[Taken]]], asked: labelled.Labelled) -> list[Row]:
    """A row for each variant; the ratio is that of the 95th percentiles."""
    p95 = {label: _middle(taken, 95) for label, taken in rounds.items()}
    return [
        Row(
            label=each.label,
            p50=_middle(rounds[each.label], 50),
            p95=p95[each.label],
            hit_at_1=_hits(rounds[each.label][-1], asked, 1),
            recall_at_5=_hits(rounds[each.label][-1], asked, 5),
            rival=each.rival,
            faster=None if each.rival is None else p95[each.rival] / p95[each.label],
        )
        for each in VARIANTS
    ]


def share(told: Sequence[Mapping[str, float]]) -> list[Step]:
    """Of each step of the answer core, in their order."""
    whole = sum(each["total"] for each in told)
    names = [name for name in told[0] if name not in {"total", "answered"}]
    return [_step(name, [each.get(name, 0.0) for each in told], whole) for name in names]


def _step(name: str, times: Sequence[float], whole: float) -> Step:
    p50, p95 = np.percentile(times, (50, 95))
    return Step(name, float(p50), float(p95), sum(times) / whole)


def _middle(rounds: Sequence[Sequence[Taken]], percent: float) -> float:
    """The percentile of each round in milliseconds, and the median of them."""
    return float(median(np.percentile([seconds for seconds, *_ in taken], percent) * 1000 for taken in rounds))


def _hits(taken: Sequence[Taken], asked: labelled.Labelled, depth: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for language in sorted(set(asked.languages)):
        mine = [at for at, spoken in enumerate(asked.languages) if spoken == language]
        found[language] = labelled.hits([taken[at][1] for at in mine], [asked.gold[at] for at in mine], depth)
    return found


def show(figures: Figures) -> None:
    for stage in figures.stages:
        print(f"\nAnswering from {stage.measured:,} passages of one tenant among {stage.rows:,}")
        _show_results(stage, list(figures.questions))
        table = Table("step of an answer of ours", "p50, ms", "p95, ms", "share")
        for step in stage.steps:
            table.add_row(step.name, f"{step.p50:.1f}", f"{step.p95:.1f}", f"{step.share:.0%}")
        Console().print(table)
        print(f"Answered, not declined: {stage.answered:.0%}")
    print(f"Client peak: Asissto {figures.ours_peak_mb:.0f} MB, LlamaIndex {figures.peer_peak_mb:.0f} MB")


def _show_results(stage: Stage, languages: Sequence[str]) -> None:
    shares = [f"{name} {language}" for language in languages for name in ("hit@1", "recall@5")]
    table = Table("", "p50, ms", "p95, ms", *shares, "faster than")
    for row in stage.results:
        found = [f"{values[each]:.2f}" for each in languages for values in (row.hit_at_1, row.recall_at_5)]
        faster = "" if row.faster is None else f"{row.faster:.1f} x {row.rival}"
        table.add_row(row.label, f"{row.p50:.1f}", f"{row.p95:.1f}", *found, faster)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
