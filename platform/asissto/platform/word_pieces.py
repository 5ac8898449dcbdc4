"""Compares two texts word piece by word piece, where an embedder tells what each piece means in its place."""

from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Pieces: TypeAlias = NDArray[np.int8]


class Embedded(Struct, frozen=True, eq=False):
    """A text as its vector, and as a row for each of its word pieces; None where the embedder has no such rows."""

    vector: NDArray[np.float32]
    pieces: Pieces | None = None

    @property
    def nbytes(self) -> int:
        return self.vector.nbytes + (0 if self.pieces is None else self.pieces.nbytes)


def pack(states: NDArray[np.float32]) -> Pieces:
    """A quarter of the memory; each row has a scale of its own, which a cosine does not see."""
    greatest = np.abs(states).max(axis=1, keepdims=True).clip(min=1e-12)
    packed: Pieces = np.round(states * (127 / greatest)).astype(np.int8)
    return packed


def agreement(asked: Pieces, said: Pieces) -> float:
    """How much of what is asked is said: of each asked piece the greatest cosine with a said one, and their mean.

    Khattab and Zaharia (arXiv 2004.12832) call it late interaction; 0 where either has no pieces.
    """
    if not asked.size or not said.size:
        return 0.0
    return float((_unit(asked) @ _unit(said).T).max(axis=1).mean())


def _unit(pieces: Pieces) -> NDArray[np.float32]:
    rows = pieces.astype(np.float32)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows)).clip(min=1e-12)[:, None]
    return rows
