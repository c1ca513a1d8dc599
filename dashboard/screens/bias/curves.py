"""The bias page's section on the ratio: every measure against alpha, and whether its ends differ."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import access, cached, widgets
from dashboard.cached import bias as bias_data
from dashboard.names import plain
from dashboard.screens.bias import view as bias
from engine import figures
from engine.bias import DIRECTIONS, MEASURES, RANK_MEASURES
from engine.sweeps import prose
from engine.sweeps.results import Family


def draw(one: cached.Listed, k: int) -> None:
    """What does the ratio do to each measure?"""
    found = [family for family in cached.families() if family.collection == one.collection]
    if not found:
        st.info(f"No sweep over ratios is evaluated on {plain(one.collection)} yet.")
        access.link("screens/train/train.py", label="Train ratios", icon=":material/model_training:")
        return
    names = cached.family_names(found)
    family: Family = names[
        st.selectbox("Sweep", list(reversed(names)), key="bias-sweep", bind="query-params", width=420)
    ]
    curves = bias_data.curves(family)
    if curves["alpha"].n_unique() < 2:
        st.info("This sweep has one ratio only: no curve.")
        return
    low, high = curves["alpha"].min(), curves["alpha"].max()
    st.markdown(ends(bias_data.compared(family, high, low), low, high))
    base = bias_data.measures_of(family.base) if family.base else {}
    judged = [name for name in RANK_MEASURES if MEASURES[name].direction != "neither"]
    shown = [name for name in judged if curves.filter(pl.col("measure") == name)["value"].count()]
    for start in range(0, len(shown), 3):
        for column, name in zip(st.columns(3, gap="medium"), shown[start : start + 3], strict=False):
            with column:
                st.markdown(f"**{bias.label(name, k)}**  \n:small[{DIRECTIONS[MEASURES[name].direction]}]")
                st.plotly_chart(
                    figures.measure_curve(curves, name, base=base.get(name)), key=f"curve-{name}", config=widgets.CHART
                )
    st.caption(
        "Means over seeds with 95 % intervals over questions, and over seeds where there are three or more. They may "
        "overlap where ratios differ surely, since all ratios answer the same easy and hard questions; the test above "
        "is of paired differences."
    )
    bias.explain(*shown, k=k)


def ends(tests: pl.DataFrame, low: float, high: float) -> str:
    """Whether the highest ratio is more biased than the lowest, in a sentence that claims no more than the tests do.

    Args:
        tests: Frame of `bias.compare_systems`: the highest ratio against the lowest.
        low: The lowest ratio.
        high: The highest ratio.
    """
    significant = [
        row for row in tests.iter_rows(named=True) if prose.told_apart(row["p_holm"], row["low"], row["high"])
    ]
    more, less = (sum(row["more"] is kind for row in significant) for kind in (True, False))
    distance = tests.filter(pl.col("measure") == "rank_distance").row(0, named=True)
    write = MEASURES["rank_distance"].write
    gap = f"{write(distance['other'])} against {write(distance['one'])}; difference {write(distance['difference'])}"
    if distance["low"] is not None:
        gap += f" ({write(distance['low'])} to {write(distance['high'])}), {prose.p_value(distance['p'])}"
    return (
        f"Of {tests.height} measures, **{more}** show alpha = {high:g} as more biased than alpha = {low:g}, **{less}** "
        f"as less biased, and {tests.height - more - less} find no significant difference in bias (5 % level, Holm's "
        f"correction). Rank distance: {gap}."
    )
