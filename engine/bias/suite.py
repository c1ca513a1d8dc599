"""All bias measures of an evaluation at once, with intervals, and as curves against alpha.

Each measure is a mean over queries, then query languages; so the cluster bootstrap over questions of
`engine.significance` serves it from sums by question. Kendall's W is no mean, but follows from means over questions
(`engine.bias.documents`): it is computed anew in each draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.bias.documents import statistic
from engine.bias.measures import MEASURES, RANK_MEASURES
from engine.bias.per_question import EFFECT, FREEDOM, PLACE, SPREAD, SUM, TOP_K, BiasSums, bias_sums
from engine.significance import Method, Resampled, compare, holm, intervals, resample


@dataclass(frozen=True, slots=True, eq=False)
class Suite:
    """The bias measures of one evaluation, with intervals.

    Attributes:
        measures: One row per measure of `RANK_MEASURES`, in their order: `measure`, `value`, `low`, `high`, `random`,
            `queries`, `questions`; null where the collection does not allow it.
        query_languages: The same by `query_lang`, but for the document-language effect.
        document_languages: `doc_lang`, `questions`, `value`, `low`, `high`: the mean place of a language's passages
            among their translations, as in `documents.document_blocks`.
    """

    measures: pl.DataFrame
    query_languages: pl.DataFrame
    document_languages: pl.DataFrame


def suite(
    ranks: pl.DataFrame,
    top: pl.DataFrame,
    candidates: Mapping[str, int],
    *,
    k: int = TOP_K,
    resamples: int = 2000,
    seed: int = 0,
    method: Method = "bca",
    level: float = 0.95,
) -> Suite:
    """Measure everything about language bias that ranks tell.

    Args:
        ranks: Frame of schema `RANKS`.
        top: Frame of schema `TOP`.
        candidates: How many candidates the pool has, by language.
        k: How many of the first places count for the own language's share and the rank correlation.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        method: Of the intervals.
        level: Of the intervals.

    Raises:
        InputError: If a frame is not of its schema, there are no ranks, they hold a language without candidates, or
            fewer than k places are kept.
    """
    measured = bias_sums(ranks, top, candidates, k=k)
    drawn = resample({"": [measured.sums]}, resamples=resamples, seed=seed)[""]
    cells = intervals(drawn, method=method, level=level)
    places = cells.filter((pl.col("measure") == PLACE) & pl.col("doc_lang").is_not_null())
    by_language = cells.filter(pl.col("measure").is_in(RANK_MEASURES) & pl.col("query_lang").is_not_null())
    by_language = by_language.join(measured.random, on=["measure", "query_lang"], how="left", maintain_order="left")
    return Suite(
        _whole(intervals(headline(drawn), method=method, level=level), measured.random),
        by_language.select("measure", "query_lang", "value", "low", "high", "random", "queries"),
        places.select("doc_lang", "questions", "value", "low", "high").sort("value", "doc_lang"),
    )


def curves(
    systems: Mapping[float, Sequence[BiasSums]],
    *,
    resamples: int = 2000,
    seed: int = 0,
    method: Method = "bca",
    level: float = 0.95,
) -> pl.DataFrame:
    """The bias measures against the ratio, seeds averaged (and drawn, where there are three or more).

    Args:
        systems: The evaluations of each ratio, one per seed, all on one collection.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        method: Of the intervals.
        level: Of the intervals.

    Returns:
        `alpha`, `seeds`, and the columns of `Suite.measures`; sorted by measure and alpha.

    Raises:
        InputError: If there is no system, one has no evaluation, or they are not of one collection.
    """
    drawn = resample(
        {alpha: [one.sums for one in measured] for alpha, measured in systems.items()}, resamples=resamples, seed=seed
    )
    frames = [
        _whole(intervals(headline(drawn[alpha]), method=method, level=level), systems[alpha][0].random).select(
            pl.lit(float(alpha)).alias("alpha"), pl.lit(len(systems[alpha])).alias("seeds"), pl.all()
        )
        for alpha in sorted(systems)
    ]
    return pl.concat(frames).sort(pl.col("measure").cast(pl.Enum(RANK_MEASURES)), "alpha")


def compare_systems(
    one: Sequence[BiasSums],
    other: Sequence[BiasSums],
    *,
    resamples: int = 2000,
    seed: int = 0,
    method: Method = "bca",
    level: float = 0.95,
) -> pl.DataFrame:
    """Which of two systems is more biased, measure by measure: paired differences over the same questions.

    Args:
        one: A system's evaluations, one per seed.
        other: What it is compared with, on the same collection.
        resamples: Of the bootstrap.
        seed: Of the bootstrap and of the tests.
        method: Of the intervals.
        level: Of the intervals.

    Returns:
        One row per measure that judges: `measure`, `one`, `other` (values), `difference`, `low`, `high`, `p` (as in
        `significance.compare`), `p_holm` (corrected over these measures), and `more`: whether the first is the more
        biased by the values, null where a random ranking lies between them.

    Raises:
        InputError: If a system has no evaluation, or they are not of one collection.
    """
    drawn = resample(
        {name: [part.sums for part in parts] for name, parts in (("one", one), ("other", other))},
        resamples=resamples,
        seed=seed,
    )
    first, second = headline(drawn["one"]), headline(drawn["other"])
    tested = compare(first, second, seed=seed, method=method, level=level)
    random = dict(one[0].random.filter(pl.col("query_lang").is_null()).select("measure", "random").iter_rows())
    values = pl.DataFrame({"one": first.estimate, "other": second.estimate})
    found = tested.select("measure", "difference", "low", "high", "p").hstack(values)
    found = found.filter(pl.col("measure").replace_strict(_JUDGES, return_dtype=pl.Boolean))
    more = [_more_biased(row["measure"], row["one"], row["other"], random) for row in found.to_dicts()]
    return found.select(
        "measure",
        "one",
        "other",
        "difference",
        "low",
        "high",
        "p",
        p_holm=pl.Series(holm(found["p"].to_numpy()), dtype=pl.Float64).fill_nan(None),
        more=pl.Series(more, dtype=pl.Boolean),
    )


_JUDGES = {name: MEASURES[name].direction != "neither" for name in RANK_MEASURES}


def _more_biased(measure: str, one: float, other: float, random: Mapping[str, float | None]) -> bool | None:
    direction, by_chance = MEASURES[measure].direction, random[measure]
    if direction != "near":
        return one > other if direction == "lower" else one < other
    if by_chance is None or (one - by_chance) * (other - by_chance) < 0:
        return None
    return abs(one - by_chance) > abs(other - by_chance)


def headline(drawn: Resampled) -> Resampled:
    """The bias measures alone, one row each: macro means over query languages, and Kendall's W.

    Two of them (of systems whose draws were shared) may be handed to `significance.compare`.

    Args:
        drawn: What `resample` made of `BiasSums.sums`.
    """
    rows = drawn.rows.with_row_index("at")
    macro = rows.filter(
        pl.col("measure").is_in([name for name in RANK_MEASURES if name != EFFECT]) & pl.col("query_lang").is_null()
    )
    means = drawn.take(macro["at"].to_list())
    return means.append(_concordance(drawn)) if (rows["measure"] == SUM).any() else means


def _concordance(drawn: Resampled) -> Resampled:
    """Kendall's W from its cells, in the estimate and in every draw.

    What a question adds is its jackknife influence, 1 / n of the whole plus the deviation of what is left without it.
    Of several seeds it is W of their mean ranks. Where seeds are drawn, their weights reach far out, which a square
    would turn into a bias upwards; so W is made linear there, around the estimate.
    """
    of = _concordance_of(drawn.rows)
    n, estimate = len(drawn.questions), of(drawn.estimate)
    without = of(drawn.without)

    def linear(figures: np.ndarray) -> np.ndarray:
        return np.asarray(estimate + (of(drawn.estimate + _STEP * (figures - drawn.estimate)) - estimate) / _STEP)

    row = drawn.rows.filter(pl.col("measure") == PLACE, pl.col("doc_lang").is_null())
    return Resampled(
        row.with_columns(measure=pl.lit(EFFECT), queries=pl.col("questions")),
        estimate,
        linear(drawn.draws) if drawn.by_seed else of(drawn.draws),
        without,
        estimate / n + (n - 1) / n * (without.mean(axis=0) - without),
        tuple(linear(seeds) for seeds in drawn.by_seed),
        drawn.evaluations,
        drawn.questions,
        drawn.seed,
    )


def _concordance_of(rows: pl.DataFrame) -> Callable[[np.ndarray], np.ndarray]:
    """What makes Kendall's W, float64 (..., 1), of all figures, float64 (..., rows)."""
    rows = rows.with_row_index("at")
    cells = rows.filter(pl.col("doc_lang").is_not_null())
    sums, spreads = (cells.filter(pl.col("measure") == name)["at"].to_list() for name in (SUM, SPREAD))
    most = rows.filter(pl.col("measure") == FREEDOM)["at"][0]
    upper = np.triu_indices(len(sums))

    def of(figures: np.ndarray) -> np.ndarray:
        square = np.zeros((*figures.shape[:-1], len(sums), len(sums)))
        square[..., *upper] = figures[..., spreads]
        square[..., upper[1], upper[0]] = figures[..., spreads]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((statistic(figures[..., sums], square) / figures[..., most])[..., None])

    return of


_STEP = 1e-4


def _whole(found: pl.DataFrame, random: pl.DataFrame) -> pl.DataFrame:
    """All measures in their order, with what a random ranking gives; null where there is no figure."""
    by_chance = random.filter(pl.col("query_lang").is_null()).drop("query_lang")
    columns = ["measure", "value", "low", "high", "random", "queries", "questions"]
    return (
        pl.DataFrame({"measure": RANK_MEASURES})
        .join(found, on="measure", how="left", maintain_order="left")
        .join(by_chance, on="measure", how="left", maintain_order="left")
        .select(columns)
    )
