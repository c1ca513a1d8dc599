"""Loss curves of a sweep's checkpoints: of those that are here, and of those whose curves come with the project."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from engine.errors import StoreError
from engine.storage.store import Store, shipped_entries
from engine.sweeps.results import Family
from engine.training.checkpoint import checkpoint_key, read_training

FILE = "losses.parquet"
"""Name of the curves among what ships: `checkpoint`, `step`, `loss` and what the checkpoint is."""
_SCHEMA = {"what": pl.String, "step": pl.Int64, "loss": pl.Float64}


def losses(family: Family, store: Store) -> pl.DataFrame:
    """The loss curves of a sweep's mixed batches.

    Args:
        family: The sweep.
        store: Where its checkpoints are.

    Returns:
        `what` (the recipe's label), `step`, `loss`; no rows of a checkpoint that is neither here nor shipped.
    """
    frames = [_curve(what, key, store) for what, key in _trained(family)]
    return pl.concat(frames) if frames else pl.DataFrame(schema=_SCHEMA)


def _trained(family: Family) -> Iterator[tuple[str, str]]:
    recipes = [recipe for recipe, _ in family.evaluations if recipe.strategy == "hybrid"]
    for recipe in sorted(recipes, key=lambda one: (one.alpha or 0.0, one.seed)):
        yield recipe.label, checkpoint_key(recipe)


def _curve(what: str, key: str, store: Store) -> pl.DataFrame:
    try:
        steps = read_training(store, key)["losses"] if store.get("checkpoints", key) is not None else _shipped(key)
    except StoreError:
        steps = []
    frame = pl.DataFrame(steps, schema={"step": pl.Int64, "loss": pl.Float64}, orient="row")
    return frame.select(pl.lit(what).alias("what"), "step", "loss")


def _shipped(key: str) -> list[tuple[int, float]]:
    root = shipped_entries()
    if root is None or not (root / FILE).is_file():
        return []
    rows = pl.scan_parquet(root / FILE).filter(pl.col("checkpoint") == key).select("step", "loss").collect()
    return [(int(step), float(loss)) for step, loss in rows.iter_rows()]
