"""Fingerprints over all layouts of modules: one byte of weights changed anywhere is another model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.encoders.encoder import SentenceEncoder
from tests.checkpoints import change_file, change_json, tiny_bert

FOLDERS = ("", "0_Router", "1_Dense", "2_WordWeights", "modules/deep")
NESTED = ("", "query_0_Transformer", "document_0_Transformer", "a/b", "a/b/c")
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model-00001-of-00002.safetensors", "weights.pt", "own.bin")


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[str], dict[str, bytes]]:
    """Folders of modules, and weights by file, at most one file in a folder."""
    modules = draw(st.lists(st.sampled_from(FOLDERS), min_size=1, max_size=4, unique=True))
    places = [Path(module) / nested for module in modules for nested in NESTED]
    chosen = draw(st.lists(st.sampled_from(places), min_size=1, max_size=6, unique=True))
    files = {(place / draw(st.sampled_from(WEIGHTS))).as_posix(): draw(st.binary(min_size=1)) for place in chosen}
    return modules, files


def write_model(folder: Path, modules: list[str], files: dict[str, bytes]) -> None:
    listed = [
        {"idx": i, "path": path, "type": f"sentence_transformers.models.Part{i}"} for i, path in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed), encoding="utf-8")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def fingerprint(folder: Path) -> str:
    return SentenceEncoder(folder, "any").fingerprint


@given(layouts(), st.data())
def test_one_byte_of_weights_anywhere_makes_another_fingerprint(layout, data: st.DataObject) -> None:
    modules, files = layout
    changed = data.draw(st.sampled_from(sorted(files)))
    place = data.draw(st.integers(0, len(files[changed]) - 1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, modules, files)
        before = fingerprint(folder)
        assert fingerprint(folder) == before
        change_file(folder / changed, at=place)
        assert fingerprint(folder) != before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", "a card"),
        ("onnx/model.safetensors", "an export"),
        ("checkpoint-500/model.safetensors", "a state of a training run"),
        (".git/config.json", "{}"),
        ("trained_on.npy", "marks"),
        ("1_Pooling/README.md", "a card"),
        ("pytorch_model.bin", "the same weights, not read where model.safetensors is there"),
    ],
)
def test_files_that_the_model_does_not_read_do_not_count(tmp_path: Path, name: str, content: str) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    before = fingerprint(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")
    assert fingerprint(folder) == before


def test_similarity_size_and_forwarded_arguments_count(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m", as_sentence_transformer=True)
    prints = [fingerprint(folder)]
    for values in ({"similarity_fn_name": "dot"}, {"similarity_fn_name": "euclidean"}, {"truncate_dim": 8}):
        change_json(folder / "config_sentence_transformers.json", **values)
        prints.append(fingerprint(folder))
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[0]["kwargs"] = ["task"]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    prints.append(fingerprint(folder))
    assert len(set(prints)) == len(prints)
