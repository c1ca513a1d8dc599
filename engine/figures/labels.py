"""Where labels beside points go, so that they neither cover points nor each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_PLACES = {
    "top center": (0.0, 1.0),
    "bottom center": (0.0, -1.0),
    "middle right": (1.0, 0.0),
    "middle left": (-1.0, 0.0),
    "top right": (0.8, 0.8),
    "top left": (-0.8, 0.8),
    "bottom right": (0.8, -0.8),
    "bottom left": (-0.8, -0.8),
}
_AWAY = np.array([0.06, 0.08])  # a label's centre from its point, as shares of the plot's width and height


def label_places(x: Sequence[float], y: Sequence[float], others: np.ndarray | None = None) -> list[str]:
    """For each point, where its label has most room; of equally good places, the first in `_PLACES`.

    Args:
        x: Across.
        y: Up.
        others: float64 (points, 2), further points that labels must not cover.

    Returns:
        Names of plotly's text positions.
    """
    points = np.column_stack([x, y]).astype(float)
    taken = points if others is None or not len(others) else np.vstack([points, others])
    spread = np.where(np.ptp(taken, axis=0) > 0, np.ptp(taken, axis=0), 1.0)
    scale = 1.36 * spread  # the axes leave 18 % of room on each side
    points, taken = points / scale, taken / scale
    places, labels = [], np.empty((0, 2))
    for point in points:
        centres = point + _AWAY * np.array(list(_PLACES.values()))
        near = np.vstack([taken, labels])
        room = (np.abs(centres[:, None] - near[None]) / _AWAY).max(axis=2).min(axis=1)
        best = int(np.argmax(np.minimum(np.round(room, 3), 1.0)))
        places.append(list(_PLACES)[best])
        labels = np.vstack([labels, centres[best]])
    return places
