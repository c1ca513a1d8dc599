"""Train: choose ratios and seeds, see how long it takes, start, watch, stop, resume."""

import polars as pl
import streamlit as st

from dashboard import access, cached, job_panel
from dashboard.names import plain
from dashboard.screens.train import view as training_form
from engine.storage import jobs

st.title("Train ratios")
st.markdown(
    "Each ratio gives one checkpoint per seed; all are evaluated on the collections that you choose. What exists "
    "already is not computed again, and a run can be stopped and resumed."
)
choice = training_form.draw()
if choice is not None:
    for note in choice.notes:
        st.warning(plain(note), icon=":material/warning:")
    st.caption(plain(choice.estimate))
    if st.button("Train and evaluate", type="primary", key="train"):
        for name in choice.names:
            access.check_name(name)
        jobs.start(choice.command, cached.store(), choice.title)

job_panel.draw(("sweep", "train"))
job_panel.draw_losses(("sweep", "train"))

compositions = cached.compositions()
if compositions:
    with st.expander("What the batches were made of"):
        name = st.selectbox("Checkpoint", list(compositions), key="composition")
        st.markdown(training_form.composition_in_words(compositions[name]))
        st.dataframe(pl.DataFrame(compositions[name]["composition"]["pairs"]), height=260)
