"""Which split of a collection's judgements is read: the one asked for, or the usual one for the purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import InputError

Purpose = Literal["evaluation", "training"]

USUAL: dict[Purpose, tuple[str, ...]] = {
    "evaluation": ("test", "dev", "validation"),
    "training": ("train",),
}
"""Splits that are read for a purpose where none is asked for; the first that exists."""


@dataclass(frozen=True, slots=True)
class SplitChoice:
    """Which split to read.

    Attributes:
        asked: The split's name; None for the usual one.
        purpose: What it is for.
    """

    asked: str | None = None
    purpose: Purpose = "evaluation"

    def take(self, place: Path, existing: Sequence[str]) -> str:
        """Choose among those that exist.

        Args:
            place: The folder of the judgements, for the error.
            existing: Names of the splits.

        Raises:
            InputError: If there is none, not the one asked for, or several and none is usual.
        """
        names = ", ".join(sorted(existing))
        option = "--split" if self.purpose == "evaluation" else "--train-split"
        if not existing:
            raise InputError(f"{place}: holds no <split>.tsv; expected query-id, corpus-id, score by tabs")
        if self.asked is not None and self.asked not in existing:
            raise InputError(f"{place}: there is no split {self.asked!r}; allowed are {names} ({option})")
        usual = [name for name in USUAL[self.purpose] if name in existing]
        if self.asked is None and not usual and len(existing) > 1:
            raise InputError(f"{place}: holds {names}, none of them usual for {self.purpose}; choose one with {option}")
        return self.asked or [*usual, *existing][0]

    def refuse(self, folder: Path) -> None:
        """Refuse a choice where there are no splits.

        Raises:
            InputError: If a split is asked for.
        """
        if self.asked is not None:
            raise InputError(f"{folder}: has no splits, but {self.asked!r} was asked for; only BEIR folders have them")
