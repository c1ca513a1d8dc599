"""Pieces of the page of language pairs: one checkpoint's answer, or two checkpoints compared."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from dashboard import cached
from dashboard.cached import uncertainty
from dashboard.names import plain
from engine import Summary, figures
from engine.collections.languages import language
from engine.ranks.metrics import label
from engine.significance import TOO_WIDE
from engine.sweeps.prose import p_value, told_apart

NOBODY = "nothing"


def pick_other(one: cached.Listed) -> cached.Listed | None:
    """Pick another checkpoint, evaluated on the same collection, to compare with; None for none."""
    on = one.manifest.collection.digest
    others = {
        listed.checkpoint: listed
        for listed in cached.evaluations()
        if listed.manifest.collection.digest == on and listed.key != one.key
    }
    with st.sidebar:
        name = st.selectbox("Compare with", [NOBODY, *others], key="compare", bind="query-params")
    return others.get(name)


def answer(one: cached.Listed, summary: Summary, metric: str) -> str:
    """How well the checkpoint finds passages within and across languages, and its weakest pair."""
    cross = summary.pairs.filter(pl.col("query_lang") != pl.col("doc_lang"))
    if cross.is_empty():
        return f"{plain(one.collection)} has no cross-lingual pair."
    means = [summary.value(setting, metric) for setting in ("mono", "cross")]
    if None in means:
        return "Some language pairs have no query, so no mean is shown over the others."
    sure = uncertainty.intervals(one.key, metric)
    within, across = (
        f"**{mean:.2f}**{_interval(sure, setting)}" for mean, setting in zip(means, ("mono", "cross"), strict=True)
    )
    worst = cross.sort(metric).row(0, named=True)
    return (
        f"Within one language **{plain(one.checkpoint)}** reaches {label(metric)} {within}, across languages {across}: "
        f"{cross.height} pairs of {plain(one.collection)}. Weakest: {language(worst['query_lang']).name} → "
        f"{language(worst['doc_lang']).name}, {worst[metric]:.2f}."
    )


def heatmap(one: cached.Listed, pairs: pl.DataFrame, metric: str, codes: list[str]) -> go.Figure:
    """Scores of every pair, with the interval of each in the hover."""
    return figures.pair_heatmap(pairs, metric, codes, intervals=cells(uncertainty.intervals(one.key, metric)))


def doubt(one: cached.Listed, metric: str) -> str:
    """What the brackets around some cells mean; empty where there are none."""
    count = cells(uncertainty.intervals(one.key, metric)).filter("uncertain").height
    return f"In brackets ({count}): 95 % interval wider than {100 * TOO_WIDE:.0f} points." if count else ""


def cells(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of pairs, of a frame of intervals or tests."""
    return frame.filter(pl.col("doc_lang").is_not_null())


def compared_answer(one: cached.Listed, other: cached.Listed, found: pl.DataFrame, metric: str) -> str:
    """How the means of the settings differ between two checkpoints, and what the test says."""
    parts = []
    for setting in ("mono", "cross", "multi"):
        row = found.filter((pl.col("setting") == setting) & pl.col("query_lang").is_null()).row(0, named=True)
        if row["low"] is None or row["p"] is None:
            parts.append(f"{setting}: too few questions to say")
            continue
        ends = f"95 % interval {100 * row['low']:+.1f} to {100 * row['high']:+.1f}, {p_value(row['p'])}"
        verdict = "" if told_apart(row["p"], row["low"], row["high"]) else ", not significant"
        parts.append(f"{setting} **{100 * row['difference']:+.1f} points** ({ends}{verdict})")
    return (
        f"**{plain(one.checkpoint)}** minus **{plain(other.checkpoint)}**, {label(metric)} "
        f"on {plain(one.collection)}: {'; '.join(parts)}."
    )


def pick_pair(codes: list[str]) -> tuple[str, str] | None:
    """Pick a pair by name, as a click on its cell does; None until the button is pressed."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        query_lang, doc_lang = (
            st.selectbox(title, codes, format_func=figures.name_of, key=key, width=220)
            for title, key in (("Query language", "pair-query"), ("Document language", "pair-document"))
        )
        asked = st.button("Show this pair's examples", key="pair-examples", icon=":material/manage_search:")
    return (query_lang, doc_lang) if asked else None


def address_of(one: cached.Listed, query_lang: str, doc_lang: str) -> dict[str, str]:
    """Query parameters that open the examples of a pair.

    What a widget of this page holds cannot be set in an address, so the evaluation goes by its key.
    """
    languages = {"query": figures.name_of(query_lang), "document": figures.name_of(doc_lang)}
    return {"evaluation": one.key} | languages


def tables(one: cached.Listed, summary: Summary, metric: str) -> None:
    """Means of the settings in many metrics, and every pair with its interval."""
    shown = ["map", "hit@1", "hit@10", "mrr", "ndcg@10", "recall@10", "recall@100"]
    names = {name: label(name) for name in summary.pairs.columns[3:]}
    st.dataframe(summary.settings.select("setting", "cells", "expected", *shown).rename(names, strict=False))
    sure = cells(uncertainty.intervals(one.key, metric)).select(
        "query_lang", "doc_lang", pl.col("low").alias("from"), pl.col("high").alias("to"), "uncertain"
    )
    frame = summary.pairs.join(sure, on=["query_lang", "doc_lang"], how="left")
    first = ["query_lang", "doc_lang", "queries", metric, "from", "to", "uncertain"]
    st.dataframe(frame.select(*first, pl.exclude(first)).rename(names), height=300)


def _interval(sure: pl.DataFrame, setting: str) -> str:
    wanted = (pl.col("setting") == setting) & pl.col("query_lang").is_null()
    row = sure.filter(wanted).row(0, named=True)
    return "" if row["low"] is None else f" (95 % interval {row['low']:.2f} to {row['high']:.2f})"
