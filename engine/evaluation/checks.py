"""What may be wrong with the data behind a number: found automatically, to be shown where the number is shown.

A pair of languages far below what its row and column predict, the same candidate twice, pairs of very unequal size,
languages or pairs that are missing, texts seen in training. Each is a row of schema `ALARMS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product

import numpy as np
import polars as pl

from engine.collections.languages import language
from engine.collections.structures import Collection
from engine.errors import InputError
from engine.evaluation.manifest import CollectionPart, EvaluationManifest
from engine.evaluation.notes import near_in_words, seen_in_words

ALARMS = pl.Schema({"kind": pl.String, "place": pl.String, "message": pl.String, "severity": pl.String})
"""`severity` is "severe" where a number should not be trusted, "note" where it should be known."""

THRESHOLD = 6.0
SHARE = 0.5
LEAST_LANGUAGES = 4
UNEQUAL = 2.0
_NORMAL = 1.4826  # median of absolute normal deviates -> standard deviation
_SWEEPS = 50
_NAMED = 5


def low_cells(
    cells: pl.DataFrame,
    value: str,
    *,
    threshold: float = THRESHOLD,
    share: float = SHARE,
    least: int = LEAST_LANGUAGES,
) -> pl.DataFrame:
    """Cells of a pair matrix that are far below what their row and column predict.

    The prediction is additive, fitted by median polish (Tukey 1977), which a few bad cells do not move. An alarm asks
    for two things: the cell lies `threshold` robust standard deviations below (a fault, not noise), and below `share`
    of the prediction (it matters). The standard deviation comes from the median of the larger absolute residuals: the
    smallest are left out, one per fitted row and column, since the fit makes about so many vanish.

    With the default threshold, additive data with normal noise give a false alarm in at most 1.3 % of matrices of 4
    languages, 0.2 % of 5 and 6, and 0.04 % from 7 on, from 20,000 simulated matrices each and without the second
    condition. Real matrices are not additive, and that is what the second condition is for: of the 394 matrices of
    MLQARetrieval's 49 pairs that MTEB's published results hold (models, versions, splits), the rule finds the pair
    ara-deu, near zero in results made with mteb 2, in 60 of 66 of these, and no other cell in any.

    Args:
        cells: With `query_lang`, `doc_lang` and the value; one row per pair. Pairs may be missing.
        value: Which column; from 0, higher is better.
        threshold: Robust standard deviations.
        share: Of the prediction.
        least: Fewer query or document languages than this tell nothing.

    Returns:
        `query_lang`, `doc_lang`, `value`, `expected`, `deviations`; the worst first. Empty where there is no alarm.

    Raises:
        InputError: If a column is missing, or a pair has two rows.
    """
    keys = ["query_lang", "doc_lang"]
    if missing := [name for name in (*keys, value) if name not in cells.columns]:
        raise InputError(f"cells: lacks the columns {', '.join(missing)}; expected are query_lang, doc_lang, {value}")
    cells = cells.select(*keys, pl.col(value).cast(pl.Float64).fill_nan(None).alias("value")).drop_nulls()
    if cells.select(keys).is_duplicated().any():
        raise InputError("cells: a pair of languages has two rows; give one system and one setting at a time")
    rows, columns = (cells[name].unique().sort() for name in keys)
    if min(len(rows), len(columns)) < least:
        return cells.with_columns(expected=pl.lit(0.0), deviations=pl.lit(0.0)).clear()
    at = tuple(
        cells[name].cast(pl.Enum(ids)).to_physical().to_numpy() for name, ids in zip(keys, (rows, columns), strict=True)
    )
    grid = np.full((len(rows), len(columns)), np.nan)
    grid[at] = cells["value"]
    residuals = _polish(grid)
    sizes = np.sort(np.abs(residuals[at]))[len(rows) + len(columns) - 1 :]
    spread = _NORMAL * float(np.median(sizes)) if len(sizes) else 0.0
    expected = cells["value"] - residuals[at]
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = pl.Series(np.divide(residuals[at], spread)).fill_nan(0.0)
    found = cells.with_columns(expected=expected, deviations=deviations)
    low = (pl.col("deviations") < -threshold) & (pl.col("value") < share * pl.col("expected"))
    return found.filter(low).sort("deviations", *keys)


def _polish(grid: np.ndarray) -> np.ndarray:
    """Residuals of the additive fit by row and column medians; NaN where there is no value."""
    left = grid.copy()
    for _ in range(_SWEEPS):
        before = left.copy()
        for axis in (1, 0):
            left -= np.nanmedian(left, axis=axis, keepdims=True)
        if np.nanmax(np.abs(left - before)) < 1e-12:
            break
    return left


def find(manifest: EvaluationManifest, pairs: pl.DataFrame, collection: Collection | None = None) -> pl.DataFrame:
    """All alarms of an evaluation, the severe ones first.

    Args:
        manifest: Its manifest.
        pairs: Its frame of `metrics.by_pair`.
        collection: What it was made on, where its texts are at hand.
    """
    found = [
        training_alarms(manifest),
        cell_alarms(pairs, "map", "mAP"),
        pair_alarms(pairs, _existing_pairs(manifest.collection, pairs)),
    ]
    if collection is not None:
        found.append(collection_alarms(collection))
    return pl.concat(found).sort(pl.col("severity") == "note", maintain_order=True)


def cell_alarms(cells: pl.DataFrame, value: str, name: str) -> pl.DataFrame:
    """`low_cells` as alarms.

    Args:
        cells: As in `low_cells`.
        value: Which column.
        name: What to call the value.
    """
    rows = [
        (
            "low cell",
            f"{row['query_lang']}-{row['doc_lang']}",
            f"{language(row['query_lang']).name} → {language(row['doc_lang']).name}: {name} {row['value']:.3f}, where "
            f"the other pairs of both languages predict {row['expected']:.3f}; its judgements may be broken",
            "severe",
        )
        for row in low_cells(cells, value).iter_rows(named=True)
    ]
    return _frame(rows)


def collection_alarms(collection: Collection) -> pl.DataFrame:
    """Candidates of one language with the same text: which of them ranks first is decided by their position alone."""
    corpus, qrels = collection.corpus, collection.qrels
    texts = [" ".join(text.split()) for text in corpus.texts]
    copies = Counter(zip(corpus.languages, texts, strict=True))
    judged = set(zip(qrels.queries.tolist(), qrels.documents.tolist(), strict=True))
    twins: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(corpus.languages, texts, strict=True)):
        if copies[key] > 1:
            twins.setdefault(key, []).append(row)
    group_of = {row: rows for rows in twins.values() for row in rows}
    unjudged = Counter(
        collection.corpus.languages[doc]
        for query, doc in judged
        if any((query, twin) not in judged for twin in group_of.get(doc, ()))
    )
    extra = Counter(code for (code, _), rows in twins.items() for _ in rows[1:])
    rows = []
    for code in (code for code in collection.languages if extra[code]):
        message = (
            f"{language(code).name}: {_count(extra[code], 'candidate repeats', 'candidates repeat')} another's text"
        )
        if unjudged[code]:
            message += (
                f"; {_count(unjudged[code], 'judgement is', 'judgements are')} affected: the answer's text also "
                "stands where it counts as wrong"
            )
        rows.append(("duplicate candidates", code, message, "note"))
    return _frame(rows)


def _existing_pairs(collection: CollectionPart, pairs: pl.DataFrame) -> list[tuple[str, str]]:
    """Pairs that can have queries: of a query language and a document language, but none that pictures rule out."""
    asked, answering = (
        codes or collection.languages for codes in (collection.query_languages, collection.document_languages)
    )
    held = {*pairs.select("query_lang", "doc_lang").iter_rows()}
    whole = list(product(asked, answering))
    if not collection.crossed:
        return [pair for pair in whole if pair[0] == pair[1]]
    return [pair for pair in whole if pair[0] != pair[1] or pair in held or not collection.pictures]


def pair_alarms(pairs: pl.DataFrame, wanted: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Pairs of languages that have no queries, and pairs of very unequal size.

    Args:
        pairs: With `query_lang`, `doc_lang`, `queries`; one row per pair, as `metrics.by_pair` gives it.
        wanted: The pairs of query and document language that can exist.
    """
    held = dict(zip(pairs.select("query_lang", "doc_lang").iter_rows(), pairs["queries"], strict=True))
    lacking = [pair for pair in wanted if not held.get(pair)]
    rows = []
    if lacking:
        named = ", ".join(f"{query}-{doc}" for query, doc in lacking[:_NAMED])
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        message = f"{len(lacking)} of {len(wanted)} pairs have no query ({named}{more}): no mean over pairs is shown"
        rows.append(("missing pairs", " ".join("-".join(pair) for pair in lacking), message, "severe"))
    counts = [held[pair] for pair in wanted if held.get(pair)]
    if counts and max(counts) >= UNEQUAL * min(counts):
        least = min((pair for pair in wanted if held.get(pair)), key=lambda pair: held[pair])
        message = (
            f"pairs have {min(counts):,} to {max(counts):,} queries, and every pair counts the same in a mean; the "
            f"smaller ones are less certain (fewest: {language(least[0]).name} → {language(least[1]).name})"
        )
        rows.append(("unequal pairs", "-".join(least), message, "note"))
    return _frame(rows)


def training_alarms(manifest: EvaluationManifest) -> pl.DataFrame:
    """Texts of the collection that the checkpoint was trained on, and near copies of such.

    Args:
        manifest: An evaluation's manifest.
    """
    found = (
        ("seen in training", seen_in_words(manifest), "severe"),
        ("near copies in training", near_in_words(manifest), "note"),
    )
    return _frame([(kind, manifest.collection.name, message, severity) for kind, message, severity in found if message])


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _frame(rows: list[tuple[str, str, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=ALARMS, orient="row")
