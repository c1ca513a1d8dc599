"""Text in, float32 vectors out: the Encoder protocol and its sentence-transformers implementation.

An encoder is a folder; its fingerprint is a digest of what the folder holds, never of its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from engine.collections.pictures import Picture
from engine.collections.structures import Role
from engine.encoders.folder import ADJUSTMENT, ModelFolder, read_object
from engine.encoders.loading import DTYPES, check_loadable, load, preferred_dtype
from engine.encoders.prompts import own_prompts
from engine.errors import InputError
from engine.storage.digest import digest, file_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

BATCH_SIZE = 32
SIMILARITIES = ("cosine", "dot", "euclidean")


class Encoder(Protocol):
    """What the engine needs of an encoder."""

    @property
    def name(self) -> str:
        """What to call it on pages."""

    @property
    def fingerprint(self) -> str:
        """Digest of weights, tokenizer, configuration, similarity and dimensions kept."""

    @property
    def prompts(self) -> Mapping[Role, str]:
        """What is put before a query and before a document."""

    @property
    def max_length(self) -> int | None:
        """Tokens after which a text is cut; None for the model's own limit."""

    @property
    def dtype(self) -> str:
        """Number type of the computation; the vectors are float32 always."""

    @property
    def similarity(self) -> str:
        """How its vectors are compared: "cosine" (they have length one then), "dot" or "euclidean"."""

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode texts, float32 (texts, dimension)."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is run where not as its files say.

    Attributes:
        truncate_dim: Keep the first so many numbers of each vector (Matryoshka); None for the model's own choice.
        dtype: Number type of the computation, one of `loading.DTYPES`; None chooses by model and device.
        trust_remote_code: Run code that the model's folder brings along.
    """

    truncate_dim: int | None = None
    dtype: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: If one of them is not allowed.
        """
        if self.truncate_dim is not None and self.truncate_dim < 1:
            raise InputError(f"truncate dim must be an integer >= 1, got {self.truncate_dim}")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}")

    def to_arguments(self) -> list[str]:
        """The options of a command that runs a model so."""
        line = ["--truncate-dim", str(self.truncate_dim)] if self.truncate_dim else []
        line += ["--dtype", self.dtype] if self.dtype else []
        return line + (["--trust-remote-code"] if self.trust_remote_code else [])


AS_IT_IS = Options()


class SentenceEncoder:
    """A sentence-transformers folder, or a raw transformer with mean pooling. Loads torch on the first encode.

    Args:
        folder: The model's folder.
        name: What to call it.
        prompts: Prompts by role, in place of the model's own.
        max_length: Tokens after which a text is cut; None for the model's own limit.
        options: How to run it where not as its files say.

    Raises:
        InputError: If the folder is no model, or a model that cannot be run as its author meant it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        prompts: Mapping[Role, str] | None = None,
        max_length: int | None = None,
        options: Options = AS_IT_IS,
    ) -> None:
        self.folder, self.name, self.max_length, self.options = Path(folder), name, max_length, options
        check_loadable(self.folder)
        self._files = ModelFolder(self.folder)
        if max_length is not None and max_length < 4:
            raise InputError(f"max length must be an integer >= 4, got {max_length}")
        self.prompts: dict[Role, str] = {
            **(own_prompts(self._files) or {"query": "", "document": ""}),
            **(prompts or {}),
        }
        self.similarity = _similarity(self._files)
        self.truncate_dim = options.truncate_dim or _own_truncate_dim(self._files)
        self._without_heads, self._without_adjustment = 0, False

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the folder's weights, tokenizer and configuration, module by module."""
        cosine = self.similarity == "cosine"
        listed = self._files.digests(without=self._files.heads[: self._without_heads], normalised=cosine)
        kept = [] if self.truncate_dim is None else [["truncate_dim", self.truncate_dim]]
        similarity = [] if cosine else [["similarity", self.similarity]]
        adjusted = [[ADJUSTMENT, file_digest(self.folder / ADJUSTMENT)]] if self.is_adjusted else []
        return digest("encoder", 1, listed, *similarity, *kept, *adjusted)

    @property
    def is_adjusted(self) -> bool:
        """Whether its vectors depend on the text's language: its folder has a language adjustment."""
        return not self._without_adjustment and (self.folder / ADJUSTMENT).is_file()

    def unadjusted(self) -> SentenceEncoder:
        """The encoder without its language adjustment."""
        return self._like(_without_adjustment=True)

    @cached_property
    def recipe(self) -> dict[str, Any] | None:
        """What the checkpoint was trained by, as its `recipe.json` tells; None for an encoder from elsewhere."""
        return read_object(self.folder / "recipe.json")

    @cached_property
    def dtype(self) -> str:
        """The number type that was asked for, else one that the model and the device are good for."""
        return self.options.dtype or preferred_dtype(self._files)

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode texts as the model's author meant it for the role: its prompt, and its route or task.

        Args:
            texts: What to encode: texts, or pictures, but not both. Pictures get no prompt and have no role.
            role: Query or document.

        Returns:
            Vectors, float32 (texts, dimension), of unit length if they are compared by cosine.

        Raises:
            InputError: If the model cannot be loaded, has fewer dimensions than are to be kept, does not take texts or
                pictures, or is adjusted by language: only `embed_collection` knows the languages.
        """
        if self.is_adjusted:
            raise InputError(
                f"encoder {self.name} subtracts what its texts' language adds, so it needs to know the language of "
                "each text; it can be evaluated on a collection, but cannot encode a text alone"
            )
        if any(isinstance(text, Picture) for text in texts):
            return self.keep(self._encode_pictures([text for text in texts if isinstance(text, Picture)]))
        self._check_modality("text")
        vectors = self.model.encode(
            list(texts), prompt=self.prompts[role], batch_size=BATCH_SIZE, show_progress_bar=False, task=role
        )
        return self.keep(np.asarray(vectors, np.float32))

    def _encode_pictures(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Encode pictures, of which only those of one batch are open at a time."""
        self._check_modality("image")
        parts = [
            self.model.encode(
                [picture.open() for picture in pictures[start : start + BATCH_SIZE]],
                prompt="",
                batch_size=BATCH_SIZE,
                show_progress_bar=False,
            )
            for start in range(0, len(pictures), BATCH_SIZE)
        ]
        return np.concatenate(parts).astype(np.float32)

    def _check_modality(self, modality: str) -> None:
        taken = getattr(self.model, "modalities", ["text"])
        if modality not in taken:
            what = {"text": "texts", "image": "pictures"}[modality]
            other = (
                "give a picture encoder beside it (--image-encoder)" if modality == "image" else "give a text encoder"
            )
            raise InputError(f"encoder {self.name} does not take {what}; {other}, or a model that takes both")

    def keep(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut whole vectors to the dimensions that are kept, and bring them to unit length if cosine compares them.

        Raises:
            InputError: If they have fewer dimensions.
        """
        if self.truncate_dim is not None:
            if vectors.ndim == 2 and vectors.shape[1] < self.truncate_dim:
                raise InputError(
                    f"encoder {self.name}: truncate dim is {self.truncate_dim}, but its vectors have "
                    f"{vectors.shape[1]} dimensions; give that or fewer"
                )
            vectors = vectors[:, : self.truncate_dim]
        return unit_length(vectors) if self.similarity == "cosine" else np.ascontiguousarray(vectors)

    @cached_property
    def model(self) -> SentenceTransformer:
        """The loaded model, on the device that sentence-transformers chooses.

        Raises:
            InputError: If the folder cannot be loaded as a model.
        """
        model = load(self._files, self.dtype, trust_remote_code=self.options.trust_remote_code)
        model.truncate_dim = None  # `keep` does it, so that whole vectors can be had too
        for name in [list(model._modules)[place] for place in self._files.heads[: self._without_heads]]:
            del model._modules[name]
        if self.max_length is not None:
            model.max_seq_length = min(self.max_length, model.max_seq_length or self.max_length)
        return model

    @cached_property
    def whole(self) -> SentenceEncoder:
        """The encoder with all its dimensions; itself if none are cut off."""
        return self if self.truncate_dim is None else self._like(truncate_dim=None)

    def head(self) -> tuple[SentenceEncoder, NDArray[np.float32]] | None:
        """Split off a linear head without bias or activation, as the `head` method trains it.

        Because such a head is linear and the vectors are brought to unit length after it, it may be applied to the
        trunk's cached unit vectors in place of its raw ones. Of several such heads behind each other, it is the last.

        Returns:
            The trunk and the head's weight, float32 (dimension out, dimension in); None if there is no such head.
        """
        rest = self._files.heads[self._without_heads :]
        if self.similarity != "cosine" or not rest or self.is_adjusted:
            return None
        trunk = self._like(truncate_dim=None, _without_heads=self._without_heads + 1)
        return trunk, self._files.head_weight(rest[0])

    def _like(self, **changes: object) -> SentenceEncoder:
        other = copy(self)
        for cached in ("fingerprint", "model", "whole"):
            other.__dict__.pop(cached, None)
        other.__dict__.update(changes)
        return other


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to length one, float32; a row of zeros stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.maximum(norms, np.float32(1e-12))).astype(np.float32, copy=False)
    return scaled


def _similarity(files: ModelFolder) -> str:
    """How the model's author compares its vectors; cosine unless the configuration says otherwise."""
    similarity = files.settings.get("similarity_fn_name") or "cosine"
    if similarity not in SIMILARITIES:
        raise InputError(
            f"{files.path}: its vectors are made for the similarity {similarity!r}, by which this program cannot rank; "
            f"use a model for {', '.join(SIMILARITIES)}"
        )
    return str(similarity)


def _own_truncate_dim(files: ModelFolder) -> int | None:
    """How many dimensions the model's author keeps; None for all."""
    kept = files.settings.get("truncate_dim")
    if kept is not None and (type(kept) is not int or kept < 1):
        file = files.path / "config_sentence_transformers.json"
        raise InputError(f"{file}: truncate_dim must be an integer >= 1, got {kept!r}; correct or remove it")
    return kept
