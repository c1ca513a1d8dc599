"""What a report rests on: the frames behind all that it shows, and what determined them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from engine.evaluation.evaluate import Evaluation
from engine.report import sources
from engine.report.findings import Findings, name_of
from engine.report.request import as_values
from engine.significance.bootstrap import RESAMPLES
from engine.significance.comparison import FLIPS
from engine.training.recipe import Recipe


def frames(found: Findings) -> dict[str, pl.DataFrame]:
    """The frames behind figures, tables and sentences."""
    cells = [
        one.select(pl.lit(system.strategy).alias("strategy"), pl.lit(system.alpha, pl.Float64).alias("alpha"), pl.all())
        for system, one in found.intervals.items()
    ]
    tests = [
        one.select(pl.lit(alpha).alias("alpha"), pl.lit(name_of(found.reference)).alias("reference"), pl.all())
        for alpha, one in found.tests.items()
    ]
    choices = [
        one.select(pl.lit(measure).alias("measure"), pl.lit(setting).alias("setting"), pl.all())
        for (measure, setting), one in found.choices.items()
    ]
    frames = {"points": found.points, "cells": pl.concat(cells), "choices": pl.concat(choices)}
    return frames | ({"differences": pl.concat(tests)} if tests else {})


def run(found: Findings, repeated: Sequence[str]) -> dict[str, Any]:
    """What determined the numbers, as plain values; no times, so that the same inputs give the same file.

    Args:
        found: What the report tells.
        repeated: The commands that repeat it.
    """
    base = found.family.base
    members: list[tuple[Recipe | None, Evaluation]] = [(None, base)] if base is not None else []
    members += [(recipe, one) for recipe, one in found.family.evaluations]
    first: Evaluation = members[-1][1]
    return {
        "report": as_values(found.request),
        "shown": {"alphas": list(found.chosen), "best": found.best, "reference": name_of(found.reference)},
        "sweep": found.family.key,
        "collection": first.manifest.collection.model_dump(mode="json"),
        "evaluations": sorted(
            (
                {
                    "key": one.key,
                    "encoder": one.manifest.encoder.fingerprint,
                    "prompts": one.manifest.encoder.prompts,
                    "max_length": one.manifest.encoder.max_length,
                    "top_k": one.manifest.top_k,
                    "index": one.manifest.index,
                    "recipe": one.manifest.recipe,
                }
                for _, one in members
            ),
            key=lambda one: one["key"],
        ),
        "statistics": {"resamples": RESAMPLES, "flips": FLIPS, "seed": 0, "level": 0.95, "intervals": "bca"},
        "versions": sources.versions(),
        "sources": [{name: getattr(one, name) for name in one.__slots__} for one in sources.sources(found)],
        "commands": list(repeated),
    }
