"""Two towers: a text encoder and a picture encoder that together are one encoder, whether or not they ever met.

On disk they are a folder with the subfolders `text` and `picture`, each an ordinary sentence-transformers folder; the
folder itself is a sentence-transformers Router over both, so plain sentence-transformers loads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.collections.pictures import Picture
from engine.collections.structures import Role
from engine.encoders.encoder import Options, SentenceEncoder
from engine.encoders.folder import ModelFolder, read_object
from engine.errors import InputError
from engine.storage.digest import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT, PICTURE_TOWER = "text", "picture"
JOINED = "+"
"""Between the names of two encoders, it names both: "multilingual-e5-small+efficientnet-lite0"."""

_ROUTER = "sentence_transformers.base.modules.router.Router"


class TwoTowers:
    """A text encoder and a picture encoder, with one fingerprint.

    Attributes:
        met: Whether they were trained together, so that one folder holds them.

    Args:
        text: Encodes texts; its prompts and options are the pair's.
        picture: Encodes pictures.
        name: What to call the pair; by default both names.
        folder: Where both are, if they are one checkpoint.

    Raises:
        InputError: If they are not compared by cosine, or keep fewer dimensions than they have.
    """

    similarity = "cosine"
    truncate_dim: int | None = None
    is_adjusted = False

    def __init__(
        self, text: SentenceEncoder, picture: SentenceEncoder, *, name: str | None = None, folder: Path | None = None
    ) -> None:
        for tower in (text, picture):
            if tower.similarity != "cosine" or tower.truncate_dim is not None:
                raise InputError(
                    f"encoder {tower.name}: a tower must be compared by cosine with all its dimensions; "
                    "leave --truncate-dim out, or choose another encoder"
                )
        self.text, self.picture = text, picture
        self.name = name or f"{text.name}{JOINED}{picture.name}"
        self.folder = folder or text.folder
        self.met = folder is not None

    @cached_property
    def fingerprint(self) -> str:
        """Digest of both fingerprints."""
        return digest("two towers", 1, self.text.fingerprint, self.picture.fingerprint)

    @property
    def prompts(self) -> Mapping[Role, str]:
        """The text encoder's."""
        return self.text.prompts

    @property
    def max_length(self) -> int | None:
        """The text encoder's."""
        return self.text.max_length

    @property
    def dtype(self) -> str:
        """Both number types, or the one that they share."""
        types = dict.fromkeys((self.text.dtype, self.picture.dtype))
        return JOINED.join(types)

    @property
    def options(self) -> Options:
        """The text encoder's."""
        return self.text.options

    @cached_property
    def recipe(self) -> dict[str, Any] | None:
        """What the pair was trained by, as its `recipe.json` tells; None for one from elsewhere."""
        return read_object(self.folder / "recipe.json") if self.met else None

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode texts, or pictures, but not both; float32 (texts, dimension of the tower).

        Raises:
            InputError: If a model cannot be loaded.
        """
        pictured = any(isinstance(text, Picture) for text in texts)
        return (self.picture if pictured else self.text).encode(texts, role)


AnyEncoder = SentenceEncoder | TwoTowers
"""What the name of an encoder may stand for."""


def towers_of(encoder: AnyEncoder) -> tuple[SentenceEncoder, SentenceEncoder]:
    """What encodes texts, and what encodes pictures: the towers, or one model for both."""
    return (encoder.text, encoder.picture) if isinstance(encoder, TwoTowers) else (encoder, encoder)


def is_towers(folder: Path) -> bool:
    """Whether a folder holds two towers as they are written here."""
    return all((folder / tower / "modules.json").is_file() for tower in (TEXT, PICTURE_TOWER))


def write_router(folder: Path, prompts: Mapping[Role, str]) -> None:
    """Make a folder with two towers one model of sentence-transformers: a Router by what is given, text or picture.

    Args:
        folder: It holds the towers.
        prompts: The text tower's.
    """
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    for route, tower in (("text", TEXT), ("image", PICTURE_TOWER)):
        modules = ModelFolder(folder / tower).modules
        paths = [f"{tower}/{module.path}" if module.path else tower for module in modules]
        types |= {path: module.type for path, module in zip(paths, modules, strict=True)}
        structure[route] = paths
    parameters = {
        "default_route": "text",
        "allow_empty_key": True,
        "route_mappings": {"(None, 'text')": "text", "(None, 'image')": "image"},
    }
    router = {"types": types, "structure": structure, "parameters": parameters}
    (folder / "router_config.json").write_text(json.dumps(router, indent=1), encoding="utf-8")
    listed = [{"idx": 0, "name": "0", "path": "", "type": _ROUTER}]
    (folder / "modules.json").write_text(json.dumps(listed, indent=1), encoding="utf-8")
    settings = {"model_type": "SentenceTransformer", "prompts": dict(prompts), "similarity_fn_name": "cosine"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
