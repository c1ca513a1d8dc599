"""What a sweep over pictures says: the best ratio, what the other end costs, and the baselines beside it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.significance import Resampled
from engine.sweeps import prose, uncertainty
from engine.sweeps.results import Family
from engine.sweeps.uncertainty import UNTRAINED, System, best_and_end, choose, difference, ratios_of

FIGURE = ("hit@1", "caption-picture")
"""What the best ratio is chosen by: how often a caption's own picture comes first."""
_CLAIM = "captions find their picture first most often at {ratio}: R@1"
_NAMES = {"en-en": "English captions only", "x-x": "captions of all languages in every batch"}


def answer(collection: str, found: Mapping[System, Resampled], seeds: int, pictures: int) -> str:
    """What a sweep over pictures says, in a few sentences.

    Args:
        collection: What to call the collection, in Markdown.
        found: What `resample_family` gave, with R@1 and mAP.
        seeds: How many seeds stand behind a ratio.
        pictures: How many pictures there are: R@1 of a random ranking is 1 in as many.
    """
    ratios, choice = ratios_of(found), choose(found, *FIGURE)
    best, end = best_and_end(choice)
    sentences = [prose.best_ratio(collection, choice, seeds, _CLAIM)]
    if end != best:
        score = difference(ratios[end], ratios[best], *FIGURE)
        distance = _distance(ratios[end], ratios[best])
        sentences.append(prose.cost_of_end(end, best, score, distance, "R@1"))
    for system in found:
        if system.alpha is None and system != UNTRAINED:
            name = _NAMES.get(system.strategy)
            score, pool = (difference(found[system], ratios[best], *figure) for figure in (FIGURE, ("map", "multi")))
            label = f"{name} ({system.label})" if name else system.label
            sentences.append(prose.beside_best(label, {"R@1": score, "mAP of captions in the pool": pool}))
    chance = f"A random ranking has R@1 {1 / pictures:.3f}"
    untrained = found.get(UNTRAINED)
    if untrained is not None:
        chance += f", the untrained encoder {untrained.only(*FIGURE).estimate[0]:.3f}"
    return " ".join([*sentences, f"{chance}."])


def _distance(one: Resampled, other: Resampled) -> prose.Difference | None:
    """The difference in rank distance; None where captions are not parallel."""
    if not np.isfinite(one.only("rank_distance", "multi").estimate).all():
        return None
    return difference(one, other, "rank_distance", "multi")


def whole_answer(family: Family, collection: str, found: dict[System, Resampled], seeds: int) -> str:
    """What a sweep says, over texts or over pictures.

    Args:
        family: The sweep.
        collection: What to call the collection, in Markdown.
        found: What `resample_family` gave, with R@1 and mAP.
        seeds: How many seeds stand behind a ratio.
    """
    if not family.has_pictures:
        return uncertainty.answer(collection, found, seeds)
    return answer(collection, found, seeds, family.evaluations[0][1].manifest.collection.pictures)
