"""What a model's folder says of itself: its modules, files, prompts, similarity, size, linear head, and fingerprint."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import InputError
from engine.storage.digest import file_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

ADJUSTMENT = "language_adjustment.safetensors"
"""A checkpoint's file with what is taken out of its vectors by language; see `engine.encoders.adjustment`."""

_WEIGHTS_AND_SETTINGS = {
    *(".json", ".safetensors", ".bin", ".model", ".txt", ".pt", ".pth", ".ckpt", ".npy", ".npz", ".pkl", ".h5"),
    *(".spm", ".tiktoken", ".jinja", ".py"),
}
_NOT_THE_MODEL = {
    *("modules.json", "config_sentence_transformers.json", "manifest.json", "recipe.json", "training.json"),
    *("training_args.bin", "requirements.txt", "trained_on.npy", "near_texts.json", ADJUSTMENT),
}
_NOT_RUN = ("onnx", "openvino", "coreml", "checkpoint-")  # folders of exports, and of states of a training run

# What sentence-transformers' Dense must be to be a matrix product and nothing else; and what it is unless it says so.
_LINEAR_HEAD = {
    "bias": False,
    "activation_function": "torch.nn.modules.linear.Identity",
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
    "use_residual": False,
}
_DENSE_DEFAULTS = {**_LINEAR_HEAD, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}


@dataclass(frozen=True, slots=True)
class Module:
    """An entry of `modules.json`: its class, its folder ("" for the root), and what is passed on to it."""

    type: str
    path: str
    kwargs: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The class's own name."""
        return self.type.rpartition(".")[2]


class ModelFolder:
    """A folder with a sentence-transformers model or a raw transformer, read without loading it.

    Args:
        path: The folder.

    Raises:
        InputError: If there is no model in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if not any((self.path / file).is_file() for file in ("modules.json", "config.json")):
            raise InputError(f"{path}: no model is there (no modules.json, no config.json); give a model's folder")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What `config_sentence_transformers.json` holds."""
        return read_object(self.path / "config_sentence_transformers.json") or {}

    @cached_property
    def modules(self) -> list[Module]:
        """The model's modules in order; a raw transformer is one module at the root.

        Raises:
            InputError: If `modules.json` is no list of modules.
        """
        file = self.path / "modules.json"
        if not file.is_file():
            return [Module("transformers.Transformer", "")]
        fault = InputError(f"{file}: not a list of modules with type and path; give a sentence-transformers folder")
        try:
            modules = [
                Module(str(entry["type"]), str(entry["path"]), tuple(map(str, entry.get("kwargs") or ())))
                for entry in json.loads(file.read_bytes())
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise fault from error
        if all(module.kind == "Normalize" for module in modules):
            raise fault
        return modules

    @cached_property
    def heads(self) -> list[int]:
        """Which modules are linear heads, the last first: each a Dense without bias, activation or residual.

        Only other heads and Normalize may follow one.
        """
        found = []
        for place in reversed(range(len(self.modules))):
            if self.modules[place].kind != "Normalize":
                if not self._is_linear_head(self.modules[place]):
                    break
                found.append(place)
        return found

    def _is_linear_head(self, module: Module) -> bool:
        folder = self.path / module.path
        if module.kind != "Dense" or not (folder / "model.safetensors").is_file():
            return False
        settings = {**_DENSE_DEFAULTS, **(read_object(folder / "config.json") or {})}
        return all(settings[name] == value for name, value in _LINEAR_HEAD.items())

    def head_weight(self, place: int) -> NDArray[np.float32]:
        """A linear head's weight, float32 (dimension out, dimension in), whatever number type it is stored in.

        Args:
            place: One of `heads`.

        Raises:
            InputError: If it cannot be read.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file  # NumPy knows no bfloat16

        file = self.path / self.modules[place].path / "model.safetensors"
        try:
            weight: NDArray[np.float32] = load_file(file)["linear.weight"].float().numpy()
        except (SafetensorError, OSError, KeyError) as error:
            raise InputError(f"{file}: no weights can be read ({error}); copy or train the model again") from error
        return weight

    def digests(self, *, without: Collection[int] = (), normalised: bool) -> list[tuple[object, ...]]:
        """Class and file digests of each module: what the model's fingerprint is made of.

        Args:
            without: Modules to leave out, of `heads`.
            normalised: Whether the vectors are brought to length one anyway, so that Normalize at the end adds nothing.
        """
        modules = [module for i, module in enumerate(self.modules) if i not in without]
        while normalised and modules[-1].kind == "Normalize":
            modules.pop()
        return [
            (module.kind, self._file_digests(module), *([list(module.kwargs)] if module.kwargs else []))
            for module in modules
        ]

    def _file_digests(self, module: Module) -> list[tuple[str, str]]:
        """Name and digest of every file at any depth that makes a module what it is."""
        folder, names = self.path / module.path, sorted(self._files(module))
        safe = {Path(name).parent for name in names if Path(name).match("model*.safetensors")}
        unread = {name for name in names if Path(name).match("pytorch_model*.bin") and Path(name).parent in safe}
        return [(name, file_digest(folder / name)) for name in names if name not in unread]

    def _files(self, module: Module) -> Iterator[str]:
        """The module's files; those of the root also hold the model's papers, and other modules' folders."""
        folder = self.path / module.path
        others = {(self.path / other.path) for other in self.modules if other.path and other.path != module.path}
        for file in folder.rglob("*"):
            name = file.relative_to(folder)
            if name.parts[0].startswith(".") or not file.is_file() or others & set(file.parents):
                continue
            if file.suffix != ".md" if module.path else _of_the_root(name):
                yield name.as_posix()


def _of_the_root(name: Path) -> bool:
    """Whether a file of the root folder is the model's, by its name in that folder."""
    if name.as_posix() in _NOT_THE_MODEL or name.suffix not in _WEIGHTS_AND_SETTINGS:
        return False
    return len(name.parts) == 1 or not name.parts[0].startswith(_NOT_RUN)


def read_object(file: Path) -> dict[str, Any] | None:
    """A JSON file's object, or None if there is no such file.

    Raises:
        InputError: If it holds something else.
    """
    if not file.is_file():
        return None
    try:
        value = json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error}); copy or train the model again") from error
    if not isinstance(value, dict):
        raise InputError(f"{file}: must hold a JSON object, got {type(value).__name__}; copy or train the model again")
    return value
