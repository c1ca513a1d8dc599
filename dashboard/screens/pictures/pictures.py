"""Pictures: what does the share of monolingual caption batches do to finding pictures by captions?"""

import streamlit as st

from dashboard import access, cached, notices, warnings
from dashboard.names import plain
from dashboard.screens.explorer import family as sweeps
from dashboard.screens.explorer import view as explorer
from dashboard.screens.pictures import view as pictures
from engine.ranks.metrics import METRICS, label

st.title("What does the ratio do to pictures?")
family = pictures.pick_share(sweeps.pick_family("gallery"))
points = cached.points(family.key)
st.markdown(sweeps.answer(family, points))
warnings.draw(sweeps.listed(family))


@st.fragment
def explore() -> None:
    """All that the slider moves; the rest of the page is not run again."""
    with notices.guarded():
        question = "alpha: share of batches with captions in one language"
        metrics = ["hit@1", *(metric for metric in METRICS if metric != "hit@1")]
        _, metric, chosen, reference = explorer.draw_ratio(family, points, question, metrics, "picture-score")

        st.subheader(f"A caption finds its picture: {label(metric)} by language")
        pictures.draw_languages(family, chosen, reference, metric)

        st.subheader(f"One caption or picture at {chosen.name} and at {plain(reference.name)}")
        explorer.draw_example(chosen, reference)

        st.subheader("Every pair of languages, and pictures")
        with st.container():
            explorer.draw_pairs(family, chosen, reference, metric)


explore()
sweeps.draw_losses(family)
access.link("screens/clip/clip.py", label="Published CLIP models: observed, not tried", icon=":material/image_search:")
