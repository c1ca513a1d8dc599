"""Pieces of the page of pictures: the English share, scores by language, and one caption or picture at both ratios."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import cached, widgets
from dashboard.cached import uncertainty
from dashboard.names import plain
from dashboard.screens.examples import view as examples
from dashboard.screens.explorer.sides import Side
from engine import figures
from engine.collections.pictures import PICTURE
from engine.ranks.metrics import label
from engine.ranks.picture_scores import rows_of
from engine.sweeps import results

SHOWN = 8
"""Pictures or captions that an example shows on each side."""


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
    if side.system is None or side.pairs is None:
        pairs = pl.DataFrame() if side.pairs is None else side.pairs.filter(rows_of("caption-picture"))
        nothing = pl.lit(None, pl.Float64)
        return pairs.select(*keys, pl.col(metric).alias("value"), nothing.alias("low"), nothing.alias("high"))
    cells = uncertainty.of_system(family, metric, side.system)
    wanted = (pl.col("measure") == metric) & (pl.col("setting") == "caption-picture")
    return cells.filter(wanted & pl.col("query_lang").is_not_null()).select(*keys, "value", "low", "high")


def draw_example(chosen: Side, reference: Side) -> None:
    """The first pictures for one caption, or the first captions for one picture, on both sides."""
    listed = {one.key: one for one in cached.evaluations()}
    pair = [listed[side.key] for side in (chosen, reference) if side.key is not None]
    collection = widgets.texts_or_note(*pair) if len(pair) == 2 else None
    if collection is None or not all(map(cached.can_search, pair)):
        return
    with st.container(horizontal=True):
        query_lang = widgets.pick_language("Asked with", collection.languages, key="query")
        texts = examples.texts_of(collection, query_lang)
        found_in = None if query_lang == PICTURE else PICTURE
        changed = cached.most_changed(pair[0].key, pair[1].key, query_lang, found_in)
        question = st.selectbox(
            "Caption (those whose ranks differ most first)", changed, format_func=texts.get, key="changed-caption"
        )
    row = examples.row_of(collection, question, query_lang)
    widgets.question_line(query_lang, collection.queries.texts[row])
    for column, side, one in zip(st.columns(2, gap="medium"), (chosen, reference), pair, strict=True):
        with column:
            nearest = f" (nearest trained: {side.nearest:g})" if side.nearest is not None and side.interpolated else ""
            st.markdown(f"**{plain(side.name)}**{nearest}")
            examples.draw_first(one, collection, question, query_lang, found_in, SHOWN)
