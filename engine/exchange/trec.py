"""TREC runs and judgements of others, read into ranks.

A run's line is `query Q0 passage rank score tag`, a judgement's `query 0 passage relevance`. Scores are what counts, as
in trec_eval; equal ones are ordered by the rank that the line gives.
"""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path

import numpy as np
import polars as pl

from engine.errors import InputError
from engine.exchange.files import numbered_lines, words
from engine.exchange.ids import Names, one_word
from engine.ranks.schema import RANKS, TOP, UNKNOWN_LANGUAGE, UNRANKED, check_frame

_RUN = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int64, "score": pl.Float64, "place": pl.String}
_POOL = ["question", "query_lang"]  # what one ranking of the pool is of
_SHOWN = 60  # characters of a line in an error
_LANGUAGE = [*_POOL, "doc_lang"]


def read_run(file: Path) -> tuple[pl.DataFrame, str]:
    """Read a TREC run.

    Returns:
        `query_id`, `doc_id`, `rank`, `score`, `place` (of the line); and the tag of its last line.

    Raises:
        InputError: If a line is no line of a run, or a passage occurs twice for a query.
    """
    rows: list[tuple[str, str, int, float, str]] = []
    tag, seen = "", set()
    for place, line in numbered_lines(file):
        cells = words(line)
        try:
            query, _, document, rank, score, tag = cells
            row = (query, document, int(float(rank)), float(score), place)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{place}: expected query, Q0, passage, rank, score, tag{_got(line, rows)}") from error
        if not np.isfinite(row[3]):
            raise InputError(f"{place}: the score must be a finite number, got {score}")
        if (query, document) in seen:
            raise InputError(f"{place}: passage {document!r} occurs twice for query {query!r}; expected once")
        seen.add((query, document))
        rows.append(row)
    if not rows:
        raise InputError(f"{file}: is empty; expected lines of query, Q0, passage, rank, score, tag")
    return pl.DataFrame(rows, schema=_RUN, orient="row"), tag


def read_qrels(file: Path) -> pl.DataFrame:
    """Read judgements: TREC's four columns, or BEIR's three with their heading. Relevance above 0 is relevant.

    Returns:
        `query_id`, `doc_id`, `place`; the relevant ones, each once.

    Raises:
        InputError: If a line is no judgement.
    """
    rows: dict[tuple[str, str], tuple[str, str, str]] = {}
    for place, line in numbered_lines(file):
        cells = words(line)
        if cells[0] == "query-id":
            continue
        try:
            query, document, relevance = cells if len(cells) == 3 else (cells[0], cells[2], cells[3])
            relevant = float(relevance) > 0 and len(cells) <= 4
        except (ValueError, IndexError) as error:
            raise InputError(f"{place}: expected query, 0, passage, relevance{_got(line, rows)}") from error
        if relevant:
            rows.setdefault((query, document), (query, document, place))
    if not rows:
        raise InputError(f"{file}: has no relevant passage; expected lines of query, 0, passage, relevance")
    schema = {"query_id": pl.String, "doc_id": pl.String, "place": pl.String}
    return pl.DataFrame(list(rows.values()), schema=schema, orient="row")


def _got(line: str, before: Sized) -> str:
    """The beginning of a line for an error; nothing if no line before it was of the expected kind."""
    return f"; got {line[:_SHOWN]!r}" if before else ""


def with_known_ids(frame: pl.DataFrame, names: Names) -> pl.DataFrame:
    """The rows with their ids as the names have them.

    Our exports escape white space and % in ids, other files do not: of each column, all ids are taken as they are, or
    all are escaped, whichever more of them are known by.

    Args:
        frame: What `read_run` or `read_qrels` gave.
        names: The ids.
    """
    for known, column in ((names.queries, "query_id"), (names.documents, "doc_id")):
        ids = frame[column].unique()
        escaped = ids.map_elements(one_word, return_dtype=pl.String)
        before, after = (series.is_in(known[column].implode()).sum() for series in (ids, escaped))
        if after > before:
            frame = frame.with_columns(pl.col(column).replace_strict(ids, escaped))
    return frame


def part_absent(qrels: pl.DataFrame, names: Names) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part judgements by whether their passages are in the corpus.

    Args:
        qrels: What `read_qrels` gave.
        names: The ids.

    Returns:
        The judgements of passages in the corpus, and the others, which count as missed, as in trec_eval.

    Raises:
        InputError: If no judged passage is in the corpus.
    """
    known = qrels.join(names.documents, on="doc_id", how="semi", maintain_order="left")
    absent = qrels.join(names.documents, on="doc_id", how="anti", maintain_order="left")
    if known.is_empty():
        first = f"{absent['place'][0]}: passage {absent['doc_id'][0]!r}"
        raise InputError(f"{first} and all other judged passages are not in the corpus; give judgements of its ids")
    return known, absent


def own_passages(qrels: pl.DataFrame, names: Names) -> pl.DataFrame:
    """The queries that are passages too, under the same id, as `Collection.own` has them.

    A passage that is judged to answer the query of its id is another text and does not count.

    Args:
        qrels: Judgements.
        names: The ids.

    Returns:
        `query_id`, `own_lang`: the language of the passage of that id.
    """
    shared = names.queries.join(names.documents, left_on="query_id", right_on="doc_id")
    answers = qrels.filter(pl.col("query_id") == pl.col("doc_id"))
    return shared.join(answers, on="query_id", how="anti").select("query_id", own_lang="doc_lang")


def without_own(run: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """A run without the passages that are the queries themselves, as `own_passages` gave them."""
    is_own = pl.col("query_id").is_in(own["query_id"].implode()) & (pl.col("query_id") == pl.col("doc_id"))
    return run.filter(~is_own)


def _absent_ranks(absent: pl.DataFrame, names: Names) -> pl.DataFrame:
    """Rows of `RANKS` for relevant passages that are not in the corpus."""
    languages = names.documents["doc_lang"].unique()
    frame = absent.join(names.queries, on="query_id", maintain_order="left").select(
        "question",
        "query_lang",
        doc_lang=pl.lit(languages[0] if len(languages) == 1 else UNKNOWN_LANGUAGE),
        doc=pl.lit(-1, pl.Int32),
        rank_in_language=pl.lit(UNRANKED, pl.Int32),
        rank_in_pool=pl.lit(UNRANKED, pl.Int32),
        score=pl.lit(float("nan"), pl.Float32),
    )
    return check_frame(frame, RANKS, "ranks")


def place_run(
    run: pl.DataFrame, qrels: pl.DataFrame, absent: pl.DataFrame, own: pl.DataFrame, names: Names
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rank the relevant passages by a run over the pool.

    What a query's list does not have is put last, in the pool and in its language: no lower rank is possible, so that
    what follows from the ranks is a bound. A passage's rank among those of its language is exact wherever it is listed,
    since whatever beats it is listed too.

    Args:
        run: What `read_run` gave.
        qrels: Judgements of passages in the corpus.
        absent: Judgements of others, as `part_absent` gave them.
        own: What `own_passages` gave: passages that are out of their own query's ranking.
        names: The ids.

    Returns:
        A frame of `RANKS`, its score NaN where the run does not have the passage; and a frame of `TOP` with all that it
        has for the judged queries.

    Raises:
        InputError: If an id is not among the names, or no query of the run is judged.
    """
    run = without_own(run, own)
    asked = run.join(pl.concat([qrels, absent]), on="query_id", how="semi", maintain_order="left")
    if asked.is_empty():
        first = f"{run['place'][0]}: query {run['query_id'][0]!r}"
        raise InputError(f"{first} and all others of the run have no judgements; give those of the same queries")
    qrels, listed = _named(qrels, names), _listed(asked, names)
    sizes = names.documents.group_by("doc_lang").agg(pl.len().alias("size"))
    found = listed.select("query_id", "doc_id", "in_pool", "in_language", "score")
    judged = qrels.drop("place").join(found, on=["query_id", "doc_id"], how="left").join(sizes, on="doc_lang")
    judged = judged.join(own, on="query_id", how="left")
    pool = pl.lit(names.documents.height) - pl.col("own_lang").is_not_null()
    in_language = pl.col("size") - (pl.col("own_lang") == pl.col("doc_lang")).fill_null(False)
    ranks = (
        judged.sort("query_lang", "question", "doc")
        .with_columns(
            rank_in_pool=_or_last("in_pool", pool, _POOL),
            rank_in_language=_or_last("in_language", in_language, _LANGUAGE),
            score=pl.col("score").fill_null(float("nan")).cast(pl.Float32),
        )
        .select(list(RANKS))
    )
    top = listed.sort("query_lang", "question", "in_pool").select(
        *_POOL, pl.col("in_pool").cast(pl.Int32).alias("rank"), "doc", "doc_lang", pl.col("score").cast(pl.Float32)
    )
    ranks = pl.concat([check_frame(ranks, RANKS, "ranks"), _absent_ranks(absent, names)])
    return ranks.sort("query_lang", "question", maintain_order=True), check_frame(top, TOP, "top")


def _listed(asked: pl.DataFrame, names: Names) -> pl.DataFrame:
    """A run's lines with what their ids stand for, `in_pool` and `in_language`: their ranks."""
    by_score = [*_POOL, "score", "rank"]
    place = pl.int_range(1, pl.len() + 1)
    return (
        _named(asked, names)
        .sort(by_score, descending=[name == "score" for name in by_score], maintain_order=True)
        .with_columns(in_pool=place.over(_POOL), in_language=place.over(_LANGUAGE))
    )


def _or_last(rank: str, size: pl.Expr, group: list[str]) -> pl.Expr:
    """A rank, or for what has none one of the last places of its group, in the frame's order."""
    missing = pl.col(rank).is_null()
    last = size - missing.sum().over(group) + missing.cum_sum().over(group)
    return pl.coalesce(rank, last).cast(pl.Int32)


def _named(frame: pl.DataFrame, names: Names) -> pl.DataFrame:
    """The rows with what their ids stand for."""
    for ids, column, kind in ((names.queries, "query_id", "query"), (names.documents, "doc_id", "passage")):
        unknown = frame.join(ids, on=column, how="anti", maintain_order="left")
        if not unknown.is_empty():
            raise InputError(
                f"{unknown['place'][0]}: {kind} {unknown[column][0]!r} is unknown; "
                "expected an id of the collection or of the language map"
            )
    return frame.join(names.queries, on="query_id").join(names.documents, on="doc_id")
