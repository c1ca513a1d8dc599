"""Which prompt a model wants before a query and before a document: from its configuration, or from the table here.

The table holds models whose prompts stand only on their cards, or in the loaders of MTEB
(github.com/embeddings-benchmark/mteb, `mteb/models/model_implementations/`, named in `source`). Many models on the Hub
write their prompts into `config_sentence_transformers.json`; those need no entry.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.collections.structures import Role
from engine.encoders.folder import ModelFolder, read_object
from engine.errors import InputError

PROMPT_KEYS: dict[Role, tuple[str, ...]] = {
    "query": ("query", "retrieval-query", "retrieval.query", "search_query", "web_search_query", "s2p_query", "s2p"),
    "document": (
        *("document", "passage", "corpus", "retrieval-document", "retrieval-passage", "retrieval.passage"),
        *("search_document", "doc", "s2p_document"),
    ),
}
"""The names under which models list their prompts, the usual one first; case does not count."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownPrompts:
    """Prompts of models that do not list them in their files.

    Attributes:
        query: What is put before a query.
        document: What is put before a document.
        models: Their ids on the Hub.
        source: Where that is written: a loader of MTEB, or the models' cards.
    """

    query: str
    document: str
    models: tuple[str, ...]
    source: str


_SEARCH = "Represent this sentence for searching relevant passages: "
_SEARCH_ZH = "为这个句子生成表示以用于检索相关文章："
_WEB_SEARCH = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "

KNOWN = (
    KnownPrompts(
        "query: ",
        "passage: ",
        (
            *(f"intfloat/multilingual-e5-{size}" for size in ("small", "base", "large")),
            *(f"intfloat/e5-{size}{kind}" for size in ("small", "base", "large") for kind in ("", "-v2")),
            *(f"intfloat/e5-{size}-unsupervised" for size in ("small", "base", "large")),
            "manveertamber/cadet-embed-base-v1",
            "deepvk/USER-base",
        ),
        "e5_models.py, cadet_models.py, ru_sentence_models.py; the cards of intfloat's models",
    ),
    KnownPrompts(
        _WEB_SEARCH,
        "",
        (
            "intfloat/multilingual-e5-large-instruct",
            "intfloat/e5-mistral-7b-instruct",
            "McGill-NLP/AfriE5-Large-instruct",
            "zeta-alpha-ai/Zeta-Alpha-E5-Mistral",
            "Alibaba-NLP/gte-Qwen2-7B-instruct",
            "Alibaba-NLP/gte-Qwen2-1.5B-instruct",
            "Alibaba-NLP/gte-Qwen1.5-7B-instruct",
        ),
        "e5_instruct.py, gte_models.py; the instruction is that of the cards' own examples",
    ),
    KnownPrompts(
        _WEB_SEARCH.rstrip(" "),
        "",
        tuple(f"Qwen/Qwen3-Embedding-{size}" for size in ("0.6B", "4B", "8B")),
        "qwen3_models.py; the instruction is that of the cards, which end it without a space",
    ),
    KnownPrompts(
        _SEARCH,
        "",
        (
            *(f"BAAI/bge-{size}-en{kind}" for size in ("small", "base", "large") for kind in ("", "-v1.5")),
            *(f"Snowflake/snowflake-arctic-embed-{size}" for size in ("xs", "s", "m", "m-long", "l", "m-v1.5")),
            "mixedbread-ai/mxbai-embed-large-v1",
        ),
        "bge_models.py, arctic_models.py, mxbai_models.py; the models' cards",
    ),
    KnownPrompts(
        _SEARCH_ZH,
        "",
        tuple(f"BAAI/bge-{size}-zh{kind}" for size in ("small", "base", "large") for kind in ("", "-v1.5")),
        "bge_models.py",
    ),
    KnownPrompts(
        "query: ",
        "",
        tuple(f"Snowflake/snowflake-arctic-embed-{size}-v2.0" for size in ("m", "l")),
        "the models' cards; arctic_models.py leaves it to the models' own configuration",
    ),
    KnownPrompts(
        "search_query: ",
        "search_document: ",
        (
            *(f"nomic-ai/nomic-embed-text-{version}" for version in ("v1", "v1.5", "v2-moe")),
            *(f"nomic-ai/nomic-embed-text-v1-{kind}" for kind in ("ablated", "unsupervised")),
            "nomic-ai/modernbert-embed-base",
        ),
        "nomic_models.py",
    ),
    KnownPrompts(
        "",
        "",
        (
            "BAAI/bge-m3",
            *(f"thenlper/gte-{size}{kind}" for size in ("small", "base", "large") for kind in ("", "-zh")),
            *(f"Alibaba-NLP/gte-{name}" for name in ("multilingual-base", "modernbert-base", "base-en-v1.5")),
            "Alibaba-NLP/gte-large-en-v1.5",
            *(f"mixedbread-ai/mxbai-embed-{name}-v1" for name in ("2d-large", "xsmall")),
        ),
        "bge_models.py, gte_models.py, mxbai_models.py: these want none",
    ),
)
"""Models whose prompts are known from elsewhere than their files."""

_BY_MODEL = {model.lower(): known for known in KNOWN for model in known.models}
_WANTS_PROMPTS = re.compile(
    r"(?<![a-z0-9])(instruct|instructor|e5|me5|bge|gte|arctic|nomic|mxbai|qwen3-embedding|embeddinggemma|gritlm|stella|"
    r"sfr-embedding|nv-embed|solar-embed|jina-embeddings)(?![a-z])"
)


def own_prompts(model: ModelFolder) -> dict[Role, str] | None:
    """The prompts that a model's configuration lists for queries and documents.

    A role that is not listed has the default prompt, if there is one, as in `encode_query` and `encode_document` of
    sentence-transformers.

    Returns:
        A prompt by role, "" for none; None if the configuration lists none for either.

    Raises:
        InputError: If the configuration is not of the expected form.
    """
    listed = model.settings.get("prompts") or {}
    if not isinstance(listed, dict) or not all(isinstance(prompt, str | None) for prompt in listed.values()):
        file = model.path / "config_sentence_transformers.json"
        raise InputError(f"{file}: `prompts` must give texts by name; correct or remove it")
    named = {str(name).lower(): prompt or "" for name, prompt in listed.items()}
    default = named.get(str(model.settings.get("default_prompt_name")).lower(), "")
    prompts = {role: _first(named, keys, default) for role, keys in PROMPT_KEYS.items()}
    return prompts if any(prompts.values()) else None


def known_prompts(model: ModelFolder, name: str) -> dict[Role, str]:
    """The prompts of a model that lists none itself, by its id on the Hub; empty if they are not known.

    A warning is logged where none are known though the name looks like that of a model that needs some.

    Args:
        model: Its folder.
        name: Its id on the Hub, or what else it is called.
    """
    if own_prompts(model) is not None or (model.path / "recipe.json").is_file():
        return {}
    names = [name, *_names(model)]
    for candidate in names:
        if (known := _BY_MODEL.get(candidate.lower())) is not None:
            return {"query": known.query, "document": known.document}
    if any(_WANTS_PROMPTS.search(candidate.lower()) for candidate in names):
        logger.warning(
            "%s: its files list no prompts and none are known, but its name looks like that of a model that needs "
            "them; if its card names some, give them with --query-prompt and --document-prompt",
            name,
        )
    return {}


def _first(named: Mapping[str, str], keys: tuple[str, ...], default: str) -> str:
    """The first prompt that is not empty; the default where no key is listed at all."""
    listed = [named[key] for key in keys if key in named]
    return next((prompt for prompt in listed if prompt), "") if listed else default


def _names(model: ModelFolder) -> list[str]:
    """The names that the folder gives: in its configuration, and as a snapshot in the Hub's cache."""
    config: dict[str, Any] = read_object(model.path / "config.json") or {}
    names = [str(config["_name_or_path"])] if config.get("_name_or_path") else []
    cached = [part for part in Path(model.path).resolve().parts if part.startswith("models--")]
    return [*names, *(part.removeprefix("models--").replace("--", "/", 1) for part in cached)]
