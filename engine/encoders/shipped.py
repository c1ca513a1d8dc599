"""Vectors that come with the project, under the keys that the store would give them: nobody encodes these texts again.

Those of the demo are float16. Those of the gallery are whole numbers from -90 to 90, a scale for each row, compressed:
cosines move by less than 1e-4, and 20,000 captions take 7 megabytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parents[1] / "demo"
_LEVELS = 90


def shipped_vectors(key: str) -> NDArray[np.float32] | None:
    """Vectors by the store's key, float32 (texts, dimension), not yet of unit length; None if they do not ship."""
    exact, rounded = _files(key)
    if exact.is_file():
        vectors: NDArray[np.float16] = np.load(exact)
        return vectors.astype(np.float32)
    if rounded.is_file():
        with np.load(rounded) as packed:
            return np.asarray(packed["vectors"], np.float32)
    return None


def is_shipped(key: str) -> bool:
    """Whether vectors ship."""
    return any(file.is_file() for file in _files(key))


def write_exact(key: str, vectors: NDArray[np.float32]) -> None:
    """Write vectors of the demo."""
    np.save(_files(key)[0], vectors.astype(np.float16))


def write_rounded(key: str, vectors: NDArray[np.float32]) -> None:
    """Write vectors of the gallery."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    np.savez_compressed(_files(key)[1], vectors=np.rint(vectors / largest * _LEVELS).astype(np.int8))


def _files(key: str) -> tuple[Path, Path]:
    return FOLDER / "vectors" / f"{key}.npy", FOLDER / "gallery" / f"{key}.npz"
