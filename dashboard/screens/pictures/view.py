"""Pieces of the page of pictures: the English share, and scores by language."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import cached, widgets
from dashboard.cached import uncertainty
from dashboard.screens.explorer.sides import Side
from engine import figures
from engine.ranks.metrics import label
from engine.ranks.picture_scores import rows_of
from engine.sweeps import results


def pick_share(family: results.Family) -> results.Family:
    """Pick one of the sweeps that differ from a sweep in the English share alone; the sweep itself if it is alone."""
    shares = results.by_english_share(family, cached.families())
    if len(shares) < 2:
        return family
    names = {"in proportion" if share is None else f"{share:g}": one for share, one in shares.items()}
    own = next(name for name, one in names.items() if one.key == family.key)
    name = st.select_slider(
        "English share: probability that a caption is drawn from the English ones",
        list(names),
        own,
        key="english-share",
        bind="query-params",
        width=420,
    )
    return names[name]


def draw_languages(family: results.Family, chosen: Side, reference: Side, metric: str) -> None:
    """How often captions of each language find their picture, at the ratio and at the reference."""
    sides = [side for side in (chosen, reference) if side.pairs is not None]
    if not sides:
        st.info("This ratio is outside the trained ones; train it to see its languages.")
        return
    scores = pl.concat(_by_language(family, side, metric) for side in sides)
    figure = figures.language_points(scores, list(dict.fromkeys(side.name for side in sides)), label(metric))
    st.plotly_chart(figure, key="languages", config=widgets.CHART)
    st.caption(
        "Languages in the order of the chosen ratio’s score. Bars: 95 % intervals over pictures and seeds, where the "
        "ratio is trained. Where two bars overlap, the difference may still be significant: the pictures are the same."
    )


def _by_language(family: results.Family, side: Side, metric: str) -> pl.DataFrame:
    """A side's scores of captions that find pictures, with intervals where they are measured."""
    keys = [pl.lit(side.name).alias("system"), pl.col("query_lang").alias("language")]
    if side.system is None:
        pairs, nothing = side.pairs.filter(rows_of("caption-picture")), pl.lit(None, pl.Float64)
        return pairs.select(*keys, pl.col(metric).alias("value"), nothing.alias("low"), nothing.alias("high"))
    cells = uncertainty.of_system(family, metric, side.system)
    wanted = (pl.col("measure") == metric) & (pl.col("setting") == "caption-picture")
    return cells.filter(wanted & pl.col("query_lang").is_not_null()).select(*keys, "value", "low", "high")
