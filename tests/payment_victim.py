"""A worker that settles payments in a process of its own, and kills itself with SIGKILL at a moment that it is told.

Run as `python -c "import payment_victim; payment_victim.main()" MOMENT SHOP OWNER APP SYS`: `booked` is before the
commit, `committed` after it; the addresses are those of the shop and the database.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from asissto.platform import payment_events
from asissto.platform.database import Addresses, Database
from asissto.platform.keys import parse_key_ring
from asissto.platform.local_files import LocalFiles
from asissto.platform.payments import book_payment
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from words_embedder import WordsEmbedder
from yookassa_peer import KEY, SHOP_ID


async def book_and_die(*arguments: Any) -> None:
    await book_payment(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


async def die(*_arguments: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    moment, shop, *addresses = sys.argv[1:]
    setattr(payment_events, *{"booked": ("book_payment", book_and_die), "committed": ("_close_event", die)}[moment])
    services = Services(
        settings=Settings(yookassa_url=shop, yookassa_shop_id=SHOP_ID, yookassa_key=KEY),
        keys=parse_key_ring("test:" + "A" * 43 + "="),
        database=Database(Addresses(*map(make_url, addresses)), pool_size=2),
        files=LocalFiles(Path("nowhere")),
        embedder=WordsEmbedder(),
        chat=None,
    )
    asyncio.run(payment_events.settle_round(services))
