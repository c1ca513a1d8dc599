"""How a checkpoint is to be used, written into its configuration, which every loader reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from engine.encoders.prompts import PROMPT_KEYS


def write_use(folder: Path, prompts: Mapping[str, str]) -> None:
    """Write the prompts that a checkpoint was trained with, and cosine, which it was trained for.

    Args:
        folder: The checkpoint's folder.
        prompts: Prompts by role.
    """
    file = folder / "config_sentence_transformers.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    named = config.get("prompts") or {}
    others = {name: prompts[role] for role, names in PROMPT_KEYS.items() for name in named if name.lower() in names}
    cosine = {"similarity_fn_name": "cosine"} if config.get("similarity_fn_name") else {}
    written = {**config, "prompts": {**named, **others, **prompts}, **cosine}
    file.unlink(missing_ok=True)  # it may be a link to the base encoder's
    file.write_text(json.dumps(written, indent=1), encoding="utf-8")
