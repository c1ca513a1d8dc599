"""Training on captions and pictures: the batches, the maps of both towers, checkpoints, and a sweep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections.captions import Item, picture_collection
from engine.collections.pictures import PICTURE
from engine.encoders.embedding import embed
from engine.encoders.resolve import open_encoder
from engine.encoders.towers import TwoTowers
from engine.errors import InputError
from engine.ranks.vectors import InMemory
from engine.training.captions import CaptionSampler, language_shares
from engine.training.recipe import Recipe, Settings
from engine.training.towers import mean_captions, ridge
from engine.training.train import TrainingSet, make_recipe, train
from tests import builders
from tests.picture_models import clip_folder, vision_folder


def recipe_of(strategy="hybrid", alpha=0.5, seed=0, **values):
    given = Settings(**{"steps": 20, "batch_size": 4, **values})
    return Recipe("e", {}, "c", "head", strategy, alpha, seed, given)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """8 pictures, each with a German and two English captions; 6 of them with a French one."""
    french = [(f"p{i}", "fr", f"image {i}") for i in range(6)]
    return builders.picture_collection(tmp_path_factory.mktemp("pictures"), {"de": 1, "en": 2}, 8, french)


@settings(max_examples=40, deadline=None)
@given(alpha=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 99), tau=st.sampled_from([0.0, 1.0]))
def test_a_batch_has_no_picture_twice_and_is_of_one_kind(collection, alpha, seed, tau):
    sampler = CaptionSampler(collection, recipe_of(alpha=alpha, seed=seed, tau=tau), 12)
    subjects = collection.corpus.passages
    for batch in sampler:
        shown = [subjects[row] for row in batch.documents]
        assert len(set(shown)) == 4
        assert [subjects[row] for row in batch.queries] == shown  # rows of queries and candidates agree
        spoken = {collection.queries.languages[row] for row in batch.queries}
        assert PICTURE not in spoken
        if batch.kind == "mono":
            assert len(spoken) == 1
    kinds = sampler.composition()["batches"]
    assert kinds["mono"] == {0.0: 0, 1.0: 12}.get(alpha, kinds["mono"])


def test_a_batch_is_the_same_whenever_it_is_drawn(collection):
    one, other = (CaptionSampler(collection, recipe_of(seed=3), 5) for _ in range(2))
    assert all(np.array_equal(one.batch(i).queries, other.batch(i).queries) for i in (4, 0, 2))


@pytest.mark.parametrize(("alpha", "share"), [(0.0, 0.9), (1.0, 0.9), (0.5, 0.25)])
def test_english_has_its_share_of_the_pairs(collection, alpha, share):
    sampler = CaptionSampler(collection, recipe_of(alpha=alpha, english_share=share), 1500)
    counts = {row["query_lang"]: row["pairs"] for row in sampler.composition()["pairs"]}
    assert counts["en"] / sum(counts.values()) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(("strategy", "kind"), [("en-en", "mono"), ("x-x", "mixed"), ("x-x-mono", "mono")])
def test_baselines(collection, strategy, kind):
    composition = CaptionSampler(collection, recipe_of(strategy, None), 30).composition()
    assert composition["batches"][kind] == 30
    spoken = {row["query_lang"] for row in composition["pairs"]}
    assert spoken == ({"en"} if strategy == "en-en" else {"de", "en", "fr"})


def test_shares_follow_the_sizes():
    sizes, codes = np.array([10, 40, 0]), ("de", "en", "zxx")
    assert language_shares(sizes, codes, 0.0, None).tolist() == [0.5, 0.5, 0]
    assert language_shares(sizes, codes, 1.0, None).tolist() == [0.2, 0.8, 0]
    assert language_shares(sizes, codes, 1.0, 0.3) == pytest.approx([0.7, 0.3, 0])
    with pytest.raises(InputError, match="english share"):
        language_shares(sizes[:1], codes[:1], 0.0, 0.5)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_caption_pairs_are_two_captions_of_each_picture_in_different_languages(collection, alpha):
    sampler = CaptionSampler(collection, recipe_of(alpha=alpha, caption_pairs=0.4), 300)
    queries = collection.queries
    subjects, pairs = np.array(collection.corpus.passages), 0
    for batch in sampler:
        if batch.kind != "cross":
            continue
        pairs += 1
        first, second = (subjects[rows] for rows in (batch.queries, batch.documents))  # rows of queries are the items
        assert (first == second).all()
        assert len(set(first)) == 4
        spoken = [[queries.languages[row] for row in rows] for rows in (batch.queries, batch.documents)]
        assert all(a != b and PICTURE not in (a, b) for a, b in zip(*spoken, strict=True))
        codes = [[collection.languages[i] for i in of] for of in (batch.query_languages, batch.document_languages)]
        assert codes == spoken
    assert pairs / 300 == pytest.approx(0.4, abs=0.1)
    assert sampler.composition()["batches"]["cross"] == pairs


def test_without_caption_pairs_batches_and_keys_are_those_of_before(collection):
    plain, zero = (CaptionSampler(collection, recipe_of(seed=5, **more), 4) for more in ({}, {"caption_pairs": 0.0}))
    assert all(np.array_equal(a.queries, b.queries) for a, b in zip(plain, zero, strict=True))
    assert "caption_pairs" not in recipe_of().determinants()["settings"]
    assert recipe_of(caption_pairs=0.2).determinants()["settings"]["caption_pairs"] == 0.2


def test_caption_pairs_need_parallel_captions(tmp_path):
    alone = builders.picture_collection(tmp_path, {"en": 2}, 6)
    with pytest.raises(InputError, match=r"caption pairs: 0 pictures have captions in two languages"):
        CaptionSampler(alone, recipe_of(caption_pairs=0.5), 3)


def test_caption_pairs_bring_captions_of_two_languages_together(collection, clip, store):
    encoder = open_encoder(str(clip), store)
    training = TrainingSet.without_leaks(collection, [])
    hyper = Settings(steps=80, batch_size=6, learning_rate=0.01, caption_pairs=0.95)
    key = train(make_recipe(encoder, training, alpha=0.5, settings=hyper), encoder, training, store)
    others = CaptionSampler(collection, recipe_of(seed=9, batch_size=6, caption_pairs=0.95), 40)
    pairs = [batch for batch in others if batch.kind == "cross"]

    def loss(of):
        """InfoNCE from one caption to the other, on average over other batches than were trained on."""
        vectors = embed(of, "query", collection.queries.texts, store)
        scores = [torch.from_numpy(vectors[batch.queries] @ vectors[batch.documents].T) / 0.05 for batch in pairs]
        return np.mean([torch.nn.functional.cross_entropy(one, torch.arange(6)).item() for one in scores])

    assert loss(open_encoder(key, store)) < loss(encoder)


def test_too_large_a_batch_is_refused(collection):
    with pytest.raises(InputError, match="at most 8, got 9"):
        CaptionSampler(collection, recipe_of(batch_size=9), 3)


def test_ridge_is_the_normal_equation_s_solution():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    weight = ridge((inputs[rows], targets[rows]) for rows in (slice(0, 13), slice(13, 30)))
    penalty = np.trace(inputs.T @ inputs) / 4

    def loss(matrix):
        return ((inputs @ matrix.T - targets) ** 2).sum() + penalty * (matrix**2).sum()

    assert all(loss(weight) <= loss(weight + 0.01 * rng.normal(size=weight.shape)) for _ in range(20))


def test_mean_captions_weigh_languages_as_they_are_drawn(collection):
    sampler = CaptionSampler(collection, recipe_of(english_share=0.75, tau=0.0), 2)
    vectors = InMemory(np.eye(len(collection.queries), dtype=np.float32))
    means = np.concatenate([mean_captions(vectors, sampler, block) for block in (np.arange(3), np.arange(3, 8))])
    by_language = {
        code: sum(means[:, row] for row, spoken in enumerate(collection.queries.languages) if spoken == code)
        for code in ("de", "en", "fr")
    }
    assert by_language["de"].tolist() == pytest.approx([0.125] * 6 + [1 / 7] * 2)
    assert by_language["en"].tolist() == pytest.approx([0.75] * 6 + [6 / 7] * 2)
    assert by_language["fr"].tolist() == pytest.approx([0.125] * 6 + [0] * 2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    torch.manual_seed(0)
    return clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.mark.parametrize("towers", ["one model", "never met"])
def test_training_brings_captions_to_their_pictures_and_the_library_loads_it(collection, clip, store, tmp_path, towers):
    from sentence_transformers import SentenceTransformer

    name = str(clip) if towers == "one model" else f"{clip}+{vision_folder(tmp_path / 'vision', size=20)}"
    encoder = open_encoder(name, store)
    training = TrainingSet.without_leaks(collection, [])
    hyper = Settings(steps=60, batch_size=6, learning_rate=0.01)
    key = train(make_recipe(encoder, training, alpha=0.5, settings=hyper), encoder, training, store)
    checkpoint = open_encoder(key, store)
    assert isinstance(checkpoint, TwoTowers)
    assert checkpoint.recipe["alpha"] == 0.5

    def margin(of):
        """How much nearer captions are to their own picture than to others, on average."""
        vectors = embed(of, "query", collection.queries.texts, store)
        low, high = collection.document_range(PICTURE)
        own = np.array([low + int(subject[1:]) for subject in collection.corpus.passages[:low]])
        scores = vectors[:low] @ vectors[low:high].T
        return float((scores[np.arange(low), own - low] - scores.mean(axis=1)).mean())

    assert margin(checkpoint) > margin(encoder)
    library = SentenceTransformer(str(checkpoint.folder), device="cpu")
    texts = [collection.queries.texts[0], collection.queries.texts[-1].open()]
    expected = np.concatenate([library.encode([text]) for text in texts])
    ours = embed(checkpoint, "query", [collection.queries.texts[0], collection.queries.texts[-1]], store)
    assert np.abs(expected - ours).max() < 1e-4


def test_keys_of_recipes_without_an_english_share_stay():
    recipe = recipe_of()
    assert "english_share" not in recipe.determinants()["settings"]
    shared = replace(recipe, settings=replace(recipe.settings, english_share=0.5))
    assert shared.determinants()["settings"]["english_share"] == 0.5


def test_equal_pictures_are_one(tmp_path):
    made = builders.picture_collection(tmp_path, {"en": 1}, 3)
    items = [
        Item(p, c, t)
        for p, c, t in zip(*[getattr(made.corpus, n) for n in ("passages", "languages", "texts")], strict=True)
    ]
    again = [Item("copy", PICTURE, made.corpus.texts[-1]), Item("copy", "en", "the same again")]
    sampler = CaptionSampler(picture_collection("twice", [*items, *again]), recipe_of(batch_size=3), 1)
    assert len(sampler.pairs.pictures) == 3
