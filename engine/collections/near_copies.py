"""Near copies among pictures: what was scaled, compressed again or slightly changed, which no digest of content finds.

Two pictures are near copies if their difference hashes are the same in all but `NEAR` of `BITS` bits. They are
reported, not left out: a hash may also be near where two drawings are merely alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from engine.collections.pictures import PICTURE, Picture, UnseenPicture
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.progress import Progress, silent
from engine.storage.digest import digest
from engine.storage.store import Store

BITS = 256
NEAR = 20
"""Bits that two near copies may differ in.

Measured on drawings: a picture and itself at half size differ in at most 15, compressed as JPEG of quality 50 in 10 at
the median and 32 at most. Of a thousand drawings of other things, the nearest differs in 20 or fewer for one in a
hundred.
"""

_SIDE = 16
_HASHES = "hashes.npy"
_BLOCK = 2_000_000  # pairs that are compared at a time


@dataclass(frozen=True, slots=True)
class NearCopies:
    """Which pictures that are trained on look like pictures that are evaluated on.

    Attributes:
        collection: Name of the evaluation collection.
        pictures: How many of the training collection's pictures do.
        bits: In how many of `BITS` their hashes may differ.
    """

    collection: str
    pictures: int
    bits: int = NEAR

    def counts(self) -> dict[str, str | int]:
        """What it comes to, ready for JSON."""
        return asdict(self)

    def sentence(self) -> str:
        """What to tell whoever trains."""
        one = self.pictures == 1
        look = "picture looks" if one else "pictures look"
        return (
            f"{self.pictures:,} {look} like one of {self.collection} (difference hashes at most "
            f"{self.bits} of {BITS} bits apart) and may be {'a near copy' if one else 'near copies'}; "
            f"{'it is' if one else 'they are'} trained on all the same"
        )


def near_copies(
    training: Collection, evaluation: Collection, store: Store, progress: Progress = silent
) -> NearCopies | None:
    """Count the pictures trained on that look like pictures of an evaluation collection, beyond equal ones.

    Args:
        training: The training collection; only pictures that belong to its captions count.
        evaluation: What is evaluated on.
        store: Where hashes are kept.
        progress: Told the pictures hashed of all.

    Returns:
        What was found; None if one of the collections has no pictures that can be seen.
    """
    others = _pictures(evaluation, range(*evaluation.document_range(PICTURE)))
    known = set(others)
    own = _pictures(training, np.unique(training.qrels.documents))
    own = [picture for picture in own if picture not in known]
    if not own or not others:
        return None
    one, other = (_told(hashes(pictures, store, progress)) for pictures in (own, others))
    return NearCopies(evaluation.name, int((nearest(one, other) <= NEAR).sum()))


def hashes(pictures: Sequence[Picture], store: Store, progress: Progress = silent) -> np.ndarray:
    """The difference hash of each picture, from the store where it has them.

    Returns:
        uint64 (pictures, 4); zeros for a picture that tells nothing: of one colour, or no longer to be read.
    """
    key = digest("difference hashes", 1, list(pictures))
    if store.get("embeddings", key) is None:
        found = np.zeros((len(pictures), BITS // 64), np.uint64)
        for i, picture in enumerate(pictures):
            progress("compare pictures", i, len(pictures))
            found[i] = _hash_or_zeros(picture)
        with store.writing("embeddings", key, {"what": "difference hashes", "pictures": len(pictures)}) as folder:
            store.write_array(folder / _HASHES, found)
    read: np.ndarray = np.load(store.path("embeddings", key) / _HASHES)
    return read


def difference_hash(pixels: np.ndarray) -> np.ndarray:
    """The difference hash (dHash, Krawetz 2013): whether each grey value is brighter than its neighbour on the left.

    Args:
        pixels: Grey values of the picture scaled to 17 x 16, uint8 (16, 17).

    Returns:
        uint64 (4,).
    """
    brighter = pixels[:, 1:] > pixels[:, :-1]
    return np.packbits(brighter).view(np.uint64)


def nearest(hashed: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits each hash differs from the nearest of others, int64 (hashes,).

    Args:
        hashed: uint64 (hashes, 4).
        others: uint64 (others, 4).
    """
    found = np.full(len(hashed), BITS + 1, np.int64)
    rows = max(1, _BLOCK // max(1, len(others)))
    for start in range(0, len(hashed) if len(others) else 0, rows):
        differing = np.bitwise_count(hashed[start : start + rows, None] ^ others[None]).sum(axis=2, dtype=np.int64)
        found[start : start + rows] = differing.min(axis=1)
    return found


def _pictures(collection: Collection, positions: Sequence[int] | np.ndarray) -> list[Picture]:
    """The different pictures at these positions of the pool that can be seen."""
    texts = dict.fromkeys(collection.corpus.texts[position] for position in positions)
    return [text for text in texts if isinstance(text, Picture) and not isinstance(text, UnseenPicture)]


def _hash_or_zeros(picture: Picture) -> np.ndarray:
    try:
        grey = picture.open(side=4 * _SIDE).convert("L").resize((_SIDE + 1, _SIDE), 1)  # Lanczos
    except InputError:  # it is read elsewhere too, where it is an error or its vector is known
        return np.zeros(BITS // 64, np.uint64)
    return difference_hash(np.asarray(grey))


def _told(hashed: np.ndarray) -> np.ndarray:
    return hashed[hashed.any(axis=1)]
