"""How a training run went: its losses, and the check that they stay finite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import TrainingError
from engine.training.recipe import Recipe

LOG_EVERY = 10
"""Steps between two losses that are written down."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a training run went.

    Attributes:
        losses: Steps, and the mean loss since the last one.
        held_out: Steps, and the loss on what was held out.
        steps: Steps done; fewer than the recipe's where the run stopped early.
    """

    losses: list[tuple[int, float]]
    held_out: list[tuple[int, float]]
    steps: int


def check_loss(loss: float, step: int, recipe: Recipe) -> float:
    """Return the loss if it is finite.

    Raises:
        TrainingError: If it is not.
    """
    if not np.isfinite(loss):
        raise diverged(loss, step, recipe)
    return loss


def diverged(loss: float, step: int, recipe: Recipe) -> TrainingError:
    """The error to raise when a loss or a weight is no longer finite."""
    return TrainingError(
        f"{recipe.label}: the loss became {loss} at step {step}; no checkpoint was written. "
        f"Lower the learning rate ({recipe.settings.learning_rate:g}) or raise the temperature"
    )
