"""A visitor's own query: a typed text, or a picture from a file, and what is found for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import streamlit as st

from dashboard import access, cached, widgets
from dashboard.names import plain
from engine import Collection
from engine.collections.pictures import PICTURE, Picture, decode

SHOWN = 10


def draw(one: cached.Listed, collection: Collection) -> None:
    """Ask for a query of the visitor's own and draw what an evaluation's encoder finds for it."""
    pictured = PICTURE in collection.languages
    label = "Describe a picture, in any language" if pictured else "Ask your own question, in any language"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(label, key="ask", bind="query-params")
        file = None
        if pictured and not access.is_shared():
            file = st.file_uploader("Or find captions for a picture of yours", key="own-picture", width=340)
    if text.strip():
        found = cached.retrieve(one.key, text, SHOWN, PICTURE if pictured else None)
        _draw_found(one, collection, found, "pictures" if pictured else "candidates")
    if file is not None:
        _draw_captions(one, collection, file.name, file.getvalue())


def _draw_captions(one: cached.Listed, collection: Collection, name: str, content: bytes) -> None:
    """The captions that are found for a file's picture; one line where it is no picture."""
    try:
        decode(content)
    except ValueError as error:
        st.error(f"{plain(name)}: {plain(str(error))}; choose a PNG, JPEG or WebP file")
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "picture"
        place.write_bytes(content)
        picture = Picture(place)
        st.html(widgets.text_in(PICTURE, picture))
        found = cached.retrieve(one.key, picture, SHOWN)
    _draw_found(one, collection, found, "captions")


def _draw_found(one: cached.Listed, collection: Collection, found: pl.DataFrame, kind: str) -> None:
    texts = collection.corpus.texts
    if kind == "pictures":
        widgets.picture_row([(texts[doc], False) for doc in found["doc"]])
    else:
        widgets.passage_list(
            [(row["rank"], row["doc_lang"], row["score"], "", texts[row["doc"]]) for row in found.iter_rows(named=True)]
        )
    of = one.manifest.collection
    counts = {"pictures": of.pictures, "captions": of.pool, "candidates": of.candidates}
    st.caption(
        f"Retrieved live by {plain(one.checkpoint)} from the {counts[kind]:,} {kind} of {plain(one.collection)}."
    )
    st.divider()
