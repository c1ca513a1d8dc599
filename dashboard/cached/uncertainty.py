"""How sure the numbers are: draws of a sweep's systems, comparisons, the choice of a ratio, intervals of cells."""

from __future__ import annotations

import polars as pl
import streamlit as st

import engine
from dashboard.cached.evaluations import store
from dashboard.names import plain
from engine import significance
from engine.sweeps import kept, picture_answer, uncertainty
from engine.sweeps.results import Family
from engine.sweeps.uncertainty import System

_SYSTEMS = 60  # systems and metrics kept; one takes some megabytes
_FRAMES = 64
_USUAL = ("map", "hit@1")  # always drawn together, so that switching between them costs nothing


@st.cache_resource(max_entries=400, show_spinner=False)
def _sums(key: str, metrics: tuple[str, ...]) -> significance.QuestionSums:
    return uncertainty.evaluation_sums(engine.find_evaluation(store(), key), metrics)


@st.cache_resource(max_entries=_SYSTEMS, show_spinner="Drawing questions anew, 2,000 times ...")
def _drawn(_family: Family, state: str, system: System, metrics: tuple[str, ...]) -> significance.Resampled:
    members = uncertainty.systems(_family)[system]
    return uncertainty.resample_system(members, metrics, sums=lambda one, wanted: _sums(one.key, tuple(wanted)))


def draws(family: Family, metric: str) -> dict[System, significance.Resampled]:
    """Joint draws of a sweep's systems for a metric, mAP, R@1, rank distance and bias."""
    return {system: _of(family, metric, system) for system in uncertainty.systems(family)}


def _of(family: Family, metric: str, system: System) -> significance.Resampled:
    """Draws of one system: the same, whichever others are drawn."""
    return _drawn(family, kept.state(family), system, _with_usual(metric))


def _ratios(family: Family, metric: str) -> dict[System, significance.Resampled]:
    """Draws of the ratios of mixed batches."""
    return {
        system: _of(family, metric, system) for system in uncertainty.systems(family) if system.strategy == "hybrid"
    }


@st.cache_resource(max_entries=16, show_spinner=False)
def _kept(_family: Family, state: str) -> kept.Kept | None:
    return kept.read(_family)


def of_system(family: Family, metric: str, system: System) -> pl.DataFrame:
    """Values of one system with intervals, by cell and setting; frame of `significance.intervals`."""
    return _of_system(family, kept.state(family), metric, system)


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _of_system(_family: Family, state: str, metric: str, system: System) -> pl.DataFrame:
    return significance.intervals(_of(_family, metric, system))


def comparison(family: Family, metric: str, one: System, other: System) -> pl.DataFrame:
    """One system minus another on every cell and setting, tested and corrected; frame of `significance.compare`."""
    return _comparison(family, kept.state(family), metric, one, other)


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _comparison(_family: Family, state: str, metric: str, one: System, other: System) -> pl.DataFrame:
    answers = _kept(_family, state)
    frame = answers.comparison(one, other, metric) if answers else None
    return significance.compare(_of(_family, metric, one), _of(_family, metric, other)) if frame is None else frame


def selection(family: Family, metric: str, measure: str, setting: str) -> pl.DataFrame:
    """Which trained ratio is best in a figure, and how surely; frame of `significance.select`.

    Args:
        family: The sweep.
        metric: The metric that is shown, so that no other need be drawn.
        measure: That metric, "map", "rank_distance" or "bias".
        setting: Of the figure.
    """
    return _selection(family, kept.state(family), metric, measure, setting)


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _selection(_family: Family, state: str, metric: str, measure: str, setting: str) -> pl.DataFrame:
    answers = _kept(_family, state)
    frame = answers.selection(measure, setting) if answers else None
    return uncertainty.choose(_ratios(_family, metric), measure, setting) if frame is None else frame


def answer(family: Family, seeds: int) -> str:
    """What a sweep says, in words; see `engine.sweeps.uncertainty.answer` and `picture_answer`."""
    return _answer(family, kept.state(family), plain(family.collection), seeds)


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _answer(_family: Family, state: str, collection: str, seeds: int) -> str:
    if answers := _kept(_family, state):
        return answers.answer
    return picture_answer.whole_answer(_family, collection, draws(_family, "map"), seeds)


def utility_selection(family: Family, metric: str, weights: dict[str, float]) -> pl.DataFrame:
    """Which trained ratio has the best utility, and how surely; frame of `significance.select`."""
    return _utility_selection(family, kept.state(family), metric, tuple(weights.items()))


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _utility_selection(
    _family: Family, state: str, metric: str, weights: tuple[tuple[str, float], ...]
) -> pl.DataFrame:
    answers = _kept(_family, state)
    frame = answers.selection("utility", None) if answers and dict(weights) == kept.WEIGHTS else None
    if frame is not None:
        return frame
    found = uncertainty.ratios_of(_ratios(_family, metric))
    return significance.select({alpha: significance.utility(one, dict(weights)) for alpha, one in found.items()})


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def intervals(key: str, metric: str) -> pl.DataFrame:
    """A metric's cells and settings of one evaluation with intervals (Wilson's for a cell's hits), and `uncertain`."""
    found = significance.resample({key: [_sums(key, _with_usual(metric))]})[key]
    frame = significance.intervals(found).filter(pl.col("measure") == metric)
    frame = frame.with_columns(low=pl.coalesce("wilson_low", "low"), high=pl.coalesce("wilson_high", "high"))
    return significance.mark_uncertain(frame)


@st.cache_resource(max_entries=_FRAMES, show_spinner="Drawing questions anew, 2,000 times ...")
def compared(key: str, other: str, metric: str) -> pl.DataFrame:
    """One evaluation minus another of the same collection, in one metric; frame of `significance.compare`."""
    found = significance.resample({one: [_sums(one, _with_usual(metric))] for one in (key, other)})
    return significance.compare(found[key], found[other]).filter(pl.col("measure") == metric)


def _with_usual(metric: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*_USUAL, metric]))
