"""Pictures as a language: safe reading, collections of captions and pictures, their ranks and scores."""

from __future__ import annotations

import io
import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from polars.testing import assert_frame_equal

from engine.collections import pictures
from engine.collections.pictures import PICTURE, Picture, decode
from engine.errors import InputError
from engine.evaluation.evaluate import write_evaluation
from engine.evaluation.summary import summarise
from engine.ranks import metrics, picture_scores
from engine.ranks.ranking import rank_collection
from tests import builders, oracle


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def test_a_palette_with_transparency_is_laid_on_white():
    picture = Image.new("P", (2, 1), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.putpixel((0, 0), 0)
    assert list(decode(encoded(picture, transparency=0)).getdata()) == [(255, 255, 255), (255, 0, 0)]


def test_half_transparent_pixels_are_mixed_with_white():
    assert decode(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 128)))).getpixel((0, 0)) == (127, 127, 127)


def test_sixteen_bit_grey_is_scaled_and_not_cut_off():
    grey = Image.fromarray(np.array([[0, 32768, 65535]], np.uint16))
    assert [pixel[0] for pixel in decode(encoded(grey)).getdata()] == [0, 128, 255]


def test_cmyk_becomes_rgb():
    red, green, blue = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")).getpixel((4, 4))
    assert red > 200
    assert max(green, blue) < 60


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert decode(encoded(Image.new("RGB", (4, 2)), "JPEG", exif=exif)).size == (2, 4)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (3, 3), colour) for colour in ("red", "blue")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(moving).getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_truncated_pictures_are_refused_at_any_size(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    whole = encoded(noise, kind)
    assert decode(whole).size == (64, 64)
    for side in (None, 16):
        with pytest.raises(ValueError, match="picture"):
            decode(whole[: len(whole) // 2], side=side)


def test_what_is_no_picture_and_what_is_too_large_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="no picture of a known format"):
        decode(b"not a picture")
    monkeypatch.setattr(pictures, "MOST_PIXELS", 99)
    with pytest.raises(ValueError, match="10 x 10 pixels is too large"):
        decode(encoded(Image.new("RGB", (10, 10))))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 200), noise=st.binary(max_size=40))
def test_damaged_bytes_raise_one_kind_of_error(cut, noise):
    whole = encoded(Image.new("RGB", (9, 9), "green"))
    try:
        assert decode(whole[:cut] + noise + whole[cut + len(noise) :]).mode == "RGB"
    except ValueError as error:
        assert str(error)


def test_a_picture_is_named_by_its_content_wherever_it_stands(tmp_path):
    content = encoded(Image.new("RGB", (3, 3), "red"))
    (tmp_path / "a.png").write_bytes(content)
    (tmp_path / "shard.tar").write_bytes(b"head" + content + b"tail")
    alone, within = Picture(tmp_path / "a.png"), Picture(tmp_path / "shard.tar", (4, len(content)))
    assert alone == within
    assert within.open().getpixel((0, 0)) == (255, 0, 0)
    assert (copy := pickle.loads(pickle.dumps(within))) == within  # noqa: S301 - our own bytes
    assert copy.span == within.span


def test_a_missing_or_broken_picture_is_told_by_its_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        Picture(tmp_path / "none.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(InputError, match=r"broken\.png: .*--skip-invalid"):
        Picture(tmp_path / "broken.png").open()


@pytest.fixture
def collection(tmp_path):
    """3 pictures; in German and English a caption each, of the first picture two in English."""
    return builders.picture_collection(tmp_path, {"de": 1, "en": 1}, 3, more=[("p0", "en", "p0 again")])


def test_what_belongs_to_one_picture_is_relevant_to_each_other(collection):
    assert collection.languages == ("de", "en", PICTURE)
    assert collection.queries.questions == ("p0", "p1", "p2", "p0", "p1", "p2", "p0/2", "p0", "p1", "p2")
    rows = range(len(collection.queries))
    subjects, codes = collection.corpus.passages, collection.corpus.languages
    expected = {
        (i, j)
        for i in rows
        for j in rows
        if i != j and subjects[i] == subjects[j] and (codes[i], codes[j]) != (PICTURE, PICTURE)
    }
    assert set(zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True)) == expected


def test_leaving_questions_or_candidates_out_keeps_who_is_who(collection):
    smaller = collection.without_questions({"p1"})
    assert [smaller.corpus.texts[row] for row in smaller.own] == list(smaller.queries.texts)
    half = collection.restrict(np.array([subject != "p0" for subject in collection.corpus.passages]), "half")
    assert [half.corpus.texts[row] for row in half.own] == list(half.queries.texts)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 6), size=st.sampled_from([1, 3]))
def test_ranks_are_those_of_a_sort_without_self_and_without_pictures_for_pictures(tmp_path_factory, seed, count, size):
    collection = builders.picture_collection(tmp_path_factory.mktemp("p"), {"de": 2, "en": 1}, count)
    rng = np.random.default_rng(seed)
    queries, documents = (rng.integers(-2, 3, (len(collection.corpus), size)).astype(np.float32) for _ in range(2))
    scores = queries @ documents.T
    is_picture = np.array([code == PICTURE for code in collection.corpus.languages])
    scores[np.diag_indices(len(scores))] = -np.inf
    scores[np.ix_(is_picture, is_picture)] = -np.inf
    ranks, top = rank_collection(queries, documents, collection, top_k=5)
    assert_frame_equal(ranks, oracle.ranks(scores, collection))
    expected = oracle.top(scores, collection, 5).filter(pl.col("score") > -np.inf)
    assert_frame_equal(top, expected)


def test_only_the_exact_index_ranks_pictures(collection):
    vectors = np.zeros((len(collection.corpus), 2), np.float32)
    with pytest.raises(InputError, match="only Flat"):
        rank_collection(vectors, vectors, collection, index="HNSW8")


def clip_benchmark_recall(scores: np.ndarray, positive: np.ndarray, k: int) -> float:
    """CLIP_benchmark's recall@k of one direction (zeroshot_retrieval.py), on (queries, candidates)."""
    first = np.argsort(-scores, axis=1)[:, :k]
    found = np.take_along_axis(positive, first, axis=1).sum(axis=1)
    recall = found / positive.sum(axis=1)
    return float((recall > 0).mean())


@pytest.mark.parametrize("k", [1, 5, 10])
def test_hits_equal_the_recall_of_clip_benchmark(tmp_path, k):
    collection = builders.picture_collection(tmp_path, {"de": 1, "en": 3}, 20)
    rng = np.random.default_rng(k)
    vectors = rng.normal(size=(len(collection.corpus), 6)).astype(np.float32)
    ranks, _ = rank_collection(vectors, vectors, collection)
    subjects, codes = np.array(collection.corpus.passages), np.array(collection.corpus.languages)
    for direction in ("caption-picture", "picture-caption"):
        frame = picture_scores.by_language(ranks, direction, [f"hit@{k}"])
        for language, hits in zip(frame["language"], frame[f"hit@{k}"], strict=True):
            captions, shown = np.flatnonzero(codes == language), np.flatnonzero(codes == PICTURE)
            asked, found = (captions, shown) if direction == "caption-picture" else (shown, captions)
            positive = subjects[asked][:, None] == subjects[found][None]
            expected = clip_benchmark_recall(vectors[asked] @ vectors[found].T, positive, k)
            assert hits == pytest.approx(expected)


def test_the_pool_is_asked_with_pictures_and_holds_captions(collection, store):
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(len(collection.corpus), 4)).astype(np.float32)
    ranks, top = rank_collection(vectors, vectors, collection)
    part = {"name": "p", "digest": "d", "languages": collection.languages, "candidates": 10, "pictures": 3}
    manifest = builders.manifest_of(collection=part)
    write_evaluation("k" * 32, manifest, ranks, top, store)
    from engine.evaluation.evaluate import find_evaluation

    evaluation = find_evaluation(store, "k" * 32)
    summary = summarise(evaluation)
    assert evaluation.pool == 7
    assert summary.query_languages["query_lang"].to_list() == [PICTURE]
    assert summary.rank_distance["query_lang"].to_list() == [PICTURE]
    pairs = metrics.by_pair(ranks)
    assert summary.value("mono", "map") == pytest.approx(
        pairs.filter((pl.col("query_lang") == "en") & (pl.col("doc_lang") == "en"))["map"].item()
    )
    stored = evaluation.figures()["pictures"]
    wanted = pairs.filter(pl.col("doc_lang") == PICTURE)["hit@1"].mean()
    assert stored["caption-picture"]["hit@1"] == pytest.approx(wanted)
    assert stored["caption-caption"]["cells"] == 2
