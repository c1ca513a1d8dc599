"""Merged checkpoints: each weight is the average of the ends' weights, and they are checkpoints like others."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from engine.collections.contamination import MARKS
from engine.collections.structures import Collection
from engine.encoders.embedding import embed
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.evaluation.evaluate import evaluate
from engine.storage.store import Store
from engine.training.checkpoint import checkpoint_key
from engine.training.merge import average_folders, merge_checkpoints
from engine.training.recipe import Recipe
from engine.training.train import train
from tests.checkpoints import change_json, tiny_bert, tiny_xlm_roberta
from tests.training_builders import SHORT, made_up_collection, recipe_for, weights

ENDS = (0.0, 1.0)


@pytest.fixture(scope="module")
def collection() -> Collection:
    return made_up_collection(4)


@pytest.fixture(scope="module")
def trained(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, Recipe]]:
    """A store with both ends trained by each method, and a recipe of each method."""
    root = tmp_path_factory.mktemp("merging")
    bert = tiny_bert(root / "bert", "ar", "de", "en", as_sentence_transformer=True, prompts={"query": "Wo "})
    store, recipes = Store(root / "cache"), {}
    for method, rate in (("head", 0.05), ("full", 0.01)):
        for alpha in ENDS:
            settings = replace(SHORT, learning_rate=rate)
            recipe, *rest = recipe_for(bert, collection, settings, method=method, alpha=alpha)
            train(recipe, *rest, store)
            recipes[method] = recipe
    return store, recipes


def ends(recipe: Recipe, store: Store) -> list[Path]:
    return [store.path("checkpoints", checkpoint_key(replace(recipe, alpha=alpha))) for alpha in ENDS]


@pytest.mark.parametrize("method", ["head", "full"])
@pytest.mark.parametrize("weight", [0.25, 0.7])
def test_every_weight_is_the_average_of_the_ends(trained, method: str, weight: float) -> None:
    store, recipes = trained
    key = merge_checkpoints(recipes[method], weight, store)
    first, second = (weights(folder) for folder in ends(recipes[method], store))
    merged, changed = weights(store.path("checkpoints", key)), 0
    assert merged.keys() == first.keys() == second.keys()
    for name, tensor in merged.items():
        expected = (1 - weight) * first[name].astype(np.float64) + weight * second[name].astype(np.float64)
        assert tensor.dtype == first[name].dtype
        assert np.abs(tensor - expected).max() < 1e-6
        changed += not np.array_equal(first[name], second[name])
        assert not np.array_equal(first[name], second[name]) or np.array_equal(tensor, first[name])
    assert changed == 1 if method == "head" else changed > 20


@pytest.mark.parametrize("method", ["head", "full"])
def test_with_all_the_weight_on_one_end_it_is_that_end(trained, collection: Collection, method: str) -> None:
    store, recipes = trained
    for end, folder in zip(ENDS, ends(recipes[method], store), strict=True):
        merged = open_encoder(merge_checkpoints(recipes[method], end, store), store)
        texts = collection.queries.texts[:6]
        same = open_encoder(folder.name, store)
        assert np.abs(merged.encode(texts, "query") - same.encode(texts, "query")).max() < 1e-6
        old, new = weights(folder), weights(merged.folder)
        assert all(np.array_equal(new[name], tensor) for name, tensor in old.items())
    one, other = (open_encoder(folder.name, store) for folder in ends(recipes[method], store))
    assert np.abs(one.encode(texts, "query") - other.encode(texts, "query")).max() > 1e-3


def test_a_merge_is_a_checkpoint_like_others(trained, collection: Collection) -> None:
    store, recipes = trained
    key = merge_checkpoints(recipes["head"], 0.5, store)
    assert store.fault("checkpoints", key) is None
    merged = open_encoder(key, store)
    assert merged.name == "bert, head on made up, merge, alpha 0.5, seed 0"
    recipe = Recipe.from_dict(merged.recipe)
    assert recipe == replace(recipes["head"], strategy="merge", alpha=0.5)
    assert checkpoint_key(recipe) == key
    first, second = ends(recipes["head"], store)
    for folder in (first, second):
        assert (folder / MARKS).read_bytes() == (store.path("checkpoints", key) / MARKS).read_bytes()
    found = evaluate(merged, collection, store)
    assert found.manifest.recipe["strategy"] == "merge"
    assert found.manifest.seen_in_training.queries == len(collection.queries)
    maps = [evaluate(open_encoder(f.name, store), collection, store).key for f in (first, second)]
    assert len({found.key, *maps}) == 3
    alone = SentenceTransformer(str(merged.folder), device="cpu")
    texts = collection.queries.texts[:6]
    assert np.abs(alone.encode_query(list(texts)) - embed(merged, "query", texts, store)).max() < 1e-5


def test_the_ratio_of_the_recipe_does_not_count_and_a_merge_is_found_again(trained, monkeypatch) -> None:
    store, recipes = trained
    key = merge_checkpoints(recipes["head"], 0.4, store)
    monkeypatch.setattr("engine.training.merge.average_folders", lambda *_: pytest.fail("averaged again"))
    assert merge_checkpoints(replace(recipes["head"], alpha=0.9), 0.4, store) == key


@pytest.mark.parametrize("missing", ENDS)
def test_an_end_that_is_not_trained_is_told(trained, store: Store, missing: float) -> None:
    full, recipes = trained
    there = checkpoint_key(replace(recipes["head"], alpha=1 - missing))
    with store.writing("checkpoints", there, {}) as folder:
        (folder / "file").write_text("of the end that is there")
    assert full.get("checkpoints", there)
    with pytest.raises(InputError) as caught:
        merge_checkpoints(recipes["head"], 0.5, store)
    assert f"alpha {missing:g}, seed 0 is not trained yet; train alpha 0 and alpha 1 first" in str(caught.value)
    assert [path.name for path in store.root.glob("checkpoints/*")] == [there]


def test_ends_of_another_seed_do_not_count(trained) -> None:
    store, recipes = trained
    with pytest.raises(InputError, match="alpha 0, seed 1 is not trained yet"):
        merge_checkpoints(replace(recipes["head"], seed=1), 0.5, store)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, nan])
def test_a_weight_outside_0_and_1_is_refused(trained, alpha: float) -> None:
    store, recipes = trained
    with pytest.raises(InputError, match=f"from 0 to 1, got {alpha}"):
        merge_checkpoints(recipes["head"], alpha, store)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two model folders that differ in their weights only, and an empty folder."""
    target = tmp_path / "target"
    target.mkdir()
    return *(tiny_bert(tmp_path / str(seed), seed=seed, as_sentence_transformer=True) for seed in (0, 1)), target


def test_models_of_another_architecture_do_not_fit(pair, tmp_path: Path) -> None:
    first, _, target = pair
    other = tiny_xlm_roberta(tmp_path / "xlm-r", as_sentence_transformer=True)
    with pytest.raises(InputError, match="differs between the checkpoints; merge checkpoints of one sweep"):
        average_folders(first, other, 0.5, target)


def test_models_with_other_settings_do_not_fit(pair) -> None:
    first, second, target = pair
    change_json(second / "1_Pooling" / "config.json", pooling_mode="cls")
    with pytest.raises(InputError, match=r"merge: 1_Pooling/config.json differs"):
        average_folders(first, second, 0.5, target)


def test_models_with_other_files_do_not_fit(pair) -> None:
    first, second, target = pair
    (second / "more.txt").write_text("more")
    with pytest.raises(InputError, match="hold different files; merge checkpoints of one sweep"):
        average_folders(first, second, 0.5, target)


def rewrite(file: Path, **tensors: np.ndarray) -> None:
    content = {**load_file(file), **tensors}
    file.unlink()
    save_file(content, file)


@pytest.mark.parametrize("tensors", [{"more": np.zeros(2)}, {"embeddings.LayerNorm.bias": np.zeros(2)}], ids=str)
def test_models_with_other_tensors_do_not_fit(pair, tensors: dict[str, np.ndarray]) -> None:
    first, second, target = pair
    rewrite(second / "model.safetensors", **tensors)
    with pytest.raises(InputError, match=r"model.safetensors holds other tensors in the two checkpoints"):
        average_folders(first, second, 0.5, target)


def test_whole_numbers_stay_whole_and_half_precision_stays_half(pair, tmp_path: Path) -> None:
    first, second, target = pair
    halves = np.array([1.0, 3.0], np.float16), np.array([2.0, 4.0], np.float16)
    for folder, half in zip((first, second), halves, strict=True):
        rewrite(folder / "model.safetensors", places=np.arange(1000), half=half)
    average_folders(first, second, 0.3, target)
    merged = load_file(target / "model.safetensors")
    assert np.array_equal(merged["places"], np.arange(1000))
    assert merged["half"].dtype == np.float16
    assert merged["half"].tolist() == pytest.approx([1.3, 3.3], abs=2e-3)
    rewrite(second / "model.safetensors", places=np.arange(1000)[::-1].copy())
    with pytest.raises(InputError, match="holds whole numbers that differ"):
        average_folders(first, second, 0.3, tmp_path / "another")
