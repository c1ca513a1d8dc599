"""Near copies of pictures: found by their difference hash, reported, and told from pictures that are merely equal."""

from __future__ import annotations

import json
import logging
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from engine.collections import near_copies as module
from engine.collections.captions import Item, picture_collection
from engine.collections.near_copies import BITS, NEAR, difference_hash, hashes, near_copies, nearest
from engine.collections.pictures import PICTURE, Picture, UnseenPicture
from engine.sweeps.run import run_sweep
from engine.sweeps.sweep import Sweep
from engine.training.recipe import Settings
from engine.training.training_set import TrainingSet
from tests.builders import tiny_collection
from tests.picture_models import clip_folder


def scene(seed: int) -> Image.Image:
    """A picture with large shapes: blurred noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2))


def changed(picture: Image.Image, how: str, file) -> None:
    if how == "half":
        picture.resize((48, 48), Image.Resampling.BICUBIC).save(file.with_suffix(".png"))
    elif how == "compressed":
        picture.save(file.with_suffix(".jpg"), quality=60)
    else:
        picture.point(lambda value: min(255, int(value * 1.1))).save(file.with_suffix(".png"))


def collection(name, folder, files):
    items = []
    for i, file in enumerate(files):
        items += [
            Item(str(i), PICTURE, Picture(file)),
            Item(str(i), "en", f"{name} {i}"),
            Item(str(i), "de", f"{name}{i}"),
        ]
    return picture_collection(name, items)


@pytest.fixture
def two(tmp_path):
    """Four pictures to train on: a near copy in three ways, and one of its own; and three to evaluate on."""
    files: dict[str, list] = {"train": [], "eval": []}
    for i, how in enumerate(("half", "compressed", "brighter")):
        scene(i).save(tmp_path / f"eval{i}.png")
        changed(scene(i), how, tmp_path / f"train{i}")
        files["eval"].append(tmp_path / f"eval{i}.png")
        files["train"].append(next(tmp_path.glob(f"train{i}.*")))
    scene(9).save(tmp_path / "train9.png")
    return collection("train", tmp_path, [*files["train"], tmp_path / "train9.png"]), collection(
        "eval", tmp_path, files["eval"]
    )


def test_what_was_scaled_compressed_or_brightened_is_a_near_copy_and_another_picture_is_not(two, store):
    training, evaluation = two
    found = near_copies(training, evaluation, store)
    assert found.counts() == {"collection": "eval", "pictures": 3, "bits": NEAR}
    assert found.sentence().startswith("3 pictures look like one of eval (difference hashes at most 20 of 256 bits")


def test_equal_pictures_and_those_without_captions_in_training_do_not_count(two, store):
    training, evaluation = two
    assert near_copies(evaluation, evaluation, store) is None
    kept = training.without_questions({"0"})
    assert near_copies(kept, evaluation, store).pictures == 2


def test_pictures_of_one_colour_and_lost_ones_look_like_none(tmp_path, store):
    for name in ("a", "b", "lost"):
        Image.new("RGB", (20, 20), (ord(name[0]), 0, 9)).save(tmp_path / f"{name}.png")
    scene(1).save(tmp_path / "lost.png")
    one = collection("one", tmp_path, [tmp_path / "a.png", tmp_path / "lost.png"])
    other = collection("other", tmp_path, [tmp_path / "b.png"])
    (tmp_path / "lost.png").unlink()
    assert near_copies(one, other, store).pictures == 0


def test_texts_and_vectors_without_pictures_are_not_compared(two, store, tmp_path):
    assert near_copies(two[0], tiny_collection(), store) is None
    unseen = UnseenPicture(b"a vector", tmp_path / "pictures")
    vectors = picture_collection("vectors", [Item("a", PICTURE, unseen), Item("a", "en", "a")])
    assert near_copies(vectors, two[0], store) is None


def test_hashes_are_made_once(two, store, monkeypatch):
    pictures = [text for text in two[0].corpus.texts if isinstance(text, Picture)]
    first = hashes(pictures, store)
    assert first.shape == (4, BITS // 64)
    monkeypatch.setattr(module, "_hash_or_zeros", lambda _: pytest.fail("hashed again"))
    assert np.array_equal(hashes(pictures, store), first)


@given(st.integers(0, 2**32 - 1))
def test_a_hash_has_a_bit_for_each_step_to_the_right(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 17), np.uint8)
    steps = [pixels[row, column + 1] > pixels[row, column] for row in range(16) for column in range(16)]
    assert Counter(np.unpackbits(difference_hash(pixels).view(np.uint8)).tolist())[1] == sum(steps)
    flipped = pixels.copy()
    flipped[3, 5:7] = (0, 255) if pixels[3, 6] <= pixels[3, 5] else (255, 0)
    differing = np.bitwise_count(difference_hash(pixels) ^ difference_hash(flipped)).sum()
    assert 1 <= differing <= 3


def test_the_nearest_is_that_of_a_slow_loop(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 10)
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 2**64, (7, 4), np.uint64), rng.integers(0, 2**64, (5, 4), np.uint64)
    expected = [min(sum(int(a ^ b).bit_count() for a, b in zip(x, y, strict=True)) for y in other) for x in one]
    assert nearest(one, other).tolist() == expected
    assert nearest(one, other[:0]).tolist() == [BITS + 1] * 7


def test_a_sweep_tells_and_its_checkpoints_keep_it(two, store, tmp_path, monkeypatch, caplog):
    training, evaluation = two
    named = {"train": training, "eval": evaluation}
    monkeypatch.setattr("engine.sweeps.run.open_collection", lambda name, *_, **__: named[name])
    encoder = str(clip_folder(tmp_path / "clip"))
    sweep = Sweep(encoder, "train", ("eval",), (0.5,), settings=Settings(steps=2, batch_size=2))
    with caplog.at_level(logging.WARNING):
        assert run_sweep(sweep, store) == []
    assert "3 pictures look like one of eval" in caplog.text
    [(key, _)] = store.entries("checkpoints")
    told = json.loads((store.path("checkpoints", key) / "training.json").read_text(encoding="utf-8"))
    assert told["near_copies"] == [{"collection": "eval", "pictures": 3, "bits": NEAR}]
    card = (store.path("checkpoints", key) / "README.md").read_text(encoding="utf-8")
    assert "3 of its pictures look like pictures of eval" in card


def test_what_is_held_out_keeps_what_is_known(two, store):
    compared = TrainingSet.without_leaks(two[0], [two[1]]).compared([two[1]], store)
    assert [copies.pictures for copies in compared.near_copies] == [3]
