"""An OpenAI-compatible endpoint that gives the first sentence of the first source: the way to a model without one."""

import asyncio
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from openai_peer import OpenAIPeer

_FIRST_SOURCE = re.compile(r"<<SRC [^>]*\bn=1\b[^>]*>>\n(.*?)\n<<END", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


def reply(messages: list[dict[str, str]]) -> str:
    found = _FIRST_SOURCE.search(messages[-1]["content"])
    return "NO_ANSWER" if found is None else f"{_SENTENCE_END.split(found[1], maxsplit=1)[0].rstrip('.')} [1]."


async def main() -> None:
    async with OpenAIPeer() as peer:
        peer.reply_with(reply)
        print(peer.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
