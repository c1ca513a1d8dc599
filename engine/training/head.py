"""The method `head`: the encoder is frozen, a linear residual head is trained on its cached vectors.

The head is W = I + R with R trained from zero, so that weight decay pulls towards the untrained encoder. It is saved as
a sentence-transformers Dense module between pooling and normalisation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.collections.contamination import MARKS, plain
from engine.collections.structures import Collection
from engine.errors import TrainingError
from engine.progress import Observer, Progress
from engine.storage.store import link_or_copy
from engine.training.recipe import Recipe
from engine.training.sampler import Batch, HybridBatchSampler

LOG_EVERY = 10
_PAPERS = {"manifest.json", "recipe.json", "training.json", "README.md", MARKS}


@dataclass(frozen=True, slots=True)
class Course:
    """How a training run went.

    Attributes:
        losses: Steps, and the mean loss since the last one.
        held_out: Steps, and the loss on what was held out.
        steps: Steps done; fewer than the recipe's where the run stopped early.
    """

    losses: list[tuple[int, float]]
    held_out: list[tuple[int, float]]
    steps: int


def train_head(
    queries: np.ndarray,
    documents: np.ndarray,
    sampler: HybridBatchSampler,
    recipe: Recipe,
    negatives: HardNegatives,
    progress: Progress,
    observe: Observer,
) -> tuple[np.ndarray, Course]:
    """Train a head with InfoNCE over in-batch negatives (van den Oord et al. 2018), cosine, and AdamW.

    One thread computes it, so that the same recipe gives the same bytes whatever the number of cores.

    Args:
        queries: Unit vectors of the training queries, float32 (queries, dimension).
        documents: Unit vectors of the training candidates, float32 (candidates, dimension).
        sampler: The batches.
        recipe: Learning rate, weight decay, temperature.
        negatives: What joins the batches.
        progress: Told the steps done.
        observe: Told the loss every `LOG_EVERY` steps.

    Returns:
        The head's weight, float32 (dimension, dimension), and how its training went.

    Raises:
        TrainingError: If the loss is no longer finite.
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    settings, size = recipe.settings, queries.shape[1]
    query_vectors, document_vectors = torch.from_numpy(queries), torch.from_numpy(documents)
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
    return weight, Course(losses, [], len(sampler))


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
        collection: The training collection; what answers a question of it is never given.
        count: How many per pair; a paragraph may hold fewer.
        seed: Of the choice.
        withheld: Texts that must not be seen in training, in `leaks.plain` form.
    """

    def __init__(self, collection: Collection, count: int, seed: int, withheld: Set[str] = frozenset()) -> None:
        self.count, self._seed = count, seed
        corpus = collection.corpus
        self._texts = corpus.texts
        never = withheld | {plain(corpus.texts[doc]) for doc in collection.qrels.documents}
        self._paragraph = list(zip(corpus.passages, corpus.languages, strict=True))
        self._others: dict[tuple[str, str], list[int]] = {}
        for doc, paragraph in enumerate(self._paragraph) if count else ():
            if plain(corpus.texts[doc]) not in never:
                self._others.setdefault(paragraph, []).append(doc)

    def by_pair(self, batch: Batch, step: int) -> np.ndarray:
        """Positions of each pair's hard negatives, int64 (pairs, count).

        A paragraph with fewer sentences gives some of them more than once; one with none gives another pair's.

        Raises:
            TrainingError: If no paragraph of the batch has a sentence to give.
        """
        rows = np.full((len(batch.documents), self.count), -1, np.int64)
        if not self.count:
            return rows
        draw = np.random.default_rng([self._seed, step, 1])
        for pair, doc in enumerate(batch.documents):
            if others := self._others.get(self._paragraph[doc]):
                rows[pair] = np.resize(draw.permutation(others), self.count)
        given = rows[rows[:, 0] >= 0]
        if not len(given):
            raise TrainingError("hard negatives: no paragraph has a sentence that answers no question; train without")
        rows[rows[:, 0] < 0] = given[draw.integers(len(given), size=len(rows) - len(given))]
        return rows

    def texts(self) -> list[str]:
        """All that may be given."""
        return [self._texts[doc] for others in self._others.values() for doc in others]

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
    from sentence_transformers.sentence_transformer.modules import Dense

    for file in sorted(base.rglob("*")):
        target = folder / file.relative_to(base)
        if file.is_file() and file.name not in {*_PAPERS, "modules.json"}:
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(file.resolve(), target)
    modules = json.loads((base / "modules.json").read_text(encoding="utf-8"))
    last = modules.pop() if modules[-1]["type"].endswith(".Normalize") else None
    head = {"path": f"{len(modules)}_Head", "type": "sentence_transformers.models.Dense"}
    last = last or {"path": f"{len(modules) + 1}_Normalize", "type": "sentence_transformers.models.Normalize"}
    dense = Dense(
        weight.shape[1],
        weight.shape[0],
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=torch.from_numpy(weight),
    )
    for module in (head, last):
        (folder / module["path"]).mkdir(exist_ok=True)
    dense.save(str(folder / head["path"]))
    numbered = [{**module, "idx": i, "name": str(i)} for i, module in enumerate([*modules, head, last])]
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
