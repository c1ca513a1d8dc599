"""Published: what do published models do on the same language pairs?"""

import streamlit as st

from dashboard.names import plain
from dashboard.screens.published import sections as views
from dashboard.screens.published import view as literature

st.title("What do published models do?")
view = literature.pick_view()
picked = literature.pick_models(view)
st.markdown(literature.answer(view, picked))

if view.task.shape == "pairs":
    views.draw_pairs(view, picked)
else:
    views.draw_rows(view, picked)
views.tell_faults(view)
views.tell_source(view)
if len(picked) == 2:
    st.subheader(f"{plain(literature.short(picked[0]))} minus {plain(literature.short(picked[1]))}")
    views.draw_difference(view, picked)

st.subheader("Every model")
views.draw_planes(view, picked)
views.tell_models(view)
