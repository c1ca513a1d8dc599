"""What determines a checkpoint: the recipe and its hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable
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
        tau: Exponent on a language's size when languages are drawn, 0 to 1; 0 draws them uniformly.
        hard_negatives: Further sentences of the positive's own paragraph that join as negatives, per pair.
        warmup: Share of the steps over which the learning rate rises; it then falls linearly to 0 (`full` only).
        max_length: Tokens after which a text is cut, None for the model's own limit (`full` only).
        accumulate: Batches whose gradients are added up before a step (`full` only).
        english_share: Probability that a caption is drawn from the English ones; None for their share of the
            languages (collections of pictures only).
        lock_pictures: Whether the picture side stays as it is and only the text side is trained (Zhai et al. 2022;
            collections of pictures only).
        caption_pairs: Probability that a batch has two captions of each picture, in different languages, in place of a
            caption and the picture (collections of pictures only).
        hold_out: Share of the questions on which the loss is watched, 0 for none.
        patience: Looks at the held-out loss without improvement after which training stops.
        save_every: Steps between looks at the held-out loss, and between the states that `full` resumes from.
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
    english_share: float | None = None
    lock_pictures: bool = False
    caption_pairs: float = 0.0

    def __post_init__(self) -> None:
        """Check every number; equal numbers are written alike, so that they give the same key."""
        for name, least in _WHOLE_FROM.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InputError(f"{name} must be an integer >= {least}, got {value!r}")
        if self.max_length is not None and (type(self.max_length) is not int or self.max_length < 4):
            raise InputError(f"max_length must be an integer >= 4 or left out, got {self.max_length!r}")
        for name, (allowed, fits) in _NUMBERS.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not fits(value):
                raise InputError(f"{name} must be a number {allowed}, got {value!r}")
            object.__setattr__(self, name, float(value))
        if self.english_share is not None and not 0 <= self.english_share <= 1:
            raise InputError(f"english share must be a number from 0 to 1, got {self.english_share!r}")
        if type(self.lock_pictures) is not bool:
            raise InputError(f"lock_pictures must be true or false, got {self.lock_pictures!r}")


_WHOLE_FROM = {"steps": 1, "batch_size": 2, "hard_negatives": 0, "accumulate": 1, "patience": 1, "save_every": 1}
_MOST = 1e30  # torch refuses a step that float32 cannot hold
_NUMBERS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("above 0 and below 1e30", lambda value: 0 < value < _MOST),
    "temperature": ("above 0 and below 1e30", lambda value: 0 < value < _MOST),
    "weight_decay": ("from 0 and below 1e30", lambda value: 0 <= value < _MOST),
    "tau": ("from 0 to 1", lambda value: 0 <= value <= 1),
    "warmup": ("from 0 to 1", lambda value: 0 <= value <= 1),
    "hold_out": ("from 0 to below 1", lambda value: 0 <= value < 1),
    "caption_pairs": ("from 0 to below 1", lambda value: 0 <= value < 1),
}

DEFAULTS: dict[Method, Settings] = {
    "head": Settings(),
    "full": Settings(learning_rate=3e-5, warmup=0.1, max_length=128),
}
"""Settings unless others are given. `full` has the learning rate, weight decay and batch size of arXiv 2408.10536."""


FULL_ONLY = ("warmup", "max_length", "accumulate")
"""Settings that the method `head` has no use for."""

OF_PICTURES: dict[str, object] = {"english_share": None, "lock_pictures": False, "caption_pairs": 0.0}
"""Settings of collections of pictures alone, and what they are for all others."""

SHARES_OF_THEIR_OWN: dict[str, float | None] = {"en-en": 1.0, "x-x": None}
"""Strategies that say themselves how often captions are English: always, or in proportion to the languages' sizes."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that determines a checkpoint.

    Attributes:
        encoder: Fingerprint of the base encoder.
        prompts: The base encoder's prompts by role.
        collection: Digest of the training collection, without what was left out of it.
        method: "head" or "full".
        strategy: How batches are drawn: "hybrid" or a baseline; "merge" averages the checkpoints of alpha 0 and 1;
            "centred" and others take the language out of the vectors (`engine.training.adjusted`).
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
        values = {name: value for name, value in asdict(self).items() if name not in names}
        for name, usual in OF_PICTURES.items():
            if values["settings"][name] == usual:
                del values["settings"][name]  # they came later: keys of recipes without them stay
        return values

    def family(self) -> dict[str, Any]:
        """What the recipes of one sweep share: all but ratio, seed, and strategy."""
        varying = ("alpha", "seed", "strategy")
        return {name: value for name, value in self.determinants().items() if name not in varying}

    @property
    def label(self) -> str:
        """What to call the checkpoint, such as "multilingual-e5-small, head on mlqa-r, alpha 0.5, seed 0"."""
        kind = self.strategy if self.alpha is None else f"alpha {self.alpha:g}"
        kind = kind if self.alpha is None or self.strategy == "hybrid" else f"{self.strategy}, {kind}"
        return f"{self.family_label}, {kind}, seed {self.seed}"

    @property
    def family_label(self) -> str:
        """What to call all that differ from it in ratio, seed and strategy alone."""
        share, pairs, locked = self.settings.english_share, self.settings.caption_pairs, self.settings.lock_pictures
        parts = [f"{self.encoder_name}, {self.method} on {self.collection_name}"]
        parts += [] if share is None else [f"English share {share:g}"]
        parts += [f"caption pairs {pairs:g}"] if pairs else []
        return ", ".join([*parts, *(["pictures locked"] if locked else [])])

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe that `dataclasses.asdict` turned into these values.

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
        raise InputError(f"alpha, the share of monolingual batches, must be from 0 to 1, got {alpha}")
    return abs(float(alpha))  # -0.0 is 0.0
