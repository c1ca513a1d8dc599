"""open_clip's published retrieval results by language, and models that differ mainly in their training pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import polars as pl

from engine.errors import InputError
from engine.ranks.schema import PUBLISHED_CLIP, read_frame
from engine.reference import FOLDER

DATASETS = {
    "crossmodal-3600": "Crossmodal-3600 (36 languages)",
    "xtd10": "XTD10 (11 languages)",
}
DIRECTIONS = {"text-to-image": "caption finds image", "image-to-text": "image finds caption"}
MEASURES = ("hit@1", "hit@5", "hit@10")


@dataclass(frozen=True, slots=True)
class ClipPair:
    """Two models, one trained on English pairs (LAION-2B), one on pairs in all languages (LAION-5B).

    Attributes:
        name: What to call the pair.
        english: Model and weights trained on LAION-2B, as open_clip calls them.
        multilingual: Model and weights trained on LAION-5B.
        same: What they share, which makes them a pair.
        differs: What else differs, besides the languages of the training pairs.
    """

    name: str
    english: tuple[str, str]
    multilingual: tuple[str, str]
    same: str
    differs: str


_B32 = ("xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k")
_H14 = ("xlm-roberta-large-ViT-H-14", "frozen_laion5b_s13b_b90k")
CLIP_PAIRS = (
    ClipPair(
        "ViT-B/32, RoBERTa text towers",
        ("roberta-ViT-B-32", "laion2b_s12b_b32k"),
        _B32,
        "an image tower ViT-B/32 trained from scratch, a base-size text tower that started from a RoBERTa, and nearly "
        "as many pairs seen (12 and 13 billion)",
        "the text tower's own pre-training and vocabulary (RoBERTa in English, XLM-R in 100 languages) and the batch "
        "size (32 and 90 thousand)",
    ),
    ClipPair(
        "ViT-H/14, one frozen image tower",
        ("ViT-H-14", "laion2b_s32b_b79k"),
        _H14,
        "the image tower, weight for weight: the multilingual model took over the English one's and kept it frozen",
        "the text tower (CLIP's own from scratch, or XLM-R large), the pairs it saw (32 and 13 billion), and that only "
        "the multilingual one's text tower was fitted to a finished image tower",
    ),
    ClipPair(
        "ViT-B/32, CLIP's text tower",
        ("ViT-B-32", "laion2b_s34b_b79k"),
        _B32,
        "an image tower ViT-B/32 trained from scratch and about the same batch size (79 and 90 thousand)",
        "the text tower (CLIP's own from scratch, or XLM-R base with its pre-training) and the pairs seen (34 and 13 "
        "billion)",
    ),
)
"""Which models are compared, and why; after open_clip's docs/PRETRAINED.md and the models' cards on the Hub."""


@cache
def clip_results() -> pl.DataFrame:
    """All results, of schema `PUBLISHED_CLIP`."""
    return read_frame(FOLDER / "clip.parquet", PUBLISHED_CLIP)


def compare(pair: ClipPair, dataset: str, direction: str, measure: str = "hit@1") -> pl.DataFrame:
    """A pair's scores side by side, by language.

    Returns:
        `language`, `english` (score of the model trained on English pairs), `multilingual`, and `difference` (the
        second minus the first); sorted by language.

    Raises:
        InputError: If one of the names is unknown.
    """
    for what, given, allowed in (
        ("data set", dataset, DATASETS),
        ("direction", direction, DIRECTIONS),
        ("measure", measure, MEASURES),
    ):
        if given not in allowed:
            raise InputError(f"{what} {given!r} is unknown; allowed are {', '.join(allowed)}")
    found = clip_results().filter(dataset=dataset, direction=direction)
    english, multilingual = (
        found.filter(model=model, pretrained=weights).select("language", measure)
        for model, weights in (pair.english, pair.multilingual)
    )
    return (
        english.rename({measure: "english"})
        .join(multilingual.rename({measure: "multilingual"}), on="language")
        .with_columns(difference=pl.col("multilingual") - pl.col("english"))
        .sort("language")
    )


def english_and_others(dataset: str, direction: str, measure: str = "hit@1") -> pl.DataFrame:
    """Every model's score for English and its mean over the other languages.

    Returns:
        `model`, `pretrained`, `english`, `others`; sorted by both names.
    """
    english = pl.col("language") == "en"
    return (
        clip_results()
        .filter(dataset=dataset, direction=direction)
        .group_by("model", "pretrained")
        .agg(
            pl.col(measure).filter(english).mean().alias("english"),
            pl.col(measure).filter(~english).mean().alias("others"),
        )
        .sort("model", "pretrained")
    )
