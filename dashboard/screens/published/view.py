"""What the page of published results shows: the task, the models, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import streamlit as st

from dashboard.cached import published as data
from dashboard.names import plain
from engine import published
from engine.collections.structures import SETTINGS
from engine.ranks.metrics import label

DISTANCE = "rank_distance"
_MOST = {"pairs": 4, "pivot": 4, "languages": 8, "settings": 8}  # models side by side
_PREFERRED = ("intfloat/multilingual-e5-small", "BAAI/bge-m3")
_PAPER = 6  # models of the hybrid-batch paper
YOURS = "(yours)"


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the page shows.

    Attributes:
        task: The task.
        measure: One of its measures.
        setting: Of a task that has settings: mono, cross or multi; else "".
        low: Alarmed cells of all models.
        faults: Cells that are low for most models of a version.
        without: The faulty cells that no mean counts.
        everyone: Every model as a point: `model`, `mono`, `cross`, `mean`, `spread`, `group`, `about`.
        fitting: Names of the models that pass the filter.
    """

    task: published.Task
    measure: str
    setting: str
    low: pl.DataFrame
    faults: pl.DataFrame
    without: tuple[tuple[str, str], ...]
    everyone: pl.DataFrame
    fitting: list[str]

    @property
    def title(self) -> str:
        """What the values are."""
        name = measure_name(self.measure)
        return f"{self.setting} {name}" if self.setting and self.measure != DISTANCE else name


def measure_name(measure: str) -> str:
    """How a measure is written."""
    return "rank distance" if measure == DISTANCE else label(measure)


def short(model: str) -> str:
    """A model's name without its owner."""
    return model.rpartition("/")[2]


def pick_view() -> View:
    """Pick a task, a measure, a setting where there are some, which models to list, and whether faulty pairs count."""
    tasks = {task.name: task for task in data.tasks()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        task = tasks[st.selectbox("Task", list(tasks), key="task", bind="query-params", width=330)]
        setting, measures = "", list(task.measures)
        if task.shape == "settings":
            known = [one for one in SETTINGS if published.measures(task.key, one)]
            setting = st.selectbox("Setting", known, key="setting", bind="query-params", width=110)
            measures = [one for one in measures if one in published.measures(task.key, setting)]
        measure = st.selectbox(
            "Measure", measures, format_func=measure_name, key="measure", bind="query-params", width=150
        )
        low = data.alarms(task.key, measure)
        faults = published.faults(data.results(task.key), measure, low) if low.height else low
        filters = st.popover("Filter", icon=":material/filter_alt:")
        without: tuple[tuple[str, str], ...] = ()
        if faults.height and st.toggle("Faulty pairs out of means", value=True, key="leave-out", bind="query-params"):
            without = tuple(faults.select("query_lang", "doc_lang").unique().sort("query_lang", "doc_lang").iter_rows())
    everyone = _everyone(task, setting, measure, without)
    fitting = _filtered(filters, task, everyone)
    return View(task, measure, setting, low, faults, without, everyone, fitting)


def _filtered(place: st.delta_generator.DeltaGenerator, task: published.Task, everyone: pl.DataFrame) -> list[str]:
    part = place.text_input("Name contains", key="name", bind="query-params")
    fitting = everyone.filter(pl.col("model").str.to_lowercase().str.contains(part.lower(), literal=True))["model"]
    if task.shape == "settings":
        return fitting.to_list()
    known = published.models(data.results(task.key))
    most = known["expected"].max()
    if most < 2:
        return fitting.to_list()
    least = place.slider(
        "Pairs or languages known, at least", 1, most, most, key=f"least-{task.key}", bind="query-params"
    )
    enough = known.filter(pl.col("cells") >= least)["model"]
    return fitting.filter(fitting.is_in(enough.implode())).to_list()


def _everyone(task: published.Task, setting: str, measure: str, without: tuple[tuple[str, str], ...]) -> pl.DataFrame:
    """Every model of a task: `model`, `mono`, `cross`, `mean`, `spread`, `group`, `about`."""
    if task.shape != "settings":
        version = pl.col("version")
        number = version.map_elements(published.major, return_dtype=pl.String)
        group = pl.when(version == "unknown").then(pl.lit("mteb, version unknown")).otherwise("mteb " + number + ".x")
        about = pl.format("mteb {}, revision {}", "version", pl.col("revision").str.head(12))
        points = published.points(data.results(task.key), measure, without)
        return points.with_columns(group.alias("group"), about.alias("about"))
    points = published.means(settings_scores(task, setting, measure))
    for other in ("mono", "cross"):
        if measure in published.measures(task.key, other):
            means = published.means(settings_scores(task, other, measure)).select("model", pl.col("mean").alias(other))
            points = points.join(means, on="model", how="left", maintain_order="left")
        else:
            points = points.with_columns(pl.lit(None, pl.Float64).alias(other))
    yours = pl.col("model").str.ends_with(YOURS)
    group = pl.when(yours).then(pl.lit("measured here")).otherwise(pl.lit("printed in a paper")).alias("group")
    return points.with_columns(group, group.alias("about"))


def settings_scores(task: published.Task, setting: str, measure: str) -> pl.DataFrame:
    """What papers printed for a task and a setting, and what was measured here: `model`, `query_lang`, `value`."""
    own = [
        data.own_scores(one.key, f"{one.checkpoint} {YOURS}", setting, measure)
        for one in data.own_evaluations(task.collection)
    ]
    return pl.concat([published.scores(task.key, setting, measure), *own])


def pick_models(view: View) -> list[str]:
    """Pick some models among those that pass the filter; what is picked already stays."""
    key = f"models-{view.task.key}"
    before = st.session_state.get(key, [])
    names = [name for name in view.everyone["model"] if name in view.fitting or name in before]
    start = _first(view, names)
    picked = st.multiselect(
        f"Models ({len(view.fitting)} of {view.everyone.height})",
        names,
        default=start,
        max_selections=_MOST[view.task.shape],
        key=key,
        bind="query-params",
    )
    if not picked:
        st.info("Pick at least one model.")
        st.stop()
    return picked


def _first(view: View, names: Sequence[str]) -> list[str]:
    """What is picked at first: all that the paper printed, or two that many know, else the best; and one's own."""
    own = [name for name in names if name.endswith(YOURS) or published.IMPORTED in name]
    others = view.everyone.filter(pl.col("model").is_in(names) & ~pl.col("model").is_in(own))
    if view.task.shape == "settings":
        return others["model"].head(_PAPER).to_list() + own[:2]
    best = others.sort("mean", descending=True, nulls_last=True)["model"].to_list()
    known = [name for name in _PREFERRED if name in names]
    return list(dict.fromkeys([*known, *best]))[:2] + own[:2]


def answer(view: View, picked: Sequence[str]) -> str:
    """What the picked models reach, beside the best."""
    rows = {row["model"]: row for row in view.everyone.iter_rows(named=True)}
    known = view.everyone.drop_nulls("mean").sort("mean", descending=view.measure != DISTANCE)
    text = f"{view.title}: " + "; ".join(_told(view, rows[model]) for model in picked)
    if known.height and known["model"][0] not in picked:
        which = "Lowest" if view.measure == DISTANCE else "Best"
        text += f". {which} of {known.height}: {_told(view, known.row(0, named=True))}"
    return text + "."


def _told(view: View, row: dict[str, float | str | None]) -> str:
    name = f"**{plain(short(row['model']))}**"
    if row["mean"] is None:
        return f"{name} has gaps, so no mean"
    if view.setting or row["mono"] is None or row["cross"] is None:
        return f"{name} **{row['mean']:.0f}**" if view.measure == DISTANCE else f"{name} **{row['mean']:.2f}**"
    return f"{name} **{row['mono']:.2f}** within a language, **{row['cross']:.2f}** across"
