"""Pictures as the pages show them: small, made when first shown."""

from __future__ import annotations

import base64
import io

import streamlit as st

from engine import InputError
from engine.collections.pictures import Picture

SIDE = 72
"""Pixels of a thumbnail's longer side."""


def thumbnail(picture: Picture) -> str | None:
    """A picture as a small PNG in a data address; None if it cannot be read any more."""
    return _thumbnail(str(picture), picture)


@st.cache_data(max_entries=4000, show_spinner=False)
def _thumbnail(content: str, _picture: Picture) -> str | None:
    try:
        small = _picture.open()
    except InputError:
        return None
    small.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
