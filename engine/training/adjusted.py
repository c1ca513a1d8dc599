"""Strategies that take the language out of the vectors: `centred`, `lir-k`, and heads trained on what is left.

A name is read as PART[-transductive][+hybrid]: `centred` subtracts the mean of each language and role, `lir-2` projects
two directions out, `-transductive` does so too for languages that the training collection lacks, from the passages that
are evaluated on, and `+hybrid` trains a head at a ratio on the adjusted vectors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.collections.structures import Collection, Role
from engine.encoders.adjustment import LanguageAdjustment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAMES = "centred, lir-1, lir-2, ... (each also with -transductive, +hybrid, or both)"
"""The names that are allowed, for messages."""

_HEAD = "+hybrid"
_NAME = re.compile(
    rf"(?:centred|lir-(?P<directions>[1-9]\d{{0,2}}))(?P<transductive>-transductive)?(?P<head>{re.escape(_HEAD)})?"
)


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What such a strategy does.

    Attributes:
        directions: 0 subtracts the mean, k projects k directions out.
        transductive: Whether languages that the training collection lacks are adjusted too, from what is evaluated on.
        head: Whether a head is trained on the adjusted vectors, at a ratio.
    """

    directions: int
    transductive: bool
    head: bool

    @property
    def part(self) -> str:
        """What is taken out, in words."""
        if self.directions == 0:
            return "the mean"
        return "the first direction" if self.directions == 1 else f"the first {self.directions} directions"

    @property
    def verb(self) -> str:
        """How it is taken out, in words."""
        return "projected out" if self.directions else "subtracted"

    def estimate(self, vectors: Mapping[Role, NDArray[np.float32]], collection: Collection) -> LanguageAdjustment:
        """Estimate the adjustment on the training collection.

        Args:
            vectors: By role, unit vectors of the collection's texts, float32 (texts, dimension).
            collection: The training collection.
        """
        languages: dict[Role, tuple[str, ...]] = {
            "query": collection.queries.languages,
            "document": collection.corpus.languages,
        }
        estimated = LanguageAdjustment.estimate(self.directions, vectors, languages)
        return replace(estimated, transductive=self.transductive, before_head=self.head)


def is_head_on_adjusted(strategy: str) -> bool:
    """Whether a strategy trains a head on adjusted vectors."""
    adjusted = adjusted_by(strategy)
    return adjusted is not None and adjusted.head


def without_head(strategy: str) -> str:
    """The strategy that adjusts the vectors alike and trains nothing."""
    return strategy.removesuffix(_HEAD)


def adjusted_by(strategy: str) -> Adjusted | None:
    """What a strategy takes out of the vectors; None for one that takes nothing out."""
    name = _NAME.fullmatch(strategy)
    if name is None:
        return None
    return Adjusted(int(name["directions"] or 0), bool(name["transductive"]), bool(name["head"]))
