"""What a reader should know of a run that is imported, in sentences."""

from __future__ import annotations

import polars as pl

from engine.exchange.ids import Names
from engine.ranks.schema import in_corpus


def absent_note(absent: pl.DataFrame, judged: pl.DataFrame) -> list[str]:
    """How many judged passages are not in the corpus, as `trec.part_absent` gave them."""
    if absent.is_empty():
        return []
    return [
        f"{absent.height:,} of {absent.height + judged.height:,} relevant passages are not in the corpus, such as "
        f"{absent['doc_id'][0]!r}; they count as missed, as in trec_eval."
    ]


def own_note(own: pl.DataFrame, names: Names) -> list[str]:
    """How many queries are left out of their own ranking, as `trec.own_passages` gave them."""
    if own.is_empty():
        return []
    return [
        f"{own.height:,} of {names.queries.height:,} queries are in the corpus under their own id and were left out of "
        "their own ranking (--keep-identical-ids keeps them in)."
    ]


def list_notes(run: pl.DataFrame, ranks: pl.DataFrame, top: pl.DataFrame) -> list[str]:
    """What is unusual in a run's lists."""
    query, notes = ["question", "query_lang"], []
    listed, judged = top.select(query).unique().height, ranks.select(query).unique().height
    unjudged = run["query_id"].n_unique() - listed
    if unjudged:
        notes.append(f"{unjudged:,} queries of the run have no relevant passage and were left out.")
    if listed < judged:
        notes.append(
            f"{judged - listed:,} of {judged:,} judged queries are not in the run: nothing was found for them."
        )
    if (
        in_corpus(ranks)["doc_lang"].n_unique() > 1
        and top.group_by(query).agg(pl.col("doc_lang").n_unique())["doc_lang"].max() == 1
    ):
        notes.append(
            "Every list has passages of one language only; if it ranked no others, its pool is not that of all."
        )
    return notes
