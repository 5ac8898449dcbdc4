"""How fast passages are stored and documents ingested, beside LlamaIndex on the same server and data."""

import asyncio
from statistics import median
from typing import Any

import click
import msgspec
import workload
from arena import Arena, console, open_arena, parts
from rich.console import Console
from rich.table import Table

DOCUMENT = 500  # passages to a transaction, as many as a book has

LABELS = {
    "ours": "Asissto, with text index",
    "hybrid": "PGVectorStore, with text index",
    "indexed": "PGVectorStore, with text index and HNSW",
    "plain": "PGVectorStore, vectors only",
}


class Storing(msgspec.Struct, frozen=True):
    """Medians over the rounds; `ours_is_faster` compares rows a second."""

    side: str
    rows_per_second: float
    peak_mb: float | None
    ours_is_faster: float


class Ingesting(msgspec.Struct, frozen=True):
    """Chunk, embed and store, without parsing; `over_embedding` is the rest of the time as a share of embedding."""

    side: str
    passages: int
    seconds: float
    embedding_seconds: float
    over_embedding: float


class Files(msgspec.Struct, frozen=True):
    """Whole files by one worker, Asissto alone: from upload to publication, and the steps' shares of the time."""

    documents: int
    failed: int
    passages: int
    seconds: float
    parse: float
    embed: float
    store: float
    peak_mb: float


class Figures(msgspec.Struct, frozen=True):
    passages: int
    rounds: int
    storing: list[Storing]
    short: list[Ingesting]
    long: list[Ingesting]
    files: Files | None


@click.command(help=__doc__)
@click.option("--passages", default=20_000, show_default=True, help="Rows that each side stores.")
@click.option("--rounds", default=5, show_default=True, help="Rounds in turn; the first one warms up.")
@click.option("--characters", default=150_000, show_default=True, help="Length of the documents ingested whole.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
def main(passages: int, rounds: int, characters: int, as_json: bool) -> None:
    figures = asyncio.run(measure(passages, rounds, characters))
    if as_json:
        print(msgspec.json.encode(figures).decode())
    else:
        show(figures)


async def measure(passages: int, rounds: int, characters: int) -> Figures:
    async with open_arena(workload.make_workload(passages, 0, 1)) as arena:
        storing = _store(arena, passages, rounds)
        await arena.settle()
        texts = workload.documents(characters)
        short, long = _ingest(arena, texts, rounds), _ingest(arena, workload.books(texts), rounds)
        files = _read_files(arena)
    return Figures(passages=passages, rounds=rounds, storing=storing, short=short, long=long, files=files)


def _read_files(arena: Arena) -> Files | None:
    paths = [str(path) for path in workload.files()]
    if not paths:
        return None
    console.print(f"Reading {len(paths)} files", style="dim")
    told = arena.ours.call("files", paths=paths)
    steps = {"parse": "parse_apart", "embed": "embed_chunks", "store": "_publish"}
    shares = {step: told[name] / told["seconds"] for step, name in steps.items()}
    counted = {name: int(told[name]) for name in ("documents", "failed", "passages")}
    return Files(**counted, seconds=told["seconds"], **shares, peak_mb=float(arena.ours.call("peak_mb")))


def _store(arena: Arena, passages: int, rounds: int) -> list[Storing]:
    speeds: dict[str, list[float]] = {side: [] for side in LABELS}
    for number, (first, last) in enumerate(parts(0, passages, -(-passages // rounds))):
        console.print(f"Storing, round {number + 1} of {rounds}", style="dim")
        for side, speed in speeds.items():
            seconds = sum(_store_document(arena, side, *part) for part in parts(first, last, DOCUMENT))
            speed.append((last - first) / seconds)
    peaks = {"ours": arena.ours.call("peak_mb"), "hybrid": arena.peer.call("peak_mb")}
    return compare_storing({side: median(speed[1:] or speed) for side, speed in speeds.items()}, peaks)


def _store_document(arena: Arena, side: str, first: int, last: int) -> float:
    where: dict[str, Any] = {"tenant": workload.TENANT, "first": first, "last": last}
    answer = arena.ours.call("store", **where) if side == "ours" else arena.peer.call("store", table=side, **where)
    return float(answer)


def compare_storing(speeds: dict[str, float], peaks: dict[str, float]) -> list[Storing]:
    return [Storing(side, speed, peaks.get(side), speeds["ours"] / speed) for side, speed in speeds.items()]


def _ingest(arena: Arena, texts: list[str], rounds: int) -> list[Ingesting]:
    taken: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for number in range(max(1, rounds - 2)):
        console.print(f"Ingesting {len(texts)} documents, round {number + 1} of {max(1, rounds - 2)}", style="dim")
        taken["ours"].append(arena.ours.call("ingest", texts=texts))
        taken["peer"].append(arena.peer.call("ingest", texts=texts))
    return [ingesting(side, answers) for side, answers in taken.items()]


def ingesting(side: str, rounds: list[dict[str, float]]) -> Ingesting:
    """The round with the median excess over embedding stands for all, because embedding is what the time goes into."""
    middle = sorted(rounds, key=lambda each: each["seconds"] / each["embedding"])[len(rounds) // 2]
    seconds, embedding = middle["seconds"], middle["embedding"]
    return Ingesting(side, int(middle["passages"]), seconds, embedding, seconds / embedding - 1)


def show(figures: Figures) -> None:
    table = Table("", "rows/s", "client peak, MB", "ours is faster", title=f"Storing {figures.passages:,} passages")
    for row in figures.storing:
        peak = "" if row.peak_mb is None else f"{row.peak_mb:.0f}"
        table.add_row(LABELS[row.side], f"{row.rows_per_second:,.0f}", peak, f"{row.ours_is_faster:.1f} x")
    Console().print(table)
    _show_ingesting("Ingesting short documents without parsing", figures.short)
    _show_ingesting("Ingesting long documents without parsing", figures.long)
    if figures.files is not None:
        _show_files(figures.files)


def _show_ingesting(title: str, rows: list[Ingesting]) -> None:
    table = Table("", "passages", "s", "of it embedding, s", "the rest over embedding", title=title)
    for each in rows:
        label = "Asissto" if each.side == "ours" else "IngestionPipeline"
        times = f"{each.seconds:.2f}", f"{each.embedding_seconds:.2f}"
        table.add_row(label, str(each.passages), *times, f"{each.over_embedding:+.1%}")
    Console().print(table)


def _show_files(files: Files) -> None:
    title = f"{files.documents} files from upload to search by one worker, Asissto alone ({files.failed} refused)"
    table = Table("documents/s", "passages/s", "parse", "embed", "store", "rest", "peak, MB", title=title)
    rest = 1 - files.parse - files.embed - files.store
    shares = [f"{share:.0%}" for share in (files.parse, files.embed, files.store, rest)]
    speeds = [f"{number / files.seconds:.1f}" for number in (files.documents, files.passages)]
    table.add_row(*speeds, *shares, f"{files.peak_mb:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
