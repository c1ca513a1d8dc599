"""Hyper-parameters on held-out questions: what is held out, what is scored, and that nothing else is looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from engine.encoders.embedding import embed_collection
from engine.encoders.encoder import SentenceEncoder
from engine.errors import InputError
from engine.progress import silent, unobserved
from engine.storage.store import Store
from engine.sweeps.tuning import Grid, _row, best, tune
from engine.training.checkpoint import read_training
from engine.training.head import Examples, train_head
from engine.training.negatives import HardNegatives
from engine.training.recipe import DEFAULTS, Recipe, Settings
from engine.training.train import make_recipe, train
from engine.training.training_set import TrainingSet, make_sampler
from tests.checkpoints import tiny_bert
from tests.training_builders import SHORT, made_up_collection

SMALL = Grid(steps=(2, 4), learning_rates=(1e-3,), temperatures=(0.05,), alphas=(0.0, 1.0), hold_out=0.25)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder = tmp_path_factory.mktemp("tuning") / "bert"
    return SentenceEncoder(tiny_bert(folder, "ar", "de", "en", as_sentence_transformer=True), "bert")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEFAULTS, "head", Settings(batch_size=4))


@pytest.mark.usefixtures("small_batches")
def test_every_combination_is_scored_and_the_best_is_first(bert: SentenceEncoder, store: Store) -> None:
    scores = tune(bert, TrainingSet(made_up_collection(16)), store, SMALL)
    assert scores["steps"].to_list().count(None) == 1
    assert set(scores["steps"].drop_nulls()) == {2, 4}
    assert scores["score"].to_list() == sorted(scores["score"], reverse=True)
    means = scores.select(pl.mean_horizontal("mono_map", "cross_map", "multi_map")).to_series()
    assert scores["score"].to_list() == pytest.approx(means.to_list())
    first = scores.drop_nulls("steps").row(0, named=True)
    assert best(scores) == replace(DEFAULTS["head"], steps=first["steps"], learning_rate=1e-3, temperature=0.05)


def test_of_equal_scores_the_shorter_training_is_chosen() -> None:
    rows = {"steps": [None, 600, 150], "learning_rate": [None, 1e-3, 1e-3], "temperature": [None, 0.1, 0.1]}
    assert best(pl.DataFrame({**rows, "score": [0.9, 0.5, 0.5]})).steps == 150


def test_a_grid_without_scores_has_no_best() -> None:
    rows = {"steps": [150], "learning_rate": [1e-3], "temperature": [0.1], "score": [None]}
    with pytest.raises(InputError, match="no combination has a score"):
        best(pl.DataFrame(rows, schema_overrides={"score": pl.Float64}))


def test_a_score_of_0_counts_and_a_missing_one_is_not_averaged_over() -> None:
    scores = [{"mono": 0.0, "cross": 0.2, "multi": None}, {"mono": 0.5, "cross": 0.4, "multi": 0.1}]
    row = _row(None, scores)
    assert [row[name] for name in ("mono_map", "cross_map", "multi_map", "score")] == [
        0.25,
        pytest.approx(0.3),
        None,
        None,
    ]


def test_nothing_held_out_cannot_be_tuned_on(bert: SentenceEncoder, store: Store) -> None:
    with pytest.raises(InputError, match="hold_out must be above 0"):
        tune(bert, TrainingSet(made_up_collection(16)), store, replace(SMALL, hold_out=0.0))


def test_a_head_is_watched_on_what_is_held_out_and_never_trained_on_it(bert: SentenceEncoder, store: Store) -> None:
    collection = made_up_collection(16)
    training = TrainingSet(collection)
    recipe = make_recipe(bert, training, alpha=0.5, settings=replace(SHORT, hold_out=0.25))
    result = read_training(store, train(recipe, bert, training, store))
    assert [step for step, _ in result["held_out"]] == [2, 4, 6]
    kept, held_out = training.split(recipe)
    assert result["questions"] == len(set(kept.collection.queries.questions))
    assert not set(kept.collection.queries.questions) & set(held_out[0].queries.questions)


def vectors(rows: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_the_weight_with_the_lowest_held_out_loss_is_kept_and_training_stops() -> None:
    collection = made_up_collection(16)
    settings = replace(SHORT, steps=400, learning_rate=0.1, save_every=10, patience=2)
    recipe = Recipe("e", {}, "c", "head", alpha=0.5, settings=settings)

    def examples(seed: int, steps: int) -> Examples:
        parts = vectors(len(collection.queries), seed), vectors(len(collection.corpus), seed + 1)
        return Examples(*parts, make_sampler(recipe, collection, steps), HardNegatives(collection, 0, 0))

    held_out = examples(7, 5)
    weight, course = train_head(
        examples(3, 400), held_out, recipe, silent, unobserved
    )  # the two share nothing to learn
    losses = [loss for _, loss in course.held_out]
    assert course.steps == 10 * len(losses) < 400
    assert len(losses) - 1 - int(np.argmin(losses)) == 2
    best_step = course.held_out[int(np.argmin(losses))][0]
    shorter = replace(recipe, settings=replace(settings, steps=best_step))
    again, _ = train_head(examples(3, best_step), None, shorter, silent, unobserved)
    np.testing.assert_array_equal(weight, again)


def test_held_out_vectors_are_not_encoded_again(bert: SentenceEncoder, store: Store, monkeypatch) -> None:
    training = TrainingSet(made_up_collection(16))
    embed_collection(bert, training.collection, store)
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("a text was encoded again"))
    recipe = make_recipe(bert, training, alpha=0.5, settings=replace(SHORT, hold_out=0.25))
    train(recipe, bert, training, store)
