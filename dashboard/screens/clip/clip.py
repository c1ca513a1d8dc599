"""CLIP, observed: what did training on pairs in many languages do to English, and to the others?"""

import polars as pl
import streamlit as st

from dashboard import widgets
from dashboard.cached import published as data
from engine import figures, published
from engine.collections.languages import language
from engine.ranks.metrics import label

st.title("What did multilingual pairs do to CLIP?")
with st.container(horizontal=True, vertical_alignment="bottom"):
    pairs = {pair.name: pair for pair in published.CLIP_PAIRS}
    pair = pairs[st.selectbox("Models compared", list(pairs), key="compared", bind="query-params", width=270)]
    dataset = st.selectbox(
        "Data set",
        list(published.DATASETS),
        format_func=published.DATASETS.get,
        key="set",
        bind="query-params",
        width=250,
    )
    direction = st.selectbox(
        "Direction",
        list(published.DIRECTIONS),
        format_func=published.DIRECTIONS.get,
        key="direction",
        bind="query-params",
        width=180,
    )
    measure = st.selectbox(
        "Measure", published.CLIP_MEASURES, format_func=label, key="cut", bind="query-params", width=100
    )

compared = published.compare(pair, dataset, direction, measure)
english = compared.filter(pl.col("language") == "en").row(0, named=True)
others = compared.filter(pl.col("language") != "en")
least = others.sort("multilingual").row(0, named=True)
name = label(measure)
st.markdown(
    f"Training pairs in all languages (LAION-5B) in place of English ones (LAION-2B) go with {name} "
    f"**{english['english']:.2f} → {english['multilingual']:.2f}** in English "
    f"({100 * english['difference']:+.1f} points) and **{others['english'].mean():.2f} → "
    f"{others['multilingual'].mean():.2f}** on average over the {others.height} other languages "
    f"({100 * others['difference'].mean():+.1f}). {language(least['language']).name} stays at "
    f"{least['multilingual']:.2f}."
)
names = ("trained on English pairs (LAION-2B)", "trained on pairs in all languages (LAION-5B)")
st.plotly_chart(figures.language_dumbbells(compared, names, name), key="languages", config=widgets.CHART)
st.warning(
    f"**This is observed, not an experiment.** Nobody trained both models to compare them. They share {pair.same}. "
    f"Besides the languages of the pairs, what also differs is {pair.differs}. What the multilingual share alone did "
    "cannot be told from two models; for retrievers of text, the ratio explorer varies it and nothing else.",
    icon=":material/visibility:",
)

st.subheader("Among all models of open_clip")
everyone = data.clip_points(dataset, direction, measure)
picked = [f"{model} ({weights})" for model, weights in (pair.multilingual, pair.english)]
across, up = ("english", f"{name} in English"), ("others", f"mean {name} over the other languages")
figure = figures.model_plane(everyone, across, up, picked, diagonal=True)
st.plotly_chart(figure, key="plane", config=widgets.CHART)
with st.expander("Numbers, and where they come from"):
    st.markdown(
        f"- {pair.english[0]} `{pair.english[1]}` and {pair.multilingual[0]} `{pair.multilingual[1]}`, measured by the "
        "authors of open_clip (MIT; commit in `engine/reference/README.md`). One caption an image and language.\n"
        "- LAION-2B is the English part of LAION-5B (2.3 of 5.9 billion pairs; 2.3 are in other languages, 1.3 in none "
        "that could be told; Schuhmann et al. 2022, arXiv 2210.08402)."
    )
    st.dataframe(compared, height=300)
