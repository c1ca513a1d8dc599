"""Pieces of the report page: what is asked for, the preview, and the command that writes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from dashboard import access
from dashboard.cached import report as data
from dashboard.names import file_name, plain, verbatim
from engine import InputError
from engine.figures.publication import INCHES, POINTS, Layout
from engine.ranks import metrics
from engine.report import FORMATS, PARTS, UNTRAINED, Request, as_arguments, zip_of
from engine.report.render.html import as_html
from engine.sweeps import results

_PARTS = {
    "curves": "curves against alpha",
    "heatmaps": "language pairs",
    "difference": "their differences",
    "bias": "language bias",
    "examples": "examples",
    "tables": "tables",
}
_STYLE = """<style>
.scroll { overflow-x: auto; } .numbers { border-collapse: collapse; font-size: 0.85rem; }
.numbers th, .numbers td { padding: 3px 9px; text-align: right; white-space: nowrap; font-weight: 400; }
.numbers th:first-child { text-align: left; } .numbers small { opacity: 0.7; }
.numbers thead th { border-top: 2px solid; border-bottom: 1px solid; white-space: normal; }
.numbers tr.rule > * { border-top: 1px solid rgba(128, 128, 128, 0.5); }
.numbers caption { caption-side: bottom; text-align: left; opacity: 0.75; padding-top: 6px; }
</style>"""


def ask(family: results.Family) -> Request | None:
    """What the report is to hold; None until enough is chosen."""
    trained = results.curve(results.points(family), "multi_map")["alpha"].to_list()
    best = results.curve(results.points(family), "multi_map").sort("mean", descending=True)["alpha"].to_list()[:1]
    with st.container(border=True):
        parts = st.pills(
            "What it holds", PARTS, selection_mode="multi", default=PARTS, format_func=_PARTS.get, key="report-parts"
        )
        first, second, third = st.columns(3)
        metric = first.selectbox("Metric", metrics.METRICS, format_func=metrics.label, key="report-metric")
        shown = second.multiselect(
            "Ratios in detail", trained, default=sorted({trained[0], *best, trained[-1]}), key="report-alphas"
        )
        against = ([UNTRAINED] if family.base is not None else []) + trained
        reference = third.selectbox("Compared with", against, format_func=_name, key="report-reference")
        first, second, third = st.columns([2, 2, 5])
        width = first.segmented_control(
            "Width of figures",
            list(INCHES),
            default="column",
            required=True,
            key="report-width",
            help=" ".join(f"{name}: {INCHES[name]} inches, {POINTS[name]:g} points." for name in INCHES),
        )
        font = second.segmented_control("Font", ["serif", "sans"], default="serif", required=True, key="report-font")
        formats = third.pills("Formats", FORMATS, selection_mode="multi", default=FORMATS, key="report-formats")
    if not (parts and shown and formats):
        st.info("Choose at least one part, one ratio and one format.")
        return None
    return Request(metric, tuple(shown), reference, tuple(parts), tuple(formats), Layout(width, font))


def _name(reference: str | float) -> str:
    return "the untrained encoder" if reference == UNTRAINED else f"alpha = {reference:g}"


def draw_preview(family: results.Family, request: Request) -> None:
    """Figures at the size and in the type of print, and tables, a part at a time."""
    part = st.segmented_control(
        "Part", request.parts, default=request.parts[0], required=True, format_func=_PARTS.get, key="report-part"
    )
    pictures, tables = data.preview(family, replace(request, parts=(part,)))
    named = {one.name: one for one in (*pictures, *tables)}
    if not named:
        st.info("Nothing to show: the collection's texts cannot be read here any more. Fetch it again.")
        return
    one = named[st.selectbox("Figure or table", list(named), key="report-preview")]
    if one in tables:
        st.html(_STYLE + as_html(one))
        return
    figure = one.printed(request.layout)
    with st.container(width=figure.layout.width + 34, border=True):
        config = {"displayModeBar": False, "staticPlot": True}
        st.plotly_chart(figure, theme=None, width="content", key="report-figure", config=config)
    st.caption(f"At its size in print, {INCHES[request.layout.width]} inches wide. {plain(one.caption)}")


def command(family: results.Family, request: Request) -> list[str] | None:
    """The engine's command that writes the report; None while its place is taken."""
    name = f"{file_name(family.collection)}-{family.key[:8]}"
    place = st.text_input("New folder on this machine", str(Path.cwd() / "reports" / name), key="report-folder")
    try:
        folder = access.permitted(place)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    taken = (folder.is_dir() and any(folder.iterdir())) or zip_of(folder).exists()
    replaced = taken and st.checkbox("It exists already: replace it", key="report-force")
    if not place.strip() or (taken and not replaced):
        return None
    arguments = as_arguments(family, request, folder)
    return [*arguments, "--zip", *(["--force"] if replaced else [])]


def offer_downloads() -> None:
    """Zips of the reports that were written from here."""
    for path in data.written():
        label = f"{plain(path.name)} ({path.stat().st_size / 1e6:.1f} MB)"
        st.download_button(
            label,
            path.read_bytes if path.is_file() else b"",
            file_name=path.name,
            mime="application/zip",
            icon=":material/download:",
            key=f"download-{path}",
            on_click="ignore",
        )
        st.caption(f"The same as a folder: {verbatim(str(path.with_suffix('')))}")
