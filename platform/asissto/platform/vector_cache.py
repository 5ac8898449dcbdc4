"""Remembers what sentences that were embedded lately mean: answers to many questions stand on the same ones."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from asissto.platform.embedding import Embedder, embed_in_pieces
from asissto.platform.word_pieces import Embedded

MOST_BYTES = 64_000_000
"""About 4,500 sentences of the built-in model with their word pieces; it takes 2 to 7 ms for each of them."""

Key = tuple[str, int, bytes]


class VectorCache:
    """Of one process and one event loop, by the model's name and a hash of the text; texts are not kept."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, Embedded] = OrderedDict()

    async def embed(self, embedder: Embedder, texts: Sequence[str]) -> list[Embedded]:
        """As `embed_in_pieces`, with an embedder that is asked only for what is missing; raises ProviderError."""
        keys = [_key(embedder, text) for text in texts]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            found |= zip(missing, await embed_in_pieces(embedder, list(missing.values())), strict=True)
        for key, embedded in found.items():
            self._remember(key, embedded)
        return [found[key] for key in keys]

    def _remember(self, key: Key, embedded: Embedded) -> None:
        if key not in self._kept:
            self._bytes += embedded.nbytes
        self._kept[key] = embedded
        self._kept.move_to_end(key)
        while self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes


def _key(embedder: Embedder, text: str) -> Key:
    return embedder.model, embedder.dimensions, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
