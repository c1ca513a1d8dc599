"""open_clip's models with an XLM-RoBERTa for texts, such as those trained on LAION-5B, as two towers in one folder.

The architectures are transformers' own under other names, so nothing is approximated: `XLMRobertaModel` with mean
pooling and one or two Dense modules, and `CLIPVisionModel` with one. The vectors are open_clip's, with two exceptions:
open_clip mends broken characters and HTML entities (ftfy) before it splits a text into tokens, and where 3, 7, 11 or so
on pixels are cut off around the middle of a picture, its middle is one pixel further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.encoders.catalog import fetch_from_hub
from engine.encoders.folder import read_object
from engine.encoders.loading import quieten
from engine.encoders.making import POOLED_PICTURES, write_encoder
from engine.encoders.towers import PICTURE_TOWER, TEXT, write_router
from engine.errors import InputError
from engine.storage.digest import digest, file_digest
from engine.storage.store import Store

if TYPE_CHECKING:
    import torch
    from torch.nn import Module
    from transformers import PretrainedConfig, PreTrainedModel

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""Files that weights are read from; the first that exists."""
TOKENIZER = ("tokenizer.json", "sentencepiece.bpe.model")
"""Files of which a folder with a tokenizer has one."""

_TOKENIZER_FILES = (*TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "config.json")
_TOKENS = 77  # after which open_clip cuts texts, unless its configuration says otherwise
_HEAD_WIDTH = 64  # of the attention in every XLM-RoBERTa; in open_clip's ViT, unless its configuration says otherwise
_INTERPOLATIONS = {"bicubic": 3, "bilinear": 2}  # Pillow's numbers
_SUPPORTED = {
    "text_cfg": {
        *("hf_model_name", "hf_tokenizer_name", "hf_model_pretrained", "context_length", "output_tokens"),
        *("hf_proj_type", "hf_pooler_type", "proj", "pooler_type"),  # the last two are older names
        *("vocab_size", "width", "heads", "layers"),  # of open_clip's own text tower, not read for others
    },
    "vision_cfg": {
        *("image_size", "patch_size", "width", "layers", "head_width", "mlp_ratio"),
        *("patch_dropout", "output_tokens"),  # of training, and of what else is returned
    },
}
_CHANGE_NOTHING = (None, False, "", "tok", "learnable")  # values of all other settings that are supported
_PROJECTIONS = ("proj.weight", "proj.0.weight", "proj.2.weight")  # one layer, or two
_RENAMED = (
    (r"conv1\.weight", r"embeddings.patch_embedding.weight"),
    (r"class_embedding", r"embeddings.class_embedding"),
    (r"positional_embedding", r"embeddings.position_embedding.weight"),
    (r"ln_pre\.(.+)", r"pre_layrnorm.\1"),
    (r"ln_post\.(.+)", r"post_layernorm.\1"),
    (r"transformer\.resblocks\.(\d+)\.ln_([12])\.(.+)", r"encoder.layers.\1.layer_norm\2.\3"),
    (r"transformer\.resblocks\.(\d+)\.attn\.out_proj\.(.+)", r"encoder.layers.\1.self_attn.out_proj.\2"),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(.+)", r"encoder.layers.\1.mlp.fc1.\2"),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(.+)", r"encoder.layers.\1.mlp.fc2.\2"),
)
_JOINED_ATTENTION = re.compile(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)")


def is_openclip(folder: Path) -> bool:
    """Whether a folder holds a model of open_clip that is not one of transformers too."""
    config = read_object(folder / CONFIG)
    if config is None or (folder / "modules.json").is_file():
        return False
    return not (folder / "config.json").is_file() or "hf_model_name" in _part(config, folder, "text_cfg")


def fetch_openclip(hub_id: str) -> Path:
    """Folder of a model of open_clip on the Hugging Face Hub, downloaded if need be: its weights in one format alone.

    Raises:
        FetchError: If the Hub cannot be reached or has no such model.
    """
    for weights in WEIGHTS:
        folder = fetch_from_hub(hub_id, only=[CONFIG, weights, *_TOKENIZER_FILES])
        if (folder / weights).is_file():
            break
    return folder


def openclip_towers(folder: Path, store: Store) -> Path:
    """The folder of both towers in the store, converted once.

    Args:
        folder: open_clip's, with its configuration and weights; a tokenizer that it lacks is taken from the Hub.
        store: Where it is kept.

    Raises:
        InputError: If it is a model of another architecture, or its files cannot be read.
        FetchError: If the tokenizer cannot be had.
    """
    config = read_object(folder / CONFIG) or {}
    _check(config, folder)
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise InputError(f"{folder}: has none of {', '.join(WEIGHTS)}; copy or download the weights too")
    tokenizer = folder
    if not any((folder / name).is_file() for name in TOKENIZER):
        text = config["model_cfg"]["text_cfg"]
        tokenizer = fetch_from_hub(text.get("hf_tokenizer_name") or text["hf_model_name"], only=[*_TOKENIZER_FILES])
    parts = [file_digest(tokenizer / name) for name in TOKENIZER if (tokenizer / name).is_file()]
    key = digest("open_clip", 1, file_digest(folder / CONFIG), file_digest(weights), parts)
    if store.get("encoders", key) is None:
        about = {"name": folder.resolve().name, "source": str(folder)}
        with store.writing("encoders", key, about) as made:
            _convert(config, weights, tokenizer, made)
    return store.path("encoders", key)


def _part(config: dict[str, Any], folder: Path, name: str) -> dict[str, Any]:
    model = config.get("model_cfg")
    part = model.get(name) if isinstance(model, dict) else None
    if not isinstance(part, dict):
        raise InputError(f"{folder / CONFIG}: `model_cfg` must have `{name}`; copy or download it again")
    return part


def _check(config: dict[str, Any], folder: Path) -> None:
    """Refuse what would be run otherwise than open_clip runs it.

    Raises:
        InputError: If the configuration asks for it.
    """
    for name, supported in _SUPPORTED.items():
        settings = _part(config, folder, name).items()
        other = sorted(key for key, value in settings if key not in supported and value not in _CHANGE_NOTHING)
        if other:
            raise InputError(
                f"{folder / CONFIG}: `{name}` sets {', '.join(other)}, which is not supported; models with XLM-RoBERTa "
                "and a plain ViT are"
            )
    text, preparation = _part(config, folder, "text_cfg"), config.get("preprocess_cfg") or {}
    pooling = text.get("hf_pooler_type") or text.get("pooler_type") or "mean_pooler"
    if "xlm-roberta" not in str(text.get("hf_model_name")) or pooling != "mean_pooler":
        raise InputError(
            f"{folder / CONFIG}: texts are encoded by {text.get('hf_model_name') or 'a transformer of its own'} and "
            f"{pooling}; XLM-RoBERTa and mean_pooler are supported. Of other models, give the version for transformers"
        )
    for name, usual, allowed in (
        ("resize_mode", "shortest", ("shortest", "squash")),
        ("interpolation", "bicubic", tuple(_INTERPOLATIONS)),
    ):
        if (given := preparation.get(name) or usual) not in allowed:
            raise InputError(f"{folder / CONFIG}: {name} must be {' or '.join(allowed)}, got {given!r}")


def _convert(config: dict[str, Any], weights: Path, tokenizer: Path, made: Path) -> None:
    quieten()
    parts: dict[str, dict[str, torch.Tensor]] = {"text": {}, "visual": {}}
    for name, value in _state(weights).items():
        part, _, rest = name.partition(".")
        if part in parts:  # beside them is the loss's temperature
            parts[part][rest] = value.float()
    try:
        _write_text(config["model_cfg"]["text_cfg"], parts["text"], tokenizer, made / TEXT)
        _write_picture(config, parts["visual"], made / PICTURE_TOWER)
    except KeyError as error:
        raise InputError(f"{weights}: has no weight {error}; copy or download the file again") from error
    write_router(made, {"query": "", "document": ""})


def _state(weights: Path) -> dict[str, torch.Tensor]:
    """Weights by open_clip's names."""
    import torch
    from safetensors.torch import load_file

    try:
        if weights.suffix == ".safetensors":
            return dict(load_file(weights))
        loaded = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # of pickle, zip files and safetensors alike
        raise InputError(f"{weights}: cannot be read as weights ({error}); copy or download it again") from error
    state = loaded.get("state_dict", loaded)
    return {name.removeprefix("module."): value for name, value in state.items()}


def _write_text(settings: dict[str, Any], state: dict[str, torch.Tensor], tokenizer: Path, folder: Path) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaModel

    named = {
        name.removeprefix("transformer."): value
        for name, value in state.items()
        if name.startswith("transformer.") and not name.endswith("position_ids")  # written by old transformers
    }
    vocabulary, width = named["embeddings.word_embeddings.weight"].shape
    for name, shape in (("weight", (width, width)), ("bias", (width,))):
        named[f"pooler.dense.{name}"] = named["embeddings.LayerNorm.bias"].new_zeros(shape)  # nobody uses it
    config = XLMRobertaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=_layers(named, "encoder.layer."),
        num_attention_heads=width // _HEAD_WIDTH,
        intermediate_size=len(named["encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(named["embeddings.position_embeddings.weight"]),
        type_vocab_size=len(named["embeddings.token_type_embeddings.weight"]),
        layer_norm_eps=1e-5,
        pad_token_id=1,
    )
    try:
        words = AutoTokenizer.from_pretrained(str(tokenizer), local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{tokenizer}: no tokenizer can be read ({' '.join(str(error).split())[:160]})") from error
    words.model_max_length = settings.get("context_length") or _TOKENS
    projections = [state[name] for name in _PROJECTIONS if name in state]
    dense = [_dense(weight, "GELU" if i + 1 < len(projections) else "Identity") for i, weight in enumerate(projections)]
    write_encoder(_filled(XLMRobertaModel, config, named), words, folder, more=[Pooling(width, "mean"), *dense])


def _write_picture(config: dict[str, Any], state: dict[str, torch.Tensor], folder: Path) -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    model, preparation = config["model_cfg"], config.get("preprocess_cfg") or {}
    projection = state.pop("proj").T.contiguous()
    named = dict(_renamed(state))
    width, _, patch, _ = named["embeddings.patch_embedding.weight"].shape
    side = round((len(named["embeddings.position_embedding.weight"]) - 1) ** 0.5) * patch
    vision = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=len(named["encoder.layers.0.mlp.fc1.bias"]),
        num_hidden_layers=_layers(named, "encoder.layers."),
        num_attention_heads=width // model["vision_cfg"].get("head_width", _HEAD_WIDTH),
        image_size=side,
        patch_size=patch,
        hidden_act="quick_gelu" if model.get("quick_gelu") else "gelu",
        projection_dim=len(projection),
    )
    squash = preparation.get("resize_mode") == "squash"
    square = {"height": side, "width": side}
    processor = CLIPImageProcessorPil(
        size=square if squash else {"shortest_edge": side},
        crop_size=square,
        do_center_crop=not squash,
        resample=_INTERPOLATIONS[preparation.get("interpolation") or "bicubic"],
        **{f"image_{name}": list(preparation[name]) for name in ("mean", "std") if preparation.get(name)},
    )
    filled = _filled(CLIPVisionModel, vision, named)
    write_encoder(filled, processor, folder, settings=POOLED_PICTURES, more=[_dense(projection, "Identity")])


def _renamed(state: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """The picture tower's weights under transformers' names; queries, keys and values apart."""
    for name, value in state.items():
        joined = _JOINED_ATTENTION.fullmatch(name)
        if joined is not None:
            for part, third in zip("qkv", value.chunk(3), strict=True):
                yield f"encoder.layers.{joined[1]}.self_attn.{part}_proj.{joined[2]}", third.contiguous()
        else:
            yield next((re.sub(old, new, name) for old, new in _RENAMED if re.fullmatch(old, name)), name), value


def _layers(named: Mapping[str, object], prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in named if name.startswith(prefix)})


def _filled(kind: type[PreTrainedModel], config: PretrainedConfig, named: dict[str, torch.Tensor]) -> PreTrainedModel:
    """A model with these weights, which are not copied."""
    import torch

    with torch.device("meta"):
        model = kind(config)
    expected = model.state_dict()
    wrong = {name for name, value in expected.items() if name not in named or named[name].shape != value.shape}
    wrong |= named.keys() - expected.keys()
    if wrong:
        first = ", ".join(sorted(wrong)[:3])
        raise InputError(f"open_clip's weights are of another architecture than a plain one ({first})")
    model.load_state_dict(named, assign=True)
    return model


def _dense(weight: torch.Tensor, activation: str) -> Module:
    """A Dense module of sentence-transformers without bias."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense

    out, into = weight.shape
    function = getattr(torch.nn, activation)()
    dense: Module = Dense(into, out, bias=False, activation_function=function, init_weight=weight.contiguous())
    return dense
