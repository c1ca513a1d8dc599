"""What is known of a language agrees with what Unicode knows of the letters of its own name."""

from __future__ import annotations

import unicodedata

import pytest

from engine.catalog import COLLECTIONS
from engine.errors import InputError
from engine.languages import LANGUAGES, language

_LETTERS = {
    "Arab": "ARABIC",
    "Beng": "BENGALI",
    "Cyrl": "CYRILLIC",
    "Deva": "DEVANAGARI",
    "Grek": "GREEK",
    "Hans": "CJK",
    "Hebr": "HEBREW",
    "Jpan": "CJK",
    "Kore": "HANGUL",
    "Latn": "LATIN",
    "Telu": "TELUGU",
    "Thai": "THAI",
}
_FAMILIES = {
    "Afro-Asiatic": {"ar"},
    "Indo-European": {"de", "el", "en", "es", "hi", "ru"},
    "Tai-Kadai": {"th"},
    "Turkic": {"tr"},
    "Austroasiatic": {"vi"},
    "Sino-Tibetan": {"zh"},
}

codes = pytest.mark.parametrize("code", LANGUAGES)


def _first_letter(text: str) -> str:
    return next(character for character in text if unicodedata.category(character).startswith("L"))


@codes
def test_the_direction_is_that_of_the_languages_own_name(code: str):
    right_to_left = unicodedata.bidirectional(_first_letter(language(code).endonym)) in ("R", "AL")
    assert language(code).direction == ("rtl" if right_to_left else "ltr")


@codes
def test_the_script_is_that_of_the_languages_own_name(code: str):
    found = language(code)
    assert unicodedata.name(_first_letter(found.endonym)).startswith(_LETTERS[found.script])


@codes
def test_every_field_is_filled_in_and_without_space_around_it(code: str):
    found = language(code)
    assert found.code == code
    for value in (found.code, found.name, found.endonym, found.script, found.family):
        assert value
        assert value == value.strip()


@codes
def test_a_code_is_two_or_three_small_letters(code: str):
    assert code.isascii()
    assert code.isalpha()
    assert code.islower()
    assert len(code) in (2, 3)


def test_no_two_languages_share_a_name():
    assert len({found.name for found in LANGUAGES.values()}) == len(LANGUAGES)
    assert len({found.endonym for found in LANGUAGES.values()}) == len(LANGUAGES)


def test_the_languages_of_all_named_collections_are_known():
    files = {file.removesuffix(".json") for source in COLLECTIONS.values() for file in source.files}
    assert files == {"ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"}
    assert files <= LANGUAGES.keys()


def test_families_of_the_collections_languages():
    assert {code: language(code).family for codes in _FAMILIES.values() for code in codes} == {
        code: family for family, codes in _FAMILIES.items() for code in codes
    }


def test_arabic_persian_hebrew_and_urdu_are_the_languages_from_right_to_left():
    assert {code for code, found in LANGUAGES.items() if found.direction == "rtl"} == {"ar", "fa", "he", "ur"}


@pytest.mark.parametrize("code", ["xx", "", "EN", "english", "de "])
def test_an_unknown_code_is_refused_in_one_line_that_names_it(code: str):
    with pytest.raises(InputError) as caught:
        language(code)
    assert repr(code) in str(caught.value)
    assert "allowed are ar, bn" in str(caught.value)
    assert "\n" not in str(caught.value)
