"""Warnings where a number is shown: what may be wrong with the data behind it."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import cached
from dashboard.cached import bias as bias_data
from dashboard.names import plain
from engine.evaluation.notes import missing_cells


def draw(listed: cached.Listed) -> None:
    """Show what may be wrong with the data behind an evaluation: severe things openly, notes on demand."""
    cells = missing_cells(listed.manifest.collection)
    if cells:
        st.caption(plain(cells))
    found = bias_data.alarms(listed, listed.key)
    severe, notes = (found.filter(pl.col("severity") == kind)["message"].to_list() for kind in ("severe", "note"))
    if severe:
        st.warning("\n".join(_items(severe)), icon=":material/warning:")
    if notes:
        name = f"{len(notes)} notes on the data" if len(notes) > 1 else "A note on the data"
        with st.expander(name, icon=":material/info:"):
            st.markdown("\n".join(_items(notes)))


def _items(messages: list[str]) -> list[str]:
    sentences = [plain(f"{message[0].upper()}{message[1:]}.") for message in messages]
    return sentences if len(sentences) == 1 else [f"- {sentence}" for sentence in sentences]
