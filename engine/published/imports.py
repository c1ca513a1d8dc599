"""MTEB's result files that were imported, as rows of the same frame as the published ones."""

from __future__ import annotations

import polars as pl

from engine.published.pairs import shipped
from engine.ranks.schema import PUBLISHED_PAIRS, read_frame
from engine.reference import IMAGE, IMAGES, SPLITS
from engine.storage.store import Kind, Store

KIND: Kind = "imports"
MARK = "(imported"


def imported(store: Store) -> pl.DataFrame:
    """All imported results, the oldest first.

    The name of a model ends in "(imported)", with the entry's key where several have that name. A split that is not the
    shipped one makes a task of its own. Pairs of a shipped task that no shipped result has are left out, so that what
    is complete stays so.

    Returns:
        Frame of schema `PUBLISHED_PAIRS`; a task and model never have two runs.
    """
    entries = list(store.entries(KIND))
    names = [(_task(about), about["model"]) for _, about in entries]
    frames = [PUBLISHED_PAIRS.to_frame()]
    for (key, _), (task, model) in zip(entries, names, strict=True):
        end = "" if names.count((task, model)) == 1 else f" {key[:6]}"
        columns = {"task": pl.lit(task), "model": pl.lit(f"{model} {MARK}{end})")}
        if task in IMAGES:
            columns["doc_lang"] = pl.lit(IMAGE)
        rows = read_frame(store.path(KIND, key) / "pairs.parquet", PUBLISHED_PAIRS).with_columns(**columns)
        known = shipped().filter(pl.col("task") == task)
        pair = ["query_lang", "doc_lang"]
        frames.append(rows if known.is_empty() else rows.join(known, on=pair, how="semi"))
    return pl.concat(frames)


def _task(about: dict[str, str]) -> str:
    task, split = about["task"], about["split"]
    return task if SPLITS.get(task) == split else f"{task}, {split}"
