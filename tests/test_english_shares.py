"""The second axis of sweeps over pictures: how often captions are English; and the picture side locked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.collections.pictures import PICTURE
from engine.encoders.embedding import embed
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.evaluation.evaluate import evaluations
from engine.ranks.vectors import InMemory
from engine.sweeps.results import families, points
from engine.sweeps.run import results, run_sweep
from engine.sweeps.sweep import Kind, Sweep
from engine.sweeps.uncertainty import System, systems
from engine.training.captions import CaptionSampler
from engine.training.checkpoint import checkpoint_key, read_training
from engine.training.recipe import Settings
from engine.training.towers import Maps, Vectors, starting_maps, tower_vectors, train_maps
from engine.training.train import TrainingSet, make_recipe, train
from tests import builders
from tests.checkpoints import tiny_bert
from tests.command_line import runner
from tests.pages import options_of
from tests.picture_models import clip_folder, vision_folder
from tests.training_builders import made_up_collection

HYPER = Settings(steps=40, batch_size=4, learning_rate=0.01)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """8 pictures with captions in German, English and French."""
    return builders.picture_collection(tmp_path_factory.mktemp("train"), {"de": 1, "en": 1, "fr": 1}, 8)


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Other pictures: the builder's colours depend on the number."""
    whole = builders.picture_collection(tmp_path_factory.mktemp("held"), {"de": 1, "en": 1}, 14)
    later = np.array([int(subject[1:]) >= 8 for subject in whole.corpus.passages])
    return whole.restrict(later, "held")


@pytest.fixture
def opened(training, held, monkeypatch):
    named = {"train": training, "held": held}
    monkeypatch.setattr("engine.sweeps.run.open_collection", lambda name, *_, **__: named[name])


def grid(clip, **changes):
    given = {"alphas": (0.0, 1.0), "english_shares": (None, 0.5, 1.0), "baselines": ("en-en", "x-x"), "settings": HYPER}
    return Sweep(str(clip), "train", ("held",), **{**given, **changes})


def test_a_sweep_is_a_grid_of_ratios_and_shares_and_its_baselines_stand_once(clip):
    shares = (None, 0.5, 1.0)
    hybrid = {Kind("hybrid", alpha, 0, share) for share in shares for alpha in (0.0, 1.0)}
    listed = grid(clip, baselines=("en-en", "x-x", "x-y")).kinds()
    assert len(listed) == len(set(listed))
    assert set(listed) == hybrid | {Kind("en-en", None, 0), Kind("x-x", None, 0)} | {
        Kind("x-y", None, 0, share) for share in shares
    }
    assert set(grid(clip, english_shares=(), baselines=()).kinds()) == {Kind("hybrid", a, 0) for a in (0.0, 1.0)}
    one = grid(clip, english_shares=(), settings=replace(HYPER, english_share=0.5)).kinds()
    assert {kind.english_share for kind in one if kind.strategy == "hybrid"} == {0.5}


def test_one_share_and_several_are_not_given_together(clip):
    with pytest.raises(InputError, match="--english-share and --english-shares were both given"):
        grid(clip, settings=replace(HYPER, english_share=0.5))
    with pytest.raises(InputError, match=r"english share must be a number from 0 to 1, got 1\.5"):
        grid(clip, english_shares=(1.5,))


def test_its_command_line_asks_for_the_same(clip):
    sweep = grid(clip, settings=replace(HYPER, lock_pictures=True))
    line = sweep.to_arguments()
    assert line[line.index("--english-shares") + 1] == "own,0.5,1"
    asked = options_of(line)
    assert asked.english_shares == [None, 0.5, 1.0]
    assert asked.lock_pictures is True
    assert options_of(grid(clip).to_arguments()).lock_pictures is None


def test_every_share_is_kept_apart_in_batches_names_tables_and_sweeps(clip, opened, store):
    sweep = grid(clip)
    assert run_sweep(sweep, store) == []
    table = results(sweep, store)
    assert table.select("strategy", "english_share", "alpha").rows() == [
        ("untrained", None, None),
        ("en-en", None, None),
        *(("hybrid", share, alpha) for share in (None, 0.5, 1.0) for alpha in (0.0, 1.0)),
        ("x-x", None, None),
    ]
    found = {family.recipe.settings.english_share: family for family in families(list(evaluations(store)))}
    assert {share: family.label.partition(" on pictures")[2] for share, family in found.items()} == {
        None: "",
        0.5: ", English share 0.5",
        1.0: ", English share 1",
    }
    for share, family in found.items():
        alone = [System("untrained"), System("en-en"), System("hybrid", 0.0), System("hybrid", 1.0), System("x-x")]
        assert list(systems(family)) == alone
        assert points(family).height == 4
        hybrid = [recipe for recipe, _ in family.evaluations if recipe.strategy == "hybrid"]
        labels = {recipe.label for recipe in hybrid}
        assert all(("English share" in label) == (share is not None) for label in labels)
        for recipe in hybrid:
            drawn = read_training(store, checkpoint_key(recipe))["composition"]["pairs"]
            counts = {row["query_lang"]: row["pairs"] for row in drawn}
            english = counts.get("en", 0) / sum(counts.values())
            assert english == pytest.approx({None: 1 / 3}.get(share, share), abs=0.25 if recipe.alpha else 0.1)
    shared = [{one.key for recipe, one in family.evaluations if recipe.alpha is None} for family in found.values()]
    assert len(shared[0]) == 2
    assert all(keys == shared[0] for keys in shared)


def test_baselines_of_a_grid_without_the_own_share_are_no_sweep_of_their_own(clip, opened, store):
    sweep = grid(clip, english_shares=(0.0, 1.0), alphas=(0.5,))
    assert run_sweep(sweep, store) == []
    found = families(list(evaluations(store)))
    assert sorted(family.recipe.settings.english_share for family in found) == [0.0, 1.0]
    again = found[0].sweep([0.5], [0], baselines=["en-en"])
    assert again.settings.english_share == found[0].recipe.settings.english_share
    monolingual = [one for one in again.kinds() if one.strategy == "en-en"]
    assert monolingual == [Kind("en-en", None, 0)]


def test_merged_checkpoints_keep_their_share(clip, opened, store):
    sweep = grid(clip, alphas=(0.0, 0.5, 1.0), english_shares=(0.5, 1.0), baselines=(), merges=True)
    assert run_sweep(sweep, store) == []
    merged = results(sweep, store).filter(strategy="merge")
    assert merged.select("english_share", "alpha").rows() == [(0.5, 0.5), (1.0, 0.5)]


def test_what_is_for_pictures_is_refused_for_texts(store, tmp_path):
    texts = TrainingSet(made_up_collection())
    encoder = open_encoder(str(tiny_bert(tmp_path / "bert", as_sentence_transformer=True)), store)
    for changes, message in (
        ({"english_share": 0.5}, "english share: made up has no pictures"),
        ({"lock_pictures": True}, "lock pictures: made up has no pictures"),
    ):
        recipe = make_recipe(encoder, texts, alpha=0.5, settings=replace(HYPER, **changes))
        with pytest.raises(InputError, match=message):
            train(recipe, encoder, texts, store)


def locked_by_hand(vectors, sampler, recipe, start):
    """CLIP's loss with a fixed picture side, written out; the text map after the last step."""
    change = torch.zeros_like(torch.from_numpy(start.text), requires_grad=True)
    optimiser = torch.optim.AdamW([change], lr=recipe.settings.learning_rate, weight_decay=recipe.settings.weight_decay)
    everything = np.arange(vectors.pictures.shape[0])
    shown = torch.from_numpy(vectors.pictures.take(everything) @ start.picture.T)
    for batch in sampler:
        texts = torch.from_numpy(vectors.captions.take(batch.queries)) @ (torch.from_numpy(start.text) + change).T
        texts = texts / texts.norm(dim=1, keepdim=True)
        pictures = shown[batch.documents] / shown[batch.documents].norm(dim=1, keepdim=True)
        scores = texts @ pictures.T / recipe.settings.temperature
        picture_found = -scores.log_softmax(dim=1).diagonal().mean()
        caption_found = -scores.log_softmax(dim=0).diagonal().mean()
        optimiser.zero_grad()
        ((picture_found + caption_found) / 2).backward()
        optimiser.step()
    return start.text + change.detach().numpy()


def test_a_locked_picture_side_stays_while_the_text_side_learns(training):
    rng = np.random.default_rng(0)
    queries, candidates = len(training.queries), len(training.corpus)
    vectors = Vectors(*(InMemory(rng.normal(size=(rows, 5)).astype(np.float32)) for rows in (queries, candidates)))
    settings = replace(HYPER, lock_pictures=True, steps=15)
    recipe = make_recipe_of(settings)
    start = Maps(np.eye(5, dtype=np.float32), np.eye(5, dtype=np.float32))
    quiet = {"progress": lambda *_: None, "observe": lambda *_: None}
    maps, course = train_maps(vectors, CaptionSampler(training, recipe, 15), recipe, start, **quiet)
    assert np.array_equal(maps.picture, start.picture)
    expected = locked_by_hand(vectors, CaptionSampler(training, recipe, 15), recipe, start)
    assert np.abs(maps.text - expected).max() < 1e-5
    assert np.abs(maps.text - start.text).max() > 0.01
    assert course.steps == 15
    free = make_recipe_of(replace(settings, lock_pictures=False))
    moved, _ = train_maps(vectors, CaptionSampler(training, free, 15), free, start, **quiet)
    assert np.abs(moved.picture - start.picture).max() > 0.01


def make_recipe_of(settings):
    from engine.training.recipe import Recipe

    return Recipe("e", {}, "c", "head", "hybrid", 0.5, 0, settings)


def test_towers_that_never_met_are_joined_in_the_locked_picture_space(training, clip, store, tmp_path):
    encoder = open_encoder(f"{clip}+{vision_folder(tmp_path / 'vision', size=20)}", store)
    part = TrainingSet.without_leaks(training, [])
    recipe = make_recipe(encoder, part, alpha=0.5, settings=replace(HYPER, lock_pictures=True))
    vectors = tower_vectors(encoder, training, store, lambda *_: None)
    start = starting_maps(encoder, vectors, CaptionSampler(training, recipe, 1), locked=True)
    assert start.text.shape == (20, 16)
    assert np.array_equal(start.picture, np.eye(20))
    trained = open_encoder(train(recipe, encoder, part, store), store)
    assert trained.recipe["settings"]["lock_pictures"] is True
    pictures = [
        text for text, code in zip(training.corpus.texts, training.corpus.languages, strict=True) if code == PICTURE
    ]
    assert np.abs(embed(trained, "query", pictures, store) - embed(encoder, "query", pictures, store)).max() < 1e-6
    assert embed(trained, "query", ["a"], store).shape == (1, 20)


def test_the_command_sweeps_over_shares(clip, opened, store, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    run = runner(capsys)
    given = ("--encoder", str(clip), "--train", "train", "--eval", "held", "--steps", "3", "--batch-size", "4")
    status, out, _ = run("sweep", *given, "--alphas", "0.5", "--english-shares", "own,0.25", "--lock-pictures")
    assert status == 0
    assert "English share" in out
    assert "0.25" in out
    status, _, err = run("sweep", *given, "--english-shares", "much")
    assert status == 2
    assert "numbers by commas" in err
