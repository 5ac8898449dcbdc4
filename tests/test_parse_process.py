"""A file that hangs, eats memory or kills its parser harms nobody else."""

import asyncio
import multiprocessing.forkserver
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pytest

from asissto.ingestion.parse_process import parse_apart
from asissto.platform.errors import (
    DocumentCorrupt,
    DocumentEmpty,
    DocumentEncrypted,
    DocumentParseMemory,
    DocumentParseTimeout,
    DocumentTypeUnknown,
)

_SERVER: Any = multiprocessing.forkserver._forkserver


@pytest.fixture(scope="module", autouse=True)
def _no_server_left() -> Iterator[None]:
    yield
    _SERVER._stop()


@pytest.fixture
def slow_file(tmp_path: Path) -> Path:
    """Minutes of work."""
    path = tmp_path / "slow.html"
    path.write_text("<p>Delivery takes five days.</p>" * 500_000)
    return path


def open_files() -> set[str]:
    return {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()}


def children_of_server() -> list[int]:
    """Of the fork server: dead ones that nobody reaped are among them."""
    server = _SERVER._forkserver_pid
    return [int(child) for child in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


async def until_no_children() -> None:
    async with asyncio.timeout(10):
        while children_of_server():  # noqa: ASYNC110 - the kernel tells no event
            await asyncio.sleep(0)


async def test_a_document_comes_back_whole(tmp_path: Path) -> None:
    """Also one that is larger than the pipe."""
    (tmp_path / "a").write_text("# Сроки\n\n" + "Доставка занимает пять дней. " * 20_000)
    document = await parse_apart(tmp_path / "a", "guide.md", seconds=60, memory_mb=500)
    assert (document.title, len(document.elements)) == ("Сроки", 2)
    assert document.elements[1].heading_path == ("Сроки",)
    assert len(document.text) == len("Сроки\n\n") + 20_000 * len("Доставка занимает пять дней. ") - 1


async def test_a_refusal_comes_back_as_itself(tmp_path: Path) -> None:
    """With the parameters of its sentence."""
    (tmp_path / "a").write_bytes(b"MZ")
    with pytest.raises(DocumentTypeUnknown, match=r"“a\.exe” are not supported\. Supported: pdf"):
        await parse_apart(tmp_path / "a", "a.exe", seconds=60, memory_mb=500)
    directory = "EncryptedPackage\0".encode("utf-16-le").ljust(128, b"\0")
    (tmp_path / "b").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0") + directory)
    with pytest.raises(DocumentEncrypted) as refused:
        await parse_apart(tmp_path / "b", "b.docx", seconds=60, memory_mb=500)
    assert refused.value.params == {"name": "b.docx"}


async def test_a_slow_file_is_stopped(slow_file: Path) -> None:
    """And the loop goes on meanwhile."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    with pytest.raises(DocumentParseTimeout, match=r"“slow\.html” took longer than 1 s"):
        await parse_apart(slow_file, "slow.html", seconds=1, memory_mb=4000)
    ticking.cancel()
    assert ticks > 20
    await until_no_children()


async def test_a_greedy_file_is_stopped(slow_file: Path) -> None:
    """16 MB of HTML do not fit into 20 MB."""
    with pytest.raises(DocumentParseMemory, match=r"“slow\.html” needed more than 20 MB"):
        await parse_apart(slow_file, "slow.html", seconds=60, memory_mb=20)
    await until_no_children()


async def test_an_error_inside_a_parser_is_the_files_fault(tmp_path: Path) -> None:
    """The child dies with a traceback, the worker gets a sentence for the user."""
    (tmp_path / "missing").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DocumentCorrupt):
        await parse_apart(tmp_path / "missing", "a.txt", seconds=60, memory_mb=500)


async def test_a_cancelled_parse_leaves_nothing_behind(slow_file: Path, tmp_path: Path) -> None:
    """No child, no open file."""
    (tmp_path / "a").write_text("Hello.")
    await parse_apart(tmp_path / "a", "a.txt", seconds=60, memory_mb=500)
    before = open_files()
    parsing = asyncio.create_task(parse_apart(slow_file, "slow.html", seconds=60, memory_mb=4000))
    async with asyncio.timeout(10):
        while not children_of_server():  # noqa: ASYNC110 - the kernel tells no event
            await asyncio.sleep(0)
    parsing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await parsing
    await until_no_children()
    assert open_files() == before


async def test_parses_run_side_by_side(tmp_path: Path) -> None:
    """Each in a child of its own, without a leak."""
    (tmp_path / "a").write_text("Hello.")
    before = open_files()
    documents = await asyncio.gather(
        *(parse_apart(tmp_path / "a", f"{n}.txt", seconds=60, memory_mb=500) for n in range(10))
    )
    assert [document.title for document in documents] == [str(n) for n in range(10)]
    await until_no_children()
    assert open_files() == before


def test_a_child_does_not_load_the_program_again(tmp_path: Path) -> None:
    """The command line takes seconds to import, and would for every file."""
    (tmp_path / "a.txt").write_text("Hello.")
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio, pathlib\n"
        "from asissto.ingestion.parse_process import parse_apart\n"
        "print('loaded', flush=True)\n"
        "if __name__ == '__main__':\n"
        "    parsing = parse_apart(pathlib.Path(__file__).with_name('a.txt'), 'a.txt', seconds=60, memory_mb=500)\n"
        "    print(asyncio.run(parsing).text)\n"
    )
    ran = subprocess.run([sys.executable, program], check=True, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("loaded\nHello.\n", "")


async def test_a_long_parse_tells_how_far_it_is(tmp_path: Path) -> None:
    """Pages read, of how many; whoever hears slowly hears the newest."""
    document = pdfium.PdfDocument.new()
    for _ in range(20_000):
        document.new_page(200, 200)
    document.save(tmp_path / "long.pdf")
    steps: list[tuple[int, int]] = []

    async def report(done: int, total: int) -> None:
        steps.append((done, total))

    with pytest.raises(DocumentEmpty):
        await parse_apart(tmp_path / "long.pdf", "long.pdf", seconds=60, memory_mb=2000, report=report)
    assert steps == sorted(steps)
    assert {total for _, total in steps} == {20_000}
