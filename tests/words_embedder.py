"""An embedder for tests that need many vectors: cheap, for every language, and the same in every process."""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class WordsEmbedder:
    """A text's vector is made of its words alone; `texts` are all that it was given."""

    model = "words"
    dimensions = 64
    languages: frozenset[str] | None = None

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % self.dimensions] += 1
        norms: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
        return vectors / norms
