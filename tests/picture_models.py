"""Small random models of pictures, and of texts and pictures; and a small sweep over pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image

from engine.storage.store import Store
from tests.checkpoints import unigram_tokenizer


def clip_folder(folder: Path, size: int = 16) -> Path:
    """A CLIP model of 16 dimensions with letters as tokens, 32 x 32 pixels."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    layer = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**layer, "vocab_size": 600, "max_position_embeddings": 20, "eos_token_id": 1, "bos_token_id": 0},
        vision_config={**layer, "image_size": 32, "patch_size": 16},
        projection_dim=size,
    )
    CLIPModel(config).save_pretrained(folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())  # in another order each time
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = CLIPTokenizer({word: i for i, word in enumerate(words)}, [], model_max_length=20)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def siglip_folder(folder: Path) -> Path:
    """A SigLIP model of 16 dimensions whose texts have 12 tokens, 32 x 32 pixels."""
    from transformers import SiglipConfig, SiglipModel, SiglipProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    torch.manual_seed(2)
    layer = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokenizer = unigram_tokenizer("de", "en")
    tokenizer.model_input_names = ["input_ids"]  # SigLIP attends to what texts are filled up with
    config = SiglipConfig(
        text_config={**layer, "vocab_size": len(tokenizer), "max_position_embeddings": 12, "projection_size": 16},
        vision_config={**layer, "image_size": 32, "patch_size": 16},
    )
    SiglipModel(config).save_pretrained(folder)
    images = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    SiglipProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def vision_folder(folder: Path, size: int = 16) -> Path:
    """A picture encoder alone, as a raw transformer: the vision half of CLIP, with `size` hidden numbers."""
    from transformers import CLIPVisionConfig, CLIPVisionModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(1)
    config = CLIPVisionConfig(
        hidden_size=size,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    CLIPVisionModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def captions_folder(folder: Path, numbers: Iterable[int], languages: tuple[str, ...] = ("ar", "de", "en")) -> Path:
    """A folder with a single-coloured picture a number, and its captions in `captions.jsonl`."""
    folder.mkdir()
    rows = []
    for number in numbers:
        Image.new("RGB", (32, 32), (number * 37 % 256, number * 91 % 256, 200)).save(folder / f"p{number}.png")
        rows += [{"image": f"p{number}.png", "lang": code, "caption": f"{code} {number}"} for code in languages]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def picture_sweep(folder: Path) -> Store:
    """A cache with a sweep over pictures: alpha 0, 0.5 and 1 with two seeds, English captions only, two shares."""
    from engine.sweeps.run import run_sweep
    from engine.sweeps.sweep import Sweep
    from engine.training.recipe import Settings

    store = Store(folder / "cache")
    model = clip_folder(folder / "clip")
    training, evaluated = captions_folder(folder / "shown", range(12)), captions_folder(folder / "held", range(12, 22))
    for share, alphas in ((None, (0.0, 0.5, 1.0)), (0.9, (0.5,))):
        settings = Settings(steps=10, batch_size=6, learning_rate=0.01, english_share=share)
        baselines = ("en-en",) if share is None else ()
        sweep = Sweep(
            str(model), str(training), (str(evaluated),), alphas, (0, 1), baselines=baselines, settings=settings
        )
        failures = run_sweep(sweep, store)
        if failures:
            raise RuntimeError(failures[0].reason)
    return store
