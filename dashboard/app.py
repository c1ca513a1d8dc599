"""Entry of the dashboard: `streamlit run dashboard/app.py`. Page set-up and navigation."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # streamlit puts only this file's folder on the path

import streamlit as st  # noqa: E402

from dashboard import access, cached, notices  # noqa: E402

ICON = (  # drawn here, because the browser would fetch a named icon from the network
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1f6fb2"/>'
    '<path d="M6 24L16 9l10 15" fill="none" stroke="#fff" stroke-width="3"/>'
    '<circle cx="16" cy="9" r="4" fill="#fff"/></svg>'
)
st.set_page_config(page_title="Hybrid Batch Lab", page_icon=ICON, layout="wide", initial_sidebar_state=330)

st.html(
    "<style>[data-testid=stMainBlockContainer] { padding-top: 2.6rem; max-width: 1240px; }"
    ".st-key-section button { padding: 0.25rem 0.5rem; }"  # the sections of a page stand in one line on a laptop
    ".st-key-section button p { font-size: 0.8rem; }</style>"
)

PAGES = {
    "Results": [
        st.Page("screens/explorer/explorer.py", title="Ratio explorer", icon=":material/tune:", default=True),
        st.Page("screens/pictures/pictures.py", title="Pictures", icon=":material/image:", url_path="pictures"),
        st.Page("screens/pairs/pairs.py", title="Language pairs", icon=":material/grid_on:", url_path="pairs"),
        st.Page("screens/bias/bias.py", title="Language bias", icon=":material/balance:", url_path="bias"),
        st.Page("screens/examples/examples.py", title="Examples", icon=":material/manage_search:", url_path="examples"),
        st.Page("screens/report/report.py", title="Report", icon=":material/description:", url_path="report"),
    ],
    "Literature": [
        st.Page("screens/published/published.py", title="Published", icon=":material/menu_book:", url_path="published"),
        st.Page("screens/clip/clip.py", title="CLIP, observed", icon=":material/image_search:", url_path="clip"),
    ],
    "Work": [
        st.Page("screens/train/train.py", title="Train", icon=":material/model_training:", url_path="train"),
        st.Page(
            "screens/evaluate/evaluate.py", title="Fetch and evaluate", icon=":material/download:", url_path="evaluate"
        ),
        st.Page(
            "screens/exchange/exchange.py", title="Import and export", icon=":material/swap_vert:", url_path="exchange"
        ),
    ],
}

if access.is_shared():
    del PAGES["Work"]
    PAGES["Results"] = [page for page in PAGES["Results"] if page.url_path != "report"]

page = st.navigation(PAGES)
unreadable = cached.unreadable()
notices.show(unreadable)
with notices.guarded(shown=unreadable):
    page.run()
