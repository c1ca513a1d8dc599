"""Pieces of the ratio explorer: what is chosen, what holds at a ratio, curves, pairs and examples."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import streamlit as st

from dashboard import access, cached, heat_table, widgets
from dashboard.cached import curves, uncertainty
from dashboard.names import plain
from dashboard.pages.examples import view as examples
from dashboard.pages.explorer import marker
from engine import figures
from engine.published import paper_points
from engine.ranks.metrics import label
from engine.ranks.pairs import language_order
from engine.storage import jobs
from engine.sweeps import prose, results
from engine.sweeps.uncertainty import UNTRAINED, System, systems
from engine.training.adjusted import is_head_on_adjusted

UNTRAINED_NAME = "the untrained encoder"
_DEMO = "demo"


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
        system: What was measured at it; None where it is interpolated.
    """

    name: str
    values: dict[str, float]
    pairs: pl.DataFrame | None
    interpolated: bool
    key: str | None
    nearest: float | None
    system: System | None


def pick_family() -> results.Family:
    """Pick a collection and a sweep in the sidebar; without any sweep of it, say how to get one and stop."""
    sweeps = cached.families()
    collections = list(dict.fromkeys(family.collection for family in reversed(sweeps)))
    with st.sidebar:
        options = collections if _DEMO in collections else [*collections, _DEMO]
        collection = st.selectbox("Collection", options, key="collection", bind="query-params")
    if collection not in collections:
        _train_demo()
    with st.sidebar:
        fitting = cached.family_names([family for family in sweeps if family.collection == collection])
        name = st.selectbox("Sweep", list(reversed(fitting)), key="sweep", bind="query-params")
    family = fitting[name]
    with st.sidebar.expander("Where these numbers come from"):
        settings = family.recipe.settings
        st.markdown(
            f"- {len(family.evaluations)} checkpoints of **{plain(family.recipe.encoder_name)}**, trained on "
            f"**{plain(family.recipe.collection_name)}**, evaluated on **{plain(family.collection)}** "
            f"({family.evaluations[0][1].manifest.collection.queries:,} queries)\n"
            f"- method {family.recipe.method}, {settings.steps} steps of {settings.batch_size} pairs, learning rate "
            f"{settings.learning_rate:g}, temperature {settings.temperature:g}\n"
            f"- sweep `{family.key[:12]}`, base encoder `{family.recipe.encoder[:12]}`"
        )
    return family


def listed(family: results.Family) -> cached.Listed:
    """One of the sweep's evaluations, which stands for all in what is known of the collection and the training."""
    return next(one for one in cached.evaluations() if one.key == family.evaluations[0][1].key)


def _train_demo() -> None:
    """Train the demo's ratios in the background where they are not trained, show how far it is, and stop the page."""
    if access.is_shared():
        st.info("The owner of this app has not trained anything yet.", icon=":material/info:")
        st.stop()
    run = cached.start_demo()
    if run.state == "running":
        st.markdown(
            "The ratios of the **demo** collection are being trained on this machine right now, in eleven languages, "
            "a few seconds a ratio; the first curve appears here by itself."
        )
    else:
        st.markdown("The ratios of the **demo** collection are not trained on this machine yet.")
        reason = f"failed: {plain(run.message)}" if run.state == "failed" else "was stopped"
        st.warning(f"The training of the demo's ratios {reason}.", icon=":material/warning:")
        st.button("Train them", key="demo", on_click=cached.start_demo, kwargs={"again": True}, type="primary")
    widgets.watch_runs(("sweep",), len(cached.evaluations()))
    access.link("pages/evaluate/evaluate.py", label="Fetch XQuAD-R and MLQA-R", icon=":material/download:")
    access.link("pages/train/train.py", label="Train ratios of your own", icon=":material/model_training:")
    st.stop()


def answer(family: results.Family, points: pl.DataFrame) -> str:
    """What the sweep says, in a few sentences, with its numbers and how sure they are."""
    curve = results.curve(points, "multi_map")
    if curve.is_empty():
        return f"No ratio of **{plain(family.label)}** is evaluated on {plain(family.collection)} yet."
    return uncertainty.answer(family, curve["seeds"].max())


def pick_reference(family: results.Family, points: pl.DataFrame) -> Side:
    """Pick what the chosen ratio is compared with: the untrained encoder or a trained ratio."""
    trained = results.curve(points, "multi_map")["alpha"].to_list()
    options = ([UNTRAINED_NAME] if family.base is not None else []) + [f"alpha = {alpha:g}" for alpha in trained]
    others = {system.label: system for system in systems(family) if system.alpha is None and system != UNTRAINED}
    name = st.selectbox("Compare with", [*options, *others], key="reference", bind="query-params", width=240)
    if name in others:
        return _without_ratio(others[name], points)
    if name == UNTRAINED_NAME:
        values = results.values(family.base)
        return Side(name, values, cached.pairs(family.base.key), False, family.base.key, None, UNTRAINED)
    return at(family, points, trained[options.index(name) - len(options) + len(trained)])


def _without_ratio(system: System, points: pl.DataFrame) -> Side:
    """What holds for a baseline: means over its seeds."""
    own = points.filter((pl.col("strategy") == system.strategy) & pl.col("alpha").is_null())
    values = {column: own[column].mean() for column in _score_columns(points) if not own[column].null_count()}
    keys = own["key"].to_list()
    return Side(system.label, values, results.mean_pairs(list(map(cached.pairs, keys))), False, keys[0], None, system)


def _score_columns(points: pl.DataFrame) -> list[str]:
    return [column for column in points.columns if column not in ("key", "strategy", "alpha", "seed")]


def at(family: results.Family, points: pl.DataFrame, alpha: float) -> Side:
    """What holds at a ratio: measured, or interpolated between the trained ratios next to it."""
    name = f"alpha = {alpha:g}"
    found = {column: results.at(results.curve(points, column), alpha) for column in _score_columns(points)}
    values = {column: value[0] for column, value in found.items() if value is not None}
    hybrid = points.filter((pl.col("strategy") == "hybrid") & pl.col("alpha").is_not_null())
    if hybrid.is_empty():
        return Side(name, {}, None, False, None, None, None)
    nearest = hybrid.sort((pl.col("alpha") - alpha).abs(), "seed").row(0, named=True)
    pairs = results.pairs_at(cached.mean_pairs(family.key), alpha)
    frame, interpolated = pairs if pairs is not None else (None, False)
    measured = abs(nearest["alpha"] - alpha) < 1e-9
    system = System("hybrid", nearest["alpha"]) if measured else None
    return Side(name, values, frame, interpolated, nearest["key"], nearest["alpha"], system)


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
    """A metric in the three settings, and rank distance, against alpha; each on an axis of its own."""
    base = {} if family.base is None else results.values(family.base)
    columns = {f"{setting}_{metric}": f"{setting} {label(metric)}" for setting in ("mono", "cross", "multi")}
    columns["rank_distance"] = "rank distance"
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
    for place, (column, name) in zip(st.columns(4), columns.items(), strict=True):
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
    _draw_others(points, columns)


def _draw_others(points: pl.DataFrame, columns: dict[str, str]) -> None:
    """The systems beside the ratios as a table: baselines, merged checkpoints, heads on adjusted vectors."""
    others = results.beside_ratios(points, list(columns))
    if others.is_empty():
        return
    with st.expander("Mix batches, merge checkpoints, or subtract a mean? Everything beside the ratios, as numbers"):
        digits = {column: "%.0f" if column == "rank_distance" else "%.3f" for column in columns}
        st.dataframe(
            others,
            hide_index=True,
            column_config={
                column: st.column_config.NumberColumn(name, format=digits[column]) for column, name in columns.items()
            },
        )
        st.caption(
            "Means over seeds. centred subtracts the mean vector of each language and role; lir-k projects out each "
            "language's first k directions; both are estimated on the training collection. A language that it lacks "
            "keeps its vectors, or, transductive, has its mean from the passages that are evaluated on. +hybrid: a "
            "head trained on what is left. merge: the checkpoints of alpha 0 and 1 averaged."
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
    """The first passages for one question, at the chosen ratio and at the reference."""
    sides = [chosen, reference]
    if any(side.key is None for side in sides):
        return
    listed = {one.key: one for one in cached.evaluations()}
    pair = [listed[side.key] for side in sides]
    collection = widgets.texts_or_note(*pair)
    if collection is None:
        return
    with st.container(horizontal=True):
        query_lang = widgets.pick_language("Query language", collection.languages, key="query")
        changed = cached.most_changed(pair[0].key, pair[1].key, query_lang)
        texts = examples.texts_of(collection, query_lang)
        question = st.selectbox(
            "Question (those whose ranks differ most first)", changed, format_func=texts.get, key="changed-question"
        )
    widgets.question_line(query_lang, texts[question])
    for column, side, one in zip(st.columns(2, gap="medium"), sides, pair, strict=True):
        with column:
            note = f" (nearest trained: {side.nearest:g})" if side.nearest is not None and side.interpolated else ""
            st.markdown(f"**{plain(side.name)}**{note}")
            widgets.passage_list(examples.retrieved(one, collection, question, query_lang, None, shown=6))
