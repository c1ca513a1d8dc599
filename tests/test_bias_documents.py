"""engine.bias.documents: Friedman's test against scipy, against all orders of small designs, and planted effects."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, friedmanchisquare

from engine import bias
from engine.bias.documents import blocks_of, expected_concordance, statistic
from engine.errors import InputError
from engine.ranks.schema import RANKS
from tests.bias_builders import LANGUAGES, parallel, ranked
from tests.significance_builders import ranks_by_chance


def whole(means: np.ndarray) -> pl.DataFrame:
    """Ranks in which the passages of each question (row) and language (column) have these mean log2 ranks."""
    rows = [
        (f"q{i:04d}", "en", LANGUAGES[j], j, 1, int(2**value), 0.0)
        for i, row in enumerate(means)
        for j, value in enumerate(row)
    ]
    return pl.DataFrame(rows, schema=RANKS, orient="row")


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([3, 5, 20]))
def test_on_whole_questions_it_is_scipys_friedman_test_with_ties_and_without(seed, levels):
    means = np.random.default_rng(seed).integers(0, levels, (15, 4)).astype(float)
    found, expected = bias.document_effect(whole(means)), friedmanchisquare(*means.T)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.freedom == 3
    assert found.concordance == pytest.approx(expected.statistic / (15 * 3))
    assert found.random == pytest.approx(1 / 15)


def test_the_order_is_that_of_the_mean_log2_ranks_over_the_queries_of_a_question():
    ranks = parallel({("q", "de"): {"de": 1, "en": 4, "hi": 64}, ("q", "en"): {"de": 16, "en": 1, "hi": 2}})
    blocks = bias.document_blocks(ranks)
    assert blocks.select("doc_lang", "rank", "place").rows() == [("de", 2, 0.5), ("en", 1, 0), ("hi", 3, 1)]


def test_languages_that_trade_places_with_the_query_are_tied():
    ranks = parallel({("q", "de"): {"de": 1, "en": 3}, ("q", "en"): {"de": 3, "en": 1}})
    assert bias.document_blocks(ranks)["place"].to_list() == [0.5, 0.5]
    found = bias.document_effect(ranks)
    assert np.isnan(found.statistic)
    assert found.freedom == 0


def design(orders: list[tuple[float, ...]], languages: list[str]) -> pl.DataFrame:
    """Ranks of questions with their own languages, each in a given order."""
    return parallel(
        {
            (f"q{i}", "xx"): {code: int(2**place) for code, place in zip(own, order, strict=True)}
            for i, (order, own) in enumerate(zip(orders, languages, strict=True))
        }
    )


@pytest.mark.parametrize(
    "blocks",
    [
        [("abc", (1, 2, 3)), ("ab", (1, 2)), ("bc", (1, 2))],
        [("abcd", (1, 2, 3, 4)), ("bd", (1, 2))],
        [("abc", (1, 2, 2)), ("ab", (1, 2)), ("abc", (1, 1, 3))],
        [("ab", (1, 2)), ("cd", (1, 2)), ("ab", (1, 2))],
    ],
    ids=["incomplete", "two sizes", "ties", "two parts that share no question"],
)
def test_over_all_orders_the_mean_of_the_statistic_is_its_degrees_of_freedom(blocks):
    languages = [own for own, _ in blocks]
    found = [
        bias.document_effect(design(list(orders), languages))
        for orders in product(*(list(permutations(places)) for _, places in blocks))
    ]
    assert len({one.freedom for one in found}) == 1
    assert np.std([one.statistic for one in found]) > 0
    assert np.mean([one.statistic for one in found]) == pytest.approx(found[0].freedom)
    assert np.mean([one.concordance for one in found]) == pytest.approx(found[0].random)


def skillings_mack(ranks: pl.DataFrame) -> float:
    """The statistic as Skillings and Mack (1981) write it, without ties: the last language is left out."""
    blocks: dict[str, dict[str, float]] = {}
    for row in bias.document_blocks(ranks).to_dicts():
        blocks.setdefault(row["question"], {})[row["doc_lang"]] = row["rank"]
    languages = sorted({code for block in blocks.values() for code in block})
    sums = [
        sum(
            (12 / (len(block) + 1)) ** 0.5 * (block[code] - (len(block) + 1) / 2)
            for block in blocks.values()
            if code in block
        )
        for code in languages
    ]
    shared = np.array([[sum({a, b} <= set(block) for block in blocks.values()) for b in languages] for a in languages])
    covariance = np.diag(shared.sum(axis=1) - np.diag(shared)) - (shared - np.diag(np.diag(shared)))
    return float(np.array(sums[:-1]) @ np.linalg.inv(covariance[:-1, :-1]) @ np.array(sums[:-1]))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_on_incomplete_questions_it_is_skillings_and_macks(seed):
    ranks = ranks_by_chance(np.random.default_rng(seed), questions=20)
    found = bias.document_effect(ranks)
    assume((bias.document_blocks(ranks)["rank"] % 1 == 0).all() and found.freedom == 3)
    assert found.statistic == pytest.approx(skillings_mack(ranks))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_concordance_lies_between_0_and_1(seed):
    found = bias.document_effect(ranks_by_chance(np.random.default_rng(seed), questions=5))
    assert np.isnan(found.concordance) or -1e-9 <= found.concordance <= 1 + 1e-9


def test_questions_that_all_agree_have_the_concordance_1_or_nearly_so_where_they_lack_different_languages():
    assert bias.document_effect(design([(1, 2, 3)] * 5, ["abc"] * 5)).concordance == pytest.approx(1)
    mixed = bias.document_effect(design([(1, 2, 3), (1, 2), (1, 2), (1, 2)], ["abc", "ab", "bc", "ac"]))
    assert 0.9 < mixed.concordance < 1


def test_random_rankings_are_called_an_effect_in_one_case_of_twenty():
    rng = np.random.default_rng(7)
    p = [bias.document_effect(ranks_by_chance(rng, questions=60)).p for _ in range(200)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.10


def test_the_p_value_is_chi_squareds():
    found = bias.document_effect(ranked(np.random.default_rng(3))[0])
    assert found.p == pytest.approx(chi2.sf(found.statistic, found.freedom))


def test_a_language_that_is_pushed_down_is_named_and_the_others_are_not():
    rng = np.random.default_rng(4)
    means = rng.permuted(np.tile(np.arange(4.0), (80, 1)), axis=1)
    means[:60, 2] = 9
    found = bias.pushed(whole(means))
    told = found.filter(pl.col("p_holm") < 0.05)
    assert found["doc_lang"][-1] == LANGUAGES[2]
    assert told.filter(pl.col("place") > 0.5)["doc_lang"].to_list() == [LANGUAGES[2]]
    assert (found["mean_rank"] - 1).to_list() == pytest.approx((3 * found["place"]).to_list())
    assert found["questions"].to_list() == [80] * 4


def test_places_of_languages_are_means_over_their_questions():
    ranks = ranks_by_chance(np.random.default_rng(5))
    blocks = bias.document_blocks(ranks)
    for row in bias.pushed(ranks).to_dicts():
        own = blocks.filter(pl.col("doc_lang") == row["doc_lang"])
        assert row["place"] == pytest.approx(own["place"].mean())
        assert row["questions"] == own.height
        assert row["mean_rank"] is None


def test_by_chance_some_language_is_called_pushed_in_few_cases_after_correction():
    rng = np.random.default_rng(6)
    alarms = [
        (bias.pushed(ranks_by_chance(rng, questions=40), flips=400, seed=i)["p_holm"] < 0.05).any() for i in range(150)
    ]
    assert np.mean(alarms) <= 0.09


def test_questions_with_one_language_leave_nothing_to_compare():
    ranks = parallel({("q", "en"): {"en": 5}, ("r", "de"): {"de": 2}})
    found = bias.document_effect(ranks)
    assert (found.freedom, found.questions) == (0, 0)
    assert np.isnan(found.concordance)
    assert np.isnan(expected_concordance(blocks_of(ranks)))
    assert bias.pushed(ranks).is_empty()


def test_the_statistic_of_no_spread_is_not_a_number_and_others_beside_it_are_not_touched():
    sums = np.array([[1.0, -1.0], [0.0, 0.0], [np.nan, np.nan]])
    spreads = np.array([[[1.0, -1.0], [-1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]], [[np.nan] * 2] * 2])
    assert statistic(sums, spreads)[0] == pytest.approx(1)
    assert np.isnan(statistic(sums, spreads)[1:]).all()


def test_flips_below_one_are_refused():
    with pytest.raises(InputError, match="flips must be >= 1, got 0"):
        bias.pushed(ranked(np.random.default_rng(8))[0], flips=0)
