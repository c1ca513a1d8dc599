"""Values of a frame -> places along an array's axis."""

from __future__ import annotations

import numpy as np
import polars as pl


def places(values: pl.Series, ids: pl.Series) -> np.ndarray:
    """Where each value stands among the ids, int64; polars itself counts in the smallest type that will do.

    Args:
        values: Strings, all of them among the ids.
        ids: Different strings.
    """
    return values.cast(pl.Enum(ids)).to_physical().to_numpy().astype(np.int64)
