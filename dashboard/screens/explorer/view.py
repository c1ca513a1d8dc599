"""Pieces of the ratio explorer: curves, pairs, utility and examples at a ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
import streamlit as st

from dashboard import access, cached, heat_table, widgets
from dashboard.cached import curves, uncertainty
from dashboard.names import plain
from dashboard.screens.examples import view as examples
from dashboard.screens.explorer import marker, sides, tiles
from dashboard.screens.explorer.family import listed
from dashboard.screens.explorer.scores import RANK_DISTANCE, scores_of
from dashboard.screens.explorer.sides import Side
from engine import figures
from engine.collections.pictures import PICTURE
from engine.published import paper_points
from engine.ranks.metrics import label
from engine.ranks.pairs import language_order
from engine.storage import jobs
from engine.sweeps import prose, results
from engine.training.adjusted import is_head_on_adjusted


class Explored(NamedTuple):
    """What is chosen on a page with the slider, and what holds there."""

    alpha: float
    metric: str
    chosen: Side
    reference: Side


def draw_ratio(
    family: results.Family, points: pl.DataFrame, question: str, metrics: Sequence[str], key: str
) -> Explored:
    """The slider with the metric and the reference beside it, and the scores there: as tiles, and as curves.

    Args:
        family: The sweep.
        points: Its points.
        question: What stands above the slider.
        metrics: Names of metrics, the usual one first.
        key: Of the picker of metrics.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        alpha = st.slider(question, 0.0, 1.0, 0.5, 0.05, key="alpha", bind="query-params", width=360)
        metric = st.selectbox("Metric", metrics, format_func=label, key=key, bind="query-params", width=150)
        reference = sides.pick_reference(family, points)
    chosen = sides.at(family, points, alpha)
    with st.container():  # always there, so that a note which comes and goes shifts no chart
        offer_training(family, points, alpha)
    tiles.draw(family, chosen, reference, metric)
    draw_curves(family, points, alpha, metric)
    return Explored(alpha, metric, chosen, reference)


def offer_training(family: results.Family, points: pl.DataFrame, alpha: float) -> None:
    """Where the ratio is not trained, say so and offer to train it now; show the training while it runs."""
    trained = results.curve(points, "multi_map")["alpha"].to_list()
    if not any(abs(alpha - one) < 1e-9 for one in trained):
        inside = bool(trained) and min(trained) < alpha < max(trained)
        note = "what is shown is **interpolated** between its neighbours" if inside else "nothing is shown for it"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":orange[:material/timeline: alpha = {alpha:g} is not trained: {note}.]")
            if not access.is_shared() and st.button(
                f"Train alpha = {alpha:g} now", key="train-now", icon=":material/model_training:"
            ):
                seeds = sorted(points.filter(pl.col("strategy") == "hybrid")["seed"].unique())
                command = cached.sweep_command(family, [alpha], seeds)
                jobs.start(command, cached.store(), f"train alpha = {alpha:g}, {family.label}")
    widgets.watch_runs(("sweep",), len(cached.evaluations()))


def draw_curves(family: results.Family, points: pl.DataFrame, alpha: float, metric: str) -> None:
    """A metric in the settings that exist, and rank distance, against alpha; each on an axis of its own."""
    base = {} if family.base is None else results.values(family.base)
    scores = (score for score in scores_of(family, metric) if points[score.column].is_not_null().any())
    columns = {score.column: score.title for score in scores}
    published = {column: paper_points(family.collection, column) for column in columns}
    with st.container(horizontal=True):
        drawn = any(published.values()) and st.toggle(
            "Draw the hybrid-batch paper's points on the same axes",
            key="paper",
            bind="query-params",
            help="arXiv 2408.10536 trained all weights of other encoders on other data and printed three ratios: "
            "compare the shapes. Without this switch each axis spans our values, and the paper's stand below it.",
        )
        adjusted = any(map(is_head_on_adjusted, points["strategy"].unique())) and st.toggle(
            "Draw heads on centred vectors on the same axes",
            key="adjusted",
            bind="query-params",
            help="Heads trained after each language's mean was subtracted: what does the ratio do beyond the mean?",
        )
    beside = {
        column: figures.Beside(base.get(column), published[column] if drawn else (), adjusted) for column in columns
    }
    drawn_curves = {f"curve-{column}": curves.curve(family, column, metric, beside[column]) for column in columns}
    marker.draw(alpha, drawn_curves)
    for place, (column, name) in zip(st.columns(len(columns)), columns.items(), strict=True):
        place.markdown(f"**{name}**")
        key = f"curve-{column}"
        place.plotly_chart(drawn_curves[key], key=key, config=widgets.CHART)
        if published[column]:
            place.caption(_in_the_paper(published[column]))
    st.caption(
        "Dots are seeds, lines their means"
        + (
            "; diamonds: the checkpoints of alpha 0 and 1 merged at that weight"
            if "merge" in points["strategy"]
            else ""
        )
        + ". Dotted: what has no ratio, named above the plot from the highest down. Dashed: the best ratio; a ratio "
        "whose bar reaches it does not differ significantly from the best "
        "(95 % interval of the paired difference). Each axis has its own range; a lower rank distance is less biased."
    )
    choices = {
        name: (curves.choice(family, column, metric), column == RANK_DISTANCE) for column, name in columns.items()
    }
    st.caption(prose.smallest_detectable(choices))
    _draw_others(family, points, columns)


def _draw_others(family: results.Family, points: pl.DataFrame, columns: dict[str, str]) -> None:
    """The systems beside the ratios as a table: baselines, merged checkpoints, heads on adjusted vectors."""
    others = results.beside_ratios(points, list(columns))
    if others.is_empty():
        return
    question = "" if family.has_pictures else "Mix batches, merge checkpoints, or subtract a mean? "
    with st.expander(f"{question}Everything beside the ratios, as numbers"):
        st.dataframe(others, hide_index=True, column_config=widgets.score_columns(columns))
        st.caption(f"Means over seeds. {_OF_PICTURES if family.has_pictures else _OF_TEXTS}")


_OF_PICTURES = "en-en: English captions only; x-x: captions of all languages in every batch."
_OF_TEXTS = (
    "centred subtracts the mean vector of each language and role; lir-k projects out each language's first k "
    "directions; both are estimated on the training collection. A language that it lacks keeps its vectors, or, "
    "transductive, has its mean from the passages that are evaluated on. +hybrid: a head trained on what is left. "
    "merge: the checkpoints of alpha 0 and 1 averaged."
)


def _in_the_paper(points: list[tuple[float, float, str]]) -> str:
    """The paper's values at alpha 0, 0.5 and 1, a line for each model."""
    models: dict[str, list[str]] = {}
    for _, value, name in sorted(points, key=lambda point: point[0]):
        models.setdefault(name.partition(" ")[0], []).append(f"{value:.0f}" if value > 1 else f"{value:.3f}")
    lines = [f"{model}: {', '.join(values)}" for model, values in models.items()]
    return "Paper, alpha 0, 0.5, 1  \n" + "  \n".join(lines)


def draw_pairs(family: results.Family, chosen: Side, reference: Side, metric: str) -> None:
    """The heatmap at the chosen ratio beside its difference from the reference."""
    if chosen.pairs is None or reference.pairs is None:
        st.info("This ratio is outside the trained ones; train it to see its language pairs.")
        return
    if chosen.interpolated:
        st.caption(":orange[Interpolated between the trained ratios next to it, not measured.]")
    about = listed(family).manifest.collection
    if not about.crossed:
        st.markdown(plain(about.not_crossed))
        st.dataframe(chosen.pairs.select("query_lang", "queries", metric).rename({metric: label(metric)}))
        return
    codes = language_order(reference.pairs, metric, "name")
    tests = None
    if chosen.system and reference.system and chosen.system != reference.system:
        compared = uncertainty.comparison(family, metric, chosen.system, reference.system)
        of_pairs = compared.filter((pl.col("measure") == metric) & pl.col("doc_lang").is_not_null())
        tests = of_pairs, widgets.pick_correction()
    left, right = st.columns(2, gap="medium")
    st.html(heat_table.STYLE)
    figure = figures.pair_heatmap(chosen.pairs, metric, codes, compact=True)
    with left.container(key="at"):
        st.html(heat_table.to_html(figure, f"{label(metric)}: query language down, document language across"))
    figure = figures.difference_heatmap((chosen.pairs, reference.pairs), metric, codes, tests=tests, compact=True)
    with right.container(key="difference"):
        st.html(heat_table.to_html(figure, f"Points of {label(metric)} more or less than {reference.name}"))
    if tests is not None:
        st.caption(widgets.survivors(*tests))


def draw_utility(family: results.Family, points: pl.DataFrame, metric: str) -> None:
    """Weights for what matters, the ratio they lead to, and how clear that is."""
    st.caption("What matters to you? Weights of mAP in each setting, and of little language bias.")
    defaults = {"mono": 1.0, "cross": 1.0, "multi": 1.0, "bias": 0.0}
    weights = {
        part: column.slider(part, 0.0, 3.0, value, 0.5, key=f"weight-{part}", bind="query-params")
        for column, (part, value) in zip(st.columns(4), defaults.items(), strict=True)
    }
    if not sum(weights.values()):
        st.info("Give at least one weight above 0.")
        return
    if results.curve(points, "multi_map").is_empty():
        st.info("No ratio is trained.")
        return
    choice = uncertainty.utility_selection(family, metric, weights)
    st.markdown(prose.recommendation(choice))
    figure = figures.ratio_curve(results.with_utility(points, weights), "utility", selection=choice)
    st.plotly_chart(figure, key="utility", config=widgets.CHART)
    with st.expander("Every ratio: how surely is it the best?"):
        widgets.selection_table(choice)


def draw_example(chosen: Side, reference: Side) -> None:
    """What is found first for one question, or for one caption or picture, at the chosen ratio and at the reference."""
    sides = [chosen, reference]
    if any(side.key is None for side in sides):
        return
    listed = {one.key: one for one in cached.evaluations()}
    pair = [listed[side.key] for side in sides]
    collection = widgets.texts_or_note(*pair)
    if collection is None:
        return
    pictured = PICTURE in collection.languages
    asked_in, what, shown = ("Asked with", "Caption", 8) if pictured else ("Query language", "Question", 6)
    with st.container(horizontal=True):
        query_lang = widgets.pick_language(asked_in, collection.languages, key="query")
        found_in = PICTURE if pictured and query_lang != PICTURE else None
        changed = cached.most_changed(pair[0].key, pair[1].key, query_lang, found_in)
        texts = examples.texts_of(collection, query_lang)
        question = st.selectbox(
            f"{what} (those whose ranks differ most first)", changed, format_func=texts.get, key="changed-question"
        )
    widgets.question_line(query_lang, collection.queries.texts[examples.row_of(collection, question, query_lang)])
    for column, side, one in zip(st.columns(2, gap="medium"), sides, pair, strict=True):
        with column:
            note = f" (nearest trained: {side.nearest:g})" if side.nearest is not None and side.interpolated else ""
            st.markdown(f"**{plain(side.name)}**{note}")
            examples.draw_first(one, collection, question, query_lang, found_in, shown)
