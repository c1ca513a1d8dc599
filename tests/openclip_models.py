"""Small models in open_clip's own format, and what open_clip made of them: kept in `openclip.npz`, beside this file.

Where open_clip (`open_clip_torch` with `torchvision`) is installed, `python -m tests.openclip_models` writes that file
anew. The weights are drawn from a seed, so they need not be kept.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.checkpoints import SENTENCES, unigram_tokenizer

VECTORS = Path(__file__).with_name("openclip.npz")
KINDS = ("base", "large")
"""Architectures: those of xlm-roberta-base-ViT-B-32 and of xlm-roberta-large-ViT-H-14, whose heads are wider."""
TEXTS = (*(text for pair in SENTENCES.values() for text in pair), " ".join(SENTENCES["en"] * 20), "!")
"""Texts to encode; the last but one is longer than open_clip reads."""

_VISION = {
    "base": {"image_size": 32, "layers": 2, "width": 128, "patch_size": 16},
    "large": {"image_size": 28, "layers": 2, "width": 160, "patch_size": 14, "head_width": 80},
}
_DIMENSIONS = {"base": 32, "large": 48}
_TEXT = {"width": 128, "layers": 2, "inner": 96, "positions": 100}


def pictures() -> list[Image.Image]:
    """Pictures of several shapes, of which both libraries cut the middle out alike."""
    sizes = ((32, 32), (60, 40), (50, 90), (20, 20))
    rng = np.random.default_rng(5)
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)) for width, height in sizes]


def openclip_folder(folder: Path, kind: str, *, quick_gelu: bool = False, safe: bool = True) -> Path:
    """Write a model as open_clip does.

    Args:
        folder: Where; it is created.
        kind: One of `KINDS`.
        quick_gelu: Whether its picture tower has the activation of OpenAI's models.
        safe: As safetensors; else as a pickle, as older checkpoints are.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    tokenizer = unigram_tokenizer()
    tokenizer.save_pretrained(folder)
    config = {
        "embed_dim": _DIMENSIONS[kind],
        "vision_cfg": _VISION[kind],
        "text_cfg": {"hf_model_name": "xlm-roberta-small", "hf_tokenizer_name": "x", "hf_pooler_type": "mean_pooler"},
        **({"quick_gelu": True} if quick_gelu else {}),
    }
    preparation = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
    whole = {"model_cfg": config, "preprocess_cfg": preparation}
    (folder / "open_clip_config.json").write_text(json.dumps(whole), encoding="utf-8")
    rng = np.random.default_rng(KINDS.index(kind))
    shapes = dict(_shapes(_VISION[kind], _DIMENSIONS[kind], len(tokenizer)))
    state = {name: _drawn(name, shape, rng) for name, shape in shapes.items()}
    if safe:
        from safetensors.torch import save_file

        save_file(state, folder / "open_clip_model.safetensors")
    else:
        positions = torch.arange(_TEXT["positions"])[None]  # which transformers wrote into checkpoints once
        torch.save(
            {**state, "text.transformer.embeddings.position_ids": positions}, folder / "open_clip_pytorch_model.bin"
        )
    return folder


def _drawn(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> torch.Tensor:
    values = rng.uniform(-1, 1, shape) * (1.7 / np.sqrt(shape[-1]) if len(shape) > 1 else 0.2)
    around = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0  # of layer normalisations
    return torch.from_numpy(np.asarray(values + around, np.float32))


def _shapes(vision: dict[str, int], dimensions: int, vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all weights, as open_clip calls them."""
    yield "logit_scale", ()
    width, patch = vision["width"], vision["patch_size"]
    yield "visual.class_embedding", (width,)
    yield "visual.positional_embedding", ((vision["image_size"] // patch) ** 2 + 1, width)
    yield "visual.proj", (width, dimensions)
    yield "visual.conv1.weight", (width, 3, patch, patch)
    yield from _norms("visual", width, "ln_pre", "ln_post")
    for layer in range(vision["layers"]):
        block = f"visual.transformer.resblocks.{layer}"
        yield f"{block}.attn.in_proj_weight", (3 * width, width)
        yield f"{block}.attn.in_proj_bias", (3 * width,)
        yield from _linear(f"{block}.attn.out_proj", width, width)
        yield from _linear(f"{block}.mlp.c_fc", width, 4 * width)
        yield from _linear(f"{block}.mlp.c_proj", 4 * width, width)
        yield from _norms(block, width, "ln_1", "ln_2")
    width, middle = _TEXT["width"], (_TEXT["width"] + dimensions) // 2
    yield "text.proj.0.weight", (middle, width)
    yield "text.proj.2.weight", (dimensions, middle)
    text = "text.transformer"
    for kind, rows in (("word", vocabulary), ("position", _TEXT["positions"]), ("token_type", 1)):
        yield f"{text}.embeddings.{kind}_embeddings.weight", (rows, width)
    yield from _norms(f"{text}.embeddings", width, "LayerNorm")
    for layer in range(_TEXT["layers"]):
        block = f"{text}.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from _linear(f"{block}.attention.self.{part}", width, width)
        yield from _linear(f"{block}.attention.output.dense", width, width)
        yield from _linear(f"{block}.intermediate.dense", width, _TEXT["inner"])
        yield from _linear(f"{block}.output.dense", _TEXT["inner"], width)
        yield from _norms(block, width, "attention.output.LayerNorm", "output.LayerNorm")


def _linear(name: str, into: int, out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def _norms(block: str, width: int, *names: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name in names:
        yield f"{block}.{name}.weight", (width,)
        yield f"{block}.{name}.bias", (width,)


def _by_openclip(folder: Path, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors that open_clip itself gives for `TEXTS` and `pictures`."""
    import open_clip
    from transformers import XLMRobertaConfig

    XLMRobertaConfig(  # where open_clip looks the text tower's architecture up
        vocab_size=vocabulary,
        hidden_size=_TEXT["width"],
        num_hidden_layers=_TEXT["layers"],
        num_attention_heads=_TEXT["width"] // 64,
        intermediate_size=_TEXT["inner"],
        max_position_embeddings=_TEXT["positions"],
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    ).save_pretrained(folder)
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["model_cfg"]["text_cfg"] |= {"hf_model_name": str(folder), "hf_tokenizer_name": str(folder)}
    file.write_text(json.dumps(config), encoding="utf-8")
    model, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    split = open_clip.get_tokenizer(f"local-dir:{folder}")
    with torch.no_grad():
        texts = model.eval().encode_text(split(list(TEXTS)), normalize=True)
        shown = model.encode_image(torch.stack([prepare(picture) for picture in pictures()]), normalize=True)
    return texts.numpy(), shown.numpy()


def main() -> None:
    """Ask open_clip, and keep what it says."""
    found = {}
    for kind in KINDS:
        for quick_gelu in (False, True):
            with tempfile.TemporaryDirectory() as place:
                folder = openclip_folder(Path(place) / kind, kind, quick_gelu=quick_gelu)
                parts = _by_openclip(folder, len(unigram_tokenizer()))
            name = f"{kind}{'-quick' if quick_gelu else ''}"
            found |= {f"{name}-{part}": vectors for part, vectors in zip(("texts", "pictures"), parts, strict=True)}
    np.savez_compressed(VECTORS, **found)
    sys.stdout.write(f"{VECTORS}: {VECTORS.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
