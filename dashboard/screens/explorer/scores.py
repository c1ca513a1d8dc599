"""The four scores that tiles and curves of a sweep show: of texts, or of pictures with captions."""

from __future__ import annotations

from dataclasses import dataclass

from engine.ranks.metrics import label
from engine.sweeps.results import Family

RANK_DISTANCE = "rank_distance"


@dataclass(frozen=True, slots=True)
class Score:
    """One of the scores.

    Attributes:
        measure: A metric, or "rank_distance".
        setting: Of the settings, or of the directions between captions and pictures.
        title: What to call it.
    """

    measure: str
    setting: str
    title: str

    @property
    def column(self) -> str:
        """Its column in the frame of `results.points`."""
        return self.measure if self.measure == RANK_DISTANCE else f"{self.setting}_{self.measure}"


def scores_of(family: Family, metric: str) -> list[Score]:
    """The scores of a sweep.

    Args:
        family: The sweep.
        metric: The metric that is shown.
    """
    distance = Score(RANK_DISTANCE, "multi", "rank distance")
    if not family.has_pictures:
        settings = ("mono", "cross", "multi")
        return [*(Score(metric, setting, f"{setting} {label(metric)}") for setting in settings), distance]
    return [
        Score(metric, "caption-picture", f"caption → picture {label(metric)}"),
        Score(metric, "picture-caption", f"picture → caption {label(metric)}"),
        Score("map", "multi", "picture → pool mAP"),
        distance,
    ]
