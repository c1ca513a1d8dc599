"""Strategies that take the language out of the vectors, against the same arithmetic written out one text at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.encoders.adjustment import LanguageAdjustment
from engine.encoders.embedding import embed, embed_collection, is_collection_embedded
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.folder import ADJUSTMENT
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.evaluation.evaluate import evaluate
from engine.ranks.search import retrieve
from engine.storage.store import Store
from engine.sweeps.sweep import Sweep
from engine.training.adjusted import adjusted_by
from engine.training.checkpoint import read_training
from engine.training.train import make_recipe, train
from engine.training.training_set import TrainingSet
from tests.checkpoints import tiny_bert
from tests.training_builders import SHORT, made_up_collection

SIZE = 6


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder = tmp_path_factory.mktemp("adjusted") / "bert"
    return SentenceEncoder(tiny_bert(folder, "ar", "de", "en", as_sentence_transformer=True), "bert")


@pytest.fixture(scope="module")
def trained_on() -> Collection:
    return made_up_collection(languages=("de", "en"))


@pytest.fixture(scope="module")
def evaluated_on() -> Collection:
    return made_up_collection(languages=("ar", "de", "en"), first=40, name="held")


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def slowly(directions: int, sample: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """One vector without its language's part, in float64: the sample's mean, or its first right singular vectors."""
    if directions == 0:
        return unit(vector - sample.mean(axis=0))
    _, _, axes = np.linalg.svd(sample.astype(np.float64), full_matrices=False)
    for axis in axes[:directions]:
        vector = vector - (vector @ axis) * axis
    return unit(vector)


def vectors_of(encoder: SentenceEncoder, collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    queries = encoder.encode(collection.queries.texts, "query")
    return queries, encoder.encode(collection.corpus.texts, "document")


def rows_of(languages: Sequence[str], code: str) -> list[int]:
    return [row for row, language in enumerate(languages) if language == code]


@settings(deadline=None, max_examples=50)
@given(
    directions=st.integers(0, 3),
    languages=st.lists(st.sampled_from("abc"), min_size=12, max_size=40),
    seed=st.integers(0, 2**16),
)
def test_an_adjustment_is_what_the_papers_say(directions: int, languages: list[str], seed: int) -> None:
    languages = [*languages, *"aaaabbbbcccc"]
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((len(languages), SIZE))).astype(np.float32)
    adjustment = LanguageAdjustment.estimate(directions, {"query": vectors}, {"query": languages})
    adjusted = adjustment.apply(vectors, languages, "query")
    expected = [
        slowly(directions, vectors[rows_of(languages, code)], vector)
        for code, vector in zip(languages, vectors, strict=True)
    ]
    assert np.abs(adjusted - expected).max() < 1e-3
    np.testing.assert_array_equal(adjustment.apply(vectors, languages, "document"), vectors)  # no part: left alone


def test_an_adjustment_survives_its_file(tmp_path: Path) -> None:
    parts = {("query", "pt-BR"): np.eye(2, SIZE, dtype=np.float32), ("document", "en"): np.ones((2, SIZE), np.float32)}
    LanguageAdjustment(2, parts, transductive=True, before_head=True).save(tmp_path)
    read = LanguageAdjustment.load(tmp_path)
    assert (read.directions, read.transductive, read.before_head) == (2, True, True)
    assert {place: part.tolist() for place, part in read.parts.items()} == {k: v.tolist() for k, v in parts.items()}


@pytest.mark.parametrize("content", [b"", b"no tensors", bytes(8)])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ADJUSTMENT).write_bytes(content)
    with pytest.raises(InputError, match=r"language_adjustment.safetensors: cannot be read .*train the checkpoint"):
        LanguageAdjustment.load(tmp_path)


def test_more_directions_than_texts_are_refused() -> None:
    vectors = np.eye(2, SIZE, dtype=np.float32)
    with pytest.raises(InputError, match="3 directions of language en cannot be taken from 2 texts with 6 dimensions"):
        LanguageAdjustment.estimate(3, {"query": vectors}, {"query": ["en", "en"]})


def test_vectors_of_another_dimension_are_refused() -> None:
    adjustment = LanguageAdjustment(0, {("query", "en"): np.zeros((1, SIZE), np.float32)})
    with pytest.raises(InputError, match="must have 6 dimensions, got 4"):
        adjustment.apply(np.eye(4, dtype=np.float32), ["en"] * 4, "query")


def checkpoint(encoder, trained_on: Collection, store: Store, strategy: str, alpha: float | None = None):
    training = TrainingSet(trained_on)
    recipe = make_recipe(encoder, training, strategy=strategy, alpha=alpha, settings=SHORT)
    return open_encoder(train(recipe, encoder, training, store), store)


@pytest.mark.parametrize("strategy", ["centred", "lir-2", "centred-transductive", "lir-1-transductive"])
def test_a_checkpoint_takes_the_training_collections_part_out(
    bert: SentenceEncoder, trained_on: Collection, evaluated_on: Collection, store: Store, strategy: str
) -> None:
    adjusted = adjusted_by(strategy)
    made = checkpoint(bert, trained_on, store, strategy)
    sides = zip(vectors_of(bert, trained_on), vectors_of(bert, evaluated_on), (0, 1), strict=True)
    passages = vectors_of(bert, evaluated_on)[1]
    for (sample, raw, side), part in zip(sides, embed_collection(made, evaluated_on, store), strict=True):
        known = (trained_on.queries, trained_on.corpus)[side].languages
        for vector, before, code in zip(
            part, raw, (evaluated_on.queries, evaluated_on.corpus)[side].languages, strict=True
        ):
            of = sample[rows_of(known, code)]
            if code == "ar":  # the training collection lacks it
                of = passages[rows_of(evaluated_on.corpus.languages, "ar")]
            expected = before if code == "ar" and not adjusted.transductive else slowly(adjusted.directions, of, before)
            np.testing.assert_allclose(vector, expected, atol=2e-4)


def test_a_head_is_trained_on_adjusted_vectors_and_applied_after_them(
    bert: SentenceEncoder, trained_on: Collection, evaluated_on: Collection, store: Store
) -> None:
    made = checkpoint(bert, trained_on, store, "centred+hybrid", 0.5)
    centred = checkpoint(bert, trained_on, store, "centred")
    weight = made.unadjusted().head()[1]
    assert np.abs(weight - np.eye(len(weight))).max() > 1e-4
    for part, before in zip(*(embed_collection(one, evaluated_on, store) for one in (made, centred)), strict=True):
        np.testing.assert_allclose(part, unit(before @ weight.T), atol=1e-5)
    assert len(read_training(store, store_key(made))["losses"]) == 1


def store_key(encoder: SentenceEncoder) -> str:
    return encoder.folder.name


def test_adjusting_encodes_nothing_again(
    bert: SentenceEncoder, trained_on: Collection, evaluated_on: Collection, store: Store, monkeypatch
) -> None:
    for collection in (trained_on, evaluated_on):
        embed_collection(bert, collection, store)
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("a text was encoded again"))
    keys = set()
    for strategy, alpha in (("centred", None), ("lir-1", None), ("centred+hybrid", 0.0), ("lir-1+hybrid", 0.0)):
        made = checkpoint(bert, trained_on, store, strategy, alpha)
        assert is_collection_embedded(made, evaluated_on, store)
        keys.add(evaluate(made, evaluated_on, store).key)
    assert len(keys) == 4


def test_transductive_and_plain_have_different_fingerprints(bert, trained_on: Collection, store: Store) -> None:
    made = [checkpoint(bert, trained_on, store, name) for name in ("centred", "centred-transductive", "lir-1")]
    assert len({one.fingerprint for one in [bert, *made]}) == 4
    assert {one.unadjusted().fingerprint for one in made} == {bert.fingerprint}


def test_a_text_alone_is_refused_for_its_language_is_not_known(bert, trained_on, store: Store) -> None:
    made = checkpoint(bert, trained_on, store, "centred")
    for call in (
        lambda: made.encode(["Wo?"], "query"),
        lambda: embed(made, "query", ["Wo?"], store),
        lambda: retrieve(made, trained_on, "Wo?", store),
    ):
        with pytest.raises(InputError, match="needs to know the language of each text"):
            call()


def test_the_folder_and_the_public_function_do_the_same_elsewhere(
    bert, trained_on: Collection, evaluated_on: Collection, store: Store
) -> None:
    made = checkpoint(bert, trained_on, store, "centred")
    elsewhere = SentenceTransformer(str(made.folder)).encode(list(evaluated_on.queries.texts))
    adjusted = LanguageAdjustment.load(made.folder).apply(elsewhere, evaluated_on.queries.languages, "query")
    np.testing.assert_allclose(adjusted, embed_collection(made, evaluated_on, store)[0], atol=1e-5)
    card = (made.folder / "README.md").read_text(encoding="utf-8")
    assert "LanguageAdjustment.load" in card
    assert "every vector has the mean of its language and role subtracted" in card


@pytest.mark.parametrize(("strategy", "alpha"), [("centred", None), ("lir-1-transductive+hybrid", 0.5)])
def test_the_cards_code_gives_the_checkpoints_vectors(bert, trained_on, store: Store, strategy, alpha) -> None:
    made = checkpoint(bert, trained_on, store, strategy, alpha)
    code = (made.folder / "README.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    for place in ("PATH OR HUB ID OF THIS FOLDER", "PATH OF THIS FOLDER"):
        code = code.replace(place, str(made.folder))
    names: dict = {}
    exec(code, names)  # noqa: S102 - the card's own
    texts = ("Where does the mill stand?",), ("Die alte Mühle steht am Fluss.", "The night train leaves at ten.")
    collection = Collection(
        "card",
        ("de", "en"),
        Queries(("q",), ("en",), texts[0]),
        Corpus(("p", "p"), ("de", "en"), texts[1]),
        Qrels(np.array([0]), np.array([0])),
    )
    for vectors, name in zip(embed_collection(made, collection, store), ("queries", "passages"), strict=True):
        np.testing.assert_allclose(unit(names[name]), vectors, atol=1e-5)


def test_a_centred_pool_has_no_language_left_in_its_means(bert, trained_on: Collection, store: Store) -> None:
    _, documents = embed_collection(bert, trained_on, store)
    made = checkpoint(bert, trained_on, store, "centred")
    _, centred = embed_collection(made, trained_on, store)
    codes = np.array(trained_on.corpus.languages)

    def distance(vectors: np.ndarray) -> float:
        return float(np.linalg.norm(vectors[codes == "de"].mean(axis=0) - vectors[codes == "en"].mean(axis=0)))

    assert distance(centred) < 0.2 * distance(documents)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "centred", "alpha": 0.5}, "strategy centred has no alpha, got 0.5"),
        ({"strategy": "centred+hybrid"}, r"strategy centred\+hybrid needs alpha"),
        ({"strategy": "lir-0"}, "strategy 'lir-0' is unknown; allowed are .*centred, lir-1"),
        ({"strategy": "centred+x-x"}, r"strategy 'centred\+x-x' is unknown"),
        ({"strategy": "centred", "method": "full"}, "works on finished vectors; use it with method head"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(bert, trained_on: Collection, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_recipe(bert, TrainingSet(trained_on), **options)


def test_an_adjusted_checkpoint_is_no_base_encoder(bert, trained_on: Collection, store: Store) -> None:
    made = checkpoint(bert, trained_on, store, "centred")
    with pytest.raises(InputError, match="is adjusted by language; train the encoder that it was made from"):
        make_recipe(made, TrainingSet(trained_on), alpha=0.5)


def test_a_sweep_makes_a_mean_once_and_a_head_for_every_ratio_and_seed() -> None:
    sweep = Sweep(
        "e", "t", ("c",), alphas=(0.0, 1.0), seeds=(3, 4), baselines=("x-x", "centred", "lir-1-transductive+hybrid")
    )
    kinds = pl.DataFrame(sweep.kinds(), schema=["strategy", "alpha", "seed", "share"], orient="row")
    counts = dict(kinds.group_by("strategy").len().iter_rows())
    assert counts == {"hybrid": 4, "x-x": 2, "centred": 1, "lir-1-transductive+hybrid": 4}
    assert kinds.filter(pl.col("strategy") == "centred").row(0) == ("centred", None, 3, None)
