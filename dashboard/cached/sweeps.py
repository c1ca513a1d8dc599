"""Sweeps: recipes that differ in ratio and seed, what they came to, and the commands that make more of them."""

from __future__ import annotations

import logging
from typing import Any

import polars as pl
import streamlit as st

import engine
from dashboard.cached.evaluations import FRAMES, changed_at, pairs, store
from engine.storage import jobs
from engine.sweeps import all_weights as beside
from engine.sweeps import kept, results
from engine.sweeps import losses as engine_losses
from engine.sweeps.all_weights import Both
from engine.sweeps.demos import DEMOS

logger = logging.getLogger(__name__)


@st.cache_resource(max_entries=4, show_spinner=False)
def _families(folder: str, changed: int) -> dict[str, results.Family]:
    return {family.key: family for family in results.families(list(engine.evaluations(store())))}


def families() -> list[results.Family]:
    """All sweeps that have been evaluated, the latest last."""
    folder = store().root / "ranks"
    return list(_families(str(folder), changed_at(folder)).values())


def family_names(found: list[results.Family]) -> dict[str, results.Family]:
    """Sweeps by what to call them; equal labels are told apart by their keys."""
    labels = [family.label for family in found]
    return {
        family.label if labels.count(family.label) == 1 else f"{family.label} ({family.key[:6]})": family
        for family in found
    }


def points(family_key: str) -> pl.DataFrame:
    """The points of a sweep."""
    folder = store().root / "ranks"
    return _points(family_key, str(folder), changed_at(folder))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def _points(family_key: str, folder: str, changed: int) -> pl.DataFrame:
    return results.points(_families(folder, changed)[family_key])


def mean_pairs(family_key: str) -> dict[float, pl.DataFrame]:
    """Scores of every language pair by ratio of a sweep's hybrid checkpoints, averaged over seeds."""
    folder = store().root / "ranks"
    return _mean_pairs(family_key, str(folder), changed_at(folder))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def _mean_pairs(family_key: str, folder: str, changed: int) -> dict[float, pl.DataFrame]:
    frames: dict[float, list[pl.DataFrame]] = {}
    for recipe, evaluation in _families(folder, changed)[family_key].evaluations:
        if recipe.strategy == "hybrid" and recipe.alpha is not None:
            frames.setdefault(recipe.alpha, []).append(pairs(evaluation.key))
    return {alpha: results.mean_pairs(found) for alpha, found in frames.items()}


def sweep_command(family: results.Family, alphas: list[float], seeds: list[int]) -> list[str]:
    """The engine's command that adds ratios to a sweep."""
    return family.sweep(alphas, seeds).to_arguments()


def start_demo(collection: str = "demo", *, again: bool = False) -> jobs.Run:
    """Train the ratios of a collection that comes with the project in the background, the ends and the middle first.

    Args:
        collection: One of `DEMOS`.
        again: Start it even if it has failed or was stopped; otherwise such a run is returned as it is.
    """
    command = DEMOS[collection].to_arguments()
    earlier = [run for run in jobs.all_runs(store()) if run.arguments == tuple(command)]
    if earlier and earlier[0].state in ("failed", "stopped") and not again:
        return earlier[0]
    return jobs.start(command, store(), f"train the ratios of {collection}")


def beside_all_weights(family: results.Family) -> Both | None:
    """Sweeps of all weights and of heads, with the encoder and the collections of a sweep; None if one is missing."""
    shown, recipe = family.opened_as.collection, family.recipe
    return beside.find(
        [
            one
            for one in families()
            if one.opened_as.collection == shown
            and (one.recipe.encoder, one.recipe.collection_name) == (recipe.encoder, recipe.collection_name)
        ]
    )


def all_weights(both: Both, columns: tuple[str, ...]) -> tuple[str | None, pl.DataFrame]:
    """What the ends of the scale differ in for both sweeps, where that is kept; and the means of their ratios."""
    return _all_weights(both, (kept.state(both.full), kept.state(both.heads)), columns)


@st.cache_resource(max_entries=4, show_spinner=False)
def _all_weights(_both: Both, states: tuple[str, str], columns: tuple[str, ...]) -> tuple[str | None, pl.DataFrame]:
    full, heads = (kept.read(family) for family in _both)
    told = None if full is None or heads is None else beside.sentence(full, heads)
    return told, beside.table(_both, columns)


def losses(family: results.Family) -> pl.DataFrame:
    """Loss curves of a sweep's mixed batches, as far as they are here or come with the project."""
    return _losses(family, kept.state(family))


@st.cache_resource(max_entries=8, show_spinner=False)
def _losses(_family: results.Family, state: str) -> pl.DataFrame:
    return engine_losses.losses(_family, store())


def checkpoints() -> dict[str, str]:
    """Names of the trained checkpoints by key."""
    return {key: about["name"] for key, about in store().entries("checkpoints")}


def latest_losses(kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """Losses of the latest run of some commands, as far as it has come."""
    found = [run for run in jobs.all_runs(store()) if run.arguments[0] in kinds]
    return jobs.losses(store(), found[0].key) if found else []


def compositions() -> dict[str, dict[str, Any]]:
    """What is known of the training of every checkpoint that was trained on batches, by the checkpoint's name."""
    known = {}
    for key, about in store().entries("checkpoints"):
        if about["recipe"]["strategy"] != "merge":
            try:
                known[f"{about['name']} ({key[:6]})"] = training_of(key)
            except engine.StoreError as error:
                logger.warning("%s; train the recipe again to have it", error)
    return {name: training for name, training in known.items() if training["composition"]["batches"]}


@st.cache_resource(max_entries=200, show_spinner=False)
def training_of(key: str) -> dict[str, Any]:
    """Losses, batches and leaks of a checkpoint's training."""
    return engine.read_training(store(), key)
