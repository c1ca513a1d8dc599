"""The schemas of the engine's tables, and the check that a frame has one of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from engine.errors import InputError

RANKS = pl.Schema(
    {
        "question": pl.String,
        "query_lang": pl.String,
        "doc_lang": pl.String,
        "doc": pl.Int32,
        "rank_in_language": pl.Int32,
        "rank_in_pool": pl.Int32,
        "score": pl.Float32,
    }
)
"""One row per (query, relevant passage). `doc` is the passage's position in the pool; ranks count from 1.

A relevant passage that is not in the corpus has the position -1 and the ranks `UNRANKED`.
"""

UNRANKED = 2**31 - 1
"""The ranks of a relevant passage that is not in the corpus: it is missed at every depth."""

UNKNOWN_LANGUAGE = "und"
"""ISO 639-2 for undetermined: of a passage that is not in the corpus, where documents are in several languages."""

TOP = pl.Schema(
    {
        "question": pl.String,
        "query_lang": pl.String,
        "rank": pl.Int32,
        "doc": pl.Int32,
        "doc_lang": pl.String,
        "score": pl.Float32,
    }
)
"""The first k of the pool for each query, best first."""

PUBLISHED_PAIRS = pl.Schema(
    {
        "task": pl.String,
        "model": pl.String,
        "revision": pl.String,
        "version": pl.String,
        "query_lang": pl.String,
        "doc_lang": pl.String,
        "recall@1": pl.Float64,
        "recall@10": pl.Float64,
        "ndcg@10": pl.Float64,
        "map@100": pl.Float64,
    }
)
"""One row per published result of a model on a task's language pair. `revision` is the model's, `version` that of the
software that measured ("unknown" where it is not told); `doc_lang` is "image" where images are retrieved."""

PUBLISHED_SETTINGS = pl.Schema(
    {
        "source": pl.String,
        "collection": pl.String,
        "model": pl.String,
        "strategy": pl.String,
        "setting": pl.String,
        "measure": pl.String,
        "query_lang": pl.String,
        "value": pl.Float64,
    }
)
"""One row per figure of a paper: of a model trained with a strategy, by setting and query language ("mean": of all)."""

PUBLISHED_CLIP = pl.Schema(
    {
        "dataset": pl.String,
        "model": pl.String,
        "pretrained": pl.String,
        "direction": pl.String,
        "language": pl.String,
        "hit@1": pl.Float64,
        "hit@5": pl.Float64,
        "hit@10": pl.Float64,
    }
)
"""One row per image-text model, data set, direction ("text-to-image" or "image-to-text") and language of the texts."""


def check_frame(frame: pl.DataFrame, schema: pl.Schema, what: str) -> pl.DataFrame:
    """Return the frame if it has the schema's columns and types, in the schema's order.

    Args:
        frame: The frame.
        schema: What is expected.
        what: What to call the frame in the error.

    Raises:
        InputError: If a column is missing, has another type, or holds null.
    """
    missing = [name for name in schema if name not in frame.columns]
    if missing:
        raise InputError(f"{what}: lacks the columns {', '.join(missing)}; expected are {', '.join(schema)}")
    frame = frame.select(list(schema))
    wrong = [
        f"{name} is {frame.schema[name]}, not {kind}" for name, kind in schema.items() if frame.schema[name] != kind
    ]
    if wrong:
        raise InputError(f"{what}: {'; '.join(wrong)}")
    nulls = [name for name in schema if frame[name].null_count()]
    if nulls:
        raise InputError(f"{what}: holds null in {', '.join(nulls)}; every row must be whole")
    return frame


def in_corpus(ranks: pl.DataFrame) -> pl.DataFrame:
    """The rows of a frame of `RANKS` whose passage is in the corpus, the frame checked.

    Raises:
        InputError: If the frame is not of the schema.
    """
    return check_frame(ranks, RANKS, "ranks").filter(pl.col("doc") >= 0)


def read_frame(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read a parquet file and check it.

    Raises:
        InputError: If it cannot be read or is not the schema's.
    """
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: cannot be read as parquet ({error}); delete it and evaluate again") from error
    return check_frame(frame, schema, str(path))
