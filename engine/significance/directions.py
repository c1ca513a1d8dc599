"""Sums of a collection of pictures by direction: captions find pictures, pictures captions, captions captions.

The pool of all languages is asked with pictures alone there, so the setting "multi" keeps only their cell.
"""

from __future__ import annotations

import polars as pl

from engine.collections.pictures import PICTURE
from engine.ranks.picture_scores import DIRECTIONS, rows_of
from engine.significance.per_question import QuestionSums


def by_direction(sums: QuestionSums) -> QuestionSums:
    """The same sums with directions in place of the settings mono and cross.

    Args:
        sums: What `question_sums` gave of a collection of pictures.

    Returns:
        Cells of the settings "caption-picture", "picture-caption" and "caption-caption" (captions of two languages),
        and "multi" with pictures as queries. Their macro means are those of `picture_scores.by_direction`, and the
        summary's multi.
    """
    measures = sums.cells["measure"].unique(maintain_order=True).to_list()
    settings = [*DIRECTIONS, "multi"]
    cells = sums.cells.with_columns(setting=_setting()).with_row_index("column").drop_nulls("setting")
    place = [
        pl.col(name).replace_strict(names, range(len(names)))
        for name, names in (("measure", measures), ("setting", settings))
    ]
    cells = cells.sort(*place, "column")
    columns = cells["column"].to_list()
    return QuestionSums(sums.questions, cells.drop("column"), sums.sums[:, columns], sums.counts[:, columns])


def _setting() -> pl.Expr:
    """The direction of a cell of the setting cross, "multi" of that of pictures in the pool, else null."""
    setting, query = pl.col("setting"), pl.col("query_lang")
    named = [pl.when((setting == "cross") & rows_of(direction)).then(pl.lit(direction)) for direction in DIRECTIONS]
    return pl.coalesce(*named, pl.when((setting == "multi") & (query == PICTURE)).then(pl.lit("multi")))
