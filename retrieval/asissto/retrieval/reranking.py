"""Orders what search has found by a reranker's opinion, where there is one and it answers in time."""

from collections.abc import Sequence

import msgspec

from asissto.platform.errors import ProviderError
from asissto.platform.reranking import Reranker
from asissto.retrieval.passages import Passage

MOST_RERANKED = 30


async def rerank(
    reranker: Reranker | None, question: str, found: Sequence[Passage]
) -> tuple[tuple[Passage, ...], tuple[str, ...]]:
    """The passages, best first, and a note `rerank:<reason>` where they keep the order of the search."""
    first, rest = found[:MOST_RERANKED], found[MOST_RERANKED:]
    if reranker is None or len(first) < 2:
        return tuple(found), ()
    try:
        scores = await reranker.rerank(question, [_text(passage) for passage in first])
    except ProviderError as error:
        return tuple(found), (f"rerank:{error.reason}",)
    scored = [_scored(passage, score) for passage, score in zip(first, scores, strict=True)]
    return (*sorted(scored, key=lambda passage: -(passage.scores.rerank or 0.0)), *rest), ()


def _text(passage: Passage) -> str:
    """The reranker sees the title and the headings, as the index did."""
    return "\n".join((" › ".join(dict.fromkeys((passage.title, *passage.heading_path))), passage.text))


def _scored(passage: Passage, score: float) -> Passage:
    return msgspec.structs.replace(passage, scores=msgspec.structs.replace(passage.scores, rerank=score))
