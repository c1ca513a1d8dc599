"""Texts of a training collection that nearly repeat a text that is evaluated on: a warning, beside the exact overlaps.

How near two texts are is the Jaccard similarity of their sets of character 5-grams, which are compared by hashes of 44
bits. It is computed, not estimated, for the pairs that can reach the threshold: these share some of their rarest
5-grams (prefix filtering, Chaudhuri, Ganti and Kaushik 2006, https://doi.org/10.1109/ICDE.2006.9). Texts are compared
in blocks, which bounds the memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from engine.collections.contamination import texts_compared
from engine.collections.digest import collection_digest
from engine.collections.structures import Collection

THRESHOLD = 0.6
"""Jaccard similarity of character 5-grams from which a text counts as a near copy of another."""

NEAR_TEXTS = "near_texts.json"
"""File of a checkpoint's folder that holds what `NearTexts.counts` gave for each collection."""

_LENGTH = 5  # of an n-gram
_TEXTS = 100_000  # that are indexed at once
_BLOCK = 500  # texts that are looked up at once
_PAIRS = 20_000  # pairs that are compared at once
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4
_GRAM_BITS = 44  # of a number that holds a text's row and a 5-gram's hash
_SMALL = 1e-9


@dataclass(frozen=True, slots=True)
class NearTexts:
    """What of a training collection nearly repeats texts of one evaluation collection, equal texts aside.

    Attributes:
        collection: Name of the evaluation collection.
        digest: Of what it holds.
        queries: Different query texts that are trained on and nearly repeat a query text there.
        passages: Different answering passages that are trained on and nearly repeat a passage there.
        threshold: Least similarity of a near copy.
        example: A text that is trained on and the one that it nearly repeats, in `plain` form; None without any.
    """

    collection: str
    digest: str
    queries: int
    passages: int
    threshold: float
    example: tuple[str, str] | None = None

    def counts(self) -> dict[str, str | int | float]:
        """What it comes to, ready for JSON."""
        return {
            "collection": self.collection,
            "digest": self.digest,
            "queries": self.queries,
            "passages": self.passages,
            "threshold": self.threshold,
        }

    def sentence(self) -> str:
        """What to tell whoever trains."""
        such = f", such as {self.example[0]!r} and {self.example[1]!r}" if self.example else ""
        told = in_words(self.collection, self.queries, self.passages, self.threshold)
        return f"{told}{such}; they are trained on all the same"


def find_near_texts(training: Collection, evaluation: Collection, threshold: float = THRESHOLD) -> NearTexts:
    """Find what of a training collection nearly repeats texts of an evaluation collection.

    Args:
        training: What is trained on, without what it shares with the evaluation collection.
        evaluation: What is evaluated on.
        threshold: Least similarity, above 0, at most 1.
    """
    counts, examples = [], []
    for own, others in zip(*texts_compared(training, evaluation), strict=True):
        texts, there = sorted(own - others), sorted(others)
        copied = near_texts_of(texts, there, threshold)
        rows = np.flatnonzero(copied >= 0)
        counts.append(len(rows))
        examples += [(texts[row], there[copied[row]]) for row in rows[:1]]
    example = examples[0] if examples else None
    return NearTexts(evaluation.name, collection_digest(evaluation), counts[0], counts[1], threshold, example)


def write_near_texts(folder: Path, found: Sequence[NearTexts], base: Path) -> None:
    """Write the near copies of a checkpoint's training, and those of its base's training before it.

    Args:
        folder: The checkpoint's folder.
        found: What was found for each collection that it is evaluated on.
        base: The folder of the encoder that it was trained from.
    """
    own = [one.counts() for one in found]
    before = [one for one in read_near_texts(base) if one["digest"] not in {part["digest"] for part in own}]
    (folder / NEAR_TEXTS).write_text(json.dumps([*own, *before]), encoding="utf-8")


def read_near_texts(folder: Path) -> list[dict[str, Any]]:
    """What is known of near copies between a checkpoint's training and collections, as `NearTexts.counts` gave it.

    Args:
        folder: The checkpoint's folder.
    """
    file = folder / NEAR_TEXTS
    return list(json.loads(file.read_bytes())) if file.is_file() else []


def in_words(collection: str, queries: int, passages: int, threshold: float) -> str:
    """What near copies come to, in a sentence; nothing if there are none."""
    if not queries + passages:
        return ""
    counts = (queries, "query", "queries"), (passages, "answering passage", "answering passages")
    found = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]
    verb = "nearly repeats a text" if queries + passages == 1 else "nearly repeat texts"
    return (
        f"near copies: {' and '.join(found)} in training {verb} of {collection} "
        f"(Jaccard similarity of character 5-grams at least {threshold:g})"
    )


def near_texts_of(texts: Sequence[str], others: Sequence[str], threshold: float = THRESHOLD) -> np.ndarray:
    """For each text, another one that it nearly repeats.

    Args:
        texts: Texts.
        others: What they are compared with.
        threshold: Least similarity, above 0, at most 1.

    Returns:
        A row of `others`, -1 where none is near enough; int64 (texts,).
    """
    found = np.full(len(texts), -1, np.int64)
    for start in range(0, len(texts), _TEXTS):
        index = _Index.of(texts[start : start + _TEXTS], threshold)
        for first in range(0, len(others), _BLOCK):
            index.search(others[first : first + _BLOCK], first, found[start : start + _TEXTS])
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Index:
    """The 5-grams of texts, the rarest first.

    Attributes:
        grams: All 5-grams, as `_grams` has them, ascending.
        places: The places of these by rarity, int64 (grams,).
        sets: 1 where a text has a 5-gram; columns by rarity.
        sizes: How many 5-grams each text has.
        prefixes: The first elements of the sets, transposed.
        threshold: Least similarity.
    """

    grams: np.ndarray
    places: np.ndarray
    sets: csr_array
    sizes: np.ndarray
    prefixes: csr_array
    threshold: float

    @classmethod
    def of(cls, texts: Sequence[str], threshold: float) -> _Index:
        rows, keys = _grams(texts)
        grams, columns, counts = np.unique(keys, return_inverse=True, return_counts=True)
        places = np.argsort(np.argsort(counts, kind="stable"))
        sets = _sets(rows, places[columns], (len(texts), len(grams)))
        sizes = np.diff(sets.indptr)
        prefixes = _prefixes(sets, _rest(sizes, threshold)).T.tocsr()
        return cls(grams, places, sets, sizes, prefixes, threshold)

    def search(self, others: Sequence[str], first: int, found: np.ndarray) -> None:
        """Write into `found` which of some others a text nearly repeats, their rows counted from `first`."""
        rows, keys = _grams(others)
        columns = np.minimum(np.searchsorted(self.grams, keys), len(self.grams) - 1)
        known = self.grams[columns] == keys
        sets = _sets(rows[known], self.places[columns[known]], (len(others), len(self.grams)))
        sizes = np.bincount(rows, minlength=len(others))
        for texts, there in self._candidates(sets, sizes, found):
            common = self.sets[texts].multiply(sets[there]).sum(axis=1)
            near = common >= self.threshold * (self.sizes[texts] + sizes[there] - common) - _SMALL
            found[texts[near]] = there[near] + first

    def _candidates(
        self, sets: csr_array, sizes: np.ndarray, found: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs that can reach the threshold, some at a time, of texts without a copy so far.

        Near sets have at least `least` elements in common. Common elements that are not in both prefixes are in the
        rest of the set whose prefix ends first.
        """
        own, other = (_rest(size, self.threshold) for size in (self.sizes, sizes))
        shared = (_prefixes(sets, other) @ self.prefixes).tocoo()
        there, texts = shared.row.astype(np.int64), shared.col.astype(np.int64)
        least = self.threshold / (1 + self.threshold) * (self.sizes[texts] + sizes[there])
        can = shared.data + np.maximum(own[texts], other[there]) >= least - _SMALL
        texts, there = texts[can], there[can]
        while len(texts):
            yield texts[:_PAIRS], there[:_PAIRS]
            left = np.flatnonzero(found[texts[_PAIRS:]] < 0) + _PAIRS
            texts, there = texts[left], there[left]


def _rest(sizes: np.ndarray, threshold: float) -> np.ndarray:
    """How many of a set's elements stand behind its prefix: one less than what it must share with a near one."""
    return np.ceil(threshold * sizes - _SMALL).astype(np.int64) - 1


def _prefixes(sets: csr_array, rest: np.ndarray) -> csr_array:
    """The first elements of each set; those that are not among the columns count as its very first."""
    kept = np.diff(sets.indptr)
    places = np.arange(sets.nnz) - np.repeat(sets.indptr[:-1] + kept, kept)  # from the end, -1 is the last
    first = places < np.repeat(-rest, kept)
    starts = np.concatenate([[0], np.cumsum(np.maximum(kept - rest, 0))])
    return csr_array((sets.data[first], sets.indices[first], starts), shape=sets.shape)


def _sets(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    sets = csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    sets.sort_indices()
    return sets


def _grams(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Each text's different 5-grams, its ends padded: the rows, int64 (grams,), and hashes, uint64 (grams,)."""
    pad = "\0" * (_LENGTH - 1)
    joined = "".join([pad, *(part for text in texts for part in (text, pad))])
    points = np.frombuffer(joined.encode("utf-32-le"), "<u4").astype(np.uint64)
    hashes = np.zeros(len(points) - _LENGTH + 1, np.uint64)
    for place in range(_LENGTH):
        hashes = (hashes + points[place : place + len(hashes)]) * _FACTOR
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    rows = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths + len(pad))
    both = np.sort(rows << np.uint64(_GRAM_BITS) | hashes >> np.uint64(64 - _GRAM_BITS))
    both = both[np.diff(both, prepend=~both[:1]) != 0]
    return (both >> np.uint64(_GRAM_BITS)).astype(np.int64), both & np.uint64(2**_GRAM_BITS - 1)
