"""The command line as people and scripts meet it: one JSON object on request, one sentence on failure."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asissto.platform.postgres import EmbeddedPostgres
from copies import server_folder

SECONDS = 90


@dataclass(frozen=True)
class Ended:
    status: int
    output: str
    errors: str


async def run(folder: Path, *arguments: str, **environment: str) -> Ended:
    """A process of its own, with settings of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ASISSTO_", "OPENAI_"))}
    settings = {"HOME": str(folder), "ASISSTO_DATA_DIR": str(folder / "data"), **environment}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asissto.platform.entrypoints.cli", *arguments),
        env=inherited | settings,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, output.decode(), errors.decode())


def only_object(ended: Ended) -> dict[str, Any]:
    """What a script reads: one line, one object."""
    (line,) = ended.output.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """With a data folder whose server runs from the first command to the last."""
    with server_folder() as folder, EmbeddedPostgres(folder / "data"):
        yield folder


@pytest.fixture(scope="module")
async def ingested(folder: Path) -> Ended:
    """Two files, one of a type that nobody reads."""
    (folder / "shop.md").write_text("# Shop\n\nOur shop opens at nine. Delivery takes three days.\n", encoding="utf-8")
    (folder / "shop.exe").write_bytes(b"MZ")
    return await run(folder, "ingest", "--json", "shop.md", "shop.exe")


async def test_ingest_tells_what_became_of_each_file(ingested: Ended) -> None:
    """One of them failed, so the status is not 0; the other is ready all the same."""
    assert ingested.status == 1
    files = only_object(ingested)["files"]
    assert [(file["file"], file["state"], file["reason"]) for file in files] == [
        ("shop.md", "ready", None),
        ("shop.exe", "failed", "document_type_unknown"),
    ]
    assert files[1]["detail"].startswith("Files of the type of “shop.exe” are not supported.")


async def test_ask_cites_what_was_ingested(folder: Path, ingested: Ended) -> None:
    """From another process, with the quote at its place."""
    ended = await run(folder, "ask", "--json", "When does the shop open?")
    answer = only_object(ended)
    assert (ended.status, answer["answered"]) == (0, True)
    (citation,) = answer["citations"]
    assert citation["document"] == "Shop"
    assert citation["quote"] == "Our shop opens at nine. Delivery takes three days."
    assert answer["text"] == f"{citation['quote']} [1]"
    assert answer.keys() == {"answered", "text", "citations", "confidence", "latency_ms"}


async def test_ask_without_json_is_for_people(folder: Path, ingested: Ended) -> None:
    """Question, answer and sources, in the language of the question where nobody knows."""
    ended, unknown = await asyncio.gather(
        run(folder, "ask", "When does the shop open?"), run(folder, "ask", "Кто написал оперу про рыбака?")
    )
    assert (ended.status, unknown.status) == (0, 0)
    assert "[1] Shop" in ended.output
    assert "В документах я не нашёл ответа на этот вопрос." in unknown.output


async def test_doctor_looks_at_everything(folder: Path, ingested: Ended) -> None:
    """A working installation is called one, in one object and with status 0."""
    ended = await run(folder, "doctor", "--json")
    report = only_object(ended)
    states = {finding["check"]: finding["state"] for finding in report["findings"]}
    checks = [
        "python",
        "data folder",
        "database",
        "schema",
        "jobs",
        "file store",
        "embedder",
        "chat model",
        "mail",
        "memory",
    ]
    assert list(states) == checks
    assert (ended.status, report["ok"], set(states.values())) == (0, True, {"ok"})


async def test_a_link_for_nobody_is_not_printed(folder: Path) -> None:
    """One sentence, and nothing that a script could take for a link."""
    ended = await run(folder, "link", "reset", "nobody@example.com")
    assert (ended.status, ended.output, ended.errors) == (1, "", "There is no such user. (not_found)\n")


async def test_doctor_says_what_is_wrong(folder: Path) -> None:
    """A mistake in the settings is a finding, and the object still the only output."""
    ended = await run(folder, "doctor", "--json", ASISSTO_PROT="1")
    report = only_object(ended)
    assert (ended.status, report["ok"]) == (1, False)
    assert "ASISSTO_PROT" in report["findings"][-1]["detail"]


@dataclass(frozen=True)
class Mistake:
    """A command that cannot work, and the code of its error."""

    code: str
    arguments: tuple[str, ...]
    environment: dict[str, str]


def mistakes(folder: Path, taken_port: int) -> dict[str, Mistake]:
    nobody = "postgresql://dora:secret@127.0.0.1:1/asissto"
    port = {"ASISSTO_PORT": str(taken_port)}
    question = ("ask", "Hello?")
    return {
        "a setting that is none": Mistake("unknown_setting", question, {"ASISSTO_PROT": "1", "ASISSTO_LANGUAGE": "ru"}),
        "a port that is none": Mistake("bad_setting", ("up",), {"ASISSTO_PORT": "http"}),
        "a file for a data folder": Mistake("data_dir_unusable", question, {"ASISSTO_DATA_DIR": str(folder / "file")}),
        "a database that does not answer": Mistake("database_down", question, {"ASISSTO_DATABASE_URL": nobody}),
        "an address that is none": Mistake("bad_setting", question, {"ASISSTO_DATABASE_URL": "dora:secret@x"}),
        "an empty question": Mistake("question_empty", ("ask", ""), {}),
        "a letter for a question": Mistake("question_too_long", ("ask", "a" * 100_000), {}),
        "a question in another encoding": Mistake("invalid_input", ("ask", "\udcef\udcf0\udce8"), {}),
        "a role for nobody": Mistake("not_found", ("grant", "admin", "nobody@example.com"), {}),
        "a port in use": Mistake("port_in_use", ("up",), port),
    }


async def test_a_mistake_is_told_in_one_sentence(folder: Path) -> None:
    """In the language of the settings, with its code and status 1; no output, no traceback and no password."""
    (folder / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made = mistakes(folder, taken.getsockname()[1])
        slots = asyncio.Semaphore(3)

        async def make(mistake: Mistake) -> Ended:
            async with slots:
                return await run(folder, *mistake.arguments, **mistake.environment)

        ended = await asyncio.gather(*map(make, made.values()))
    assert ended[0].errors.startswith("ASISSTO_PROT: такой настройки нет.")
    for (case, mistake), each in zip(made.items(), ended, strict=True):
        assert (each.status, each.output) == (1, ""), (case, each)
        (line,) = each.errors.splitlines()
        assert line.endswith(f"({mistake.code})"), case
        assert "secret" not in line, case


async def test_a_file_that_does_not_exist_is_named(folder: Path) -> None:
    """Before anything is opened."""
    ended = await run(folder, "ingest", "--json", "nowhere.md")
    assert (ended.status, ended.output) == (2, "")
    assert ended.errors.splitlines()[-1] == "Error: Invalid value for 'PATHS...': Path 'nowhere.md' does not exist."
