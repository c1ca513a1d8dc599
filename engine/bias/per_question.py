"""Ranks and top-k -> what every question adds to every bias measure: all that intervals and curves need to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.bias.advantage import own_advantages, own_shares
from engine.bias.agreement import rank_correlations
from engine.bias.axes import places
from engine.bias.distance import distances
from engine.bias.documents import Blocks, blocks_of, expected_concordance
from engine.bias.first_result import first_results, with_random
from engine.bias.probes import one_target_gaps, own_removals
from engine.collections.pictures import PICTURE
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.ranks.schema import TOP, check_frame, in_corpus
from engine.significance import QuestionSums
from engine.significance.per_question import CELLS, RANDOM_DISTANCE, RANK_DISTANCE

TOP_K = 10
EFFECT = "document_effect"
PLACE = "document_place"
SUM, SPREAD, FREEDOM = "document_sum", "document_spread", "document_freedom"
"""Cells that Kendall's W follows from: A, C and sum(k - 1) of `engine.bias.documents`, as means over all questions."""

_KEYS = ["question", "query_lang"]
_RANDOM = pl.Schema({"measure": pl.String, "query_lang": pl.String, "random": pl.Float64})


@dataclass(frozen=True, slots=True, eq=False)
class BiasSums:
    """What one evaluation adds to the bias measures, question by question.

    Attributes:
        sums: Ready for `engine.significance.resample`.
        random: `measure`, `query_lang` (null for the mean over query languages), `random`: what a random ranking gives.
    """

    sums: QuestionSums
    random: pl.DataFrame


def candidates_of(collection: Collection) -> dict[str, int]:
    """How many candidates the pool has, by language; pictures are not in it."""
    held = Counter(collection.corpus.languages)
    return {code: 0 if code == PICTURE else held[code] for code in collection.languages}


def even_candidates(languages: Sequence[str], pool: int) -> dict[str, int]:
    """A pool whose texts are not at hand, shared out evenly.

    The means over query languages do not depend on the shares, as long as every language has queries and candidates:
    what a random ranking gives in one language too many, it gives in another too few.
    """
    whole, more = divmod(pool, len(languages))
    return {code: whole + (place < more) for place, code in enumerate(languages)}


def bias_sums(ranks: pl.DataFrame, top: pl.DataFrame, candidates: Mapping[str, int], *, k: int = TOP_K) -> BiasSums:
    """Add up the bias measures by question and query language.

    Args:
        ranks: Frame of schema `RANKS`.
        top: Frame of schema `TOP`.
        candidates: How many candidates the pool has, by language.
        k: How many of the first places count.

    Raises:
        InputError: As in `suite`.
    """
    ranks, top = in_corpus(ranks), check_frame(top, TOP, "top")
    if ranks.is_empty():
        raise InputError("ranks: the frame is empty; at least one judged query is needed")
    seen = {*ranks["query_lang"].unique(), *ranks["doc_lang"].unique()}
    if unknown := sorted(seen - set(candidates)):
        raise InputError(
            f"ranks: hold the languages {', '.join(unknown)}; candidates are given for {', '.join(candidates)}"
        )
    top = top.filter(pl.col("rank") <= k).join(ranks.select(_KEYS).unique(), on=_KEYS, how="semi")
    questions, blocks = ranks["question"].unique().sort(), blocks_of(ranks)
    per_query = {name: one for name, one in _per_query(ranks, top, candidates, k).items() if not one.is_empty()}
    parts = [_query_cells(name, frame, questions) for name, frame in per_query.items()]
    parts += _document_cells(blocks, questions)
    effect = pl.DataFrame([(EFFECT, None, expected_concordance(blocks))], schema=_RANDOM, orient="row")
    return BiasSums(
        QuestionSums(
            tuple(questions),
            pl.DataFrame([cell for cells, _, _ in parts for cell in cells], schema=CELLS, orient="row"),
            np.concatenate([sums for _, sums, _ in parts], axis=1),
            np.concatenate([counts for _, _, counts in parts], axis=1),
        ),
        pl.concat([*(_by_chance(name, frame) for name, frame in per_query.items()), effect]).fill_nan(None),
    )


def _per_query(
    ranks: pl.DataFrame, top: pl.DataFrame, candidates: Mapping[str, int], k: int
) -> dict[str, pl.DataFrame]:
    """The measures that are means over queries: `question`, `query_lang`, `value`, `random`."""
    pool = sum(candidates.values())
    distance = distances(ranks, pool)
    return {
        RANK_DISTANCE: distance,
        # `resample` divides one by the other: the measure `bias`
        RANDOM_DISTANCE: distance.with_columns(value=pl.col("random"), random=pl.lit(1.0)),
        "own_advantage": own_advantages(ranks),
        "own_share": own_shares(top, candidates, k),
        **with_random(first_results(ranks, top), candidates),
        "rank_correlation": rank_correlations(top, pool, k),
        "one_target_gap": one_target_gaps(ranks),
        "own_removal": own_removals(ranks, pool),
    }


def _by_chance(measure: str, frame: pl.DataFrame) -> pl.DataFrame:
    """What a random ranking gives by query language, and on average over them."""
    by_language = frame.group_by("query_lang").agg(pl.col("random").mean()).sort("query_lang")
    name = "bias" if measure == RANDOM_DISTANCE else measure
    rows = [(name, *row) for row in by_language.rows()] + [(name, None, by_language["random"].mean())]
    return pl.DataFrame(rows, schema=_RANDOM, orient="row")


_Part = tuple[list[tuple[str, str, str | None, str | None]], np.ndarray, np.ndarray]
"""Cells, and float64 (questions, cells) twice: sums and counts."""


def _query_cells(measure: str, frame: pl.DataFrame, questions: pl.Series) -> _Part:
    """A measure's cells: one per query language that has any."""
    languages = frame["query_lang"].unique().sort()
    at = places(frame["question"], questions), places(frame["query_lang"], languages)
    sums, counts = (np.zeros((len(questions), len(languages))) for _ in range(2))
    sums[at], counts[at] = frame["value"].to_numpy(), 1.0
    return [(measure, "multi", code, None) for code in languages], sums, counts


def _document_cells(blocks: Blocks, questions: pl.Series) -> Iterator[_Part]:
    """What the document-language effect is made of: mean places, and the parts of Kendall's W."""
    if not blocks.questions:
        return
    languages, rows = blocks.languages, places(pl.Series(blocks.questions), questions)
    upper, has = np.triu_indices(len(languages)), ~np.isnan(blocks.places)
    single = [(None, code) for code in languages]
    double = [(languages[i], languages[j]) for i, j in zip(*upper, strict=True)]
    for measure, pairs, values, counted in (
        (PLACE, single, np.where(has, blocks.places, 0.0), has.astype(np.float64)),
        (SUM, single, blocks.sums, None),
        (SPREAD, double, blocks.spreads[:, *upper], None),
        (FREEDOM, [(None, None)], blocks.freedom[:, None], None),
    ):
        sums, counts = (np.zeros((len(questions), len(pairs))) for _ in range(2))
        sums[rows] = values
        if counted is None:
            counts[:] = 1.0
        else:
            counts[rows] = counted
        yield [(measure, "multi", *pair) for pair in pairs], sums, counts
