"""A turn in a process of its own whose model never answers: it says "asked" when the model has the question, and waits.

Run as `python -c "import turn_victim; turn_victim.main()" ASKED FOLDER OWNER APP SYS`: the question as JSON of `Asked`,
the addresses are those of the database.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import make_url

import asissto.channels.tables  # noqa: F401 - conversations point to them
from asissto.platform.chat import ChatDelta, ChatEnd, ChatMessage
from asissto.platform.database import Addresses, Database
from asissto.platform.keys import parse_key_ring
from asissto.platform.local_files import LocalFiles
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.retrieval.conversations import Asked
from asissto.retrieval.turns import ask
from words_embedder import WordsEmbedder


class Mute:
    name = "mute"

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, **_more: object
    ) -> AsyncIterator[ChatDelta | ChatEnd]:
        print("asked", flush=True)  # noqa: T201 - its parent reads it
        await asyncio.sleep(600)
        yield ChatDelta(f"{len(messages)} {max_tokens}")

    def named(self, name: str) -> "Mute":
        return self


def main() -> None:
    ask_until_killed(*sys.argv[1:], chat=Mute())


def ask_until_killed(asked: str, folder: str, *addresses: str, chat: Mute | None, billing: bool = False) -> None:
    services = victim_services(folder, *addresses, chat=chat, billing=billing)
    asyncio.run(ask(services, msgspec.json.decode(asked, type=Asked)))


def victim_services(folder: str, *addresses: str, chat: Mute | None, billing: bool) -> Services:
    return Services(
        settings=Settings(data_dir=Path(folder), billing=billing, provider_private_addresses=True),
        keys=parse_key_ring("test:" + "A" * 43 + "="),
        database=Database(Addresses(*map(make_url, addresses)), pool_size=2),
        files=LocalFiles(Path(folder) / "files"),
        embedder=WordsEmbedder(),
        chat=chat,
    )
