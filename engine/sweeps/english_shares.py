"""Sweeps over captions and pictures that differ in how often captions are English: what belongs to all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.evaluation.evaluate import Evaluation
from engine.storage.digest import digest
from engine.training.recipe import SHARES_OF_THEIR_OWN, Recipe

Members = dict[str, tuple[Recipe, Evaluation]]
"""Evaluations of one sweep on one collection, each with its recipe, by the recipe."""


def family_key(recipe: Recipe, evaluation: Evaluation) -> str:
    """The key of the sweep that an evaluation belongs to."""
    return digest("family", recipe.family(), evaluation.manifest.collection.digest)


def key_in_proportion(recipe: Recipe, evaluation: Evaluation) -> str:
    """The key of the sweep in the languages' own proportion: one for all that differ in the English share alone."""
    return family_key(replace(recipe, settings=replace(recipe.settings, english_share=None)), evaluation)


def with_shared_baselines(sweeps: Mapping[str, Members]) -> dict[str, Members]:
    """Give each sweep with an English share the baselines that have a share of their own.

    A group that consists of such baselines alone is no sweep of its own then.

    Args:
        sweeps: Members by `family_key`.
    """
    found, shared = dict(sweeps), set()
    for key, members in sweeps.items():
        recipe, evaluation = next(iter(members.values()))
        if recipe.settings.english_share is None:
            continue
        source = key_in_proportion(recipe, evaluation)
        others = sweeps.get(source, {})
        baselines = {name: one for name, one in others.items() if one[0].strategy in SHARES_OF_THEIR_OWN}
        found[key] = members | baselines
        if others and baselines.keys() == others.keys():
            shared.add(source)
    return {key: members for key, members in found.items() if key not in shared}
