"""Hybrid Batch Lab's engine: what does the ratio of monolingual to cross-lingual batches do to a retriever?

The public names below are loaded on first use, so that `import engine` loads neither torch nor faiss.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Collection": "structures",
    "EngineError": "errors",
    "Evaluation": "evaluation",
    "Encoder": "encoder",
    "Store": "store",
    "Summary": "evaluation",
    "as_json": "evaluation",
    "evaluate": "evaluation",
    "evaluations": "evaluation",
    "fetch_collection": "catalog",
    "find_evaluation": "evaluation",
    "Run": "runs",
    "open_collection": "library",
    "open_encoder": "library",
    "read_collection": "collection",
    "read_training": "training",
    "retrieve": "retrieval",
    "summarise": "evaluation",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the public names
    if name not in _PUBLIC:
        raise AttributeError(f"module 'engine' has no attribute {name!r}; public are {', '.join(__all__)}")
    return getattr(import_module(f"engine.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
