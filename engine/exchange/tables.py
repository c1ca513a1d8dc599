"""Our own frames in parquet and CSV: written from an evaluation, and ranks read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import polars as pl

from engine.collections.languages import from_tag
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation, summarise
from engine.ranks.schema import RANKS, TOP, check_frame

Kind = Literal["parquet", "csv"]

_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".csv": lambda file: pl.read_csv(file, infer_schema=False),
}
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
        write = frame.write_parquet if kind == "parquet" else frame.write_csv
        write(folder / f"{name}.{kind}")


def read_ranks(file: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read a frame of ranks, and the frame `top` that stands beside it, if one does.

    Args:
        file: `.parquet` or `.csv` with the columns of `RANKS`; languages may be written as other data sets do.

    Returns:
        A frame of schema `RANKS`, and one of `TOP`, empty where there is none.

    Raises:
        InputError: If a file cannot be read, a column is missing or of another type, or ranks contradict each other.
    """
    ranks = _read(file, RANKS)
    _check_ranks(ranks, file)
    top = _read(beside(file), TOP) if beside(file).is_file() else pl.DataFrame(schema=TOP)
    _check_top(top, ranks, beside(file))
    return ranks, top.sort("query_lang", "question", "rank")


def beside(file: Path) -> Path:
    """Where the frame `top` stands that belongs to a frame of ranks."""
    return file.with_name(f"top{file.suffix}")


def _read(file: Path, schema: pl.Schema) -> pl.DataFrame:
    try:
        frame = _READERS[file.suffix](file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{file}: cannot be read ({_first_line(error)}); expected is {file.suffix[1:]}") from error
    if frame.is_empty():
        raise InputError(f"{file}: has no row; expected are the columns {', '.join(schema)}")
    known = [name for name in schema if name in frame.columns]
    for name in known:
        frame = frame.with_columns(_cast(frame[name], schema[name], file))
    frame = check_frame(frame, schema, str(file))
    return frame.with_columns(_codes(frame[name], file) for name in ("query_lang", "doc_lang"))


def _cast(column: pl.Series, kind: pl.DataType, file: Path) -> pl.Series:
    """A column as the schema has it, if that changes no value."""
    place = column.cast(pl.Float64, strict=False) if column.name in _WHOLE else column
    cast = place.cast(kind, strict=False)
    wrong = cast.is_null() & column.is_not_null()
    if column.name in _WHOLE:
        wrong |= (cast.cast(pl.Float64) != place).fill_null(value=False)
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise InputError(f"{file}: row {row + 1}: {column.name} {column[row]!r} came; expected is {kind}")
    return cast


def _codes(column: pl.Series, file: Path) -> pl.Series:
    codes = {}
    for tag in column.unique(maintain_order=True):
        try:
            codes[tag] = from_tag(tag)
        except InputError as error:
            row = int((column == tag).arg_true()[0])
            raise InputError(f"{file}: row {row + 1}: {column.name}: {error}") from error
    return column.replace_strict(codes, return_dtype=pl.String)


def _check_top(top: pl.DataFrame, ranks: pl.DataFrame, file: Path) -> None:
    query = ["question", "query_lang"]
    if top.select(pl.struct(*query, "rank").is_duplicated().any() | (pl.col("rank") < 1).any()).item():
        raise InputError(f"{file}: a rank occurs twice for a query, or is below 1; expected is one passage for each")
    other = top.join(ranks, on=[*query, "doc_lang", "doc"]).filter(pl.col("rank") != pl.col("rank_in_pool"))
    if not other.is_empty():
        question, code, doc, rank, in_pool = other.select(*query, "doc", "rank", "rank_in_pool").row(0)
        raise InputError(
            f"{file}: question {question!r} in {code}: passage {doc} has rank {rank}, but {in_pool} in the ranks; "
            "expected are frames of one evaluation"
        )


def _check_ranks(ranks: pl.DataFrame, file: Path) -> None:
    query = ["question", "query_lang"]
    faults = {
        "ranks count from 1": pl.min_horizontal("rank_in_language", "rank_in_pool") < 1,
        "no passage ranks lower in its language than in the pool": pl.col("rank_in_language") > pl.col("rank_in_pool"),
        "a passage is judged once for a query": pl.struct(*query, "doc").is_duplicated(),
        "two passages of a query have two ranks in the pool": pl.struct(*query, "rank_in_pool").is_duplicated(),
        "two passages of a language have two ranks in it": pl.struct(
            *query, "doc_lang", "rank_in_language"
        ).is_duplicated(),
        "positions count from 0": pl.col("doc") < 0,
    }
    for expected, fault in faults.items():
        rows = ranks.select(fault).to_series().arg_true()
        if len(rows):
            raise InputError(f"{file}: row {rows[0] + 1}: expected is that {expected}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
