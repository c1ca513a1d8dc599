"""Which caption-picture pairs stand in which batch.

A batch is monolingual if all its captions are in one language, else mixed: every pair's caption is in a language of its
own draw. A batch of caption pairs, where they are asked for, has two captions of each picture, in different languages.
No picture is twice in a batch, so no caption of a picture is a negative of it, in any language. numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.training.recipe import SHARES_OF_THEIR_OWN, Recipe
from engine.training.sampler import Batch, Kind

_ENGLISH = "en"
_ALPHAS = {"x-x-mono": 1.0, "x-y": 0.0, "en-en": 1.0, "x-x": 0.0}
"""Strategies with a ratio of their own: all monolingual, all mixed, English only, and mixed in proportion to size."""


@dataclass(frozen=True, slots=True, eq=False)
class CaptionPairs:
    """What can be drawn: pictures, and the captions of each by language.

    Attributes:
        languages: The collection's language codes.
        pictures: Pool positions of the pictures, int64 (pictures,).
        counts: How many captions each picture has in each language, int64 (pictures, languages).
        starts: Where they begin in `captions`, int64 (pictures, languages).
        captions: Rows of the collection's queries, by picture and language, int64 (captions,).
    """

    languages: tuple[str, ...]
    pictures: np.ndarray
    counts: np.ndarray
    starts: np.ndarray
    captions: np.ndarray

    @classmethod
    def from_collection(cls, collection: Collection) -> CaptionPairs:
        """Collect the pairs of a collection of pictures; of equal pictures, the first counts."""
        low, high = collection.document_range(PICTURE)
        firsts: dict[str, int] = {}
        for position in range(low, high):
            firsts.setdefault(collection.corpus.texts[position], position)
        pictures = np.array(sorted(firsts.values()), np.int64)
        asked, found = collection.qrels.queries, collection.qrels.documents
        judged = np.isin(found, pictures)
        asked, place = asked[judged], np.searchsorted(pictures, found[judged])
        language = collection.query_codes[asked]
        order = np.lexsort((asked, language, place))
        shape = (len(pictures), len(collection.languages))
        counts = np.zeros(shape, np.int64)
        np.add.at(counts, (place, language), 1)
        starts = (np.cumsum(counts) - counts.reshape(-1)).reshape(shape)
        return cls(collection.languages, pictures, counts, starts, asked[order])


class CaptionSampler:
    """A run's batches, each determined by the seed and its number alone.

    A monolingual batch draws its language, and a mixed one the language of every pair, by the same shares: English has
    `english_share` where it is given, and other languages the rest; they, and without it all, have shares in proportion
    to (captioned pictures) ** tau.

    Args:
        collection: Captions and pictures.
        recipe: Strategy, alpha, seed, batch size, tau, English share and share of caption pairs.
        batches: Batches in the run.

    Raises:
        InputError: If the batches cannot be drawn.
    """

    def __init__(self, collection: Collection, recipe: Recipe, batches: int) -> None:
        settings = recipe.settings
        self.pairs, self.batches, self.seed = CaptionPairs.from_collection(collection), batches, recipe.seed
        self.batch_size = settings.batch_size
        self.alpha = _ALPHAS.get(recipe.strategy, recipe.alpha if recipe.alpha is not None else 0.5)
        self.exists = self.pairs.counts > 0
        tau = 1.0 if recipe.strategy == "x-x" else settings.tau
        english = SHARES_OF_THEIR_OWN.get(recipe.strategy, settings.english_share)
        self.shares = language_shares(self.exists.sum(axis=0), self.pairs.languages, tau, english)
        self._mono = self.shares * (self.exists.sum(axis=0) >= self.batch_size)
        self._mixed = np.flatnonzero((self.exists * self.shares).any(axis=1))
        self.caption_pairs = settings.caption_pairs
        self._parallel = np.flatnonzero(((self.exists * self.shares) > 0).sum(axis=1) > 1)
        self._check()

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Batch]:
        return (self.batch(i) for i in range(self.batches))

    def batch(self, i: int) -> Batch:
        """Draw batch i, which depends on the seed and i only."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(i,)))
        if self.caption_pairs and rng.random() < self.caption_pairs:
            return self._of_captions(rng)
        kind: Kind = "mono" if rng.random() < self.alpha else "mixed"
        if kind == "mono":
            language = rng.choice(len(self._mono), p=self._mono / self._mono.sum())
            drawn = rng.choice(np.flatnonzero(self.exists[:, language]), self.batch_size, replace=False)
            languages = np.full(self.batch_size, language)
        else:
            drawn = rng.choice(self._mixed, self.batch_size, replace=False)
            languages = _draw_languages(self.exists[drawn] * self.shares, rng)
        pictured = np.full(self.batch_size, self.pairs.languages.index(PICTURE))
        return Batch(self._captions(drawn, languages, rng), self.pairs.pictures[drawn], languages, pictured, kind)

    def _of_captions(self, rng: np.random.Generator) -> Batch:
        """A batch of kind "cross": two captions of each picture, both as rows of the collection's queries."""
        drawn = rng.choice(self._parallel, self.batch_size, replace=False)
        weights = self.exists[drawn] * self.shares
        first = _draw_languages(weights, rng)
        weights[np.arange(self.batch_size), first] = 0.0
        second = _draw_languages(weights, rng)
        one, other = (self._captions(drawn, languages, rng) for languages in (first, second))
        return Batch(one, other, first, second, "cross")

    def _captions(self, drawn: np.ndarray, languages: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A caption of each picture in its language, as rows of the collection's queries."""
        cells = drawn, languages
        rows: np.ndarray = self.pairs.captions[self.pairs.starts[cells] + rng.integers(self.pairs.counts[cells])]
        return rows

    def composition(self, upto: int | None = None) -> dict[str, Any]:
        """What the first `upto` batches (by default all) are made of, as `HybridBatchSampler.composition` tells."""
        kinds = {"mono": 0, "cross": 0, "mixed": 0}
        counts = np.zeros((len(self.pairs.languages),) * 2, np.int64)
        for i in range(self.batches if upto is None else upto):
            batch = self.batch(i)
            kinds[batch.kind] += 1
            np.add.at(counts, (batch.query_languages, batch.document_languages), 1)
        languages, sizes = self.pairs.languages, self.exists.sum(axis=0)
        small = np.flatnonzero((sizes > 0) & (sizes < self.batch_size) & (self.alpha > 0))
        return {
            "batches": kinds,
            "pairs": [
                {"query_lang": languages[a], "doc_lang": languages[b], "pairs": int(counts[a, b])}
                for a, b in zip(*np.nonzero(counts), strict=True)
            ],
            "excluded": {languages[a]: int(sizes[a]) for a in small},
        }

    def _check(self) -> None:
        mono = int((self.exists.sum(axis=0) * (self.shares > 0)).max(initial=0))
        most = min(mono if self.alpha > 0 else len(self._mixed), len(self._mixed) if self.alpha < 1 else mono)
        if self.batch_size > most:
            raise InputError(
                f"batch size must be at most {most}, got {self.batch_size}: no more different pictures can fill a "
                "batch; choose a smaller one, or a larger collection"
            )
        if self.caption_pairs and self.batch_size > len(self._parallel):
            raise InputError(
                f"caption pairs: {len(self._parallel)} pictures have captions in two languages that are drawn, a batch "
                f"needs {self.batch_size}; leave --caption-pairs out, or choose a smaller batch"
            )


def _draw_languages(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A language for each row, int64 (rows,), with probabilities in proportion to weights (rows, languages)."""
    bounds = np.cumsum(weights, axis=1)
    points = rng.random((len(weights), 1)) * bounds[:, -1:]
    drawn: np.ndarray = (bounds <= points).sum(axis=1)
    return drawn


def language_shares(
    sizes: np.ndarray, languages: tuple[str, ...], tau: float, english_share: float | None
) -> np.ndarray:
    """How often each language is drawn, float64 (languages,), summing to 1.

    Args:
        sizes: Pictures with a caption in each language.
        languages: Language codes.
        tau: Exponent on the size.
        english_share: Of English; None gives it the share of its size.

    Raises:
        InputError: If a share of English is asked for and there are no English captions, or no others.
    """
    weights: np.ndarray = np.where(sizes > 0, sizes.astype(float) ** tau, 0.0)
    if english_share is None:
        weights /= weights.sum()
        return weights
    english = np.array([code == _ENGLISH for code in languages])
    others = np.where(english, 0.0, weights)
    if not weights[english].any() or (english_share < 1 and not others.any()):
        codes = ", ".join(code for code in languages if code != PICTURE)
        raise InputError(f"english share {english_share:g}: the captions' languages are {codes}; leave it out")
    shares: np.ndarray = np.where(english, english_share, (1 - english_share) * others / max(others.sum(), 1.0))
    return shares
