"""How long work tells what it has done: a callable, given the stage, what is done, and what there is in all."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is called with every step of long work; `done` and `total` are in the stage's own unit."""

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Take note of a step."""


def silent(stage: str, done: float, total: float) -> None:
    """Take no note."""
