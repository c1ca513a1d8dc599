"""Where a report's numbers come from: checkpoints, versions, licences, citations, and the commands that repeat it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from engine.collections import citations
from engine.collections.catalog import COLLECTIONS, SHIPPED, published_as
from engine.collections.miracl_source import NAME, is_miracl
from engine.collections.picture_sets import PICTURE_SETS
from engine.encoders.catalog import ENCODERS
from engine.errors import StoreError
from engine.escaping import markdown
from engine.evaluation.notes import near_in_words
from engine.report.findings import Findings
from engine.report.tables import Cell, Table
from engine.storage.store import SCHEMA_VERSION, Store
from engine.training.checkpoint import checkpoint_key, read_training
from engine.training.recipe import Recipe

logger = logging.getLogger(__name__)

_PACKAGES = ("numpy", "scipy", "polars", "faiss-cpu", "torch", "sentence-transformers", "plotly", "kaleido")


@dataclass(frozen=True, slots=True)
class Source:
    """Data or weights that a report rests on.

    Attributes:
        name: What it is called.
        role: What it was used for.
        licence: Its licence.
        url: The licence's text, or "".
        citation: Whom to cite, or "".
        note: What the licence asks for, or "".
    """

    name: str
    role: str
    licence: str
    url: str = ""
    citation: str = ""
    note: str = ""

    @property
    def line(self) -> str:
        """Licence, citation and note in a line."""
        return "; ".join(part for part in (self.licence, self.url, self.citation, self.note) if part)


def sources(found: Findings) -> list[Source]:
    """Data and encoder with their licences."""
    opened = found.family.opened_as
    training = opened.training or ""
    return [
        _collection(found.family.collection, opened.collection, "evaluated on"),
        _collection(found.family.recipe.collection_name, training, "trained on"),
        _encoder(found.family.recipe.encoder_name),
    ]


def _collection(name: str, opened: str, role: str) -> Source:
    if (one := published_as(opened)) is not None:
        note = (
            "checkpoints trained on it are for non-commercial use" if "NC" in one.licence and "trained" in role else ""
        )
        return Source(one.title, role, one.licence, one.licence_url, one.citation, note)
    if opened in SHIPPED:
        url = "https://creativecommons.org/publicdomain/zero/1.0/"
        note = "written for this project by a language model; not a benchmark"
        return Source(name, role, "CC0 1.0", url, note=note)
    return Source(name, role, "not known here; it is a folder of your own")


def _encoder(name: str) -> Source:
    if name in ENCODERS:
        one = ENCODERS[name]
        note = f"the Hub's {one.hub_id}; {one.about}"
        cited = "Wang et al. 2024, arXiv 2402.05672" if name == "multilingual-e5-small" else ""
        return Source(name, "base encoder", one.licence, citation=cited, note=note)
    return Source(name, "base encoder", "not known here; see the model's card")


def bibtex(found: Findings) -> str:
    """BibTeX of the method, the collections and the encoder."""
    opened = found.family.opened_as
    fetched = [name for name in COLLECTIONS if name in (opened.collection, opened.training)]
    lareqa = ["lareqa"] if fetched else []
    miracl = [NAME] if any(map(is_miracl, (opened.collection, opened.training or ""))) else []
    sets = (name for name in (opened.collection, opened.training or "") if name in PICTURE_SETS)
    pictured = dict.fromkeys(name.removesuffix("-train") for name in sets)
    cited = ["hybrid-batch", *lareqa, *fetched, *miracl, *pictured, found.family.recipe.encoder_name]
    return citations.bibtex(cited) + "\n"


def seen(found: Findings) -> list[str]:
    """Whether the texts that were evaluated on were seen in training, and near copies of them."""
    told = not_zero_shot(found, markdown(found.family.collection)).replace("Not zero-shot", "**Not zero-shot**")
    usual = "Zero-shot: no text that was evaluated on was seen in training, as far as exact overlaps tell."
    near = dict.fromkeys(near_in_words(evaluation.manifest) for _, evaluation in found.family.evaluations)
    return [told or usual, *(f"{sentence[0].upper()}{sentence[1:]}." for sentence in near if sentence)]


def not_zero_shot(found: Findings, collection: str) -> str:
    """How much of the collection, called so, was seen in training, in a sentence; nothing if none was."""
    seen = [part for _, one in found.family.evaluations if (part := one.manifest.seen_in_training)]
    queries, passages = (max((getattr(part, of) for part in seen), default=0) for of in ("queries", "passages"))
    if not queries + passages:
        return ""
    return (
        f"Not zero-shot: {queries:,} queries and {passages:,} answering passages of {collection} were seen in training."
    )


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on, and a digest of the engine's own code."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    state = hashlib.sha256()
    root = Path(__file__).resolve().parents[1]
    for file in sorted(root.rglob("*.py")):
        state.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return {**found, "engine": state.hexdigest()[:16], "cache": str(SCHEMA_VERSION)}


def commands(found: Findings, report: Sequence[str]) -> list[str]:
    """The commands that repeat a report on another machine.

    Args:
        found: What the report tells.
        report: The arguments of the report itself.
    """
    opened = found.family.opened_as
    names = [opened.training, *opened.evaluations]
    fetched = [
        ["fetch", name, *(["--from", "DIR"] if name in PICTURE_SETS else [])]
        for name in dict.fromkeys(names)
        if name and published_as(name)
    ]
    lines = [*fetched, *_sweeps(found), list(report)]
    return [f"python -m engine {shlex.join(line)}" for line in lines]


def _sweeps(found: Findings) -> list[list[str]]:
    """The sweeps that train and evaluate all systems: one for each set of seeds."""
    members = [one for one, _ in found.family.evaluations]
    groups: dict[tuple[int, ...], list[float]] = {}
    for alpha in sorted({one.alpha for one in members if one.strategy == "hybrid" and one.alpha is not None}):
        seeds = tuple(sorted(one.seed for one in members if one.strategy == "hybrid" and one.alpha == alpha))
        groups.setdefault(seeds, []).append(alpha)
    baselines = sorted({one.strategy for one in members} - {"hybrid", "merge"})
    lines = []
    for seeds, alphas in groups.items():
        merges = any(one.strategy == "merge" for one in members) and {0.0, 1.0} <= set(alphas)
        lines.append(found.family.sweep(alphas, seeds, baselines=baselines, merges=merges).to_arguments())
    return lines


def checkpoints_table(found: Findings, store: Store) -> Table:
    """The recipe of every checkpoint, and what its batches were made of."""
    rows = [_checkpoint(recipe, evaluation.key, store) for recipe, evaluation in found.family.evaluations]
    order = {"hybrid": 0, "merge": 1}
    frame = pl.DataFrame(rows, infer_schema_length=None).sort(
        pl.col("strategy").replace_strict(order, default=2, return_dtype=pl.Int64), "strategy", "alpha", "seed"
    )
    shown = ("strategy", "alpha", "seed", "mono_batches", "cross_batches", "last_loss", "questions", "left_out")
    cells = [
        (*(_plain_cell(row[name]) for name in shown), Cell(row["checkpoint"][:8]))
        for row in frame.iter_rows(named=True)
    ]
    settings = found.family.recipe.settings
    return Table(
        name="checkpoints",
        title="Recipe of every checkpoint",
        caption=f"All are {found.family.label}: {settings.steps} steps of {settings.batch_size} pairs, learning rate "
        f"{settings.learning_rate:g}, weight decay {settings.weight_decay:g}, temperature {settings.temperature:g}, "
        f"language exponent {settings.tau:g}, {settings.hard_negatives} hard negatives. Batches are those that were "
        "drawn; left out: questions that stand in the evaluation collection too; the key names the checkpoint in the "
        "cache.",
        heads=(
            "strategy",
            "alpha",
            "seed",
            "mono batches",
            "cross batches",
            "last loss",
            "questions",
            "left out",
            "key",
        ),
        rows=tuple(cells),
        frame=frame,
        columns=2,
    )


def _checkpoint(recipe: Recipe, evaluation: str, store: Store) -> dict[str, Any]:
    key = checkpoint_key(recipe)
    row = {"strategy": recipe.strategy, "alpha": recipe.alpha, "seed": recipe.seed}
    row |= dict.fromkeys(("mono_batches", "cross_batches", "last_loss", "questions", "left_out"))
    if (training := _training(recipe, key, store)) is not None:
        batches = training["composition"]["batches"]
        row |= {
            "mono_batches": batches.get("mono"),
            "cross_batches": batches.get("cross"),
            "last_loss": training["losses"][-1][1] if training["losses"] else None,
            "questions": training["questions"],
            "left_out": sum(leak["questions_removed"] for leak in training["leaks"]),
        }
    return {**row, **asdict(recipe.settings), "checkpoint": key, "evaluation": evaluation}


def _training(recipe: Recipe, key: str, store: Store) -> dict[str, Any] | None:
    """What is known of a checkpoint's training; None where it is not there, or damaged."""
    if recipe.strategy == "merge" or not store.path("checkpoints", key).is_dir():
        return None
    try:
        return read_training(store, key)
    except StoreError as error:
        logger.warning("%s; the report leaves it out", error)
        return None


def _plain_cell(value: object) -> Cell:
    if value is None:
        return Cell("–")
    if isinstance(value, float):
        return Cell(f"{value:.4g}")
    return Cell(f"{value:,}" if isinstance(value, int) else str(value))
