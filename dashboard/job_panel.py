"""The panel of background runs: what is going on, with progress, log, and ways to stop, resume and forget."""

from __future__ import annotations

import time

import polars as pl
import streamlit as st

from dashboard import cached, widgets
from dashboard.names import plain
from engine import figures
from engine.storage import jobs

_ICONS = {
    "running": ":material/progress_activity:",
    "finished": ":green[:material/check_circle:]",
    "failed": ":red[:material/error:]",
    "stopped": ":orange[:material/stop_circle:]",
}


def draw(kinds: tuple[str, ...]) -> None:
    """Draw the runs of some commands; while one is running, the panel looks again every second.

    Args:
        kinds: Commands of the engine, such as "evaluate".
    """
    st.subheader("Runs")
    going = any(run.state == "running" for run in _of(kinds))
    st.fragment(_panel, run_every=1.0 if going else None)(kinds, going)


def _panel(kinds: tuple[str, ...], going: bool) -> None:
    found = _of(kinds)
    if going and not any(run.state == "running" for run in found):
        st.rerun(scope="app")  # something has ended: the rest of the page shows more now
    if not found:
        st.caption("Nothing has been started from here yet.")
    for run in found:
        with st.container(border=True):
            _draw_run(run)


def draw_losses(kinds: tuple[str, ...]) -> None:
    """Draw the training losses of the latest run of some commands, as it comes along."""
    going = any(run.state == "running" for run in _of(kinds))
    st.fragment(_losses, run_every=2.0 if going else None)(kinds)


def _losses(kinds: tuple[str, ...]) -> None:
    watched = cached.latest_losses(kinds)
    if watched:
        st.subheader("Loss of the latest run")
        st.plotly_chart(figures.loss_curves(pl.DataFrame(watched)), key="losses", config=widgets.CHART)


def _of(kinds: tuple[str, ...]) -> list[jobs.Run]:
    return [run for run in jobs.all_runs(cached.store()) if run.arguments[:1] and run.arguments[0] in kinds]


def _draw_run(run: jobs.Run) -> None:
    title, actions = st.columns([5, 2], vertical_alignment="center")
    when = time.strftime("%d %b %H:%M", time.localtime(run.started))
    title.markdown(f"{_ICONS[run.state]} **{plain(run.title)}**  \n{run.state}, started {when}")
    with actions.container(horizontal=True, horizontal_alignment="right"):
        if run.state == "running":
            st.button("Stop", key=f"stop-{run.key}", on_click=jobs.stop, args=(cached.store(), run.key))
        else:
            if run.state in ("failed", "stopped"):
                st.button("Resume", key=f"resume-{run.key}", on_click=_resume, args=(run,))
            st.button("Forget", key=f"forget-{run.key}", on_click=jobs.delete, args=(cached.store(), run.key))
    if run.state == "running":
        step = f"{run.stage} {100 * run.fraction:.0f} %{_left(run.seconds_left)}"
        st.progress(run.done, text=plain(f"{run.overall}; now {step}" if run.overall else step))
    if run.message:
        st.error(plain(run.message))
    if run.state in ("failed", "stopped") and (log := jobs.log_tail(cached.store(), run.key)):
        with st.expander("Log"):
            st.code(log, language=None)


def _resume(run: jobs.Run) -> None:
    jobs.start(run.arguments, cached.store(), run.title)


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {seconds:.0f} s left"
