"""The audit of dependencies tells what it has not looked at: a service that is away makes no package sound."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Found = list[dict[str, Any]]
CVE = {"id": "CVE-2019-10906", "fix_versions": ["2.10.1"]}
VULNERABLE: Found = [{"name": "jinja2", "version": "2.10", "vulns": [CVE]}]
NOT_FOUND: Found = [{"name": "jinja2", "skip_reason": "not found"}]
SKIPPED = "SKIPPED: the audit of dependencies. "


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / ".ci/audit.py"
    spec = importlib.util.spec_from_file_location("dependency_audit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(*found: Found | None) -> Callable[[str], Found | None]:
    each = iter(found)
    return lambda _requirements: next(each)


@pytest.mark.parametrize("first", [None, [], NOT_FOUND, [{"name": "jinja2", "version": "2.10", "vulns": []}]])
def test_without_an_answer_it_is_skipped(tool: ModuleType, first: Found | None) -> None:
    """A service that does not know the vulnerable version knows nothing, and is asked nothing more."""
    assert tool.audit(answers(first), "lock") == (
        f"{SKIPPED}No service that knows vulnerabilities answers from here.",
        0,
    )


def test_a_service_that_goes_away_is_told(tool: ModuleType) -> None:
    assert tool.audit(answers(VULNERABLE, None), "lock") == (f"{SKIPPED}The service stopped to answer.", 0)


def test_a_vulnerable_package_fails_the_check(tool: ModuleType) -> None:
    """With what to do; and whoever was not looked up is named."""
    sound = {"name": "litestar", "version": "2.25.0", "vulns": []}
    said, status = tool.audit(answers(VULNERABLE, [sound, *VULNERABLE, {"name": "own", "skip_reason": "?"}]), "lock")
    assert (said.splitlines(), status) == (
        [
            "2 packages looked up, 1 known vulnerabilities.",
            "jinja2 2.10: CVE-2019-10906, fixed in 2.10.1",
            "Not looked up: own.",
        ],
        1,
    )
    assert tool.audit(answers(VULNERABLE, [sound]), "lock") == ("1 packages looked up, 0 known vulnerabilities.", 0)


def test_a_tolerated_one_has_its_reason(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "TOLERATED", {"CVE-2019-10906": "no templates of strangers, until 2027"})
    assert tool.audit(answers(VULNERABLE, VULNERABLE), "lock")[1] == 0


def test_what_cannot_be_run_answers_nothing(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a program that is not there nor one that prints something else."""
    for command in (["/nowhere/pip-audit"], ["/bin/echo", "no JSON"], ["/bin/false"]):
        monkeypatch.setattr(tool, "_COMMAND", command)
        assert tool.pip_audit("jinja2==2.10") is None
