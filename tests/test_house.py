"""The rules of the house that no other tool holds."""

import ast
import platform
import re
import string
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from asissto.platform.errors import AsisstoError
from asissto.platform.texts import TEXTS

ROOT = Path(__file__).resolve().parents[1]
COMPONENTS = ("platform", "ingestion", "retrieval", "channels")
TRANSACTIONS = {"platform/asissto/platform/database.py"}
BOUNDARIES = {
    "platform/asissto/platform/worker.py",
    "platform/asissto/platform/web.py",
    "platform/asissto/platform/payment_events.py",
    "channels/asissto/channels/delivering.py",
    "channels/asissto/channels/polling.py",
}
"""Where any exception is caught: the web error handler, and the loops of the worker, payments, courier and poller."""

HEAVY = (
    "unstructured",
    "llama_index",
    "aiogram",
    "obstore",
    "onnxruntime",
    "openai",
    "scipy",
    "sklearn",
    "spacy",
    "stripe",
    "twilio",
    "vk_api",
)
# The brackets keep this line from finding itself.
LEAKS = re.compile(
    r'pyp[i]\.|pythonhoste[d]|npmj[s]|deb\.debia[n]|"resolve[d]": *"|bash_job[s]|/(?:wor[k]|far[m]|roo[t])/'
)

Node = TypeVar("Node", bound=ast.AST)

SOURCES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
    for component in COMPONENTS
    for path in sorted((ROOT / component).rglob("*.py"))
    if "node_modules" not in path.parts
}


def nodes(kind: type[Node]) -> Iterator[tuple[str, Node]]:
    """Every node of this kind with the file it stands in."""
    return ((name, node) for name, tree in SOURCES.items() for node in ast.walk(tree) if isinstance(node, kind))


def repository_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def error_codes(base: type[AsisstoError] = AsisstoError) -> Iterator[str]:
    yield base.code
    for kind in base.__subclasses__():
        yield from error_codes(kind)


def test_standard_platform_module_stays_reachable() -> None:
    """A package called `platform` at the top would break `uuid` and half the world with it."""
    assert Path(platform.__file__) == Path(sysconfig.get_path("stdlib")) / "platform.py"
    assert [name for name in SOURCES if re.fullmatch(r"\w+/(asissto/)?__init__\.py", name)] == []


def test_components_import_downwards_only() -> None:
    """channels -> retrieval -> ingestion -> platform, never back."""
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_nobody_imports_the_entry_points() -> None:
    """They put everything together, so that nothing else has to."""
    importing = {
        name
        for name, node in (*nodes(ast.Import), *nodes(ast.ImportFrom))
        if "asissto.platform.entrypoints" in ast.unparse(node) and "/entrypoints/" not in name
    }
    assert importing == set()


def test_transactions_are_committed_in_one_place() -> None:
    """The request or the job commits; whoever works inside it never does."""
    calls = {name for name, node in nodes(ast.Call) if re.search(r"\.commit\(\)$", ast.unparse(node))}
    assert calls <= TRANSACTIONS


def test_any_exception_is_caught_at_the_boundaries_only() -> None:
    """Everywhere else an `except` says what it expects, or cleans up and raises again."""
    catching = {
        name
        for name, node in nodes(ast.ExceptHandler)
        if (node.type is None or re.search(r"\b(Base)?Exception\b", ast.unparse(node.type)))
        and ast.unparse(node.body[-1]) != "raise"
    }
    assert catching <= BOUNDARIES


def test_every_function_says_what_it_returns() -> None:
    """The reader need not infer what mypy could."""
    functions: list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]] = [
        *nodes(ast.FunctionDef),
        *nodes(ast.AsyncFunctionDef),
    ]
    silent = [f"{name}:{node.lineno} {node.name}" for name, node in functions if node.returns is None]
    assert silent == []


def test_every_module_begins_with_a_sentence() -> None:
    """The first line of a file says what the file is for."""
    openings = {name: (ast.get_docstring(tree) or "").split("\n\n")[0] for name, tree in SOURCES.items()}
    assert [name for name, opening in openings.items() if not opening.endswith(".")] == []


def test_no_registry_and_no_machine_is_named() -> None:
    """Whoever clones installs from where they like; nothing here knows where it was written."""
    leaks = [
        f"{path.relative_to(ROOT)}: {leak}"
        for path in repository_files()
        for leak in LEAKS.findall(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert leaks == []


@pytest.mark.parametrize("key", TEXTS)
def test_sentence_is_the_same_in_both_languages(key: str) -> None:
    """Neither language is empty, and both have the same placeholders."""
    english, russian = TEXTS[key]
    assert english.strip()
    assert russian.strip()
    assert placeholders(russian) == placeholders(english)


def placeholders(sentence: str) -> set[str | None]:
    return {field for _, field, _, _ in string.Formatter().parse(sentence)}


def test_every_key_in_the_code_has_its_sentence() -> None:
    """A misspelt key would reach the user as a KeyError."""
    calls = [ast.unparse(node) for _, node in nodes(ast.Call)]
    named = {found[1] for call in calls if (found := re.match(r"(?:\w+\.)?(?:text|Phrase)\('([\w.]+)'", call))}
    kinds = {f"kind.{found[1]}" for call in calls if (found := re.match(r"NotFound\(kind='(\w+)'", call))}
    assert (named | kinds) - set(TEXTS) == set()


def test_every_error_has_its_sentence() -> None:
    """A code without a sentence would reach the user as a KeyError."""
    assert [code for code in error_codes() if f"error.{code}" not in TEXTS] == []


def test_the_api_starts_without_heavy_packages() -> None:
    """Each of them costs seconds and a hundred megabytes; the worker imports them when a job needs them."""
    report = f"import asissto.platform.entrypoints.web, sys; print([name for name in {HEAVY} if name in sys.modules])"
    started = subprocess.run([sys.executable, "-c", report], check=False, capture_output=True, text=True)
    assert (started.stdout.strip(), started.stderr) == ("[]", "")
