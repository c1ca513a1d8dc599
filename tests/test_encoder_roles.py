"""A checkpoint is run as its author made it: routes, similarity, sizes. The oracle is sentence-transformers itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
from torch import nn
from transformers import AutoTokenizer

from engine.collections.structures import Collection
from engine.encoders.embedding import embed, is_embedded
from engine.encoders.encoder import Options, SentenceEncoder, unit_length
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.evaluation.evaluate import evaluate
from engine.ranks.search import retrieve
from engine.ranks.similarity import as_inner_products
from engine.storage.store import Store
from engine.training.train import make_recipe, train
from engine.training.training_set import TrainingSet
from tests.checkpoints import SENTENCES, WIDTH, change_json, tiny_bert
from tests.training_builders import SHORT, made_up_collection, weights

TEXTS = [sentence for pair in SENTENCES.values() for sentence in pair]


def save(folder: Path, *modules: nn.Module, **options: object) -> Path:
    model = SentenceTransformer(modules=list(modules), device="cpu", **options)
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def routed(folder: Path, seed: int = 1) -> Path:
    """A Router with other weights for queries than for documents."""
    parts = {}
    for role, own in (("query", seed), ("document", seed + 100)):
        base = tiny_bert(folder.with_name(f"{folder.name}-{role}"), seed=own)
        parts[f"{role}_modules"] = [Transformer(str(base)), Pooling(WIDTH, "mean")]
    return save(folder, Router.for_query_document(**parts), Normalize())


def static(folder: Path, similarity: str) -> Path:
    """Word vectors of different lengths, without Normalize."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert(folder.with_name(f"{folder.name}-words")))
    random = np.random.default_rng(3)
    weights = random.normal(size=(len(tokenizer), 12)) * random.lognormal(0, 1.2, size=(len(tokenizer), 1))
    words = StaticEmbedding(tokenizer.backend_tokenizer, embedding_weights=weights.astype(np.float32))
    return save(folder, words, similarity_fn_name=similarity)


def oracle_ranks(model: SentenceTransformer, collection: Collection) -> list[int]:
    """Rank in the pool of each relevant passage, by the model's own similarity; a slow loop."""
    queries = model.encode_query(list(collection.queries.texts))
    scores = model.similarity(queries, model.encode_document(list(collection.corpus.texts))).numpy()
    pairs = zip(collection.qrels.queries, collection.qrels.documents, strict=True)
    return [1 + int((scores[q] > scores[q, d]).sum() + (scores[q, :d] == scores[q, d]).sum()) for q, d in pairs]


def test_queries_and_documents_take_their_own_routes(tmp_path: Path, tiny_collection: Collection, store: Store) -> None:
    folder = routed(tmp_path / "m")
    model, encoder = SentenceTransformer(str(folder), device="cpu"), SentenceEncoder(folder, "x")
    np.testing.assert_allclose(encoder.encode(TEXTS, "query"), model.encode_query(TEXTS), atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS, "document"), model.encode_document(TEXTS), atol=1e-6)
    assert np.abs(encoder.encode(TEXTS, "query") - encoder.encode(TEXTS, "document")).max() > 0.01
    ranks = evaluate(encoder, tiny_collection, store).ranks()
    assert ranks["rank_in_pool"].to_list() == oracle_ranks(model, tiny_collection)


def test_two_routers_never_share_an_evaluation(tmp_path: Path, tiny_collection: Collection, store: Store) -> None:
    first, second = (SentenceEncoder(routed(tmp_path / str(seed), seed), "x") for seed in (1, 2))
    assert evaluate(first, tiny_collection, store).key != evaluate(second, tiny_collection, store).key


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
def test_ranks_are_those_of_the_models_own_similarity(
    tmp_path: Path, tiny_collection: Collection, store: Store, similarity: str
) -> None:
    folder = static(tmp_path / "m", similarity)
    model, encoder = SentenceTransformer(str(folder), device="cpu"), SentenceEncoder(folder, "x")
    made = evaluate(encoder, tiny_collection, store)
    expected = oracle_ranks(model, tiny_collection)
    assert made.ranks()["rank_in_pool"].to_list() == expected
    assert made.manifest.encoder.similarity == similarity
    if similarity != "cosine":
        change_json(folder / "config_sentence_transformers.json", similarity_fn_name="cosine")
        other = evaluate(SentenceEncoder(folder, "x"), tiny_collection, store)
        assert (other.key, other.ranks()["rank_in_pool"].to_list()) != (made.key, expected)
        assert other.ranks()["rank_in_pool"].to_list() != expected


@pytest.mark.parametrize("similarity", ["dot", "euclidean"])
def test_a_typed_question_is_ranked_by_the_models_own_similarity(
    tmp_path: Path, tiny_collection: Collection, store: Store, similarity: str
) -> None:
    folder = static(tmp_path / "m", similarity)
    model = SentenceTransformer(str(folder), device="cpu")
    scores = model.similarity(model.encode_query(TEXTS[:1]), model.encode_document(list(tiny_collection.corpus.texts)))
    found = retrieve(SentenceEncoder(folder, "x"), tiny_collection, TEXTS[0], store, k=3)
    assert found["doc"].to_list() == np.argsort(-scores[0].numpy(), kind="stable")[:3].tolist()


@pytest.mark.parametrize("similarity", ["manhattan", "maxsim"])
def test_a_similarity_that_cannot_be_ranked_is_refused(tmp_path: Path, similarity: str) -> None:
    folder = static(tmp_path / "m", "dot")
    change_json(folder / "config_sentence_transformers.json", similarity_fn_name=similarity)
    with pytest.raises(InputError, match=f"{similarity}.*cosine, dot, euclidean") as error:
        SentenceEncoder(folder, "x")
    assert "\n" not in str(error.value)


def vectors(rows: int) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(np.float32, (rows, 3), elements=st.integers(-50, 50))


@given(vectors(2), vectors(6))
def test_inner_products_rank_as_distances_do(queries: np.ndarray, documents: np.ndarray) -> None:
    squares = ((queries[:, None].astype(int) - documents[None].astype(int)) ** 2).sum(axis=2)
    first, second = as_inner_products(queries, documents, "euclidean")
    products = first @ second.T  # of small integers, so exact
    np.testing.assert_array_equal(np.argsort(-products, kind="stable"), np.argsort(squares, kind="stable"))


def test_sizes_are_cut_as_sentence_transformers_cuts_them_and_encoded_once(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True, more=[Dense(WIDTH, 16), Dense(16, 12)])
    for size in (12, 5):
        model = SentenceTransformer(str(folder), device="cpu", truncate_dim=size)
        encoder = SentenceEncoder(folder, "x", options=Options(truncate_dim=size))
        expected = unit_length(model.encode(TEXTS))
        np.testing.assert_allclose(encoder.encode(TEXTS, "query"), expected, atol=1e-6)
        np.testing.assert_allclose(embed(encoder, "query", TEXTS, store), expected, atol=1e-6)
        monkeypatch.setattr(SentenceEncoder, "encode", lambda *_: pytest.fail("every size comes from one entry"))
        assert is_embedded(SentenceEncoder(folder, "x", options=Options(truncate_dim=3)), "query", TEXTS, store)
        monkeypatch.undo()


def test_the_authors_size_holds_unless_another_is_given(tmp_path: Path, store: Store) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    change_json(folder / "config_sentence_transformers.json", truncate_dim=8)
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    found = embed(SentenceEncoder(folder, "x"), "query", TEXTS, store)
    np.testing.assert_allclose(found, unit_length(expected), atol=1e-6)
    given = SentenceEncoder(folder, "x", options=Options(truncate_dim=4))
    assert embed(given, "query", TEXTS, store).shape == (len(TEXTS), 4)


def test_a_size_beyond_the_models_is_refused(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    with pytest.raises(InputError, match=f"truncate dim is 1000, but its vectors have {WIDTH} dimensions"):
        SentenceEncoder(folder, "x", options=Options(truncate_dim=1000)).encode(TEXTS, "query")
    with pytest.raises(InputError, match="truncate dim must be an integer >= 1, got 0"):
        Options(truncate_dim=0)


LETTERED = made_up_collection()


def test_a_head_trained_on_fewer_dimensions_is_an_ordinary_checkpoint(tmp_path: Path, store: Store) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    encoder, training = SentenceEncoder(folder, "x", options=Options(truncate_dim=8)), TrainingSet(LETTERED)
    recipe = make_recipe(encoder, training, alpha=0.5, settings=SHORT)
    assert recipe.encoder != SentenceEncoder(folder, "x").fingerprint
    checkpoint = open_encoder(train(recipe, encoder, training, store), store)
    alone = SentenceTransformer(str(checkpoint.folder), device="cpu").encode_query(TEXTS)
    assert alone.shape == (len(TEXTS), 8)
    np.testing.assert_allclose(embed(checkpoint, "query", TEXTS, store), alone, atol=1e-5)
    start = embed(encoder, "query", TEXTS, store)
    assert (alone * start).sum(axis=1).min() > 0.9  # six steps from the identity


def test_fewer_dimensions_are_no_matter_of_the_method_full(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    encoder = SentenceEncoder(folder, "x", options=Options(truncate_dim=8))
    with pytest.raises(InputError, match="method full trains all dimensions"):
        make_recipe(encoder, TrainingSet(LETTERED), method="full", alpha=0.5)


@pytest.mark.parametrize("method", ["head", "full"])
def test_a_checkpoint_is_compared_by_the_cosine_it_was_trained_for(
    tmp_path: Path, store: Store, caplog, method: str
) -> None:
    folder = static(tmp_path / "m", "dot")
    encoder, training = SentenceEncoder(folder, "x"), TrainingSet(LETTERED)
    settings = replace(SHORT, steps=2, max_length=None)
    checkpoint = open_encoder(
        train(make_recipe(encoder, training, method=method, alpha=0.5, settings=settings), encoder, training, store),
        store,
    )
    assert checkpoint.similarity == "cosine"
    assert "x is made for dot; training, and the checkpoint, use cosine" in caplog.text
    alone = SentenceTransformer(str(checkpoint.folder), device="cpu")
    assert alone.similarity_fn_name == "cosine"
    expected = unit_length(alone.encode_query(TEXTS))
    np.testing.assert_allclose(embed(checkpoint, "query", TEXTS, store), expected, atol=1e-5)


@pytest.mark.parametrize("method", ["head", "full"])
def test_a_router_is_trained_by_its_routes(tmp_path: Path, store: Store, method: str) -> None:
    folder = routed(tmp_path / "m")
    encoder, training = SentenceEncoder(folder, "x"), TrainingSet(LETTERED)
    recipe = make_recipe(encoder, training, method=method, alpha=0.5, settings=replace(SHORT, steps=2))
    trained = open_encoder(train(recipe, encoder, training, store), store)
    alone = SentenceTransformer(str(trained.folder), device="cpu")
    np.testing.assert_allclose(embed(trained, "query", TEXTS, store), alone.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(embed(trained, "document", TEXTS, store), alone.encode_document(TEXTS), atol=1e-5)
    if method == "full":
        changed = {
            name.split("_")[0]
            for name, tensor in weights(trained.folder).items()
            if not np.array_equal(tensor, weights(folder)[name])
        }
        assert changed == {"query", "document"}
