"""Language pairs: for which pairs of query and document language is the right passage found?"""

import polars as pl
import streamlit as st

from dashboard import data, widgets
from engine import figures
from engine.languages import language
from engine.metrics import label

st.title("Which language pairs work?")
one = widgets.pick_evaluation()
summary = data.summary(one.key)

with st.container(horizontal=True):
    metric = widgets.pick_metric()
    order = st.selectbox("Sort languages by", ["name", "score", "similarity"], key="order", bind="query-params")

pairs, settings = summary.pairs, summary.settings
cross = pairs.filter(pl.col("query_lang") != pl.col("doc_lang"))
if cross.is_empty():
    st.info(f"{one.collection} has no cross-lingual pair.")
mono_mean, cross_mean = (summary.value(setting, metric) for setting in ("mono", "cross"))
if mono_mean is None or cross_mean is None:
    st.warning("Some language pairs have no query, so no mean is shown over the others.", icon=":material/warning:")
else:
    worst = cross.sort(metric).row(0, named=True)
    st.markdown(
        f"Within one language **{one.checkpoint}** reaches {label(metric)} **{mono_mean:.2f}**, "
        f"across languages **{cross_mean:.2f}** ({cross.height} pairs of {one.collection}). Weakest: "
        f"{language(worst['query_lang']).name} → {language(worst['doc_lang']).name}, {worst[metric]:.2f}."
    )

codes = figures.language_order(pairs, metric, order)
figure = figures.pair_heatmap(pairs, metric, codes)
chosen = st.plotly_chart(figure, on_select="rerun", selection_mode="points", key="cells", config=widgets.CHART)
points = [point for point in chosen.selection.points if point.get("customdata")]
if points:
    query_lang, doc_lang = points[0]["customdata"]
    carried = {"collection": one.collection, "checkpoint": one.checkpoint}
    languages = {
        "query": f"{language(query_lang).name} {query_lang}",
        "document": f"{language(doc_lang).name} {doc_lang}",
    }
    st.switch_page("app_pages/examples.py", query_params=carried | languages)

low, high = pairs["queries"].min(), pairs["queries"].max()
st.caption(
    "Framed: query and document in one language. Grey: mean over the other languages. Click a cell for its examples."
    + (f" Every cell is a mean over {low:,} queries." if low == high else "")
)
if low != high:
    with st.expander(f"Queries behind the cells: {low:,} to {high:,}", expanded=False):
        st.plotly_chart(figures.query_counts(pairs, codes), key="counts", config=widgets.CHART)
with st.expander("Means and table"):
    shown = ["map", "hit@1", "hit@10", "mrr", "ndcg@10", "recall@10", "recall@100"]
    st.dataframe(settings.select("setting", "cells", "expected", *shown).rename({m: label(m) for m in shown}))
    st.dataframe(pairs.rename({m: label(m) for m in pairs.columns[3:]}), height=300)
