"""Report: figures and tables that go straight into a paper, and a page that opens offline."""

import shlex

import streamlit as st

from dashboard import cached, job_panel
from dashboard.names import plain
from dashboard.screens.explorer import family as sweeps
from dashboard.screens.report import view as report
from engine.storage import jobs

st.title("Take it into your paper")
family = sweeps.pick_family()
st.markdown(
    f"Figures, tables, data and a page that opens offline, of **{plain(family.label)}** "
    f"on **{plain(family.collection)}**: what is previewed is what is written."
)
request = report.ask(family)
if request is not None:
    st.subheader("Preview")
    report.draw_preview(family, request)

    st.subheader("Export")
    with st.container(border=True):
        command = report.command(family, request)
        if command is not None:
            with st.expander("The same on the command line"):
                st.code(f"python -m engine {shlex.join(command)}", language="bash", wrap_lines=True)
        if st.button("Write the report", type="primary", key="report", disabled=command is None):
            jobs.start(command, cached.store(), f"report of {family.label} on {family.collection}")

report.offer_downloads()
job_panel.draw(("report",))
