"""Examples: what is retrieved for one question, and where its parallel passages ended."""

import streamlit as st

from dashboard import cached, warnings, widgets
from dashboard.names import plain
from dashboard.screens.examples import own
from dashboard.screens.examples import view as examples
from engine import figures
from engine.collections.languages import language

st.title("What does it retrieve?")
one = widgets.pick_evaluation()
collection = widgets.texts_or_note(one)
if collection is None:
    st.stop()
warnings.draw(one)
codes = one.manifest.collection.languages

if cached.can_search(one):
    own.draw(one, collection)

with st.container(horizontal=True):
    query_lang = widgets.pick_language("Query language", codes, key="query")
    doc_lang = widgets.pick_language("Document language", codes, key="document", everything="all (the pool)")
    order = st.selectbox("Show first", list(examples.ORDERS), key="first", bind="query-params")
    words = st.text_input("Search in the questions", key="words", bind="query-params")

asked = examples.find(one, collection, query_lang, doc_lang, order, words)
if asked.is_empty():
    st.info("No question fits. Search for another word, or choose another pair.")
    st.stop()
question = examples.pick_question(asked, order, (query_lang, doc_lang))
versions = examples.versions(collection, question)
widgets.question_line(query_lang, versions[query_lang])
with st.expander(f"The question in its {len(versions)} languages"):
    st.html("".join(f"<p><b>{language(c).name}</b> {widgets.text_in(c, t)}</p>" for c, t in versions.items()))

ranks = examples.ranks_of(one, question, query_lang)
st.markdown(examples.verdict(ranks, doc_lang or query_lang))
left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader(examples.heading(doc_lang))
    examples.draw_first(one, collection, question, query_lang, doc_lang)
    st.caption(examples.source(one, query_lang, doc_lang))
with right:
    st.subheader("Where each parallel passage ended")
    st.plotly_chart(figures.parallel_ranks(ranks, query_lang), key="parallel", config=widgets.CHART)
    st.caption(
        f"{plain(one.checkpoint)} on {plain(one.collection)}: ranks among {len(collection.corpus):,} candidates."
    )
