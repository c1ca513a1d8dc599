"""Entry of the dashboard: `streamlit run dashboard/app.py`. Page set-up and navigation."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # streamlit puts only this file's folder on the path

import streamlit as st  # noqa: E402

from engine import EngineError  # noqa: E402

st.set_page_config(page_title="Hybrid Batch Lab", page_icon=":material/balance:", layout="wide")

st.html("<style>[data-testid=stMainBlockContainer] { padding-top: 2.6rem; max-width: 1240px; }</style>")

PAGES = {
    "Results": [
        st.Page("app_pages/explorer.py", title="Ratio explorer", icon=":material/tune:", default=True),
        st.Page("app_pages/pairs.py", title="Language pairs", icon=":material/grid_on:", url_path="pairs"),
        st.Page("app_pages/bias.py", title="Language bias", icon=":material/balance:", url_path="bias"),
        st.Page("app_pages/examples.py", title="Examples", icon=":material/manage_search:", url_path="examples"),
    ],
    "Work": [
        st.Page("app_pages/train.py", title="Train", icon=":material/model_training:", url_path="train"),
        st.Page("app_pages/evaluate.py", title="Fetch and evaluate", icon=":material/download:", url_path="evaluate"),
    ],
}

page = st.navigation(PAGES)
try:
    page.run()
except EngineError as error:
    st.error(str(error), icon=":material/error:")
