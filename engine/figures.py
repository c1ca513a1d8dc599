"""A frame in, a plotly figure out, nothing else: the same figures on the pages and in reports.

The sequential scale is single-hue, the diverging one is red-blue and centred on 0: both are safe for colour-blind
readers, and light enough for dark text in every cell. Backgrounds are transparent, for light and dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from engine.languages import language
from engine.metrics import label

SEQUENTIAL = ["#f7fbff", "#d6e6f4", "#abcfe6", "#73b2d8", "#4a94c8"]
DIVERGING = ["#d8735f", "#f0b9a8", "#f7f7f7", "#a9cde4", "#5a9fd0"]
CELL_TEXT = "#10202f"  # reads on every colour of both scales
ACCENT = "#d1495b"
INK = "#1f6fb2"
GREY = "#8a8f98"
CLICKABLE = "cells"  # name of the invisible trace that reports clicks


def language_order(pairs: pl.DataFrame, metric: str, by: str) -> list[str]:
    """Languages in the order in which a heatmap shows them.

    Args:
        pairs: Frame of `metrics.by_pair`.
        metric: The metric shown.
        by: "name" (of the language), "score" (mean as query and as document language, best first), or "similarity"
            (leaves of an average-linkage clustering of the rows' and columns' distance).
    """
    codes = sorted(set(pairs["query_lang"]) | set(pairs["doc_lang"]), key=lambda code: language(code).name)
    if by == "name" or len(codes) < 3:
        return codes
    grid = matrix(pairs, metric, codes)
    if by == "score":
        means = (np.nanmean(grid, axis=0) + np.nanmean(grid, axis=1)) / 2
        return [codes[i] for i in np.argsort(-means, kind="stable")]
    both = np.nan_to_num(np.hstack([grid, grid.T]), nan=float(np.nanmean(grid)))
    distances = np.sqrt(((both[:, None] - both[None]) ** 2).sum(axis=2))
    return [codes[i] for i in leaves_list(linkage(squareform(distances, checks=False), "average"))]


def matrix(pairs: pl.DataFrame, column: str, codes: Sequence[str]) -> np.ndarray:
    """A column of a pair frame as float64 (query languages, document languages), NaN where there is no row."""
    place = {code: i for i, code in enumerate(codes)}
    grid = np.full((len(codes), len(codes)), np.nan)
    for query_lang, doc_lang, value in pairs.select("query_lang", "doc_lang", column).iter_rows():
        if value is not None:
            grid[place[query_lang], place[doc_lang]] = value
    return grid


def pair_heatmap(
    pairs: pl.DataFrame,
    metric: str,
    codes: Sequence[str],
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    marked: tuple[str, str] | None = None,
) -> go.Figure:
    """Scores of every language pair: query language down, document language across, mono pairs framed, means beside.

    Args:
        pairs: Frame of `metrics.by_pair`.
        metric: Which of its metrics.
        codes: Languages in order.
        limits: Ends of the colour scale; give compared heatmaps the same.
        marked: A pair to mark.
    """
    grid, counts = matrix(pairs, metric, codes), matrix(pairs, "queries", codes)
    figure = _grid_figure(
        grid,
        codes,
        codes,
        texts=_cells(grid, "{:.2f}"),
        hover=[
            [_pair_hover(q, d, grid[i, j], counts[i, j], metric) for j, d in enumerate(codes)]
            for i, q in enumerate(codes)
        ],
        scale={"colorscale": SEQUENTIAL, "zmin": limits[0], "zmax": limits[1]},
        title=label(metric),
    )
    _frame_diagonal(figure, len(codes))
    _add_means(figure, grid, "{:.2f}")
    _add_clicks(figure, codes)
    if marked and set(marked) <= set(codes):
        _outline(figure, codes.index(marked[1]), codes.index(marked[0]), ACCENT, 3)
    return figure


def difference_heatmap(
    pairs: pl.DataFrame, reference: pl.DataFrame, metric: str, codes: Sequence[str], *, limit: float | None = None
) -> go.Figure:
    """Scores minus reference scores of every language pair, in points (hundredths), centred on 0.

    Args:
        pairs: Frame of `metrics.by_pair`.
        reference: The frame that is subtracted.
        metric: Which of their metrics.
        codes: Languages in order.
        limit: End of the colour scale in points, both ways; by default the largest difference.
    """
    grid = 100 * (matrix(pairs, metric, codes) - matrix(reference, metric, codes))
    counts = matrix(pairs, "queries", codes)
    limit = limit or max(1.0, float(np.nanmax(np.abs(grid))) if np.isfinite(grid).any() else 1.0)
    hover = [
        [
            f"{_name(q)} → {_name(d)}<br>{label(metric)} {_signed(grid[i, j])} points, {_whole(counts[i, j])} queries"
            for j, d in enumerate(codes)
        ]
        for i, q in enumerate(codes)
    ]
    figure = _grid_figure(
        grid,
        codes,
        codes,
        texts=_cells(grid, "{:+.1f}"),
        hover=hover,
        scale={"colorscale": DIVERGING, "zmin": -limit, "zmax": limit},
        title="points",
    )
    _frame_diagonal(figure, len(codes))
    _add_means(figure, grid, "{:+.1f}")
    return figure


def query_counts(pairs: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """How many queries stand behind every cell."""
    grid = matrix(pairs, "queries", codes)
    hover = [
        [f"{_name(q)} → {_name(d)}<br>{_whole(grid[i, j])} queries" for j, d in enumerate(codes)]
        for i, q in enumerate(codes)
    ]
    scale = {"colorscale": ["#fafafa", "#a8adb5"], "zmin": 0, "zmax": float(np.nanmax(grid))}
    return _grid_figure(grid, codes, codes, texts=_cells(grid, "{:.0f}"), hover=hover, scale=scale, title="queries")


def rank_distance_dots(rank_distance: pl.DataFrame) -> go.Figure:
    """Rank distance by query language, mean and median, beside what a random ranking gives; logarithmic axis.

    Args:
        rank_distance: Frame of `bias.rank_distance`.
    """
    frame = rank_distance.sort("rank_distance", descending=True)
    names = [_name(code) for code in frame["query_lang"]]
    figure = go.Figure()
    for column, name, symbol, colour in (
        ("median", "median", "line-ns-open", GREY),
        ("rank_distance", "mean", "circle", INK),
    ):
        figure.add_scatter(
            x=frame[column],
            y=names,
            mode="markers+text" if name == "mean" else "markers",
            text=[f"{value:,.0f}" for value in frame[column]] if name == "mean" else None,
            textposition="middle right",
            name=name,
            marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
            customdata=np.stack([frame["queries"], 100 * frame[column] / frame["random"]], axis=1),
            hovertemplate="%{y}: "
            + name
            + " %{x:,.0f} ranks, %{customdata[1]:.0f} % of random, %{customdata[0]:,} queries<extra></extra>",
        )
    random = float(frame["random"].mean())
    figure.add_vline(x=random, line={"dash": "dash", "color": ACCENT})
    figure.add_annotation(
        x=np.log10(random), y=1.0, yref="paper", yanchor="bottom", text=f"random {random:,.0f}", showarrow=False
    )
    figure.update_xaxes(type="log", title="ranks between the first and the last relevant passage", dtick=1)
    return _finish(figure, height=90 + 30 * len(names), legend=True)


def pool_rank_boxes(ranks: pl.DataFrame, query_lang: str) -> go.Figure:
    """Pool ranks of the relevant passages by document language, for one query language; logarithmic axis.

    Args:
        ranks: Frame of schema `RANKS`.
        query_lang: The query language.
    """
    rank = pl.col("rank_in_pool")
    boxes = (
        ranks.filter(pl.col("query_lang") == query_lang)
        .group_by("doc_lang")
        .agg(
            low=rank.quantile(0.05),
            q1=rank.quantile(0.25),
            median=rank.median(),
            q3=rank.quantile(0.75),
            high=rank.quantile(0.95),
            count=pl.len(),
        )
        .sort("median", "doc_lang", descending=[True, False])
    )
    own = pl.Series([code == query_lang for code in boxes["doc_lang"]])
    figure = go.Figure()
    for name, mask, colour in (("the query's language", own, ACCENT), ("other languages", ~own, INK)):
        part = boxes.filter(mask)
        if part.height:
            figure.add_box(
                y=[_name(code) for code in part["doc_lang"]],
                lowerfence=part["low"],
                q1=part["q1"],
                median=part["median"],
                q3=part["q3"],
                upperfence=part["high"],
                name=name,
                orientation="h",
                marker={"color": colour},
                width=0.6,
            )
    figure.update_yaxes(categoryorder="array", categoryarray=[_name(code) for code in boxes["doc_lang"]])
    figure.update_xaxes(type="log", title="rank in the pool (whiskers: 5 % and 95 %)", dtick=1)
    return _finish(figure, height=110 + 30 * boxes.height, legend=True)


def pool_rank_heatmap(pool_ranks: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """Median pool rank of the relevant passages: query language down, document language across; logarithmic colour.

    Args:
        pool_ranks: Frame of `bias.pool_ranks`.
        codes: Languages in order.
    """
    grid, counts = matrix(pool_ranks, "median_rank", codes), matrix(pool_ranks, "queries", codes)
    hover = [
        [
            f"{_name(q)} query, {_name(d)} passage<br>"
            f"median rank {_whole(grid[i, j])} of the pool, {_whole(counts[i, j])} queries"
            for j, d in enumerate(codes)
        ]
        for i, q in enumerate(codes)
    ]
    with np.errstate(divide="ignore"):
        powers = np.log10(grid)
    top = max(1.0, float(np.nanmax(powers)))
    ticks = list(range(int(np.ceil(top)) + 1))
    scale = {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": top}
    figure = _grid_figure(
        powers, codes, codes, texts=_cells(grid, "{:,.0f}"), hover=hover, scale=scale, title="median rank"
    )
    figure.data[0].colorbar.update(tickvals=ticks, ticktext=[f"{10**tick:,}" for tick in ticks])
    _frame_diagonal(figure, len(codes))
    return figure


def share_bars(shares: pl.DataFrame, fair: dict[str, float], k: int) -> go.Figure:
    """Share of the query's own language among the first k of the pool, beside the fair share.

    Args:
        shares: Frame of `bias.language_shares`.
        fair: Each language's share of the relevant passages, the share that a language-blind retriever would show.
        k: How many of the first were looked at.
    """
    own = shares.filter(pl.col("query_lang") == pl.col("doc_lang")).sort("share")
    names = [_name(code) for code in own["query_lang"]]
    figure = go.Figure()
    figure.add_bar(
        x=100 * own["share"],
        y=names,
        orientation="h",
        marker={"color": INK},
        name=f"own language in the top {k}",
        text=[f"{100 * share:.0f} %" for share in own["share"]],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1f} % of the top " + str(k) + "<extra></extra>",
    )
    figure.add_scatter(
        x=[100 * fair.get(code, 0.0) for code in own["query_lang"]],
        y=names,
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 16, "color": ACCENT, "line": {"width": 3}},
        name="fair share",
        hovertemplate="%{y}: fair share %{x:.1f} %<extra></extra>",
    )
    figure.update_xaxes(title="per cent", range=[0, 108])
    return _finish(figure, height=110 + 28 * len(names), legend=True)


def parallel_ranks(ranks: pl.DataFrame, query_lang: str) -> go.Figure:
    """Pool ranks of one query's relevant passages by language; logarithmic axis.

    Args:
        ranks: Frame of schema `RANKS`, of one query.
        query_lang: The query's language, which is set off.
    """
    frame = ranks.sort("rank_in_pool", descending=True)
    colours = [ACCENT if code == query_lang else INK for code in frame["doc_lang"]]
    figure = go.Figure(
        go.Scatter(
            x=frame["rank_in_pool"],
            y=[_name(code) for code in frame["doc_lang"]],
            mode="markers+text",
            marker={"size": 11, "color": colours},
            text=[f"{rank:,}" for rank in frame["rank_in_pool"]],
            textposition="middle right",
            customdata=frame["rank_in_language"],
            hovertemplate="%{y}: rank %{x:,} in the pool, %{customdata:,} in its language<extra></extra>",
            cliponaxis=False,
        )
    )
    figure.update_xaxes(
        type="log", title="rank in the pool", dtick=1, range=[-0.1, np.log10(frame["rank_in_pool"].max()) + 0.6]
    )
    return _finish(figure, height=90 + 30 * frame.height, legend=False)


def _grid_figure(
    grid: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    texts: list[list[str]],
    hover: list[list[str]],
    scale: dict[str, object],
    title: str,
) -> go.Figure:
    """A heatmap with text in its cells; positions are numbers, so that shapes and clicks can be laid over it."""
    figure = go.Figure(
        go.Heatmap(
            z=np.where(np.isfinite(grid), grid, np.nan),
            text=texts,
            texttemplate="%{text}",
            textfont={"color": CELL_TEXT, "size": 12},
            hovertext=hover,
            hoverinfo="text",
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": title, "side": "top"}, "thickness": 12, "len": 0.9},
            **scale,
        )
    )
    figure.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=list(columns),
        title="document language",
        side="top",
        showgrid=False,
    )
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[_name(code) for code in rows],
        title="query language",
        autorange="reversed",
        showgrid=False,
    )
    return _finish(figure, height=150 + 37 * (len(rows) + 1), legend=False)


def _add_means(figure: go.Figure, grid: np.ndarray, pattern: str) -> None:
    """Means over the cross-lingual cells, as text behind the last row and column."""
    off = grid.copy()
    np.fill_diagonal(off, np.nan)
    size = len(grid)
    rows = [_mean(off[i]) for i in range(size)]
    columns = [_mean(off[:, j]) for j in range(size)]
    common = {
        "mode": "text",
        "hoverinfo": "text",
        "showlegend": False,
        "textfont": {"color": GREY},
        "cliponaxis": False,
    }
    figure.add_scatter(
        x=[size + 0.1] * size,
        y=list(range(size)),
        text=[_format(value, pattern) for value in rows],
        hovertext="mean over the other document languages",
        **common,
    )
    figure.add_scatter(
        x=list(range(size)),
        y=[size + 0.1] * size,
        text=[_format(value, pattern) for value in columns],
        hovertext="mean over the other query languages",
        **common,
    )
    figure.add_scatter(
        x=[size + 0.1], y=[size + 0.1], text=["mean"], hovertext="means of the cross-lingual cells", **common
    )
    figure.update_xaxes(range=[-0.5, size + 0.7], zeroline=False)
    figure.update_yaxes(range=[size + 0.6, -0.5], autorange=False, zeroline=False)


def _add_clicks(figure: go.Figure, codes: Sequence[str]) -> None:
    """Invisible squares over the cells: a heatmap itself reports no clicks."""
    size = len(codes)
    figure.add_scatter(
        x=[j for _ in range(size) for j in range(size)],
        y=[i for i in range(size) for _ in range(size)],
        customdata=[[q, d] for q in codes for d in codes],
        mode="markers",
        marker={"symbol": "square", "size": 30, "opacity": 0},
        hoverinfo="skip",
        showlegend=False,
        name=CLICKABLE,
    )
    figure.update_layout(clickmode="event+select", dragmode=False)
    figure.update_traces(
        selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}}, selector={"name": CLICKABLE}
    )


def _frame_diagonal(figure: go.Figure, size: int) -> None:
    for i in range(size):
        _outline(figure, i, i, "#333a44", 1.5)


def _outline(figure: go.Figure, x: int, y: int, colour: str, width: float) -> None:
    figure.add_shape(
        type="rect", x0=x - 0.5, x1=x + 0.5, y0=y - 0.5, y1=y + 0.5, line={"color": colour, "width": width}
    )


def _finish(figure: go.Figure, *, height: int, legend: bool) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 40 if legend else 10, "b": 10},
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def _pair_hover(query_lang: str, doc_lang: str, value: float, count: float, metric: str) -> str:
    kind = "same language" if query_lang == doc_lang else "cross-lingual"
    score = f"{label(metric)} {_format(value, '{:.3f}')}, {_whole(count)} queries"
    return f"{_name(query_lang)} → {_name(doc_lang)} ({kind})<br>{score}"


def _name(code: str) -> str:
    return f"{language(code).name} {code}"


def _cells(grid: np.ndarray, pattern: str) -> list[list[str]]:
    return [[_format(value, pattern) for value in row] for row in grid]


def _format(value: float, pattern: str) -> str:
    if not np.isfinite(value):
        return ""
    return pattern.format(value).replace("-", "\u2212")


def _signed(value: float) -> str:
    return _format(value, "{:+.1f}") or "?"


def _whole(value: float) -> str:
    return _format(value, "{:,.0f}") or "no"


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
