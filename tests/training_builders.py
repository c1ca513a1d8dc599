"""A collection that is large enough to train on, made of words that mean nothing, and what tests of training share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.collections.structures import Collection
from engine.encoders.encoder import SentenceEncoder
from engine.storage.store import Store
from engine.training.recipe import Recipe, Settings
from engine.training.train import make_recipe
from engine.training.training_set import TrainingSet
from tests.builders import parallel_collection

ROOT = Path(__file__).resolve().parents[1]
LETTERS = {"ar": "اتقلمكنبجنهدرسيو", "de": "DWabdeilmrstuüch", "en": "TWabdehlnorstvwy"}
"""Letters that the tokenizers of `checkpoints` know, and as many of each language."""

SHORT = Settings(steps=6, batch_size=4, learning_rate=1e-3, max_length=32, save_every=2)
"""A run that takes a moment."""


def made_up_collection(
    paragraphs: int = 8, languages: Sequence[str] = ("ar", "de", "en"), *, name: str = "made up", first: int = 0
) -> Collection:
    """Parallel paragraphs of three sentences; two questions on each, so its third sentence answers none.

    A question shares its words with the sentence that answers it. Collections with other `first` paragraphs (far enough
    apart) share no text.
    """
    return parallel_collection(
        name,
        {
            code: [_paragraph(LETTERS[code], number) for number in range(first, first + paragraphs)]
            for code in languages
        },
    )


def _paragraph(letters: str, number: int) -> tuple[list[str], list[tuple[str, str, int]]]:
    sentences = [" ".join(_word(letters, 12 * number + 4 * i + j) for j in range(4)) + "." for i in range(3)]
    questions = [" ".join(_word(letters, 12 * number + 4 * i + j) for j in range(2)) + "?" for i in range(2)]
    return sentences, [(f"q{number}.{i}", text, i) for i, text in enumerate(questions)]


def _word(letters: str, number: int) -> str:
    """A word for a number: its digits to the base of the letters, scattered so that neighbours differ."""
    number = number * 1031 % len(letters) ** 3
    return "".join(letters[number // len(letters) ** place % len(letters)] for place in range(3))


def recipe_for(
    folder: Path, collection: Collection, settings: Settings = SHORT, **options: object
) -> tuple[Recipe, SentenceEncoder, TrainingSet]:
    """What `train` takes: a recipe (alpha 0.5 unless the options say otherwise), the encoder, the training set."""
    encoder, training = SentenceEncoder(folder, folder.name), TrainingSet(collection)
    if options.get("strategy", "hybrid") == "hybrid":
        options = {"alpha": 0.5, **options}
    return make_recipe(encoder, training, settings=settings, **options), encoder, training


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Every tensor of a model's folder, by file and name."""
    from safetensors.numpy import load_file

    files = sorted(folder.rglob("*.safetensors"))
    return {f"{file.relative_to(folder)}:{name}": tensor for file in files for name, tensor in load_file(file).items()}


def same_weights(first: Path, second: Path) -> bool:
    """Whether two models have the same tensors, bit for bit."""
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def python(*arguments: str, store: Store, **environment: str) -> subprocess.Popen[str]:
    """Start Python in another process, on one thread, whose cache is the given one."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HYBRID_BATCH_CACHE": str(store.root), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
