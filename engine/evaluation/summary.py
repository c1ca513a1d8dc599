"""What an evaluation comes to: scores by pair, query language and setting, and rank distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engine import bias
from engine.evaluation.manifest import EvaluationManifest
from engine.ranks import metrics, picture_scores

if TYPE_CHECKING:
    from engine.evaluation.evaluate import Evaluation


@dataclass(frozen=True, slots=True)
class Summary:
    """What an evaluation comes to.

    Attributes:
        pairs: `metrics.by_pair`.
        query_languages: `metrics.by_query_language`.
        settings: `metrics.by_setting`.
        rank_distance: `bias.rank_distance`; empty for an imported run that does not have every relevant passage.
    """

    pairs: pl.DataFrame
    query_languages: pl.DataFrame
    settings: pl.DataFrame
    rank_distance: pl.DataFrame

    def mean_rank_distance(self) -> float | None:
        """Rank distance, macro-averaged over the query languages; None if no query has two relevant passages."""
        return _number(self.rank_distance["rank_distance"].mean())

    def value(self, setting: str, metric: str) -> float | None:
        """A setting's macro mean; None where cells are missing."""
        return _number(self.settings.filter(pl.col("setting") == setting)[metric].item())


def _number(value: Any) -> float | None:  # noqa: ANN401 - polars types a mean as any value
    return None if value is None else float(value)


def summarise(evaluation: Evaluation, *, ranks: pl.DataFrame | None = None) -> Summary:
    """Scores and rank distance of an evaluation.

    Args:
        evaluation: The evaluation.
        ranks: Its ranks, where they have been read already.
    """
    return summarise_ranks(evaluation.ranks() if ranks is None else ranks, evaluation.manifest)


def summarise_ranks(ranks: pl.DataFrame, manifest: EvaluationManifest) -> Summary:
    """As `summarise`, of ranks that are not stored yet."""
    of = manifest.collection
    in_pool = ranks.filter(pl.col("query_lang").is_in(of.asking))
    pairs, query_languages = metrics.by_pair(ranks), metrics.by_query_language(in_pool)
    asked, answering = of.query_languages or of.languages, of.document_languages or of.languages
    settings = metrics.by_setting(pairs, query_languages, asked, document_languages=answering, asking=of.asking)
    distances = bias.rank_distance(in_pool, of.pool)
    if manifest.missing:
        distances = distances.clear()  # where a passage was not retrieved, its distance to others is not known
    return Summary(pairs, query_languages, settings, distances)


def as_json(evaluation: Evaluation, summary: Summary) -> dict[str, Any]:
    """An evaluation's figures as plain values, ready for `json.dumps`."""
    names = list(metrics.METRICS)
    settings = {row.pop("setting"): row for row in summary.settings.drop("cells", "expected").to_dicts()}
    settings["multi"]["rank_distance"] = summary.mean_rank_distance()
    same = pl.col("query_lang") == pl.col("doc_lang")
    means = pl.all().exclude("query_lang", "doc_lang", "queries").mean()
    query_languages = summary.query_languages.rename({name: f"multi_{name}" for name in names}).join(
        summary.rank_distance.select("query_lang", "rank_distance", pl.col("random").alias("random_rank_distance")),
        on="query_lang",
        how="left",
    )
    for setting, pairs in (("mono", summary.pairs.filter(same)), ("cross", summary.pairs.filter(~same))):
        scores = pairs.group_by("query_lang").agg(means).rename({name: f"{setting}_{name}" for name in names})
        query_languages = query_languages.join(scores, on="query_lang", how="left")
    directions = picture_scores.by_direction(summary.pairs) if evaluation.manifest.collection.pictures else None
    return {
        "collection": evaluation.manifest.collection.name,
        "encoder": evaluation.manifest.encoder.name,
        "fingerprint": evaluation.manifest.encoder.fingerprint,
        "languages": evaluation.languages,
        "settings": settings,
        "pairs": summary.pairs.to_dicts(),
        "query_langs": query_languages.sort("query_lang").to_dicts(),
        **({} if directions is None else {"pictures": {row.pop("direction"): row for row in directions.to_dicts()}}),
    }
