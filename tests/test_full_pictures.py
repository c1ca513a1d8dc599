"""The method `full` on captions and pictures: CLIP's loss, towers of all kinds, locked pictures, resumed runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.collections.given import Given
from engine.collections.pictures import PICTURE
from engine.encoders.embedding import embed
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.encoders.towers import TwoTowers
from engine.errors import InputError
from engine.storage.store import Store
from engine.training.captions import CaptionSampler
from engine.training.checkpoint import read_training
from engine.training.recipe import Settings
from engine.training.train import make_recipe, train
from engine.training.training_set import TrainingSet
from tests import builders
from tests.checkpoints import tiny_bert
from tests.openclip_models import openclip_folder
from tests.picture_models import clip_folder, vision_folder
from tests.training_builders import same_weights

SHORT = Settings(steps=6, batch_size=4, learning_rate=1e-3, max_length=16, save_every=2)
KINDS = ("one model", "towers that met", "towers that never met")


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    text = tiny_bert(root / "text", "de", "en", as_sentence_transformer=True)
    return {
        "one model": str(clip_folder(root / "clip")),
        "towers that met": str(openclip_folder(root / "openclip", "base")),
        "towers that never met": f"{text}+{vision_folder(root / 'vision', size=20)}",
    }


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return builders.picture_collection(tmp_path_factory.mktemp("pictures"), {"de": 1, "en": 1}, 8)


def run(name, collection, store, settings=SHORT, **options):
    encoder, training = open_encoder(name, store), TrainingSet.without_leaks(collection, [])
    recipe = make_recipe(encoder, training, method="full", alpha=0.5, settings=settings)
    return recipe, train(recipe, encoder, training, store, **options)


def parts(collection):
    """Captions, and pictures."""
    low, high = collection.document_range(PICTURE)
    return collection.corpus.texts[:low], collection.corpus.texts[low:high]


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_are_trained_and_plain_sentence_transformers_loads_the_checkpoint(kind, names, collection, store):
    from sentence_transformers import SentenceTransformer

    _, key = run(names[kind], collection, store)
    base, trained = open_encoder(names[kind], store), open_encoder(key, store)
    assert isinstance(trained, SentenceEncoder if kind == "one model" else TwoTowers)
    assert len({embed(trained, "query", texts, store).shape[1] for texts in parts(collection)}) == 1
    for texts in parts(collection):
        after, before = embed(trained, "query", texts, store), embed(base, "query", texts, store)
        if after.shape == before.shape:
            assert np.abs(after - before).max() > 1e-3
    caption, picture = (texts[0] for texts in parts(collection))
    library = SentenceTransformer(str(trained.folder), device="cpu")
    both = np.concatenate([library.encode([caption]), library.encode([picture.open()])])
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    assert np.abs(both - embed(trained, "query", [caption, picture], store)).max() < 1e-5
    told = read_training(store, key)
    assert told["steps"] == 6
    assert sum(told["composition"]["batches"].values()) == 6
    assert {row["doc_lang"] for row in told["composition"]["pairs"]} == {PICTURE}


@pytest.mark.parametrize("kind", KINDS)
def test_locked_pictures_stay_while_texts_move(kind, names, collection, store):
    _, key = run(names[kind], collection, store, replace(SHORT, lock_pictures=True))
    base, trained = open_encoder(names[kind], store), open_encoder(key, store)
    captions, pictures = parts(collection)
    assert np.abs(embed(trained, "query", pictures, store) - embed(base, "query", pictures, store)).max() < 1e-6
    after, before = embed(trained, "query", captions, store), embed(base, "query", captions, store)
    assert after.shape != before.shape or np.abs(after - before).max() > 1e-3


def clip_loss(encoder, collection, batch, temperature):
    """CLIP's loss of a batch, written out: the mean of both directions' cross-entropies."""
    captions = encoder.encode([collection.queries.texts[row] for row in batch.queries], "query")
    pictures = encoder.encode([collection.corpus.texts[row] for row in batch.documents], "document")
    scores = captions @ pictures.T / temperature
    both = [-np.diag(part - np.log(np.exp(part).sum(axis=1, keepdims=True))).mean() for part in (scores, scores.T)]
    return float(np.mean(both))


def test_the_loss_is_clip_s(names, collection, store):
    recipe, key = run(names["one model"], collection, store, replace(SHORT, steps=1))
    [(step, loss)] = read_training(store, key)["losses"]
    assert step == 1
    batch = CaptionSampler(collection, recipe, 1).batch(0)
    base = open_encoder(names["one model"], store)  # it has no dropout
    assert loss == pytest.approx(clip_loss(base, collection, batch, recipe.settings.temperature), abs=1e-3)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_an_interrupted_run_goes_on_to_the_same_end(kind, names, collection, tmp_path):
    stores = [Store(tmp_path / name) for name in ("whole", "resumed")]
    settings = replace(SHORT, lock_pictures=True, accumulate=2)
    whole = stores[0].path("checkpoints", run(names[kind], collection, stores[0], settings)[1])

    def stop(stage, done, total):
        if stage == "train" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(names[kind], collection, stores[1], settings, progress=stop)
    steps = []
    _, key = run(
        names[kind],
        collection,
        stores[1],
        settings,
        progress=lambda stage, done, _: steps.append(done) if stage == "train" else None,
    )
    assert steps == [5, 6]
    assert same_weights(whole, stores[1].path("checkpoints", key))
    assert not list(stores[1].root.glob("checkpoints/.*"))


def test_training_brings_captions_nearer_to_their_pictures(names, collection, store):
    settings = replace(SHORT, steps=30, learning_rate=0.01, batch_size=8)
    _, key = run(names["one model"], collection, store, settings)
    losses = [loss for _, loss in read_training(store, key)["losses"]]
    assert losses[-1] < losses[0] - 0.1


def test_vectors_in_place_of_pictures_are_refused(names, collection, store):
    given = replace(collection, given=object.__new__(Given))
    encoder = open_encoder(names["one model"], store)
    with pytest.raises(InputError, match="has vectors in place of pictures"):
        make_recipe(encoder, TrainingSet(given), method="full", alpha=0.5)


@pytest.mark.parametrize("changes", [{"hold_out": 0.5}, {"hard_negatives": 1}])
def test_what_pictures_have_no_use_for_is_refused(names, collection, store, changes):
    encoder = open_encoder(names["one model"], store)
    with pytest.raises(InputError, match="without language adjustment, hard negatives and hold-out"):
        make_recipe(encoder, TrainingSet(collection), method="full", alpha=0.5, settings=replace(SHORT, **changes))
