"""What determines a checkpoint: the recipe and its hyper-parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engine.errors import InputError

Method = Literal["head", "full"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Hyper-parameters of a training run.

    Attributes:
        steps: Optimiser steps.
        batch_size: Question-passage pairs in a batch.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        temperature: Of InfoNCE.
        tau: Exponent on a language's size when languages are drawn; 0 draws them uniformly.
        hard_negatives: Further sentences of the positive's own paragraph that join as negatives, per pair.
        warmup: Share of the steps over which the learning rate rises; it then falls linearly to 0 (`full` only).
        max_length: Tokens after which a text is cut, None for the model's own limit (`full` only).
        accumulate: Batches whose gradients are added up before a step (`full` only).
        hold_out: Share of the questions on which the loss is watched, 0 for none (`full` only).
        patience: Looks at the held-out loss without improvement after which training stops (`full` only).
        save_every: Steps between the states that an interrupted run resumes from (`full` only).
    """

    steps: int = 600
    batch_size: int = 100
    learning_rate: float = 3e-4
    weight_decay: float = 1e-2
    temperature: float = 0.05
    tau: float = 0.0
    hard_negatives: int = 0
    warmup: float = 0.0
    max_length: int | None = None
    accumulate: int = 1
    hold_out: float = 0.0
    patience: int = 3
    save_every: int = 100

    def __post_init__(self) -> None:
        """Check every number."""
        for name in ("steps", "accumulate", "patience", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)} came, a whole number from 1 is allowed")
        for name in ("learning_rate", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name}: {getattr(self, name)} came, a number above 0 is allowed")
        for name in ("weight_decay", "tau", "hard_negatives"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name}: {getattr(self, name)} came, a number from 0 is allowed")
        if self.batch_size < 2:
            raise InputError(f"batch_size: {self.batch_size} came; a batch needs at least 2 pairs")
        if not (0 <= self.warmup <= 1 and 0 <= self.hold_out < 1):
            raise InputError(f"warmup {self.warmup} must be in [0, 1] and hold_out {self.hold_out} in [0, 1)")


DEFAULTS: dict[Method, Settings] = {
    "head": Settings(),
    "full": Settings(learning_rate=3e-5, warmup=0.1, max_length=128),
}
"""Settings unless others are given. `full` has the learning rate, weight decay and batch size of arXiv 2408.10536."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that determines a checkpoint.

    Attributes:
        encoder: Fingerprint of the base encoder.
        prompts: The base encoder's prompts by role.
        collection: Digest of the training collection, without what was left out of it.
        method: "head" or "full".
        strategy: How batches are drawn: "hybrid" or a baseline; "merge" averages the checkpoints of alpha 0 and 1.
        alpha: Probability that a batch is monolingual (of a merge: the weight of the alpha = 1 checkpoint); None where
            the strategy has none.
        seed: Of everything random.
        settings: Hyper-parameters.
        encoder_name: What to call the encoder; determines nothing.
        collection_name: What to call the collection; determines nothing.
    """

    encoder: str
    prompts: dict[str, str]
    collection: str
    method: Method
    strategy: str = "hybrid"
    alpha: float | None = None
    seed: int = 0
    settings: Settings = field(default_factory=Settings)
    encoder_name: str = ""
    collection_name: str = ""

    def determinants(self) -> dict[str, Any]:
        """All that determines the checkpoint, as plain values: what its key is made of."""
        names = ("encoder_name", "collection_name")
        return {name: value for name, value in asdict(self).items() if name not in names}

    def family(self) -> dict[str, Any]:
        """What the recipes of one sweep share: all but ratio, seed, and strategy."""
        varying = ("alpha", "seed", "strategy")
        return {name: value for name, value in self.determinants().items() if name not in varying}

    @property
    def label(self) -> str:
        """What to call the checkpoint, such as "multilingual-e5-small, head on mlqa-r, alpha 0.5, seed 0"."""
        kind = self.strategy if self.alpha is None else f"alpha {self.alpha:g}"
        kind = f"merge, {kind}" if self.strategy == "merge" else kind
        return f"{self.encoder_name}, {self.method} on {self.collection_name}, {kind}, seed {self.seed}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe whose `dataclasses.asdict` came.

        Raises:
            InputError: If the values are not those of a recipe.
        """
        try:
            return cls(**{**values, "settings": Settings(**values["settings"])})
        except (TypeError, KeyError) as error:
            raise InputError(f"recipe: its fields are not those of this version ({error}); train again") from error


def check_alpha(alpha: float) -> float:
    """Return the ratio if it is one.

    Raises:
        InputError: If it is not in [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha: {alpha} came, a share of monolingual batches from 0 to 1 is allowed")
    return float(alpha)
