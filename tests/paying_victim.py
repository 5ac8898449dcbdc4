"""A turn in a process of its own that is paid for: `asked` waits for its model, `charged` waits before it commits.

Run as `python -c "import paying_victim; paying_victim.main()" STAGE ASKED FOLDER OWNER APP SYS`; it says the stage when
it is there. The stage `job` takes a job of a channel in the place of a question, and waits as `charged` does.
"""

import asyncio
import sys
from typing import Any

from asissto.platform import metering
from asissto.platform.entrypoints.worker import make_worker
from asissto.retrieval import charging
from turn_victim import Mute, ask_until_killed, victim_services


async def charge_and_wait(*what: Any, **more: Any) -> bool:
    await metering.count_answer(*what, **more)
    print("charged", flush=True)  # noqa: T201 - its parent reads it
    await asyncio.sleep(600)
    return True


def main() -> None:
    stage, *rest = sys.argv[1:]
    if stage in ("charged", "job"):
        vars(charging).update(count_answer=charge_and_wait)
    if stage == "job":
        asyncio.run(make_worker(victim_services(*rest[1:], chat=None, billing=True)).run_one([rest[0]]))
    ask_until_killed(*rest, chat=Mute() if stage == "asked" else None, billing=True)
