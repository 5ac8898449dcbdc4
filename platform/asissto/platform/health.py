"""Whether this process can do its work: the database answers, and its schema is the one that the code knows."""

from asissto.platform.database import Database
from asissto.platform.errors import NotReady
from asissto.platform.migrate import is_current


async def check_ready(database: Database) -> None:
    """Raises DatabaseDown, and NotReady while another process migrates."""
    async with database.system() as session:
        current = await (await session.connection()).run_sync(is_current)
    if not current:
        raise NotReady
