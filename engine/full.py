"""The method `full`: all weights are trained, by sentence-transformers' trainer, on the batches of our sampler.

The sampler's batches are written out one after the other as rows of a data set that is read in order. So batch i is the
same whatever the number of workers, an interrupted run goes on with the batch that it would have had, and several
processes (`accelerate launch`) share out one batch and gather its vectors instead of drawing batches of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.encoder import SentenceEncoder
from engine.errors import TrainingError
from engine.head import LOG_EVERY, HardNegatives, check_loss
from engine.progress import Observer, Progress
from engine.recipe import Recipe
from engine.sampler import HybridBatchSampler
from engine.structures import Collection

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
    from transformers import TrainerCallback


def train_full(
    encoder: SentenceEncoder,
    collection: Collection,
    sampler: HybridBatchSampler,
    recipe: Recipe,
    work: Path,
    folder: Path,
    progress: Progress,
    observe: Observer,
    held_out: tuple[Collection, HybridBatchSampler] | None = None,
) -> list[tuple[int, float]]:
    """Train all weights with InfoNCE over in-batch negatives, cosine, and AdamW; mixed precision on a GPU.

    Args:
        encoder: The base encoder.
        collection: The training collection.
        sampler: The batches: steps times accumulation many.
        recipe: Hyper-parameters.
        work: Folder of the run's states, from which an interrupted run goes on.
        folder: Where the trained model is written.
        progress: Told the steps done.
        observe: Told the loss every `LOG_EVERY` steps.
        held_out: Questions that are not trained on, and their batches: the loss on them is watched, the best state
            kept.

    Returns:
        The losses as (step, mean since the last one).

    Raises:
        TrainingError: If the loss is no longer finite, or a state of an interrupted run cannot be read.
    """
    from sentence_transformers import SentenceTransformerTrainer
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from transformers import EarlyStoppingCallback, set_seed
    from transformers.trainer_utils import get_last_checkpoint

    set_seed(recipe.seed)
    model = _trainable(encoder, recipe)
    watch = _callback(recipe, progress, observe)
    callbacks = [watch] + ([EarlyStoppingCallback(recipe.settings.patience)] if held_out else [])
    loss = MultipleNegativesRankingLoss(
        model, scale=1 / recipe.settings.temperature, gather_across_devices=_processes() > 1
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=_arguments(recipe, work, watched=held_out is not None),
        train_dataset=_rows(collection, sampler, encoder.prompts, recipe),
        eval_dataset=_rows(*held_out, encoder.prompts, recipe) if held_out else None,
        loss=loss,
        callbacks=callbacks,
    )
    last = get_last_checkpoint(str(work)) if work.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    _check_finite(model, recipe)
    losses = [(entry["step"], entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    model.save_pretrained(str(folder), create_model_card=False)
    return losses


def _trainable(encoder: SentenceEncoder, recipe: Recipe) -> SentenceTransformer:
    """A fresh copy of the base encoder's model in float32, which mixed precision needs."""
    fresh = SentenceEncoder(
        encoder.folder, encoder.name, prompts=encoder.prompts, max_length=recipe.settings.max_length
    )
    fresh.dtype = "float32"
    return fresh.model


def _rows(collection: Collection, sampler: HybridBatchSampler, prompts: dict[str, str], recipe: Recipe) -> Dataset:
    """The sampler's batches as rows, in order: anchor, positive, and hard negatives if the recipe asks for them."""
    from datasets import Dataset

    count = recipe.settings.hard_negatives
    negatives = HardNegatives(collection, count, recipe.seed)
    queries, passages = collection.queries.texts, collection.corpus.texts
    columns: dict[str, list[str]] = {"anchor": [], "positive": []}
    columns |= {f"negative_{i}": [] for i in range(count)}
    for step, batch in enumerate(sampler, 1):
        columns["anchor"] += [prompts["query"] + queries[row] for row in batch.queries]
        columns["positive"] += [prompts["document"] + passages[row] for row in batch.documents]
        for i, rows in enumerate(negatives.by_pair(batch, step).T):
            columns[f"negative_{i}"] += [prompts["document"] + passages[row] for row in rows]
    return Dataset.from_dict(columns)


def _arguments(recipe: Recipe, work: Path, *, watched: bool) -> SentenceTransformerTrainingArguments:
    import torch
    from sentence_transformers import SentenceTransformerTrainingArguments

    settings = recipe.settings
    cuda = torch.cuda.is_available()
    bf16 = cuda and torch.cuda.is_bf16_supported()
    return SentenceTransformerTrainingArguments(
        output_dir=str(work),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=round(settings.warmup * settings.steps),
        lr_scheduler_type="linear",
        seed=recipe.seed,
        bf16=bf16,
        fp16=cuda and not bf16,
        batch_sampler=_in_order,
        dataloader_drop_last=True,
        accelerator_config={"split_batches": True},
        save_strategy="steps",
        save_steps=settings.save_every,
        save_total_limit=2,
        eval_strategy="steps" if watched else "no",
        eval_steps=settings.save_every,
        load_best_model_at_end=watched,
        metric_for_best_model="eval_loss" if watched else None,
        greater_is_better=False if watched else None,
        logging_steps=LOG_EVERY,
        report_to="none",
        disable_tqdm=True,
    )


def _in_order(dataset: Dataset, batch_size: int, drop_last: bool, **_: object) -> Any:  # noqa: ANN401 - torch's sampler
    """Batches of consecutive rows: the batches that our sampler drew."""
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler

    return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)


def _callback(recipe: Recipe, progress: Progress, observe: Observer) -> TrainerCallback:
    """Passes the trainer's progress and loss on, and stops it when the loss is no longer finite."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_step_end(self, args: object, state: Any, control: object, **_: object) -> None:  # noqa: ANN401
            progress("train", state.global_step, state.max_steps)

        def on_log(self, args: object, state: Any, control: object, logs: dict[str, float], **_: object) -> None:  # noqa: ANN401
            if "loss" in logs:
                observe(recipe.label, state.global_step, check_loss(logs["loss"], state.global_step, recipe))

    return Watch()


def _check_finite(model: SentenceTransformer, recipe: Recipe) -> None:
    if not all(np.isfinite(parameter.detach().cpu().numpy()).all() for parameter in model.parameters()):
        raise TrainingError(f"{recipe.label}: the weights hold NaN; no checkpoint was written. Lower the learning rate")


def _processes() -> int:
    from accelerate import PartialState

    return PartialState().num_processes
