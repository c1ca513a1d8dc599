"""Pieces of the ratio explorer: what is chosen, what holds at a ratio, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import streamlit as st

from dashboard import data, examples, widgets
from engine import figures, ratios, runs
from engine.metrics import label

UNTRAINED = "the untrained encoder"


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What holds at a ratio, or for the untrained encoder: one side of a comparison.

    Attributes:
        name: What to call it.
        values: Figures by the column names of `ratios.points`; empty where the ratio is outside the trained ones.
        pairs: Scores of every language pair, or None.
        interpolated: Whether it lies between trained ratios.
        key: The evaluation whose texts stand for it: the nearest trained ratio's, first seed.
        nearest: That ratio; None for the untrained encoder.
    """

    name: str
    values: dict[str, float]
    pairs: pl.DataFrame | None
    interpolated: bool
    key: str | None
    nearest: float | None


def pick_family() -> ratios.Family:
    """Pick a collection and a sweep in the sidebar; without any sweep, say how to get one and stop."""
    found = data.families()
    if not found:
        _first_steps()
    with st.sidebar:
        collections = list(dict.fromkeys(family.collection for family in reversed(found)))
        collection = st.selectbox("Collection", collections, key="collection", bind="query-params")
        fitting = data.family_names([family for family in found if family.collection == collection])
        name = st.selectbox("Sweep", list(reversed(fitting)), key="sweep", bind="query-params")
    family = fitting[name]
    with st.sidebar.expander("Where these numbers come from"):
        settings = family.recipe.settings
        st.markdown(
            f"- {len(family.evaluations)} checkpoints of **{family.recipe.encoder_name}**, trained on "
            f"**{family.recipe.collection_name}**, evaluated on **{family.collection}** "
            f"({family.evaluations[0][1].about['collection']['queries']:,} queries)\n"
            f"- method {family.recipe.method}, {settings.steps} steps of {settings.batch_size} pairs, learning rate "
            f"{settings.learning_rate:g}, temperature {settings.temperature:g}\n"
            f"- sweep `{family.key[:12]}`, base encoder `{family.recipe.encoder[:12]}`"
        )
    return family


def _first_steps() -> None:
    """On a fresh machine: train the demo's ratios in the background, show how far it is, and stop the page."""
    run = data.start_demo()
    st.markdown(
        "Nothing has been trained on this machine yet. The ratios of the **demo** collection are being trained right "
        "now, in eleven languages, a few seconds a ratio; the first curve appears here by itself."
    )
    if run.state == "failed":
        st.error(run.message)
    widgets.watch_runs(("sweep",), len(data.evaluations()))
    st.page_link("app_pages/evaluate.py", label="Fetch XQuAD-R and MLQA-R", icon=":material/download:")
    st.page_link("app_pages/train.py", label="Train ratios of your own", icon=":material/model_training:")
    st.stop()


def answer(family: ratios.Family, points: pl.DataFrame) -> str:
    """What the sweep says, in a sentence or two, with its numbers."""
    curve = ratios.curve(points, "multi_map")
    if curve.is_empty():
        return f"No ratio of **{family.label}** is evaluated on {family.collection} yet."
    best = curve.sort("mean", descending=True).row(0, named=True)
    spread = curve["sd"].mean()
    near = (
        curve.filter(pl.col("mean") >= best["mean"] - 2 * spread)
        if spread is not None
        else curve.filter(pl.col("mean") == best["mean"])
    )
    low, high = near["alpha"].min(), near["alpha"].max()
    which = f"alpha = {low:g}" if low == high else f"alpha {low:g} to {high:g}"
    text = f"On {family.collection}, **{which}** is best in the pool (multi mAP {best['mean']:.3f}"
    text += ", within two standard deviations of the seeds)" if low != high else ")"
    far = max((0.0, 1.0), key=lambda end: abs(end - best["alpha"]))
    cost, distance = ratios.at(curve, far), ratios.curve(points, "rank_distance")
    if cost and not cost[1] and (there := ratios.at(distance, far)) and (here := ratios.at(distance, best["alpha"])):
        more = 100 * (there[0] / here[0] - 1)
        text += (
            f"; alpha = {far:g} costs **{100 * (best['mean'] - cost[0]):.1f} points** and "
            f"**{abs(more):.0f} % {'more' if more >= 0 else 'less'} rank distance**"
        )
    if family.base is not None:
        text += f". Untrained: {ratios.values(family.base)['multi_map']:.3f}"
    seeds = curve["seeds"].max()
    return text + f". {seeds} seed{'s' if seeds > 1 else ': no spread is known'}."


def pick_reference(family: ratios.Family, points: pl.DataFrame) -> Side:
    """Pick what the chosen ratio is compared with: the untrained encoder or a trained ratio."""
    trained = ratios.curve(points, "multi_map")["alpha"].to_list()
    options = ([UNTRAINED] if family.base is not None else []) + [f"alpha = {alpha:g}" for alpha in trained]
    name = st.selectbox("Compare with", options, key="reference", bind="query-params", width=240)
    if name == UNTRAINED:
        values = ratios.values(family.base)
        return Side(name, values, data.pairs(family.base.key), False, family.base.key, None)
    return at(family, points, trained[options.index(name) - len(options) + len(trained)])


def at(family: ratios.Family, points: pl.DataFrame, alpha: float) -> Side:
    """What holds at a ratio: measured, or interpolated between the trained ratios next to it."""
    name = f"alpha = {alpha:g}"
    columns = [column for column in points.columns if column not in ("key", "strategy", "alpha", "seed")]
    found = {column: ratios.at(ratios.curve(points, column), alpha) for column in columns}
    values = {column: value[0] for column, value in found.items() if value is not None}
    hybrid = points.filter((pl.col("strategy") == "hybrid") & pl.col("alpha").is_not_null())
    if hybrid.is_empty():
        return Side(name, {}, None, False, None, None)
    nearest = hybrid.sort((pl.col("alpha") - alpha).abs(), "seed").row(0, named=True)
    pairs = ratios.pairs_at(data.mean_pairs(family.key), alpha)
    frame, interpolated = pairs if pairs is not None else (None, False)
    return Side(name, values, frame, interpolated, nearest["key"], nearest["alpha"])


def offer_training(family: ratios.Family, points: pl.DataFrame, alpha: float) -> None:
    """Where the ratio is not trained, say so and offer to train it now; show the training while it runs."""
    trained = ratios.curve(points, "multi_map")["alpha"].to_list()
    if not any(abs(alpha - one) < 1e-9 for one in trained):
        inside = bool(trained) and min(trained) < alpha < max(trained)
        note = "what is shown is **interpolated** between its neighbours" if inside else "nothing is shown for it"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":orange[:material/timeline: alpha = {alpha:g} is not trained: {note}.]")
            if st.button(f"Train alpha = {alpha:g} now", key="train-now", icon=":material/model_training:"):
                seeds = sorted(points.filter(pl.col("strategy") == "hybrid")["seed"].unique())
                command = data.sweep_command(family, [alpha], seeds)
                runs.start(command, data.store(), f"train alpha = {alpha:g}, {family.label}")
    widgets.watch_runs(("sweep",), len(data.evaluations()))


def figures_at(chosen: Side, reference: Side, metric: str) -> None:
    """The chosen ratio's figures as numbers, with their difference from the reference."""
    if not chosen.values:
        return
    columns = [(f"{setting}_{metric}", f"{setting} {label(metric)}") for setting in ("mono", "cross", "multi")]
    for place, (column, name) in zip(st.columns(4), [*columns, ("rank_distance", "rank distance")], strict=True):
        value, other = chosen.values.get(column), reference.values.get(column)
        distance = column == "rank_distance"
        if value is None:
            continue
        shown = f"{value:.0f}" if distance else f"{value:.3f}"
        change = None
        if other is not None:
            change = f"{value - other:+.0f} ranks" if distance else f"{100 * (value - other):+.1f} points"
        place.metric(
            name,
            f"≈ {shown}" if chosen.interpolated else shown,
            change,
            delta_color="inverse" if distance else "normal",
            help=f"Difference from {reference.name}.",
            border=True,
        )


def draw_curves(family: ratios.Family, points: pl.DataFrame, alpha: float, metric: str) -> None:
    """A metric in the three settings, and rank distance, against alpha; each on an axis of its own."""
    base = {} if family.base is None else ratios.values(family.base)
    columns = {f"{setting}_{metric}": f"{setting} {label(metric)}" for setting in ("mono", "cross", "multi")}
    columns["rank_distance"] = "rank distance"
    for place, (column, name) in zip(st.columns(4), columns.items(), strict=True):
        place.markdown(f"**{name}**")
        figure = figures.ratio_curve(points, column, name, base=base.get(column), alpha=alpha)
        place.plotly_chart(figure, key=f"curve-{column}", config=widgets.CHART)
    st.caption(
        "Dots are seeds, lines their means"
        + (
            "; diamonds: the checkpoints of alpha 0 and 1 merged at that weight"
            if "merge" in points["strategy"]
            else ""
        )
        + ". Each axis spans its own values; a lower rank distance is less biased."
    )


def draw_pairs(chosen: Side, reference: Side, metric: str) -> None:
    """The heatmap at the chosen ratio beside its difference from the reference."""
    if chosen.pairs is None or reference.pairs is None:
        st.info("This ratio is outside the trained ones; train it to see its language pairs.")
        return
    if chosen.interpolated:
        st.caption(":orange[Interpolated between the trained ratios next to it, not measured.]")
    codes = figures.language_order(reference.pairs, metric, "name")
    left, right = st.columns(2, gap="medium")
    left.plotly_chart(figures.pair_heatmap(chosen.pairs, metric, codes, compact=True), key="at", config=widgets.CHART)
    figure = figures.difference_heatmap(chosen.pairs, reference.pairs, metric, codes, compact=True)
    right.plotly_chart(figure, key="difference", config=widgets.CHART)


def draw_utility(points: pl.DataFrame) -> None:
    """Weights for what matters, and the ratio they lead to."""
    st.caption("What matters to you? Weights of mAP in each setting, and of little language bias.")
    defaults = {"mono": 1.0, "cross": 1.0, "multi": 1.0, "bias": 0.0}
    weights = {
        part: column.slider(part, 0.0, 3.0, value, 0.5, key=f"weight-{part}", bind="query-params")
        for column, (part, value) in zip(st.columns(4), defaults.items(), strict=True)
    }
    if not sum(weights.values()):
        st.info("Give at least one weight above 0.")
        return
    scored = ratios.with_utility(points, weights)
    found = ratios.recommend(scored)
    if found is None:
        st.info("No ratio is trained.")
        return
    st.markdown(f"**alpha = {found.alpha:g}** {_how_clear(found)}")
    st.plotly_chart(figures.ratio_curve(scored, "utility", "utility"), key="utility", config=widgets.CHART)


def _how_clear(found: ratios.Recommendation) -> str:
    if found.runner_up is None:
        return "is the only ratio trained: there is nothing to compare it with."
    text = f"is best, {found.margin:.2f} points before alpha = {found.runner_up:g}"
    if found.wins is None:
        return text + ". With one seed nobody can say how clear that is: train more seeds."
    clear = "clear" if found.wins == found.seeds else "fairly clear" if found.wins > found.seeds / 2 else "not clear"
    return text + f", in {found.wins} of {found.seeds} seeds: **{clear}**."


def draw_example(family: ratios.Family, points: pl.DataFrame, alpha: float, reference: Side) -> None:
    """The first passages for one question, at the chosen ratio and at the reference."""
    chosen = at(family, points, alpha)
    sides = [chosen, reference]
    if any(side.key is None for side in sides):
        return
    listed = {one.key: one for one in data.evaluations()}
    pair = [listed[side.key] for side in sides]
    collection = data.collection_of(pair[0])
    with st.container(horizontal=True):
        query_lang = widgets.pick_language("Query language", collection.languages, key="query")
        changed = data.most_changed(pair[0].key, pair[1].key, query_lang)
        question = st.selectbox(
            "Question (those whose ranks differ most first)",
            changed,
            format_func=lambda one: examples.versions(collection, one)[query_lang],
            key="changed-question",
        )
    text = widgets.text_in(query_lang, examples.versions(collection, question)[query_lang])
    st.html(f"<p style='font-size:1.15rem;margin:0'>{text}</p>")
    for column, side, one in zip(st.columns(2, gap="medium"), sides, pair, strict=True):
        with column:
            note = f" (nearest trained: {side.nearest:g})" if side.nearest is not None and side.interpolated else ""
            st.markdown(f"**{side.name}**{note}")
            widgets.passage_list(examples.retrieved(one, collection, question, query_lang, None)[:6])
