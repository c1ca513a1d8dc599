"""How the page of published results draws what is picked."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from dashboard import widgets
from dashboard.cached import published as data
from dashboard.names import plain
from dashboard.screens.published.view import DISTANCE, YOURS, View, measure_name, settings_scores, short
from engine import figures, published
from engine.collections.languages import language
from engine.evaluation import checks
from engine.ranks.metrics import label
from engine.ranks.pairs import language_order

_QUERY, _DOCUMENT = pl.col("query_lang"), pl.col("doc_lang")
_KINDS = {
    "within": (_QUERY == _DOCUMENT, _QUERY),
    "to English": ((_DOCUMENT == "en") & (_QUERY != "en"), _QUERY),
    "from English": ((_QUERY == "en") & (_DOCUMENT != "en"), _DOCUMENT),
}
"""Pairs of a task that has English as its pivot: which they are, and the language that they say something of."""


def draw_pairs(view: View, picked: Sequence[str]) -> None:
    """The pair heatmaps side by side on one scale, two in a row, each with its alarms."""
    results = data.results(view.task.key)
    codes = language_order(results.filter(pl.col("model").is_in(picked)), view.measure, "name")
    for start in range(0, len(picked), 2):
        row = picked[start : start + 2]
        for place, model in zip(st.columns(min(2, len(picked)), gap="small"), row, strict=False):
            with place:
                _head(view, model)
                low = view.low.filter(pl.col("model") == model)
                frame, compact = published.pairs(results, model), len(picked) > 1
                figure = figures.pair_heatmap(frame, view.measure, codes, low=low, compact=compact)
                st.plotly_chart(figure, key=f"pairs-{model}", config=widgets.CHART)
                _tell_low(view, model)


def _head(view: View, model: str) -> None:
    """Name of a model, and which run of it is shown."""
    about = view.everyone.row(by_predicate=pl.col("model") == model, named=True)["about"]
    st.markdown(f"**{plain(short(model))}** :gray[{plain(about)}]")


def _tell_low(view: View, model: str) -> None:
    """A model's cells that are far below what their row and column predict."""
    for row in view.low.filter(pl.col("model") == model).iter_rows(named=True):
        pair = f"{language(row['query_lang']).name} → {language(row['doc_lang']).name}"
        st.markdown(
            f":red[:material/warning: {pair}: {label(view.measure)} {row['value']:.3f}, where its row and column "
            f"predict {row['expected']:.2f}]"
        )


def draw_rows(view: View, picked: Sequence[str]) -> None:
    """One row a model and one column a language; of a task with English as its pivot, a figure a model."""
    scores, codes = _by_language(view, picked)
    distance = view.measure == DISTANCE
    limits = (0.0, scores["value"].max() or 1.0) if distance else (0.0, 1.0)
    pattern = "{:.0f}" if distance else "{:.2f}"
    if view.task.shape != "pivot":
        named = scores.with_columns(pl.col("model").str.split("/").list.last().alias("name"))
        names = [short(model) for model in picked]
        figure = figures.language_heatmap(named, names, codes, view.title, limits=limits, pattern=pattern)
        st.plotly_chart(figure, key="rows", config=widgets.CHART)
        return
    for model in picked:
        _head(view, model)
        named = scores.filter(pl.col("model") == model).rename({"kind": "name"})
        figure = figures.language_heatmap(named, list(_KINDS), codes, view.title, limits=limits, pattern=pattern)
        st.plotly_chart(figure, key=f"rows-{model}", config=widgets.CHART)
        _tell_low(view, model)


def draw_difference(view: View, picked: Sequence[str]) -> None:
    """Of two models, the difference in every pair or language; empty where one of them has an alarm."""
    if view.task.shape == "pairs":
        low = view.low.filter(pl.col("model").is_in(picked))
        cell = ["query_lang", "doc_lang"]
        frames = [published.pairs(data.results(view.task.key), model) for model in picked]
        codes = language_order(frames[0], view.measure, "name")
        first, second = (frame.join(low, on=cell, how="anti") for frame in frames)
        figure = figures.difference_heatmap((first, second), view.measure, codes)
    else:
        unit, scale, pattern = ("ranks", 1, "{:+.0f}") if view.measure == DISTANCE else ("points", 100, "{:+.1f}")
        scores, codes = _by_language(view, picked)
        first, second = (scores.filter(pl.col("model") == model) for model in picked)
        change = first.join(second, on=["kind", "language"], suffix="_second", maintain_order="left").select(
            pl.col("kind").alias("name"),
            "language",
            (scale * (pl.col("value") - pl.col("value_second"))).alias("value"),
        )
        end, names = change["value"].abs().max() or 1.0, change["name"].unique(maintain_order=True).to_list()
        figure = figures.language_heatmap(change, names, codes, unit, limits=(-end, end), pattern=pattern)
    st.plotly_chart(figure, key="difference", config=widgets.CHART)


def _by_language(view: View, picked: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """`model`, `kind`, `language` and `value` in the order of the rows, and the languages in order, the mean last."""
    if view.task.shape == "pivot":
        return _around_english(view, picked)
    if view.task.shape == "settings":
        found = settings_scores(view.task, view.setting, view.measure)
    else:
        found = data.results(view.task.key).select("model", "query_lang", pl.col(view.measure).alias("value"))
    found = found.filter(pl.col("query_lang") != published.MEAN)
    means = view.everyone.select("model", pl.lit(published.MEAN).alias("query_lang"), pl.col("mean").alias("value"))
    both = pl.concat([pl.concat([found, means]).filter(pl.col("model") == model) for model in picked])
    codes = {code for code in both["query_lang"] if code != published.MEAN}
    order = [*sorted(codes, key=lambda code: language(code).name), published.MEAN]
    return both.select(
        "model",
        pl.lit(view.measure if view.measure == DISTANCE else view.title).alias("kind"),
        pl.col("query_lang").alias("language"),
        "value",
    ), order


def _around_english(view: View, picked: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """The same for a task whose pairs have English on one side; languages by the first model's scores, best first."""
    found = data.results(view.task.key)
    scores = pl.concat(
        found.filter(which & (pl.col("model") == model)).select(
            "model", pl.lit(kind).alias("kind"), code.alias("language"), pl.col(view.measure).alias("value")
        )
        for model in picked
        for kind, (which, code) in _KINDS.items()
    )
    first = scores.filter(pl.col("model") == picked[0]).group_by("language").agg(pl.col("value").mean())
    return scores, first.sort("value", "language", descending=[True, False])["language"].to_list()


def draw_planes(view: View, picked: Sequence[str]) -> None:
    """Every model as a point: within a language against across, and mean against spread over languages."""
    shown = view.everyone.filter(pl.col("model").is_in([*view.fitting, *picked]))
    groups = sorted(shown["group"].unique())
    planes = [(("mean", f"mean {view.title}"), ("spread", "standard deviation over languages"), False)]
    if shown.drop_nulls(["mono", "cross"]).height:
        name = measure_name(view.measure)
        planes.insert(0, (("mono", f"{name} within a language"), ("cross", f"{name} across languages"), True))
    for place, (across, up, diagonal) in zip(st.columns(2, gap="large"), planes, strict=False):
        figure = figures.model_plane(shown, across, up, picked, groups=groups, diagonal=diagonal)
        place.plotly_chart(figure, key=f"plane-{across[0]}", config=widgets.CHART)
    gaps = view.everyone["mean"].null_count()
    if gaps:
        st.caption(f"{gaps} of {view.everyone.height} models lack pairs or languages: no mean, no point.")


def tell_source(view: View) -> None:
    """What the task is, who published it, and whether results of one's own stand beside it."""
    task = view.task
    text = f"{plain(task.what)}. "
    if task.shape == "settings":
        text += f"Printed by {task.source}, who trained the models on their own data; not measured here. "
    else:
        text += (
            f"From {plain(task.source)}, not measured here; an MTEB result file of this task that you import stands "
        )
        text += "here. "
    if task.apart:
        text += f"Your checkpoints are not shown: {task.apart[0].lower()}{task.apart[1:]}."
    elif task.collection and (own := data.own_evaluations(task.collection)):
        text += f"What you evaluated on {task.collection} is marked {YOURS}."
        for one in own:
            for message in checks.training_alarms(one.manifest)["message"]:
                st.warning(f"{plain(one.checkpoint)}: {plain(message)}.", icon=":material/warning:")
    elif task.collection:
        text += f"Evaluate a checkpoint on {task.collection}, and it stands here too."
    st.caption(text)


def tell_models(view: View) -> None:
    """Which run of each model is shown, and what it comes to."""
    with st.expander("Which results these are"):
        st.markdown(
            "One run a model, nothing averaged: the run with most pairs, of those the latest mteb version. Sources, "
            "licences and commits stand in `engine/reference/README.md`."
        )
        shown = ["model", "revision", "version", "cells", "expected", "mono", "cross", "mean", "spread"]
        known = view.everyone.select([name for name in shown if name in view.everyone.columns])
        st.dataframe(known.sort("mean", descending=view.measure != DISTANCE, nulls_last=True), height=300)


def tell_faults(view: View) -> None:
    """Which cells are low for most models of a version: the data's fault, then, not the models'."""
    for (query_lang, doc_lang), rows in view.faults.group_by("query_lang", "doc_lang", maintain_order=True):
        counts = [
            f"**{row['low']} of {row['models']}** models measured with mteb {plain(row['version'])}.x (highest there: "
            f"{row['highest']:.3f})"
            for row in rows.sort("low", descending=True).iter_rows(named=True)
        ]
        out = (
            "It is left out of the means above, of the points and of the table below, though not of the grey margins."
            if view.without
            else "All means count it; the switch above leaves it out."
        )
        st.warning(
            f"{language(query_lang).name} questions over {language(doc_lang).name} passages score far below what their "
            f"row and column predict for {' and '.join(counts)}. A fault that follows the version is the test data's, "
            f"not the models'. {out}",
            icon=":material/warning:",
        )
