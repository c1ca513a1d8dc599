"""A transformer with its tokenizer or picture processor -> an ordinary sentence-transformers folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.encoders.loading import quieten

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedModel, ProcessorMixin

POOLED_PICTURES = {
    "transformer_task": "feature-extraction",
    "modality_config": {"image": {"method": "forward", "method_output_name": "pooler_output"}},
    "module_output_name": "sentence_embedding",
}
"""Settings of a transformer that encodes pictures and gives one vector of each."""


def write_encoder(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    folder: Path,
    *,
    settings: dict[str, Any] | None = None,
    more: Sequence[Module] = (),
) -> None:
    """Write an encoder whose vectors have length one.

    Args:
        model: The transformer.
        processor: Its tokenizer, or what prepares pictures for it.
        folder: An existing folder, or the name of a new one.
        settings: sentence-transformers' settings of the transformer, where not those that it would choose.
        more: Modules behind the transformer.
    """
    quieten()
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Transformer

    with tempfile.TemporaryDirectory() as made:
        model.save_pretrained(made)
        processor.save_pretrained(made)
        if settings:
            (Path(made) / "sentence_bert_config.json").write_text(json.dumps(settings), encoding="utf-8")
        whole = SentenceTransformer(modules=[Transformer.load(made), *more, Normalize()], device="cpu")
        whole.save_pretrained(str(folder), create_model_card=False)
