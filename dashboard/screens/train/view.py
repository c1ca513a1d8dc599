"""The form of the train page: from what is chosen to the engine's command, its estimate and its warnings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import streamlit as st

from dashboard import cached
from dashboard.names import plain
from engine.collections.catalog import DEMO_SETTINGS, SHIPPED, published_as
from engine.collections.near_texts import in_words
from engine.encoders.catalog import ENCODERS
from engine.sweeps.sweep import Sweep
from engine.training.recipe import DEFAULTS, Settings

SECONDS_A_RECIPE = 6  # a head of 600 steps and its evaluation on two CPU cores, vectors cached
_SHIPPED_FOR = "multilingual-e5-small"  # whose vectors of the demo collections come with the project
_RATIOS = [0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen: the engine's command, its title, how long it may take, warnings, and names that were typed."""

    command: list[str]
    title: str
    estimate: str
    notes: list[str]
    names: tuple[str, ...]


def draw() -> Choice | None:
    """Draw the form; None until enough is chosen."""
    collections = cached.fetched()
    with st.container(border=True):
        first, second, third = st.columns(3)
        encoder = first.selectbox("Encoder", list(ENCODERS), accept_new_options=True, key="train-encoder")
        preferred = "mlqa-r" if "mlqa-r" in collections else "demo-train"
        training = second.selectbox(
            "Train on", collections, index=collections.index(preferred), accept_new_options=True, key="train-on"
        )
        others = ["demo"] if training == "demo-train" else [name for name in collections if name != training]
        evaluations = third.multiselect(
            "Evaluate on", collections, default=others[:1], accept_new_options=True, key="eval-on"
        )
        first, second, third = st.columns([6, 3, 4])
        alphas = first.multiselect(
            "Ratios (alpha)",
            _RATIOS,
            default=[0.0, 0.25, 0.5, 0.75, 1.0],
            format_func=lambda alpha: f"{alpha:g}",
            key="train-alphas",
        )
        seeds = second.multiselect("Seeds", list(range(10)), default=[0], key="train-seeds")
        method = third.radio(
            "Method",
            list(DEFAULTS),
            captions=["a linear head: seconds on a CPU", "all weights: a GPU's work"],
            horizontal=True,
            key="train-method",
        )
        settings = _draw_settings(method, small=training in SHIPPED)
    if not (encoder and training and evaluations and alphas and seeds):
        st.info("Choose an encoder, collections, at least one ratio and one seed; fetch collections on the next page.")
        return None
    sweep = Sweep(
        encoder=encoder,
        training=training,
        evaluations=tuple(evaluations),
        alphas=tuple(sorted(alphas)),
        seeds=tuple(sorted(seeds)),
        method=method,
        settings=settings,
    )
    title = f"{len(alphas)} ratios × {len(seeds)} seeds, {method} on {training}, evaluated on {', '.join(evaluations)}"
    ready = encoder == _SHIPPED_FOR and {training, *evaluations} <= {*SHIPPED}
    estimate = _estimate(method, len(alphas) * len(seeds), settings, encoder, ready=ready)
    arguments = sweep.to_arguments()
    return Choice(arguments, title, estimate, _notes(training, evaluations), (encoder, training, *evaluations))


def _draw_settings(method: str, *, small: bool) -> Settings:
    default = replace(DEFAULTS[method], **DEMO_SETTINGS) if small else DEFAULTS[method]
    with st.expander(
        "Settings (learning rate, weight decay and batch size of `full` are the paper's, arXiv 2408.10536)"
    ):
        columns = st.columns(4)
        given: dict[str, Any] = {
            "steps": columns[0].number_input("Steps", 1, 1_000_000, default.steps, key=f"steps-{method}-{small}"),
            "batch_size": columns[1].number_input(
                "Batch size", 2, 4096, default.batch_size, key=f"batch-{method}-{small}"
            ),
            "learning_rate": columns[2].number_input(
                "Learning rate", 1e-7, 1.0, default.learning_rate, format="%.1e", key=f"rate-{method}-{small}"
            ),
            "temperature": columns[3].number_input(
                "Temperature", 0.001, 1.0, default.temperature, key=f"temp-{method}-{small}"
            ),
            "weight_decay": columns[0].number_input(
                "Weight decay", 0.0, 1.0, default.weight_decay, key=f"decay-{method}-{small}"
            ),
            "tau": columns[1].number_input(
                "tau (language size exponent)", 0.0, 1.0, default.tau, key=f"tau-{method}-{small}"
            ),
            "hard_negatives": columns[2].number_input(
                "Hard negatives", 0, 8, default.hard_negatives, key=f"hard-{method}-{small}"
            ),
        }
    return Settings(**{**asdict(default), **given})


def _estimate(method: str, recipes: int, settings: Settings, encoder: str, *, ready: bool) -> str:
    if method == "full":
        return f"{recipes} checkpoints with all weights of {encoder}: hours each without a GPU."
    seconds = recipes * SECONDS_A_RECIPE * max(0.3, settings.steps / 600)
    words = f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
    text = f"{recipes} checkpoint{'s' if recipes > 1 else ''}: about {words} on two CPU cores"
    if ready:
        return f"{text}; the vectors of these collections come with the project."
    return f"{text} once the collections are encoded; encoding takes some minutes a collection, and only once."


def _notes(training: str, evaluations: list[str]) -> list[str]:
    notes = (
        [f"{training} is both trained and evaluated on: what stands in both is left out."]
        if training in evaluations
        else []
    )
    source = published_as(training)
    if source is not None and "NC" in source.licence:
        notes.append(f"{training} is {source.licence}: checkpoints trained on it are for non-commercial use.")
    return notes


def composition_in_words(training: dict[str, Any]) -> str:
    """What a checkpoint's batches were made of, in a sentence."""
    batches = training["composition"]["batches"]
    total = sum(batches.values())
    parts = ", ".join(f"{count} {kind} ({100 * count / total:.0f} %)" for kind, count in batches.items() if count)
    leaks = sum(leak["questions_removed"] for leak in training["leaks"])
    copies = (
        in_words(plain(one["collection"]), one["queries"], one["passages"], one["threshold"])
        for one in training["near_texts"]
    )
    near = "".join(f" {sentence[0].upper()}{sentence[1:]}." for sentence in copies if sentence)
    return (
        f"{total} batches: {parts}, from {training['questions']:,} questions, in {training['seconds']:.1f} s. "
        f"{leaks} questions were left out because they are in a collection that is evaluated on too.{near}"
    )
