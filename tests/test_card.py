"""Model cards: what the Hub reads in them, that they follow from the recipe, and that they are no part of the model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer

from engine import exchange
from engine.collections.contamination import MARKS
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.evaluation.evaluate import evaluate, evaluations
from engine.storage.store import Store
from engine.training.merge import merge_checkpoints
from engine.training.model_card import CARD, card_of
from engine.training.recipe import Recipe, Settings
from engine.training.train import train
from tests.checkpoints import tiny_bert
from tests.exchange_builders import evaluated
from tests.training_builders import made_up_collection, recipe_for, same_weights

PROMPTS = {"query": "query: ", "document": "passage: "}


def card(folder: Path, text: str) -> ModelCard:
    """A card as the Hub reads it."""
    (folder / "card.md").write_text(text, encoding="utf-8")
    return ModelCard.load(folder / "card.md")


def folder_of(folder: Path, *, training: dict | None = None, **parts: object) -> Path:
    """A folder with a recipe and what is known of the training, and no weights."""
    recipe = Recipe("e" * 32, PROMPTS, "c" * 32, "head", alpha=0.25, encoder_name="labse", collection_name="mlqa-r")
    folder.mkdir(exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(asdict(replace(recipe, **parts))), encoding="utf-8")
    if training is not None:
        (folder / "training.json").write_text(json.dumps(training), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("base") / "bert", as_sentence_transformer=True, prompts=PROMPTS)


@pytest.fixture
def trained(base: Path, store: Store) -> tuple[str, Path]:
    """A checkpoint of a moment's training: its key and its folder in the store."""
    key = train(*recipe_for(base, made_up_collection()), store)
    return key, store.path("checkpoints", key)


@pytest.mark.parametrize(
    ("encoder", "collection", "licence", "words"),
    [
        ("labse", "mlqa-r", "cc-by-nc-4.0", "may not be used commercially"),
        ("labse", "xquad-r", "cc-by-sa-4.0", "given under CC BY-SA 4.0"),
        ("labse", "demo-train", "apache-2.0", "given under Apache 2.0"),
        ("multilingual-e5-small", "demo-train", "mit", "given under MIT"),
        ("labse", "my-own", "other", "Fill in `license`"),
        ("someone/model", "mlqa-r", "other", "Fill in `license`"),
    ],
)
def test_the_licence_is_that_of_the_data_or_else_of_the_base(tmp_path, encoder, collection, licence, words) -> None:
    found = card(tmp_path, card_of(folder_of(tmp_path / "c", encoder_name=encoder, collection_name=collection)))
    assert found.data.license == licence
    assert words in found.text
    assert ("commercially" in found.text) == (collection == "mlqa-r" and licence != "other")


def test_the_hub_reads_base_languages_tags_and_data(tmp_path) -> None:
    data = card(tmp_path, card_of(folder_of(tmp_path / "c"))).data
    assert data.base_model == "sentence-transformers/LaBSE"
    assert data.library_name == "sentence-transformers"
    assert data.pipeline_tag == "sentence-similarity"
    assert data.language == ["ar", "de", "en", "es", "hi", "vi", "zh"]
    assert data.datasets == ["mlqa-r"]
    assert {"sentence-transformers", "sentence-similarity"} <= set(data.tags)
    assert data.eval_results is None


def test_a_norwegian_card_is_not_read_as_false(tmp_path) -> None:
    rows = [{"query_lang": "no", "doc_lang": "de", "pairs": 3}]
    folder = folder_of(tmp_path / "c", training={"composition": {"pairs": rows, "batches": {}}})
    assert card(tmp_path, card_of(folder)).data.language == ["de", "no"]


def test_recipe_and_data_are_told(tmp_path) -> None:
    training = {
        "questions": 1100,
        "leaks": [
            {"collection": "xquad-r", "questions_removed": 46, "query_texts": 40, "passage_texts": 9},
            {"collection": "other", "questions_removed": 0, "query_texts": 0, "passage_texts": 0},
        ],
        "composition": {"pairs": [], "batches": {"mono": 150, "cross": 450, "mixed": 0}},
    }
    text = card_of(folder_of(tmp_path / "c", training=training, seed=3, settings=Settings(temperature=0.07)))
    for part in (
        "# labse, head on mlqa-r, alpha 0.25, seed 3",
        "monolingual with probability 0.25",
        "| alpha | 0.25 |",
        "| seed | 3 |",
        "| temperature | 0.07 |",
        "| steps | 600 |",
        "150 mono, 450 cross",
        "1,100 questions were trained on",
        "Left out: 46 that are also in xquad-r.",
        "https://creativecommons.org/licenses/by-nc/4.0/",
        "Roy et al. 2020, LAReQA",
        "2408.10536",
        "2004.05484",
        "'query: ' and 'passage: '",
        "The checkpoint has not been evaluated yet.",
    ):
        assert part in text
    for part in ("mixed", "warmup", "other too", "| hard negatives | None |"):
        assert part not in text


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"strategy": "merge"}, "average of a checkpoint trained on monolingual batches (weight 0.25)"),
        ({"strategy": "x-x", "alpha": None}, "drawn by the strategy x-x"),
        ({"method": "full"}, "all weights were trained"),
        ({"prompts": {"query": "", "document": ""}}, "It takes no prompts."),
        ({"encoder_name": "someone/model"}, "https://huggingface.co/someone/model"),
        ({"encoder_name": "a folder"}, "made from `a folder`"),
        ({"collection_name": "demo-train"}, "which comes with Hybrid Batch Lab"),
        ({"collection_name": "own"}, "a collection of the trainer's own"),
    ],
)
def test_every_kind_of_checkpoint_has_its_words(tmp_path, parts, words) -> None:
    text = card_of(folder_of(tmp_path / "c", **parts))
    assert words in text
    assert "None" not in text


def test_a_folder_without_a_recipe_has_no_card(tmp_path) -> None:
    with pytest.raises(InputError, match=r"no recipe\.json can be read"):
        card_of(tmp_path)


def test_training_leaves_a_card_that_tells_its_languages(trained, tmp_path) -> None:
    folder = trained[1]
    text = (folder / CARD).read_text(encoding="utf-8")
    assert text == card_of(folder)
    assert card(tmp_path, text).data.language == ["ar", "de", "en"]


def test_the_same_recipe_has_the_same_card(base, tmp_path) -> None:
    texts = []
    for name in ("one", "other"):
        store = Store(tmp_path / name)
        key = train(*recipe_for(base, made_up_collection()), store)
        texts.append((store.path("checkpoints", key) / CARD).read_bytes())
    assert texts[0] == texts[1]


def test_the_card_is_no_part_of_the_model(trained) -> None:
    folder = trained[1]
    before = SentenceEncoder(folder, "x").fingerprint
    (folder / CARD).write_text("something else", encoding="utf-8")
    assert SentenceEncoder(folder, "x").fingerprint == before


def test_a_merge_has_a_card_too(base, store) -> None:
    for alpha in (0.0, 1.0):
        recipe, *rest = recipe_for(base, made_up_collection(), alpha=alpha)
        train(recipe, *rest, store)
    key = merge_checkpoints(recipe, 0.5, store)
    text = (store.path("checkpoints", key) / CARD).read_text(encoding="utf-8")
    assert "merge, alpha 0.5" in text
    assert "average of a checkpoint" in text


@pytest.fixture
def exported(trained, store, base, tiny_collection, tmp_path) -> Path:
    """The trained checkpoint, exported after it and its base were evaluated on one collection, the base on another."""
    key, _ = trained
    for encoder in (open_encoder(str(base), store), open_encoder(key, store)):
        evaluate(encoder, tiny_collection, store)
    evaluate(open_encoder(str(base), store), made_up_collection(name="second"), store)
    evaluate(open_encoder(key, store, prompts={"query": "x "}), tiny_collection, store)
    evaluated(tiny_collection, store, name="a stranger")
    exchange.export_checkpoint(key[:8], store, tmp_path / "out")
    return tmp_path / "out"


def test_an_exported_checkpoint_is_the_same_model_with_results(trained, exported, store) -> None:
    source = trained[1]
    assert SentenceEncoder(exported, "x").fingerprint == SentenceEncoder(source, "x").fingerprint
    assert same_weights(exported, source)
    names = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()} - {"manifest.json"}
    assert {str(file.relative_to(exported)) for file in exported.rglob("*") if file.is_file()} == names
    assert {CARD, "recipe.json", "training.json", MARKS} <= names
    model = SentenceTransformer(str(exported), device="cpu")  # as the card tells
    for role, encode in (("query", model.encode_query), ("document", model.encode_document)):
        assert np.allclose(encode(["Wo?"]), open_encoder(trained[0], store).encode(["Wo?"], role), atol=1e-6)
    assert not np.allclose(model.encode_query(["Wo?"]), model.encode_document(["Wo?"]), atol=1e-3)
    opened = open_encoder(str(exported), store)
    assert opened.encode(["Wo?"], "query").tolist() == open_encoder(trained[0], store).encode(["Wo?"], "query").tolist()


def test_the_card_of_an_export_tells_what_was_measured(trained, exported, store) -> None:
    text = (exported / CARD).read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| tiny |")]
    as_trained = {
        e.manifest.encoder.fingerprint: e for e in evaluations(store) if "x " not in e.manifest.encoder.prompts.values()
    }
    own = as_trained[SentenceEncoder(exported, "x").fingerprint]
    assert [row[1] for row in rows] == ["base encoder", "this checkpoint"]
    figures = own.figures()["settings"]
    assert rows[1][2:7] == [
        f"{figures[setting][metric]:.4f}"
        for setting, metric in (
            ("mono", "map"),
            ("cross", "map"),
            ("multi", "map"),
            ("mono", "hit@1"),
            ("cross", "hit@1"),
        )
    ]
    assert rows[1][7] == f"{figures['multi']['rank_distance']:.0f}"
    assert own.key[:12] in rows[1][8]
    assert "second" not in text
    assert "stranger" not in text
    [first, *_] = [r for r in card(exported.parent, text).data.eval_results if r.metric_type == "map"]
    assert (first.dataset_name, first.metric_value) == ("tiny", round(figures["mono"]["map"], 6))


def test_an_evaluation_on_what_was_trained_on_is_marked(trained, store, tmp_path) -> None:
    evaluate(open_encoder(trained[0], store), made_up_collection(name="the same"), store)
    exchange.export_checkpoint(trained[0], store, tmp_path / "out")
    text = (tmp_path / "out" / CARD).read_text(encoding="utf-8")
    assert "this checkpoint\\*" in text
    assert "Not zero-shot" in text


def test_an_unknown_checkpoint_is_refused(trained, store, tmp_path) -> None:
    for key in ("0" * 32, trained[0][:3]):
        with pytest.raises(InputError, match=f"checkpoint '{key}': 0 are stored"):
            exchange.export_checkpoint(key, store, tmp_path / "out")
    assert not (tmp_path / "out").exists()
