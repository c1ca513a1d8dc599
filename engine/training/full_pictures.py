"""The method `full` for pictures: all weights of a model of texts and pictures, or of two towers behind a Router.

Towers that never met are joined first, by the maps that the method `head` starts from.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.collections.structures import Collection
from engine.encoders.folder import ModelFolder
from engine.encoders.loading import load
from engine.encoders.towers import PICTURE_TOWER, TEXT, AnyEncoder, TwoTowers, write_router
from engine.errors import InputError
from engine.training.captions import CaptionSampler
from engine.training.full import Task
from engine.training.recipe import Recipe
from engine.training.towers import Maps, write_towers

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from torch.nn import Module

_ROUTES = {"text": TEXT, "image": PICTURE_TOWER}


def starting_folder(encoder: AnyEncoder, work: Path, maps: Callable[[], Maps]) -> Path:
    """The model that the training starts from: the base encoder's folder, or two towers joined by linear maps.

    Args:
        encoder: The base encoder.
        work: Folder of the run, where towers are joined.
        maps: Gives the maps, where they are needed.
    """
    if not isinstance(encoder, TwoTowers) or encoder.met:
        return encoder.folder
    joined = work / f"start-{os.environ.get('RANK', '0')}"  # processes that train together join them each for itself
    if not (joined / "config_sentence_transformers.json").is_file():  # which is written last
        found = maps()
        shutil.rmtree(joined, ignore_errors=True)
        joined.mkdir()
        write_towers(encoder, joined, found)
    return joined


def task_of_pictures(
    encoder: AnyEncoder, collection: Collection, sampler: CaptionSampler, recipe: Recipe, folder: Path
) -> Task:
    """A model of texts and pictures, trained on captions and pictures with CLIP's loss.

    Args:
        encoder: The base encoder.
        collection: Captions and pictures.
        sampler: The batches.
        recipe: Hyper-parameters, and whether the picture side is locked.
        folder: The model that the training starts from, of `starting_folder`.

    Raises:
        InputError: If the picture side is to be locked and cannot be told from the text side, or caption pairs are
            asked for.
    """
    from transformers import set_seed

    if recipe.settings.caption_pairs:
        raise InputError("caption pairs are trained with --method head; leave --caption-pairs out for all weights")
    set_seed(recipe.seed)
    model = load(ModelFolder(folder), "float32", trust_remote_code=encoder.options.trust_remote_code)
    routed = _router(model)
    if recipe.settings.max_length is not None:
        text: Any = model if routed is None else routed["text"][0]
        text.max_seq_length = min(recipe.settings.max_length, text.max_seq_length or recipe.settings.max_length)
    if recipe.settings.lock_pictures:
        for part in _picture_parts(model):
            _lock(part)
    return Task(
        model,
        picture_rows(collection, sampler),
        None,
        prompts={"anchor": recipe.prompts["query"]},
        routes={"anchor": "query"} if routed is None else {"anchor": "text", "positive": "image"},
        symmetric=True,
        pictures=collection.corpus.texts,
    )


def picture_rows(collection: Collection, sampler: CaptionSampler) -> Dataset:
    """A sampler's batches, one after the other.

    Returns:
        A row for each pair: `anchor`, the caption, and `positive`, the picture's position in the pool.
    """
    from datasets import Dataset

    captions, batches = collection.queries.texts, list(sampler)
    return Dataset.from_dict(
        {
            "anchor": [captions[row] for batch in batches for row in batch.queries],
            "positive": [int(row) for batch in batches for row in batch.documents],
        }
    )


def save(model: SentenceTransformer, folder: Path, recipe: Recipe) -> None:
    """Write a trained model: two towers as their folders with a Router over them, any other as it is.

    Args:
        model: The model.
        folder: An existing, empty folder.
        recipe: Whose prompts the text tower has.
    """
    from sentence_transformers import SentenceTransformer

    routed = _router(model)
    if routed is None:
        model.save_pretrained(str(folder), create_model_card=False)
        return
    for route, tower in _ROUTES.items():
        part = SentenceTransformer(modules=list(routed[route]), device="cpu")
        part.save_pretrained(str(folder / tower), create_model_card=False)
    write_router(folder, {"query": recipe.prompts["query"], "document": recipe.prompts["document"]})


def _router(model: SentenceTransformer) -> dict[str, list[Module]] | None:
    """The modules of two towers by route; None for a model of another kind."""
    from sentence_transformers.base.modules import Router

    router = next(iter(model))
    if not isinstance(router, Router) or set(router.sub_modules) != set(_ROUTES):
        return None
    return {route: list(router.sub_modules[route]) for route in _ROUTES}


def _picture_parts(model: SentenceTransformer) -> list[Module]:
    routed = _router(model)
    if routed is not None:
        return routed["image"]
    whole = getattr(next(iter(model)), "auto_model", None)
    children = [] if whole is None else list(whole.named_children())
    parts = [child for name, child in children if name.startswith(("vision", "visual"))]
    if not parts:
        raise InputError(
            "lock pictures: the model does not tell its picture side from its text side; leave it out, or give two "
            "towers"
        )
    return parts


def _lock(part: Module) -> None:
    """Keep a part as it is: its weights, and what it would draw or count in training (dropout, batch statistics)."""
    part.requires_grad_(requires_grad=False)
    part.eval()
    part.train = lambda mode=True: part  # type: ignore[method-assign, assignment]
