"""Language bias of an evaluation and of a sweep, and what may be wrong with the data behind them."""

from __future__ import annotations

import polars as pl
import streamlit as st

import engine
from dashboard.cached.evaluations import (
    FRAMES,
    Listed,
    can_read,
    can_search,
    collection_of,
    encoder_of,
    pairs,
    ranks,
    ranks_of_pool,
    store,
    top_of_pool,
)
from engine import bias
from engine.bias import language_probe as of_vectors
from engine.encoders.embedding import embed_collection
from engine.evaluation import checks as engine_alarms
from engine.sweeps.results import Family


def depth(listed: Listed) -> int:
    """How many of the first places count."""
    return min(bias.TOP_K, listed.manifest.top_k)


@st.cache_resource(max_entries=FRAMES, show_spinner="Measuring language bias ...")
def suite(_listed: Listed, key: str) -> bias.Suite:
    """All measures that ranks tell, with intervals."""
    return bias.suite(ranks_of_pool(key), top_of_pool(key), _candidates(_listed), k=depth(_listed))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def advantages(key: str) -> pl.DataFrame:
    """Frame of `bias.advantage_matrix`."""
    return bias.advantage_matrix(ranks_of_pool(key))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def outcomes(key: str) -> pl.DataFrame:
    """Frame of `bias.outcomes`."""
    return bias.outcomes(ranks_of_pool(key), top_of_pool(key))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def documents(key: str) -> tuple[bias.DocumentEffect, pl.DataFrame]:
    """Friedman's test, and the frame of `bias.pushed`."""
    return bias.document_effect(ranks_of_pool(key)), bias.pushed(ranks_of_pool(key))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def probes(key: str, pool: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Frame of `bias.one_target`, and means of `bias.removals` by query language."""
    removed = (
        bias.removals(ranks_of_pool(key), pool)
        .group_by("query_lang")
        .agg(pl.col("map", "without_own", "without_other").mean(), pl.len())
    )
    return bias.one_target(ranks_of_pool(key)), removed.sort("query_lang")


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def agreement(key: str, pool: int, k: int) -> pl.DataFrame:
    """Frame of `bias.agreement_matrix`."""
    return bias.agreement_matrix(top_of_pool(key), pool, k)


@st.cache_resource(max_entries=8, show_spinner="Reading the language from the vectors ...")
def identity(_listed: Listed, key: str) -> of_vectors.Identity:
    """How much language the passages' vectors hold; they come from the store, or are made where it lacks them."""
    _, vectors = embed_collection(encoder_of(_listed), collection_of(_listed), store())
    return of_vectors.identity(vectors, ranks(key))


def parallel(key: str, doc: int) -> list[int]:
    """The passages that answer the first question that a passage answers, in the order of the pool."""
    frame = ranks(key)
    questions = frame.filter(pl.col("doc") == doc)["question"]
    return (
        frame.filter(pl.col("question") == questions.min())["doc"].unique().sort().to_list() if len(questions) else []
    )


def measures_of(evaluation: engine.Evaluation) -> dict[str, float | None]:
    """The measures of an evaluation by name, without intervals."""
    listed = Listed(evaluation.key, "", "", evaluation.manifest)
    return dict(suite(listed, evaluation.key).measures.select("measure", "value").iter_rows())


def has_vectors(listed: Listed) -> bool:
    """Whether an evaluation's vectors can be had here."""
    return can_read(listed) and can_search(listed)


def curves(family: Family) -> pl.DataFrame:
    """The measures against the ratio, of a sweep's mixed batches; frame of `bias.curves`."""
    return _curves(family, tuple(sorted(evaluation.key for _, evaluation in family.evaluations)))


@st.cache_resource(max_entries=8, show_spinner="Measuring the language bias of every ratio ...")
def _curves(_family: Family, keys: tuple[str, ...]) -> pl.DataFrame:
    return bias.curves(_systems(_family))


def compared(family: Family, one: float, other: float) -> pl.DataFrame:
    """One ratio of a sweep against another; frame of `bias.compare_systems`."""
    return _compared(family, tuple(sorted(evaluation.key for _, evaluation in family.evaluations)), one, other)


@st.cache_resource(max_entries=FRAMES, show_spinner="Measuring the language bias of every ratio ...")
def _compared(_family: Family, keys: tuple[str, ...], one: float, other: float) -> pl.DataFrame:
    systems = _systems(_family)
    return bias.compare_systems(systems[one], systems[other])


def _systems(family: Family) -> dict[float, list[bias.BiasSums]]:
    """The ratios of mixed batches, of the seeds whose first passages are kept."""
    systems: dict[float, list[bias.BiasSums]] = {}
    for recipe, evaluation in family.evaluations:
        if recipe.strategy == "hybrid" and recipe.alpha is not None and evaluation.has_top:
            systems.setdefault(recipe.alpha, []).append(_sums(evaluation, evaluation.key))
    return systems


@st.cache_resource(max_entries=200, show_spinner=False)
def _sums(_evaluation: engine.Evaluation, key: str) -> bias.BiasSums:
    # Read past the frames in memory: a sweep is many times what they hold.
    listed = Listed(key, "", "", _evaluation.manifest)
    ranks, top = (_evaluation.asked_of_pool(frame) for frame in (_evaluation.ranks(), _evaluation.top()))
    return bias.bias_sums(ranks, top, _candidates(listed), k=depth(listed))


@st.cache_resource(max_entries=FRAMES, show_spinner=False)
def alarms(_listed: Listed, key: str) -> pl.DataFrame:
    """What may be wrong with the data behind an evaluation; frame of `engine.evaluation.checks.find`."""
    return engine_alarms.find(_listed.manifest, pairs(key), collection_of(_listed) if can_read(_listed) else None)


def _candidates(listed: Listed) -> dict[str, int]:
    if can_read(listed):
        return bias.candidates_of(collection_of(listed))
    evaluated_on, packed = listed.manifest.collection, listed.manifest.packed
    if packed is not None:
        ends = [*packed.starts[1:], evaluated_on.candidates]
        languages = evaluated_on.document_languages or evaluated_on.languages
        return {code: end - start for code, start, end in zip(languages, packed.starts, ends, strict=True)}
    return bias.even_candidates(list(evaluated_on.languages), evaluated_on.candidates)
