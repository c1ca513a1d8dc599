"""Compiled loops over a block of scores: counting what beats the relevant passages, and drawing the first k.

A block is `scores`, float32 (queries, at least `width`): rows are the queries from `first` on, columns the candidates
at positions `at` to `at + width`. The judgements of query q are rows `starts[q]` to `starts[q + 1]` of `docs` (their
position), `low` and `high` (first and one past last position of their language) and of all results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np

_GROUPS = 512  # of candidates, whose maxima bound the k-th score when the first k are drawn
_HALVINGS = 10  # of the range in which that bound is looked for
_STRETCH = 64  # candidates that are looked at together when the first k are drawn

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function; threads run it at the same time."""
    made: _Function = numba.njit(nogil=True, cache=True)(function)
    return made


def inlined(function: _Function) -> _Function:
    """Compile a function into those that call it."""
    made: _Function = numba.njit(nogil=True, cache=True, inline="always")(function)
    return made


class Judgements(NamedTuple):
    """The judgements and what is counted for each; arrays as at the head of this file.

    Attributes:
        starts: Int64 (queries + 1,).
        docs: Int64 (judgements,).
        low: Int64 (judgements,).
        high: Int64 (judgements,).
        scores: Float32 (judgements,), the passage's own score.
        in_language: Int32 (judgements,), candidates of its language that beat it.
        in_pool: Int32 (judgements,), candidates that beat it.
    """

    starts: np.ndarray
    docs: np.ndarray
    low: np.ndarray
    high: np.ndarray
    scores: np.ndarray
    in_language: np.ndarray
    in_pool: np.ndarray


@inlined
def _at_least(scores: np.ndarray, threshold: np.float32) -> np.int32:
    count = np.int32(0)
    for i in range(scores.size):
        count += np.int32(scores[i] >= threshold)
    return count


@inlined
def _above(scores: np.ndarray, threshold: np.float32) -> np.int32:
    count = np.int32(0)
    for i in range(scores.size):
        count += np.int32(scores[i] > threshold)
    return count


@compiled
def pick(scores: np.ndarray, first: int, judged: Judgements) -> None:
    """Take the relevant passages' own scores from a block of all candidates."""
    for row in range(scores.shape[0]):
        for i in range(judged.starts[first + row], judged.starts[first + row + 1]):
            judged.scores[i] = scores[row, judged.docs[i]]


@compiled
def count(scores: np.ndarray, first: int, at: int, width: int, judged: Judgements) -> None:
    """Add the candidates of the block that beat each relevant passage.

    One before the passage beats it with an equal score, one after it only with a higher one.
    """
    for row in range(scores.shape[0]):
        line = scores[row]
        for i in range(judged.starts[first + row], judged.starts[first + row + 1]):
            doc, score = judged.docs[i] - at, judged.scores[i]
            a, b = min(max(judged.low[i] - at, 0), width), min(max(judged.high[i] - at, 0), width)
            before, after = min(max(doc, 0), width), min(max(doc + 1, 0), width)
            own = _at_least(line[a:before], score) + _above(line[after:b], score)
            judged.in_language[i] += own
            judged.in_pool[i] += _at_least(line[:a], score) + own + _above(line[b:width], score)


@compiled
def draw(scores: np.ndarray, at: int, width: int, filled: int, top_docs: np.ndarray, top_scores: np.ndarray) -> None:
    """Bring the first k of each row up to date with a block; best first, equal scores by position.

    Only what may be among the first k is sorted: few candidates, so it is looked for by the stretch.

    Args:
        scores: The block.
        at: Position of its first candidate; candidates before it have been drawn.
        width: How many candidates it has.
        filled: How many of each row's first k there are already.
        top_docs: Int32 (queries, k), positions.
        top_scores: Float32 (queries, k).
    """
    k = top_docs.shape[1]
    kept = np.empty(width, np.int32)
    for row in range(scores.shape[0]):
        line = scores[row, :width]
        found = 0
        above_last = np.nextafter(top_scores[row, k - 1], np.float32(np.inf))  # an equal score comes after it
        bound = above_last if filled == k else _bound_of_kth(line, k)
        for start in range(0, width, _STRETCH):
            stretch = line[start : start + _STRETCH]
            if _at_least(stretch, bound):
                for i in range(stretch.size):
                    if stretch[i] >= bound:
                        kept[found] = start + i
                        found += 1
        if found:
            _merge(line, at, kept[:found], filled, top_docs[row], top_scores[row])


@compiled
def _merge(
    line: np.ndarray, at: int, kept: np.ndarray, filled: int, top_docs: np.ndarray, top_scores: np.ndarray
) -> None:
    """Merge candidates of a block into one row's first k; what is there already stands before equal scores."""
    k = top_docs.size
    values = line[kept]
    order = np.argsort(-values, kind="mergesort")
    old_docs, old_scores = top_docs[:filled].copy(), top_scores[:filled].copy()
    old, new = 0, 0
    for place in range(min(k, filled + kept.size)):
        if new == kept.size or (old < filled and old_scores[old] >= values[order[new]]):
            top_docs[place], top_scores[place] = old_docs[old], old_scores[old]
            old += 1
        else:
            top_docs[place], top_scores[place] = at + kept[order[new]], values[order[new]]
            new += 1


@compiled
def _bound_of_kth(line: np.ndarray, k: int) -> np.float32:
    """A lower bound of the k-th largest score, near the k-th largest of the maxima of groups of candidates."""
    if k > _GROUPS or line.size < _GROUPS:
        return np.float32(-np.inf)
    maxima = line[:_GROUPS].copy()
    for start in range(_GROUPS, line.size - _GROUPS + 1, _GROUPS):
        more = line[start : start + _GROUPS]
        for i in range(_GROUPS):
            maxima[i] = max(maxima[i], more[i])
    low: np.float32 = maxima.min()
    high: np.float32 = maxima.max()
    for _ in range(_HALVINGS):
        middle = (low + high) / np.float32(2)
        low, high = (middle, high) if _at_least(maxima, middle) >= k else (low, middle)
    return low
