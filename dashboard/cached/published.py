"""What others published, as the pages show it; and our own figures where the task is truly the same."""

from __future__ import annotations

import polars as pl
import streamlit as st

import engine
from dashboard.cached.evaluations import FRAMES, Listed, changed_at, evaluations, store
from engine import published


def imports() -> int:
    """When results were last imported: what is shown changes with it."""
    return changed_at(store().root / published.IMPORTS)


@st.cache_resource(max_entries=2, show_spinner=False)
def _results(changed: int, root: str) -> pl.DataFrame:
    return pl.concat([published.shipped(), published.imported(store())])


def tasks() -> list[published.Task]:
    """The shipped tasks, and those of which something was imported."""
    results = _results(imports(), str(store().root))
    others = sorted(set(results["task"]) - set(published.TASKS))
    return [*published.TASKS.values(), *(published.task_of(key, results) for key in others)]


def results(key: str) -> pl.DataFrame:
    """Published and imported results of a task, under the names of our metrics."""
    return _of_task(key, imports(), str(store().root))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def _of_task(key: str, changed: int, root: str) -> pl.DataFrame:
    found = _results(changed, root)
    return published.of_task(published.task_of(key, found), found)


def alarms(key: str, measure: str) -> pl.DataFrame:
    """Cells of any model of a task that are far below what their row and column predict."""
    return _alarms(key, measure, imports(), str(store().root))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def _alarms(key: str, measure: str, changed: int, root: str) -> pl.DataFrame:
    everything = _results(changed, root)
    task = published.task_of(key, everything)
    results = _of_task(key, changed, root) if task.shape == "pairs" else everything.clear()
    return published.low_cells(task, results, measure)


def own_evaluations(collection: str | None) -> list[Listed]:
    """Evaluations on the whole of a collection of the catalog (of MIRACL, on any languages), the latest first.

    Those with a passage missing are left out.
    """
    return [
        one
        for one in reversed(evaluations())
        if (opened := one.manifest.opened_as) is not None
        and (opened.collection.partition(":")[0], opened.every) == (collection, 1)
        and not one.manifest.collection.skipped
        and not one.manifest.missing
    ]


@st.cache_resource(max_entries=4 * FRAMES, show_spinner=False)
def own_scores(key: str, name: str, setting: str, measure: str) -> pl.DataFrame:
    """An evaluation's figures in the shape of `published.scores`.

    Args:
        key: The evaluation.
        name: What to call it.
        setting: "mono", "cross" or "multi".
        measure: A metric, or "rank_distance".
    """
    column = measure if measure == "rank_distance" else f"{setting}_{measure}"
    rows = engine.find_evaluation(store(), key).figures()["query_langs"]
    values = [(name, row["query_lang"], row.get(column)) for row in rows]
    schema = {"model": pl.String, "query_lang": pl.String, "value": pl.Float64}
    return pl.DataFrame(values, schema=schema, orient="row").drop_nulls("value")


@st.cache_resource(max_entries=12, show_spinner=False)
def clip_points(dataset: str, direction: str, measure: str) -> pl.DataFrame:
    """Every model of open_clip as a point: `model`, `english`, `others`, `about`."""
    found = published.english_and_others(dataset, direction, measure)
    name = pl.format("{} ({})", "model", "pretrained")
    return found.select(name.alias("model"), "english", "others", pl.col("pretrained").alias("about"))
