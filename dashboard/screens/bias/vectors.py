"""The bias page's section on vectors: how much of the language they hold, and a map of the passages."""

from __future__ import annotations

import streamlit as st

from dashboard import cached, widgets
from dashboard.cached import bias as bias_data
from dashboard.screens.bias import view as bias
from engine import Collection, figures
from engine.bias import MEASURES
from engine.collections.languages import language


def draw(one: cached.Listed, codes: list[str], k: int) -> None:
    """How much of the language is in the vectors?"""
    if not bias_data.has_vectors(one):
        st.info("This evaluation was imported: its vectors are not on this machine.")
        return
    found = bias_data.identity(one, one.key)
    probe, variance = found.measures.to_dicts()
    chance = {row["measure"]: MEASURES[row["measure"]].write(row["random"]) for row in (probe, variance)}
    st.markdown(
        f"A linear classifier reads the language of an unseen passage from its vector in {bias.told(probe)} of the "
        f"cases (chance: {chance['language_probe']}), and languages explain {bias.told(variance)} of the variance "
        f"(languages dealt out at random: {chance['language_variance']})."
    )
    picked = st.session_state.get("map", {}).get("selection", {}).get("points", [])
    docs = [point["customdata"][0] for point in picked if isinstance(point.get("customdata"), list)]
    chosen = bias_data.parallel(one.key, docs[0]) if docs else []
    st.markdown("**Passages that answer a question**: click one to join it with its translations")
    figure = figures.language_map(found.points, found.explained, chosen=chosen)
    st.plotly_chart(figure, key="map", on_select="rerun", selection_mode="points", config=widgets.CHART)
    if chosen:
        _draw_parallel(cached.collection_of(one), chosen)
    with st.expander("Distances between the languages' means, in units of the spread within a language"):
        held = set(found.points["doc_lang"])
        shown = [code for code in codes if code in held]
        st.plotly_chart(figures.distance_heatmap(found.distances, shown), key="means", config=widgets.CHART)
    bias.explain("language_probe", "language_variance", k=k)


def _draw_parallel(collection: Collection, docs: list[int]) -> None:
    lines = [(collection.corpus.languages[doc], collection.corpus.texts[doc]) for doc in docs]
    with st.expander("The joined passages", expanded=True):
        for code, text in lines:
            st.html(f"<b>{language(code).name}</b> {widgets.text_in(code, text)}")
