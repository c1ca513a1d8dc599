"""Language pairs: for which pairs of query and document language is the right passage found?"""

import streamlit as st

from dashboard import cached, warnings, widgets
from dashboard.cached import uncertainty
from dashboard.names import plain
from dashboard.screens.pairs import view as pieces
from engine import figures
from engine.ranks.pairs import language_order

st.title("Which language pairs work?")
one = widgets.pick_evaluation()
other = pieces.pick_other(one)
summary = cached.summary(one.key)
pairs = cached.pairs(one.key)

with st.container(horizontal=True, vertical_alignment="bottom"):
    metric = widgets.pick_metric()
    order = st.selectbox("Sort languages by", ["name", "score", "similarity"], key="order", bind="query-params")
    correction = widgets.pick_correction() if other is not None else None

if not one.manifest.collection.crossed:
    st.markdown(plain(one.manifest.collection.not_crossed))
    warnings.draw(one)
    pieces.tables(one, summary, metric)
    st.stop()
codes = language_order(pairs, metric, order)
if other is None:
    st.markdown(pieces.answer(one, summary, metric))
    figure = pieces.heatmap(one, pairs, metric, codes)
else:
    tests = uncertainty.compared(one.key, other.key, metric)
    of_pairs = pieces.cells(tests), correction
    st.markdown(pieces.compared_answer(one, other, tests, metric))
    figure = figures.difference_heatmap((pairs, cached.pairs(other.key)), metric, codes, tests=of_pairs)
warnings.draw(one)
chosen = st.plotly_chart(figure, on_select="rerun", selection_mode="points", key="cells", config=widgets.CHART)
clicked = [point["customdata"] for point in chosen.selection.points if point.get("customdata")]
pair = clicked[0] if clicked else pieces.pick_pair(codes)
if pair:
    st.switch_page("screens/examples/examples.py", query_params=pieces.address_of(one, *pair))

low, high = pairs["queries"].min(), pairs["queries"].max()
notes = ["Framed: query and document in one language. Grey: mean over the other languages."]
if other is None:
    notes += [pieces.doubt(one, metric), "Click a cell for its examples."]
else:
    notes += [widgets.survivors(*of_pairs)]
notes += [f"Every cell is a mean over {low:,} queries."] if low == high else []
st.caption(" ".join(note for note in notes if note))
if low != high:
    with st.expander(f"Queries behind the cells: {low:,} to {high:,}", expanded=False):
        st.plotly_chart(figures.query_counts(pairs, codes), key="counts", config=widgets.CHART)
with st.expander("Means and table, with intervals"):
    pieces.tables(one, summary, metric)
