"""What both methods share: a checkpoint's papers, what is refused before anything is done, and a cache that breaks."""

from __future__ import annotations

import errno
import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.collections.structures import Collection
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.errors import InputError, StoreError
from engine.evaluation.evaluate import evaluate, evaluations
from engine.storage.store import Store
from engine.training.checkpoint import checkpoint_key, read_training
from engine.training.recipe import Recipe, Settings
from engine.training.sampler import STRATEGIES
from engine.training.train import train
from engine.training.training_set import make_sampler
from tests.checkpoints import tiny_bert
from tests.training_builders import SHORT, made_up_collection, recipe_for


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("training") / "bert", "ar", "de", "en", as_sentence_transformer=True)


@pytest.fixture(scope="module")
def collection() -> Collection:
    return made_up_collection(4)


@pytest.mark.parametrize("method", ["head", "full"])
def test_a_checkpoint_tells_how_it_was_made(bert: Path, collection: Collection, store: Store, method: str) -> None:
    settings = replace(SHORT, accumulate=2 if method == "full" else 1)
    recipe, encoder, training = recipe_for(bert, collection, settings, method=method, seed=5)
    key = train(recipe, encoder, training, store)
    [(listed, about)] = store.entries("checkpoints")
    assert key == listed == checkpoint_key(recipe)
    assert about["name"] == recipe.label
    told = json.loads((store.path("checkpoints", key) / "recipe.json").read_text(encoding="utf-8"))
    assert Recipe.from_dict(told) == recipe
    assert told == about["recipe"] == asdict(recipe)
    assert open_encoder(key, store).recipe == told
    result = read_training(store, key)
    assert (result["steps"], result["questions"], result["leaks"], result["held_out"]) == (6, 8, [], [])
    assert result["losses"][-1][0] == 6
    assert result["seconds"] > 0
    kinds, pairs = Counter(), Counter()
    for batch in make_sampler(recipe, collection, 6 * settings.accumulate):
        kinds[batch.kind] += 1
        codes = collection.languages
        pairs.update((codes[a], codes[b]) for a, b in zip(batch.query_languages, batch.document_languages, strict=True))
    composition = result["composition"]
    assert composition["batches"] == {"mono": 0, "cross": 0, "mixed": 0} | kinds
    assert {(row["query_lang"], row["doc_lang"]): row["pairs"] for row in composition["pairs"]} == pairs


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_trains(bert: Path, collection: Collection, store: Store, strategy: str) -> None:
    recipe, encoder, training = recipe_for(bert, collection, strategy=strategy)
    composition = read_training(store, train(recipe, encoder, training, store))["composition"]
    kinds = {kind for kind, count in composition["batches"].items() if count}
    expected = {"hybrid": {"mono", "cross"}, "x-x-mono": {"mono"}, "x-y": {"cross"}, "x-x": {"mixed"}}
    assert kinds == expected.get(strategy, {"mono"})
    pairs = {(row["query_lang"], row["doc_lang"]) for row in composition["pairs"]}
    if strategy == "en-en":
        assert pairs == {("en", "en")}
    elif strategy in ("x-x", "x-x-mono"):
        assert all(query == document for query, document in pairs)
    elif strategy == "x-y":
        assert all(query != document for query, document in pairs)


def test_a_trained_checkpoint_ranks_what_it_was_trained_on_better(bert: Path, collection, store: Store) -> None:
    settings = replace(SHORT, steps=150, learning_rate=0.03)
    recipe, encoder, training = recipe_for(bert, collection, settings)
    trained = open_encoder(train(recipe, encoder, training, store), store)
    before, after = (
        evaluate(one, collection, store).figures()["settings"]["multi"]["map"] for one in (encoder, trained)
    )
    assert after > before + 0.2
    assert {found.manifest.recipe is None for found in evaluations(store)} == {True, False}


@pytest.mark.parametrize("method", ["head", "full"])
@pytest.mark.parametrize(
    ("languages", "options", "settings", "parts"),
    [
        (["en"], {"alpha": 0.5}, SHORT, ["no question exists in two languages", "parallel collection"]),
        (["de", "en"], {"alpha": 1.0}, replace(SHORT, batch_size=9), ["batch size must be at most 8"]),
        (["ar", "de"], {"strategy": "en-en"}, SHORT, ["strategy en-en", "ar, de", "without en"]),
    ],
    ids=["one language", "batch too large", "no English"],
)
def test_batches_that_cannot_be_drawn_are_refused_first(
    bert: Path, store: Store, monkeypatch, method: str, languages, options, settings: Settings, parts: list[str]
) -> None:
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("encoded before the batches were checked"))
    collection = made_up_collection(4, languages)
    with pytest.raises(InputError) as caught:
        train(*recipe_for(bert, collection, settings, method=method, **options), store)
    for part in parts:
        assert part in str(caught.value)
    assert not list(store.root.glob("checkpoints/*"))


def test_one_language_is_enough_for_monolingual_batches(bert: Path, store: Store) -> None:
    key = train(*recipe_for(bert, made_up_collection(4, ["de"]), alpha=1.0), store)
    assert read_training(store, key)["composition"]["batches"]["mono"] == SHORT.steps


@pytest.mark.parametrize("name", ["manifest.json", "recipe.json", "modules.json", "2_Head/model.safetensors"])
def test_a_checkpoint_cut_short_is_trained_again(bert: Path, collection, store: Store, name: str, caplog) -> None:
    parts = recipe_for(bert, collection)
    folder = store.path("checkpoints", train(*parts, store))
    file = folder / name
    whole = file.read_bytes()
    file.unlink()  # for the bytes of others may be the same file
    file.write_bytes(whole[: len(whole) // 2])
    again = store.path("checkpoints", train(*parts, store))
    assert "is broken" in caplog.text
    assert again == folder
    assert store.fault("checkpoints", folder.name) is None
    assert file.read_bytes() == whole or name == "manifest.json"  # which tells when it was made


def test_a_full_disk_leaves_no_checkpoint(bert: Path, collection: Collection, store: Store, monkeypatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="the disk is full"):
        patch.setattr("engine.training.train.write_checkpoint", full_disk)
        train(*recipe_for(bert, collection), store)
    assert not list(store.root.glob("checkpoints/*"))
    train(*recipe_for(bert, collection), store)
    assert len(list(store.entries("checkpoints"))) == 1


def test_progress_is_told_from_encoding_to_the_last_step(bert: Path, collection: Collection, store: Store) -> None:
    told: dict[str, list[tuple[float, float]]] = {}
    train(*recipe_for(bert, collection), store, progress=lambda stage, *done: told.setdefault(stage, []).append(done))
    assert list(told) == ["encode queries", "encode passages", "train"]
    for steps in told.values():
        assert steps[-1][0] == steps[-1][1]
        assert steps == sorted(steps)
