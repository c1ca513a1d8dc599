"""What the pages show, from the engine. The only st.cache_*: one engine call a function, with small hashable keys."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

import engine
from engine import bias, metrics, ratios, runs
from engine.catalog import COLLECTIONS, DEMO_SETTINGS, SHIPPED, fetched_folder
from engine.recipe import DEFAULTS

TEXTS_PER_SECOND = 40  # of the default encoder on two CPU cores
_FRAMES = 48  # frames kept in memory for switching back and forth


@dataclass(frozen=True, slots=True)
class Listed:
    """An evaluation as a list shows it."""

    key: str
    collection: str
    checkpoint: str
    about: dict[str, Any]


def store() -> engine.Store:
    """The cache that the dashboard looks at."""
    return engine.Store()


def evaluations() -> list[Listed]:
    """All stored evaluations, oldest first; equal names are told apart by their keys."""
    folder = store().root / "ranks"
    return _evaluations(str(folder), _changed_at(folder))


@st.cache_resource(max_entries=4, show_spinner=False)
def _evaluations(_folder: str, _changed: int) -> list[Listed]:
    found = list(engine.evaluations(store()))
    names = [(e.about["collection"]["name"], e.about["encoder"]["name"]) for e in found]
    return [
        Listed(e.key, name[0], name[1] if names.count(name) == 1 else f"{name[1]} ({e.key[:6]})", e.about)
        for e, name in zip(found, names, strict=True)
    ]


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def summary(key: str) -> engine.Summary:
    """Scores and rank distance of an evaluation."""
    return engine.summarise(engine.find_evaluation(store(), key), ranks=ranks(key))


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def ranks(key: str) -> pl.DataFrame:
    """The ranks of an evaluation."""
    return engine.find_evaluation(store(), key).ranks()


@st.cache_resource(max_entries=8, show_spinner=False)
def top(key: str) -> pl.DataFrame:
    """The first k of the pool of an evaluation."""
    return engine.find_evaluation(store(), key).top()


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def shares(key: str, k: int) -> pl.DataFrame:
    """Share of each document language among the first k."""
    return bias.language_shares(top(key), k)


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def pool_ranks(key: str) -> pl.DataFrame:
    """Pool ranks by query and document language."""
    return bias.pool_ranks(ranks(key))


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def questions(key: str, query_lang: str, doc_lang: str | None) -> pl.DataFrame:
    """How every question of a query language fared: against one document language, or in the pool.

    Returns:
        `question`, `score` (average precision), `distance` (rank distance in the pool); in the collection's order.
    """
    own = ranks(key).filter(pl.col("query_lang") == query_lang)
    if doc_lang is None:
        scored = metrics.per_query(own, "multi", ["map"])
    else:
        setting = "mono" if doc_lang == query_lang else "cross"
        scored = metrics.per_query(own.filter(pl.col("doc_lang") == doc_lang), setting, ["map"])
    rank = pl.col("rank_in_pool")
    distance = own.group_by("question", maintain_order=True).agg(distance=rank.max() - rank.min())
    scored = scored.select("question", score="map")
    return distance.join(scored, on="question", how="inner", maintain_order="left").select(
        "question", "score", "distance"
    )


@st.cache_resource(max_entries=6, show_spinner="Reading the collection ...")
def collection(name: str, every: int, skip_invalid: bool) -> engine.Collection:
    """A collection's texts."""
    return engine.open_collection(name, store(), every=every, skip_invalid=skip_invalid)


def collection_of(listed: Listed) -> engine.Collection:
    """The collection of an evaluation."""
    opened = listed.about["opened_as"]
    return collection(opened["collection"], opened["every"], opened["skip_invalid"])


@st.cache_resource(max_entries=2, show_spinner="Loading the encoder ...")
def encoder(name: str, query_prompt: str, document_prompt: str, max_length: int | None) -> engine.Encoder:
    """An encoder, ready for typed queries."""
    prompts = {"query": query_prompt, "document": document_prompt}
    return engine.open_encoder(name, store(), prompts=prompts, max_length=max_length)


@st.cache_data(max_entries=64, show_spinner="Searching ...")
def retrieve(key: str, text: str, k: int) -> pl.DataFrame:
    """What an evaluation's encoder finds in its pool for a typed text."""
    listed = next(one for one in evaluations() if one.key == key)
    about = listed.about["encoder"]
    prompts = about["prompts"]
    opened = encoder(listed.about["opened_as"]["encoder"], prompts["query"], prompts["document"], about["max_length"])
    return engine.retrieve(opened, collection_of(listed), text, store(), k)


@st.cache_resource(max_entries=4, show_spinner=False)
def _families(_folder: str, _changed: int) -> dict[str, ratios.Family]:
    return {family.key: family for family in ratios.families(list(engine.evaluations(store())))}


def families() -> list[ratios.Family]:
    """All sweeps that have been evaluated, the latest last."""
    folder = store().root / "ranks"
    return list(_families(str(folder), _changed_at(folder)).values())


def family_names(found: list[ratios.Family]) -> dict[str, ratios.Family]:
    """Sweeps by what to call them; equal labels are told apart by their keys."""
    labels = [family.label for family in found]
    return {
        family.label if labels.count(family.label) == 1 else f"{family.label} ({family.key[:6]})": family
        for family in found
    }


def points(family_key: str) -> pl.DataFrame:
    """The points of a sweep."""
    folder = store().root / "ranks"
    return _points(family_key, str(folder), _changed_at(folder))


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _points(family_key: str, folder: str, changed: int) -> pl.DataFrame:
    return ratios.points(_families(folder, changed)[family_key])


def mean_pairs(family_key: str) -> dict[float, pl.DataFrame]:
    """Scores of every language pair by ratio of a sweep's hybrid checkpoints, averaged over seeds."""
    folder = store().root / "ranks"
    return _mean_pairs(family_key, str(folder), _changed_at(folder))


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def _mean_pairs(family_key: str, folder: str, changed: int) -> dict[float, pl.DataFrame]:
    frames: dict[float, list[pl.DataFrame]] = {}
    for recipe, evaluation in _families(folder, changed)[family_key].evaluations:
        if recipe.strategy == "hybrid" and recipe.alpha is not None:
            frames.setdefault(recipe.alpha, []).append(pairs(evaluation.key))
    return {alpha: ratios.mean_pairs(found) for alpha, found in frames.items()}


@st.cache_resource(max_entries=4 * _FRAMES, show_spinner=False)
def pairs(key: str) -> pl.DataFrame:
    """Scores of every language pair of an evaluation, as they were stored with it."""
    return pl.DataFrame(engine.find_evaluation(store(), key).figures()["pairs"])


@st.cache_resource(max_entries=_FRAMES, show_spinner=False)
def most_changed(key: str, other: str, query_lang: str) -> list[str]:
    """Questions of a language whose average precision in the pool differs most between two evaluations; 100 of them."""
    one, two = (questions(k, query_lang, None).select("question", "score") for k in (key, other))
    change = (pl.col("score") - pl.col("score_other")).abs()
    both = one.join(two, on="question", suffix="_other").sort(change, "question", descending=[True, False])
    return both["question"].head(100).to_list()


def sweep_command(family: ratios.Family, alphas: list[float], seeds: list[int]) -> list[str]:
    """The engine's command that adds ratios to a sweep."""
    recipe, opened = family.recipe, family.evaluations[0][1].about["opened_as"]
    defaults, settings = asdict(DEFAULTS[recipe.method]), asdict(recipe.settings)
    command = ["sweep", "--encoder", opened["base"], "--train", opened["training"], "--eval", opened["collection"]]
    command += ["--every", str(opened["every"]), "--method", recipe.method]
    command += ["--alphas", ",".join(f"{alpha:g}" for alpha in alphas), "--seeds", ",".join(map(str, seeds))]
    for name, value in settings.items():
        if value is not None and value != defaults[name]:
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command


def _changed_at(folder: Path) -> int:
    return folder.stat().st_mtime_ns if folder.is_dir() else 0


def fetched() -> list[str]:
    """Names of the catalog's collections that are on this machine, those that come with the project last."""
    return [*(name for name in COLLECTIONS if fetched_folder(name, store()) is not None), *SHIPPED]


def start_demo() -> runs.Run:
    """Train the demo's ratios in the background: alpha 0, 0.5 and 1 first, then those between, then more seeds."""
    command = ["sweep", "--train", "demo-train", "--eval", "demo", "--alphas", "0,0.5,1,0.25,0.75", "--seeds", "0,1,2"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in DEMO_SETTINGS.items()]
    return runs.start([*command, "--merge"], store(), "train the demo's ratios")


def checkpoints() -> dict[str, str]:
    """Names of the trained checkpoints by key."""
    return {key: about["name"] for key, about in store().entries("checkpoints")}


def time_estimate(name: str, every: int) -> str:
    """How long the evaluation of a catalog collection takes here, in words."""
    source = COLLECTIONS[name]
    texts = (source.queries + source.candidates) // every
    minutes = texts / TEXTS_PER_SECOND / 60
    return (
        f"About {texts:,} texts to encode: {max(1, round(minutes))} minutes or so on two CPU cores with the default "
        "encoder, far less on a GPU. It can be stopped and resumed; what is encoded once is kept."
    )


def latest_losses(kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """Losses of the latest run of some commands, as far as it has come."""
    found = [run for run in runs.all_runs(store()) if run.arguments[0] in kinds]
    return runs.losses(store(), found[0].key) if found else []


def compositions() -> dict[str, dict[str, Any]]:
    """What is known of every trained checkpoint's training, by the checkpoint's name."""
    found = {}
    for key, about in store().entries("checkpoints"):
        if about["recipe"]["strategy"] != "merge":
            found[f"{about['name']} ({key[:6]})"] = training_of(key)
    return found


@st.cache_resource(max_entries=200, show_spinner=False)
def training_of(key: str) -> dict[str, Any]:
    """Losses, batches and leaks of a checkpoint's training."""
    return engine.read_training(store(), key)
