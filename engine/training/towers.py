"""The method `head` for pictures: a linear map for each tower on its cached vectors, trained with CLIP's loss.

Where both towers come from one model, both maps start from the identity. Where the towers never met, the text side
starts from the identity, and the picture side from a ridge regression of the captions' vectors on the pictures'. With
locked pictures (LiT, Zhai et al. 2022) the picture side is the identity and stays it; the text side is then what starts
from a regression where the towers never met.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.encoders.embedding import embed, given_rows
from engine.encoders.towers import PICTURE_TOWER, TEXT, AnyEncoder, TwoTowers, towers_of, write_router
from engine.progress import Observer, Progress
from engine.ranks.vectors import InMemory
from engine.storage.store import Store
from engine.training.captions import CaptionSampler
from engine.training.checkpoint import write_checkpoint
from engine.training.head import one_thread
from engine.training.history import LOG_EVERY, Course, check_loss
from engine.training.recipe import Recipe

_BLOCK = 32_768  # pictures whose vectors are in memory at a time
_RIDGE = 1.0  # of the penalty, times the mean variance of the pictures' vectors


class Rows(Protocol):
    """Unit vectors by row, in memory or in files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and dimensions."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of some rows, float32 (rows, dimension)."""


class Vectors(NamedTuple):
    """Unit vectors of the towers, each of its own dimension.

    Rows of `captions` are those of the collection's queries, rows of `pictures` those of its corpus; rows of the other
    kind are not asked for.
    """

    captions: Rows
    pictures: Rows


class Maps(NamedTuple):
    """The linear maps of both towers, float32 (dimension of both, dimension of the tower)."""

    text: np.ndarray
    picture: np.ndarray


def tower_vectors(encoder: AnyEncoder, collection: Collection, store: Store, progress: Progress) -> Vectors:
    """Vectors of a collection's captions and pictures: those that it brings along, else from the store, or encoded."""
    if collection.given is not None:
        return Vectors(*given_rows(encoder, collection, store, progress))
    text, picture = towers_of(encoder)
    spoken = np.array([code != PICTURE for code in collection.queries.languages])
    shown = np.array([code == PICTURE for code in collection.corpus.languages])
    queries, candidates = collection.queries.texts, collection.corpus.texts
    captions = embed(text, "query", [queries[row] for row in np.flatnonzero(spoken)], store, progress)
    pictures = embed(picture, "query", [candidates[row] for row in np.flatnonzero(shown)], store, progress)
    return Vectors(_placed(captions, spoken), _placed(pictures, shown))


def _placed(vectors: np.ndarray, rows: np.ndarray) -> InMemory:
    whole = np.zeros((len(rows), vectors.shape[1]), np.float32)
    whole[rows] = vectors
    return InMemory(whole)


def train_maps(
    vectors: Vectors,
    sampler: CaptionSampler,
    recipe: Recipe,
    start: Maps,
    progress: Progress,
    observe: Observer,
) -> tuple[Maps, Course]:
    """Train both maps with CLIP's loss (Radford et al. 2021): InfoNCE from captions to pictures and back, averaged.

    One thread computes it, so that the same recipe gives the same bytes whatever the number of cores.

    Args:
        vectors: Of captions and pictures.
        sampler: The batches.
        recipe: Learning rate, weight decay, temperature, and whether the picture side is locked.
        start: What is added to; weight decay pulls towards it.
        progress: Told the steps done.
        observe: Told the loss every `LOG_EVERY` steps.

    Returns:
        The maps, and how the training went.

    Raises:
        TrainingError: If the loss is no longer finite.
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    settings = recipe.settings
    losses, recent = [], []
    with one_thread():
        starts = [torch.from_numpy(part) for part in start]
        changes = [torch.zeros_like(part, requires_grad=True) for part in starts]
        changes[1].requires_grad_(not settings.lock_pictures)
        optimiser = torch.optim.AdamW(changes, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        target = torch.arange(settings.batch_size)
        for step, batch in enumerate(sampler, 1):
            towers = (0, 0) if batch.kind == "cross" else (0, 1)  # of two captions, or of a caption and a picture
            texts, shown = (
                normalize(torch.from_numpy(vectors[tower].take(rows)) @ (starts[tower] + changes[tower]).T)
                for tower, rows in zip(towers, (batch.queries, batch.documents), strict=True)
            )
            scores = texts @ shown.T / settings.temperature
            loss = (cross_entropy(scores, target) + cross_entropy(scores.T, target)) / 2
            recent.append(check_loss(loss.item(), step, recipe))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if step % LOG_EVERY == 0 or step == len(sampler):
                losses.append((step, float(np.mean(recent))))
                recent.clear()
                observe(recipe.label, *losses[-1])
                progress("train", step, len(sampler))
        maps = Maps(*[(base + change).detach().numpy() for base, change in zip(starts, changes, strict=True)])
    return maps, Course(losses, [], len(sampler))


def starting_maps(encoder: AnyEncoder, vectors: Vectors, sampler: CaptionSampler, *, locked: bool = False) -> Maps:
    """What the training starts from.

    Args:
        encoder: The base encoder; towers that never met get a ridge regression.
        vectors: Of captions and pictures.
        sampler: The batches, which say how often each language is drawn.
        locked: Whether the picture side is the identity in any case.
    """
    captions, pictures = vectors
    identity = np.eye(captions.shape[1], dtype=np.float32)
    shown = sampler.pairs.pictures
    met = not isinstance(encoder, TwoTowers) or encoder.met
    if met and captions.shape[1] == pictures.shape[1]:
        return Maps(identity, identity.copy())
    blocks = (np.arange(start, min(start + _BLOCK, len(shown))) for start in range(0, len(shown), _BLOCK))
    pairs = (
        (pictures.take(shown[block]).astype(np.float64), mean_captions(captions, sampler, block)) for block in blocks
    )
    if locked:
        spoken = ridge((told, seen) for seen, told in pairs)
        return Maps(spoken, np.eye(pictures.shape[1], dtype=np.float32))
    return Maps(identity, ridge(pairs))


def mean_captions(captions: Rows, sampler: CaptionSampler, block: np.ndarray) -> np.ndarray:
    """The mean vector of each picture's captions, languages weighted as they are drawn.

    Args:
        captions: Their vectors.
        sampler: The pairs, and how often each language is drawn.
        block: Places of the pictures among those of the sampler's pairs, which follow each other.

    Returns:
        float64 (pictures, dimension); zeros for pictures without a caption in a language that is drawn.
    """
    pairs, counts = sampler.pairs, sampler.pairs.counts[block]
    mass = sampler.exists[block] * sampler.shares
    weights = mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-12) / np.maximum(counts, 1)
    place, language = (np.repeat(index, counts.reshape(-1)) for index in _cells(counts.shape))
    first = pairs.starts[block[0], 0]
    means = np.zeros((len(block), captions.shape[1]))
    spoken = captions.take(pairs.captions[first : first + counts.sum()])
    np.add.at(means, place, spoken * weights[place, language][:, None])
    return means


def ridge(blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Ridge regression without intercept, float32 (targets' dimension, inputs' dimension).

    Args:
        blocks: Inputs and targets, (rows, dimension) each, in at least one block.
    """
    products = ((inputs.T @ inputs, inputs.T @ targets) for inputs, targets in blocks)
    gram, cross = next(products)
    for more, others in products:
        gram += more
        cross += others
    penalty = _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.ascontiguousarray(np.linalg.solve(gram + penalty, cross).T.astype(np.float32))


def write_towers(encoder: AnyEncoder, folder: Path, maps: Maps) -> None:
    """Write a checkpoint: both towers with their maps, and a Router over them.

    Args:
        encoder: The base encoder.
        folder: An existing, empty folder.
        maps: The maps.
    """
    for name, tower, weight in zip((TEXT, PICTURE_TOWER), towers_of(encoder), maps, strict=True):
        (folder / name).mkdir()
        write_checkpoint(tower.folder, folder / name, weight)
    write_router(folder, encoder.prompts)


def _cells(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.indices(shape)
    return first.reshape(-1), second.reshape(-1)
