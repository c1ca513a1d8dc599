"""Vectors that a collection brings along: of which model they are is for the encoder to find out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.storage.shards import Shards


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Vectors of a collection's captions and pictures, in files.

    Attributes:
        captions: Vectors of captions.
        pictures: Vectors of pictures, in the same rows.
        fingerprint: Digest of the files.
        queries: The row of each query, int64 (queries,): among the captions', or for a picture among the pictures'.
        documents: The row of each candidate, likewise.
    """

    captions: Shards
    pictures: Shards
    fingerprint: str
    queries: np.ndarray
    documents: np.ndarray

    def keep(self, queries: np.ndarray, documents: np.ndarray) -> Given:
        """Of some queries and candidates, bool (queries,) and (candidates,)."""
        return replace(self, queries=self.queries[queries], documents=self.documents[documents])
