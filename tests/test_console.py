"""The console as it is built and served: fresh types, a budget of bytes, a policy that holds, a page without it."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from asissto.platform import console
from asissto.platform.entrypoints.web import client_description
from browsing import built, run_build
from npm import give_up

assert built
ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "platform/web"
FIRST_LOAD = 220_000
"""Bytes of script and style, packed by gzip, before the first page can be seen; fonts come beside."""
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def assets(dist: Path) -> list[str]:
    return [path.name for path in (dist / "assets").iterdir()]


def first_load(dist: Path) -> Iterator[Path]:
    """What the document names, what its script imports at once, and the texts of one language."""
    index = (dist / "index.html").read_text(encoding="utf-8")
    wanted = [
        *re.findall(r'(?:src|href)="/assets/([^"]+)"', index),
        *(path.name for path in dist.glob("assets/ru-*.js")),
    ]
    seen = set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        path = dist / "assets" / name
        if path.suffix == ".js":
            wanted += re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', path.read_text(encoding="utf-8"))
        yield path


def test_the_description_for_the_console_is_fresh() -> None:
    """Whoever changes the API runs `make client`, and sees in the types what breaks."""
    assert (WEB / "openapi.json").read_text(encoding="utf-8") == client_description(), "run `make client`"


def test_the_types_of_the_console_are_fresh(tmp_path: Path) -> None:
    """They are made of the description and changed by no hand."""
    ran = run_build("--types", str(tmp_path / "schema.d.ts"))
    if ran.returncode:
        give_up(f"openapi-typescript cannot be run: {ran.stderr[-500:]}")
    made = (tmp_path / "schema.d.ts").read_text(encoding="utf-8")
    assert made == (WEB / "src/api/schema.d.ts").read_text(encoding="utf-8"), "run `make client`"


def test_an_unchanged_console_is_not_built_again(built: Path) -> None:
    """Each `make run` looks; it must cost nothing."""
    before = (built / "index.html").stat().st_mtime_ns
    ran = run_build()
    assert (ran.returncode, ran.stdout, (built / "index.html").stat().st_mtime_ns) == (0, "", before)


def test_the_lock_file_names_no_address_of_a_package() -> None:
    """Whoever installs takes their own registry; the hashes say whether it is the same."""
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name and not entry.get("inBundle")}
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [name for name, entry in packages.items() if not entry.get("integrity", "").startswith("sha512-")] == []


def test_the_first_load_stays_within_its_budget(built: Path) -> None:
    """A console that takes seconds on a telephone is closed before it is seen."""
    files = [path for path in first_load(built) if path.suffix in (".js", ".css")]
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in files}
    assert len(sizes) >= 3, sizes
    assert sum(sizes.values()) <= FIRST_LOAD, sizes


async def test_every_page_is_the_same_document(built: Path, client: httpx.AsyncClient) -> None:
    """Its scripts and styles are files of its own; what its libraries style on the way is known by a mark."""
    answers = [await client.get(path, headers=HTML) for path in ("/", "/setup", "/knowledge/1?start=2", "/nowhere")]
    nonces = [re.findall(r'name="style-nonce" content="([\w-]{22})"', answer.text)[0] for answer in answers]
    assert len(set(nonces)) == len(answers)
    for answer, nonce in zip(answers, nonces, strict=True):
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert answer.headers["content-security-policy"].endswith(f"; style-src 'self' 'nonce-{nonce}'")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "<style" not in answer.text
        assert answer.text.count("<script") == answer.text.count(' src="/assets/')
        assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "path", ["/api/v1/nowhere", "/assets/nowhere.js", "/assets/..%2findex.html", "/health/nowhere", "/page/nowhere"]
)
async def test_what_is_no_page_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    """Also for a browser that would take any document."""
    answer = await client.get(path, headers=HTML)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "immutable" not in answer.headers.get("cache-control", "")


async def test_a_program_gets_no_page_where_nothing_is(client: httpx.AsyncClient) -> None:
    """It would take the document for an answer."""
    answer = await client.get("/nowhere", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_files_of_the_console_may_be_kept(built: Path, client: httpx.AsyncClient) -> None:
    """Their names change with their content."""
    kinds = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2"}
    for suffix, kind in kinds.items():
        name = next(name for name in assets(built) if name.endswith(suffix))
        answer = await client.get(f"/assets/{name}")
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)
        assert {"public", "immutable", "max-age=31536000"} <= set(answer.headers["cache-control"].split(", "))


@pytest.mark.parametrize(("language", "words"), [("en", "make setup"), ("ru", "Консоль не собрана")])
async def test_without_a_built_console_the_page_says_how(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, language: str, words: str
) -> None:
    """The API works all the same."""
    monkeypatch.setattr(console, "CONSOLE", tmp_path)
    answer = await client.get("/", headers={"accept-language": language})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert words in answer.text
    assert (await client.get("/health/ready")).status_code == 200
