"""Our own frames in parquet and CSV: written from an evaluation, and ranks read back.

Texts in CSV are guarded against being taken for formulas; the guard is taken away when the file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import polars as pl

from engine.collections.languages import from_tag
from engine.errors import InputError
from engine.escaping import csv_guarded, csv_unguarded
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.summary import summarise
from engine.ranks.schema import RANKS, TOP, UNKNOWN_LANGUAGE, UNRANKED, check_frame
from engine.storage.files import check_regular, check_unpacked, open_bytes

Kind = Literal["parquet", "csv"]

_QUERY = ["question", "query_lang"]
_MAGIC = b"PAR1"
_ROW_BYTES = 32  # of a row in memory, at least
_ABSENT = (pl.col("doc") == -1) & (pl.col("rank_in_pool") == UNRANKED) & (pl.col("rank_in_language") == UNRANKED)
_WHOLE = ("doc", "rank", "rank_in_language", "rank_in_pool")


def write_tables(evaluation: Evaluation, folder: Path, kind: Kind) -> None:
    """Write an evaluation's `ranks`, `top`, `pairs` and `settings`.

    Args:
        evaluation: Whose.
        folder: An existing folder.
        kind: "parquet" or "csv".
    """
    ranks = evaluation.ranks()
    summary = summarise(evaluation, ranks=ranks)
    frames = {"ranks": ranks, "top": evaluation.top(), "pairs": summary.pairs, "settings": summary.settings}
    for name, frame in frames.items():
        if kind == "parquet":
            frame.write_parquet(folder / f"{name}.parquet")
        else:
            csv_guarded(frame).write_csv(folder / f"{name}.csv")


def read_ranks(file: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read a frame of ranks, and the frame `top` beside it, if there is one.

    Args:
        file: Parquet or CSV with the columns of `RANKS`; languages may be written as other data sets do.

    Returns:
        A frame of schema `RANKS`, and one of `TOP`, empty where there is none.

    Raises:
        InputError: If a file cannot be read, a column is missing or of another type, or ranks contradict each other.
    """
    ranks = _read(file, RANKS)
    _check_ranks(ranks.filter(~_ABSENT), file)
    top = _read(beside(file), TOP) if beside(file).is_file() else pl.DataFrame(schema=TOP)
    _check_top(top, ranks, beside(file))
    return ranks, top.sort("query_lang", "question", "rank")


def beside(file: Path) -> Path:
    """Where the frame `top` of a frame of ranks is."""
    return file.with_name(f"top{file.suffix}")


def _read(file: Path, schema: pl.Schema) -> pl.DataFrame:
    frame = read_table(file)
    if frame.is_empty():
        raise InputError(f"{file}: has no row; expected the columns {', '.join(schema)}")
    known = [name for name in schema if name in frame.columns]
    for name in known:
        frame = frame.with_columns(_cast(frame[name], schema[name], file))
    frame = check_frame(frame, schema, str(file))
    return frame.with_columns(_codes(frame[name], file) for name in ("query_lang", "doc_lang"))


def read_table(file: Path) -> pl.DataFrame:
    """A file of parquet, or of CSV with every cell as text; its first bytes tell which.

    Raises:
        InputError: If it cannot be read, or is packed to far less than its content.
    """
    try:
        with check_regular(file).open("rb") as opened:
            kind = "parquet" if opened.read(len(_MAGIC)) == _MAGIC else "CSV"
        if kind == "CSV":
            with open_bytes(file) as opened:
                return csv_unguarded(pl.read_csv(opened.read(), infer_schema=False))
        rows = pl.scan_parquet(file).select(pl.len()).collect().item()
        check_unpacked(str(file), file.stat().st_size, rows * _ROW_BYTES)
        return pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(f"{file}: cannot be read as parquet or CSV ({type(error).__name__})") from error


def _cast(column: pl.Series, kind: pl.DataType, file: Path) -> pl.Series:
    """A column as the schema has it, if that changes no value."""
    if column.dtype.is_nested():
        raise InputError(f"{file}: column {column.name} must be {kind}, got {column.dtype}")
    place = column.cast(pl.Float64, strict=False) if column.name in _WHOLE else column
    cast = place.cast(kind, strict=False)
    wrong = cast.is_null() & column.is_not_null()
    if column.name in _WHOLE:
        wrong |= (cast.cast(pl.Float64) != place).fill_null(value=False)
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise InputError(f"{file}: row {row + 1}: {column.name} must be {kind}, got {column[row]!r}")
    return cast


def _codes(column: pl.Series, file: Path) -> pl.Series:
    codes = {}
    for tag in column.unique(maintain_order=True):
        try:
            codes[tag] = tag if tag == UNKNOWN_LANGUAGE else from_tag(tag)
        except InputError as error:
            row = int((column == tag).arg_true()[0])
            raise InputError(f"{file}: row {row + 1}: {column.name}: {error}") from error
    return column.replace_strict(codes, return_dtype=pl.String)


def _check_top(top: pl.DataFrame, ranks: pl.DataFrame, file: Path) -> None:
    """Check the lists, and that they are of the evaluation that the ranks are of."""
    _refuse(
        top,
        {
            "ranks count from 1": pl.col("rank") < 1,
            "a rank occurs once for a query": pl.struct(*_QUERY, "rank").is_duplicated(),
            "a passage occurs once for a query": pl.struct(*_QUERY, "doc").is_duplicated(),
            "positions count from 0": pl.col("doc") < 0,
            "scores fall as ranks grow": _rises("rank"),
        },
        file,
    )
    other = top.join(ranks, on=[*_QUERY, "doc_lang", "doc"]).filter(pl.col("rank") != pl.col("rank_in_pool"))
    if not other.is_empty():
        question, code, doc, rank, in_pool = other.select(*_QUERY, "doc", "rank", "rank_in_pool").row(0)
        raise InputError(
            f"{file}: question {question!r} in {code}: passage {doc} has rank {rank}, but {in_pool} in the ranks; "
            "expected frames of one evaluation"
        )
    _check_languages(pl.concat([ranks.filter(~_ABSENT).select("doc", "doc_lang"), top.select("doc", "doc_lang")]), file)


def _check_ranks(ranks: pl.DataFrame, file: Path) -> None:
    in_language = [*_QUERY, "doc_lang", "rank_in_language"]
    before = pl.col("rank_in_language").sort_by("rank_in_pool").diff() < 0
    _refuse(
        ranks,
        {
            "ranks count from 1": pl.min_horizontal("rank_in_language", "rank_in_pool") < 1,
            "no passage ranks lower in its language than in the pool": pl.col("rank_in_language")
            > pl.col("rank_in_pool"),
            "a passage is judged once for a query": pl.struct(*_QUERY, "doc").is_duplicated(),
            "two passages of a query have two ranks in the pool": pl.struct(*_QUERY, "rank_in_pool").is_duplicated(),
            "two passages of a language have two ranks in it": pl.struct(*in_language).is_duplicated(),
            "passages of a language rank in it as in the pool": before.any().over(*_QUERY, "doc_lang"),
            "positions count from 0": pl.col("doc") < 0,
            "scores fall as ranks grow": _rises("rank_in_pool"),
        },
        file,
    )
    _check_languages(ranks, file)


def _rises(rank: str) -> pl.Expr:
    """Whether a query has a score above that of a better rank; NaN is of what was not retrieved."""
    scores = pl.col("score").fill_nan(None).sort_by(rank).drop_nulls()
    return (scores.diff() > 0).any().over(_QUERY)


def _check_languages(places: pl.DataFrame, file: Path) -> None:
    """Check that a position of the pool has one language."""
    two = places.group_by("doc").agg(pl.col("doc_lang").unique().sort()).filter(pl.col("doc_lang").list.len() > 1)
    if not two.is_empty():
        doc, languages = two.sort("doc").row(0)
        raise InputError(f"{file}: passage {doc} is in {' and in '.join(languages)}; expected one language for each")


def _refuse(frame: pl.DataFrame, faults: Mapping[str, pl.Expr], file: Path) -> None:
    """Refuse a frame with a row in which an expression holds, by what is expected instead."""
    for expected, fault in faults.items():
        rows = frame.select(fault.fill_null(value=False)).to_series().arg_true()
        if len(rows):
            raise InputError(f"{file}: row {rows[0] + 1}: expected that {expected}")
