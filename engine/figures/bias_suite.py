"""Figures of the bias suite: all measures beside a random ranking, outcomes, document languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from engine.bias import DIRECTIONS, MEASURES, OUTCOMES
from engine.figures.style import ACCENT, GREY, INK, error_bars, finish, name_of
from engine.sweeps.prose import LEVEL, p_value

LIGHT_INK = "#8fc1e6"
OUTCOME_STYLE = {
    "first_right_own": ("right, the query's language", INK),
    "first_right_other": ("right, another language", LIGHT_INK),
    "first_wrong_own": ("wrong, the query's language", ACCENT),
    "first_wrong_other": ("wrong, another language", GREY),
}
"""What each outcome is called, and its colour."""

_ROW = 56  # pixels of a measure
_SMALL = '<span style="font-size:11px">{}</span>'
_SHARES = {"bias", "own_share", "document_effect", "rank_correlation", "one_target_gap", *OUTCOMES}
"""Measures whose axis reaches to 1."""


def measure_forest(measures: pl.DataFrame, k: int) -> go.Figure:
    """Measures, each on an axis of its own: value and interval, and where a language-blind random ranking stands.

    Those that describe and do not judge are left out.

    Args:
        measures: Frame of `bias.Suite.measures`, or some of its rows.
        k: How many of the first places count.
    """
    info = _get_forest_info(measures, k)
    figure = make_subplots(rows=max(1, len(info)), cols=1, vertical_spacing=0)
    for place, row in enumerate(info, start=1):
        _add_measure(figure, row, place)
    finish(figure, height=20 + _ROW * len(info), legend=False)
    return figure.update_layout(margin={"l": 240, "r": 130})


@dataclass(frozen=True, slots=True)
class _MeasureInfo:
    """A row of the forest.

    Attributes:
        left: What the measure is called and which way is less biased, two lines.
        right: Its value and its interval, two lines.
        hover: All of it.
        value: Where its mark stands.
        interval: Where its bar begins and ends; the value twice if there is no interval.
        random: Where a random ranking's mark stands, and its text; None if it is not known.
        axis: Ends of its axis.
    """

    left: str
    right: str
    hover: str
    value: float
    interval: tuple[float, float]
    random: tuple[float, str] | None
    axis: tuple[float, float]


def _get_forest_info(measures: pl.DataFrame, k: int) -> list[_MeasureInfo]:
    rows = measures.drop_nulls("value").to_dicts()
    return [_get_measure_info(row, k) for row in rows if MEASURES[row["measure"]].direction != "neither"]


def _get_measure_info(row: dict[str, Any], k: int) -> _MeasureInfo:
    measure, value, random = MEASURES[row["measure"]], row["value"], row["random"]
    low, high = (value if row[end] is None else row[end] for end in ("low", "high"))
    ends = [0.0, 1.0 if measure.name in _SHARES else 0.0, low, high, value if random is None else random]
    room = 0.03 * (max(ends) - min(ends)) or 1.0
    interval = f"{measure.write(low)} to {measure.write(high)}"
    label = measure.label.replace("top k", f"top {k}")
    return _MeasureInfo(
        f"{label}<br>{_SMALL.format(DIRECTIONS[measure.direction])}",
        f"<b>{measure.write(value)}</b><br>{_SMALL.format(interval)}",
        f"{label}<br>{measure.write(value)}, 95 % interval {interval}<br>random ranking {measure.write(random)}",
        value,
        (low, high),
        None if random is None else (random, measure.write(random)),
        (min(ends) - room, max(ends) + room),
    )


def _add_measure(figure: go.Figure, info: _MeasureInfo, place: int) -> None:
    """Draw one row of the forest."""
    at = {"row": place, "col": 1}
    for xs, mode, style in (
        (info.interval, "lines", {"line": {"color": INK, "width": 6}}),
        ([info.random[0] if info.random else None], "markers", {"marker": _mark("line-ns-open", ACCENT, 20)}),
        ([info.value], "markers", {"marker": _mark("circle", INK, 10)}),
    ):
        hover = f"{info.hover}<extra></extra>"
        figure.add_scatter(x=xs, y=[0] * len(xs), mode=mode, hovertemplate=hover, cliponaxis=False, **style, **at)
    figure.add_hline(y=0, line={"color": GREY, "width": 1}, opacity=0.4, layer="below", **at)
    for x, anchor, text in ((-0.02, "right", info.left), (1.02, "left", info.right)):
        figure.add_annotation(text=text, x=x, xref="x domain", xanchor=anchor, y=0, align=anchor, showarrow=False, **at)
    if info.random:
        x, text = info.random
        font = {"color": ACCENT, "size": 10}
        figure.add_annotation(text=text, x=x, y=-0.62, yanchor="top", font=font, showarrow=False, **at)
    figure.update_xaxes(range=info.axis, visible=False, **at)
    figure.update_yaxes(range=[-1.2, 1.2], visible=False, **at)


def _mark(symbol: str, colour: str, size: int) -> dict[str, object]:
    return {"symbol": symbol, "size": size, "color": colour, "line": {"width": 2.5, "color": colour}}


def outcome_bars(outcomes: pl.DataFrame) -> go.Figure:
    """What the first result is, by query language: four shares that sum to 1.

    Args:
        outcomes: Frame of `bias.outcomes`.
    """
    info = _get_outcome_info(outcomes)
    figure = go.Figure()
    for outcome, shares in info.shares.items():
        name, colour = OUTCOME_STYLE[outcome]
        figure.add_bar(
            x=shares,
            y=info.names,
            orientation="h",
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            text=[f"{share:.0f} %" if share >= 6 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "#10202f" if colour in (LIGHT_INK, GREY) else "#ffffff", "size": 11},
            customdata=info.queries,
            hovertemplate=f"%{{y}}, {name}: %{{x:.1f}} % of %{{customdata:,}} queries<extra></extra>",
        )
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    figure.update_xaxes(title="per cent of queries", range=[0, 100])
    return finish(figure, height=120 + 28 * len(info.names), legend=True)


@dataclass(frozen=True, slots=True)
class _OutcomeInfo:
    """What the first result is, by query language from the bottom up: the most wrong ones in its own language first.

    Attributes:
        names: Of the query languages.
        shares: Per cent of the queries, by outcome.
        queries: How many queries stand behind each.
    """

    names: list[str]
    shares: dict[str, list[float]]
    queries: list[int]


def _get_outcome_info(outcomes: pl.DataFrame) -> _OutcomeInfo:
    frame = outcomes.sort("first_wrong_own", descending=True)
    return _OutcomeInfo(
        [name_of(code) for code in frame["query_lang"]],
        {outcome: (100 * frame[outcome]).to_list() for outcome in OUTCOMES},
        frame["queries"].to_list(),
    )


def document_places(places: pl.DataFrame, pushed: pl.DataFrame) -> go.Figure:
    """Where each document language's passages stand among their translations, with intervals; half is no preference.

    Args:
        places: Frame of `bias.Suite.document_languages`.
        pushed: Frame of `bias.pushed`.
    """
    info = _get_places_info(places, pushed)
    figure = go.Figure()
    for name, colour, rows in (
        ("put first", INK, info.first),
        ("not significantly different from equal treatment", GREY, info.equal),
        ("pushed down", ACCENT, info.down),
    ):
        figure.add_scatter(
            x=[row.place for row in rows],
            y=[row.name for row in rows],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 11},
            error_x=error_bars(
                [row.place for row in rows], [row.low for row in rows], [row.high for row in rows], colour, thickness=2
            ),
            hovertext=[row.hover for row in rows],
            hoverinfo="text",
        )
    figure.add_vline(x=50, line={"dash": "dash", "color": GREY, "width": 1.5})
    figure.update_xaxes(title="per cent of its translations that stand before it", range=[0, 100])
    figure.update_yaxes(categoryorder="array", categoryarray=info.names)
    return finish(figure, height=120 + 28 * len(info.names), legend=True)


@dataclass(frozen=True, slots=True)
class _PlaceInfo:
    """A document language.

    Attributes:
        name: Of the language.
        place: Per cent of its translations that stand before a passage.
        low, high: Ends of the interval; the place itself where there is none.
        hover: All that is known of it.
    """

    name: str
    place: float
    low: float
    high: float
    hover: str


@dataclass(frozen=True, slots=True)
class _PlacesInfo:
    """Document languages by what the test says.

    Attributes:
        names: Of all languages, from the bottom up: the one pushed down most first.
        first: Those that are put first, significantly.
        equal: Those that do not differ significantly from equal treatment.
        down: Those that are pushed down, significantly.
    """

    names: list[str]
    first: Sequence[_PlaceInfo]
    equal: Sequence[_PlaceInfo]
    down: Sequence[_PlaceInfo]


def _get_places_info(places: pl.DataFrame, pushed: pl.DataFrame) -> _PlacesInfo:
    tests = pushed.select("doc_lang", "p_holm", "mean_rank")
    frame = places.join(tests, on="doc_lang", how="left").sort("value", "doc_lang", descending=[True, False])
    significant, behind = pl.col("p_holm").fill_null(1.0) < LEVEL, pl.col("value") > 0.5
    first, equal, down = (
        [_get_place_info(row) for row in frame.filter(kept).to_dicts()]
        for kept in (significant & ~behind, ~significant, significant & behind)
    )
    return _PlacesInfo([name_of(code) for code in frame["doc_lang"]], first, equal, down)


def _get_place_info(row: dict[str, Any]) -> _PlaceInfo:
    place, name = 100 * row["value"], name_of(row["doc_lang"])
    low, high = (place if row[end] is None else 100 * row[end] for end in ("low", "high"))
    rank = "" if row["mean_rank"] is None else f", mean rank {row['mean_rank']:.1f} among its translations"
    interval = "" if row["low"] is None else f" (95 % interval {low:.0f} to {high:.0f})"
    p = "" if row["p_holm"] is None else f", {p_value(row['p_holm'])} after Holm's correction"
    before = f"{place:.0f} % of its translations before it{interval}"
    return _PlaceInfo(name, place, low, high, f"{name}: {before}{rank}<br>{row['questions']:,} questions{p}")
