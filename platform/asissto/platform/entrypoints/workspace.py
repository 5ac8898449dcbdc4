"""The first workspace: made at the first start, with the guide as its sample knowledge base."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.channels import prepare_tenant as prepare_channels
from asissto.ingestion.documents import Upload, upload
from asissto.ingestion.documents import prepare_tenant as prepare_knowledge
from asissto.ingestion.tables import Collection
from asissto.platform.accounts import create_tenant
from asissto.platform.services import Services
from asissto.platform.tables import Tenant
from asissto.retrieval.assistants import prepare_tenant as prepare_assistants

TENANT_HOOKS = (prepare_knowledge, prepare_assistants, prepare_channels)
_LOCK = 7_261_301_951
_PIECE = 1 << 20


async def first_workspace(services: Services) -> UUID:
    """The oldest tenant; made when there is none, by one process only."""
    async with services.database.system() as session:
        await session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        found = await session.scalar(select(Tenant.id).order_by(Tenant.number).limit(1))
        return found or await make_workspace(session, services.settings.language)


async def make_workspace(session: AsyncSession, language: str, name: str | None = None) -> UUID:
    """A tenant with all that its components need from the first moment."""
    name = name or ("Моя компания" if language == "ru" else "My company")
    return await create_tenant(session, name, language, TENANT_HOOKS)


async def load_guide(services: Services, tenant_id: UUID) -> list[UUID]:
    """Queues the pages of the guide that are new or changed; returns their documents."""
    async with services.database.tenant(tenant_id) as session:
        collection = (await session.scalars(select(Collection.id).order_by(Collection.id).limit(1))).one()
    folder = guide_folder()
    pages = sorted(folder.rglob("*.md"))
    return [
        await upload(
            services, tenant_id, Upload(collection, page.name, str(page.relative_to(folder)), None), read(page)
        )
        for page in pages
    ]


def guide_folder() -> Path:
    """`docs/guide/` of the checkout, or the copy that the wheel carries."""
    here = Path(__file__).resolve()
    carried = here.parents[2] / "guide"
    return carried if carried.exists() else here.parents[4] / "docs" / "guide"


async def read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
