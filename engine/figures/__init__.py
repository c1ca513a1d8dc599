"""A frame in, a plotly figure out, nothing else: the same figures on the pages and in reports."""

from engine.figures.bias import parallel_ranks, pool_rank_boxes, rank_distance_dots, share_bars
from engine.figures.bias_curves import measure_curve
from engine.figures.bias_grids import advantage_heatmap, agreement_heatmap, pool_rank_heatmap, target_heatmap
from engine.figures.bias_suite import document_places, measure_forest, outcome_bars
from engine.figures.by_language import language_points
from engine.figures.losses import loss_curves
from engine.figures.pairs import difference_heatmap, pair_heatmap, query_counts
from engine.figures.published import language_dumbbells, language_heatmap, model_plane
from engine.figures.ratios import Beside, ratio_curve
from engine.figures.style import name_of
from engine.figures.trade_off import trade_off
from engine.figures.vectors import distance_heatmap, language_map

__all__ = [
    "Beside",
    "advantage_heatmap",
    "agreement_heatmap",
    "difference_heatmap",
    "distance_heatmap",
    "document_places",
    "language_dumbbells",
    "language_heatmap",
    "language_map",
    "language_points",
    "loss_curves",
    "measure_curve",
    "measure_forest",
    "model_plane",
    "name_of",
    "outcome_bars",
    "pair_heatmap",
    "parallel_ranks",
    "pool_rank_boxes",
    "pool_rank_heatmap",
    "query_counts",
    "rank_distance_dots",
    "ratio_curve",
    "share_bars",
    "target_heatmap",
    "trade_off",
]
