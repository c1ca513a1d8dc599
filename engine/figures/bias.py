"""Figures of language bias: where passages of each language stand in the pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from engine.figures.grid import cells, frame_diagonal, grid_figure
from engine.figures.pairs import matrix
from engine.figures.style import ACCENT, GREY, INK, SEQUENTIAL, finish, name_of, whole


def rank_distance_dots(rank_distance: pl.DataFrame) -> go.Figure:
    """Rank distance by query language, mean and median, beside what a random ranking gives; logarithmic axis.

    Args:
        rank_distance: Frame of `bias.rank_distance`.
    """
    frame = rank_distance.sort("rank_distance", descending=True)
    names = [name_of(code) for code in frame["query_lang"]]
    figure = go.Figure()
    for column, name, symbol, colour in (
        ("median", "median", "line-ns-open", GREY),
        ("rank_distance", "mean", "circle", INK),
    ):
        figure.add_scatter(
            x=frame[column],
            y=names,
            mode="markers+text" if name == "mean" else "markers",
            text=[f"  {value:,.0f}" for value in frame[column]] if name == "mean" else None,
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
    return finish(figure, height=90 + 30 * len(names), legend=True)


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
                y=[name_of(code) for code in part["doc_lang"]],
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
    figure.update_yaxes(categoryorder="array", categoryarray=[name_of(code) for code in boxes["doc_lang"]])
    figure.update_xaxes(type="log", title="rank in the pool (whiskers: 5 % and 95 %)", dtick=1)
    return finish(figure, height=110 + 30 * boxes.height, legend=True)


def pool_rank_heatmap(pool_ranks: pl.DataFrame, codes: Sequence[str]) -> go.Figure:
    """Median pool rank of the relevant passages: query language down, document language across; logarithmic colour.

    Args:
        pool_ranks: Frame of `bias.pool_ranks`.
        codes: Languages in order.
    """
    grid, counts = matrix(pool_ranks, "median_rank", codes), matrix(pool_ranks, "queries", codes)
    hover = [
        [
            f"{name_of(q)} query, {name_of(d)} passage<br>"
            f"median rank {whole(grid[i, j])} of the pool, {whole(counts[i, j])} queries"
            for j, d in enumerate(codes)
        ]
        for i, q in enumerate(codes)
    ]
    with np.errstate(divide="ignore"):
        powers = np.log10(grid)
    top = max(1.0, float(np.nanmax(powers)))
    ticks = list(range(int(np.ceil(top)) + 1))
    scale = {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": top}
    figure = grid_figure(
        powers, codes, codes, texts=cells(grid, "{:,.0f}"), hover=hover, scale=scale, title="median rank"
    )
    figure.data[0].colorbar.update(tickvals=ticks, ticktext=[f"{10**tick:,}" for tick in ticks])
    frame_diagonal(figure, len(codes))
    return figure


def share_bars(shares: pl.DataFrame, fair: dict[str, float], k: int) -> go.Figure:
    """Share of the query's own language among the first k of the pool, beside the fair share.

    Args:
        shares: Frame of `bias.language_shares`.
        fair: Each language's share of the relevant passages, the share that a language-blind retriever would show.
        k: How many of the first were looked at.
    """
    own = shares.filter(pl.col("query_lang") == pl.col("doc_lang")).sort("share")
    names = [name_of(code) for code in own["query_lang"]]
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
    return finish(figure, height=110 + 28 * len(names), legend=True)


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
            y=[name_of(code) for code in frame["doc_lang"]],
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
    return finish(figure, height=90 + 30 * frame.height, legend=False)
