"""Figures of the bias suite: all measures beside a random ranking, curves, outcomes, document languages."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from engine.bias import DIRECTIONS, MEASURES, OUTCOMES, Measure
from engine.figures.style import ACCENT, GREY, INK, finish, name_of
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


def measure_forest(measures: pl.DataFrame, k: int) -> go.Figure:
    """Measures, each on an axis of its own: value and interval, and where a language-blind random ranking stands.

    Those that describe and do not judge are left out.

    Args:
        measures: Frame of `bias.Suite.measures`, or some of its rows.
        k: How many of the first places count.
    """
    judged = [row for row in measures.drop_nulls("value").to_dicts() if MEASURES[row["measure"]].direction != "neither"]
    figure = make_subplots(rows=max(1, len(judged)), cols=1, vertical_spacing=0)
    for place, row in enumerate(judged, start=1):
        _add_measure(figure, MEASURES[row["measure"]], row, k, place)
    finish(figure, height=20 + _ROW * len(judged), legend=False)
    return figure.update_layout(margin={"l": 240, "r": 130})


def _add_measure(figure: go.Figure, measure: Measure, row: dict[str, float | None], k: int, place: int) -> None:
    """Draw one row of the forest."""
    at = {"row": place, "col": 1}
    value, random = row["value"], row["random"]
    low, high = (row[end] if row[end] is not None else value for end in ("low", "high"))
    ends = [0.0, 1.0 if measure.name in _SHARES else 0.0, low, high, value if random is None else random]
    room = 0.03 * (max(ends) - min(ends)) or 1.0
    interval = f"{measure.write(low)} to {measure.write(high)}"
    label = measure.label.replace("top k", f"top {k}")
    hover = f"{label}<br>{measure.write(value)}, 95 % interval {interval}<br>random ranking {measure.write(random)}"
    for xs, mode, style in (
        ([low, high], "lines", {"line": {"color": INK, "width": 6}}),
        ([random], "markers", {"marker": _mark("line-ns-open", ACCENT, 20)}),
        ([value], "markers", {"marker": _mark("circle", INK, 10)}),
    ):
        figure.add_scatter(
            x=xs, y=[0] * len(xs), mode=mode, hovertemplate=f"{hover}<extra></extra>", cliponaxis=False, **style, **at
        )
    figure.add_hline(y=0, line={"color": GREY, "width": 1}, opacity=0.4, layer="below", **at)
    small = '<span style="font-size:11px">{}</span>'
    for x, anchor, written in (
        (-0.02, "right", f"{label}<br>{small.format(DIRECTIONS[measure.direction])}"),
        (1.02, "left", f"<b>{measure.write(value)}</b><br>{small.format(interval)}"),
    ):
        figure.add_annotation(
            text=written, x=x, xref="x domain", xanchor=anchor, y=0, align=anchor, showarrow=False, **at
        )
    if random is not None:
        figure.add_annotation(
            text=measure.write(random),
            x=random,
            y=-0.62,
            yanchor="top",
            font={"color": ACCENT, "size": 10},
            showarrow=False,
            **at,
        )
    figure.update_xaxes(range=[min(ends) - room, max(ends) + room], visible=False, **at)
    figure.update_yaxes(range=[-1.2, 1.2], visible=False, **at)


def _mark(symbol: str, colour: str, size: int) -> dict[str, object]:
    return {"symbol": symbol, "size": size, "color": colour, "line": {"width": 2.5, "color": colour}}


_SHARES = {"bias", "own_share", "document_effect", "rank_correlation", "one_target_gap", *OUTCOMES}
"""Measures whose axis reaches to 1."""


def measure_curve(curves: pl.DataFrame, measure: str, *, base: float | None = None) -> go.Figure:
    """One measure against the ratio: mean over seeds with its interval.

    Args:
        curves: Frame of `bias.curves`.
        measure: Which.
        base: The untrained encoder's value.
    """
    about, part = MEASURES[measure], curves.filter(pl.col("measure") == measure).drop_nulls("value").sort("alpha")
    hover = [
        f"alpha {row['alpha']:g}: {about.write(row['value'])}, 95 % interval {about.write(row['low'])} to "
        f"{about.write(row['high'])}, {row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
        for row in part.to_dicts()
    ]
    figure = go.Figure(
        go.Scatter(
            x=part["alpha"],
            y=part["value"],
            mode="lines+markers",
            line={"color": INK, "width": 2.5},
            marker={"size": 7},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (part["high"] - part["value"]).fill_null(0.0),
                "arrayminus": (part["value"] - part["low"]).fill_null(0.0),
                "color": INK,
                "thickness": 1.5,
                "width": 4,
            },
            hovertext=hover,
            hoverinfo="text",
        )
    )
    ends = [*part["value"], *part["low"].drop_nulls(), *part["high"].drop_nulls()] or [0.0, 1.0]
    room = 0.25 * (max(ends) - min(ends)) or 0.05 * abs(max(ends)) or 0.01
    low, high = min(ends) - room, max(ends) + room
    random = part["random"][0] if part.height else None
    for value, name, colour, side in ((base, "untrained", GREY, "left"), (random, "random", ACCENT, "right")):
        if value is not None:
            _add_reference(figure, value, f"{name} {about.write(value)}", colour, side, (low, high))
    figure.update_xaxes(title="alpha", range=[-0.05, 1.05], tickvals=[0, 0.5, 1])
    figure.update_yaxes(range=[low, high], nticks=5, tickformat=".0%" if "%" in about.pattern else None)
    return finish(figure, height=230, legend=False)


def _add_reference(
    figure: go.Figure, value: float, text: str, colour: str, side: str, ends: tuple[float, float]
) -> None:
    """A line at a value with its name, or the name at the edge that it lies behind."""
    inside, above = ends[0] <= value <= ends[1], value > ends[1]
    if inside:
        figure.add_hline(y=value, line={"dash": "dot", "color": colour, "width": 1.5})
    figure.add_annotation(
        x=0.01 if side == "left" else 0.99,
        y=value if inside else float(above),
        xref="paper",
        yref="y" if inside else "paper",
        xanchor=side,
        yanchor="bottom" if inside or not above else "top",
        text=text if inside else f"{text} {'↑' if above else '↓'}",
        font={"color": colour, "size": 11},
        showarrow=False,
    )


def outcome_bars(outcomes: pl.DataFrame) -> go.Figure:
    """What the first result is, by query language: four shares that sum to 1.

    Args:
        outcomes: Frame of `bias.outcomes`.
    """
    frame = outcomes.sort(pl.col("first_wrong_own"), descending=True)
    names = [name_of(code) for code in frame["query_lang"]]
    figure = go.Figure()
    for outcome in OUTCOMES:
        name, colour = OUTCOME_STYLE[outcome]
        shares = 100 * frame[outcome]
        figure.add_bar(
            x=shares,
            y=names,
            orientation="h",
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            text=[f"{share:.0f} %" if share >= 6 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "#10202f" if colour in (LIGHT_INK, GREY) else "#ffffff", "size": 11},
            customdata=frame["queries"],
            hovertemplate=f"%{{y}}, {name}: %{{x:.1f}} % of %{{customdata:,}} queries<extra></extra>",
        )
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    figure.update_xaxes(title="per cent of queries", range=[0, 100])
    return finish(figure, height=120 + 28 * len(names), legend=True)


def document_places(places: pl.DataFrame, pushed: pl.DataFrame) -> go.Figure:
    """Where each document language's passages stand among their translations, with intervals; half is no preference.

    Args:
        places: Frame of `bias.Suite.document_languages`.
        pushed: Frame of `bias.pushed`.
    """
    frame = places.join(pushed.select("doc_lang", "p_holm", "mean_rank"), on="doc_lang", how="left").sort(
        "value", "doc_lang", descending=[True, False]
    )
    told = pl.col("p_holm").fill_null(1.0) < LEVEL
    behind = pl.col("value") > 0.5
    figure = go.Figure()
    for name, mask, colour in (
        ("put first", told & ~behind, INK),
        ("not significantly different from equal treatment", ~told, GREY),
        ("pushed down", told & behind, ACCENT),
    ):
        part = frame.filter(mask)
        figure.add_scatter(
            x=100 * part["value"],
            y=[name_of(code) for code in part["doc_lang"]],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 11},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": 100 * (part["high"] - part["value"]).fill_null(0.0),
                "arrayminus": 100 * (part["value"] - part["low"]).fill_null(0.0),
                "color": colour,
                "thickness": 2,
                "width": 4,
            },
            hovertext=[_place_hover(row) for row in part.to_dicts()],
            hoverinfo="text",
        )
    figure.add_vline(x=50, line={"dash": "dash", "color": GREY, "width": 1.5})
    figure.update_xaxes(title="per cent of its translations that stand before it", range=[0, 100])
    figure.update_yaxes(categoryorder="array", categoryarray=[name_of(code) for code in frame["doc_lang"]])
    return finish(figure, height=120 + 28 * frame.height, legend=True)


def _place_hover(row: dict[str, float]) -> str:
    rank = "" if row["mean_rank"] is None else f", mean rank {row['mean_rank']:.1f} among its translations"
    interval = "" if row["low"] is None else f" (95 % interval {100 * row['low']:.0f} to {100 * row['high']:.0f})"
    p = "" if row["p_holm"] is None else f", {p_value(row['p_holm'])} after Holm's correction"
    place = f"{100 * row['value']:.0f} % of its translations before it{interval}"
    return f"{name_of(row['doc_lang'])}: {place}{rank}<br>{row['questions']:,} questions{p}"
