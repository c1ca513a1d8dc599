"""A model's folder -> the loaded model: number types, code of its own, adapters, and what to say when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.encoders.folder import ModelFolder, read_object
from engine.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DTYPES = ("float32", "float16", "bfloat16")
_LARGE_ACTIVATIONS = ("gemma", "t5")  # model types whose activations leave float16's range
_MESSAGE_LENGTH = 200


def check_loadable(folder: Path) -> None:
    """Refuse what the libraries would run otherwise than its author meant, before anything is loaded.

    Raises:
        InputError: If the folder holds an adapter of PEFT, which is not a model by itself.
    """
    adapter = next(iter(sorted(Path(folder).rglob("adapter_config.json"))), None)
    if adapter is not None:
        base = (read_object(adapter) or {}).get("base_model_name_or_path") or "its base model"
        raise InputError(
            f"{adapter.parent}: an adapter of PEFT, not a whole model; merge it into {base} "
            "(merge_and_unload of the package peft), save the result, and give that folder"
        )


def preferred_dtype(model: ModelFolder) -> str:
    """float32 on a CPU; on a CUDA device float16, unless the model needs a wider range: bfloat16 or else float32."""
    import torch

    if not torch.cuda.is_available():
        return "float32"
    if not needs_range(model):
        return "float16"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def needs_range(model: ModelFolder) -> bool:
    """Whether a model was stored as bfloat16, or is of a kind whose activations are known to exceed 65504."""
    configs = [read_object(file) or {} for file in model.path.rglob("config.json")]
    stored = {str(config.get("dtype") or config.get("torch_dtype")) for config in configs}
    types = [str(config.get("model_type", "")) for config in configs]
    return "bfloat16" in stored or any(name in kind for kind in types for name in _LARGE_ACTIVATIONS)


def load(model: ModelFolder, dtype: str, *, trust_remote_code: bool) -> SentenceTransformer:
    """Load a model on the device that sentence-transformers chooses.

    Args:
        model: Its folder.
        dtype: Number type of its weights and of the computation.
        trust_remote_code: Whether code that the folder brings along is run.

    Raises:
        InputError: If it cannot be loaded; the message says so where it needs code of its own.
    """
    quieten()
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(
            str(model.path),
            model_kwargs={"dtype": dtype},
            local_files_only=True,
            trust_remote_code=trust_remote_code,
        )
    except Exception as error:
        code = own_code(model)
        if code and not trust_remote_code:
            raise InputError(
                f"{model.path}: the model needs code of its own ({', '.join(code)}), which is not run; "
                "read that code, and if you trust it give --trust-remote-code"
            ) from error
        message = " ".join(str(error).split())
        message = message if len(message) <= _MESSAGE_LENGTH else f"{message[:_MESSAGE_LENGTH]}..."
        raise InputError(f"{model.path}: cannot be loaded as a model ({message}); copy or train it again") from error


def own_code(model: ModelFolder) -> list[str]:
    """The classes that a model takes from code which comes with it: in `modules.json`, and in `auto_map`."""
    classes = [module.type for module in model.modules]
    classes = [name for name in classes if not name.startswith(("sentence_transformers.", "transformers."))]
    for module in model.modules:
        mapped = (read_object(model.path / module.path / "config.json") or {}).get("auto_map") or {}
        classes += [str(name) for name in mapped.values()] if isinstance(mapped, dict) else []
    return list(dict.fromkeys(classes))


def quieten() -> None:
    """Keep the model libraries' own progress bars and load reports off the terminal."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
