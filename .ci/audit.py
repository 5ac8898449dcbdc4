"""Looks the locked packages up among known vulnerabilities with pip-audit, or says that this was skipped.

To pip-audit a package that its service does not know is skipped, and it ends well all the same. So a version that is
known to be vulnerable is looked up first: where that one passes, nothing counts as sound, and nothing more is asked.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
VULNERABLE = "jinja2==2.10\n"
"""CVE-2019-10906 and others; nobody installs it."""

TOLERATED: dict[str, str] = {}
"""By the id of the vulnerability: why it does not concern us, and until when."""

_COMMAND = [
    *(str(ROOT / ".venv/bin/uv"), "tool", "run", "--quiet", "--from", "pip-audit==2.10.1", "pip-audit"),
    *("--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "15", "--format", "json"),
]
_SECONDS = 600
Found = list[dict[str, Any]]


def pip_audit(requirements: str) -> Found | None:
    """What it says of each package; None where it could not be run or did not answer."""
    try:
        run = subprocess.run(
            [*_COMMAND, "-r", "/dev/stdin"],
            input=requirements,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        found: Found = json.loads(run.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return found


def audit(look_up: Callable[[str], Found | None], lock: str) -> tuple[str, int]:
    """What is to be said, and the status: 1 where a package is vulnerable."""
    known = look_up(VULNERABLE)
    if known is None or not any(package.get("vulns") for package in known):
        return "SKIPPED: the audit of dependencies. No service that knows vulnerabilities answers from here.", 0
    found = look_up(lock)
    if found is None:
        return "SKIPPED: the audit of dependencies. The service stopped to answer.", 0
    lines = [
        f"{package['name']} {package.get('version', '')}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in found
        for vulnerability in package.get("vulns", ())
        if vulnerability["id"] not in TOLERATED
    ]
    unknown = [package["name"] for package in found if "skip_reason" in package]
    told = [f"{len(found) - len(unknown)} packages looked up, {len(lines)} known vulnerabilities.", *lines]
    if unknown:
        told.append(f"Not looked up: {', '.join(unknown)}.")
    return "\n".join(told), int(bool(lines))


if __name__ == "__main__":
    said, status = audit(pip_audit, LOCK.read_text())
    print(said)
    sys.exit(status)
