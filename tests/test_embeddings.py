"""Embedding folders of clip-retrieval: what is read, whose vectors they are, and training on them."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import polars as pl
import pytest

from engine.collections.digest import collection_digest
from engine.collections.opening import open_collection
from engine.collections.pictures import PICTURE
from engine.collections.reading import read_collection
from engine.encoders.embedding import embed, embed_collection
from engine.encoders.encoder import unit_length
from engine.encoders.given import ALIKE
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.training.recipe import Settings
from engine.training.train import TrainingSet, make_recipe, train
from tests import web_builders as web
from tests.picture_models import clip_folder, vision_folder

SPOKEN = ["de", "en", "en", "fr", "de", "en", "fr", "de"]


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return [unit_length(rng.normal(size=(8, 6)).astype(np.float32)).astype(np.float16) for _ in range(2)]


@pytest.fixture
def metadata():
    return {
        "image_path": [f"{i:09d}" for i in range(8)],
        "caption": [f"caption {i}" for i in range(8)],
        "similarity": [0.2 + i / 20 for i in range(8)],
        "punsafe": [0.0, None, 0.9, 0.1, 0.0, 0.5, 0.0, 0.0],
        "LANGUAGE": SPOKEN,
    }


@pytest.fixture
def folder(tmp_path, vectors, metadata):
    """8 pairs in 3 languages, in two parts."""
    return web.write_embeddings(tmp_path / "laion", *vectors, metadata, [5])


class Fixed:
    """An encoder whose vectors of captions are those of a table."""

    name, fingerprint, max_length, dtype, similarity = "fixed", "f" * 32, None, "float32", "cosine"

    def __init__(self, captions, prompt="query: "):
        self.prompts = {"query": prompt, "document": ""}
        self.captions, self.asked = captions, []

    def encode(self, texts, role):
        self.asked += texts
        return unit_length(np.array([self.captions[int(text.rsplit(" ", 1)[1])] for text in texts], np.float32))


def test_pairs_stand_in_the_rows_of_their_vectors(folder, vectors, store):
    collection = open_collection(str(folder), store)
    assert collection.languages == ("de", "en", "fr", PICTURE)
    expected = [i for code in ("de", "en", "fr") for i, spoken in enumerate(SPOKEN) if spoken == code]
    assert [int(text[-1]) for text in collection.queries.texts[:8]] == expected
    queries, documents = embed_collection(Fixed(vectors[0]), collection, store)
    np.testing.assert_allclose(queries[:8], unit_length(vectors[0].astype(np.float32))[expected], atol=1e-6)
    np.testing.assert_allclose(documents[8:], unit_length(vectors[1].astype(np.float32)), atol=1e-6)
    judged = dict(zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True))
    assert [judged[row] - 8 for row in range(8)] == expected


def test_a_part_of_a_collection_keeps_its_vectors(folder, vectors, store):
    whole = read_collection(folder)
    part = whole.without_questions({whole.queries.questions[0]})
    queries, documents = embed_collection(Fixed(vectors[0]), part, store)
    all_queries, all_documents = embed_collection(Fixed(vectors[0]), whole, store)
    np.testing.assert_array_equal(queries, all_queries[part.queries.rows_in(whole.queries)])
    np.testing.assert_array_equal(documents, all_documents)


def test_vectors_of_another_encoder_are_refused(folder, vectors, store):
    collection = read_collection(folder)
    with pytest.raises(InputError, match=r"not those of fixed; .* cosine of -?0\.\d\d, 0\.99 is needed"):
        embed_collection(Fixed(vectors[1]), collection, store)
    with pytest.raises(InputError, match="6 dimensions"):
        embed_collection(Fixed(np.eye(8)), collection, store)


def test_a_digest_knows_the_vectors(folder, vectors, metadata, tmp_path):
    whole = collection_digest(read_collection(folder))
    same = web.write_embeddings(tmp_path / "same", *vectors, metadata, [5])
    assert collection_digest(read_collection(same)) == whole
    other = web.write_embeddings(tmp_path / "other", -vectors[0], vectors[1], metadata, [5])
    assert collection_digest(read_collection(other)) != whole


def test_equal_pictures_are_one_with_several_captions(tmp_path, vectors, metadata):
    pictures = vectors[1].copy()
    pictures[4] = pictures[0]
    collection = read_collection(web.write_embeddings(tmp_path / "twice", vectors[0], pictures, metadata))
    assert collection.corpus.languages.count(PICTURE) == 7
    assert collection.queries.questions[:3] == ("0", "0/2", "7")


def test_a_picture_of_which_only_the_vector_is_there_cannot_be_shown(folder):
    picture = read_collection(folder).corpus.texts[-1]
    with pytest.raises(InputError, match=r"img_emb_1\.npy: holds the vector of a picture, not the picture"):
        picture.open()
    again = pickle.loads(pickle.dumps(picture))  # noqa: S301 - our own
    assert (again, again.path) == (picture, picture.path)


def test_pairs_are_chosen_by_language_and_scores(folder, store):
    def taken(parts):
        texts = open_collection(f"{folder}:{parts}", store).queries.texts
        return sorted(int(text[-1]) for text in texts[: len(texts) // 2])

    assert taken("languages=fr+de") == [0, 3, 4, 6, 7]
    assert taken("similarity=0.3:punsafe=0.1") == [3, 4, 6, 7]
    with pytest.raises(InputError, match=r"metadata_0\.parquet: has no column pwatermark"):
        taken("pwatermark=0.5")
    assert dict(open_collection(f"{folder}:languages=fr", store).skipped) == {
        "a pair is outside the languages or scores that were asked for": 6
    }


def test_captions_that_name_no_language_take_the_one_given(tmp_path, vectors, metadata, store):
    metadata = {**metadata, "LANGUAGE": [None, "nolang", "", *SPOKEN[3:]]}
    folder = web.write_embeddings(tmp_path / "laion", *vectors, metadata)
    with pytest.raises(InputError, match=r"metadata_0\.parquet, row 0: a caption's language is not known.*--lang"):
        open_collection(str(folder), store)
    assert open_collection(str(folder), store, skip_invalid=True).skipped == (("a caption's language is not known", 3),)
    assert open_collection(f"{folder}:lang=sw", store).queries.languages.count("sw") == 3


@pytest.mark.parametrize(
    ("row", "reason"),
    [("nan", "zero or has numbers"), ("zero", "zero or has numbers"), ("empty", "no caption"), ("null", "no caption")],
)
def test_unusable_pairs_are_told_with_their_row_or_counted(tmp_path, vectors, metadata, row, reason):
    captions, pictures = (part.copy() for part in vectors)
    captions[5] = np.nan if row == "nan" else captions[5]
    pictures[5] = 0 if row == "zero" else pictures[5]
    metadata["caption"][5] = {"empty": " ", "null": None}.get(row, "usual")
    folder = web.write_embeddings(tmp_path / "laion", captions, pictures, metadata, [4])
    with pytest.raises(InputError, match=rf"_1\.(npy|parquet), row 1: .*{reason}.*--skip-invalid"):
        read_collection(folder)
    collection = read_collection(folder, skip_invalid=True)
    assert len(collection.corpus) == 14
    assert [count for _, count in collection.skipped] == [1]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no text_emb", r"text_emb_1\.npy: no such file; captions must be embedded too"),
        ("no metadata", r"metadata_1\.parquet: cannot be read"),
        ("rows", r"text_emb_1\.npy: has 2 rows, img_emb_1\.npy has 3"),
        ("metadata rows", r"metadata_1\.parquet: has 2 rows, img_emb_1\.npy has 3"),
        ("width", r"text_emb_1\.npy: has shape \(3, 4\)"),
        ("flat", r"text_emb_1\.npy: has shape \(3,\)"),
        ("objects", r"text_emb_1\.npy: is no whole array"),
        ("cut", r"text_emb_1\.npy: is no whole array"),
        ("double", r"text_emb_1\.npy: holds float64"),
        ("no array", r"text_emb_1\.npy: is no whole array"),
        ("no parquet", r"metadata_1\.parquet: cannot be read"),
        ("no caption", r"metadata_1\.parquet: has no column caption"),
        ("empty", r"img_emb: holds no img_emb_0\.npy"),
    ],
)
def test_a_broken_folder_is_one_line(folder, fault, reason):
    captions, table = folder / "text_emb" / "text_emb_1.npy", folder / "metadata" / "metadata_1.parquet"
    arrays = {
        "rows": np.ones((2, 6), np.float16),
        "width": np.ones((3, 4), np.float16),
        "flat": np.ones(3, np.float16),
        "objects": np.array([[{}] * 6] * 3),
        "double": np.ones((3, 6)),
    }
    if fault in arrays:
        np.save(captions, arrays[fault], allow_pickle=True)
    elif fault == "empty":
        shutil.rmtree(folder / "img_emb")
        (folder / "img_emb").mkdir()
    elif fault == "cut":
        captions.write_bytes(captions.read_bytes()[:-4])
    elif fault in ("no array", "no parquet"):
        (captions if fault == "no array" else table).write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': " + b"?" * 90)
    elif fault in ("no text_emb", "no metadata"):
        (captions if fault == "no text_emb" else table).unlink()
    else:
        frame = pl.read_parquet(table)
        (frame.head(2) if fault == "metadata rows" else frame.drop("caption")).write_parquet(table)
    for skip in (False, True):
        with pytest.raises(InputError, match=reason) as told:
            read_collection(folder, skip_invalid=skip)
        assert "\n" not in str(told.value)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.mark.parametrize("towers", ["one model", "never met", "a checkpoint"])
def test_training_on_given_vectors_is_training_on_the_pictures(clip, store, tmp_path, towers):
    name = str(clip) if towers != "never met" else f"{clip}+{vision_folder(tmp_path / 'vision', size=20)}"
    hyper = Settings(steps=30, batch_size=4, learning_rate=0.01)
    if towers == "a checkpoint":
        web.write_shard(tmp_path / "before" / "0.tar", web.pairs(8))
        encoder, before = open_encoder(name, store), TrainingSet(read_collection(tmp_path / "before"))
        name = train(make_recipe(encoder, before, alpha=0.0, settings=hyper), encoder, before, store)
    folder, seen = web.embedded(name, tmp_path, store)
    given, encoder, checkpoints = read_collection(folder), open_encoder(name, store), []
    for collection in (given, seen):
        training = TrainingSet.without_leaks(collection, [])
        recipe = make_recipe(encoder, training, alpha=0.5, settings=hyper)
        checkpoints.append(open_encoder(train(recipe, encoder, training, store), store))
    ours, theirs = (embed(one, "query", seen.queries.texts, store) for one in checkpoints)
    assert np.abs(ours - theirs).max() < 0.02  # the given ones are in half precision
    assert np.abs(ours - embed(encoder, "query", seen.queries.texts, store)[:, : ours.shape[1]]).max() > 0.05
    with_vectors, with_pictures = (embed_collection(checkpoints[0], one, store) for one in (given, seen))
    for one, other in zip(with_vectors, with_pictures, strict=True):
        np.testing.assert_allclose(one, other, atol=0.01)


def test_a_head_that_changes_little_is_not_passed_over(clip, store, tmp_path):
    folder, seen = web.embedded(str(clip), tmp_path, store)
    base, training = open_encoder(str(clip), store), TrainingSet(read_collection(folder))
    hyper = Settings(steps=4, batch_size=4, learning_rate=1e-3)
    key = train(make_recipe(base, training, alpha=1.0, settings=hyper), base, training, store)
    given, _ = embed_collection(open_encoder(key, store), training.collection, store)
    expected, untrained = (embed_collection(one, seen, store)[0] for one in (open_encoder(key, store), base))
    assert (expected * untrained).sum(axis=1).min() > ALIKE  # so the sample is near to both
    assert np.abs(given - expected).max() < 1e-3
    assert np.abs(expected - untrained).max() > 5e-3


def test_only_the_sample_is_encoded_and_only_once(folder, vectors, store):
    encoder, collection = Fixed(vectors[0]), read_collection(folder)
    for _ in range(2):
        embed_collection(encoder, collection, store)
    assert len(encoder.asked) <= 8
    assert all(isinstance(text, str) and text.startswith("caption") for text in encoder.asked)
