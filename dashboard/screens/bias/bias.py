"""Language bias: does the retriever put passages of some languages before equally good ones of others?"""

import streamlit as st

from dashboard import cached, warnings, widgets
from dashboard.cached import bias as bias_data
from dashboard.names import plain
from dashboard.screens.bias import curves as bias_curves
from dashboard.screens.bias import vectors
from dashboard.screens.bias import view as bias
from engine.ranks.pairs import language_order

SECTIONS = {
    "overview": "All measures",
    "own": "Own language",
    "first": "First result",
    "documents": "Pushed down",
    "distance": "Rank distance",
    "probes": "Answers removed",
    "agreement": "Agreement",
    "vectors": "Vectors",
    "curves": "Against alpha",
}

st.title("Does it favour some languages?")
one = widgets.pick_evaluation()
if not one.manifest.collection.crossed:
    st.info(f"{plain(one.manifest.collection.not_crossed)} Bias cannot be measured without parallel passages.")
    st.stop()
if cached.summary(one.key).rank_distance.is_empty():
    st.info(
        f"{plain(one.collection)} has no question with relevant passages in two languages, "
        "or not all of them are ranked: there is no bias to measure."
    )
    st.stop()
if not one.manifest.top_k:
    st.info("This evaluation keeps where the relevant passages rank, not what else was retrieved: choose another one.")
    st.stop()

found, k = bias_data.suite(one, one.key), bias_data.depth(one)
st.markdown(bias.answer(one, found))
warnings.draw(one)

section = st.segmented_control(
    "What to look at",
    list(SECTIONS),
    format_func=SECTIONS.get,
    default="overview",
    required=True,
    key="section",
    bind="query-params",
    label_visibility="collapsed",
)
codes = language_order(cached.pairs(one.key), "map", "name")
match section:
    case "own":
        bias.draw_own_language(one, found, codes, k)
    case "first":
        bias.draw_first(one, found, k)
    case "documents":
        bias.draw_documents(one, found, k)
    case "distance":
        bias.draw_distance(one, found, codes, k)
    case "probes":
        bias.draw_probes(one, found, codes, k)
    case "agreement":
        bias.draw_agreement(one, found, codes, k)
    case "vectors":
        vectors.draw(one, codes, k)
    case "curves":
        bias_curves.draw(one, k)
    case _:
        bias.draw_overview(found, k)
