"""What can be trained: strategies and their ratios, and which encoders and collections go with which method."""

from __future__ import annotations

import logging

from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.encoders.towers import AnyEncoder
from engine.errors import InputError
from engine.training.adjusted import NAMES as ADJUSTED
from engine.training.adjusted import adjusted_by
from engine.training.recipe import Method, Settings
from engine.training.sampler import STRATEGIES

logger = logging.getLogger(__name__)


def check_strategy(strategy: str, alpha: float | None) -> None:
    """Refuse an unknown strategy, a ratio that is missing, and one that is superfluous.

    Raises:
        InputError: Where it is so.
    """
    adjusted = adjusted_by(strategy)
    if strategy not in STRATEGIES and adjusted is None:
        raise InputError(f"strategy {strategy!r} is unknown; allowed are {', '.join(STRATEGIES)}, {ADJUSTED}")
    has_ratio = strategy == "hybrid" or (adjusted is not None and adjusted.head)
    if has_ratio and alpha is None:
        raise InputError(f"strategy {strategy} needs alpha, the share of monolingual batches, from 0 to 1")
    if not has_ratio and alpha is not None:
        raise InputError(f"strategy {strategy} has no alpha, got {alpha}; leave it out or use hybrid")


def check_trainable(
    encoder: AnyEncoder, collection: Collection, method: Method, strategy: str, settings: Settings
) -> None:
    """Refuse what cannot be trained together; warn of an encoder that is made for another similarity than cosine.

    Raises:
        InputError: If the encoder, the collection, the method, the strategy or the settings do not fit together.
    """
    if encoder.max_length is not None:
        raise InputError(f"encoder {encoder.name} was opened with a max length; give it in the settings instead")
    if adjusted_by(strategy):
        _check_adjustable(encoder, method, strategy)
    if PICTURE in collection.languages:
        _check_pictures(collection, method, strategy, settings)
    if encoder.is_adjusted:
        raise InputError(f"encoder {encoder.name} is adjusted by language; train the encoder that it was made from")
    if method == "full" and encoder.options.truncate_dim is not None:
        raise InputError("method full trains all dimensions; leave --truncate-dim out, and give it to `evaluate`")
    if encoder.similarity != "cosine":
        logger.warning("%s is made for %s; training, and the checkpoint, use cosine", encoder.name, encoder.similarity)


def _check_pictures(collection: Collection, method: Method, strategy: str, settings: Settings) -> None:
    if adjusted_by(strategy) or settings.hard_negatives or settings.hold_out:
        raise InputError(
            "pictures are trained without language adjustment, hard negatives and hold-out; leave these out"
        )
    if method == "full" and collection.given is not None:
        raise InputError(
            f"{collection.name} has vectors in place of pictures, which method full cannot train on; use method head"
        )


def _check_adjustable(encoder: AnyEncoder, method: Method, strategy: str) -> None:
    if method != "head":
        raise InputError(f"strategy {strategy} works on finished vectors; use it with method head")
    if encoder.similarity != "cosine" or encoder.options.truncate_dim is not None:
        raise InputError(
            f"strategy {strategy} needs whole vectors that are compared by cosine; leave --truncate-dim out"
        )
