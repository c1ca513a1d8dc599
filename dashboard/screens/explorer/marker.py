"""The chosen ratio as a band behind the curves: moved by a number in the page's style, so that no chart is redrawn."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from dashboard.cached.curves import LEFT, RIGHT, SPAN

_WIDTH = 6  # pixels
_BELOW = 65  # pixels of the ticks and the title of the axis of alpha


def draw(alpha: float, curves: dict[str, go.Figure]) -> None:
    """Mark a ratio on curves.

    Args:
        alpha: The ratio.
        curves: Figures of `cached.curves` by the keys of their charts, which begin with "curve-".
    """
    tops = "".join(f".st-key-{key} {{ --top: {figure.layout.margin.t}px }}" for key, figure in curves.items())
    st.html(f"<style>{_BAND}{tops}</style>")
    st.html(f"<style>:root {{ --alpha: {alpha:g} }}</style>")


_BAND = f"""
[class*=st-key-curve-] {{ position: relative; }}
[class*=st-key-curve-]::before {{
  content: ""; position: absolute; top: var(--top, 10px); bottom: {_BELOW}px; width: {_WIDTH}px;
  background: rgba(138, 143, 152, 0.35);
  left: calc({LEFT - _WIDTH / 2:g}px + (100% - {LEFT + RIGHT}px) * (var(--alpha) - {SPAN[0]}) / {SPAN[1] - SPAN[0]:g});
}}
"""
