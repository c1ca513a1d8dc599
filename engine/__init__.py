"""Hybrid Batch Lab's engine: what does the ratio of monolingual to cross-lingual batches do to a retriever?

The public names below are loaded on first use, so that `import engine` loads neither torch nor faiss.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Collection": "collections.structures",
    "EngineError": "errors",
    "LanguageAdjustment": "encoders.adjustment",
    "EvaluationManifest": "evaluation.manifest",
    "InputError": "errors",
    "Evaluation": "evaluation.evaluate",
    "Encoder": "encoders.encoder",
    "Store": "storage.store",
    "StoreError": "errors",
    "Summary": "evaluation.summary",
    "as_json": "evaluation.summary",
    "evaluate": "evaluation.evaluate",
    "evaluations": "evaluation.evaluate",
    "fetch_collection": "collections.catalog",
    "find_evaluation": "evaluation.evaluate",
    "Run": "storage.jobs",
    "open_collection": "collections.opening",
    "open_evaluated": "evaluation.evaluate",
    "open_encoder": "encoders.resolve",
    "read_collection": "collections.reading",
    "read_training": "training.checkpoint",
    "retrieve": "ranks.search",
    "retrieve_again": "ranks.search",
    "summarise": "evaluation.summary",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the public names
    if name not in _PUBLIC:
        raise AttributeError(f"module 'engine' has no attribute {name!r}; public are {', '.join(__all__)}")
    return getattr(import_module(f"engine.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
