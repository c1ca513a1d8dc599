"""Ratio explorer: what does the share of monolingual batches do to the retriever?"""

import streamlit as st

from dashboard import cached, notices, warnings, widgets
from dashboard.names import plain
from dashboard.screens.explorer import family as sweeps
from dashboard.screens.explorer import view as explorer
from engine import figures
from engine.ranks.metrics import METRICS, label

st.title("What does the batch ratio do?")
family = sweeps.pick_family("demo")
points = cached.points(family.key)
st.markdown(sweeps.answer(family, points))
warnings.draw(sweeps.listed(family))


@st.fragment
def explore() -> None:
    """All that the slider moves, what is seen first before what is below; the rest of the page is not run again."""
    with notices.guarded():
        question = "alpha: share of monolingual batches"
        alpha, metric, chosen, reference = explorer.draw_ratio(family, points, question, list(METRICS), "score")

        st.subheader(f"Every language pair at alpha = {alpha:g}, and against {plain(reference.name)}")
        with st.container():
            explorer.draw_pairs(family, chosen, reference, metric)

        left, right = st.columns(2, gap="large")
        with left:
            st.subheader("Mono against multi")
            names = (f"mono {label(metric)}", f"multi {label(metric)}")
            figure = figures.trade_off(points, f"mono_{metric}", f"multi_{metric}", names, alpha=alpha)
            st.plotly_chart(figure, key="plane", config=widgets.CHART)
        with right:
            st.subheader("Which ratio for your needs?")
            explorer.draw_utility(family, points, metric)

        st.subheader("One question at both ratios")
        explorer.draw_example(chosen, reference)


explore()
sweeps.draw_all_weights(family)
sweeps.draw_losses(family)
