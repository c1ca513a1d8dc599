"""open_clip's models are converted to folders whose vectors are those of open_clip itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from engine.collections.pictures import Picture
from engine.encoders import catalog, openclip
from engine.encoders.embedding import embed
from engine.encoders.resolve import open_encoder
from engine.encoders.towers import TwoTowers
from engine.errors import InputError
from engine.training.recipe import Settings
from engine.training.train import TrainingSet, make_recipe, train
from tests import builders
from tests.checkpoints import change_json, tiny_bert
from tests.openclip_models import KINDS, TEXTS, VECTORS, openclip_folder, pictures


@pytest.fixture(scope="module")
def theirs():
    return dict(np.load(VECTORS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return openclip_folder(tmp_path_factory.mktemp("openclip") / "my-clip", "base")


@pytest.fixture
def files(tmp_path):
    found = []
    for i, picture in enumerate(pictures()):
        picture.save(tmp_path / f"{i}.png")
        found.append(Picture(tmp_path / f"{i}.png"))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("quick_gelu", "safe"), [(False, True), (False, False), (True, True)])
def test_texts_and_pictures_get_open_clip_s_vectors(theirs, files, store, tmp_path, kind, quick_gelu, safe):
    made = openclip_folder(tmp_path / "my-clip", kind, quick_gelu=quick_gelu, safe=safe)
    encoder = open_encoder(str(made), store)
    name = f"{kind}{'-quick' if quick_gelu else ''}"
    texts, shown = theirs[f"{name}-texts"], theirs[f"{name}-pictures"]
    assert np.abs(encoder.encode(TEXTS, "query") - texts).max() < 2e-5
    assert np.abs(encoder.encode(files, "document") - shown).max() < 2e-5
    spread = (1 - np.triu(shown @ shown.T, 1)).min(), (1 - np.triu(texts @ texts.T, 1)).min()
    assert min(spread) > 1e-4  # far more than the difference to open_clip


def test_the_activation_shows(theirs):
    assert np.abs(theirs["base-pictures"] - theirs["base-quick-pictures"]).max() > 1e-3


def test_it_is_converted_once_and_plain_sentence_transformers_loads_it(folder, files, store):
    from sentence_transformers import SentenceTransformer

    encoder, again = open_encoder(str(folder), store), open_encoder(str(folder), store)
    assert isinstance(encoder, TwoTowers)
    assert (encoder.name, encoder.fingerprint) == ("my-clip", again.fingerprint)
    assert len(list(store.entries("encoders"))) == 1
    library = SentenceTransformer(str(encoder.folder), device="cpu")
    both = np.stack([library.encode(TEXTS[0]), library.encode(files[0].open())])
    assert np.abs(both - embed(encoder, "query", [TEXTS[0], files[0]], store)).max() < 1e-5


def test_its_towers_met_so_training_starts_from_them(folder, store, tmp_path):
    from engine.training.captions import CaptionSampler
    from engine.training.towers import starting_maps, tower_vectors

    collection = builders.picture_collection(tmp_path, {"de": 1, "en": 1}, 6)
    encoder, training = open_encoder(str(folder), store), TrainingSet.without_leaks(collection, [])
    recipe = make_recipe(encoder, training, alpha=0.5, settings=Settings(steps=1, batch_size=4, learning_rate=1e-9))
    vectors = tower_vectors(encoder, collection, store, lambda *_: None)
    maps = starting_maps(encoder, vectors, CaptionSampler(collection, recipe, 1))
    assert all(np.array_equal(part, np.eye(32)) for part in maps)
    encoded = len(list(store.entries("embeddings")))
    trained = open_encoder(train(recipe, encoder, training, store), store)
    texts = collection.queries.texts
    assert np.abs(embed(trained, "query", texts, store) - embed(encoder, "query", texts, store)).max() < 1e-5
    assert len(list(store.entries("embeddings"))) == encoded  # one trunk serves the base and all that is made of it


def test_its_picture_tower_goes_with_another_text_encoder(folder, files, store, tmp_path):
    text = tiny_bert(tmp_path / "text", as_sentence_transformer=True)
    pair, whole = open_encoder(f"{text}+{folder}", store), open_encoder(str(folder), store)
    assert np.array_equal(pair.encode(files, "query"), whole.encode(files, "query"))
    assert pair.encode(["a"], "query").shape == (1, 32)
    assert not pair.met


def test_where_a_rest_of_three_columns_is_cut_off_one_is_on_the_left(folder, store, tmp_path):
    """open_clip takes two on the left: its middle is one pixel off ours, for rests of 3, 7, 11 ... alone."""
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 35, 3), np.uint8))
    for name, picture in (("wide", wide), ("cut", wide.crop((1, 0, 33, 32)))):
        picture.save(tmp_path / f"{name}.png")
    one, other = open_encoder(str(folder), store).encode(
        [Picture(tmp_path / "wide.png"), Picture(tmp_path / "cut.png")], "query"
    )
    assert np.abs(one - other).max() < 1e-6


def test_catalogue_names_and_their_ids_come_from_the_hub_in_one_format(folder, store, monkeypatch):
    asked = []

    def fetched(hub_id, *, only=None):
        asked.append((hub_id, only[1]))
        return folder

    monkeypatch.setattr(openclip, "fetch_from_hub", fetched)
    name = "xlm-roberta-base-ViT-B-32"
    hub_id = catalog.ENCODERS[name].hub_id
    assert open_encoder(name, store).name == name
    assert open_encoder(hub_id, store).name == hub_id
    assert asked == [(hub_id, openclip.WEIGHTS[0])] * 2


def test_older_weights_are_fetched_where_there_are_no_safe_ones(store, tmp_path, monkeypatch):
    made, asked = openclip_folder(tmp_path / "old", "base", safe=False), []
    monkeypatch.setattr(openclip, "fetch_from_hub", lambda hub_id, *, only=None: asked.append(only[1]) or made)
    assert openclip.fetch_openclip("someone/some") == made
    assert asked == list(openclip.WEIGHTS)


def test_a_missing_tokenizer_is_the_one_that_the_configuration_names(folder, store, tmp_path, monkeypatch):
    bare = openclip_folder(tmp_path / "bare", "base")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (bare / name).unlink()
    asked = []
    monkeypatch.setattr(openclip, "fetch_from_hub", lambda hub_id, *, only=None: asked.append(hub_id) or folder)
    ours = open_encoder(str(bare), store).encode(TEXTS, "query")
    assert asked == ["x"]
    assert np.array_equal(ours, open_encoder(str(folder), store).encode(TEXTS, "query"))


@pytest.mark.parametrize(
    ("part", "changes", "parts"),
    [
        ("vision_cfg", {"timm_model_name": "vit"}, ["`vision_cfg` sets timm_model_name"]),
        ("vision_cfg", {"pool_type": "avg"}, ["sets pool_type"]),
        ("text_cfg", {"hf_pooler_type": "cls_pooler"}, ["cls_pooler", "mean_pooler are supported"]),
        ("text_cfg", {"hf_model_name": "roberta-base"}, ["roberta-base", "give the version for transformers"]),
        ("text_cfg", {"hf_model_name": None}, ["a transformer of its own"]),
    ],
)
def test_other_architectures_are_refused_in_one_line(store, tmp_path, part, changes, parts):
    made = openclip_folder(tmp_path / "other", "base")
    config = json.loads((made / openclip.CONFIG).read_text(encoding="utf-8"))
    config["model_cfg"][part] |= changes
    change_json(made / openclip.CONFIG, **config)
    with pytest.raises(InputError) as error:
        open_encoder(str(made), store)
    assert all(text in str(error.value) for text in [openclip.CONFIG, *parts])


@pytest.mark.parametrize(
    ("preparation", "message"),
    [({"resize_mode": "longest"}, "resize_mode must be"), ({"interpolation": "random"}, "interpolation must be")],
)
def test_other_preparations_are_refused(store, tmp_path, preparation, message):
    made = openclip_folder(tmp_path / "other", "base")
    change_json(made / openclip.CONFIG, preprocess_cfg=preparation)
    with pytest.raises(InputError, match=message):
        open_encoder(str(made), store)


def test_damaged_and_missing_weights_are_one_line(store, tmp_path):
    from safetensors.torch import load_file, save_file

    made = openclip_folder(tmp_path / "damaged", "base")
    file = made / openclip.WEIGHTS[0]
    state = load_file(file)
    for change, message in (
        ({**state, "text.transformer.encoder.more": state["logit_scale"].clone()}, "another architecture"),
        ({name: value for name, value in state.items() if name != "visual.proj"}, "has no weight 'proj'"),
    ):
        save_file(change, file)
        with pytest.raises(InputError, match=message):
            open_encoder(str(made), store)
    file.write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as weights"):
        open_encoder(str(made), store)
    file.unlink()
    with pytest.raises(InputError, match=r"has none of open_clip_model.safetensors"):
        open_encoder(str(made), store)
