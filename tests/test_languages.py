"""What is known of a language agrees with what Unicode knows of the letters of its own name."""

from __future__ import annotations

import unicodedata

import pytest

from engine.collections.catalog import COLLECTIONS
from engine.collections.languages import LANGUAGES, from_tag, language, to_tag
from engine.errors import InputError

_LETTERS = {
    "Arab": "ARABIC",
    "Armn": "ARMENIAN",
    "Beng": "BENGALI",
    "Cyrl": "CYRILLIC",
    "Deva": "DEVANAGARI",
    "Ethi": "ETHIOPIC",
    "Geor": "GEORGIAN",
    "Grek": "GREEK",
    "Gujr": "GUJARATI",
    "Guru": "GURMUKHI",
    "Hans": "CJK",
    "Hant": "CJK",
    "Hebr": "HEBREW",
    "Jpan": "CJK",
    "Khmr": "KHMER",
    "Knda": "KANNADA",
    "Kore": "HANGUL",
    "Laoo": "LAO",
    "Latn": "LATIN",
    "Mlym": "MALAYALAM",
    "Mymr": "MYANMAR",
    "Orya": "ORIYA",
    "Sinh": "SINHALA",
    "Taml": "TAMIL",
    "Telu": "TELUGU",
    "Thai": "THAI",
    "Tibt": "TIBETAN",
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
def test_a_code_is_two_or_three_small_letters_and_a_script_where_it_is_not_the_usual_one(code: str):
    base, _, script = code.partition("-")
    assert base.isascii()
    assert base.isalpha()
    assert base.islower()
    assert len(base) in (2, 3)
    if script:
        assert language(code).script == script
        assert language(base).script != script


@codes
def test_a_code_comes_back_from_the_tag_that_others_write(code: str):
    assert from_tag(to_tag(code)) == code


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


def test_the_languages_from_right_to_left_are_those_in_arabic_and_hebrew_letters():
    arabic = {"acm", "apc", "ar", "ars", "ary", "arz", "ckb", "fa", "ps", "sd", "ur"}
    assert {code for code, found in LANGUAGES.items() if found.direction == "rtl"} == arabic | {"he"}


@pytest.mark.parametrize("code", ["xx", "", "EN", "english", "de "])
def test_an_unknown_code_is_refused_in_one_line_that_names_it(code: str):
    with pytest.raises(InputError) as caught:
        language(code)
    assert repr(code) in str(caught.value)
    assert "allowed are ar, de" in str(caught.value)
    assert "\n" not in str(caught.value)
