"""The demo collections: parallel, clean, in the right language; their table in the README; the vectors that ship.

The files are read here by hand, not by the engine's reader, so that the offsets are checked by other code.
"""

from __future__ import annotations

import json
import re
import statistics
import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.collections.opening import open_collection
from engine.collections.structures import Collection
from engine.encoders.embedding import embed, embedding_key
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import DEFAULT_ENCODER, open_encoder
from engine.storage.store import Store

FOLDER = Path(__file__).resolve().parents[1] / "engine" / "demo"
LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
COLLECTIONS = ("demo", "demo-train")
SCRIPTS = {"ar": "ARABIC", "el": "GREEK", "hi": "DEVANAGARI", "ru": "CYRILLIC", "th": "THAI", "zh": "CJK"}
"""First word of the Unicode names of a language's letters; of those not listed, LATIN."""

OWN_LETTERS = {"de": "äöüßÄÖÜ", "es": "áéíóúñ¿", "tr": "ğışİçöü", "vi": "đơưạảấầẩẫậắằ"}
QUESTION_MARKS = {"ar": "؟", "el": ";", "zh": "？", "th": ""}
ENGLISH = {
    *("the", "of", "and", "with", "from", "which", "that", "this", "they", "their"),
    *("were", "have", "been", "into", "when", "what", "who", "how", "does", "did"),
}
"""Function words of English that are no words of the other languages in Latin script."""

each_collection = pytest.mark.parametrize("name", COLLECTIONS)
each_file = pytest.mark.parametrize(("name", "code"), [(name, code) for name in COLLECTIONS for code in LANGUAGES])
each_translation = pytest.mark.parametrize(
    ("name", "code"), [(name, code) for name in COLLECTIONS for code in LANGUAGES if code != "en"]
)


@cache
def _passages(name: str, code: str) -> tuple[dict[str, Any], ...]:
    data = json.loads((FOLDER / name / f"{code}.json").read_text(encoding="utf-8"))["data"]
    return tuple({"title": article["title"], **passage} for article in data for passage in article["paragraphs"])


def _sentences(passage: dict[str, Any]) -> list[str]:
    return [passage["context"][start:end] for start, end in passage["sentence_breaks"]]


def _answering(passage: dict[str, Any]) -> dict[str, int]:
    """Index of the sentence that holds all of an answer, by question."""
    found = {}
    for asked in passage["qas"]:
        [answer] = asked["answers"]
        start, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
        assert passage["context"][start:end] == answer["text"] != ""
        [found[asked["id"]]] = [
            i for i, (first, last) in enumerate(passage["sentence_breaks"]) if first <= start and end <= last
        ]
    return found


@cache
def _texts(name: str, code: str) -> tuple[str, ...]:
    """All sentences, then all questions, in the order of the file."""
    passages = _passages(name, code)
    asked = [question["question"] for passage in passages for question in passage["qas"]]
    return (*(sentence for passage in passages for sentence in _sentences(passage)), *asked)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text)


@each_collection
def test_a_collection_has_all_eleven_languages_and_nothing_else(name: str) -> None:
    assert sorted(file.name for file in (FOLDER / name).iterdir()) == [f"{code}.json" for code in LANGUAGES]


def test_there_are_48_passages_half_of_them_for_training() -> None:
    assert [len(_passages(name, code)) for name in COLLECTIONS for code in LANGUAGES] == [24] * 22


@each_file
def test_a_passage_is_its_sentences_as_the_breaks_cut_them(name: str, code: str) -> None:
    between = "" if code == "zh" else " "
    for passage in _passages(name, code):
        breaks = passage["sentence_breaks"]
        assert 4 <= len(breaks) <= 6
        assert _sentences(passage) == passage["sentences"]
        assert between.join(passage["sentences"]) == passage["context"]
        assert [start - end for (_, end), (start, _) in pairwise(breaks)] == [len(between)] * (len(breaks) - 1)


@each_file
def test_four_questions_are_answered_in_four_different_sentences_the_same_in_every_language(
    name: str, code: str
) -> None:
    for passage, english in zip(_passages(name, code), _passages(name, "en"), strict=True):
        assert len(set(_answering(passage).values())) == 4
        assert _answering(passage) == _answering(english)
        assert [asked["id"] for asked in passage["qas"]] == [asked["id"] for asked in english["qas"]]
        assert len(passage["sentences"]) == len(english["sentences"])


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_text_is_empty_or_stands_twice_not_even_in_the_other_collection(code: str) -> None:
    texts = [text.casefold() for name in COLLECTIONS for text in _texts(name, code)]
    assert not [text for text, count in Counter(texts).items() if count > 1]
    assert all(text == text.strip() and len(_words(text)) > (0 if code in ("th", "zh") else 3) for text in texts)


def test_no_topic_of_training_is_one_of_evaluation() -> None:
    topics = [{asked["id"].rpartition("-")[0] for p in _passages(n, "en") for asked in p["qas"]} for n in COLLECTIONS]
    assert topics[0].isdisjoint(topics[1]) and [len(one) for one in topics] == [24, 24]
    families = [{topic.partition("-")[0] for topic in one} for one in topics]
    assert families[0].isdisjoint(families[1])
    for code in LANGUAGES:
        titles = [{passage["title"].casefold() for passage in _passages(name, code)} for name in COLLECTIONS]
        assert titles[0].isdisjoint(titles[1]) and [len(one) for one in titles] == [24, 24]


@each_file
def test_letters_are_those_of_the_language(name: str, code: str) -> None:
    script = SCRIPTS.get(code, "LATIN")
    foreign = Counter(
        character
        for text in _texts(name, code)
        for character in text
        if character.isalpha() and not unicodedata.name(character).startswith(script)
    )
    letters = sum(character.isalpha() for text in _texts(name, code) for character in text)
    assert foreign.total() < 0.002 * letters, foreign.most_common(10)
    for text in _texts(name, code):
        own = sum(unicodedata.name(c).startswith(script) for c in text if c.isalpha())
        assert own > 0.8 * sum(c.isalpha() for c in text), text
        assert unicodedata.normalize("NFC", text) == text
    seen = set("".join(_texts(name, code)))
    assert set(OWN_LETTERS.get(code, "")) <= seen


@each_file
def test_a_question_ends_as_the_language_ends_it(name: str, code: str) -> None:
    mark = QUESTION_MARKS.get(code, "?")
    for passage in _passages(name, code):
        for asked in passage["qas"]:
            assert asked["question"].endswith(mark)
            assert ("¿" in asked["question"]) == (code == "es")


@each_translation
def test_no_english_is_left_in_a_translation(name: str, code: str) -> None:
    for english, text in zip(_texts(name, "en"), _texts(name, code), strict=True):
        lower = {word for word in _words(text) if word.islower()}
        assert not lower & ENGLISH, text
        ordinary = [word for word in _words(english) if word.islower() and len(word) > 2]
        kept = sum(word in lower for word in ordinary) / len(ordinary)
        assert kept < 0.35, (english, text)
        assert SequenceMatcher(None, english, text, autojunk=False).ratio() < 0.85, (english, text)


@each_translation
def test_a_year_that_english_names_stands_in_every_language(name: str, code: str) -> None:
    for english, text in zip(_texts(name, "en"), _texts(name, code), strict=True):
        years = set(re.findall(r"\b1[0-9]{3}\b(?!s)", english))
        assert years <= set(re.findall(r"[0-9]{4}", text)), (english, text)


@each_translation
def test_lengths_are_within_reason_of_the_english_ones(name: str, code: str) -> None:
    ratios = [len(text) / len(english) for english, text in zip(_texts(name, "en"), _texts(name, code), strict=True)]
    usual = statistics.median(ratios)
    assert (0.25 if code == "zh" else 0.75) < usual < (0.4 if code == "zh" else 1.25)
    assert max(ratios) < 2 * usual and min(ratios) > usual / 2


@each_collection
def test_a_question_shares_few_words_with_the_sentence_that_answers_it(name: str) -> None:
    function_words = ENGLISH | {
        "a",
        "an",
        "in",
        "on",
        "at",
        "to",
        "by",
        "for",
        "as",
        "is",
        "are",
        "was",
        "be",
        "it",
        "not",
    }
    shared = []
    for passage in _passages(name, "en"):
        sentences, answering = _sentences(passage), _answering(passage)
        for asked in passage["qas"]:
            words = {word.lower() for word in _words(asked["question"])} - function_words
            answer = {word.lower() for word in _words(sentences[answering[asked["id"]]])}
            shared.append(len(words & answer) / len(words))
    assert statistics.mean(shared) < 0.2 and max(shared) <= 0.5


def test_the_table_of_the_readme_is_true() -> None:
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    rows = {cells[1].strip("` "): [cell.strip() for cell in cells] for line in lines if (cells := line.split("|"))[1:]}
    for name in COLLECTIONS:
        _, _, families, queries, sentences, _ = rows[name]
        named, each = families.removesuffix(" of each").split("; ")
        first = [passage["qas"][0]["id"] for passage in _passages(name, "en")]
        sizes = [sum(one.startswith(f"{family.replace(' ', '-')}-") for one in first) for family in named.split(", ")]
        assert sizes == [int(each)] * 6
        passages = [passage for code in LANGUAGES for passage in _passages(name, code)]
        assert int(queries.replace(",", "")) == sum(len(passage["qas"]) for passage in passages)
        assert int(sentences.replace(",", "")) == sum(len(passage["sentences"]) for passage in passages)


def _roles(collection: Collection) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ("query", collection.queries.texts), ("document", collection.corpus.texts)


@pytest.fixture(scope="module")
def encoder(demo_store: Store) -> SentenceEncoder:
    return open_encoder(DEFAULT_ENCODER, demo_store)


def test_the_vectors_that_ship_are_small_and_are_those_that_the_cache_would_ask_for(
    encoder: SentenceEncoder, demo_store: Store
) -> None:
    files = list((FOLDER / "vectors").iterdir())
    keys = {
        embedding_key(encoder, role, texts)
        for name in COLLECTIONS
        for role, texts in _roles(open_collection(name, demo_store))
    }
    assert {file.name for file in files} == {f"{key}.npy" for key in keys}
    assert sum(file.stat().st_size for file in files) < 6e6


@each_collection
def test_the_vectors_that_ship_are_what_the_encoder_gives(
    name: str, encoder: SentenceEncoder, demo_store: Store
) -> None:
    for role, texts in _roles(open_collection(name, demo_store)):
        shipped = embed(encoder, role, texts, demo_store)
        rows = np.random.default_rng(0).choice(len(texts), 8, replace=False)
        again = encoder.encode([texts[row] for row in rows], role)
        cosines = (shipped[rows] * again).sum(axis=1)
        assert cosines.min() > 0.999
        np.testing.assert_allclose(np.linalg.norm(shipped, axis=1), 1, atol=1e-5)
