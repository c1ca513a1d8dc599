"""Which sweep a page shows, how one is made where there is none yet, and what it says in words."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import access, cached, widgets
from dashboard.cached import sweeps as sweep_data
from dashboard.cached import uncertainty
from dashboard.names import plain
from dashboard.screens.explorer.scores import scores_of
from engine import figures
from engine.sweeps import results


def pick_family(demo: str | None = None) -> results.Family:
    """Pick a collection and a sweep in the sidebar; without any sweep of it, say how to get one and stop.

    Args:
        demo: The collection that is trained here where it is picked and has no sweep: "demo", or "gallery" for sweeps
            over pictures. None for all sweeps, and the demo.
    """
    shown = demo or "demo"
    sweeps = [one for one in cached.families() if demo is None or one.has_pictures == (demo == "gallery")]
    if demo == "gallery":  # of sweeps that differ in the English share alone, one is picked here
        sweeps = [one for one in sweeps if one is next(iter(results.by_english_share(one, sweeps).values()))]
    collections = list(dict.fromkeys(family.collection for family in reversed(sweeps)))
    of_pictures = "picture-" if demo == "gallery" else ""  # what one page holds is no choice of the other
    with st.sidebar:
        options = collections if shown in collections else [*collections, shown]
        collection = st.selectbox("Collection", options, key=f"{of_pictures}collection", bind="query-params")
    if collection not in collections:
        _train(shown)
    with st.sidebar:
        fitting = cached.family_names([family for family in sweeps if family.collection == collection])
        name = st.selectbox("Sweep", list(reversed(fitting)), key=f"{of_pictures}sweep", bind="query-params")
    family = fitting[name]
    with st.sidebar.expander("Where these numbers come from"):
        st.markdown(_provenance(family))
    return family


def _provenance(family: results.Family) -> str:
    """What determined a sweep's numbers, as a list in Markdown."""
    settings = family.recipe.settings
    return (
        f"- {len(family.evaluations)} checkpoints of **{plain(family.recipe.encoder_name)}**, trained on "
        f"**{plain(family.recipe.collection_name)}**, evaluated on **{plain(family.collection)}** "
        f"({family.evaluations[0][1].manifest.collection.queries:,} queries)\n"
        f"- method {family.recipe.method}, {settings.steps} steps of {settings.batch_size} pairs, learning rate "
        f"{settings.learning_rate:g}, temperature {settings.temperature:g}\n"
        f"- sweep `{family.key[:12]}`, base encoder `{family.recipe.encoder[:12]}`"
    )


def listed(family: results.Family) -> cached.Listed:
    """One of the sweep's evaluations, which stands for all in what is known of the collection and the training."""
    return next(one for one in cached.evaluations() if one.key == family.evaluations[0][1].key)


_DEMOS = {
    "demo": "in eleven languages, a few seconds a ratio",
    "gallery": "drawings with captions in 14 languages; the first three ratios take about a minute",
}


def _train(demo: str) -> None:
    """Train a demo's ratios in the background where they are not trained, show how far it is, and stop the page."""
    if access.is_shared():
        st.info("The owner of this app has not trained anything yet.", icon=":material/info:")
        st.stop()
    run = cached.start_demo(demo)
    if run.state == "running":
        st.markdown(
            f"The ratios of the **{demo}** collection are being trained on this machine right now ({_DEMOS[demo]}); "
            "the first curve appears here by itself."
        )
    else:
        st.markdown(f"The ratios of the **{demo}** collection are not trained on this machine yet.")
        reason = f"failed: {plain(run.message)}" if run.state == "failed" else "was stopped"
        st.warning(f"The training of the ratios of {demo} {reason}.", icon=":material/warning:")
        st.button(
            "Train them", key="demo", on_click=cached.start_demo, args=(demo,), kwargs={"again": True}, type="primary"
        )
    widgets.watch_runs(("sweep",), len(cached.evaluations()))
    access.link("screens/evaluate/evaluate.py", label="Fetch XQuAD-R and MLQA-R", icon=":material/download:")
    access.link("screens/train/train.py", label="Train ratios of your own", icon=":material/model_training:")
    st.stop()


def answer(family: results.Family, points: pl.DataFrame) -> str:
    """What the sweep says, in a few sentences, with its numbers and how sure they are."""
    curve = results.curve(points, "multi_map")
    if curve.is_empty():
        return f"No ratio of **{plain(family.label)}** is evaluated on {plain(family.collection)} yet."
    return uncertainty.answer(family, curve["seeds"].max())


def draw_all_weights(family: results.Family) -> None:
    """Whether what heads show holds when all weights are trained, where both were measured on the same paragraphs."""
    both = sweep_data.beside_all_weights(family)
    if both is None:
        return
    with st.expander("Does it hold when all weights are trained?"):
        columns = {score.column: score.title for score in scores_of(both.full, "map")}
        told, table = sweep_data.all_weights(both, tuple(columns))
        if told is not None:
            st.markdown(told)
        st.dataframe(table, hide_index=True, column_config={"what": "", **widgets.score_columns(columns)})
        settings = both.full.recipe.settings
        st.caption(
            f"{plain(both.full.collection)}, {settings.steps} steps of {settings.batch_size} pairs for all weights. "
            "A short training: longer ones may differ."
        )


@st.fragment
def draw_losses(family: results.Family) -> None:
    """Loss curves of the sweep's mixed batches, drawn when they are asked for."""
    title = "How the training went: the loss of every ratio"
    with st.expander(title, key="losses-open", on_change="rerun") as expander:
        if not expander.open:
            return
        losses = cached.losses(family)
        if losses.is_empty():
            st.info("The loss curves of this sweep are not on this machine.")
            return
        st.plotly_chart(figures.loss_curves(losses), key="losses", config=widgets.CHART)
        st.caption(
            "Losses of different ratios are not comparable: batches in one language have other negatives than mixed "
            "ones."
        )
