"""Near copies between training and evaluation: found as a slow loop finds them, told, recorded, and trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections import near_texts
from engine.collections.digest import collection_digest
from engine.collections.near_texts import find_near_texts, in_words, near_texts_of
from engine.collections.structures import Collection
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.evaluation.evaluate import evaluate
from engine.evaluation.manifest import SeenInTraining
from engine.evaluation.notes import near_in_words
from engine.storage.store import Store
from engine.training.checkpoint import read_training
from engine.training.train import make_recipe, train
from engine.training.training_set import TrainingSet
from tests.builders import parallel_collection
from tests.checkpoints import tiny_bert
from tests.training_builders import SHORT, made_up_collection

TEXTS = st.lists(st.text("ab ä中", max_size=24), max_size=8)


def jaccard(one: str, other: str) -> float:
    first, second = ({padded[i : i + 5] for i in range(len(padded) - 4)} for padded in map(pad, (one, other)))
    return len(first & second) / len(first | second)


def pad(text: str) -> str:
    return f"\0\0\0\0{text}\0\0\0\0"


@pytest.fixture(params=[None, 1, 3], ids=["whole", "one at a time", "three at a time"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param is not None:
        for name in ("_TEXTS", "_BLOCK", "_PAIRS"):
            monkeypatch.setattr(near_texts, name, request.param)


@pytest.mark.usefixtures("blocks")
@settings(deadline=None, max_examples=60)
@given(TEXTS, TEXTS, st.lists(st.integers(0, 23), max_size=8), st.sampled_from([0.2, 0.5, 0.6, 0.75, 1.0]))
def test_a_near_copy_is_found_where_a_slow_loop_finds_one(texts, others, places, threshold) -> None:
    others += [f"{text[:place]}x{text[place + 1 :]}" for text, place in zip(texts, places, strict=False)]
    found = near_texts_of(texts, others, threshold)
    assert found.shape == (len(texts),)
    for text, copy in zip(texts, found, strict=True):
        nearest = max((jaccard(text, other) for other in others), default=0.0)
        assert (copy >= 0) == (nearest >= threshold)
        assert copy < 0 or jaccard(text, others[copy]) >= threshold


SENTENCES = {
    "en": ("Bread is baked in the old harbour at dawn.", "The crew sleeps ashore in a wooden house."),
    "de": ("Brot wird im alten Hafen morgens gebacken.", "Die Mannschaft schläft an Land in einem Holzhaus."),
}


def small(name: str, **changes: str) -> Collection:
    """Two languages with a paragraph of two sentences and a question for each; texts are changed by their words."""

    def changed(text: str) -> str:
        for old, new in changes.items():
            text = text.replace(old, new)
        return text

    asked = {"en": ("When is bread baked in the harbour?", "Where does the crew sleep?")}
    asked["de"] = ("Wann wird im Hafen Brot gebacken?", "Wo schläft die Mannschaft?")
    languages = {
        code: [
            (
                [changed(text) for text in sentences],
                [(f"{name}{i}", changed(text), i) for i, text in enumerate(asked[code])],
            )
        ]
        for code, sentences in SENTENCES.items()
    }
    return parallel_collection(name, languages)


def test_different_texts_are_counted_by_kind_and_equal_ones_are_not() -> None:
    training, evaluation = small("t"), small("e", harbour="harbor", Mannschaft="Besatzung")
    found = find_near_texts(training, evaluation)
    asked, told = (
        [jaccard(one.casefold(), other.casefold()) for one, other in zip(*pair, strict=True) if one != other]
        for pair in (
            (training.queries.texts, evaluation.queries.texts),
            (training.corpus.texts, evaluation.corpus.texts),
        )
    )
    assert found.queries == sum(value >= found.threshold for value in asked) == 1
    assert found.passages == sum(value >= found.threshold for value in told) == 1
    assert found.example == ("when is bread baked in the harbour?", "when is bread baked in the harbor?")
    assert found.digest == collection_digest(evaluation)
    assert find_near_texts(training, training).queries == 0
    assert find_near_texts(training, evaluation, threshold=1.0).example is None


def test_near_texts_are_told_and_trained_on(store: Store) -> None:
    training, evaluation = small("t"), small("e", harbour="harbor", bread="loaf", Bread="Rye", Brot="Toast", crew="ox")
    kept = TrainingSet.without_leaks(training, [evaluation]).compared([evaluation], store)
    [left_out, note] = kept.notes()
    assert left_out == "left out of training: 1 question that is in e too"
    assert note.startswith("near copies: ")
    assert "of e (Jaccard similarity of character 5-grams at least 0.6), such as " in note
    assert note.endswith("; they are trained on all the same")
    assert kept.near_texts[0].queries + kept.near_texts[0].passages > 0
    assert TrainingSet.without_leaks(training, [training], allowed=True).compared([training], store).notes() == []


def test_nothing_near_is_told_in_no_words() -> None:
    assert in_words("e", 0, 0, 0.6) == ""
    assert in_words("e", 1, 0, 0.6).startswith("near copies: 1 query in training nearly repeats a text of e (")
    told = in_words("e", 1200, 1, 0.6)
    assert told.startswith("near copies: 1,200 queries and 1 answering passage in training nearly repeat texts of e (")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder = tmp_path_factory.mktemp("near") / "bert"
    return SentenceEncoder(tiny_bert(folder, "ar", "de", "en", as_sentence_transformer=True), "bert")


def nearly(collection: Collection, name: str) -> Collection:
    """Other texts, but for the first candidate, which has a mark more."""
    queries = tuple(f"{i} {i} {i}" for i in range(len(collection.queries)))
    texts = (f"{collection.corpus.texts[0]}!", *(f"no {i} such" for i in range(1, len(collection.corpus))))
    changed = replace(collection.queries, texts=queries), replace(collection.corpus, texts=texts)
    return replace(collection, name=name, queries=changed[0], corpus=changed[1])


def test_a_checkpoint_and_its_evaluations_keep_what_was_found(encoder: SentenceEncoder, store: Store) -> None:
    training = made_up_collection()
    evaluation = nearly(training, "near")
    kept = TrainingSet.without_leaks(training, [evaluation]).compared([evaluation], store)
    key = train(make_recipe(encoder, kept, alpha=0.5, settings=SHORT), encoder, kept, store)
    copied = f"{training.corpus.texts[0]}!".casefold()
    count = sum(jaccard(text.casefold(), copied) >= 0.6 for text in set(training.corpus.texts))
    assert count == 1
    counts = {"queries": 0, "passages": count, "threshold": 0.6}
    assert read_training(store, key)["near_texts"] == [
        {"collection": "near", "digest": collection_digest(evaluation), **counts}
    ]
    checkpoint = open_encoder(key, store)
    manifest = evaluate(checkpoint, evaluation, store).manifest
    assert manifest.seen_in_training == SeenInTraining(near_passages=count, threshold=0.6)
    assert near_in_words(manifest) == in_words("this collection", 0, count, 0.6)
    assert near_in_words(evaluate(checkpoint, training, store).manifest) == ""
    again = TrainingSet(nearly(training, "second"))
    second = train(make_recipe(checkpoint, again, alpha=0, settings=SHORT), checkpoint, again, store)
    assert read_training(store, second)["near_texts"] == read_training(store, key)["near_texts"]


def test_the_real_collections_share_one_near_copy_of_a_sentence(shared: Path) -> None:
    from engine.collections.reading import read_collection

    training, evaluation = (read_collection(shared / "data" / name, name) for name in ("mlqa-r", "xquad-r"))
    found = find_near_texts(training, evaluation, threshold=0.7)
    assert (found.queries, found.passages) == (0, 1)
    assert found.example == (
        "a natural number greater than 1 that is not prime is called a composite number.",
        "a natural number greater than 1 that is not a prime number is called a composite number.",
    )
