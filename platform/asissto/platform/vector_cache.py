"""Remembers the vectors of sentences that were embedded lately: answers to many questions stand on the same ones."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from asissto.platform.embedding import Embedder

MOST_FLOATS = 8_000_000
"""32 MB of floats: 20,000 sentences of the built-in model, which takes 2 to 7 ms for each of them."""

Vector = NDArray[np.float32]
Key = tuple[str, int, bytes]


class VectorCache:
    """Of one process and one event loop, by the model's name and a hash of the text; texts are not kept."""

    def __init__(self, most_floats: int = MOST_FLOATS) -> None:
        self._most_floats = most_floats
        self._floats = 0
        self._vectors: OrderedDict[Key, Vector] = OrderedDict()

    async def embed(self, embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `embedder.embed`, which is asked only for what is missing; raises ProviderError."""
        keys = [_key(embedder, text) for text in texts]
        found = {key: self._vectors[key] for key in keys if key in self._vectors}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            made = await embedder.embed(list(missing.values()))
            found |= {key: vector.copy() for key, vector in zip(missing, made, strict=True)}
        for key, vector in found.items():
            self._remember(key, vector)
        return np.stack([found[key] for key in keys])

    def _remember(self, key: Key, vector: Vector) -> None:
        if key not in self._vectors:
            self._floats += vector.size
        self._vectors[key] = vector
        self._vectors.move_to_end(key)
        while self._floats > self._most_floats:
            self._floats -= self._vectors.popitem(last=False)[1].size


def _key(embedder: Embedder, text: str) -> Key:
    return embedder.model, embedder.dimensions, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
