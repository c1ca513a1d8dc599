"""An evaluation as TREC runs and judgements, a pair of files for each setting.

A run's line is `query Q0 passage rank score tag`, a judgement's `query 0 passage relevance`. In `mono` and `cross` a
topic is a query and a document language, called `query/language`, and its list ranks the passages of that language
alone. What is written has no equal scores in a list: an equal one is lowered by the smallest step of float32, so that
every tool finds our order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from engine.collections.structures import SETTINGS, Setting
from engine.evaluation.evaluate import Evaluation
from engine.exchange.ids import MAP, NOT_IN_CORPUS, Names, write_map
from engine.exchange.lists import Lists
from engine.ranks.schema import UNKNOWN_LANGUAGE

_LOWEST = -(2**31)


def write_trec(evaluation: Evaluation, names: Names, lists: Lists, folder: Path) -> None:
    """Write the judgements of each setting, the runs, and the language map.

    `multi.run` has the first passages of the pool for each query; `mono.run` and `cross.run` those of each document
    language, for every judged topic. Where there are no lists by language, these two are left out.

    Args:
        evaluation: Whose.
        names: The ids of its collection.
        lists: Its lists.
        folder: An existing, empty folder.
    """
    write_map(names, folder / MAP)
    number = pl.int_range(1, pl.len() + 1).over("question", "query_lang", "doc")
    ranks = _identified(evaluation.ranks(), names).with_columns(
        doc_id=pl.coalesce("doc_id", pl.format("{}-{}", pl.lit(NOT_IN_CORPUS), number))
    )
    judged = {setting: _topics(ranks, setting) for setting in SETTINGS}
    for setting, frame in judged.items():
        rows = frame.select("topic", pl.lit(0), "doc_id", pl.lit(1).alias("relevance"))
        _write(rows, folder / f"{setting}.qrels")
    tag = re.sub(r"\s+", "_", evaluation.manifest.encoder.name.strip()) or "run"
    written: tuple[Setting, ...] = ("multi",) if lists.missing else SETTINGS
    with ExitStack() as stack:
        files = {setting: stack.enter_context((folder / f"{setting}.run").open("wb")) for setting in written}
        for language, frame in lists.blocks:
            _append(
                _identified(frame, names), ("multi",) if language is None else ("mono", "cross"), judged, files, tag
            )


def _append(
    block: pl.DataFrame,
    settings: tuple[Setting, ...],
    judged: Mapping[Setting, pl.DataFrame],
    files: Mapping[Setting, IO[bytes]],
    tag: str,
) -> None:
    """Add a block's lists of judged topics to the runs of some settings."""
    for setting in settings:
        lines = _topics(block, setting).join(judged[setting], on="topic", how="semi", maintain_order="left")
        lines = lines.with_columns(score=_strictly_falling(lines))
        _write(lines.select("topic", pl.lit("Q0"), "doc_id", "rank", "score", pl.lit(tag).alias("tag")), files[setting])


def _identified(frame: pl.DataFrame, names: Names) -> pl.DataFrame:
    """The rows with the ids of their queries and passages."""
    query = ["question", "query_lang"]
    return frame.join(names.queries, on=query, how="left", maintain_order="left").join(
        names.documents.select("doc", "doc_id"), on="doc", how="left", maintain_order="left"
    )


def _topics(frame: pl.DataFrame, setting: Setting) -> pl.DataFrame:
    if setting == "multi":
        return frame.with_columns(topic="query_id")
    same = pl.col("query_lang") == pl.col("doc_lang")
    known = frame.filter(pl.col("doc_lang") != UNKNOWN_LANGUAGE)
    return known.filter(same if setting == "mono" else ~same).with_columns(
        topic=pl.format("{}/{}", "query_id", "doc_lang")
    )


def _strictly_falling(lists: pl.DataFrame) -> pl.Series:
    """The scores, float32, an equal one lowered by the smallest step; the frame has list by list, best first."""
    bits = lists["score"].to_numpy().astype(np.float32).view(np.int32).astype(np.int64)
    steps = np.where(bits < 0, _LOWEST - bits, bits)  # whole numbers in the order of the floats, without gaps
    place = pl.int_range(pl.len()).over("topic")
    lowered = (pl.col("steps") + place).cum_min().over("topic") - place
    falling = lists.select("topic", steps=pl.Series(steps)).select(lowered)["steps"].to_numpy()
    return pl.Series(np.where(falling < 0, _LOWEST - falling, falling).astype(np.int32).view(np.float32))


def _write(frame: pl.DataFrame, file: Path | IO[bytes]) -> None:
    frame.write_csv(file, separator=" ", include_header=False, quote_style="never")
