"""A checkpoint's folder: its key, the files of its model, `recipe.json` and `training.json`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.collections.contamination import MARKS
from engine.collections.near_texts import NEAR_TEXTS, read_near_texts
from engine.storage.digest import digest
from engine.storage.store import SCHEMA_VERSION, Store, link_or_copy
from engine.training.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECIPE, TRAINING = "recipe.json", "training.json"

_PAPERS = {"manifest.json", RECIPE, TRAINING, "README.md", MARKS, NEAR_TEXTS}


def checkpoint_key(recipe: Recipe) -> str:
    """The store's key of a recipe's checkpoint."""
    return digest("checkpoint", SCHEMA_VERSION, recipe.determinants())


def read_training(store: Store, key: str) -> dict[str, Any]:
    """What is known of a checkpoint's training.

    Returns:
        `losses` and `held_out` (pairs of step and loss), `steps` done, `composition` (of the realised batches; empty
        where nothing was trained), `questions` trained on, `leaks`, `near_copies` (of pictures), `near_texts`, and
        `seconds` (of the process that finished it).

    Raises:
        StoreError: If the file was damaged; training the recipe again makes it anew.
    """
    near = read_near_texts(store.path("checkpoints", key))
    return {**store.read_object("checkpoints", key, TRAINING), "near_texts": near}


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write `recipe.json` into a checkpoint's folder."""
    (folder / RECIPE).write_text(json.dumps(asdict(recipe), indent=1, ensure_ascii=False), encoding="utf-8")


def copy_model(base: Path, folder: Path) -> None:
    """Write a base encoder's files into a checkpoint's folder, linked where the file system can.

    Args:
        base: The base encoder's sentence-transformers folder.
        folder: An existing, empty folder.
    """
    for file in sorted(base.rglob("*")):
        target = folder / file.relative_to(base)
        if file.is_file() and file.name not in _PAPERS:
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(file.resolve(), target)


def write_checkpoint(base: Path, folder: Path, weight: NDArray[np.float32]) -> None:
    """Write a checkpoint: the base encoder's files, with the head between pooling and normalisation.

    Args:
        base: The base encoder's sentence-transformers folder.
        folder: An existing, empty folder.
        weight: The head, float32 (dimension out, dimension in).
    """
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense

    copy_model(base, folder)
    modules = json.loads((base / "modules.json").read_text(encoding="utf-8"))
    last = modules.pop() if modules[-1]["type"].endswith(".Normalize") else None
    head = {"path": f"{len(modules)}_Head", "type": "sentence_transformers.models.Dense"}
    last = last or {"path": f"{len(modules) + 1}_Normalize", "type": "sentence_transformers.models.Normalize"}
    dense = Dense(
        weight.shape[1],
        weight.shape[0],
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=torch.from_numpy(weight),
    )
    for module in (head, last):
        (folder / module["path"]).mkdir(exist_ok=True)
    dense.save(str(folder / head["path"]))
    numbered = [{**module, "idx": i, "name": str(i)} for i, module in enumerate([*modules, head, last])]
    (folder / "modules.json").unlink()  # it may be a link to the base encoder's
    (folder / "modules.json").write_text(json.dumps(numbered, indent=1), encoding="utf-8")
