"""The method `full`: all weights are trained, by sentence-transformers' trainer, on the batches of our sampler.

The sampler's batches are written out one after the other as rows of a data set that is read in order. So batch i is the
same whatever the number of workers, an interrupted run goes on with the batch that it would have had, and several
processes (`accelerate launch`) share out one batch and gather its vectors instead of drawing batches of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.collections.structures import Collection
from engine.encoders.encoder import SentenceEncoder
from engine.errors import InputError, TrainingError
from engine.progress import Observer, Progress
from engine.training.history import LOG_EVERY, Course, check_loss
from engine.training.negatives import HardNegatives
from engine.training.recipe import Recipe
from engine.training.sampler import HybridBatchSampler
from engine.training.states import last_state

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from transformers import TrainerCallback


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is trained, and on what.

    Attributes:
        model: The model, in float32, loaded after the recipe's seed was set.
        rows: A row for each pair of steps times accumulation many batches, from `batch_rows` or `picture_rows`.
        held_out: The same of questions that are not trained on: the loss on them is watched, the best state kept.
        prompts: What is put before the texts of each column.
        routes: Where a Router sends each column.
        symmetric: Whether the loss runs both ways, as CLIP's.
        pictures: What numbers in the rows stand for.
    """

    model: SentenceTransformer
    rows: Dataset
    held_out: Dataset | None
    prompts: Mapping[str, str]
    routes: Mapping[str, str]
    symmetric: bool = False
    pictures: Sequence[str] = ()

    @classmethod
    def of_texts(cls, encoder: SentenceEncoder, rows: Dataset, held_out: Dataset | None, recipe: Recipe) -> Task:
        """A text encoder, trained on questions and passages."""
        from transformers import set_seed

        set_seed(recipe.seed)  # weights that the base does not have are drawn when it is loaded
        roles = {name: "query" if name == "anchor" else "document" for name in rows.column_names}
        prompts = {name: recipe.prompts[role] for name, role in roles.items()}
        return cls(_trainable(encoder, recipe), rows, held_out, prompts, roles)


def train_full(task: Task, recipe: Recipe, work: Path, progress: Progress, observe: Observer) -> Course:
    """Train all weights with InfoNCE over in-batch negatives, cosine, and AdamW; mixed precision on a GPU.

    Gradients are clipped to length 1; biases and the weights of normalisation layers do not decay.

    Args:
        task: The model, which is trained in place, and its rows.
        recipe: Hyper-parameters.
        work: Folder of the run's states, from which an interrupted run goes on.
        progress: Told the steps done.
        observe: Told the loss every `LOG_EVERY` steps and whenever a state is saved.

    Returns:
        How the training went.

    Raises:
        InputError: If the processes cannot share out a batch.
        TrainingError: If the loss is no longer finite.
    """
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    arguments, model = _arguments(task, recipe, work), task.model
    if recipe.settings.batch_size % arguments.world_size:
        raise InputError(
            f"batch size must be a multiple of the {arguments.world_size} processes that share a batch, got "
            f"{recipe.settings.batch_size}"
        )
    both_ways = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    trainer = _trainer_class()(
        model=model,
        args=arguments,
        train_dataset=task.rows,
        eval_dataset=task.held_out,
        loss=MultipleNegativesRankingLoss(
            model,
            scale=1 / recipe.settings.temperature,
            gather_across_devices=arguments.world_size > 1,
            **(both_ways if task.symmetric else {}),
        ),
        callbacks=[_watch(recipe, progress, observe)],
    )
    if task.pictures:
        collator = trainer.data_collator
        collator.preprocess_fn = _opening(collator.preprocess_fn, task.pictures)
    trainer.train(resume_from_checkpoint=last_state(work))
    _check_finite(model, recipe)
    history = trainer.state.log_history
    losses, watched = ([(e["step"], e[name]) for e in history if name in e] for name in ("loss", "eval_loss"))
    return Course(losses, watched, trainer.state.global_step)


def _opening(preprocess: Callable[..., Any], pictures: Sequence[str]) -> Callable[..., Any]:
    """Open the pictures that numbers stand for, before a batch of them is prepared."""

    def prepared(inputs: list[Any], **options: object) -> Any:  # noqa: ANN401 - sentence-transformers' features
        return preprocess([pictures[one].open() if isinstance(one, int) else one for one in inputs], **options)

    return prepared


def batch_rows(collection: Collection, sampler: HybridBatchSampler, negatives: HardNegatives) -> Dataset:
    """A sampler's batches, one after the other.

    Returns:
        A row for each pair: `anchor`, `positive`, and `negative_0`, `negative_1` ... if there are hard negatives.
    """
    from datasets import Dataset

    queries, passages = collection.queries.texts, collection.corpus.texts
    columns: dict[str, list[str]] = {"anchor": [], "positive": []}
    columns |= {f"negative_{i}": [] for i in range(negatives.count)}
    for step, batch in enumerate(sampler, 1):
        columns["anchor"] += [queries[row] for row in batch.queries]
        columns["positive"] += [passages[row] for row in batch.documents]
        for i, documents in enumerate(negatives.by_pair(batch, step).T):
            columns[f"negative_{i}"] += [passages[row] for row in documents]
    return Dataset.from_dict(columns)


def _trainable(encoder: SentenceEncoder, recipe: Recipe) -> SentenceTransformer:
    """A fresh copy of the base encoder's model in float32, which mixed precision needs."""
    fresh = SentenceEncoder(
        encoder.folder,
        encoder.name,
        prompts=encoder.prompts,
        max_length=recipe.settings.max_length,
        options=replace(encoder.options, dtype="float32"),
    )
    fresh.model.truncate_dim = encoder.truncate_dim  # so that it is saved with the checkpoint
    return fresh.model


def _arguments(task: Task, recipe: Recipe, work: Path) -> Arguments:
    import torch
    from sentence_transformers import SentenceTransformerTrainingArguments

    settings, watched = recipe.settings, task.held_out is not None
    cuda = torch.cuda.is_available()
    bf16 = cuda and torch.cuda.is_bf16_supported()
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(work.resolve()),  # the states name each other by it
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=round(settings.warmup * settings.steps),
        lr_scheduler_type="linear",
        seed=recipe.seed,
        use_cpu=not torch.accelerator.is_available(),
        bf16=bf16,
        fp16=cuda and not bf16,
        prompts=dict(task.prompts),
        router_mapping=dict(task.routes),
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
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
    )
    # Several GPUs seen by one process would each get a batch, and the loss would run over all of them as one.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _trainer_class() -> type[SentenceTransformerTrainer]:
    from sentence_transformers import SentenceTransformerTrainer
    from transformers import PrinterCallback

    class Trainer(SentenceTransformerTrainer):
        def add_callback(self, callback: TrainerCallback | type[TrainerCallback]) -> None:
            if callback is not PrinterCallback:  # which prints every loss
                super().add_callback(callback)

        def _run_epoch(self, **options: object) -> None:
            if not self.control.should_training_stop:  # else it resumes from its early end, and would go a step beyond
                super()._run_epoch(**options)

        def add_model_card_callback(self, *_: object) -> None:
            """No model card: the recipe says how the checkpoint was made."""

    return Trainer


def _in_order(dataset: Dataset, batch_size: int, drop_last: bool, **_: object) -> Any:  # noqa: ANN401 - torch's sampler
    """Batches of consecutive rows: the batches that our sampler drew."""
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler

    return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)


def _watch(recipe: Recipe, progress: Progress, observe: Observer) -> TrainerCallback:
    """Pass progress and losses on, refuse a loss that is not finite, and stop early.

    Whether to stop is read from the losses so far and not counted, so that a resumed run stops where it would have.
    """
    from transformers import TrainerCallback, TrainerControl, TrainerState

    def stop_early(state: TrainerState, control: TrainerControl) -> None:
        looks = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        if looks and len(looks) - 1 - int(np.argmin(looks)) >= recipe.settings.patience:
            control.should_training_stop = True

    class Watch(TrainerCallback):
        def on_train_begin(self, args: Arguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
            stop_early(state, control)

        def on_step_end(self, args: Arguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
            # A state is saved after its loss was looked at, so that none holds weights that have diverged.
            control.should_log |= control.should_save
            progress("train", state.global_step, state.max_steps)

        def on_log(
            self, args: Arguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: object
        ) -> None:
            for name, what in (("loss", recipe.label), ("eval_loss", f"{recipe.label}, held out")):
                if name in logs:
                    observe(what, state.global_step, check_loss(logs[name], state.global_step, recipe))

        def on_evaluate(self, args: Arguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
            stop_early(state, control)

    return Watch()


def _check_finite(model: SentenceTransformer, recipe: Recipe) -> None:
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise TrainingError(f"{recipe.label}: the weights hold NaN; no checkpoint was written. Lower the learning rate")
