"""Text in, unit-length float32 vectors out: the Encoder protocol and its sentence-transformers implementation.

Prompts live here. An encoder is a folder; its fingerprint is a digest of what the folder holds, never of its name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from engine.collections.structures import Role
from engine.errors import InputError
from engine.storage.store import digest, file_digest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PROMPT_KEYS: dict[Role, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}
BATCH_SIZE = 32

_WEIGHTS_AND_SETTINGS = {".json", ".safetensors", ".bin", ".model", ".txt"}
_NOT_THE_MODEL = {
    "modules.json",
    "config_sentence_transformers.json",
    "manifest.json",
    "recipe.json",
    "training.json",
    "training_args.bin",
    "requirements.txt",
}


# What sentence-transformers' Dense must be to be a matrix product and nothing else; and what it is unless it says so.
_LINEAR_HEAD = {
    "bias": False,
    "activation_function": "torch.nn.modules.linear.Identity",
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
    "use_residual": False,
}
_DENSE_DEFAULTS = {**_LINEAR_HEAD, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}


class Encoder(Protocol):
    """What the engine needs of an encoder.

    Attributes:
        name: What to call it on pages.
        fingerprint: Digest of weights, tokenizer and configuration.
        prompts: What is put before a query and before a document.
        max_length: Tokens after which a text is cut; None for the model's own limit.
        dtype: Number type of the computation; the vectors are float32 always.
    """

    name: str
    fingerprint: str
    prompts: Mapping[Role, str]
    max_length: int | None
    dtype: str

    def encode(self, texts: Sequence[str], role: Role) -> np.ndarray:
        """Encode texts to unit-length vectors, float32 (texts, dimension)."""


class SentenceEncoder:
    """A sentence-transformers folder, or a raw transformer with mean pooling. Loads torch on the first encode.

    Args:
        folder: The model's folder.
        name: What to call it.
        prompts: Prompts by role, in place of the model's own.
        max_length: Tokens after which a text is cut; None for the model's own limit.
        without_head: Leave a trained linear head out: the trunk that gives the head its input.

    Raises:
        InputError: If the folder is no model.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        prompts: Mapping[Role, str] | None = None,
        max_length: int | None = None,
        without_head: bool = False,
    ) -> None:
        self.folder, self.name, self.max_length = Path(folder), name, max_length
        if not any((self.folder / file).is_file() for file in ("modules.json", "config.json")):
            raise InputError(f"{folder}: no model is there (no modules.json, no config.json); give a model's folder")
        if max_length is not None and max_length < 4:
            raise InputError(f"max length {max_length}: at least 4 tokens are needed")
        self.prompts: dict[Role, str] = {**_own_prompts(self.folder), **(prompts or {})}
        self._without_head = without_head

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the folder's weights, tokenizer and configuration, module by module."""
        head = _head_place(self.folder) if self._without_head else None
        modules = [module for i, module in enumerate(_modules(self.folder)) if i != head]
        while modules[-1][0] == "Normalize":  # at the end it does not count: all vectors are brought to length one
            modules.pop()
        listed = [(kind, _file_digests(self.folder / path, own=bool(path))) for kind, path in modules]
        return digest("encoder", 1, listed)

    @cached_property
    def recipe(self) -> dict[str, object] | None:
        """What the checkpoint was trained by, as its `recipe.json` tells; None for an encoder from elsewhere."""
        return _read_object(self.folder / "recipe.json")

    @cached_property
    def dtype(self) -> str:
        """float16 on a CUDA device, else float32."""
        import torch

        return "float16" if torch.cuda.is_available() else "float32"

    def encode(self, texts: Sequence[str], role: Role) -> np.ndarray:
        """Encode texts with the role's prompt.

        Args:
            texts: What to encode.
            role: Query or document.

        Returns:
            Unit-length vectors, float32 (texts, dimension).
        """
        vectors = self.model.encode(
            list(texts), prompt=self.prompts[role], batch_size=BATCH_SIZE, show_progress_bar=False
        )
        return unit_length(np.asarray(vectors, np.float32))

    @cached_property
    def model(self) -> SentenceTransformer:
        """The loaded model, on the device that sentence-transformers chooses.

        Raises:
            InputError: If the folder cannot be loaded as a model.
        """
        quieten()
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(str(self.folder), model_kwargs={"dtype": self.dtype}, local_files_only=True)
        except Exception as error:
            message = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.folder}: cannot be loaded as a model ({message}); give a model's folder"
            ) from error
        if self._without_head:
            head = _head_place(self.folder)
            model = SentenceTransformer(modules=[module for i, module in enumerate(model) if i != head])
        if self.max_length is not None:
            model.max_seq_length = min(self.max_length, model.max_seq_length or self.max_length)
        return model

    def head(self) -> tuple[SentenceEncoder, np.ndarray] | None:
        """Split off a linear head without bias or activation, as the `head` method trains it.

        Because such a head is linear and the vectors are brought to unit length after it, it may be applied to the
        trunk's cached unit vectors in place of its raw ones.

        Returns:
            The trunk and the head's weight, float32 (dimension out, dimension in); None if there is no such head.
        """
        place = None if self._without_head else _head_place(self.folder)
        if place is None:
            return None
        weight = _read_weight(self.folder / _modules(self.folder)[place][1] / "model.safetensors")
        trunk = SentenceEncoder(
            self.folder, self.name, prompts=self.prompts, max_length=self.max_length, without_head=True
        )
        return trunk, weight


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to length one, float32; a row of zeros stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(norms, np.float32(1e-12))).astype(np.float32, copy=False)


def quieten() -> None:
    """Keep the model libraries' own progress bars and load reports off the terminal."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _own_prompts(folder: Path) -> dict[Role, str]:
    """The prompts that the model's own configuration names for queries and documents, else empty ones."""
    file = folder / "config_sentence_transformers.json"
    named = (_read_object(file) or {}).get("prompts") or {}
    if not isinstance(named, dict) or not all(isinstance(prompt, str) for prompt in named.values()):
        raise InputError(f"{file}: `prompts` must give texts by name; correct or remove it")
    return {role: next((named[key] for key in keys if named.get(key)), "") for role, keys in PROMPT_KEYS.items()}


def _read_object(file: Path) -> dict[str, object] | None:
    """A JSON file's object, or None if there is no such file."""
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error}); copy or train the model again") from error
    if not isinstance(found, dict):
        raise InputError(
            f"{file}: expected a JSON object, a {type(found).__name__} came; copy or train the model again"
        )
    return found


def _read_weight(file: Path) -> np.ndarray:
    """A Dense module's weight, float32 (dimension out, dimension in)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(file)["linear.weight"].astype(np.float32)
    except (SafetensorError, OSError, KeyError) as error:
        raise InputError(f"{file}: no weights can be read ({error}); copy or train the model again") from error


def _modules(folder: Path) -> list[tuple[str, str]]:
    """A model's modules as (class name, path in the folder); a raw transformer is one module at the root."""
    file = folder / "modules.json"
    if not file.is_file():
        return [("Transformer", "")]
    fault = InputError(f"{file}: not a list of modules with type and path; give a sentence-transformers folder")
    try:
        modules = [(str(m["type"]).rpartition(".")[2], str(m["path"])) for m in json.loads(file.read_bytes())]
    except (ValueError, KeyError, TypeError) as error:
        raise fault from error
    if all(kind == "Normalize" for kind, _ in modules):
        raise fault
    return modules


def _head_place(folder: Path) -> int | None:
    """Which module is a linear head: a Dense without bias, activation or residual that only Normalize follows."""
    modules = _modules(folder)
    place = max(i for i, (kind, _) in enumerate(modules) if kind != "Normalize")
    kind, path = modules[place]
    if kind != "Dense" or not (folder / path / "model.safetensors").is_file():
        return None
    settings = {**_DENSE_DEFAULTS, **(_read_object(folder / path / "config.json") or {})}
    return place if all(settings[name] == value for name, value in _LINEAR_HEAD.items()) else None


def _file_digests(folder: Path, *, own: bool) -> list[tuple[str, str]]:
    """Name and digest of the files that make a module what it is.

    Args:
        folder: The module's folder.
        own: Whether the folder is the module's alone; the root also holds the model's papers.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix in _WEIGHTS_AND_SETTINGS) if folder.is_dir() else []
    if any(path.suffix == ".safetensors" for path in files):
        files = [path for path in files if path.suffix != ".bin"]
    return [(path.name, file_digest(path)) for path in files if own or path.name not in _NOT_THE_MODEL]
