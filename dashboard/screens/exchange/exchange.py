"""Import and export: results from elsewhere in, ours out in the formats of the field."""

import streamlit as st

from dashboard import access, cached, widgets
from dashboard.cached import exchange
from dashboard.names import file_name, plain
from engine import figures
from engine.exchange import FORMATS
from engine.ranks.metrics import label
from engine.ranks.pairs import language_order

st.title("Bring results in, take results out")

st.subheader("1. Import")
with st.container(border=True):
    st.markdown(
        "A **TREC run** over all languages with its judgements, and with the language map or the collection that it "
        "searched; a **frame of ranks**; **MTEB results**; or a zip archive of these. What a file is, is seen from its "
        "content. Choose files that belong together in one go."
    )
    files = st.file_uploader("Files", accept_multiple_files=True, key="import-files")
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    path = left.text_input("or a file or folder on this machine", key="import-path", placeholder="/data/runs/mine.run")
    collection = middle.selectbox(
        "Collection that was searched",
        cached.fetched(),
        index=None,
        accept_new_options=True,
        placeholder="what the files say",
        help="A fetched collection, or type the folder of your own. Its texts are then shown with the results.",
        key="import-collection",
    )
    name = right.text_input("What to call it", key="import-name", placeholder="what the files say")
    if st.button("Import", type="primary", key="import", disabled=not (files or path)):
        given = (access.check_name(collection) if collection else None, name or None)
        contents = [(file.name, file.getvalue()) for file in files]
        outcome = (
            exchange.bring(contents, *given) if files else exchange.bring_from(str(access.permitted(path)), *given)
        )
        for imported in outcome.imported:
            state = "Imported" if imported.new else "Already there"
            lines = [f"{state}: {imported.title}", *imported.notes]
            st.success("  \n".join(map(plain, lines)), icon=":material/check:")
        for fault in outcome.faults:
            st.error(plain(fault), icon=":material/error:")
        for note in outcome.notes:
            st.info(plain(note), icon=":material/info:")
        if any(imported.kind == "evaluation" for imported in outcome.imported):
            st.page_link("screens/pairs/pairs.py", label="Language pairs", icon=":material/grid_on:")

results = exchange.imported()
if results:
    with st.expander("Imported MTEB results"):
        pairs = results[st.selectbox("Result", list(results), key="result")]
        measure = st.selectbox("Measure", pairs.columns[6:10], key="measure", format_func=label)
        figure = figures.pair_heatmap(pairs, measure, language_order(pairs, measure, "name"))
        st.plotly_chart(figure, key="imported", config=widgets.CHART)
        st.page_link("screens/published/published.py", label="Beside published results", icon=":material/menu_book:")

st.subheader("2. Export")
evaluations = {f"{one.checkpoint} on {one.collection}": one for one in reversed(cached.evaluations())}
if not evaluations:
    st.info("Nothing is evaluated yet, so there is nothing to take out.")
    st.page_link("screens/evaluate/evaluate.py", label="Fetch and evaluate", icon=":material/download:")
    st.stop()
with st.container(border=True):
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    one = evaluations[left.selectbox("Evaluation", list(evaluations), key="export-evaluation")]
    allowed = exchange.formats_of(one)
    chosen = right.pills("Formats", allowed, selection_mode="multi", default=allowed[:1], key="export-formats")
    for name in chosen:
        st.caption(f"**{name}**: {FORMATS[name]}.")
    if "trec" in chosen:
        st.caption(f"Each list of a TREC run holds at most {one.manifest.top_k:,} passages.")
    st.download_button(
        "Download as zip",
        lambda: exchange.zipped(one.key, chosen),
        file_name=f"{file_name(one.collection)}-{one.key[:8]}.zip",
        mime="application/zip",
        key="export",
        disabled=not chosen,
    )

checkpoints = cached.checkpoints()
if checkpoints:
    with st.container(border=True):
        left, right = st.columns([3, 2], vertical_alignment="bottom")
        key = left.selectbox("Checkpoint", list(checkpoints), format_func=checkpoints.get, key="export-checkpoint")
        folder = right.text_input("New folder on this machine", key="export-folder", placeholder="/data/my-checkpoint")
        st.caption(
            "An ordinary sentence-transformers folder, with a model card that lists its recipe, data and results."
        )
        if st.button("Write the checkpoint", key="write-checkpoint", disabled=not folder):
            count = exchange.write_checkpoint(key, str(access.permitted(folder)))
            st.success(f"{count} files written to {plain(folder)}", icon=":material/check:")
