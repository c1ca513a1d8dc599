"""How sure the numbers are: draws of a sweep's systems, comparisons, the choice of a ratio, intervals of cells."""

from __future__ import annotations

import polars as pl
import streamlit as st

import engine
from dashboard.cached.evaluations import store
from engine import significance
from engine.sweeps import uncertainty
from engine.sweeps.results import Family
from engine.sweeps.uncertainty import System

_SWEEPS = 6  # sweeps and metrics kept; one takes some tens of megabytes
_FRAMES = 64
_USUAL = ("map", "hit@1")  # always drawn together, so that switching between them costs nothing


@st.cache_resource(max_entries=400, show_spinner=False)
def _sums(key: str, metrics: tuple[str, ...]) -> significance.QuestionSums:
    return uncertainty.evaluation_sums(engine.find_evaluation(store(), key), metrics)


@st.cache_resource(max_entries=_SWEEPS, show_spinner="Drawing questions anew, 2,000 times ...")
def _draws(_family: Family, state: tuple[str, ...], metrics: tuple[str, ...]) -> dict[System, significance.Resampled]:
    return uncertainty.resample_family(_family, metrics, sums=lambda one, wanted: _sums(one.key, tuple(wanted)))


def draws(family: Family, metric: str) -> dict[System, significance.Resampled]:
    """Joint draws of a sweep's systems for a metric, mAP, R@1, rank distance and bias."""
    return _draws(family, _state(family), _with_usual(metric))


def comparison(family: Family, metric: str, one: System, other: System) -> pl.DataFrame:
    """One system minus another on every cell and setting, tested and corrected; frame of `significance.compare`."""
    return _comparison(family, _state(family), metric, one, other)


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _comparison(_family: Family, state: tuple[str, ...], metric: str, one: System, other: System) -> pl.DataFrame:
    found = draws(_family, metric)
    return significance.compare(found[one], found[other])


def selection(family: Family, metric: str, measure: str, setting: str) -> pl.DataFrame:
    """Which trained ratio is best in a figure, and how surely; frame of `significance.select`.

    Args:
        family: The sweep.
        metric: The metric that is shown, so that no other need be drawn.
        measure: That metric, "map", "rank_distance" or "bias".
        setting: Of the figure.
    """
    return _selection(family, _state(family), metric, measure, setting)


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _selection(_family: Family, state: tuple[str, ...], metric: str, measure: str, setting: str) -> pl.DataFrame:
    return uncertainty.choose(draws(_family, metric), measure, setting)


def answer(family: Family, seeds: int) -> str:
    """What a sweep says, in words; see `engine.sweeps.uncertainty.answer`."""
    return _answer(family, _state(family), family.collection, seeds)


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _answer(_family: Family, state: tuple[str, ...], collection: str, seeds: int) -> str:
    return uncertainty.answer(collection, draws(_family, "map"), seeds)


def utility_selection(family: Family, metric: str, weights: dict[str, float]) -> pl.DataFrame:
    """Which trained ratio has the best utility, and how surely; frame of `significance.select`."""
    return _utility_selection(family, _state(family), metric, tuple(weights.items()))


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _utility_selection(
    _family: Family, state: tuple[str, ...], metric: str, weights: tuple[tuple[str, float], ...]
) -> pl.DataFrame:
    found = uncertainty.ratios_of(draws(_family, metric))
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


def _state(family: Family) -> tuple[str, ...]:
    """What a sweep consists of now: small and hashable."""
    members = [family.base] if family.base else []
    return tuple(sorted(one.key for one in [*members, *(evaluation for _, evaluation in family.evaluations)]))


def _with_usual(metric: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*_USUAL, metric]))
