"""How many of the planted contradictions are found, how much else is reported, and how long it takes."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import click
import msgspec
import workload
from rich.console import Console
from rich.table import Table

from asissto.ingestion.chunking import chunk
from asissto.ingestion.claims import Passage
from asissto.ingestion.findings import Found, find_all
from asissto.ingestion.parsing import parse

ROOT = Path(__file__).resolve().parents[1]
PLANTED = ROOT / "tests" / "planted"
REAL = ("b24_support_ru", "xquad_ru", "xquad_en", "squad2_en", "mtragun_en")
TODAY = date(2026, 11, 25)
SPACE = UUID("6b0d3f0e-5a53-4d0e-9a53-1f7f6c6b6f10")


class Row(msgspec.Struct, frozen=True):
    """`false` are contradictions that nobody planted: in real documents, all of them."""

    name: str
    passages: int
    planted: int
    found: int
    false: int
    repeats: int
    seconds: float

    @property
    def false_in_thousand(self) -> float:
        return 1000 * self.false / self.passages

    @property
    def seconds_a_thousand(self) -> float:
        return 1000 * self.seconds / self.passages


def planted_passages(folder: Path) -> list[Passage]:
    """Passages of the Markdown files as they would be published."""
    return [passage for path in sorted(folder.rglob("*.md")) for passage in _of_file(path)]


def _of_file(path: Path) -> Iterator[Passage]:
    document = parse(path, path.name)
    document_id = uuid5(SPACE, str(path))
    for each in chunk(document):
        yield Passage(
            id=uuid5(document_id, str(each.ord)),
            document_id=document_id,
            version_id=document_id,
            title=document.title,
            heading_path=each.heading_path,
            language=each.language,
            header=each.header,
            text=document.text[each.start : each.end],
            start=each.start,
            published_at=datetime(2026, 1, 1, tzinfo=UTC),
        )


def real_passages(path: Path) -> list[Passage]:
    """Passages of one `doc` are one document."""
    ends: dict[str, int] = {}
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        document_id, start = uuid5(SPACE, row["doc"]), ends.get(row["doc"], 0)
        ends[row["doc"]] = start + len(row["text"]) + 2
        found.append(
            Passage(
                id=uuid5(SPACE, row["id"]),
                document_id=document_id,
                version_id=document_id,
                title=row["title"],
                heading_path=[row["heading"]] if row.get("heading") else [],
                language=row["lang"],
                header="",
                text=row["text"],
                start=start,
                published_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
        )
    return found


def judge(name: str, passages: list[Passage], planted: list[tuple[str, str]]) -> tuple[Row, list[Found]]:
    """The row, and the contradictions that were not planted; seconds are those of the processor."""
    begun = time.process_time()
    found = find_all(passages, TODAY)
    seconds = time.process_time() - begun
    odds = [each for each in found if each.kind == "contradiction"]
    hits = [{at for at, pair in enumerate(planted) if _is(each, pair)} for each in odds]
    false = [each for each, hit in zip(odds, hits, strict=True) if not hit]
    repeats = sum(each.kind in {"duplicate", "near_duplicate"} for each in found)
    row = Row(name, len(passages), len(planted), len(set().union(*hits)), len(false), repeats, seconds)
    return row, false


def _is(found: Found, pair: tuple[str, str]) -> bool:
    assert found.second is not None, "a contradiction has two sides"
    first, second = (_folded(place.quote.text) for place in (found.first, found.second))
    one, other = map(_folded, pair)
    return (one in first and other in second) or (one in second and other in first)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def planted_pairs(folder: Path) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads((folder / "planted.json").read_text(encoding="utf-8"))]


def measure() -> Iterator[tuple[Row, list[Found]]]:
    for folder in sorted(path for path in PLANTED.iterdir() if path.is_dir()):
        yield judge(f"planted, {folder.name}", planted_passages(folder), planted_pairs(folder))
    for name in REAL:
        path = workload.SETS / name / "passages.jsonl"
        if path.exists():
            yield judge(name, real_passages(path), [])


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="One object instead of the table.")
@click.option("--show", is_flag=True, help="Also what was reported and not planted.")
def main(*, as_json: bool, show: bool) -> None:
    rows = list(measure())
    if as_json:
        click.echo(json.dumps([shown(row) for row, _ in rows], ensure_ascii=False))
        return
    table = Table("set", "passages", "planted", "found", "false", "false in 1,000", "repeats", "s for 1,000")
    for row, false in rows:
        each = (row.passages, row.planted, row.found, row.false, f"{row.false_in_thousand:.1f}", row.repeats)
        table.add_row(row.name, *map(str, each), f"{row.seconds_a_thousand:.2f}")
        for found in false if show else ():
            quotes = [place.quote.text for place in (found.first, found.second) if place]
            click.echo(f"{row.name}: {found.value_kind} {found.score}\n  " + "\n  ".join(map(_folded, quotes)))
    Console().print(table)


def shown(row: Row) -> dict[str, Any]:
    rates = {"false_in_thousand": row.false_in_thousand, "seconds_a_thousand": row.seconds_a_thousand}
    return msgspec.structs.asdict(row) | rates


if __name__ == "__main__":
    main()
