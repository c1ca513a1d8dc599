"""Vectors of the answering passages -> how much of their language they hold. The only vectors in `engine.bias`.

Only passages that answer a question are looked at: they are translations of each other, so that languages differ in
language and not in what is said. Questions whose answers share a passage in some language form one group, and a group
is never split between training and testing, or between draws.

UMAP is not offered beside PCA: it needs a further package, its picture changes with seed and neighbourhood size, and
distances in it mean little, while the first two principal components are exact and say how much they show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import stdtrit

from engine.bias.axes import places
from engine.bias.measures import MEASURES
from engine.collections.groups import groups_by_question
from engine.errors import InputError
from engine.ranks.schema import in_corpus
from engine.significance import QuestionSums, intervals, resample, wilson
from engine.significance.per_question import CELLS

FOLDS = 5
_PROBE, _VARIANCE = (name for name, measure in MEASURES.items() if measure.needs == "vectors")


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """How much language the vectors hold.

    Attributes:
        measures: One row per measure that needs vectors: `measure`, `value`, `low`, `high`, `random`,
            `passages`.
        languages: `doc_lang`, `passages`, `recognised` (share whose language the probe reads), `low`, `high`.
        distances: `doc_lang`, `other_lang`, `distance` between the languages' means, in units of the spread: the root
            mean square distance of passages from their own language's mean.
        points: `doc`, `doc_lang`, `group`, `x`, `y`: the passages on the first two principal components.
        explained: Share of the variance that x and y show.
    """

    measures: pl.DataFrame
    languages: pl.DataFrame
    distances: pl.DataFrame
    points: pl.DataFrame
    explained: tuple[float, float]


def identity(vectors: np.ndarray, ranks: pl.DataFrame, *, folds: int = FOLDS, seed: int = 0) -> Identity:
    """Measure how much language the passages' vectors hold.

    Args:
        vectors: Of all candidates of the pool, float32 (candidates, dimension).
        ranks: Frame of schema `RANKS`; it knows which passages answer which questions.
        folds: Into how many parts the probe splits the groups; as many as there are groups if these are fewer.
        seed: Of the split and of the intervals.

    Raises:
        InputError: If fewer than two languages have answering passages, or all passages form one group.
    """
    passages = answering_passages(ranks)
    languages = passages["doc_lang"].unique().sort()
    if len(languages) < 2:
        raise InputError("vectors: passages in one language only answer questions; at least two are needed")
    code = places(passages["doc_lang"], languages)
    group, held = passages["group"].to_numpy(), vectors[passages["doc"].to_numpy()].astype(np.float64)
    groups = passages["group"].n_unique()
    if groups < 2:
        raise InputError("vectors: all answering passages share questions, so that none can be held out of the probe")
    right = probe(held, code, group, folds=min(folds, groups), seed=seed)
    read = _with_intervals(right, code, group, list(languages), seed)
    (share, low, high), (means, spread) = language_variance(held, code, group), language_means(held, code)
    gaps = np.linalg.norm(means[:, None] - means[None], axis=2) / (spread or np.nan)
    first, second = np.nonzero(~np.eye(len(languages), dtype=bool))
    xy, explained = project(held)
    whole = read.filter(pl.col("doc_lang").is_null()).row(0, named=True)
    rows = [
        {"measure": _PROBE, "value": whole["value"], "low": whole["low"], "high": whole["high"]},
        {"measure": _VARIANCE, "value": share, "low": low, "high": high},
    ]
    floats = dict.fromkeys(["value", "low", "high"], pl.Float64)
    return Identity(
        pl.DataFrame(rows, schema={"measure": pl.String, **floats})
        .fill_nan(None)
        .with_columns(random=pl.Series([1 / len(languages), 0.0]), passages=pl.lit(len(code), pl.Int64)),
        read.drop_nulls("doc_lang").rename({"value": "recognised"}),
        pl.DataFrame(
            {
                "doc_lang": languages.gather(first),
                "other_lang": languages.gather(second),
                "distance": gaps[first, second],
            }
        ),
        passages.with_columns(x=pl.Series(xy[:, 0]), y=pl.Series(xy[:, 1])),
        explained,
    )


def answering_passages(ranks: pl.DataFrame) -> pl.DataFrame:
    """The passages that answer a question, in groups that share no question.

    Returns:
        `doc`, `doc_lang`, `group` (counted from 0); sorted by passage.
    """
    answers = in_corpus(ranks).select("question", "doc", "doc_lang").unique()
    passages = answers.select("doc", "doc_lang").unique().sort("doc")
    questions = answers["question"].unique().sort()
    doc = np.searchsorted(passages["doc"].to_numpy(), answers["doc"].to_numpy())
    group = groups_by_question(places(answers["question"], questions), doc, passages.height)
    return passages.with_columns(group=pl.Series(group, dtype=pl.Int64))


def probe(vectors: np.ndarray, code: np.ndarray, group: np.ndarray, *, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Whether a linear classifier reads each passage's language, trained on other groups' passages.

    Multinomial logistic regression with an L2 penalty, on coordinates scaled to unit variance in the training part.
    Languages weigh the same however many passages they have.

    Args:
        vectors: Floats (passages, dimension); float32 is enough.
        code: Languages, int (passages,).
        group: Groups that are never split, int (passages,).
        folds: Into how many parts the groups are split.
        seed: Of the split.

    Returns:
        bool (passages,).

    Raises:
        InputError: If there are fewer groups than folds, or folds is below 2.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    groups = np.unique(group)
    if not 2 <= folds <= len(groups):
        raise InputError(f"folds must be from 2 to {len(groups)} (the number of groups), got {folds}")
    fold_of = np.empty(len(groups), np.int64)
    fold_of[np.random.default_rng(seed).permutation(len(groups))] = np.arange(len(groups)) % folds
    fold = fold_of[np.searchsorted(groups, group)]
    vectors, right = vectors.astype(np.float32), np.zeros(len(code), bool)
    for part in range(folds):
        tested = fold == part
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-3, class_weight="balanced"))
        model.fit(vectors[~tested], code[~tested])
        right[tested] = model.predict(vectors[tested]) == code[tested]
    return right


def language_variance(
    vectors: np.ndarray, code: np.ndarray, group: np.ndarray, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Share of the variance that lies between the languages' means, with an interval.

    Means of few passages lie apart by chance too, so the plain share is too high; the jackknife over groups takes that
    off (Quenouille), and gives the standard error (Efron and Tibshirani 1993, eqs. 11.5 and 11.7). What is left has the
    expectation 0, up to the square of 1 / groups, if languages are dealt out at random.

    With n, s and q the number, the sum and the sum of squared lengths of vectors, the variance is q - |s|^2 / n, and
    the part between the means is the sum of |s|^2 / n over languages minus that of all.

    Args:
        vectors: float64 (passages, dimension).
        code: Languages, counted from 0, int (passages,).
        group: Groups that are left out whole, int (passages,).
        level: The confidence level.

    Returns:
        The share and both ends of its interval; NaN where leaving a group out leaves a language or no variance.
    """
    ids, at = np.unique(group, return_inverse=True)
    groups, total = len(ids), vectors.sum(axis=0)
    between, n = np.zeros(groups + 1), np.bincount(at, minlength=groups)
    for one in range(int(code.max()) + 1):
        mine = code == one
        between += _without(_sums(vectors[mine], at[mine], groups), np.bincount(at[mine], minlength=groups))
    of_all = _without(_sums(vectors, at, groups), n)
    squares = np.bincount(at, (vectors**2).sum(axis=1), minlength=groups)
    left = np.append(squares.sum() - squares, squares.sum()) - of_all
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(left > 1e-12 * max(total @ total, squares.sum()), (between - of_all) / left, np.nan)
    without, whole = shares[:-1], shares[-1]
    value = groups * whole - (groups - 1) * without.mean()
    error = np.sqrt((groups - 1) / groups * ((without - without.mean()) ** 2).sum())
    reach = stdtrit(max(groups - 1, 1), (1 + level) / 2) * error
    return float(value), float(value - reach), float(value + reach)


def _sums(vectors: np.ndarray, at: np.ndarray, groups: int) -> np.ndarray:
    """Sums of vectors by group, float64 (groups, dimension)."""
    from scipy.sparse import csr_array

    rows = csr_array((np.ones(len(at)), (at, np.arange(len(at)))), shape=(groups, len(at)))
    return np.asarray(rows @ vectors)


def _without(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """|s|^2 / n with each group left out, and last with none; NaN where none is left."""
    left = np.vstack([sums.sum(axis=0) - sums, sums.sum(axis=0)])
    n = np.append(counts.sum() - counts, counts.sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, (left**2).sum(axis=1) / n, np.nan)


def language_means(vectors: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, float]:
    """The languages' means, and how far passages lie from their own.

    Args:
        vectors: float64 (passages, dimension).
        code: Languages, counted from 0, int (passages,).

    Returns:
        float64 (languages, dimension), and the root mean square distance of passages from their language's mean.
    """
    means = np.stack([vectors[code == one].mean(axis=0) for one in range(int(code.max()) + 1)])
    return means, float(np.sqrt(((vectors - means[code]) ** 2).sum() / len(code)))


def project(vectors: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """The first two principal components; each points to where its largest loading is positive.

    Args:
        vectors: float64 (passages, dimension), of at least two dimensions.

    Returns:
        float64 (passages, 2), and the share of the variance that each shows.
    """
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, [-1, -2]]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    total = max(values.sum(), np.finfo(float).tiny)
    return centred @ axes, (float(values[-1] / total), float(values[-2] / total))


def centres(points: pl.DataFrame) -> pl.DataFrame:
    """The middle of each language's passages.

    Args:
        points: Frame of `Identity.points`.

    Returns:
        `doc_lang`, `x`, `y`; sorted.
    """
    return points.group_by("doc_lang").agg(pl.col("x", "y").mean()).sort("doc_lang")


def _with_intervals(
    right: np.ndarray, code: np.ndarray, group: np.ndarray, languages: list[str], seed: int
) -> pl.DataFrame:
    """Share of right answers by language and on average, with intervals from whole groups.

    Where all are right the draws cannot differ; Wilson's interval for that many groups stands in.
    """
    ids, at = np.unique(group, return_inverse=True)
    sums, counts = (np.zeros((len(ids), len(languages))) for _ in range(2))
    np.add.at(sums, (at, code), right)
    np.add.at(counts, (at, code), 1.0)
    cells = pl.DataFrame([(_PROBE, "multi", None, name) for name in languages], schema=CELLS, orient="row")
    drawn = resample({"": [QuestionSums(tuple(map(str, ids)), cells, sums, counts)]}, seed=seed)[""]
    found = intervals(drawn)
    held = np.append(np.count_nonzero(counts, axis=0), len(ids))
    least, most = wilson(found["value"].to_numpy() * held, held)
    flat = pl.col("low") == pl.col("high")
    ends = {"low": pl.when(flat).then(pl.Series(least)), "high": pl.when(flat).then(pl.Series(most))}
    found = found.with_columns(end.otherwise(name).alias(name) for name, end in ends.items())
    return found.select("doc_lang", pl.col("queries").alias("passages"), "value", "low", "high")
