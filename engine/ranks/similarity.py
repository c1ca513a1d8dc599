"""An encoder's similarity as an inner product, which is what the ranking computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_inner_products(
    queries: NDArray[np.float32], documents: NDArray[np.float32], similarity: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors whose inner products rank the documents of every query as the similarity does.

    Cosine (of unit vectors) and dot are inner products. For euclidean, |q - d|^2 = |q|^2 - 2 (q.d - |d|^2 / 2), where
    only the bracket depends on the document: a number more in each vector, 1 and -|d|^2 / 2, makes it one product.

    Args:
        queries: Float32 (queries, dimension).
        documents: Float32 (candidates, dimension).
        similarity: "cosine", "dot" or "euclidean".

    Returns:
        Both, float32, for euclidean with one dimension more.

    Raises:
        InputError: If the similarity is another.
    """
    if similarity in ("cosine", "dot"):
        return queries, documents
    if similarity != "euclidean":
        raise InputError(f"similarity must be cosine, dot or euclidean, got {similarity!r}")
    half_squares = -(documents.astype(np.float64) ** 2).sum(axis=1, keepdims=True) / 2
    ones = np.ones((len(queries), 1), np.float32)
    return np.hstack([queries, ones]), np.hstack([documents, half_squares.astype(np.float32)])
