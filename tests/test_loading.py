"""Number types, code that comes with a model, and adapters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from torch import nn

from engine.encoders import loading
from engine.encoders.embedding import embed
from engine.encoders.encoder import Options, SentenceEncoder, unit_length
from engine.encoders.folder import ModelFolder
from engine.encoders.resolve import open_encoder
from engine.errors import InputError
from engine.storage.store import Store
from tests.checkpoints import SENTENCES, WIDTH, change_json, tiny_bert

TEXTS = [sentence for pair in SENTENCES.values() for sentence in pair]


def one_line(error: pytest.ExceptionInfo[InputError], *parts: object) -> None:
    assert "\n" not in str(error.value)
    for part in parts:
        assert str(part) in str(error.value)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_a_head_is_read_in_whatever_number_type_it_is_stored(tmp_path: Path, store: Store, kind: torch.dtype) -> None:
    torch.manual_seed(5)
    base = Transformer(str(tiny_bert(tmp_path / "base")))
    head = Dense(WIDTH, 12, bias=False, activation_function=nn.Identity())
    model = SentenceTransformer(modules=[base, Pooling(WIDTH, "mean"), head, Normalize()], device="cpu").to(kind)
    model.save_pretrained(str(tmp_path / "m"), create_model_card=False)
    expected = SentenceTransformer(str(tmp_path / "m"), device="cpu", model_kwargs={"dtype": "float32"})
    found = embed(SentenceEncoder(tmp_path / "m", "x"), "query", TEXTS, store)
    np.testing.assert_allclose(found, unit_length(expected.float().encode(TEXTS)), atol=1e-5)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A model whose activations leave float16's range, and stay in that of bfloat16."""
    base = Transformer(str(tiny_bert(tmp_path / "base")))
    with torch.no_grad():
        base.model.encoder.layer[0].output.LayerNorm.weight.mul_(3e5)
    model = SentenceTransformer(modules=[base, Pooling(WIDTH, "mean"), Normalize()], device="cpu")
    model.save_pretrained(str(tmp_path / "m"), create_model_card=False)
    return tmp_path / "m"


def test_numbers_beyond_float16_are_told_by_their_cause(large: Path, store: Store) -> None:
    with pytest.raises(InputError) as error:
        embed(SentenceEncoder(large, "x", options=Options(dtype="float16")), "query", TEXTS, store)
    one_line(error, "exceed float16", "65504", "--dtype bfloat16", "float32")
    for dtype in ("bfloat16", "float32"):
        encoder = SentenceEncoder(large, "x", options=Options(dtype=dtype))
        assert np.isfinite(embed(encoder, "query", TEXTS, store)).all()


@pytest.mark.parametrize(
    ("config", "range_of_bfloat16", "expected"),
    [
        ({}, True, "float16"),
        ({"dtype": "bfloat16"}, True, "bfloat16"),
        ({"torch_dtype": "bfloat16", "dtype": None}, True, "bfloat16"),
        ({"model_type": "gemma3_text"}, True, "bfloat16"),
        ({"model_type": "mt5"}, False, "float32"),
    ],
)
def test_a_gpu_takes_a_number_type_that_the_model_fits_in(
    tmp_path: Path, monkeypatch, config: dict[str, str], range_of_bfloat16: bool, expected: str
) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    change_json(folder / "config.json", **config)
    assert SentenceEncoder(folder, "x").dtype == "float32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: range_of_bfloat16)
    assert SentenceEncoder(folder, "x").dtype == expected
    assert SentenceEncoder(folder, "x", options=Options(dtype="float32")).dtype == "float32"


def test_an_unknown_number_type_is_refused() -> None:
    with pytest.raises(InputError, match="dtype must be one of float32, float16, bfloat16, got 'int8'"):
        Options(dtype="int8")


OWN_MODULE = """
from sentence_transformers.sentence_transformer.modules import Pooling
open({mark!r}, "w").close()
class MyPool(Pooling):
    pass
"""


@pytest.fixture
def own_code(tmp_path: Path) -> Path:
    """A checkpoint whose pooling is a class of its own; its code leaves a mark where it is run."""
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[1]["type"] = "custom_pool.MyPool"
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    code = OWN_MODULE.format(mark=str(tmp_path / "was run"))
    (folder / "custom_pool.py").write_text(code, encoding="utf-8")
    return folder


def test_code_of_a_model_is_run_only_when_asked(own_code: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        SentenceEncoder(own_code, "x").encode(TEXTS, "query")
    one_line(error, own_code, "code of its own", "custom_pool.MyPool", "--trust-remote-code")
    assert not (tmp_path / "was run").exists()
    trusted = SentenceEncoder(own_code, "x", options=Options(trust_remote_code=True))
    assert trusted.encode(TEXTS, "query").shape == (len(TEXTS), WIDTH)
    assert (tmp_path / "was run").exists()


def test_code_of_a_model_is_part_of_its_fingerprint(own_code: Path) -> None:
    before = SentenceEncoder(own_code, "x").fingerprint
    (own_code / "custom_pool.py").write_text("other = 1", encoding="utf-8")
    assert SentenceEncoder(own_code, "x").fingerprint != before


def test_an_architecture_of_its_own_is_told_so(tmp_path: Path, store: Store) -> None:
    raw = tiny_bert(tmp_path / "raw")
    change_json(raw / "config.json", model_type="own-bert", auto_map={"AutoModel": "modeling.OwnModel"})
    with pytest.raises(InputError) as error:
        open_encoder(str(raw), store)
    one_line(error, "code of its own", "modeling.OwnModel", "--trust-remote-code")


@pytest.mark.parametrize("place", ["", "0_Transformer"])
@pytest.mark.parametrize("alone", [True, False])
def test_an_adapter_is_refused_with_what_to_do(tmp_path: Path, store: Store, place: str, alone: bool) -> None:
    folder = tmp_path / "m"
    if not alone:
        tiny_bert(folder, as_sentence_transformer=True)
    (folder / place).mkdir(parents=True, exist_ok=True)
    config = json.dumps({"base_model_name_or_path": "someone/base"})
    (folder / place / "adapter_config.json").write_text(config, encoding="utf-8")
    with pytest.raises(InputError) as error:
        open_encoder(str(folder), store)
    one_line(error, "adapter of PEFT", "someone/base", "merge_and_unload")


def test_an_unreadable_model_says_why_within_a_line(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError) as error:
        loading.load(ModelFolder(folder), "float32", trust_remote_code=False)
    one_line(error, folder, "cannot be loaded as a model")
