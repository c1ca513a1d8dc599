"""The method `head`: the encoder is frozen, a linear residual head is trained on its cached vectors.

The head is W = I + R with R trained from zero, so that weight decay pulls towards the untrained encoder. It is saved as
a sentence-transformers Dense module between pooling and normalisation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine.errors import TrainingError
from engine.progress import Observer, Progress
from engine.recipe import Recipe
from engine.sampler import Batch, HybridBatchSampler
from engine.store import link_or_copy
from engine.structures import Collection

LOG_EVERY = 10
_DENSE = "9_Dense"
_PAPERS = {"manifest.json", "recipe.json", "training.json", "README.md", "trained_on.npy"}


def train_head(
    queries: np.ndarray,
    documents: np.ndarray,
    sampler: HybridBatchSampler,
    recipe: Recipe,
    collection: Collection,
    progress: Progress,
    observe: Observer,
) -> tuple[np.ndarray, list[tuple[int, float]]]:
    """Train a head with InfoNCE over in-batch negatives (van den Oord et al. 2018), cosine, and AdamW.

    One thread computes it, so that the same recipe gives the same bytes whatever the number of cores.

    Args:
        queries: Unit vectors of the training queries, float32 (queries, dimension).
        documents: Unit vectors of the training candidates, float32 (candidates, dimension).
        sampler: The batches.
        recipe: Learning rate, weight decay, temperature, hard negatives.
        collection: The training collection, for the paragraphs of hard negatives.
        progress: Told the steps done.
        observe: Told the loss every `LOG_EVERY` steps.

    Returns:
        The head's weight, float32 (dimension, dimension), and the losses as (step, mean since the last one).

    Raises:
        TrainingError: If the loss is no longer finite.
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    settings, size = recipe.settings, queries.shape[1]
    query_vectors, document_vectors = torch.from_numpy(queries), torch.from_numpy(documents)
    negatives = HardNegatives(collection, settings.hard_negatives, recipe.seed)
    losses, recent = [], []
    with _one_thread():
        residual = torch.zeros(size, size, requires_grad=True)
        optimiser = torch.optim.AdamW([residual], lr=settings.learning_rate, weight_decay=settings.weight_decay)
        for step, batch in enumerate(sampler, 1):
            rows = np.concatenate([batch.documents, negatives.rows(batch, step)])
            weight = torch.eye(size) + residual
            asked = normalize(query_vectors[batch.queries] @ weight.T)
            answers = normalize(document_vectors[rows] @ weight.T)
            loss = cross_entropy(asked @ answers.T / settings.temperature, torch.arange(len(batch.queries)))
            recent.append(check_loss(loss.item(), step, recipe))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % LOG_EVERY == 0 or step == len(sampler):
                losses.append((step, float(np.mean(recent))))
                recent.clear()
                observe(recipe.label, *losses[-1])
                progress("train", step, len(sampler))
        weight = (torch.eye(size) + residual).detach().numpy()
    if not np.isfinite(weight).all():
        raise _diverged(float("nan"), len(sampler), recipe)
    return weight, losses


def check_loss(loss: float, step: int, recipe: Recipe) -> float:
    """Return the loss if it is finite.

    Raises:
        TrainingError: If it is not.
    """
    if not np.isfinite(loss):
        raise _diverged(loss, step, recipe)
    return loss


class HardNegatives:
    """Further sentences of the positive's own paragraph, in its language, that do not answer any question.

    Args:
        collection: The training collection.
        count: How many per pair; a paragraph may hold fewer.
        seed: Of the choice.
    """

    def __init__(self, collection: Collection, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._answers = set(collection.qrels.documents.tolist())
        self._paragraph = list(zip(collection.corpus.passages, collection.corpus.languages, strict=True))
        self._sentences: dict[tuple[str, str], list[int]] = {}
        for doc, paragraph in enumerate(self._paragraph) if count else ():
            self._sentences.setdefault(paragraph, []).append(doc)

    def by_pair(self, batch: Batch, step: int) -> np.ndarray:
        """Positions of each pair's hard negatives, int64 (pairs, count).

        A paragraph with fewer sentences gives some of them more than once; one with none gives another pair's.

        Raises:
            TrainingError: If no paragraph of the batch has a sentence to give.
        """
        draw = np.random.default_rng([self._seed, step, 1])
        rows = np.full((len(batch.documents), self._count), -1, np.int64)
        for pair, doc in enumerate(batch.documents if self._count else ()):
            others = [other for other in self._sentences[self._paragraph[doc]] if other not in self._answers]
            if others:
                rows[pair] = np.resize(draw.permutation(others), self._count)
        given = rows[rows[:, 0] >= 0] if self._count else rows
        if not len(given):
            raise TrainingError("hard negatives: no paragraph has a sentence that answers no question; train without")
        if self._count:
            rows[rows[:, 0] < 0] = given[draw.integers(len(given), size=int((rows[:, 0] < 0).sum()))]
        return rows

    def rows(self, batch: Batch, step: int) -> np.ndarray:
        """Positions of the batch's hard negatives, each once, int64 (n,)."""
        return np.unique(self.by_pair(batch, step))


def write_checkpoint(base: Path, folder: Path, weight: np.ndarray) -> None:
    """Write a checkpoint: the base encoder's files, with the head between pooling and normalisation.

    The base's files are linked where the file system can, since they are the same in all checkpoints.

    Args:
        base: The base encoder's sentence-transformers folder.
        folder: An existing, empty folder.
        weight: The head, float32 (dimension out, dimension in).
    """
    import torch
    from sentence_transformers.models import Dense

    for file in sorted(base.rglob("*")):
        target = folder / file.relative_to(base)
        if file.is_file() and file.name not in {*_PAPERS, "modules.json"}:
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(file.resolve(), target)
    dense = Dense(
        weight.shape[1],
        weight.shape[0],
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=torch.from_numpy(weight),
    )
    (folder / _DENSE).mkdir()
    dense.save(str(folder / _DENSE))
    modules = json.loads((base / "modules.json").read_text(encoding="utf-8"))
    kept = [module for module in modules if not module["type"].endswith(".Normalize")]
    kept += [{"path": _DENSE, "type": "sentence_transformers.models.Dense"}]
    kept += [module for module in modules if module["type"].endswith(".Normalize")][-1:] or [
        {"path": "10_Normalize", "type": "sentence_transformers.models.Normalize"}
    ]
    (folder / kept[-1]["path"]).mkdir(exist_ok=True)
    numbered = [{**module, "idx": i, "name": str(i)} for i, module in enumerate(kept)]
    (folder / "modules.json").write_text(json.dumps(numbered, indent=1), encoding="utf-8")


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _diverged(loss: float, step: int, recipe: Recipe) -> TrainingError:
    return TrainingError(
        f"{recipe.label}: the loss became {loss} at step {step}; no checkpoint was written. "
        f"Lower the learning rate ({recipe.settings.learning_rate:g}) or raise the temperature"
    )
