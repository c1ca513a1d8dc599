"""A frame in, a plotly figure out, nothing else: the same figures on the pages and in reports."""

from engine.figures.bias import parallel_ranks, pool_rank_boxes, pool_rank_heatmap, rank_distance_dots, share_bars
from engine.figures.pairs import difference_heatmap, language_order, matrix, pair_heatmap, query_counts
from engine.figures.ratios import loss_curves, ratio_curve, trade_off

__all__ = [
    "difference_heatmap",
    "language_order",
    "loss_curves",
    "matrix",
    "pair_heatmap",
    "parallel_ranks",
    "pool_rank_boxes",
    "pool_rank_heatmap",
    "query_counts",
    "rank_distance_dots",
    "ratio_curve",
    "share_bars",
    "trade_off",
]
