"""An encoder's similarity as an inner product, which is what the ranking computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

INNER_PRODUCTS = ("cosine", "dot")
"""Similarities that are inner products of the vectors as they are."""


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
    return queries_for(queries, similarity), documents_for(documents, similarity)


def queries_for(queries: NDArray[np.float32], similarity: str) -> NDArray[np.float32]:
    """The queries' part of `as_inner_products`."""
    if _is_inner_product(similarity):
        return queries
    return np.hstack([queries, np.ones((len(queries), 1), np.float32)])


def documents_for(documents: NDArray[np.float32], similarity: str) -> NDArray[np.float32]:
    """The documents' part of `as_inner_products`, which does not depend on what they stand together with."""
    if _is_inner_product(similarity):
        return documents
    half_squares = -(documents.astype(np.float64) ** 2).sum(axis=1, keepdims=True) / 2
    return np.hstack([documents, half_squares.astype(np.float32)])


def _is_inner_product(similarity: str) -> bool:
    if similarity not in (*INNER_PRODUCTS, "euclidean"):
        raise InputError(f"similarity must be cosine, dot or euclidean, got {similarity!r}")
    return similarity in INNER_PRODUCTS
