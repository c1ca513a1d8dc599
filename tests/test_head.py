"""The method `head` against the same training written out in numpy; its checkpoint in sentence-transformers alone."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from engine.collections.structures import Collection, Corpus
from engine.encoders.embedding import embed
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.errors import TrainingError
from engine.progress import silent, unobserved
from engine.storage.store import Store
from engine.training.checkpoint import read_training
from engine.training.head import Examples, train_head
from engine.training.history import LOG_EVERY
from engine.training.negatives import HardNegatives
from engine.training.recipe import Recipe, Settings
from engine.training.sampler import Batch, HybridBatchSampler, TrainingPairs
from engine.training.train import make_recipe, train
from tests.builders import parallel_collection
from tests.checkpoints import tiny_bert, tiny_xlm_roberta
from tests.training_builders import SHORT, made_up_collection, recipe_for, weights

PROMPTS = {"query": "Where ", "passage": "The "}
SIZE = 12


@pytest.fixture(scope="module")
def collection() -> Collection:
    return made_up_collection(16)


@pytest.fixture(scope="module")
def small() -> Collection:
    return made_up_collection(4)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("head") / "bert"
    return tiny_bert(folder, "ar", "de", "en", as_sentence_transformer=True, prompts=PROMPTS)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def made_up_vectors(collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of queries and candidates: of what is asked, more of the language, and noise."""
    rng = np.random.default_rng(0)
    asked = dict(zip(collection.queries.questions, rng.standard_normal((len(collection.queries), SIZE)), strict=True))
    tongues = 2 * rng.standard_normal((len(collection.languages), SIZE))
    queries = np.array([asked[question] for question in collection.queries.questions])
    documents = rng.standard_normal((len(collection.corpus), SIZE))
    documents[collection.qrels.documents] = queries[collection.qrels.queries]
    noise = 0.3 * rng.standard_normal(documents.shape)
    return (
        unit(queries + tongues[collection.query_codes]).astype(np.float32),
        unit(documents + tongues[collection.document_codes] + noise).astype(np.float32),
    )


def problem(collection: Collection, **values: float) -> tuple[HybridBatchSampler, Recipe, HardNegatives]:
    settings = Settings(**{"batch_size": 8, "steps": 50, **values})
    pairs = TrainingPairs.from_collection(collection)
    sampler = HybridBatchSampler(pairs, batch_size=settings.batch_size, batches=settings.steps, seed=3)
    recipe = Recipe("e", {}, "c", "head", alpha=0.5, seed=3, settings=settings)
    return sampler, recipe, HardNegatives(collection, settings.hard_negatives, recipe.seed)


def fit(collection: Collection, **values: float) -> tuple[np.ndarray, list[tuple[int, float]]]:
    sampler, recipe, negatives = problem(collection, **values)
    examples = Examples(*made_up_vectors(collection), sampler, negatives)
    weight, course = train_head(examples, None, recipe, silent, unobserved)
    assert course.steps == values.get("steps", 50)
    return weight, course.losses


def fit_in_numpy(collection: Collection, **values: float) -> tuple[np.ndarray, list[float]]:
    """The training written out in float64: InfoNCE, its gradient, and AdamW (Loshchilov and Hutter 2019, algorithm 2).

    Returns:
        The weight, and every step's loss.
    """
    queries, documents = (part.astype(np.float64) for part in made_up_vectors(collection))
    sampler, recipe, negatives = problem(collection, **values)
    s, residual, first, second, losses = recipe.settings, np.zeros((SIZE, SIZE)), 0, 0, []
    for step, batch in enumerate(sampler, 1):
        extra = sorted({int(doc) for docs in negatives.by_pair(batch, step) for doc in docs})
        asked, given = queries[batch.queries], documents[[*batch.documents.tolist(), *extra]]
        raw_asked, raw_given = asked @ (np.eye(SIZE) + residual).T, given @ (np.eye(SIZE) + residual).T
        a, b = unit(raw_asked), unit(raw_given)
        odds = np.exp(a @ b.T / s.temperature)
        shares = odds / odds.sum(axis=1, keepdims=True)
        right = np.eye(len(asked), len(given))
        losses.append(float(-np.log(shares[right == 1]).mean()))
        to_scores = (shares - right) / (len(asked) * s.temperature)
        gradient = through_norm(to_scores @ b, a, raw_asked).T @ asked
        gradient += through_norm(to_scores.T @ a, b, raw_given).T @ given
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        moved = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        residual = residual - s.learning_rate * s.weight_decay * residual - s.learning_rate * moved
    return np.eye(SIZE) + residual, losses


def through_norm(gradient: np.ndarray, vectors: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """The gradient before the vectors were brought to unit length."""
    along = (gradient * vectors).sum(axis=1, keepdims=True)
    return (gradient - along * vectors) / np.linalg.norm(raw, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"steps": 600, "learning_rate": 1e-3},
        {"temperature": 0.5, "weight_decay": 0.0},
        {"learning_rate": 1e-2, "weight_decay": 3.0},
        {"hard_negatives": 1, "temperature": 0.2},
    ],
    ids=str,
)
def test_training_is_what_numpy_computes(collection: Collection, values: dict[str, float]) -> None:
    weight, losses = fit(collection, **values)
    expected, every_loss = fit_in_numpy(collection, **values)
    moved = np.abs(expected - np.eye(SIZE)).max()
    assert weight.dtype == np.float32
    assert np.abs(weight - expected).max() < 0.01 * moved
    ends = [0, *(step for step, _ in losses)]
    means = [np.mean(every_loss[start:end]) for start, end in pairwise(ends)]
    assert [loss for _, loss in losses] == pytest.approx(means, rel=1e-3)


def test_the_loss_is_told_every_few_steps_and_at_the_end(collection: Collection) -> None:
    told, steps = [], []
    sampler, recipe, negatives = problem(collection, steps=2 * LOG_EVERY + 3)
    examples = Examples(*made_up_vectors(collection), sampler, negatives)
    _, course = train_head(examples, None, recipe, lambda *step: steps.append(step), lambda *loss: told.append(loss))
    at = [LOG_EVERY, 2 * LOG_EVERY, 2 * LOG_EVERY + 3]
    assert [step for step, _ in course.losses] == at
    assert [loss[1:] for loss in told] == course.losses
    assert steps == [("train", step, at[-1]) for step in at]


def test_training_lowers_the_loss(collection: Collection) -> None:
    losses = [loss for _, loss in fit(collection, steps=300, learning_rate=1e-2)[1]]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_weight_decay_pulls_towards_the_untrained_encoder(collection: Collection) -> None:
    far = [
        np.linalg.norm(fit(collection, learning_rate=1e-2, weight_decay=decay)[0] - np.eye(SIZE))
        for decay in (0, 10, 100)
    ]
    assert far[0] > 1.5 * far[1] > 1.5 * 1.5 * far[2] > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_bit_and_is_left_as_it_was(collection: Collection, threads: int) -> None:
    before = torch.get_num_threads()
    expected = fit(collection)[0]
    try:
        torch.set_num_threads(threads)
        assert np.array_equal(fit(collection)[0], expected)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_loss_that_diverges_is_told_with_its_step(collection: Collection) -> None:
    with pytest.raises(TrainingError) as caught:
        fit(collection, learning_rate=1e29)
    for part in ("the loss became nan at step ", "no checkpoint was written", "learning rate (1e+29)"):
        assert part in str(caught.value)


def test_weights_that_diverge_in_the_last_step_are_refused(collection: Collection) -> None:
    with pytest.raises(TrainingError, match="no checkpoint was written"):
        fit(collection, learning_rate=9e29, weight_decay=9e29, steps=2)


def test_vectors_that_are_not_numbers_are_refused_in_the_first_step(collection: Collection) -> None:
    queries, documents = made_up_vectors(collection)
    sampler, recipe, negatives = problem(collection)
    with pytest.raises(TrainingError, match="the loss became nan at step 1;"):
        train_head(Examples(queries * np.nan, documents, sampler, negatives), None, recipe, silent, unobserved)


def test_a_run_that_diverges_leaves_no_checkpoint(bert: Path, small: Collection, store: Store) -> None:
    recipe, encoder, training = recipe_for(bert, small, replace(SHORT, learning_rate=1e29))
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"bert, head on made up, alpha 0.5, seed 0: the loss became"):
            train(recipe, encoder, training, store)
    assert not list(store.root.glob("checkpoints/*"))


@pytest.fixture(scope="module")
def trained(bert: Path, small: Collection, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    """A checkpoint, and the store that it is in."""
    store = Store(tmp_path_factory.mktemp("trained"))
    return store, train(*recipe_for(bert, small, replace(SHORT, learning_rate=0.05)), store)


def test_the_same_recipe_gives_the_same_bytes(bert: Path, small: Collection, trained, store: Store) -> None:
    key = train(*recipe_for(bert, small, replace(SHORT, learning_rate=0.05)), store)
    first, second = (one.manifest("checkpoints", key)["files"] for one in (trained[0], store))
    assert key == trained[1]
    del first["training.json"], second["training.json"]  # which tell the seconds
    assert first == second
    told = [read_training(one, key) for one in (trained[0], store)]
    assert [{**one, "seconds": 0} for one in told] == [{**told[0], "seconds": 0}] * 2


@pytest.mark.parametrize("changed", [{"seed": 1}, {"alpha": 0.0}, {"alpha": None, "strategy": "x-x"}], ids=str)
def test_another_seed_or_ratio_gives_other_weights(bert, small, trained, store: Store, changed: dict) -> None:
    key = train(*recipe_for(bert, small, replace(SHORT, learning_rate=0.05), **changed), store)
    head = "2_Head/model.safetensors:linear.weight"
    one, other = weights(trained[0].path("checkpoints", trained[1])), weights(store.path("checkpoints", key))
    assert not np.array_equal(one.pop(head), other.pop(head))
    assert all(np.array_equal(one[name], other[name]) for name in one)  # the encoder is frozen


def test_a_trained_recipe_is_found_again(bert: Path, small: Collection, trained, monkeypatch) -> None:
    store, key = trained
    monkeypatch.setattr("engine.training.head.train_head", lambda *_: pytest.fail("trained again"))
    assert train(*recipe_for(bert, small, replace(SHORT, learning_rate=0.05)), store) == key


def test_the_base_encoder_is_left_as_it_was(bert: Path, small: Collection, store: Store) -> None:
    before = {file: file.read_bytes() for file in bert.rglob("*") if file.is_file()}
    train(*recipe_for(bert, small), store)
    assert {file: file.read_bytes() for file in bert.rglob("*") if file.is_file()} == before


BASES = {
    "bert": lambda folder: tiny_bert(folder, as_sentence_transformer=True, prompts=PROMPTS),
    "xlm-r": lambda folder: tiny_xlm_roberta(folder, as_sentence_transformer=True, prompts={"document": "Die "}),
    "a raw transformer": tiny_bert,
    "without normalisation": lambda folder: without_normalisation(tiny_bert(folder, as_sentence_transformer=True)),
}


def without_normalisation(folder: Path) -> Path:
    file = folder / "modules.json"
    file.write_text(json.dumps(json.loads(file.read_text())[:-1]))
    return folder


@pytest.mark.parametrize(("base", "times"), [*((base, 1) for base in BASES), ("bert", 2)])
def test_sentence_transformers_alone_gives_the_same_vectors(
    tmp_path: Path, store: Store, small: Collection, base: str, times: int
) -> None:
    encoder = open_encoder(str(BASES[base](tmp_path / "base")), store)
    for alpha in (0.5, 1.0)[:times]:
        _, _, training = recipe_for(encoder.folder, small)
        settings = replace(SHORT, learning_rate=0.05)
        key = train(make_recipe(encoder, training, alpha=alpha, settings=settings), encoder, training, store)
        before, encoder = encoder, open_encoder(key, store)
    [weight] = [w for name, w in weights(encoder.folder).items() if name.startswith(f"{times + 1}_Head")]
    assert np.abs(weight - np.eye(len(weight))).max() > 0.1
    alone = SentenceTransformer(str(encoder.folder), device="cpu")
    assert [type(module).__name__ for module in alone][-times - 1 :] == [*["Dense"] * times, "Normalize"]
    for role, texts, encode in (
        ("query", small.queries.texts[::2], alone.encode_query),
        ("document", small.corpus.texts[::3], alone.encode_document),
    ):
        ours = embed(encoder, role, texts, store)
        assert (ours * encode(list(texts))).sum(axis=1).min() > 0.99999
        assert np.abs(ours - alone.encode(list(texts), prompt_name=role)).max() < 1e-5
        assert np.abs(ours - encoder.encode(texts, role)).max() < 1e-5
        assert np.abs(ours - unit(before.encode(texts, role) @ weight.T)).max() < 1e-5


def test_the_checkpoint_keeps_prompts_that_were_given_in_place_of_the_models_own(bert, small, store: Store) -> None:
    encoder = SentenceEncoder(bert, "bert", prompts={"query": "Wo ", "document": ""})
    _, _, training = recipe_for(bert, small)
    recipe = make_recipe(encoder, training, alpha=0.5, settings=SHORT)
    checkpoint = open_encoder(train(recipe, encoder, training, store), store)
    assert checkpoint.prompts == {"query": "Wo ", "document": ""}
    texts = small.corpus.texts[:9]
    alone = SentenceTransformer(str(checkpoint.folder), device="cpu")
    assert np.abs(alone.encode_document(list(texts)) - embed(checkpoint, "document", texts, store)).max() < 1e-5


def with_texts(collection: Collection, **texts: str) -> Collection:
    new = tuple(texts.get(f"_{row}", text) for row, text in enumerate(collection.corpus.texts))
    return replace(collection, corpus=replace(collection.corpus, texts=new))


def batches(collection: Collection, size: int = 4) -> list[Batch]:
    return list(HybridBatchSampler(TrainingPairs.from_collection(collection), batch_size=size, batches=30))


def paragraphs(*sentences: int) -> Collection:
    """Paragraphs of so many sentences in two languages; the first sentence of each answers its only question."""
    return parallel_collection(
        "uneven",
        {
            code: [
                ([f"{code} {p} {i}" for i in range(count)], [(f"q{p}", f"{code} {p}?", 0)])
                for p, count in enumerate(sentences)
            ]
            for code in ("de", "en")
        },
    )


def test_hard_negatives_stand_in_the_positives_own_paragraph_and_answer_nothing(collection: Collection) -> None:
    collection = with_texts(collection, _2=f" {collection.corpus.texts[40]} ", _5=collection.corpus.texts[0])
    assert {2, 5}.isdisjoint(collection.qrels.documents)  # candidates with an answer's text
    assert 40 in collection.qrels.documents
    corpus: Corpus = collection.corpus
    answers = {corpus.texts[doc].strip() for doc in collection.qrels.documents}
    negatives, own = HardNegatives(collection, 2, seed=0), 0
    for step, batch in enumerate(batches(collection), 1):
        found = negatives.by_pair(batch, step)
        assert found.shape == (4, 2)
        for doc, given in zip(batch.documents, found, strict=True):
            assert not {corpus.texts[row].strip() for row in given} & answers
            if (corpus.passages[doc], corpus.languages[doc]) in {("0.0", "ar"), ("0.1", "ar")}:
                continue  # these have no sentence left, so get another pair's
            own += 1
            assert {(corpus.passages[row], corpus.languages[row]) for row in given} == {
                (corpus.passages[doc], corpus.languages[doc])
            }
    assert own > 90
    assert {corpus.texts[row] for row in found.ravel()} <= set(negatives.texts())


def test_a_paragraph_with_few_sentences_gives_each_before_one_twice() -> None:
    collection = paragraphs(2, 3, 4, 6)
    negatives, spare = HardNegatives(collection, 3, seed=0), {"0.0": 1, "0.1": 2, "0.2": 3, "0.3": 3}
    for step, batch in enumerate(batches(collection), 1):
        for doc, given in zip(batch.documents, negatives.by_pair(batch, step), strict=True):
            assert len(set(given)) == spare[collection.corpus.passages[doc]]
        assert np.array_equal(negatives.rows(batch, step), np.unique(negatives.by_pair(batch, step)))


def test_a_paragraph_without_another_sentence_gets_another_pairs(collection: Collection) -> None:
    collection = paragraphs(1, 4, 4, 4)
    for step, batch in enumerate(batches(collection), 1):
        found = HardNegatives(collection, 2, seed=0).by_pair(batch, step)
        given = {doc: tuple(row) for doc, row in zip(batch.documents, found, strict=True)}
        [lonely] = [doc for doc in given if collection.corpus.passages[doc] == "0.0"]
        assert given.pop(lonely) in given.values()


def test_hard_negatives_that_no_paragraph_has_are_refused() -> None:
    collection = paragraphs(1, 1, 1, 1)
    with pytest.raises(TrainingError, match="no paragraph has a sentence that answers no question; train without"):
        HardNegatives(collection, 1, seed=0).by_pair(batches(collection)[0], 1)
    none = HardNegatives(collection, 0, seed=0)
    assert none.by_pair(batches(collection)[0], 1).shape == (4, 0)
    assert len(none.rows(batches(collection)[0], 1)) == len(none.texts()) == 0


def test_hard_negatives_depend_on_seed_and_step_alone() -> None:
    collection = paragraphs(9, 9, 9, 9)
    batch = batches(collection)[0]

    def drawn(seed: int, step: int) -> list[list[int]]:
        return HardNegatives(collection, 2, seed).by_pair(batch, step).tolist()

    assert drawn(0, 1) == drawn(0, 1)
    assert len({str(drawn(*of)) for of in ((0, 1), (0, 2), (1, 1), (1, 2))}) == 4
