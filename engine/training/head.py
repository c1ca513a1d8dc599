"""The method `head`: the encoder is frozen, a linear residual head is trained on its cached vectors.

The head is W = I + R with R trained from zero, so that weight decay pulls towards the untrained encoder. It is saved as
a sentence-transformers Dense module between pooling and normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from engine.progress import Observer, Progress
from engine.training.history import LOG_EVERY, Course, check_loss, diverged
from engine.training.negatives import HardNegatives
from engine.training.recipe import Recipe
from engine.training.sampler import HybridBatchSampler

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a head is trained on, or watched on.

    Attributes:
        queries: Unit vectors of the queries, float32 (queries, dimension).
        documents: Unit vectors of the candidates, float32 (candidates, dimension).
        sampler: The batches.
        negatives: What joins the batches.
    """

    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    sampler: HybridBatchSampler
    negatives: HardNegatives

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Vectors of each batch's queries, and of its passages: the right ones first, in the queries' order."""
        import torch

        for step, batch in enumerate(self.sampler, 1):
            passages = np.concatenate([batch.documents, self.negatives.rows(batch, step)])
            yield torch.from_numpy(self.queries[batch.queries]), torch.from_numpy(self.documents[passages])


def train_head(
    training: Examples, held_out: Examples | None, recipe: Recipe, progress: Progress, observe: Observer
) -> tuple[NDArray[np.float32], Course]:
    """Train a head with InfoNCE over in-batch negatives (van den Oord et al. 2018), cosine, and AdamW.

    One thread computes it, so that the same recipe gives the same bytes whatever the number of cores.

    Args:
        training: What it is trained on.
        held_out: What its loss is watched on, every `save_every` steps; training stops after `patience` looks without
            improvement, and the best weight is kept. None for nothing.
        recipe: Learning rate, weight decay, temperature.
        progress: Told the steps done.
        observe: Told the loss every `LOG_EVERY` steps.

    Returns:
        The head's weight, float32 (dimension, dimension), and how its training went.

    Raises:
        TrainingError: If the loss is no longer finite.
    """
    import torch

    settings, size, steps = recipe.settings, training.queries.shape[1], len(training.sampler)
    course, recent = Course([], [], steps), []
    with one_thread():
        residual = torch.zeros(size, size, requires_grad=True)
        optimiser = torch.optim.AdamW([residual], lr=settings.learning_rate, weight_decay=settings.weight_decay)
        best = _Best(held_out, recipe)
        for step, (queries, documents) in enumerate(training.batches(), 1):
            loss = _info_nce(torch.eye(size) + residual, queries, documents, settings.temperature)
            recent.append(check_loss(loss.item(), step, recipe))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % LOG_EVERY == 0 or step == steps:
                course.losses.append((step, float(np.mean(recent))))
                recent.clear()
                observe(recipe.label, *course.losses[-1])
                progress("train", step, steps)
            if best.stops(torch.eye(size) + residual.detach(), step, steps):
                course = replace(course, steps=step)
                break
        weight: NDArray[np.float32] = best.weight(torch.eye(size) + residual.detach()).numpy()
    if not np.isfinite(weight).all():
        raise diverged(float("nan"), course.steps, recipe)
    return weight, replace(course, held_out=best.losses)


class _Best:
    """The weight with the lowest held-out loss so far.

    Args:
        held_out: What the loss is watched on; None for nothing: every weight is the best.
        recipe: How often to look, and how long to wait for an improvement.
    """

    def __init__(self, held_out: Examples | None, recipe: Recipe) -> None:
        self.losses: list[tuple[int, float]] = []
        self._held_out, self._recipe = held_out, recipe
        self._weight: torch.Tensor | None = None

    def stops(self, weight: torch.Tensor, step: int, steps: int) -> bool:
        """Look at the held-out loss where it is time, and say whether training ends."""
        settings = self._recipe.settings
        if self._held_out is None or (step % settings.save_every and step != steps):
            return False
        losses = [float(_info_nce(weight, *batch, settings.temperature)) for batch in self._held_out.batches()]
        loss = check_loss(float(np.mean(losses)), step, self._recipe)
        if all(loss < earlier for _, earlier in self.losses):
            self._weight = weight.clone()
        self.losses.append((step, loss))
        values = [value for _, value in self.losses]
        return len(values) - 1 - values.index(min(values)) >= settings.patience

    def weight(self, last: torch.Tensor) -> torch.Tensor:
        """The best weight; the last one if none was looked at."""
        return last if self._weight is None else self._weight


def _info_nce(weight: torch.Tensor, queries: torch.Tensor, documents: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE of a batch under a head: passage i answers query i, all others are its negatives."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    asked, answers = normalize(queries @ weight.T), normalize(documents @ weight.T)
    return cross_entropy(asked @ answers.T / temperature, torch.arange(len(queries)))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch, so that the same sums are added in the same order whatever the number of cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
