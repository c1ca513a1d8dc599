"""engine.bias.first_result: the four outcomes of the first result."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine import bias
from engine.bias import OUTCOMES
from engine.bias.first_result import with_random
from tests.bias_builders import every_ranking, ranked


def test_every_query_has_one_outcome_and_it_is_the_one_that_a_slow_loop_finds():
    ranks, top, *_ = ranked(np.random.default_rng(1), own=0.5, skill=2.0, most_relevant=2)
    found = bias.first_results(ranks, top)
    assert found.height == 120
    assert found.select(pl.sum_horizontal(OUTCOMES)).to_series().unique().to_list() == [1.0]
    relevant = {(row["question"], row["query_lang"], row["doc"]) for row in ranks.to_dicts()}
    first = {(row["question"], row["query_lang"]): row for row in top.filter(pl.col("rank") == 1).to_dicts()}
    seen = set()
    for row in found.to_dicts():
        one = first[row["question"], row["query_lang"]]
        right = "right" if (row["question"], row["query_lang"], one["doc"]) in relevant else "wrong"
        name = f"first_{right}_{'own' if one['doc_lang'] == one['query_lang'] else 'other'}"
        assert row[name] == 1
        seen.add(name)
    assert seen == set(OUTCOMES)


def test_the_right_ones_together_are_the_hits_at_1():
    from engine.ranks import metrics

    ranks, top, *_ = ranked(np.random.default_rng(2), own=0.5, skill=2.0)
    shares = bias.outcomes(ranks, top)
    hits = metrics.by_query_language(ranks, ["hit@1"])
    assert (shares["first_right_own"] + shares["first_right_other"]).to_list() == pytest.approx(hits["hit@1"].to_list())
    assert shares["queries"].to_list() == [30] * 4


def test_shares_sum_to_one_in_every_query_language():
    ranks, top, *_ = ranked(np.random.default_rng(3), own=1.0, skill=1.0)
    sums = bias.outcomes(ranks, top).select(pl.sum_horizontal(OUTCOMES)).to_series()
    assert sums.to_list() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("relevant", [[0], [0, 2, 3], [1, 2, 4], [3, 4]])
def test_chances_are_the_shares_over_all_rankings_and_sum_to_one(relevant):
    ranks, top, candidates = every_ranking(["de", "de", "en", "en", "hi"], relevant, "de")
    parts = with_random(bias.first_results(ranks, top), candidates)
    for frame in parts.values():
        assert frame["value"].mean() == pytest.approx(frame["random"].mean())
    assert sum(frame["random"][0] for frame in parts.values()) == pytest.approx(1)


def test_a_query_without_judgements_does_not_count():
    ranks, top, *_ = ranked(np.random.default_rng(4))
    kept = ranks.filter(pl.col("question") != "q3")
    assert bias.outcomes(kept, top)["queries"].to_list() == [29] * 4
