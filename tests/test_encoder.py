"""Encoders on small real checkpoints: fingerprints, prompts, pooling, splitting off a head, folders that are none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import LayerNorm
from torch import nn
from transformers import AutoModel, AutoTokenizer

from engine.encoders.encoder import SentenceEncoder, unit_length
from engine.errors import InputError
from tests.checkpoints import SENTENCES, WIDTH, change_file, change_json, tiny_bert, tiny_xlm_roberta

TEXTS = [sentence for pair in SENTENCES.values() for sentence in pair] + ["river", "library " * 20]


@pytest.fixture(scope="module", params=[tiny_bert, tiny_xlm_roberta], ids=["bert", "xlm-roberta"])
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request.param(tmp_path_factory.mktemp("raw") / "model")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    prompts = {"query": "ask: ", "passage": "read: "}
    return tiny_bert(tmp_path / "saved", as_sentence_transformer=True, prompts=prompts)


def dense(bias: bool = False, activation: nn.Module | None = None, width: int = WIDTH, **options: object) -> Dense:
    torch.manual_seed(7)
    return Dense(WIDTH, width, bias=bias, activation_function=activation or nn.Identity(), **options)


def fingerprint(folder: Path) -> str:
    return SentenceEncoder(folder, "any").fingerprint


def test_the_fingerprint_is_the_folders_content_not_its_name(saved: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(saved, tmp_path / "elsewhere" / "renamed")
    assert SentenceEncoder(copy, "another name").fingerprint == fingerprint(saved)


@pytest.mark.parametrize("make", [tiny_bert, tiny_xlm_roberta])
def test_the_fingerprint_is_the_same_for_the_same_seed_and_differs_with_the_weights(make, tmp_path: Path) -> None:
    first, again, other = (make(tmp_path / str(i), seed=seed) for i, seed in enumerate((1, 1, 2)))
    weights = [(folder / "model.safetensors").read_bytes() for folder in (first, again, other)]
    assert weights[0] == weights[1] != weights[2]
    shutil.copyfile(first / "tokenizer.json", other / "tokenizer.json")
    assert fingerprint(other) != fingerprint(first)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("model.safetensors", change_file),
        ("tokenizer.json", lambda file: change_file(file, at=file.read_bytes().index(b"library"))),
        ("tokenizer_config.json", lambda file: change_json(file, model_max_length=16)),
        ("config.json", lambda file: change_json(file, hidden_act="relu")),
        ("1_Pooling/config.json", lambda file: change_json(file, pooling_mode="cls")),
        ("sentence_bert_config.json", lambda file: change_json(file, max_seq_length=8)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_fingerprint_changes_with_what_makes_the_vectors(saved: Path, file: str, change) -> None:
    before = fingerprint(saved)
    change(saved / file)
    assert fingerprint(saved) != before


def test_the_fingerprint_changes_when_the_modules_are_others(tmp_path: Path) -> None:
    plain = tiny_bert(tmp_path / "plain", as_sentence_transformer=True)
    longer = tiny_bert(tmp_path / "longer", as_sentence_transformer=True, more=[dense()])
    assert fingerprint(plain) != fingerprint(longer)


def test_papers_and_prompts_do_not_touch_the_fingerprint(saved: Path) -> None:
    before = fingerprint(saved)
    (saved / "README.md").write_text("About the model", encoding="utf-8")
    (saved / "recipe.json").write_text('{"alpha": 0.5}', encoding="utf-8")
    (saved / "manifest.json").write_text("{}", encoding="utf-8")
    change_json(saved / "config_sentence_transformers.json", prompts={"query": "other: "})
    assert fingerprint(saved) == before


def test_a_recipe_is_read_where_there_is_one(saved: Path) -> None:
    assert SentenceEncoder(saved, "x").recipe is None
    (saved / "recipe.json").write_text('{"alpha": 0.5}', encoding="utf-8")
    assert SentenceEncoder(saved, "x").recipe == {"alpha": 0.5}


def test_a_raw_transformer_is_pooled_by_the_mean_of_its_tokens(raw: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(raw), AutoModel.from_pretrained(raw).eval()
    expected = []
    for text in TEXTS:
        tokens = tokenizer("go " + text, return_tensors="pt", truncation=True, max_length=tokenizer.model_max_length)
        with torch.no_grad():
            states = model(**tokens).last_hidden_state[0]
        mean = states.double().mean(0)
        expected.append((mean / mean.norm()).numpy())
    found = SentenceEncoder(raw, "raw", prompts={"query": "go "}).encode(TEXTS, "query")
    np.testing.assert_allclose(found, np.array(expected), atol=1e-5)


def test_a_saved_model_gives_what_sentence_transformers_gives(saved: Path) -> None:
    theirs = SentenceTransformer(str(saved), device="cpu")
    ours = SentenceEncoder(saved, "x")
    np.testing.assert_allclose(ours.encode(TEXTS, "query"), theirs.encode(TEXTS, prompt_name="query"), atol=1e-5)
    np.testing.assert_allclose(ours.encode(TEXTS, "document"), theirs.encode(TEXTS, prompt_name="passage"), atol=1e-5)


def test_vectors_are_float32_of_unit_length_in_the_order_of_the_texts(raw: Path) -> None:
    encoder = SentenceEncoder(raw, "raw")
    vectors = encoder.encode(TEXTS, "document")
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), WIDTH)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1], "document"), vectors[::-1], atol=1e-5)


def test_vectors_without_a_normalize_module_get_unit_length_too(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    (folder / "modules.json").write_text(json.dumps(modules[:2]), encoding="utf-8")
    vectors = SentenceEncoder(folder, "m").encode(TEXTS, "query")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_row_of_zeros_stays_zero_when_scaled() -> None:
    vectors = unit_length(np.array([[3, 4], [0, 0]], np.float32))
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"query": "q: ", "passage": "p: "}, {"query": "q: ", "document": "p: "}),
        ({"query": "q: ", "document": "d: "}, {"query": "q: ", "document": "d: "}),
        ({"query": "", "document": "", "corpus": "c: "}, {"query": "", "document": "c: "}),
        ({"clustering": "x: "}, {"query": "", "document": ""}),
        (None, {"query": "", "document": ""}),
    ],
)
def test_prompts_come_from_the_models_configuration(saved: Path, named, expected) -> None:
    change_json(saved / "config_sentence_transformers.json", prompts=named)
    assert SentenceEncoder(saved, "x").prompts == expected


def test_a_given_prompt_wins_even_when_it_is_empty(saved: Path) -> None:
    encoder = SentenceEncoder(saved, "x", prompts={"query": ""})
    assert encoder.prompts == {"query": "", "document": "read: "}
    bare = SentenceTransformer(str(saved), device="cpu").encode(TEXTS, prompt="")
    np.testing.assert_allclose(encoder.encode(TEXTS, "query"), bare, atol=1e-5)


def test_the_models_default_prompt_does_not_slip_in(saved: Path) -> None:
    without = SentenceEncoder(saved, "x", prompts={"query": ""}).encode(TEXTS, "query")
    change_json(saved / "config_sentence_transformers.json", default_prompt_name="passage")
    np.testing.assert_array_equal(SentenceEncoder(saved, "x", prompts={"query": ""}).encode(TEXTS, "query"), without)


def test_the_prompt_changes_the_vectors(saved: Path) -> None:
    encoder = SentenceEncoder(saved, "x")
    assert np.abs(encoder.encode(TEXTS, "query") - encoder.encode(TEXTS, "document")).max() > 0.01


def test_max_length_cuts_the_text(raw: Path) -> None:
    start, long = "the old library", "the old library stands by the river and the river by the library"
    short, whole = SentenceEncoder(raw, "raw", max_length=5), SentenceEncoder(raw, "raw")
    tokens = AutoTokenizer.from_pretrained(raw)(start)["input_ids"]
    assert len(tokens) >= 5  # so that the start alone fills the five tokens
    assert np.abs(np.diff(whole.encode([start, long], "query"), axis=0)).max() > 0.01
    assert np.abs(np.diff(short.encode([start, long], "query"), axis=0)).max() < 1e-5


def test_max_length_never_raises_the_models_own_limit(raw: Path) -> None:
    text = ["library river " * 200]
    longest = SentenceEncoder(raw, "raw", max_length=100_000).encode(text, "query")
    np.testing.assert_array_equal(longest, SentenceEncoder(raw, "raw").encode(text, "query"))


@pytest.mark.parametrize("length", [3, 0, -1])
def test_a_max_length_without_room_for_a_text_is_refused(raw: Path, length: int) -> None:
    with pytest.raises(InputError, match=f"max length must be an integer >= 4, got {length}"):
        SentenceEncoder(raw, "raw", max_length=length)


def one_line(error: pytest.ExceptionInfo[InputError], *parts: object) -> None:
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_a_folder_that_is_no_model_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError) as error:
        SentenceEncoder(tmp_path / name, "x")
    one_line(error, tmp_path / name, "no model is there", "give a model's folder")


def spoil(file: Path, content: bytes | None) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)


@pytest.mark.parametrize("content", [b"no weights at all", b"", None], ids=["rubbish", "empty", "missing"])
def test_corrupt_weights_are_one_line(saved: Path, content: bytes | None) -> None:
    spoil(saved / "model.safetensors", content)
    with pytest.raises(InputError) as error:
        SentenceEncoder(saved, "x").encode(["text"], "query")
    one_line(error, saved, "cannot be loaded as a model")


def test_weights_cut_short_are_one_line(saved: Path) -> None:
    file = saved / "model.safetensors"
    spoil(file, file.read_bytes()[:-100])
    with pytest.raises(InputError) as error:
        SentenceEncoder(saved, "x").encode(["text"], "query")
    one_line(error, saved, "cannot be loaded as a model")


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"\xff\xfe", b'{"prompts": ["q"]}', b'{"prompts": {"query": 3}}'],
    ids=["cut", "list", "no text", "prompts without names", "prompt without text"],
)
def test_a_broken_prompt_configuration_is_one_line(saved: Path, content: bytes) -> None:
    file = saved / "config_sentence_transformers.json"
    spoil(file, content)
    with pytest.raises(InputError) as error:
        SentenceEncoder(saved, "x")
    one_line(error, file)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"], ids=["cut", "no text"])
def test_a_broken_recipe_is_one_line(saved: Path, content: bytes) -> None:
    (saved / "recipe.json").write_bytes(content)
    with pytest.raises(InputError) as error:
        _ = SentenceEncoder(saved, "x").recipe
    one_line(error, saved / "recipe.json")


@pytest.mark.parametrize("content", [b"{", b'{"a": 1}', b'[{"idx": 0}]', b"[1]", b"[]"])
def test_a_broken_list_of_modules_is_one_line(saved: Path, content: bytes) -> None:
    spoil(saved / "modules.json", content)
    with pytest.raises(InputError) as error:
        _ = SentenceEncoder(saved, "x").fingerprint
    one_line(error, saved / "modules.json")


@pytest.fixture(params=["before Normalize", "after Normalize"])
def headed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    prompts = {"query": "q "}
    folder = tiny_bert(tmp_path / "headed", as_sentence_transformer=True, prompts=prompts, more=[dense(width=8)])
    if request.param == "after Normalize":
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        modules[2], modules[3] = modules[3] | {"idx": 2, "name": "2"}, modules[2] | {"idx": 3, "name": "3"}
        (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder


def test_a_linear_head_splits_off_and_gives_the_same_vectors(headed: Path) -> None:
    encoder = SentenceEncoder(headed, "x", max_length=12)
    split = encoder.head()
    assert split is not None
    trunk, weight = split
    assert weight.shape == (8, WIDTH)
    assert weight.dtype == np.float32
    whole = SentenceTransformer(str(headed), device="cpu")
    whole.max_seq_length = 12
    expected = unit_length(whole.encode(TEXTS, prompt="q "))
    np.testing.assert_allclose(unit_length(trunk.encode(TEXTS, "query") @ weight.T), expected, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS, "query"), expected, atol=1e-5)


def test_the_trunk_is_the_model_that_the_head_was_put_on(tmp_path: Path) -> None:
    plain = tiny_bert(tmp_path / "plain", as_sentence_transformer=True)
    headed = [
        tiny_bert(tmp_path / str(width), as_sentence_transformer=True, more=[dense(width=width)]) for width in (4, 8)
    ]
    trunks = [SentenceEncoder(folder, "x").head()[0] for folder in headed]
    assert [trunk.fingerprint for trunk in trunks] == [fingerprint(plain)] * 2
    assert len({fingerprint(folder) for folder in (plain, *headed)}) == 3
    assert trunks[0].head() is None


def test_of_two_linear_layers_the_last_splits_off(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True, more=[dense(), dense(width=8)])
    trunk, weight = SentenceEncoder(folder, "x").head()
    expected = unit_length(SentenceTransformer(str(folder), device="cpu").encode(TEXTS))
    np.testing.assert_allclose(unit_length(trunk.encode(TEXTS, "query") @ weight.T), expected, atol=1e-5)


def test_a_normalize_in_the_middle_counts_and_one_at_the_end_does_not(tmp_path: Path) -> None:
    make = {"as_sentence_transformer": True}
    middle = tiny_bert(tmp_path / "a", more=[Normalize(), dense(bias=True)], **make)
    without = tiny_bert(tmp_path / "b", more=[dense(bias=True)], **make)
    twice = tiny_bert(tmp_path / "c", more=[dense(bias=True), Normalize()], **make)
    first, second, third = (SentenceEncoder(folder, "x") for folder in (middle, without, twice))
    assert np.abs(first.encode(TEXTS, "query") - second.encode(TEXTS, "query")).max() > 0.01
    assert first.fingerprint != second.fingerprint
    np.testing.assert_allclose(third.encode(TEXTS, "query"), second.encode(TEXTS, "query"), atol=1e-6)
    assert third.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    "modules",
    [
        [],
        [dense(bias=True)],
        [dense(activation=nn.Tanh())],
        [dense(use_residual=True)],
        [dense(module_output_name="elsewhere")],
    ],
    ids=["none", "bias", "activation", "residual", "other output"],
)
def test_what_is_no_single_linear_head_does_not_split_off(tmp_path: Path, modules: list[nn.Module]) -> None:
    encoder = SentenceEncoder(tiny_bert(tmp_path / "m", as_sentence_transformer=True, more=modules), "x")
    assert encoder.head() is None


def test_a_head_with_a_layer_behind_it_does_not_split_off(tmp_path: Path) -> None:
    more = [dense(), LayerNorm(WIDTH)]
    assert SentenceEncoder(tiny_bert(tmp_path / "m", as_sentence_transformer=True, more=more), "x").head() is None


@pytest.mark.parametrize(("file", "content"), [("config.json", b"{"), ("model.safetensors", b"no weights")])
def test_a_broken_head_is_one_line(headed: Path, file: str, content: bytes) -> None:
    broken = next(headed.glob("*_Dense")) / file
    spoil(broken, content)
    with pytest.raises(InputError) as error:
        SentenceEncoder(headed, "x").head()
    one_line(error, broken)


def test_a_head_whose_weights_are_no_safetensors_stays_on(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True, more=[dense()])
    expected = SentenceEncoder(folder, "x").encode(TEXTS, "query")
    (folder / "2_Dense" / "model.safetensors").unlink()
    torch.save(dense().state_dict(), folder / "2_Dense" / "pytorch_model.bin")
    encoder = SentenceEncoder(folder, "x")
    assert encoder.head() is None
    np.testing.assert_allclose(encoder.encode(TEXTS, "query"), expected, atol=1e-6)
