"""What is taken out of a text's vector because of its language: its language's mean, or its first directions.

Baselines without training: whatever a trained ratio gains should be held against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.collections.structures import Role
from engine.encoders.encoder import unit_length
from engine.encoders.folder import ADJUSTMENT
from engine.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROLES: tuple[Role, ...] = ("query", "document")


@dataclass(frozen=True, slots=True, eq=False)
class LanguageAdjustment:
    """What is taken out of the vectors of each role and language.

    With `directions` 0 the mean vector is subtracted (language-mean centring: Libovický, Rosa and Fraser 2020, "On the
    language neutrality of pre-trained multilingual representations"). With k directions the first k right singular
    vectors of the language's vectors are projected out (LIR: Yang, Yang, Cer and Darve 2021, "A simple and effective
    method to eliminate the self language bias in multilingual representations").

    Attributes:
        directions: 0 for the mean, else how many directions.
        parts: By role and language, float32 (1, dimension) the mean, or (directions, dimension) orthonormal rows.
        transductive: Whether a language without a part gets one from the passages that are evaluated on. Otherwise its
            vectors stay as they are.
        before_head: Whether a linear head follows, which was trained on adjusted vectors.
    """

    directions: int
    parts: Mapping[tuple[Role, str], NDArray[np.float32]]
    transductive: bool = False
    before_head: bool = False

    @classmethod
    def estimate(
        cls, directions: int, vectors: Mapping[Role, NDArray[np.float32]], languages: Mapping[Role, Sequence[str]]
    ) -> LanguageAdjustment:
        """Estimate every language's part from unit vectors.

        Args:
            directions: 0 for the mean, else how many directions.
            vectors: By role, float32 (texts, dimension).
            languages: By role, each text's language.

        Raises:
            InputError: If a language has fewer texts than directions.
        """
        parts = {
            (role, language): _part(directions, vectors[role][rows], language)
            for role in vectors
            for language, rows in _rows(languages[role]).items()
        }
        return cls(directions, parts)

    def completed(self, documents: NDArray[np.float32], languages: Sequence[str]) -> LanguageAdjustment:
        """The adjustment for a collection: if transductive, languages without a part get one from its passages.

        Args:
            documents: The collection's passages, unit vectors, float32 (candidates, dimension).
            languages: Each passage's language.
        """
        if not self.transductive:
            return self
        new = {
            (role, language): _part(self.directions, documents[rows], language)
            for language, rows in _rows(languages).items()
            for role in _ROLES
            if (role, language) not in self.parts
        }
        return replace(self, parts={**self.parts, **new})

    def apply(self, vectors: NDArray[np.float32], languages: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Take each text's part out of its vector, and bring it to unit length again.

        Args:
            vectors: Unit vectors of the encoder, float32 (texts, dimension).
            languages: Each text's language; one without a part keeps its vectors.
            role: Whether the texts are queries or documents.

        Returns:
            Unit vectors, float32 (texts, dimension).

        Raises:
            InputError: If the vectors have another dimension than the parts.
        """
        adjusted = vectors.copy()
        for language, rows in _rows(languages).items():
            part = self.parts.get((role, language))
            if part is None:
                continue
            if part.shape[1] != vectors.shape[1]:
                raise InputError(f"vectors must have {part.shape[1]} dimensions, got {vectors.shape[1]}")
            own: NDArray[np.float32] = vectors[rows]
            taken_out = part if self.directions == 0 else np.asarray((own @ part.T) @ part, np.float32)
            adjusted[rows] = unit_length(own - taken_out)
        return adjusted

    def save(self, folder: Path) -> None:
        """Write the adjustment into a checkpoint's folder."""
        from safetensors.numpy import save_file

        flags = {"directions": self.directions, "transductive": self.transductive, "before_head": self.before_head}
        tensors = {f"{role}/{language}": np.ascontiguousarray(part) for (role, language), part in self.parts.items()}
        save_file(tensors, folder / ADJUSTMENT, metadata={name: str(int(value)) for name, value in flags.items()})

    @classmethod
    def load(cls, folder: Path) -> LanguageAdjustment:
        """Read the adjustment of a checkpoint's folder.

        Raises:
            InputError: If it cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        file = folder / ADJUSTMENT
        try:
            with safe_open(file, "np") as opened:
                flags = {name: int(value) for name, value in opened.metadata().items()}
                parts = {_role_and_language(name): opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            return cls(flags["directions"], parts, bool(flags["transductive"]), bool(flags["before_head"]))
        except (SafetensorError, OSError, KeyError, ValueError, AttributeError) as error:
            raise InputError(f"{file}: cannot be read ({error}); train the checkpoint again") from error


def _part(directions: int, vectors: NDArray[np.float32], language: str) -> NDArray[np.float32]:
    """The mean of a language's vectors, or their first right singular vectors."""
    if directions == 0:
        mean: NDArray[np.float32] = vectors.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
        return mean
    if len(vectors) < directions or vectors.shape[1] <= directions:
        raise InputError(
            f"{directions} directions of language {language} cannot be taken from {len(vectors)} texts with "
            f"{vectors.shape[1]} dimensions; take fewer directions"
        )
    _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    first: NDArray[np.float32] = axes[:, ::-1][:, :directions].T.astype(np.float32)
    return first


def _rows(languages: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Each language's positions."""
    codes = np.asarray(languages)
    return {str(code): np.flatnonzero(codes == code) for code in dict.fromkeys(languages)}


def _role_and_language(name: str) -> tuple[Role, str]:
    role, _, language = name.partition("/")
    if role not in _ROLES:
        raise ValueError(f"role {role!r}")
    return ("query" if role == "query" else "document"), language
