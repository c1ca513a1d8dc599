"""Fetch and evaluate: bring a collection onto this machine, and rank it with an encoder."""

import streamlit as st

from dashboard import access, cached, job_panel
from engine.collections.catalog import COLLECTIONS
from engine.encoders.catalog import ENCODERS
from engine.storage import jobs

st.title("Fetch a collection, evaluate an encoder")
store = cached.store()
fetched = cached.fetched()

st.subheader("1. Collections")
for column, source in zip(st.columns(len(COLLECTIONS), gap="large"), COLLECTIONS.values(), strict=True):
    with column.container(border=True):
        st.markdown(f"**{source.title}**: {source.about}")
        st.caption(
            f"{source.queries:,} queries, {source.candidates:,} candidates, {source.size / 1e6:.0f} MB. "
            f"Licence: [{source.licence}]({source.licence_url}). Cite {source.citation}."
        )
        if source.name in fetched:
            st.markdown(":green[:material/check: fetched and verified]")
            continue
        if st.button(f"Fetch {source.title}", key=f"fetch-{source.name}", type="primary"):
            jobs.start(["fetch", source.name], store, f"fetch {source.title}")
        with st.expander("No network on this machine?"):
            folder = st.text_input(
                "Folder that holds its files", key=f"from-{source.name}", placeholder="/data/xquad-r"
            )
            st.caption(f"The same on the command line: `python -m engine fetch {source.name} --from DIR`")
            if st.button("Copy from there", key=f"copy-{source.name}", disabled=not folder):
                jobs.start(
                    ["fetch", source.name, "--from", str(access.permitted(folder))], store, f"copy {source.title}"
                )

st.subheader("2. Evaluate")
with st.container(border=True):
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    checkpoints = cached.checkpoints()
    encoder = left.selectbox(
        "Encoder",
        [*ENCODERS, *checkpoints],
        format_func=lambda name: checkpoints.get(name, name),
        accept_new_options=True,
        help="A catalog name, a trained checkpoint, or type a model's folder or its id on the Hugging Face Hub.",
        key="evaluate-encoder",
    )
    collection = middle.selectbox(
        "Collection",
        fetched,
        accept_new_options=True,
        placeholder="fetch one above, or type a folder",
        help="A fetched collection, or type the folder of your own (XQuAD-R or BEIR format).",
        key="evaluate-collection",
    )
    every = right.selectbox(
        "How much of it",
        [1, 3, 10],
        format_func=lambda n: "all of it" if n == 1 else f"every {n}. paragraph",
        key="evaluate-every",
    )
    if encoder in ENCODERS:
        st.caption(f"{encoder}: {ENCODERS[encoder].about}. {ENCODERS[encoder].licence}.")
    if collection in COLLECTIONS:
        st.caption(cached.time_estimate(collection, every))
    if st.button("Evaluate", type="primary", key="evaluate", disabled=not (encoder and collection)):
        names = access.check_name(encoder), access.check_name(collection)
        command = ["evaluate", "--encoder", names[0], "--collection", names[1]]
        command += ["--every", str(every)] if every > 1 else []
        part = f", every {every}. paragraph" if every > 1 else ""
        jobs.start(command, store, f"evaluate {checkpoints.get(encoder, encoder)} on {collection}{part}")

job_panel.draw(("fetch", "evaluate"))
