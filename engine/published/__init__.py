"""The literature's figures as frames of the shape of ours. The data ships with the project, see `engine.reference`."""

from engine.published.clip import CLIP_PAIRS, DATASETS, DIRECTIONS, ClipPair, clip_results, compare, english_and_others
from engine.published.clip import MEASURES as CLIP_MEASURES
from engine.published.imports import KIND as IMPORTS
from engine.published.imports import MARK as IMPORTED
from engine.published.imports import imported
from engine.published.pairs import faults, low_cells, major, models, of_task, pairs, points, shipped
from engine.published.papers import ALPHAS, MEAN, SOURCES, means, measures, paper_points, scores
from engine.published.tasks import TASKS, Task, find_task, task_of

__all__ = [
    "ALPHAS",
    "CLIP_MEASURES",
    "CLIP_PAIRS",
    "DATASETS",
    "DIRECTIONS",
    "IMPORTED",
    "IMPORTS",
    "MEAN",
    "SOURCES",
    "TASKS",
    "ClipPair",
    "Task",
    "clip_results",
    "compare",
    "english_and_others",
    "faults",
    "find_task",
    "imported",
    "low_cells",
    "major",
    "means",
    "measures",
    "models",
    "of_task",
    "pairs",
    "paper_points",
    "points",
    "scores",
    "shipped",
    "task_of",
]
