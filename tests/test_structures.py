"""A collection holds together or says what does not fit; a smaller one made from it is what is left of it."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections import digest
from engine.collections.reading import read_collection
from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.errors import InputError
from tests.builders import contents, parallel_collection, relevant_texts, tiny_collection


def _small(**parts: object) -> Collection:
    """Two languages, a question in both, two candidates in each, and whatever the test puts in place of a part."""
    right = {
        "name": "small",
        "languages": ("de", "en"),
        "queries": Queries(("q", "q"), ("de", "en"), ("Wer?", "Who?")),
        "corpus": Corpus(("a", "b", "a", "b"), ("de", "de", "en", "en"), ("Ich.", "Du.", "I.", "You.")),
        "qrels": Qrels(np.array([0, 0, 1, 1]), np.array([0, 2, 0, 2])),
    }
    return Collection(**{**right, **parts})


def _fault(**parts: object) -> str:
    with pytest.raises(InputError) as caught:
        _small(**parts)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("collection small: ")
    return message


def test_a_collection_is_digested_once_and_then_forgotten(monkeypatch):
    digested = []
    monkeypatch.setattr(digest, "digest", lambda *parts: digested.append(parts) or str(len(digested)))
    one, other = _small(), _small()
    assert [digest.collection_digest(part) for part in (one, other, one, other)] == ["1", "2", "1", "2"]
    known = len(digest._known)
    del one
    gc.collect()
    assert len(digest._known) == known - 1


def test_parts_that_fit_are_accepted():
    collection = _small()
    assert (len(collection.queries), len(collection.corpus), len(collection.qrels)) == (2, 4, 4)


def test_a_collection_without_queries_or_candidates_is_refused():
    assert "no queries" in _fault(queries=Queries((), (), ()))
    assert "no candidates" in _fault(corpus=Corpus((), (), ()))


@pytest.mark.parametrize("languages", [("en", "de", "en"), ("en", "en", "de"), ("de", "fr", "fr")])
def test_queries_that_are_not_in_the_blocks_of_the_languages_are_refused(languages: tuple[str, ...]):
    queries = Queries(("q", "r", "s"), languages, ("1?", "2?", "3?"))
    assert "queries must be in one block per language" in _fault(queries=queries)


def test_candidates_that_are_not_in_the_blocks_of_the_languages_are_refused():
    corpus = Corpus(("a", "a", "b", "b"), ("de", "en", "de", "en"), ("1", "2", "3", "4"))
    assert "candidates must be in one block per language" in _fault(corpus=corpus)


def test_a_language_may_have_queries_only_or_candidates_only():
    collection = _small(languages=("de", "en", "fr"))
    assert collection.query_range("fr") == collection.document_range("fr") == (0, 0)


def test_a_question_twice_in_one_language_is_refused():
    queries = Queries(("q", "q"), ("en", "en"), ("Who?", "Who now?"))
    assert "occurs twice in one language" in _fault(queries=queries)


@pytest.mark.parametrize(
    "parts",
    [
        {"queries": Queries(("q",), ("de", "en"), ("Wer?", "Who?"))},
        {"queries": Queries(("q", "q"), ("de", "en"), ("Wer?",))},
        {"corpus": Corpus(("a",), ("de", "de", "en", "en"), ("1", "2", "3", "4"))},
        {"corpus": Corpus(("a", "b", "a", "b"), ("de", "de", "en", "en"), ("1", "2", "3"))},
    ],
)
def test_columns_of_different_lengths_are_refused(parts: dict[str, object]):
    assert "differ in length" in _fault(**parts)


@pytest.mark.parametrize(
    ("queries", "documents"), [([0, 2], [0, 0]), ([0, 1], [0, 4]), ([-1, 1], [0, 0]), ([0, 1], [-1, 0])]
)
def test_a_judgement_on_something_that_does_not_exist_is_refused(queries: list[int], documents: list[int]):
    message = _fault(qrels=Qrels(np.array(queries), np.array(documents)))
    assert "does not exist" in message


@pytest.mark.parametrize(
    ("queries", "documents"), [([0, 0], [1, 1]), ([0, 0], [2, 1]), ([1, 0], [0, 0]), ([0, 1, 0], [0, 0, 1])]
)
def test_judgements_out_of_order_or_twice_are_refused(queries: list[int], documents: list[int]):
    assert "must ascend" in _fault(qrels=Qrels(np.array(queries), np.array(documents)))


def test_judgements_whose_columns_differ_in_length_are_refused():
    assert "3 judged queries, 1 judged candidates" in _fault(qrels=Qrels(np.array([0, 0, 1]), np.array([0])))


def test_ranges_and_codes_name_the_same_blocks(tiny_collection: Collection):
    for code, language in enumerate(tiny_collection.languages):
        assert set(tiny_collection.query_codes[slice(*tiny_collection.query_range(language))]) == {code}
        assert set(tiny_collection.document_codes[slice(*tiny_collection.document_range(language))]) == {code}
    assert [tiny_collection.document_range(code) for code in ("ar", "de", "en")] == [(0, 6), (6, 12), (12, 18)]
    assert [tiny_collection.query_range(code) for code in ("ar", "de", "en")] == [(0, 4), (4, 8), (8, 12)]
    assert tiny_collection.document_range("fi") == (0, 0)


def test_every_first_paragraph_is_the_whole_collection(tiny_collection: Collection):
    assert tiny_collection.every(1) is tiny_collection


def test_every_second_paragraph_keeps_the_second_its_sentences_and_its_questions(tiny_collection: Collection):
    half = tiny_collection.every(2)
    assert half.name == "tiny/2"
    assert half.languages == ("ar", "de", "en")
    assert set(half.corpus.passages) == {"0.1"}
    assert half.corpus.texts[6:] == tiny_collection.corpus.texts[15:]
    assert half.queries.questions == ("q2", "q3") * 3
    assert half.qrels.queries.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert half.qrels.documents.tolist() == [1, 4, 7, 2, 5, 8] * 3


@pytest.mark.parametrize("step", [0, -1])
def test_a_step_below_one_is_refused(tiny_collection: Collection, step: int):
    with pytest.raises(InputError, match=rf"every must be an integer >= 1, got {step}"):
        tiny_collection.every(step)


def test_a_step_that_leaves_no_paragraph_is_refused(tiny_collection: Collection):
    with pytest.raises(InputError, match="tiny/3: it has no queries"):
        tiny_collection.every(3)


def test_paragraphs_that_are_not_in_all_languages_are_not_thinned_out(tiny_collection: Collection):
    corpus = tiny_collection.corpus
    passages = tuple(f"{code}:{p}" for code, p in zip(corpus.languages, corpus.passages, strict=True))
    apart = replace(tiny_collection, corpus=Corpus(passages, corpus.languages, corpus.texts))
    with pytest.raises(InputError, match="not parallel in all languages; use it whole"):
        apart.every(2)


def test_a_third_of_the_real_paragraphs_keeps_questions_whole(shared):
    third = read_collection(shared / "data" / "xquad-r").every(3)
    assert len(set(third.corpus.passages)) == 80
    versions = list(zip(third.queries.questions, third.queries.languages, strict=True))
    assert len(versions) == 11 * len(set(third.queries.questions))
    assert {len(texts) for texts in relevant_texts(third).values()} == {11}


def test_real_paragraphs_that_are_not_parallel_are_not_thinned_out(shared):
    with pytest.raises(InputError, match="mlqa-r are not parallel"):
        read_collection(shared / "data" / "mlqa-r").every(3)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), min_size=18, max_size=18))
def test_what_is_restricted_keeps_exactly_the_judgements_between_what_is_left(mask: list[bool]):
    collection, kept = tiny_collection(), np.array(mask)
    chosen = {text for text, stays in zip(collection.corpus.texts, mask, strict=True) if stays}
    expected = {
        query: left
        for query, texts in relevant_texts(collection).items()
        if (left := {(language, text) for language, text in texts if text in chosen})
    }
    if not expected:
        with pytest.raises(InputError):
            collection.restrict(kept, "part")
        return
    part = collection.restrict(kept, "part")
    assert part.name == "part"
    assert list(part.corpus.texts) == [text for text in collection.corpus.texts if text in chosen]
    assert relevant_texts(part) == expected
    assert set(zip(part.queries.questions, part.queries.languages, strict=True)) == set(expected)


def test_restricting_to_everything_changes_nothing_but_the_name(tiny_collection: Collection):
    same = tiny_collection.restrict(np.ones(18, bool), "same")
    assert contents(same) == contents(tiny_collection)


def test_restricting_keeps_the_count_of_what_was_left_out(tiny_collection: Collection):
    counted = replace(tiny_collection, skipped=(("a question is empty", 2),))
    assert counted.every(2).skipped == (("a question is empty", 2),)


def test_questions_are_left_out_in_all_languages_and_every_candidate_stays(tiny_collection: Collection):
    fewer = tiny_collection.without_questions({"q1", "q3", "unknown"})
    assert fewer.queries.questions == ("q0", "q2") * 3
    assert fewer.corpus == tiny_collection.corpus
    relevant = relevant_texts(tiny_collection)
    assert relevant_texts(fewer) == {key: texts for key, texts in relevant.items() if key[0] in ("q0", "q2")}
    with pytest.raises(InputError, match="no queries"):
        fewer.without_questions({"q0", "q2"})


def test_every_counts_paragraphs_in_the_order_of_the_pool():
    languages = {
        code: [([f"{code} {i}a.", f"{code} {i}b."], [(f"q{i}", f"{code} {i}?", 1)]) for i in range(7)]
        for code in ("de", "en")
    }
    third = parallel_collection("seven", languages).every(3)
    assert third.queries.questions == ("q2", "q5") * 2
    assert third.corpus.texts == ("de 2a.", "de 2b.", "de 5a.", "de 5b.", "en 2a.", "en 2b.", "en 5a.", "en 5b.")
