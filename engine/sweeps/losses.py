"""Loss curves of a sweep's checkpoints: of those that are here, and of those whose curves come with the project."""

from __future__ import annotations

import polars as pl

from engine.errors import StoreError
from engine.storage.store import Store, shipped_entries
from engine.sweeps.results import Family
from engine.training.checkpoint import checkpoint_key, read_training

FILE = "losses.parquet"
"""Name of the curves among what ships: `checkpoint`, `step`, `loss` and what the checkpoint is."""
_Steps = list[tuple[int, float]]
_SCHEMA = {"what": pl.String, "step": pl.Int64, "loss": pl.Float64}


def losses(family: Family, store: Store) -> pl.DataFrame:
    """The loss curves of a sweep's mixed batches.

    Args:
        family: The sweep.
        store: Where its checkpoints are.

    Returns:
        `what` (the recipe's label), `step`, `loss`; no rows of a checkpoint that is neither here nor shipped.
    """
    recipes = [recipe for recipe, _ in family.evaluations if recipe.strategy == "hybrid"]
    recipes.sort(key=lambda one: (one.alpha or 0.0, one.seed))
    keys = {checkpoint_key(recipe): recipe.label for recipe in recipes}
    curves = _shipped(set(keys)) | {key: steps for key in keys if (steps := _here(key, store)) is not None}
    rows = [(what, *step) for key, what in keys.items() for step in curves.get(key, [])]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _here(key: str, store: Store) -> _Steps | None:
    """The curve of a checkpoint that is here; its weights, which take long to verify, are not read."""
    if not store.path("checkpoints", key).is_dir():
        return None
    try:
        return [(step, loss) for step, loss in read_training(store, key)["losses"]]
    except StoreError:
        return []


def _shipped(keys: set[str]) -> dict[str, _Steps]:
    """The curves that come with the project, by checkpoint."""
    root = shipped_entries()
    if root is None or not (root / FILE).is_file():
        return {}
    rows = pl.read_parquet(root / FILE).filter(pl.col("checkpoint").is_in(keys)).select("checkpoint", "step", "loss")
    curves: dict[str, _Steps] = {}
    for key, step, loss in rows.iter_rows():
        curves.setdefault(key, []).append((step, loss))
    return curves
