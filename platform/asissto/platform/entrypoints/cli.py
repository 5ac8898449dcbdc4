"""The command line: each command opens what it needs, does its work here, and says one sentence on failure."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from asissto.platform.errors import AsisstoError
from asissto.platform.permissions import PLATFORM_ROLES, PlatformRole
from asissto.platform.services import Services
from asissto.platform.settings import Settings, read_settings
from asissto.platform.texts import known_language, text

T = TypeVar("T")


class Commands(click.Group):
    """Turns our errors into one sentence on standard error and status 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AsisstoError as error:
            language = known_language(os.environ.get("ASISSTO_LANGUAGE", "en"))
            click.echo(f"{error.sentence(language)} ({error.code})", err=True)
            sys.exit(1)


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


@click.group(cls=Commands)
@click.version_option(package_name="asissto")
def main() -> None:
    """Answers customers from your documents, with citations."""


@main.command()
def up() -> None:
    """Start everything: database, migrations, API and worker."""
    from asissto.platform.entrypoints.up import up as start

    _run(start(read_settings()))


@main.command()
def serve() -> None:
    """Start the API alone."""
    from asissto.platform.entrypoints.serving import serve as start

    _run(start(read_settings()))


@main.command()
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when the process that started this one is gone.")
def work(*, with_parent: bool) -> None:
    """Start a worker alone."""
    from asissto.platform.entrypoints.worker import work as start

    _run(start(read_settings(), with_parent=with_parent))


@main.command()
def migrate() -> None:
    """Bring the database to the newest schema."""

    async def nothing(_services: Services) -> None: ...

    _with_services(nothing)


@main.command("create-admin")
def create_admin() -> None:
    """Print a one-time link by which an administrator is made."""
    from asissto.platform.entrypoints.up import admin_link
    from asissto.platform.entrypoints.workspace import first_workspace

    async def make(services: Services) -> str:
        return await admin_link(services, await first_workspace(services))

    click.echo(_with_services(make))


@main.command()
@click.argument("purpose", type=click.Choice(["reset", "confirm"]))
@click.argument("email")
def link(purpose: Literal["reset", "confirm"], email: str) -> None:
    """Print the one-time link that is mailed otherwise."""
    from asissto.platform.resetting import print_link

    click.echo(_with_services(lambda services: print_link(services, purpose, email)))


@main.command("drop-second-factor")
@click.argument("email")
def drop_second_factor(email: str) -> None:
    """Let somebody who lost their authenticator app sign in by password."""
    from asissto.platform.second_factor import drop_for

    _with_services(lambda services: drop_for(services, email))


@main.command()
@click.argument("role", type=click.Choice(PLATFORM_ROLES))
@click.argument("email")
def grant(role: PlatformRole, email: str) -> None:
    """Give a registered person a role on the platform, or take it with the role `user`."""
    from asissto.platform.platform_users import grant_role

    async def give(services: Services) -> str:
        async with services.database.system() as session:
            return (await grant_role(session, email, role)).email

    language = read_settings().language
    click.echo(text("grant.done", language, email=_with_services(give), role=role))


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@as_json
def ingest(paths: Sequence[Path], *, as_json: bool) -> None:
    """Load files, and the files of folders, into the first workspace."""
    from asissto.platform.entrypoints.ingest import ingest_here

    finished = _with_services(lambda services: ingest_here(services, paths, as_json=as_json))
    sys.exit(0 if finished else 1)


@main.command()
@click.argument("question")
@as_json
def ask(question: str, *, as_json: bool) -> None:
    """Ask the first assistant."""
    from asissto.platform.entrypoints.asking import ask_here, show_answer
    from asissto.platform.entrypoints.screen import print_json
    from asissto.platform.entrypoints.workspace import first_workspace

    settings = read_settings()

    async def answer(services: Services) -> None:
        told = await ask_here(services, await first_workspace(services), question)
        if as_json:
            print_json(told)
        else:
            show_answer(question, told, settings.language)

    _with_services(answer, settings)


@main.command("demo-tenant")
@as_json
def demo_tenant(*, as_json: bool) -> None:
    """Make a workspace that pays: plan, usage, ledger, invoice."""
    from asissto.platform.entrypoints.demo_tenant import make_demo, show_demo
    from asissto.platform.entrypoints.screen import print_json

    settings = read_settings()
    demo = _with_services(make_demo, settings)
    if as_json:
        print_json(demo)
    else:
        show_demo(demo, settings.language)


@main.command("eval")
@click.argument("set_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@as_json
def evaluate(set_dir: Path, *, as_json: bool) -> None:
    """Measure search and answers on a labelled set."""
    from asissto.platform.entrypoints.evaluating import evaluate_here

    _with_services(lambda services: evaluate_here(services, set_dir, as_json=as_json))


@main.command()
@click.argument("set_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--assistant", help="Name of the assistant; the first one if left out.")
@click.option(
    "--budget",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Share of the questions without an answer that may be answered.",
)
@click.option("--save", is_flag=True, help="Store the calibration as a new version of the assistant.")
@as_json
def calibrate(set_dir: Path, *, assistant: str | None, budget: float, save: bool, as_json: bool) -> None:
    """Fit the confidence of an assistant to labelled questions."""
    from asissto.platform.entrypoints.calibrating import Asked, calibrate_here
    from asissto.platform.entrypoints.workspace import first_workspace

    asked = Asked(folder=set_dir, name=assistant, budget=budget, save=save, as_json=as_json)

    async def fit(services: Services) -> None:
        await calibrate_here(services, await first_workspace(services), asked)

    _with_services(fit)


@main.group()
def keys() -> None:
    """Give secrets a new key."""


@keys.command("add")
def add() -> None:
    """Put a fresh key in front of the ring; processes that run take it up when they are started again."""
    from asissto.platform.keys import add_key

    ring = add_key(read_settings())
    click.echo("The key is in the data folder." if ring is None else f"ASISSTO_KEYS={ring}")


@keys.command("rotate")
@as_json
def rotate(*, as_json: bool) -> None:
    """Seal every secret with the newest key."""
    from asissto.platform.entrypoints.key_rotation import rotate_here

    sys.exit(0 if _with_services(lambda services: rotate_here(services, as_json=as_json)) else 1)


@main.command()
@as_json
def doctor(*, as_json: bool) -> None:
    """Check settings, data folder, database, worker and models."""
    from asissto.platform.entrypoints.doctor import examine

    sys.exit(0 if asyncio.run(examine(as_json=as_json)) else 1)


def _run(process: Coroutine[Any, Any, None]) -> None:
    """On the event loop for what runs long."""
    import uvloop

    uvloop.run(process)


def _with_services(do: Callable[[Services], Awaitable[T]], settings: Settings | None = None) -> T:
    from asissto.platform.log import configure_log
    from asissto.platform.services import open_services

    settings = settings or read_settings()

    async def run() -> T:
        configure_log(settings)
        async with open_services(settings) as services:
            return await do(services)

    return asyncio.run(run())


if __name__ == "__main__":
    main()
