"""Merging instead of mixing: a checkpoint averaged from the alpha = 0 and the alpha = 1 checkpoint of one sweep.

Weight averaging of models that share their start, as in model soups (Wortsman et al. 2022): every weight is
(1 - alpha) times that of the cross-lingual checkpoint plus alpha times that of the monolingual one.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from engine.collections.contamination import MARKS
from engine.collections.near_texts import NEAR_TEXTS
from engine.errors import InputError
from engine.storage.digest import file_digest
from engine.storage.store import Store, link_or_copy
from engine.training.checkpoint import RECIPE, checkpoint_key, write_recipe
from engine.training.model_card import CARD, card_of
from engine.training.recipe import Recipe, check_alpha

_WEIGHTS = ".safetensors"
_PAPERS = {"manifest.json", RECIPE, "training.json", CARD}


def merge_checkpoints(recipe: Recipe, alpha: float, store: Store) -> str:
    """Average the alpha = 0 and alpha = 1 checkpoints of a recipe, or find their average in the store.

    Args:
        recipe: Any hybrid recipe of the sweep; its alpha does not count, its seed does.
        alpha: Weight of the alpha = 1 checkpoint.
        store: Where checkpoints are.

    Returns:
        The merged checkpoint's key.

    Raises:
        InputError: If alpha is outside [0, 1], one of the two is not trained yet, or they do not fit together.
    """
    merged = replace(recipe, strategy="merge", alpha=check_alpha(alpha))
    key = checkpoint_key(merged)
    if store.get("checkpoints", key) is not None:
        return key
    ends = [_trained(replace(recipe, strategy="hybrid", alpha=end), store) for end in (0.0, 1.0)]
    with store.writing("checkpoints", key, {"name": merged.label, "recipe": asdict(merged)}) as folder:
        average_folders(*ends, alpha, folder)
        write_recipe(folder, merged)
        (folder / CARD).write_text(card_of(folder), encoding="utf-8")
    return key


def average_folders(first: Path, second: Path, weight: float, folder: Path) -> None:
    """Write the weighted average of two model folders that differ in their weights only.

    Args:
        first: A model's folder; its share is 1 - weight.
        second: Another's; its share is weight.
        weight: From 0 to 1.
        folder: An existing, empty folder.

    Raises:
        InputError: If the folders differ in more than the values of their weights.
    """
    names = [sorted(_model_files(end)) for end in (first, second)]
    if names[0] != names[1]:
        raise InputError(f"merge: {first} and {second} hold different files; merge checkpoints of one sweep")
    for name in names[0]:
        one, other, target = first / name, second / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if file_digest(one) == file_digest(other) or name.name in (MARKS, NEAR_TEXTS):
            link_or_copy(one, target)
        elif name.suffix == _WEIGHTS:
            _average(one, other, weight, target)
        else:
            raise InputError(f"merge: {name} differs between the checkpoints; merge checkpoints of one sweep")


def _trained(recipe: Recipe, store: Store) -> Path:
    key = checkpoint_key(recipe)
    if store.get("checkpoints", key) is None:
        raise InputError(f"merge: {recipe.label} is not trained yet; train alpha 0 and alpha 1 first")
    return store.path("checkpoints", key)


def _model_files(folder: Path) -> list[Path]:
    return [f.relative_to(folder) for f in folder.rglob("*") if f.is_file() and f.name not in _PAPERS]


def _average(one: Path, other: Path, weight: float, target: Path) -> None:
    from safetensors.numpy import load_file, save_file

    first, second = load_file(one), load_file(other)
    if {k: v.shape for k, v in first.items()} != {k: v.shape for k, v in second.items()}:
        raise InputError(f"merge: {one.name} holds other tensors in the two checkpoints; merge those of one sweep")
    averaged = {name: _average_tensor(tensor, second[name], weight, one.name) for name, tensor in first.items()}
    save_file(averaged, target, metadata={"format": "pt"})


def _average_tensor(first: np.ndarray, second: np.ndarray, weight: float, file: str) -> np.ndarray:
    if np.array_equal(first, second):
        return first
    if not np.issubdtype(first.dtype, np.floating):
        raise InputError(f"merge: {file} holds whole numbers that differ; merge checkpoints of one sweep")
    share = np.float32(weight)
    return ((1 - share) * first.astype(np.float32) + share * second.astype(np.float32)).astype(first.dtype)
