"""How long work tells what it does: progress (how much is done) and observation (the loss, as training goes)."""

from __future__ import annotations

from typing import Protocol

WHOLE = "sweep"
"""The stage that counts the parts of work which has many; the other stages are within a part."""


class Progress(Protocol):
    """Is called with every step of long work; `done` and `total` are in the stage's own unit."""

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Take note of a step."""


class Observer(Protocol):
    """Is called with the loss now and then while a checkpoint is trained."""

    def __call__(self, what: str, step: int, loss: float) -> None:
        """Take note of the loss of `what`, a checkpoint's label, at a step."""


def silent(stage: str, done: float, total: float) -> None:
    """Take no note."""


def unobserved(what: str, step: int, loss: float) -> None:
    """Take no note."""
