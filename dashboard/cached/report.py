"""Reports: what they would hold, as a preview, and those that have been written from here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.cached import uncertainty
from dashboard.cached.evaluations import changed_at, store
from engine import report
from engine.report import Picture, Request
from engine.report.tables import Table
from engine.storage import jobs
from engine.sweeps.results import Family

_KEPT = 16  # previews kept for switching back and forth


def preview(family: Family, request: Request) -> tuple[list[Picture], list[Table]]:
    """Figures and tables of the parts that are asked for, as `engine.report.preview` gives them."""
    return _preview(family, family.key, changed_at(store().root / "ranks"), request, repr(request))


@st.cache_resource(max_entries=_KEPT, show_spinner="Drawing ...")
def _preview(
    _family: Family, key: str, changed: int, _request: Request, asked: str
) -> tuple[list[Picture], list[Table]]:
    found = report.gather(_family, _request, draws=uncertainty.draws(_family, _request.metric))
    return report.preview(found, store())


def written() -> list[Path]:
    """Zips of the reports that were written from here and are still there, the latest first."""
    zips = []
    for run in jobs.all_runs(store()):
        if run.state == "finished" and run.arguments[0] == "report" and "--out" in run.arguments:
            zips.append(report.zip_of(Path(run.arguments[run.arguments.index("--out") + 1])))
    return [path for path in dict.fromkeys(zips) if path.is_file()]
