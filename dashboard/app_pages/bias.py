"""Language bias: does the retriever put passages of some languages before equally good ones of others?"""

import streamlit as st

from dashboard import data, widgets
from engine import figures

st.title("Does it favour some languages?")
one = widgets.pick_evaluation()
distance = data.summary(one.key).rank_distance
ranks = data.ranks(one.key)
codes = one.about["collection"]["languages"]
k = min(10, one.about["top_k"])
if distance.is_empty():
    st.info(f"{one.collection} has no question with relevant passages in two languages: there is no bias to measure.")
    st.stop()

shares = data.shares(one.key, k)
relevant = ranks["doc_lang"].value_counts(normalize=True)
fair = dict(zip(relevant["doc_lang"], relevant["proportion"], strict=True))
own = shares.filter(shares["query_lang"] == shares["doc_lang"])["share"].mean()
mean, random = distance["rank_distance"].mean(), distance["random"].mean()
st.markdown(
    f"For **{one.checkpoint}** on {one.collection}, the versions of one answer stand **{mean:,.0f}** ranks apart in "
    f"the pool of all languages (equal treatment: near 0; a random ranking: {random:,.0f}), and "
    f"**{100 * own:.0f} %** of the top {k} are in the query's own language."
)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Rank distance by query language")
    st.plotly_chart(figures.rank_distance_dots(distance), key="distance", config=widgets.CHART)
with right:
    st.subheader(f"Own language in the top {k}")
    st.plotly_chart(figures.share_bars(shares, fair, k), key="shares", config=widgets.CHART)

st.subheader("Where the answers stand in the pool")
query_lang = widgets.pick_language("Query language", codes, key="query")
st.plotly_chart(figures.pool_rank_boxes(ranks, query_lang), key="boxes", config=widgets.CHART)

st.subheader("Median rank in the pool, every query and document language")
order = figures.language_order(data.summary(one.key).pairs, "map", "name")
st.plotly_chart(figures.pool_rank_heatmap(data.pool_ranks(one.key), order), key="median_ranks", config=widgets.CHART)
with st.expander("What is measured"):
    st.markdown(
        "- **Rank distance**: for one query, the pool rank of its lowest-ranked relevant passage minus that of its "
        "highest-ranked one; the passages are translations of each other. Averaged over queries, then query languages "
        "(arXiv 2408.10536). Lower is less biased.\n"
        "- **Random**: what a random order of the pool would give, (N + 1)(k − 1) / (k + 1) for k of N.\n"
        "- **Fair share**: a language's share of all relevant passages.\n"
        "- **Pool**: the candidates of all languages together."
    )
