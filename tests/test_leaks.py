"""What training and evaluation share: found up to white space, removed in all languages, reported, and marked."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.collections.contamination import MARKS, count_seen, find_leak, plain, remove_leaks, text_marks
from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.errors import TrainingError
from engine.evaluation.evaluate import evaluate
from engine.evaluation.manifest import SeenInTraining
from engine.storage.store import Store
from engine.training.checkpoint import checkpoint_key, read_training
from engine.training.recipe import Settings
from engine.training.train import make_recipe, train
from engine.training.training_set import TrainingSet
from tests.checkpoints import tiny_bert
from tests.training_builders import SHORT, made_up_collection

SPACED = st.sampled_from([f"{a}{s}{b}" for a in "xyz" for b in "vw" for s in (" ", "  ", "\n", "\t ", "\u3000", "-")])


@st.composite
def collections(draw: st.DrawFn, name: str) -> Collection:
    """Questions in some of two languages, each answered by a candidate of some of them; texts often coincide."""
    codes = draw(st.lists(st.sampled_from(["de", "en"]), min_size=1, max_size=2, unique=True).map(sorted))
    count = draw(st.integers(1, 4))
    asked = [(code, f"q{i}") for code in codes for i in range(count) if i == 0 or draw(st.booleans())]
    documents = [code for code in codes for _ in range(draw(st.integers(1, 4)))]
    judged = {
        (row, draw(st.sampled_from([doc for doc, c in enumerate(documents) if c == code])))
        for row in range(len(asked))
        for code in codes
        if code == asked[row][0] or draw(st.booleans())
    }
    texts = draw(st.lists(SPACED, min_size=len(asked) + len(documents), max_size=len(asked) + len(documents)))
    return Collection(
        name=name,
        languages=tuple(codes),
        queries=Queries(
            tuple(question for _, question in asked), tuple(code for code, _ in asked), tuple(texts[: len(asked)])
        ),
        corpus=Corpus(("p",) * len(documents), tuple(documents), tuple(texts[len(asked) :])),
        qrels=Qrels(*np.array(sorted(judged), np.int64).T),
    )


def bare(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def shown(collection: Collection, question: str) -> tuple[set[str], set[str]]:
    """A question's query texts and answering passages, in all languages, white space aside."""
    rows = [row for row, other in enumerate(collection.queries.questions) if other == question]
    answers = [
        doc for row, doc in zip(collection.qrels.queries, collection.qrels.documents, strict=True) if row in rows
    ]
    return {bare(collection.queries.texts[r]) for r in rows}, {bare(collection.corpus.texts[d]) for d in answers}


def all_texts(collection: Collection) -> tuple[set[str], set[str]]:
    return {bare(text) for text in collection.queries.texts}, {bare(text) for text in collection.corpus.texts}


def leaking_texts(evaluation: Collection, training: Collection) -> tuple[set[str], set[str]]:
    """Query texts and passages that must not be trained on: of a corpus that is shared whole, the answers alone."""
    asked, candidates = all_texts(evaluation)
    if candidates <= all_texts(training)[1]:
        candidates = set().union(*(shown(evaluation, question)[1] for question in evaluation.queries.questions))
    return asked, candidates


@settings(deadline=None, max_examples=150)
@given(collections("training"), st.lists(collections("evaluation"), max_size=2))
def test_exactly_the_questions_that_share_a_text_are_removed(training: Collection, evaluations: list) -> None:
    shared = set()
    for question in set(training.queries.questions):
        queries, passages = shown(training, question)
        for asked, candidates in (leaking_texts(evaluation, training) for evaluation in evaluations):
            if queries & asked or passages & candidates:
                shared.add(question)
    if shared == set(training.queries.questions):
        with pytest.raises(TrainingError, match="all of training is in evaluation"):
            remove_leaks(training, evaluations)
        return
    kept, leaks = remove_leaks(training, evaluations)
    assert set(kept.queries.questions) == set(training.queries.questions) - shared
    assert set().union(*(leak.questions for leak in leaks)) == shared
    assert kept.corpus == training.corpus
    for question in set(kept.queries.questions):
        assert shown(kept, question) == shown(training, question)


@settings(deadline=None, max_examples=100)
@given(collections("training"), collections("evaluation"))
def test_a_leak_counts_different_texts_and_withholds_what_must_not_be_seen(training, evaluation) -> None:
    leak = find_leak(training, evaluation)
    asked, candidates = leaking_texts(evaluation, training)
    own_queries, own_candidates = all_texts(training)
    answers = set().union(*(shown(training, question)[1] for question in training.queries.questions))
    assert leak.query_texts == len(own_queries & asked)
    assert leak.passage_texts == len(answers & candidates)
    removed = set().union(*(shown(training, question)[1] for question in leak.questions))
    assert leak.withheld == removed | (own_candidates & candidates)


def test_the_plain_form_leaves_everything_but_case_white_space_and_the_normal_form() -> None:
    assert plain("  Größe\u00a0\n\t der  Ölmühle.\u2003") == "grösse der ölmühle."
    assert plain("A b") == plain("a B") == plain("\uff21\u3000b")
    assert plain("a b") != plain("a-b") != plain("á-b")


@given(st.text(max_size=20), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_every_normal_form_of_a_text_has_one_plain_form(text: str, form: Literal["NFC", "NFD", "NFKC", "NFKD"]) -> None:
    assert plain(unicodedata.normalize(form, text)) == plain(text)


def test_a_text_in_another_normal_form_or_case_is_a_leak(training: Collection) -> None:
    decomposed = {f"_{row}": unicodedata.normalize("NFD", f"Hỏi {row}?") for row in range(len(training.queries))}
    composed = {f"_{row}": unicodedata.normalize("NFC", f"HỎI {row}?") for row in range(len(training.queries))}
    leak = find_leak(change(training, "queries", **decomposed), change(training, "queries", **composed))
    assert leak.query_texts == len(training.queries)
    assert leak.questions == set(training.queries.questions)


def change(collection: Collection, column: str, **texts: str) -> Collection:
    """Replace texts of queries or candidates, each given by its row as `_<row>`."""
    part = getattr(collection, column)
    new = tuple(texts.get(f"_{row}", text) for row, text in enumerate(part.texts))
    return replace(collection, **{column: replace(part, texts=new)})


@pytest.fixture
def training() -> Collection:
    return made_up_collection()


@pytest.fixture
def evaluation() -> Collection:
    return made_up_collection(first=100, paragraphs=3, name="other")


def test_a_question_is_removed_in_all_its_languages(training: Collection, evaluation: Collection) -> None:
    german = training.query_range("de")[0]
    leaking = change(evaluation, "queries", _0=training.queries.texts[german].replace(" ", " \n "))
    kept, [leak] = remove_leaks(training, [leaking])
    assert leak.questions == {"q0.0"}
    assert set(training.queries.questions) - set(kept.queries.questions) == {"q0.0"}
    assert len(training.queries) - len(kept.queries) == 3
    assert leak.counts() == {"collection": "other", "questions_removed": 1, "query_texts": 1, "passage_texts": 0}


def test_without_an_overlap_the_collection_stays_as_it_is(training: Collection, evaluation: Collection) -> None:
    kept, [leak] = remove_leaks(training, [evaluation])
    assert kept is training
    assert leak.counts() == {"collection": "other", "questions_removed": 0, "query_texts": 0, "passage_texts": 0}
    assert leak.withheld == frozenset()


def test_every_leaking_collection_is_named_when_nothing_is_left(training: Collection, evaluation: Collection) -> None:
    renamed = replace(training, name="a copy")
    with pytest.raises(TrainingError, match="all of made up is in a copy too; train on another collection"):
        remove_leaks(training, [renamed, evaluation])


def test_a_collection_leaks_into_itself_under_any_name(training: Collection) -> None:
    with pytest.raises(TrainingError, match=r"all of made up is in itself too; .*--allow-leaks"):
        TrainingSet.without_leaks(training, [replace(training, name="itself")])
    found = TrainingSet.without_leaks(training, [training], allowed=True)
    assert found.collection is training
    assert found.leaks == ()


def test_of_a_shared_corpus_only_what_answers_an_evaluated_query_leaks(training: Collection) -> None:
    """Two splits of one collection: here one question of the training split has an answer of the other split."""
    questions = list(dict.fromkeys(training.queries.questions))
    test, train = (training.without_questions(set(part)) for part in (questions[4:], questions[:4]))
    assert find_leak(train, test).questions == frozenset()
    rows, docs = train.qrels.queries, train.qrels.documents.copy()
    docs[0] = test.qrels.documents[0]
    order = np.lexsort((docs, rows))
    leak = find_leak(replace(train, qrels=Qrels(rows[order], docs[order])), test)
    assert leak.questions == {train.queries.questions[0]}
    assert leak.withheld >= {plain(test.corpus.texts[doc]) for doc in test.qrels.documents}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder = tmp_path_factory.mktemp("leaks") / "bert"
    return SentenceEncoder(tiny_bert(folder, "ar", "de", "en", as_sentence_transformer=True), "bert")


def test_a_checkpoint_tells_what_was_removed_and_what_it_has_seen(encoder, training, evaluation, store: Store) -> None:
    answer = training.corpus.texts[training.qrels.documents[0]]
    leaking = change(evaluation, "corpus", _0=answer + " ")
    kept = TrainingSet.without_leaks(training, [leaking, evaluation])
    key = train(make_recipe(encoder, kept, alpha=0.5, settings=SHORT), encoder, kept, store)
    told = read_training(store, key)
    assert told["questions"] == 15
    assert told["leaks"] == [
        {"collection": "other", "questions_removed": 1, "query_texts": 0, "passage_texts": 1},
        {"collection": "other", "questions_removed": 0, "query_texts": 0, "passage_texts": 0},
    ]
    checkpoint = open_encoder(key, store)
    assert evaluate(checkpoint, leaking, store).manifest.seen_in_training == SeenInTraining(queries=0, passages=0)
    assert evaluate(encoder, leaking, store).manifest.seen_in_training is None
    seen = evaluate(checkpoint, training, store).manifest.seen_in_training
    assert seen == SeenInTraining(queries=len(training.queries) - 3, passages=3 * 15)


def test_what_the_base_was_trained_on_stays_seen(encoder, training, evaluation, store: Store) -> None:
    first, second = TrainingSet(training), TrainingSet(evaluation)
    base = open_encoder(train(make_recipe(encoder, first, alpha=0, settings=SHORT), encoder, first, store), store)
    again = make_recipe(base, second, alpha=0, settings=SHORT)
    marks = np.load(store.path("checkpoints", train(again, base, second, store)) / MARKS)
    for collection in (training, evaluation):
        assert count_seen(marks, collection)[0] == len(collection.queries)


def test_marks_are_those_of_queries_answers_and_hard_negatives(training: Collection) -> None:
    marks = text_marks(training)
    answers = {training.corpus.texts[doc] for doc in training.qrels.documents}
    assert marks.dtype == np.uint64
    assert (np.diff(marks.astype(object)) > 0).all()
    assert len(marks) == len({*training.queries.texts, *answers})
    assert count_seen(marks, training) == (len(training.queries), len(answers))
    third = next(text for text in training.corpus.texts if text not in answers)
    assert set(text_marks(training, [third])) > set(marks)
    assert count_seen(marks[:0], training) == (0, 0)


def test_marks_of_earlier_versions_which_folded_white_space_alone_are_still_met(training: Collection) -> None:
    upper = change(training, "queries", _0="WER  BIST\tDU?")
    digest = hashlib.blake2b(b"WER BIST DU?", digest_size=8).digest()
    assert count_seen(np.frombuffer(digest, "<u8"), upper) == (1, 0)


def test_what_leaks_is_no_hard_negative_either(encoder, training, evaluation, store: Store) -> None:
    """Neither the answer of a removed question, nor a candidate of the evaluation that answers nothing here."""
    starts = [training.document_range(code)[0] for code in training.languages]
    shared = {f"_{i}": training.corpus.texts[start + 2].replace(" ", "  ") for i, start in enumerate(starts)}
    leaking = change(change(evaluation, "corpus", **shared), "queries", _0=training.queries.texts[0])
    kept = TrainingSet.without_leaks(training, [leaking])
    assert kept.leaks[0].questions == {"q0.0"}
    settings = replace(SHORT, hard_negatives=2)
    key = train(make_recipe(encoder, kept, alpha=0.5, settings=settings), encoder, kept, store)
    marks = np.load(store.path("checkpoints", key) / MARKS)
    assert count_seen(marks, leaking) == (0, 0)
    unseen = {training.corpus.texts[start + row] for start in starts for row in (0, 2)}
    seen = text_marks(training, training.corpus.texts)
    assert len(np.setdiff1d(seen, marks)) == len(unseen) + 3  # and the question in three languages


def test_what_is_withheld_changes_the_recipe_where_it_counts(encoder, training, evaluation) -> None:
    leaking = change(evaluation, "corpus", _0=training.corpus.texts[2])
    sets = [TrainingSet(training), TrainingSet.without_leaks(training, [leaking])]
    assert sets[1].collection is training
    for count, same in ((0, True), (1, False)):
        recipes = [make_recipe(encoder, part, alpha=0, settings=Settings(hard_negatives=count)) for part in sets]
        assert (checkpoint_key(recipes[0]) == checkpoint_key(recipes[1])) == same


def test_the_real_collections_share_no_question_and_no_answer(shared: Path) -> None:
    from engine.collections.reading import read_collection

    collections = [read_collection(shared / "data" / name, name) for name in ("mlqa-r", "xquad-r")]
    for training, other in (collections, collections[::-1]):
        counts = find_leak(training, other).counts()
        assert counts == {"collection": other.name, "questions_removed": 0, "query_texts": 0, "passage_texts": 0}
        assert json.dumps(counts)
